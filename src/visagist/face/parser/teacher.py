"""Self-training: an earlier parser fills in what nobody knows about the photos.

Only pixels where it is sure, and says the same about the mirrored and about the wider picture, are
believed; where it contradicts the colour model, neither is.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.face.parser.classes import BACKGROUND, EYES, HAIR, IGNORE, LIPS, OCCLUDER, SKIN
from visagist.face.parser.inference import Parser
from visagist.face.parser.pack import ParserSet

_SURE = 0.85
"""Least probability, on average over the three views, of a label that is believed."""


def taught_labels(
    pictures: ParserSet,
    parser: Parser,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> NDArray[np.uint8]:
    """The labels of a set with those of its photos filled in; the set itself stays as it is."""
    labels = np.array(pictures.labels)
    photos = [i for i, entry in enumerate(pictures.entries) if entry.kind == "photo"]
    for done, i in enumerate(photos, 1):
        answer = confident(pictures.images[i], pictures.field, parser)
        labels[i] = merged(pictures.labels[i], answer)
        progress(done, len(photos))
    return labels


def merged(known: NDArray[np.uint8], answer: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A label map with its unknown pixels filled in and its doubtful ones taken out.

    The mesh is trusted about eyes, brows, lips and mouth unless something covers them; it and the
    colours are trusted about skin, hair and background unless the parser is sure of another class.
    """
    sure = answer != IGNORE
    out = np.where((known == IGNORE) & sure, answer, known)
    coarse = np.isin(known, (SKIN, HAIR, BACKGROUND)) & sure & (answer != known)
    fine = (known >= LIPS) & (known <= EYES + 1) & (answer == OCCLUDER)
    out[coarse | fine] = IGNORE
    return np.asarray(out, np.uint8)


def confident(view: NDArray[np.uint8], field: float, parser: Parser) -> NDArray[np.uint8]:
    """(S, S) classes where the parser is sure, ``IGNORE`` elsewhere.

    Args:
        view: (S, S, 3) uint8, ``field`` canonical crops wide.
        field: at least the parser's own.
        parser: whose answers are asked for.
    """
    size = len(view)
    wide = _planes(view, parser, size)
    inner = round(size * parser.field / field)
    start = (size - inner) // 2
    near = view[start : start + inner, start : start + inner]
    mean = wide
    window = mean[:, start : start + inner, start : start + inner]
    close = (_planes(near, parser, inner) + _planes(near[:, ::-1], parser, inner)[..., ::-1]) / 2
    agree = np.ones((size, size), bool)
    agree[start : start + inner, start : start + inner] = window.argmax(0) == close.argmax(0)
    window[:] = (window + 2 * close) / 3
    best = mean.argmax(0).astype(np.uint8)
    return np.where(agree & (mean.max(0) > _SURE), best, IGNORE).astype(np.uint8)


def _planes(view: NDArray[np.uint8], parser: Parser, size: int) -> NDArray[np.float32]:
    """(8, size, size) probabilities of a square picture."""
    image = Image.fromarray(np.ascontiguousarray(view))
    if image.width != parser.size:
        image = image.resize((parser.size, parser.size), Image.Resampling.BICUBIC)
    shares = parser.probabilities(np.asarray(image))
    return np.stack(
        [
            np.asarray(Image.fromarray(p).resize((size, size), Image.Resampling.BILINEAR))
            for p in shares
        ]
    )
