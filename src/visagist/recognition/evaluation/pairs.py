"""Verification on published pairs: ten-fold accuracy and TAR at FAR of one or more embedders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.errors import DataError, PhotoError
from visagist.face.find import find_faces
from visagist.face.types import Face
from visagist.photo import Photo
from visagist.recognition import rates
from visagist.recognition.evaluation.embedders import Embedder
from visagist.recognition.evaluation.figures import FARS, rounded, short
from visagist.recognition.evaluation.layouts import Pair, read_cfp, read_lfw
from visagist.recognition.evaluation.packed import read_bin

_SURROUND = 0.5
"""Sides of a crop that are added around it where no face is found in it as it is."""


def open_pairs(path: Path) -> list[Pair]:
    """A set of pairs: a ``.bin``, a folder with ``Protocol`` (CFP) or one with ``pairs.txt`` (LFW).

    LFW's people are folders beside ``pairs.txt``, or in a folder ``lfw`` beside it.

    Raises:
        DataError: it is none of them, or is damaged.
    """
    if path.suffix == ".bin":
        return read_bin(path)
    if (path / "Protocol").is_dir():
        return read_cfp(path)
    if (path / "pairs.txt").is_file():
        images = path / "lfw" if (path / "lfw").is_dir() else path
        return read_lfw(path / "pairs.txt", images)
    raise DataError(f"{path}: neither a .bin nor a folder with Protocol or pairs.txt")


def evaluate_pairs(
    pairs: Sequence[Pair],
    embedders: Sequence[Embedder],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Measure embedders on pairs of pictures; their faces are found as users do it.

    Args:
        pairs: from :func:`open_pairs`.
        embedders: with names of their own.
        progress: called with pairs done and in all.

    Returns:
        For each embedder ``accuracy``, ``std`` and TAR at FAR over all pairs (``None`` where
        there are too few); ``failures``: pairs with a picture that cannot be read or shows no face,
        which count as rejected.

    Raises:
        DataError: no pair could be compared.
    """
    scores = {e.name: np.full(len(pairs), -np.inf) for e in embedders}
    failures = 0
    for number, pair in enumerate(pairs):
        both = [_face(source) for source in (pair.first, pair.second)]
        if None in both:
            failures += 1
        else:
            for embedder in embedders:
                one, other = (embedder.embed(*shown)[None] for shown in both if shown is not None)
                scores[embedder.name][number] = embedder.compare(one, other)[0, 0]
        progress(number + 1, len(pairs))
    if failures == len(pairs):
        raise DataError("no pair could be compared: a picture of each is missing or without a face")
    same = np.array([pair.same for pair in pairs])
    folds = np.array([pair.fold for pair in pairs])
    return {
        "pairs": len(pairs),
        "failures": failures,
        "embedders": {name: _figures(values, same, folds) for name, values in scores.items()},
    }


def _face(source: Path | bytes) -> tuple[NDArray[np.uint8], Face] | None:
    """The largest face of a picture; a tight crop gets surroundings, which a detector wants."""
    try:
        pixels = Photo.open(source).pixels
    except PhotoError:
        return None
    for shown in (pixels, _surrounded(pixels)):
        if found := find_faces(shown):
            return shown, found[0]
    return None


def _surrounded(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    margins = [(round(_SURROUND * side), round(_SURROUND * side)) for side in pixels.shape[:2]]
    return np.pad(pixels, (*margins, (0, 0)), mode="edge")


def _figures(
    scores: NDArray[np.float64], same: NDArray[np.bool_], folds: NDArray[np.int64]
) -> dict[str, Any]:
    # below every other: a pair that could not be compared is rejected at any threshold
    floor = scores[np.isfinite(scores)].min() - 1
    result = rates.verification_accuracy(np.maximum(scores, floor), same, folds)
    figures: dict[str, Any] = {"accuracy": rounded(result.mean), "std": rounded(result.std)}
    for far in FARS:
        value = rates.tar_at_far(scores[same], scores[~same], far) if not same.all() else None
        figures[f"tar_far_{short(far)}"] = None if value is None else rounded(value)
    return figures
