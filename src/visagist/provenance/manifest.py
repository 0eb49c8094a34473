"""Signed manifests in files (C2PA specification 2.2) by c2pa-python; nothing uses a network."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import c2pa

from visagist.errors import SigningError
from visagist.provenance.claims import Claim, sha256_hex
from visagist.provenance.credential import Credential

__all__ = ["MIME", "SOFT_BINDING", "Manifest", "read_manifest", "sign"]

MIME: Mapping[str, str] = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WebP": "image/webp",
    "AVIF": "image/avif",
    "TIFF": "image/tiff",
    "HEIC": "image/heic",
}
"""Formats that can hold a manifest, by the names of the photo room."""

SOFT_BINDING = "org.visagist.watermark.1"
"""Names the watermark of this package in manifests; a changed watermark gets another number."""

_CLAIM = "org.visagist.claim"
# Thumbnails would put the picture, and the one that was edited, into the metadata once more.
_SETTINGS: Mapping[str, Any] = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True},
    "builder": {"thumbnail": {"enabled": False}},
}
_UNTRUSTED = frozenset({"signingCredential.untrusted"})  # says who signed, not what was changed
_TRUSTED = frozenset({"signingCredential.trusted", "claimSignature.validated"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a file's manifest says, and whether it still fits the file.

    Attributes:
        intact: signature, assertions and the hash of the file hold.
        trusted: it was signed with a certificate that leads to one of the anchors, whatever has
            become of the file since.
        problems: codes of the specification for what does not hold.
        label: the manifest's own name.
        generator: the program that wrote it, with its version.
        signer: issuer and name in the certificate.
        actions: (action, digital source type or None), in order.
        claim: what visagist claimed (``kind``, ``model_id``, ``source_sha256``, ``target_sha256``,
            ``consent_sha256``), empty in manifests of others.
        mark_id: the id in the soft binding that names our watermark, or None.
    """

    intact: bool
    trusted: bool
    problems: tuple[str, ...]
    label: str
    generator: str
    signer: str
    actions: tuple[tuple[str, str | None], ...]
    claim: Mapping[str, Any]
    mark_id: str | None


def sign(
    data: bytes,
    format_name: str,
    claim: Claim,
    credential: Credential,
    *,
    mark_id: str | None,
    version: str,
    target: bytes | None = None,
    target_format: str | None = None,
) -> bytes:
    """Put a signed manifest into a picture's file.

    Args:
        data: the encoded picture.
        format_name: a key of :data:`MIME`.
        claim: what was done.
        credential: who signs.
        mark_id: the id in the watermark, or None where the pixels carry none.
        version: of visagist.
        target: the file that was edited; it becomes the parent and only its hash is kept, together
            with its own manifest where it has one.
        target_format: its format; one that holds no manifests is named by its hash alone.

    Raises:
        SigningError: the file or the certificate was refused; the message says by what.
    """
    definition = _definition(claim, mark_id, version, target)
    target_mime = MIME.get(target_format or "")
    try:
        with c2pa.Context.from_dict(dict(_SETTINGS)) as context:
            signer = c2pa.Signer.from_info(
                c2pa.C2paSignerInfo(credential.algorithm, credential.chain, credential.key, None)
            )
            builder = c2pa.Builder(definition, context)
            with signer, builder:
                if claim.kind != "generated":
                    _add_parent(builder, data, format_name, target, target_mime)
                signed = io.BytesIO()
                builder.sign(signer, MIME[format_name], io.BytesIO(data), signed)
    except c2pa.C2paError as error:
        raise SigningError(
            f"the manifest could not be signed into this {format_name} file ({error}); check that "
            "the certificate is one for signing documents, with its authority after it"
        ) from error
    return signed.getvalue()


def _add_parent(
    builder: c2pa.Builder,
    data: bytes,
    format_name: str,
    target: bytes | None,
    target_mime: str | None,
) -> None:
    """Name the edited picture, which gives the action ``c2pa.opened``.

    A target that is not known, or of a format without manifests, still has to be there: an edit
    without a parent is not valid. Its place is then taken by an entry without content.
    """
    builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
    parent = {"title": "target", "relationship": "parentOf"}
    if target is not None and target_mime is not None:
        try:
            builder.add_ingredient(parent, target_mime, io.BytesIO(target))
        except c2pa.C2paError:  # odd structure that decoders forgive and manifest readers do not
            pass
        else:
            return
    builder.add_ingredient(
        parent | {"description": "known by its hash only"}, MIME[format_name], io.BytesIO(data)
    )


def _definition(
    claim: Claim, mark_id: str | None, version: str, target: bytes | None
) -> dict[str, Any]:
    agent = {"name": "visagist", "version": version}
    done = {
        "action": "c2pa.created" if claim.kind == "generated" else "c2pa.edited",
        "digitalSourceType": claim.source_type,
        "softwareAgent": agent,
        "parameters": {"org.visagist.kind": claim.kind},
    }
    actions = [done]
    assertions: list[dict[str, Any]] = []
    if mark_id is not None:
        actions.append({"action": "c2pa.watermarked.bound", "softwareAgent": agent})
        binding = {"alg": SOFT_BINDING, "blocks": [{"scope": {}, "value": mark_id}]}
        assertions.append({"label": "c2pa.soft-binding", "data": binding})
    said = {
        "kind": claim.kind,
        "model_id": claim.model_id,
        "source_sha256": list(claim.sources) or None,
        "target_sha256": None if target is None else sha256_hex(target),
        "consent_sha256": claim.consent_sha256,
    }
    assertions += [
        {"label": "c2pa.actions.v2", "data": {"actions": actions}},
        {"label": _CLAIM, "data": {key: value for key, value in said.items() if value is not None}},
    ]
    definition: dict[str, Any] = {"claim_generator_info": [agent], "assertions": assertions}
    if claim.title is not None:
        definition["title"] = claim.title
    return definition


def read_manifest(
    data: bytes, format_name: str, *, anchors: bytes | None = None
) -> Manifest | None:
    """Read and check the manifest of a picture's file.

    Args:
        data: the whole file.
        format_name: its format; one that holds no manifests has none.
        anchors: certificates in PEM whose signatures are trusted.

    Returns:
        the manifest, or None where there is none, or what there is of the file is too broken to
        look for one.
    """
    mime = MIME.get(format_name)
    if mime is None:
        return None
    settings: dict[str, Any] = dict(_SETTINGS)
    if anchors is not None:
        settings["trust"] = {"user_anchors": anchors.decode("ascii", "replace")}
    try:
        with (
            c2pa.Context.from_dict(settings) as context,
            c2pa.Reader(mime, io.BytesIO(data), context=context) as reader,
        ):
            document = json.loads(reader.json())
    except c2pa.C2paError.ManifestNotFound:
        return None
    except c2pa.C2paError as error:
        return _unreadable(data, str(error))
    return _parsed(document)


def _unreadable(data: bytes, reason: str) -> Manifest | None:
    """A file with the traces of a manifest that cannot be read; None without traces."""
    if b"jumb" not in data or b"c2pa" not in data:
        return None
    return Manifest(
        intact=False,
        trusted=False,
        problems=(f"unreadable: {reason[:120]}",),
        label="",
        generator="",
        signer="",
        actions=(),
        claim={},
        mark_id=None,
    )


def _parsed(document: Mapping[str, Any]) -> Manifest:
    """What is asked of a manifest; whoever signed it may have put anything in any place."""
    label = str(document.get("active_manifest") or "")
    active = _fields(_fields(document.get("manifests")).get(label))
    data = {str(a.get("label")): _fields(a.get("data")) for a in _rows(active.get("assertions"))}
    results = _fields(_fields(document.get("validation_results")).get("activeManifest"))
    problems = tuple(str(p.get("code")) for p in _rows(results.get("failure")))
    broken = tuple(code for code in problems if code not in _UNTRUSTED)
    held = {str(p.get("code")) for p in _rows(results.get("success"))}
    state = document.get("validation_state")
    info = next(iter(_rows(active.get("claim_generator_info"))), {})
    issued = _fields(active.get("signature_info"))
    actions = next((v for k, v in data.items() if k.startswith("c2pa.actions")), {})
    return Manifest(
        intact=state in ("Valid", "Trusted") and not broken,
        trusted=held >= _TRUSTED,
        problems=problems,
        label=label,
        generator=f"{info.get('name', '')} {info.get('version', '')}".strip(),
        signer=", ".join(str(issued[k]) for k in ("issuer", "common_name") if issued.get(k)),
        actions=tuple(
            (str(a.get("action")), _text(a.get("digitalSourceType")))
            for a in _rows(actions.get("actions"))
        ),
        claim=data.get(_CLAIM, {}),
        mark_id=_bound_id(data.get("c2pa.soft-binding", {})),
    )


def _fields(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _rows(value: object) -> list[Mapping[str, Any]]:
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _bound_id(binding: Mapping[str, Any]) -> str | None:
    blocks = _rows(binding.get("blocks"))
    if binding.get("alg") != SOFT_BINDING or not blocks:
        return None
    return _text(blocks[0].get("value"))
