"""``visagist inspect``: how was this picture made, as far as its marks say?"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visagist.cli.output import Json, needs_extra, print_json
from visagist.errors import CredentialError, VisagistError

if TYPE_CHECKING:
    from visagist.provenance.inspection import Inspection

__all__ = ["CODES", "inspect"]

CODES = {"valid": 0, "altered": 11, "stripped": 12, "absent": 13}
"""Exit code by status; no error has one of the last three."""


def inspect(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Pictures.")],
    trust: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Certificates (PEM) to call trusted, beside your own."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say whether pictures carry visagist's marks: valid, altered, stripped or absent.

    Reads the signed manifest in the file and the watermark in the pixels, which also works when
    the metadata are gone. Ends with 0 if all are valid, else 11 for altered, 12 for stripped or 13
    for absent, whichever of these comes first for any file; 1 if a file of several cannot be read.
    """
    from visagist.cli.marking import EXTRA, inspect_file

    with needs_extra(EXTRA):  # once, for all files
        import_module("visagist.provenance.inspection")
    documents: list[dict[str, Any]] = []
    failed = False
    for path in files:
        try:
            found = inspect_file(path, trust=trust)
        except CredentialError:  # the same for every file
            raise
        except VisagistError as error:
            if len(files) == 1:
                raise
            failed = True
            print(f"visagist: {path}: {error}", file=sys.stderr)
            told = {"type": type(error).__name__, "message": str(error)}
            documents.append({"file": str(path), "status": "failed", "error": told})
            continue
        documents.append(_document(path, found))
        if not as_json:
            print(_words(path, found))
    if as_json:
        print_json(documents[0] if len(files) == 1 else {"results": documents})
    statuses = {document["status"] for document in documents}
    if failed:
        raise typer.Exit(1)
    for status in ("altered", "stripped", "absent"):
        if status in statuses:
            raise typer.Exit(CODES[status])


def _document(path: Path, found: Inspection) -> dict[str, Any]:
    manifest, mark = found.manifest, found.watermark
    return {
        "file": str(path),
        "status": found.status,
        "signer": found.signer,
        "signed_by": manifest.signer if manifest else None,
        "generator": manifest.generator if manifest else None,
        "actions": [
            {"action": action, "source_type": source} for action, source in manifest.actions
        ]
        if manifest
        else [],
        "manifest": manifest.label if manifest else None,
        "manifest_id": manifest.mark_id if manifest else None,
        "claim": dict(manifest.claim) if manifest else {},
        "problems": list(manifest.problems) if manifest else [],
        "watermark_id": mark.mark_id if mark else None,
        "watermark_layer": mark.layer if mark else None,
        "watermark_score": round(mark.score, 2) if mark else None,
        "watermark_scale": round(mark.scale, 4) if mark and mark.scale else None,
        "declared_source_type": found.declared,
        "known": [
            {
                "id": entry.id,
                "made": entry.made,
                "kind": entry.kind,
                "model_id": entry.model_id,
                "source_sha256": list(entry.source_sha256),
                "consent_sha256": entry.consent_sha256,
                "target_sha256": entry.target_sha256,
            }
            for entry in found.entries
        ],
        "reasons": list(found.reasons),
    }


def _words(path: Path, found: Inspection) -> str:
    lines = [f"{path}: {found.status}"]
    manifest, mark = found.manifest, found.watermark
    if manifest is not None:
        by = {"own": "this machine", "trusted": "a trusted certificate"}.get(found.signer or "")
        lines.append(f"manifest: {manifest.generator or 'unreadable'}, signed by {by or 'another'}")
        done = ", ".join(action for action, _ in manifest.actions)
        if manifest.claim:
            lines.append(f"claim: {manifest.claim.get('kind')} by {manifest.claim.get('model_id')}")
        elif done:
            lines.append(f"actions: {done}")
    else:
        lines.append("manifest: none")
    lines.append(
        f"watermark: {mark.mark_id} ({mark.layer}, {mark.score:.0f} standard deviations)"
        if mark
        else "watermark: none that can be read"
    )
    lines += [f"known here: {e.kind} by {e.model_id}, made {e.made}" for e in found.entries]
    if found.status == "absent" and found.declared:
        lines.append(f"declared in plain metadata, unsigned: {found.declared.rpartition('/')[2]}")
    lines += [f"note: {reason}" for reason in found.reasons]
    if found.status == "absent":
        lines.append("note: that proves nothing; marks can be removed, and others write none")
    return "\n  ".join(_printable(line) for line in lines)


def _printable(text: str) -> str:
    """One line of a terminal: what a file says must not move the cursor or look like our words."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
