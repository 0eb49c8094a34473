"""LFW and CFP as their authors publish them: folders of photographs and lists of pairs.

Nothing is downloaded. The same sets also go about packed as one file of crops
(:mod:`~visagist.recognition.evaluation.packed`); templates of several pictures are in
:mod:`~visagist.recognition.evaluation.ijb`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from visagist.errors import DataError

__all__ = ["Pair", "read_cfp", "read_lfw", "read_lines"]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures to compare.

    Attributes:
        first: a file, or its bytes.
        second: the other.
        same: they show one person.
        fold: 0, 1, ...; the threshold of a fold is chosen on the others.
    """

    first: Path | bytes
    second: Path | bytes
    same: bool
    fold: int


def read_lfw(pairs: Path, images: Path) -> list[Pair]:
    """LFW's ``pairs.txt`` (view 2) over ``IMAGES/NAME/NAME_0001.jpg``.

    The first line holds the number of folds and of pairs of each kind in a fold (or that number
    alone, for one fold); a fold lists its pairs of one person, ``name i j``, then its pairs of two,
    ``name i name j``.

    Raises:
        DataError: the file cannot be read or a line is wrong (it is named).
    """
    lines = read_lines(pairs)
    head = lines[0].split() if lines else []
    if not 1 <= len(head) <= 2 or not all(word.isdigit() for word in head):
        raise DataError(f"{pairs}: the first line is not the number of folds and of pairs")
    folds, each = (1, int(head[0])) if len(head) == 1 else (int(head[0]), int(head[1]))
    if len(lines) - 1 != folds * each * 2:
        raise DataError(f"{pairs}: {len(lines) - 1} pairs instead of {folds * each * 2}")
    return [
        _lfw_pair(f"{pairs}:{number + 2}", line, images, number // (2 * each))
        for number, line in enumerate(lines[1:])
    ]


def _lfw_pair(where: str, line: str, images: Path, fold: int) -> Pair:
    words = line.split("\t") if "\t" in line else line.split()
    if len(words) == 3:
        one, i, j = words
        other = one
    elif len(words) == 4:
        one, i, other, j = words
    else:
        raise DataError(f"{where}: not a pair: {line!r}")
    if not (i.isdigit() and j.isdigit()) or not (_plain(one) and _plain(other)):
        raise DataError(f"{where}: not a pair: {line!r}")
    return Pair(
        images / one / f"{one}_{int(i):04d}.jpg",
        images / other / f"{other}_{int(j):04d}.jpg",
        len(words) == 3,
        fold,
    )


def read_cfp(root: Path, protocol: str = "FP") -> list[Pair]:
    """CFP: ``Protocol/Pair_list_F.txt``, ``Pair_list_P.txt`` and ``Split/FP/01..10``.

    Args:
        root: the folder with ``Protocol`` and ``Data``.
        protocol: FP (frontal against profile) or FF.

    Raises:
        DataError: a list cannot be read or names what is not there.
    """
    frontal = _cfp_images(root, "Pair_list_F.txt")
    second = frontal if protocol == "FF" else _cfp_images(root, "Pair_list_P.txt")
    folder = root / "Protocol" / "Split" / protocol
    folds = sorted(p for p in folder.glob("*") if p.is_dir()) if folder.is_dir() else []
    if not folds:
        raise DataError(f"{folder}: no folds; give the folder that holds Protocol and Data")
    pairs = []
    for fold, split in enumerate(folds):
        for name, same in (("same.txt", True), ("diff.txt", False)):
            for line in read_lines(split / name):
                i, _, j = line.partition(",")
                try:
                    pairs.append(Pair(frontal[int(i)], second[int(j)], same, fold))
                except (ValueError, KeyError) as error:
                    raise DataError(f"{split / name}: no such pair: {line!r}") from error
    return pairs


def _cfp_images(root: Path, name: str) -> dict[int, Path]:
    """Number -> picture; the list's paths start at ``Protocol``."""
    images: dict[int, Path] = {}
    for line in read_lines(root / "Protocol" / name):
        number, _, path = line.partition(" ")
        parts = path.strip().replace("\\", "/").split("/")
        if not number.isdigit() or parts[0] != ".." or not all(map(_plain, parts[1:])):
            raise DataError(f"{root / 'Protocol' / name}: not a picture: {line!r}")
        images[int(number)] = root.joinpath(*parts[1:])
    return images


def read_lines(path: Path) -> list[str]:
    """The lines of a list that are not empty."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _plain(part: str) -> bool:
    """A part of a path that stays where it is."""
    return part not in {"", ".", ".."} and not set(part) & set("/\\:\0")
