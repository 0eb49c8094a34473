"""Everything verified: each record opened, each set compared, the log from its first entry."""

from __future__ import annotations

from datetime import date

from visagist.errors import GalleryDamagedError, InputError
from visagist.gallery.core import Core
from visagist.gallery.ledger import Ledger, Tally, chained
from visagist.gallery.payload import entry_from_bytes
from visagist.gallery.store import Kind
from visagist.gallery.types import AuditEntry, AuditReport

__all__ = ["audit"]


def audit(core: Core, *, anchor: str | None = None, today: date | None = None) -> AuditReport:
    """Verify a gallery and say what is due.

    Args:
        core: the gallery.
        anchor: ``SEQUENCE:HASH`` that an earlier audit gave and that was kept elsewhere.
        today: for what has expired.

    Raises:
        GalleryDamagedError: something is not as it was written with the key, or the gallery is an
            older copy than the anchor.
        InputError: the anchor has another form.
    """
    day = today or date.today()
    sequence, hexadecimal = _parsed(anchor) if anchor is not None else (0, bytes(32).hex())
    with core.store.reading():
        core.store.check()
        ledger = Ledger.opened(core.vault, *core.store.head())
        for kind in Kind:
            found = Tally()
            for record in core.store.records(kind):
                core.vault.open(record)
                found = found.plus(core.vault.mark(record))
            ledger.compare(kind, found, core.store.place)
        entries, tips = _log(core)
        if (len(entries), tips[-1]) != (ledger.sequence, ledger.tip):
            raise _changed_log(core, len(entries))
        if sequence >= len(tips) or tips[sequence].hex() != hexadecimal:
            raise GalleryDamagedError(
                f"{core.store.place} does not hold what the anchor {anchor} stands for: it is an "
                f"older copy, or another gallery (its log ends at {ledger.sequence})"
            )
        people = core.everybody()
    return AuditReport(
        entries=tuple(entries),
        anchor=ledger.anchor,
        model_id=ledger.model,
        people=ledger.sets[Kind.PERSON].count,
        templates=ledger.sets[Kind.TEMPLATE].count,
        crops=ledger.sets[Kind.CROP].count,
        expired=tuple(person for person in people if person.expired(day)),
        outdated=tuple(person for person in people if not person.templates),
        endless=sum(person.retain_until is None for person in people),
    )


def _log(core: Core) -> tuple[list[AuditEntry], list[bytes]]:
    """All entries, and the end of the chain after each, from the empty chain on."""
    entries: list[AuditEntry] = []
    tips = [bytes(32)]
    for entry in core.store.log():
        if entry.sequence != len(tips):
            raise _changed_log(core, len(tips))
        data = core.vault.open_numbered(entry.sealed, "log", entry.sequence)
        entries.append(entry_from_bytes(entry.sequence, data))
        tips.append(chained(tips[-1], entry))
    return entries, tips


def _parsed(anchor: str) -> tuple[int, str]:
    number, colon, digest = anchor.strip().partition(":")
    if not (colon and number.isascii() and number.isdigit() and len(digest) == 64):
        raise InputError(f"an anchor is SEQUENCE:HASH as `gallery audit` prints it, not {anchor!a}")
    return int(number), digest.lower()


def _changed_log(core: Core, near: int) -> GalleryDamagedError:
    return GalleryDamagedError(
        f"the audit log of {core.store.place} was changed near entry {near}; restore a backup"
    )
