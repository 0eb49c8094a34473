"""WebDataset shards: pictures inside .tar files, listed with their offsets, read without unpacking.

The members of one sample share the key, the name up to its first dot, and lie next to each other::

    KEY.jpg             the picture (any suffix of a picture)
    KEY.json            optional: identity, licence, split, generator, uses; others are ignored.
                        Fields may also lie under "origin", as in this project's own shards
    KEY.cls, KEY.txt    optional: class number and caption, kept as facts
    KEY.mesh.npy        optional: (478, 3) mesh in pixels of the picture

The path is one .tar or a folder of them. A shard that breaks off gives what lies before the break
and one line of the report, and so does the sample at the break, whose metadata may be lost with its
terms. A compressed shard cannot be read in place and is left out.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from visagist.corpus.sample import SPLITS, USES
from visagist.corpus.shards import MESH, decode_array
from visagist.corpus.sources.layout import Layout, Picture
from visagist.corpus.sources.source import GivenLabels, posix, printable
from visagist.corpus.sources.terms import Terms
from visagist.corpus.sources.walk import is_picture, walk_files
from visagist.corpus.task import SkippedItemError
from visagist.face.topology import N_POINTS

TERMS = Terms(
    title="WebDataset shards",
    page="https://github.com/webdataset/webdataset",
    licence="",
    commercial="ask",
    note="Whatever the maker of the shards says; the layout itself carries no terms.",
    identity="`identity` in a sample's JSON; without it every picture counts as its own person.",
    provenance="Licence, split, generator and uses in a sample's JSON; class and caption as facts.",
)
_MAX_METADATA = 1 << 20  # bytes of KEY.json, KEY.cls and KEY.txt
_MESH_BYTES = 1 << 16  # (478, 3) in float64 and a header
_END = bytes(tarfile.BLOCKSIZE)


@dataclass(frozen=True, slots=True)
class MeshMember:
    """The mesh of one sample.

    Attributes:
        path: the tar file.
        offset: first byte of the ``.npy`` file.
        length: its bytes.
    """

    path: str
    offset: int
    length: int

    def load(self) -> GivenLabels:
        """Read it.

        Raises:
            SkippedItemError: unreadable or not a mesh.
        """
        try:
            with Path(self.path).open("rb") as stream:
                stream.seek(self.offset)
                mesh = decode_array(stream.read(self.length)).astype(np.float32)
        except (OSError, ValueError, EOFError, TypeError) as error:
            raise SkippedItemError("labels", f"the mesh cannot be read ({error})") from error
        if mesh.shape != (N_POINTS, 3) or not np.isfinite(mesh).all():
            raise SkippedItemError("labels", f"not a mesh: {mesh.shape}")
        return GivenLabels(mesh=mesh)


@dataclass(slots=True)
class _Sample:
    """Members of one key so far."""

    key: str
    pictures: list[Picture] = field(default_factory=list)
    about: dict[str, object] = field(default_factory=dict)
    facts: dict[str, object] = field(default_factory=dict)
    mesh: MeshMember | None = None
    problem: tuple[str, str] | None = None


def recognise(root: Path, names: Sequence[str]) -> str:
    """A .tar file, or a folder that holds one."""
    if root.is_file():
        return root.name if _is_shard(root.name) else ""
    return next((name for name in names if _is_shard(name)), "")


def read(root: Path, folders: Sequence[str] = ()) -> Iterator[Picture]:
    """Every picture of every shard, shard by shard in the order of their names."""
    if root.is_file():
        yield from _read_shard(root, root.name, root.name)
        return
    for shard in walk_files(root, folders, _is_shard):
        if shard.problem is not None:
            yield shard
        else:
            yield from _read_shard(root / shard.path, shard.path, shard.name)


def _is_shard(name: str) -> bool:
    return name.lower().endswith((".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.bz2", ".tar.xz"))


def _read_shard(file: Path, path: str, name: str) -> Iterator[Picture]:
    if not name.lower().endswith(".tar"):
        detail = f"{name} is compressed and cannot be read in place: unpack it to a .tar"
        yield Picture(name, path, problem=("unreadable", detail))
        return
    sample: _Sample | None = None
    names: Counter[str] = Counter()
    broken = ""
    try:
        with file.open("rb") as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            size = file.stat().st_size
            while (member := tar.next()) is not None:
                # or each of thousands would be kept; typeshed does not know the list
                tar.members = []  # type: ignore[attr-defined]
                if not member.isreg():
                    continue
                if member.offset_data + member.size > size:
                    broken = f"ends inside {printable(member.name)}"
                    break
                key, _, extension = _split(member.name)
                if sample is None or key != sample.key:
                    if sample is not None:
                        yield from _finished(sample, name, names)
                    sample = _Sample(key)
                _add(sample, member, extension, stream, path=path, shard=name, file=file)
            broken = broken or _ending(stream, tar.offset, size)
    except (tarfile.TarError, OSError, ValueError, UnicodeError) as error:
        broken = f"cannot be read to its end ({error})"
    if sample is not None:
        if broken and not sample.about:
            detail = f"{name} breaks off, and {printable(sample.key)}.json may lie behind the break"
            sample.problem = sample.problem or ("unreadable", detail)
        yield from _finished(sample, name, names)
    if broken:
        yield Picture(f"{name}#end", path, problem=("unreadable", f"{name} {broken}"))


def _ending(stream: io.BufferedIOBase, offset: int, size: int) -> str:
    """What is wrong at the place where the list of members stopped.

    tarfile ends the list quietly at a damaged header and where the file is cut between two
    members; only a block of zeros is a proper end.
    """
    stream.seek(offset)
    rest = stream.read(tarfile.BLOCKSIZE)
    if rest == _END:
        return ""
    if len(rest) < tarfile.BLOCKSIZE:
        return "has no end mark: it was cut off"
    return f"has a damaged header at byte {offset} of {size}; what lies behind it is lost"


def _split(name: str) -> tuple[str, str, str]:
    """Key, dot and extension: the key ends at the first dot of the last part of the name."""
    folder, slash, base = name.rpartition("/")
    stem, dot, extension = base.partition(".")
    return folder + slash + stem, dot, extension.lower()


def _add(
    sample: _Sample,
    member: tarfile.TarInfo,
    extension: str,
    stream: io.BufferedIOBase,
    *,
    path: str,
    shard: str,
    file: Path,
) -> None:
    """Take one member into its sample; unknown extensions are passed over."""
    if extension == MESH and member.size <= _MESH_BYTES:
        sample.mesh = MeshMember(str(file), member.offset_data, member.size)
    elif "." not in extension and is_picture(f"x.{extension}"):
        name = f"{shard}/{posix(member.name)}"
        place = Picture(name, path, offset=member.offset_data, length=member.size)
        sample.pictures.append(place)
    elif extension in {"json", "cls", "txt"}:
        if member.size > _MAX_METADATA:
            sample.problem = ("metadata", f"{printable(member.name)} is larger than 1 MiB")
            return
        stream.seek(member.offset_data)
        data = stream.read(member.size)
        try:
            _take(sample, extension, data.decode("utf-8"))
        except (UnicodeDecodeError, ValueError, TypeError) as error:
            sample.problem = ("metadata", f"{printable(member.name)} cannot be read ({error})")


def _take(sample: _Sample, extension: str, text: str) -> None:
    if extension == "cls":
        sample.facts["class"] = int(text)
    elif extension == "txt":
        sample.facts["caption"] = text.strip()
    else:
        about = json.loads(text)
        if not isinstance(about, dict):
            raise ValueError("not an object")
        origin = about.get("origin")
        sample.about = {**about, **origin} if isinstance(origin, dict) else about


def _finished(sample: _Sample, shard: str, names: Counter[str]) -> Iterator[Picture]:
    """The pictures of a sample; one whose metadata is broken could be used against its terms.

    ``names`` counts those of the shard so far: a second picture of one name is left out.
    """
    about, problem = sample.about, sample.problem
    split = _word(about, "split")
    if split and split not in SPLITS:
        detail = f"{shard}/{printable(sample.key)}: no split is called {split!r}"
        problem = problem or ("metadata", detail)
    listed = about.get("uses")
    uses = tuple(u for u in USES if u in listed) if isinstance(listed, list) else None
    for picture in sample.pictures:
        names[picture.name] += 1
        again = names[picture.name]
        twice = ("duplicate_name", f"{picture.name} comes again; the first one counts")
        yield replace(
            picture,
            name=picture.name if again == 1 else f"{picture.name}#{again}",
            identity=_word(about, "identity"),
            licence=_word(about, "licence") or _word(about, "license"),
            generator=_word(about, "generator"),
            split=split,
            uses=uses,
            given=sample.mesh,
            facts=sample.facts,
            problem=problem if again == 1 else twice,
        )


def _word(about: Mapping[str, object], key: str) -> str:
    """A text or a number of the metadata as text; anything else counts as absent."""
    value = about.get(key)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


LAYOUT = Layout("webdataset", TERMS, recognise, read)
