from __future__ import annotations

import numpy as np

from visagist.face.parser.classes import (
    BACKGROUND,
    BROWS,
    CLASSES,
    EYES,
    HAIR,
    IGNORE,
    LIPS,
    OCCLUDER,
    SKIN,
)
from visagist.face.parser.pack import UNDERNEATH, Entry, ParserSet
from visagist.face.parser.teacher import confident, merged, taught_labels


class Knowing:
    """A parser that calls bright pixels hair, surely, and dark ones skin, as surely as told."""

    size, field = 64, 1.5

    def __init__(self, skin: float = 0.99) -> None:
        self.skin = skin

    def probabilities(self, view: np.ndarray) -> np.ndarray:
        bright = view[::2, ::2].mean(2) > 128
        shares = np.full((len(CLASSES), 32, 32), 0.0, np.float32)
        shares[HAIR] = np.where(bright, 0.99, 1 - self.skin)
        shares[SKIN] = 1 - shares[HAIR]
        return shares


def half_bright() -> np.ndarray:
    view = np.zeros((80, 80, 3), np.uint8)
    view[:40] = 255
    return view


def test_sure_answers_are_given_and_doubtful_ones_are_not():
    sure = confident(half_bright(), 1.875, Knowing())
    assert (sure[:36] == HAIR).all()
    assert (sure[44:] == SKIN).all()
    doubt = confident(half_bright(), 1.875, Knowing(skin=0.7))
    assert (doubt[:36] == HAIR).all()
    assert (doubt[44:] == IGNORE).all()


def test_merging_fills_what_is_unknown_and_drops_what_is_disputed():
    known = np.array([[IGNORE, IGNORE, SKIN, SKIN, EYES, BROWS, LIPS, EYES, BACKGROUND]], np.uint8)
    answer = np.array([[HAIR, IGNORE, SKIN, HAIR, OCCLUDER, HAIR, SKIN, IGNORE, HAIR]], np.uint8)
    wanted = [[HAIR, IGNORE, SKIN, IGNORE, IGNORE, BROWS, LIPS, EYES, IGNORE]]
    assert merged(known, answer).tolist() == wanted


def test_only_photos_are_taught():
    images = np.stack([half_bright(), half_bright()])
    labels = np.stack([np.full((80, 80), v, np.uint8) for v in (IGNORE, UNDERNEATH)])
    entries = (Entry("a", "train", "photo", 0), Entry("a", "train", "covered", 0))
    seen = []
    taught = taught_labels(
        ParserSet(images, labels, entries, 1.875),
        Knowing(),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 1)]
    assert HAIR in taught[0]
    assert (taught[1] == UNDERNEATH).all()
    assert (labels[0] == IGNORE).all()
