"""From one model to the next: kept pictures are embedded again, people without any are named.

While it runs, and when it is broken off, the gallery goes on with the model it has. New vectors lie
beside the old ones, one transaction a person; the last transaction makes the gallery one of the new
model and deletes the old vectors of those who have new ones. The same call goes on where an earlier
one stopped.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace

from visagist.errors import InputError, VisagistError
from visagist.gallery.core import Core, Entry, unit_vector
from visagist.gallery.ledger import Draft
from visagist.gallery.payload import TemplateFields, as_face, crop_from_bytes
from visagist.gallery.store import ID_BYTES, Kind, Record
from visagist.gallery.types import Embedder, Migration, Person

__all__ = ["migrate"]


def migrate(
    core: Core,
    embedder: Embedder,
    *,
    partial: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Migration:
    """Embed the kept pictures with another model, and make the gallery one of that model.

    Args:
        core: the gallery.
        embedder: the new model.
        partial: go over to the new model even though some people have no picture to embed; they
            stay stored, are not matched, and can be enrolled again. Otherwise the gallery stays
            with its model as long as there are such people.
        progress: called with how many people are done and how many there are.

    Raises:
        InputError: it is the model that the gallery has.
        GalleryError: the gallery cannot be read or written.
    """
    source, target = core.ledger.model, embedder.model_id
    if source == target:
        raise InputError(f"{core.store.place} already holds vectors of {target}")
    with core.lock:
        core.refresh()
        people = core.everybody()
    failed: list[tuple[str, str]] = []
    for done, person in enumerate(people):
        with core.lock:
            failed += [(person.name, why) for why in _embed_again(core, embedder, person)]
        if progress is not None:
            progress(done + 1, len(people))
    with core.lock:
        core.refresh()
        ready = {owner for owner, model in core.store.owners(Kind.TEMPLATE) if model == target}
        left = tuple(p for p in core.everybody() if bytes.fromhex(p.id) not in ready)
        switched = bool(ready) and (partial or not left)
        count = sum(model == target for _, model in core.store.owners(Kind.TEMPLATE))
        if switched:
            _switch(core, embedder, ready)
    return Migration(source, target, count, len(ready), left, tuple(failed), switched)


def _embed_again(core: Core, embedder: Embedder, person: Person) -> list[str]:
    """New templates for the kept pictures of a person that have none yet; reasons of failures."""
    id = bytes.fromhex(person.id)
    reasons: list[str] = []

    def plan(draft: Draft) -> Entry | None:
        reasons.clear()
        new = 0
        for record in _without(core, embedder, id):
            old = TemplateFields.from_bytes(core.vault.open(record), core.ledger.dimension)
            crop = core.store.get(Kind.CROP, old.crop)
            if crop is None:
                reasons.append("the kept picture is not there")
                continue
            try:
                kept = crop_from_bytes(core.vault.open(crop))
                vector = embedder.embed(kept.pixels, as_face(kept))
                vector = unit_vector(vector, embedder.dimension)
            except VisagistError as error:
                reasons.append(str(error))
                continue
            data = replace(old, vector=vector).to_bytes()
            draft.put(
                core.vault.seal(
                    data,
                    Kind.TEMPLATE,
                    secrets.token_bytes(ID_BYTES),
                    id,
                    model=embedder.model_id,
                    tag=core.template_tag(id, embedder.model_id, old.picture),
                    vector=core.turned(vector),
                )
            )
            new += 1
        return Entry("migrate", [id], {"to": embedder.model_id, "templates": new}) if new else None

    core.change(plan)
    return reasons


def _without(core: Core, embedder: Embedder, person: bytes) -> Iterator[Record]:
    """Templates of the gallery's model whose kept picture has no template of the new one."""
    theirs = list(core.store.records(Kind.TEMPLATE, person=person))
    have = {
        TemplateFields.from_bytes(core.vault.open(r), embedder.dimension).crop
        for r in theirs
        if r.model == embedder.model_id
    }
    for record in theirs:
        if record.model == core.ledger.model:
            data = core.vault.open(record)
            crop = TemplateFields.from_bytes(data, core.ledger.dimension).crop
            if crop and crop not in have:
                yield record


def _switch(core: Core, embedder: Embedder, ready: set[bytes]) -> None:
    source = core.ledger.model

    def plan(draft: Draft) -> Entry:
        old = (
            record
            for record in core.store.records(Kind.TEMPLATE)
            if record.model != embedder.model_id and record.person in ready
        )
        counts = draft.delete(old)
        details = {
            "from": source,
            "to": embedder.model_id,
            "people": len(ready),
            "deleted": counts[Kind.TEMPLATE],
        }
        return Entry("switch", (), details)

    core.change(plan, model=embedder.model_id, dimension=embedder.dimension)
    core.store.purge()
