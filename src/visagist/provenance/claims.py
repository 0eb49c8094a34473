"""What a picture's marks say about how it was made."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

from visagist.errors import InputError

__all__ = ["COMPOSITE", "GENERATED", "Claim", "Kind", "sha256_hex", "statement_hash"]

Kind = Literal["generated", "swap", "makeup"]

GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's name for pictures that a trained network made."""
COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC's name for pictures of which a trained network made a part."""

_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What is said about a picture; nothing in it may name a person.

    Attributes:
        kind: what was done: the whole picture generated, a face swapped, makeup put on.
        model_id: which network did it, as in the model's folder.
        source_sha256: SHA-256 of the file of each picture whose face was used, as hexadecimal
            digits; one may be given as a string.
        consent_sha256: :func:`statement_hash` of the statement of consent; the words stay out.
        title: a title to show, or None for the file's name.
    """

    kind: Kind
    model_id: str
    source_sha256: str | tuple[str, ...] | None = None
    consent_sha256: str | None = None
    title: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("generated", "swap", "makeup"):
            raise InputError(f"kind must be generated, swap or makeup, got {self.kind!r}")
        if not self.model_id:
            raise InputError("a claim needs the model's id")
        consent = () if self.consent_sha256 is None else (self.consent_sha256,)
        for digest in (*self.sources, *consent):
            if not _HEX.fullmatch(digest):
                raise InputError(f"a SHA-256 is 64 lower-case hexadecimal digits, not {digest!a}")

    @property
    def sources(self) -> tuple[str, ...]:
        """The digests of the source pictures."""
        if self.source_sha256 is None:
            return ()
        return (self.source_sha256,) if isinstance(self.source_sha256, str) else self.source_sha256

    @property
    def source_type(self) -> str:
        """IPTC's digital source type as an address."""
        return GENERATED if self.kind == "generated" else COMPOSITE


def sha256_hex(data: bytes) -> str:
    """SHA-256 of bytes as hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def statement_hash(statement: str) -> str:
    """SHA-256 of a statement of consent, blanks at its ends and runs of them made equal.

    Raises:
        InputError: the statement is empty.
    """
    words = " ".join(statement.split())
    if not words:
        raise InputError("the statement of consent is empty; say who agreed to what, and when")
    return sha256_hex(words.encode())
