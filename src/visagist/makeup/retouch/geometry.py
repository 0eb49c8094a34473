"""Where makeup goes: local frames on the mesh and soft patches in them.

Everything here depends on the mesh alone. Lengths are in pixels of the window that the caller
works in; ``unit`` is the size of the face, 1 for the canonical face in the 256x256 crop.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from visagist.face.raster import Floats, catmull_rom, ramp
from visagist.face.regions import mirrored
from visagist.face.topology import N_SKIN_POINTS, canonical_points

# Person's right eye, from the outer to the inner corner.
_UPPER_LID = (33, 246, 161, 160, 159, 158, 157, 173, 133)
_LOWER_LID = (33, 7, 163, 144, 145, 153, 154, 155, 133)
_BROW_LOWER = (46, 53, 52, 65, 55)
_NEIGHBOURS = 16


@dataclass(frozen=True, slots=True)
class Layer:
    """How much of something goes on a rectangle of the window.

    Attributes:
        y: first row of the rectangle.
        x: first column.
        alpha: (h, w) float32, 0..1.
    """

    y: int
    x: int
    alpha: Floats

    @property
    def at(self) -> tuple[slice, slice]:
        """Index of the rectangle in the window."""
        return (
            slice(self.y, self.y + self.alpha.shape[0]),
            slice(self.x, self.x + self.alpha.shape[1]),
        )

    def times(self, factor: Floats | float) -> Layer:
        """The layer under a window-sized mask, or thinned by a number."""
        if isinstance(factor, np.ndarray):
            return Layer(self.y, self.x, self.alpha * factor[self.at])
        return Layer(self.y, self.x, self.alpha * np.float32(factor))


def window_of(
    points: NDArray[np.floating], margin: float, shape: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Rectangle x0, y0, x1, y1 around points, clipped to (height, width); may be empty."""
    low, high = points.min(0), points.max(0)
    x0 = min(max(math.floor(low[0] - margin), 0), shape[1])
    y0 = min(max(math.floor(low[1] - margin), 0), shape[0])
    x1 = min(max(math.ceil(high[0] + margin), x0), shape[1])
    y1 = min(max(math.ceil(high[1] + margin), y0), shape[0])
    return x0, y0, x1, y1


@lru_cache(maxsize=128)
def _neighbourhood(centre: tuple[float, float]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Mesh points around a canonical position, and the matrix that fits an affine map to them."""
    points = canonical_points()[:N_SKIN_POINTS, :2].astype(np.float64)
    distance = np.hypot(*(points - centre).T)
    index = np.argsort(distance, kind="stable")[:_NEIGHBOURS]
    weight = 1.0 / (1.0 + (distance[index] / 12.0) ** 2)
    design = np.concatenate([points[index] - centre, np.ones((_NEIGHBOURS, 1))], axis=1)
    solve = np.linalg.pinv(design * weight[:, None]) * weight[None, :]
    return index, solve


def blob(
    mesh: NDArray[np.floating],
    unit: float,
    shape: tuple[int, int],
    *,
    centre: tuple[float, float],
    radii: tuple[float, float],
    angle: float = 0.0,
) -> Layer | None:
    """A soft ellipse that lies on the face, drawn in canonical coordinates.

    An affine map fitted to the mesh points nearby carries it onto the face, so it turns, stretches
    and narrows with the skin; it fades where the skin turns away and its patch is squeezed flat.

    Args:
        mesh: (478, 2+) points in window pixels.
        unit: size of the face.
        shape: (height, width) of the window.
        centre: x, y on the canonical face in the 256x256 crop.
        radii: half axes in canonical pixels; the edge fades to zero there.
        angle: degrees, clockwise as seen, of the first axis.

    Returns:
        The layer, or ``None`` when nothing of it is visible.
    """
    index, solve = _neighbourhood(centre)
    fit = solve @ mesh[index, :2]  # rows: d/dx, d/dy, position
    linear, origin = fit[:2].T, fit[2]
    squeeze = float(np.linalg.det(linear)) / unit**2
    seen = ramp(0.12, 0.45, squeeze)
    if seen <= 0.0 or not np.isfinite(seen):
        return None
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    axes = linear @ np.array([[c, -s], [s, c]]) @ np.diag(radii)
    reach = np.hypot(axes[:, 0], axes[:, 1])
    x0, y0, x1, y1 = window_of(np.array([origin - reach, origin + reach]), 1.0, shape)
    if x1 <= x0 or y1 <= y0:
        return None
    inverse = np.linalg.inv(axes).astype(np.float32)
    dx = (np.arange(x0, x1) + 0.5 - origin[0]).astype(np.float32)[None, :]
    dy = (np.arange(y0, y1) + 0.5 - origin[1]).astype(np.float32)[:, None]
    u = inverse[0, 0] * dx + inverse[0, 1] * dy
    v = inverse[1, 0] * dx + inverse[1, 1] * dy
    bell = np.maximum(np.float32(1.0) - (u * u + v * v), np.float32(0.0))
    return Layer(y0, x0, bell * bell * bell * np.float32(seen))


def pair(
    mesh: NDArray[np.floating],
    unit: float,
    shape: tuple[int, int],
    *,
    centre: tuple[float, float],
    radii: tuple[float, float],
    angle: float = 0.0,
) -> list[Layer]:
    """:func:`blob` on the person's right side and its mirror image on the left."""
    right = blob(mesh, unit, shape, centre=centre, radii=radii, angle=angle)
    mirror = (256.0 - centre[0], centre[1])
    left = blob(mesh, unit, shape, centre=mirror, radii=radii, angle=-angle)
    return [layer for layer in (right, left) if layer is not None]


def union(layers: Iterable[Layer], shape: tuple[int, int]) -> Layer | None:
    """The largest alpha of several layers, as one layer on their common rectangle."""
    found = list(layers)
    if not found:
        return None
    y0, x0 = min(la.y for la in found), min(la.x for la in found)
    y1 = min(max(la.y + la.alpha.shape[0] for la in found), shape[0])
    x1 = min(max(la.x + la.alpha.shape[1] for la in found), shape[1])
    total = np.zeros((y1 - y0, x1 - x0), np.float32)
    for la in found:
        part = total[
            la.y - y0 : la.y - y0 + la.alpha.shape[0], la.x - x0 : la.x - x0 + la.alpha.shape[1]
        ]
        np.maximum(part, la.alpha, out=part)
    return Layer(y0, x0, total)


@dataclass(frozen=True, slots=True)
class Eye:
    """One eye in its own frame.

    X runs along the eye from -1 at the inner to 1 at the outer corner, Y upwards to the brow in
    widths of the eye; both are zero midway between the corners.

    Attributes:
        middle: (2,) pixels.
        along: (2,) unit vector to the outer corner.
        up: (2,) unit vector to the brow.
        width: distance of the corners in pixels.
        upper: (n, 2) X, Y of the upper lash line, X rising.
        lower: (n, 2) the lower lash line.
        brow: (n, 2) the lower edge of the brow.
        openness: gap of the lids in widths; 0 closed, about 0.3 open.
        seen: 0..1, fades as the side of the face turns away.
    """

    middle: NDArray[np.float64]
    along: NDArray[np.float64]
    up: NDArray[np.float64]
    width: float
    upper: NDArray[np.float64]
    lower: NDArray[np.float64]
    brow: NDArray[np.float64]
    openness: float
    seen: float

    def pixels(self, local: NDArray[np.floating]) -> NDArray[np.float64]:
        """(n, 2) X, Y to pixels."""
        x, y = local[:, :1] * (self.width / 2), local[:, 1:2] * self.width
        out: NDArray[np.float64] = self.middle + x * self.along + y * self.up
        return out

    def local(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """(n, 2) pixels to X, Y."""
        d = np.asarray(points, np.float64) - self.middle
        return np.stack([d @ self.along / (self.width / 2), d @ self.up / self.width], axis=1)

    def grid(self, y0: int, x0: int, shape: tuple[int, int]) -> tuple[Floats, Floats]:
        """X and Y at the pixel centres of a rectangle."""
        dx = (np.arange(x0, x0 + shape[1]) + 0.5 - self.middle[0]).astype(np.float32)[None, :]
        dy = (np.arange(y0, y0 + shape[0]) + 0.5 - self.middle[1]).astype(np.float32)[:, None]
        along, up = self.along.astype(np.float32), self.up.astype(np.float32)
        x = (dx * along[0] + dy * along[1]) * np.float32(2 / self.width)
        y = (dx * up[0] + dy * up[1]) * np.float32(1 / self.width)
        return x, y


def eye_frame(mesh: NDArray[np.floating], unit: float, *, left: bool) -> Eye | None:
    """The frame of one eye, or ``None`` when it is too narrow to paint."""
    names = (_UPPER_LID, _LOWER_LID, _BROW_LOWER)
    upper, lower, brow = (mirrored(n) if left else n for n in names)
    points = np.asarray(mesh[:, :2], np.float64)
    outer, inner = points[upper[0]], points[upper[-1]]
    width = float(np.hypot(*(outer - inner)))
    seen = ramp(0.35, 0.65, width / (32.0 * unit))
    if seen <= 0.0:
        return None
    along = (outer - inner) / width
    # Upwards is towards the brow, but the eye's tilt alone decides the direction, so that a
    # raised brow does not skew the frame.
    up = np.array([along[1], -along[0]])
    middle = (outer + inner) / 2
    if (points[list(brow)].mean(0) - middle) @ up < 0:
        up = -up
    eye = Eye(middle, along, up, width, upper=np.empty((0, 2)), lower=np.empty((0, 2)),
              brow=np.empty((0, 2)), openness=0.0, seen=seen)  # fmt: skip
    lines = [
        _rising(eye.local(catmull_rom(points[list(line)], 4, closed=False)))
        for line in (upper, lower, brow)
    ]
    gap = np.interp(_MIDDLE, *lines[0].T) - np.interp(_MIDDLE, *lines[1].T)
    opening = max(0.0, float(gap.mean()))
    return replace(eye, upper=lines[0], lower=lines[1], brow=lines[2], openness=opening)


_MIDDLE = np.array([-0.3, 0.0, 0.3])


def _rising(line: NDArray[np.float64]) -> NDArray[np.float64]:
    """A polyline turned and sorted so that X rises strictly, as interpolation needs."""
    order = np.argsort(line[:, 0], kind="stable")
    line = line[order]
    line[:, 0] += np.arange(len(line)) * 1e-7
    return line
