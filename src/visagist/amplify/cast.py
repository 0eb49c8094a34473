"""What editing did to a whole photo: its colours and its sharpness, told apart from makeup.

Both are estimated on pixels that makeup does not touch (hair, neck, background) and taken back on
all of them, so that what remains between the two pictures is the makeup.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_ROBUST = 6.0  # levels of deviation that count half: beyond, something else than colour changed
_STIFF = 0.01  # how strongly the fit is drawn to "nothing changed", as a share of the pixels
_BLURS = (0.0, 0.4, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0, 2.5, 3.0)  # pixels, standard deviations tried
_BETTER = 0.97  # of the error without a blur: what a blur must come below


@dataclass(frozen=True, slots=True)
class Cast:
    """A change of colour of the whole picture, and how to take it back.

    Attributes:
        matrix: (3, 7) of red, green, blue, their squares and 1 (in 0..1), which give the colours
            before.
        shift: mean absolute correction in levels, on the pixels it was estimated on.
        error: mean absolute difference in levels that is left there.
        pixels: how many they were, by weight.
    """

    matrix: NDArray[np.float64]
    shift: float
    error: float
    pixels: float

    def undo(self, picture: NDArray[np.floating] | NDArray[np.uint8]) -> Floats:
        """(H, W, 3) levels with the cast taken back; may leave 0..255 a little."""
        terms = _terms(np.asarray(picture, np.float64).reshape(-1, 3) / 255)
        return np.asarray((terms @ self.matrix.T * 255).reshape(picture.shape), np.float32)


def no_cast() -> Cast:
    """The cast that changes nothing."""
    return Cast(_IDENTITY.copy(), 0.0, float("nan"), 0.0)


def fit_cast(before: Floats, after: Floats, weight: Floats) -> Cast:
    """The change of colour between two registered pictures.

    Each channel before is a second-order polynomial of all three after, without products: that
    covers exposure, contrast, curves, white balance and saturation. Ridge towards no change, so
    that a background of one colour does not decide what happens to skin; Cauchy weights, so that
    what was retouched away does not count.

    Args:
        before: (H, W, 3) levels.
        after: the same of the edited picture.
        weight: (H, W) 0..1, how surely only the cast changed a pixel.
    """
    chosen = weight > 0.05
    x = _terms(after[chosen].astype(np.float64) / 255)
    y = before[chosen].astype(np.float64) / 255
    w = weight[chosen].astype(np.float64)
    total = float(w.sum())
    if total < 1:
        return no_cast()
    solution: NDArray[np.floating] = _IDENTITY.T
    robust = np.ones(len(x))
    # clipped pixels have lost what they were
    known = ((after[chosen] > 2) & (after[chosen] < 253)).all(1)
    for _ in range(6):
        v = w * robust * known
        ridge = _STIFF * max(float(v.sum()), 1.0) * _PENALTY
        left = x.T @ (v[:, None] * x) + np.diag(ridge)
        right = x.T @ (v[:, None] * y) + ridge[:, None] * _IDENTITY.T
        solution = np.linalg.solve(left, right)
        off = np.abs(x @ solution - y).max(1) * 255
        robust = 1 / (1 + (off / _ROBUST) ** 2)
    fitted = x @ solution
    shift = float((w[:, None] * np.abs(fitted - after[chosen] / 255)).sum() / (3 * total) * 255)
    error = float((w[:, None] * np.abs(fitted - y)).sum() / (3 * total) * 255)
    return Cast(solution.T.astype(np.float64), shift, error, total)


_IDENTITY = np.hstack([np.eye(3), np.zeros((3, 4))])
# Squares and the other channels are only believed when many colours ask for them.
_PENALTY = np.array([0.1, 0.1, 0.1, 0.3, 0.3, 0.3, 0.01])


def _terms(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack([colours, colours**2, np.ones(len(colours))])


def match_sharpness(before: Floats, after: Floats, weight: Floats) -> tuple[Floats, float]:
    """The after-picture as sharp as the one before: ``before`` plus what changed at its sharpness.

    An app that saves at half the size leaves an after-picture without pores and lashes. The plain
    difference would teach that makeup takes them away. So the picture before is blurred as the
    other one is, and the difference of the two is added to the sharp one.

    Args:
        before: (H, W, 3) levels.
        after: the same of the edited picture, colours matched.
        weight: (H, W) 0..1, where nothing else was changed.

    Returns:
        The (H, W, 3) after-picture, and the blur in pixels: positive where the after-picture was
        the duller one, negative where it was the sharper.
    """
    total = max(float(weight.sum()), 1e-6)

    def error(one: Floats, other: Floats) -> float:
        fine = np.abs(_fine(one) - _fine(other)).mean(2)
        return float((weight * fine).sum()) / total

    duller = [error(_blurred(before, s), after) for s in _BLURS]
    sharper = [error(before, _blurred(after, s)) for s in _BLURS]
    if min(*duller, *sharper) > _BETTER * duller[0]:
        return after, 0.0
    if min(duller) <= min(sharper):
        blur = _BLURS[int(np.argmin(duller))]
        return np.asarray(before + (after - _blurred(before, blur)), np.float32), blur
    blur = _BLURS[int(np.argmin(sharper))]
    return _blurred(after, blur), -blur


def _fine(picture: Floats) -> Floats:
    return np.asarray(picture - cv2.GaussianBlur(picture, (0, 0), 4.0), np.float32)


def _blurred(picture: Floats, sigma: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma) if sigma else picture, np.float32)
