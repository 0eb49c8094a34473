"""What a source of pictures is: a name, terms, and a lazy list of items that can be read later."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.sample import Origin
from visagist.corpus.task import SkippedItemError
from visagist.errors import PhotoError
from visagist.photo import Limits
from visagist.photo.files import read_bytes


@dataclass(frozen=True, slots=True)
class GivenLabels:
    """Labels that a set brings with a picture, in photo pixels; None where it has none.

    Attributes:
        mesh: (478, 3) float32.
        box: x0, y0, x1, y1.
        points5: (5, 2) float32, eyes, nose tip, mouth corners; image left first.
        parts: (H, W) uint8 label map of :class:`~visagist.face.parts.Part`; its size may differ
            from the photo's, it then covers the same view.
    """

    mesh: NDArray[np.float32] | None = None
    box: tuple[float, float, float, float] | None = None
    points5: NDArray[np.float32] | None = None
    parts: NDArray[np.uint8] | None = None


class LabelReference(Protocol):
    """Where the labels of one picture are: small, picklable, read by the worker on demand."""

    def load(self) -> GivenLabels:
        """Read them.

        Raises:
            SkippedItemError: they cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class SourceItem:
    """One picture of a source: where its bytes are and what is known about it.

    An item is light, so that a million fit in memory, and picklable. An item with a ``problem``
    stands for something that could not be listed or that the recipe leaves out: reading it raises,
    which costs one line of a build's report.

    Attributes:
        origin: source, name, identity, licence and the rest.
        root: folder of the source.
        path: file below ``root`` that holds the bytes: the picture or a tar archive.
        offset: first byte of the picture in that file.
        length: number of bytes; None means up to the end.
        given: labels that come with the set, or None.
        facts: small further facts: author, class, the partner in a pair.
        problem: reason (one word) and sentence why the item yields nothing, or None.
    """

    origin: Origin
    root: str
    path: str
    offset: int = 0
    length: int | None = None
    given: LabelReference | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    problem: tuple[str, str] | None = None

    @property
    def name(self) -> str:
        """The picture's name: a relative POSIX path, unique in its source."""
        return self.origin.item

    @property
    def file(self) -> Path:
        """The file that holds the bytes."""
        return Path(self.root, self.path)

    def read(self, limits: Limits | None = None) -> bytes:
        """The bytes of the picture file, not decoded.

        Raises:
            SkippedItemError: it is unreadable, larger than ``limits.max_bytes``, or has a problem.
        """
        if self.problem is not None:
            raise SkippedItemError(*self.problem)
        most = (limits or Limits()).max_bytes
        if self.length is None:
            try:
                return read_bytes(self.file, max_bytes=most)
            except PhotoError as error:
                raise SkippedItemError("unreadable", printable(str(error))) from error
        if self.length > most:
            raise SkippedItemError(
                "unreadable", f"{self.name} has {self.length} bytes; the limit is {most}"
            )
        return self._read_member(self.length)

    def _read_member(self, length: int) -> bytes:
        try:
            with self.file.open("rb") as stream:
                stream.seek(self.offset)
                data = stream.read(length)
        except OSError as error:
            detail = f"{printable(str(self.file))}: {error.strerror}"
            raise SkippedItemError("unreadable", detail) from error
        if len(data) < length:
            raise SkippedItemError(
                "unreadable",
                f"{printable(str(self.file))} ends inside {self.name}: copy the archive again",
            )
        return data

    def labels(self) -> GivenLabels | None:
        """The labels that came with the picture, None where there are none.

        Raises:
            SkippedItemError: they cannot be read.
        """
        return None if self.given is None else self.given.load()

    def left_out(self, reason: str, detail: str) -> SourceItem:
        """The same item with a problem: it will cost one line of the report."""
        return replace(self, problem=(reason, detail))


class Source(Protocol):
    """A set of pictures on disk, opened; see :func:`visagist.corpus.sources.open_source`."""

    @property
    def name(self) -> str:
        """Unique in a corpus; the first part of every identity."""
        ...

    @property
    def layout(self) -> str:
        """Name of the layout in the registry."""
        ...

    @property
    def root(self) -> Path:
        """Folder or file on this machine; every machine of a cluster must see it."""
        ...

    @property
    def licence(self) -> str:
        """What holds for pictures that say nothing else."""
        ...

    def items(self) -> Iterator[SourceItem]:
        """Every item in a fixed order, listed lazily; names are unique.

        Raises:
            DataError: the source holds no picture, or a file it cannot do without is missing.
        """
        ...

    def describe(self) -> dict[str, object]:
        """Name, layout and rules as JSON, without the place on this machine."""
        ...


_LOOKS_ESCAPED = re.compile(r"%(?=[0-9A-Fa-f]{2})")


def printable(path: str) -> str:
    """A path as text that any file can hold: bytes that are not UTF-8 become ``%XX``.

    Two different paths never become the same text: a ``%`` that already looks like an escape is
    escaped itself.
    """
    escaped = _LOOKS_ESCAPED.sub("%25", path)
    try:
        escaped.encode()
    except UnicodeEncodeError:
        # surrogateescape maps byte b to U+DC00 + b; other lone surrogates exist on Windows only
        return "".join(_escape(c) if "\ud800" <= c <= "\udfff" else c for c in escaped)
    return escaped


def _escape(lone: str) -> str:
    if "\udc80" <= lone <= "\udcff":
        return f"%{ord(lone) - 0xDC00:02X}"
    return "".join(f"%{byte:02X}" for byte in lone.encode(errors="surrogatepass"))


def posix(path: str) -> str:
    """A relative path of this system with forward slashes, printable."""
    return printable(path.replace(os.sep, "/") if os.sep != "/" else path)
