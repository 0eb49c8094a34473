"""Shapes at the eye: shadow, liner and lashes, in the frame of each eye."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visagist.face.raster import Floats, fill, ramp, smoothstep
from visagist.makeup.retouch.geometry import Eye, Layer, union, window_of
from visagist.makeup.style import Eyeliner, Eyeshadow, Lashes

_TILT = 0.16  # rise of the lash line past the outer corner, widths per half width


def shadow_layers(eye: Eye, shadow: Eyeshadow, shape: tuple[int, int]) -> dict[str, Layer]:
    """The four parts of an eyeshadow and the shimmer.

    Returns:
        ``lid``, ``crease``, ``outer``, ``lower``, ``shimmer``; empty when the eye is out of view.
    """
    reach = eye.pixels(np.array([[-1.5, -0.35], [-1.5, 0.8], [2.1, -0.35], [2.1, 0.8]]))
    x0, y0, x1, y1 = window_of(reach, 1.0, shape)
    if x1 <= x0 or y1 <= y0:
        return {}
    x, y = eye.grid(y0, x0, (y1 - y0, x1 - x0))
    lash, brow = _line(x, eye.upper, _TILT), _line(x, eye.brow, 0.0)
    room = np.maximum(brow - lash, np.float32(0.2))
    v = (y - lash) / room
    top = 0.3 + 0.75 * shadow.height
    # Past the outer corner the shadow leans up and out, like the wing of a liner.
    past = np.maximum(x - np.float32(1.0), np.float32(0.0))
    start = smoothstep(-0.10, 0.05, v - np.float32(0.35) * past)
    ends = smoothstep(-1.25, -0.75, x) * smoothstep(1.75, 1.05, x)
    lid = smoothstep(0.85 * top, 0.40 * top, v) * start * ends
    crease = np.exp(-(((v - np.float32(0.60 * top)) / np.float32(0.26 * top)) ** 2))
    crease = crease * smoothstep(-1.05, -0.1, x) * ends * smoothstep(1.0, 0.7, v) * start
    outer = smoothstep(0.0, 0.95, x) * smoothstep(1.05 * top, 0.25 * top, v) * start * ends
    centre = np.exp(-((x + np.float32(0.05)) ** 2) / np.float32(0.22))
    shimmer = centre * np.exp(-(((v - np.float32(0.28 * top)) / np.float32(0.22 * top)) ** 2))
    below = _line(x, eye.lower, -0.05) - y
    lower = np.exp(-((np.maximum(below, np.float32(0.0)) / np.float32(0.085)) ** 2))
    lower = lower * smoothstep(-0.05, 0.01, below) * smoothstep(-1.0, 0.5, x)
    lower = lower * smoothstep(1.35, 1.0, x)
    parts = {"lid": lid, "crease": crease, "outer": outer, "lower": lower, "shimmer": shimmer}
    return {
        name: Layer(y0, x0, _clean(alpha * np.float32(eye.seen))) for name, alpha in parts.items()
    }


def liner_layer(eye: Eye, liner: Eyeliner, shape: tuple[int, int], unit: float) -> Layer | None:
    """The upper line with its wing, and the lower line when the style has one."""
    x = np.linspace(-0.97, 1.0, 40)
    lash = np.interp(x, *eye.upper.T)
    profile = 0.30 + 0.70 * smoothstep(-0.9, 0.5, x.astype(np.float32)).astype(np.float64)
    thick = liner.thickness * profile
    feather = liner.smudge * 1.7 * unit
    layers = [_drawn(_upper_line(eye, liner, x, lash, thick), shape, feather)]
    if liner.lower > 0:
        under = np.interp(x, *eye.lower.T)
        keep = x > -0.55
        thin = 0.5 * liner.thickness * np.asarray(smoothstep(-0.6, 0.6, x.astype(np.float32)))
        above = np.stack([x, under + 0.01], axis=1)[keep]
        below = np.stack([x, under - 0.012 - thin], axis=1)[keep]
        line = _drawn(
            eye.pixels(np.concatenate([above, below[::-1]])), shape, feather + 0.25 * unit
        )
        layers.append(None if line is None else line.times(liner.lower))
    joined = union([la for la in layers if la is not None], shape)
    return None if joined is None else joined.times(eye.seen)


def _upper_line(
    eye: Eye, liner: Eyeliner, x: NDArray[np.float64], lash: NDArray[np.float64],
    thick: NDArray[np.float64],
) -> NDArray[np.float64]:  # fmt: skip
    """Outline in pixels of the upper line: along the lashes out, over the wing, and back."""
    wing = liner.wing_length
    base = np.stack([x, lash - 0.35 * thick], axis=1)
    if wing <= 0.005:
        taper = thick * np.asarray(smoothstep(1.02, 0.75, x.astype(np.float32)))
        crest = np.stack([x, lash + taper + 0.004], axis=1)
        return eye.pixels(np.concatenate([base, crest[::-1]]))
    angle = np.radians(liner.wing_angle)
    corner = np.array([1.0, lash[-1]])
    tip = corner + np.array([2 * wing * np.cos(angle), wing * np.sin(angle)])
    inner = x <= 0.62
    crest = np.stack([x, lash + thick], axis=1)[inner]
    # The upper edge sags a little from the lid to the tip; a straight one looks stencilled.
    t = np.linspace(0.0, 1.0, 8)[1:, None]
    sag = np.array([0.0, -0.12 * wing]) * (t * (1 - t) * 4)
    edge = crest[-1] * (1 - t) + tip * t + sag
    under = corner * (1 - t) + tip * t + sag * 0.6
    return eye.pixels(np.concatenate([base, under, edge[::-1], crest[::-1]]))


def lash_layer(eye: Eye, lashes: Lashes, shape: tuple[int, int], unit: float) -> Layer | None:
    """A darker lash line and a row of tapering strokes, longest towards the outer corner."""
    # Lashes of a closed eye point down over the cheek; half-way they are seen end on.
    lift = -0.7 + 1.7 * ramp(0.05, 0.17, eye.openness)
    roots = np.linspace(-0.5, 1.0, 9)
    outline: list[NDArray[np.float64]] = []
    for x in roots:
        y = float(np.interp(x, *eye.upper.T))
        size = lashes.length * (0.4 + 0.6 * ramp(-0.6, 0.8, x))
        lean = np.radians(14 + 40 * x)
        root = np.array([x, y])
        way = np.array([2 * np.sin(lean), np.cos(lean) * lift]) * size
        # Out first and then up: the curl of a lash.
        bend = np.array([0.72 * way[0], 0.40 * way[1]])
        half = np.array([0.02, 0.0])
        outline += [root - 2 * half, root + bend - half, root + way, root + bend + half]
        outline.append(root + 2 * half)
    back = np.linspace(1.0, -0.95, 24)
    lash = np.interp(back, *eye.upper.T)
    edge = np.stack([back, lash + 0.022], 1), np.stack([back, lash - 0.02], 1)
    strokes = _drawn(eye.pixels(np.array(outline + list(edge[1]))), shape, 0.18 * unit)
    band = _drawn(eye.pixels(np.concatenate([edge[0], edge[1][::-1]])), shape, 0.35 * unit)
    layers = [None if strokes is None else strokes.times(0.75), band]
    if lashes.lower > 0:
        x = np.linspace(-0.5, 0.95, 20)
        under = np.interp(x, *eye.lower.T)
        ring = np.concatenate(
            [np.stack([x, under + 0.01], 1), np.stack([x, under - 0.022], 1)[::-1]]
        )
        low = _drawn(eye.pixels(ring), shape, 0.45 * unit)
        layers.append(None if low is None else low.times(0.7 * lashes.lower))
    joined = union([la for la in layers if la is not None], shape)
    return None if joined is None else joined.times(eye.seen)


def _line(x: Floats, line: NDArray[np.float64], slope: float) -> Floats:
    """Height of a polyline above each X; past the outer corner it rises by ``slope``."""
    height: Floats = np.interp(x, line[:, 0], line[:, 1]).astype(np.float32)
    height += np.float32(slope) * np.maximum(x - np.float32(line[-1, 0]), np.float32(0.0))
    return height


def _drawn(points: NDArray[np.float64], shape: tuple[int, int], feather: float) -> Layer | None:
    x0, y0, x1, y1 = window_of(points, 3 * feather + 1.5, shape)
    if x1 <= x0 or y1 <= y0:
        return None
    return Layer(y0, x0, fill(points - (x0, y0), y1 - y0, x1 - x0, feather=feather))


def _clean(alpha: NDArray[np.floating]) -> Floats:
    """Without the invisible tails, so that masks end where the paint does."""
    out: Floats = np.maximum(np.asarray(alpha, np.float32) - np.float32(0.004), np.float32(0.0))
    return out
