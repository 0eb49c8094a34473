"""What a reader of a layout gives: how to recognise it, its terms, and its pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from visagist.corpus.sample import Kind
from visagist.corpus.sources.source import LabelReference
from visagist.corpus.sources.terms import Terms


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture as its layout describes it, before the rules of a recipe are applied.

    Attributes:
        name: relative POSIX path, unique in the source.
        path: the file that holds it, relative to the root, in this system's spelling.
        identity: the person inside the set, empty where it is not known.
        split: train, validation or test where the set publishes one that this corpus keeps.
        licence: this picture's own, empty for the set's.
        kind: empty for the source's.
        generator: what made it.
        uses: what it may be used for where that is less than its set allows; None for the set's.
        offset: first byte inside an archive.
        length: bytes inside an archive; None for a whole file.
        given: labels that come with it.
        facts: small further facts.
        problem: reason and sentence why it yields nothing.
    """

    name: str
    path: str
    identity: str = ""
    split: str = ""
    licence: str = ""
    kind: Kind | None = None
    generator: str = ""
    uses: tuple[str, ...] | None = None
    offset: int = 0
    length: int | None = None
    given: LabelReference | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    problem: tuple[str, str] | None = None


def missing(name: str, detail: str) -> Picture:
    """A line of the report for something that is no picture, such as an absent metadata file."""
    return Picture(name, name, problem=("metadata", detail))


@dataclass(frozen=True, slots=True)
class Layout:
    """A reader.

    Attributes:
        name: as in ``LAYOUT:PATH``.
        terms: where the set is had and under which terms.
        recognise: (root, names in the root, sorted; none for a file) -> the evidence that the path
            has this layout ("folder img_align_celeba"), or "".
        read: (root, folders) -> pictures, lazily, in a fixed order and with unique names;
            ``folders`` is empty for all.
        people: first part of identities, for sets whose people are the same in several layouts;
            empty for the name of the source.
    """

    name: str
    terms: Terms
    recognise: Callable[[Path, Sequence[str]], str]
    read: Callable[[Path, Sequence[str]], Iterator[Picture]]
    people: str = ""
