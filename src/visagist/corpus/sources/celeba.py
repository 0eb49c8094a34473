"""CelebA: ``img_align_celeba/000001.jpg`` with ``identity_CelebA.txt`` and the published parts.

The lists may lie beside the pictures or in ``Anno`` and ``Eval``, the pictures in ``Img``, as in
the published archive; ``img_celeba`` holds the photos before alignment. Identities are given out by
the authors on request, and without them one person would end up in several splits, so a tree
without the list is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from visagist.corpus.sources.layout import Layout, Picture
from visagist.corpus.sources.source import printable
from visagist.corpus.sources.tables import read_words
from visagist.corpus.sources.terms import Terms
from visagist.corpus.sources.walk import walk_pictures
from visagist.errors import DataError

IDENTITIES, PARTITION = "identity_CelebA.txt", "list_eval_partition.txt"
TERMS = Terms(
    title="CelebA",
    page="https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
    licence="CelebA agreement (non-commercial research)",
    commercial="no",
    note="Non-commercial research only; neither pictures nor anything derived from them may be "
    "sold or exploited, and no part may be passed on. The authors do not own the pictures.",
    identity="A number for each person, in a list that the authors give out on request.",
    provenance="None a picture: collected from the web.",
)
_PICTURES = ("img_align_celeba", "img_celeba", "Img/img_align_celeba", "Img/img_celeba")
_PLACES = ("", "Anno", "Eval", "..", "../Anno", "../Eval", "../..")
_SPLITS = ("train", "validation", "test")
# The published parts are ranges of picture numbers.
_LAST_TRAIN, _LAST_VALIDATION = 162_770, 182_637


def recognise(root: Path, names: Sequence[str]) -> str:
    """One of the set's folders of pictures; CelebA-HQ comes with the same lists."""
    return next((p for p in _PICTURES if p.split("/")[0] in names and (root / p).is_dir()), "")


def read(root: Path, folders: Sequence[str] = ()) -> Iterator[Picture]:
    """Every picture with its person and its part.

    Raises:
        DataError: the pictures or the identities are missing, or a list has a broken line.
    """
    chosen = folders or [next((name for name in _PICTURES if (root / name).is_dir()), "")]
    if chosen == [""]:
        raise DataError(f"{printable(str(root))}: no folder {' or '.join(_PICTURES)}")
    people, splits = read_identities(root), read_partition(root)
    for picture in walk_pictures(root, chosen):
        # some copies of the set hold PNG files, the lists always say .jpg
        name = f"{Path(picture.name).stem}.jpg"
        if picture.problem is None and name not in people:
            where = f"{picture.name} is not in {IDENTITIES}"
            yield replace(picture, problem=("no_identity", where))
        else:
            yield replace(picture, identity=people.get(name, ""), split=split_of(name, splits))


def read_identities(root: Path) -> Mapping[str, str]:
    """Person by file name.

    Raises:
        DataError: the list is missing or has a broken line.
    """
    path = _find(root, IDENTITIES)
    missing = (
        "nobody is known, and one person would be in several splits. The authors give it out on "
        "request; to read the pictures without it, write folder:PATH"
    )
    return {words[0]: words[1] for _, words in read_words(path, columns=2, without=missing)}


def read_partition(root: Path) -> Mapping[str, str]:
    """Published part by file name; empty without the list, and then the ranges count.

    Raises:
        DataError: the list has a broken line.
    """
    path = _find(root, PARTITION)
    if not path.is_file():
        return {}
    splits = {}
    for number, (name, part) in read_words(path, columns=2, without="the parts are not known"):
        if part not in {"0", "1", "2"}:
            raise DataError(f"{printable(str(path))}, line {number}: part {part!r} is not 0, 1, 2")
        splits[name] = _SPLITS[int(part)]
    return splits


def split_of(name: str, splits: Mapping[str, str]) -> str:
    """The published part of a picture of CelebA, by the list or else by its number."""
    if name in splits:
        return splits[name]
    stem = Path(name).stem
    if not stem.isdecimal():
        return ""
    number = int(stem)
    return _SPLITS[(number > _LAST_TRAIN) + (number > _LAST_VALIDATION)]


def _find(root: Path, name: str) -> Path:
    return next((p for place in _PLACES if (p := root / place / name).is_file()), root / name)


LAYOUT = Layout("celeba", TERMS, recognise, read, people="celeba")
