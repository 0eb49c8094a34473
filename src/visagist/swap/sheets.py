"""Sheets of swaps to look at: the worst of a figure, or random ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.errors import InputError
from visagist.face.align import crop
from visagist.photo.sheet import grid
from visagist.swap.evaluation import Stage
from visagist.swap.methods import Method, Pixels, Side
from visagist.swap.pairs import Pair

__all__ = ["random_sheet", "worst_sheet"]

_FIELD = 1.25
"""Canonical crops that a cell shows."""


def worst_sheet(
    stage: Stage, methods: Sequence[Method], row: Mapping[str, Any], figure: str
) -> NDArray[np.uint8]:
    """The worst cases of a figure as rows of source, target, and every method's result.

    Args:
        stage: of the evaluation.
        methods: whose results are shown.
        row: of the report's table, whose worst cases are taken.
        figure: one of those that it lists the worst of.

    Returns:
        (H, W, 3) sheet. It shows the people of the tree: mind their consent.

    Raises:
        InputError: there is no such list of worst cases.
    """
    if figure not in row["worst"]:
        raise InputError(f"the worst are listed by {', '.join(row['worst'])}, not by {figure!r}")
    pictures, captions = [], []
    for case in row["worst"][figure]:
        source, target = stage.sides[case["source"]], stage.sides[case["target"]]
        shown, told = _cells(source, target, methods)
        pictures += shown
        captions += [told[0], f"{figure} {case[figure]:.3f}", *told[2:]]
    return grid(pictures, captions, columns=2 + len(methods), cell=192)


def random_sheet(
    stage: Stage, methods: Sequence[Method], pairs: Sequence[Pair], *, count: int, seed: int = 0
) -> NDArray[np.uint8]:
    """Random pairs as source, target and results, four pairs a row; nothing is chosen by eye.

    Args:
        stage: of the evaluation.
        methods: whose results are shown.
        pairs: that are drawn from; for a sheet that is published, of generated faces alone.
        count: pairs shown.
        seed: of the draw.

    Raises:
        InputError: there are too few pairs.
    """
    usable = [p for p in pairs if p.source.name in stage.sides and p.target.name in stage.sides]
    if len(usable) < count:
        raise InputError(f"a sheet of {count} pairs needs as many, there are {len(usable)}")
    chosen = np.random.default_rng(seed).choice(len(usable), count, replace=False)
    pictures, captions = [], []
    for i in sorted(chosen.tolist()):
        pair = usable[i]
        shown, told = _cells(stage.sides[pair.source.name], stage.sides[pair.target.name], methods)
        pictures += shown
        captions += told
    return grid(pictures, captions, columns=4 * (2 + len(methods)), cell=128)


def _cells(source: Side, target: Side, methods: Sequence[Method]) -> tuple[list[Pixels], list[str]]:
    results = [method.swap(source, target.pixels, target.face) for method in methods]
    ours = source.face.alignment().widened(_FIELD)
    theirs = target.face.alignment().widened(_FIELD)
    pictures = [crop(source.pixels, ours), *(crop(p, theirs) for p in (target.pixels, *results))]
    return pictures, ["source", "target", *(method.label for method in methods)]
