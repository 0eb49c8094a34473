"""What a gallery holds, in the open: for the person it is about, or for another program."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from visagist.errors import GalleryWriteError
from visagist.gallery.core import Core, Entry
from visagist.gallery.payload import TemplateFields, crop_from_bytes
from visagist.gallery.store import Kind
from visagist.gallery.types import Person
from visagist.photo import Photo

__all__ = ["export", "write_export"]


def export(
    core: Core, *, name: str | None = None, vectors: bool = True, crops: bool = False
) -> Iterator[dict[str, Any]]:
    """Everybody, or one person, as JSON documents; the log keeps that it was done.

    Args:
        core: the gallery.
        name: of the one person.
        vectors: whether with the vectors, which are biometric data.
        crops: whether with the kept pictures, as PNG in base64.

    Raises:
        UnknownPersonError: there is nobody of this name.
    """
    with core.lock:
        core.refresh()
        people = core.everybody() if name is None else [core.whole_person(core.lookup(name).id)]
        ids = () if name is None else (bytes.fromhex(people[0].id),)
        details = {"people": len(people), "vectors": vectors, "crops": crops}
        core.change(lambda _: Entry("export", ids, details))
    for person in people:
        with core.lock:
            yield _document(core, person, vectors=vectors, crops=crops)


def write_export(
    path: Path, documents: Iterable[dict[str, Any]], *, overwrite: bool = False
) -> int:
    """Write documents as JSON Lines, whole or not at all, readable by the owner only.

    They are written as they come, since a large gallery's do not fit into memory.

    Returns:
        How many there were.

    Raises:
        GalleryWriteError: the file exists, or cannot be written.
    """
    if not overwrite and os.path.lexists(path):
        raise GalleryWriteError(f"{path} exists already; give --overwrite or another name")
    temporary = path.parent / f".visagist-{secrets.token_hex(8)}.tmp"
    count = 0
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            for document in documents:
                file.write(json.dumps(document, ensure_ascii=False) + "\n")
                count += 1
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise GalleryWriteError(f"{path} cannot be written ({reason})") from error
    finally:
        with suppress(OSError, ValueError):
            temporary.unlink(missing_ok=True)
    return count


def _document(core: Core, person: Person, *, vectors: bool, crops: bool) -> dict[str, Any]:
    id = bytes.fromhex(person.id)
    templates = []
    for record in core.store.records(Kind.TEMPLATE, person=id):
        if record.model != core.ledger.model:
            continue
        fields = TemplateFields.from_bytes(core.vault.open(record), core.ledger.dimension)
        template: dict[str, Any] = {
            "model_id": record.model,
            "enrolled": fields.enrolled.isoformat(),
            "source": fields.source,
        }
        if vectors:
            template["vector"] = [float(value) for value in fields.vector]
        templates.append(template)
    document: dict[str, Any] = {
        "id": person.id,
        "name": person.name,
        "consent": person.consent,
        "retain_until": person.retain_until.isoformat() if person.retain_until else None,
        "enrolled": person.enrolled.isoformat(),
        "templates": templates,
    }
    if crops:
        document["crops"] = [
            base64.b64encode(
                Photo.from_array(crop_from_bytes(core.vault.open(r)).pixels).to_bytes("PNG")
            ).decode()
            for r in core.store.records(Kind.CROP, person=id)
        ]
    return document
