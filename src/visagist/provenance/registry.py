"""A local list of the marks made here: which id, what, when. It only grows, and holds no pictures.

One JSON object a line. A file whose metadata are gone still has its watermark; the id in it leads
here, and from here to what the manifest said. Lines are appended in one write each, so that several
programs can write at once; a line torn by a power cut is skipped, and the next one starts anew.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from visagist.errors import RegistryError
from visagist.photo.files import append_line
from visagist.provenance.claims import Claim

__all__ = ["FILE", "ID_BITS", "Entry", "Registry", "content_id"]

FILE = "registry.jsonl"
ID_BITS = 40
"""Ids are random: of 100,000 pictures everywhere, two share one with probability 0.005."""

_MAX_LINE = 64 * 1024


def content_id(pixels: bytes, model_id: str) -> str:
    """The id of a picture that is its own name: the same pixels of one model, the same id."""
    return hashlib.sha256(model_id.encode() + b"\0" + pixels).hexdigest()[: ID_BITS // 4]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One marked picture.

    Attributes:
        id: in manifest and watermark, as hexadecimal digits.
        made: when, UTC, ISO 8601.
        kind, model_id, source_sha256, consent_sha256: of the claim.
        target_sha256: of the file that was edited, or None.
        width, height: pixels.
    """

    id: str
    made: str
    kind: str
    model_id: str
    source_sha256: tuple[str, ...]
    consent_sha256: str | None
    target_sha256: str | None
    width: int
    height: int

    @classmethod
    def of(
        cls, mark_id: str, claim: Claim, *, target_sha256: str | None, width: int, height: int
    ) -> Entry:
        """An entry made now."""
        return cls(
            id=mark_id,
            made=datetime.now(UTC).isoformat(timespec="seconds"),
            kind=claim.kind,
            model_id=claim.model_id,
            source_sha256=claim.sources,
            consent_sha256=claim.consent_sha256,
            target_sha256=target_sha256,
            width=width,
            height=height,
        )


@dataclass(frozen=True, slots=True)
class Registry:
    """The list in ``path``, which need not exist."""

    path: Path

    def add(self, entry: Entry) -> None:
        """Append an entry and flush it to the disk.

        Raises:
            RegistryError: it cannot be written.
        """
        line = json.dumps(asdict(entry), separators=(",", ":"))
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            append_line(self.path, line, mode=0o600)
        except OSError as error:
            raise RegistryError(
                f"the list of marks {self.path} cannot be written ({error.strerror}); free some "
                "space, or set VISAGIST_HOME to a folder that can be written"
            ) from error

    def find(self, mark_id: str) -> list[Entry]:
        """Everything listed under an id, oldest first.

        Raises:
            RegistryError: the list cannot be read.
        """
        return [
            entry
            for entry in self._entries(mark_id.encode(errors="replace"))
            if entry.id == mark_id
        ]

    def fresh_id(self) -> str:
        """A random id that the list does not hold.

        Raises:
            RegistryError: the list cannot be read.
        """
        while self.find(mark_id := secrets.token_hex(ID_BITS // 8)):
            pass
        return mark_id

    def __iter__(self) -> Iterator[Entry]:
        return self._entries(b"")

    def _entries(self, within: bytes) -> Iterator[Entry]:
        """Entries whose lines hold some bytes; only those are parsed, for a list may be long."""
        try:
            with self.path.open("rb") as file:
                for line in file:
                    entry = _parsed(line) if within in line else None
                    if entry is not None:
                        yield entry
        except FileNotFoundError:
            return
        except OSError as error:
            raise RegistryError(
                f"the list of marks {self.path} cannot be read ({error.strerror})"
            ) from error


def _parsed(line: bytes) -> Entry | None:
    """An entry, or None for a torn or foreign line."""
    if len(line) > _MAX_LINE:
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None
    if not isinstance(found, Mapping) or not isinstance(found.get("id"), str):
        return None
    try:
        entry = Entry(**found)
        sources = tuple(str(s) for s in entry.source_sha256)
    except TypeError:  # fields of another version
        return None
    return Entry(**(asdict(entry) | {"source_sha256": sources}))
