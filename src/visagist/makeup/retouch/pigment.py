"""What a product does to the colours under it, given the skin and the light of the face.

The model is Kubelka-Munk in spirit and small in practice: powder multiplies the lightness of what
it lies on and moves its colour towards the pigment's, so that shading, pores and shine stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from visagist.face.raster import Floats, blur, smoothstep, vector
from visagist.makeup.retouch.geometry import Layer
from visagist.makeup.retouch.plan import Plan
from visagist.photo.colour import rgb_to_lab

REFERENCE = (66.0, 14.0, 18.0)  # Lab of the skin on which a style's colours are specified
_WHITE = 88.0  # L of the lightest part of a well exposed face

# Points on bare skin: cheeks, below the eyes, forehead, temples and nose. None where beards grow.
_SAMPLES = (
    50, 101, 118, 117, 123, 205, 36, 116, 111, 229, 230, 280, 330, 347, 346, 352, 425, 266, 345,
    340, 449, 450, 9, 151, 108, 337, 69, 299, 104, 333, 67, 297, 5, 195, 197, 4, 142, 371,
)  # fmt: skip


@dataclass(slots=True)
class Canvas:
    """The window being painted and what is known of the face in it.

    Attributes:
        lab: (h, w, 3) float32, changed in place by each product.
        base: the same before any product.
        low: ``base`` without fine texture.
        skin: Lab of the bare skin, (3,).
        light: 0.3..1.1, how bright the light on the face is against a well exposed portrait.
        gate: (h, w) 0..1, how sure it is that a pixel shows skin and not hair, frame or cloth.
        near: the same for the surroundings: whether there is skin within a few pixels.
        unit: size of the face.
    """

    lab: Floats
    base: Floats
    low: Floats
    skin: Floats
    light: float
    gate: Floats
    near: Floats
    unit: float


def canvas(pixels: NDArray[np.uint8], made: Plan) -> Canvas:
    """Look at the face: its skin, its light and what covers it.

    Args:
        pixels: (h, w, 3) uint8, the window of the plan.
        made: the plan.
    """
    base = rgb_to_lab(pixels)
    unit = made.unit
    low = blur(base, 1.3 * unit)
    skin, expected, spread = _skin_model(low, made.mesh)
    face = made.regions.skin[::2, ::2] > 0.5
    lightness = base[::2, ::2, 0][face]
    white = float(np.percentile(lightness, 98)) if lightness.size else float(skin[0])
    light = float(np.clip(0.55 * skin[0] / REFERENCE[0] + 0.45 * white / _WHITE, 0.3, 1.1))
    likely = blur(_skin_likelihood(low, skin, expected, spread), 0.8 * unit)
    gate = smoothstep(0.1, 0.65, likely)
    near = smoothstep(0.08, 0.4, blur(likely, 3.0 * unit))
    return Canvas(base.copy(), base, low, skin.astype(np.float32), light, gate, near, unit)


def _skin_model(
    low: Floats, mesh: NDArray[np.float32]
) -> tuple[NDArray[np.float64], Floats, NDArray[np.float64]]:
    """The skin of this face: its Lab, how that varies over the face, and how widely.

    Light from one side makes skin brighter there and may tint it, so each channel is a plane over
    the picture. Samples that fall on hair or glasses are outliers and are weighted away.

    Returns:
        Median Lab (3,); the expected Lab at each pixel, as planes (3, h, w); the spread (3,).
    """
    height, width = low.shape[:2]
    points = mesh[list(_SAMPLES)].astype(np.float64)
    x = np.clip(points[:, 0].astype(int), 0, width - 1)
    y = np.clip(points[:, 1].astype(int), 0, height - 1)
    samples = low[y, x].astype(np.float64)
    centre, extent = points.mean(0), np.maximum(points.std(0), 1.0)
    # Plane coordinates stop at two deviations: a plane says nothing far from its samples.
    design = np.concatenate([(points - centre) / extent, np.ones((len(points), 1))], axis=1)
    gap = samples - np.median(samples, 0)
    weight = np.ones(len(points))
    floor = np.array([4.0, 2.5, 3.0])
    damping = np.diag([3.0, 3.0, 1e-6])
    coefficients = np.zeros((3, 3))
    for _ in range(4):
        spread = np.maximum(1.4826 * np.median(np.abs(gap), 0), floor)
        weight = 1.0 / (1.0 + ((gap / (2.0 * spread)) ** 2).sum(1) ** 2)
        weighted = design * weight[:, None]
        coefficients = np.linalg.solve(design.T @ weighted + damping, weighted.T @ samples)
        gap = samples - design @ coefficients
    spread = np.maximum(1.4826 * np.median(np.abs(gap), 0), floor)
    skin = coefficients[2]
    across = np.clip((np.arange(width) + 0.5 - centre[0]) / extent[0], -2.0, 2.0)
    down = np.clip((np.arange(height) + 0.5 - centre[1]) / extent[1], -2.0, 2.0)
    rows = (down[:, None] * coefficients[1] + skin).astype(np.float32)
    columns = (across[:, None] * coefficients[0]).astype(np.float32)
    expected = np.empty((3, height, width), np.float32)
    for k in range(3):
        np.add(rows[:, None, k], columns[None, :, k], out=expected[k])
    lightness = float(max(skin[0], 6.0))
    np.clip(expected[0], 0.4 * lightness, 1.35 * lightness, out=expected[0])
    return skin, expected, spread


def _skin_likelihood(
    low: Floats, skin: NDArray[np.float64], expected: Floats, spread: NDArray[np.float64]
) -> Floats:
    """0..1 for each pixel: does its colour fit this face's own skin under more or less light?

    Shade takes colour away with lightness (the same surface in less light), so a and b are
    compared after undoing part of that; a lid in shadow passes, hair of the same darkness but less
    colour does not.
    """
    lightness = np.maximum(low[..., 0], np.float32(1.0))
    reference = np.maximum(expected[0], np.float32(6.0))
    shade = np.clip(reference / lightness, np.float32(0.8), np.float32(2.5)) ** np.float32(0.6)
    sa = np.float32(np.clip(2.0 * spread[1], 8.0, 14.0))
    sb = np.float32(np.clip(2.0 * spread[2], 9.0, 15.0))
    da = (low[..., 1] * shade - expected[1]) / sa
    db = (low[..., 2] * shade - expected[2]) / sb
    # Redder than the skin is still skin (lids, cheeks, lips): forgive half of it.
    da = np.where(da > 0, da * np.float32(0.5), da)
    distance = da * da + db * db
    chroma = np.exp(np.float32(-0.6) * np.maximum(distance - np.float32(1.2), np.float32(0.0)))
    dark = smoothstep(0.22, 0.45, (lightness / reference).astype(np.float32))
    bright = smoothstep(46.0, 28.0, (low[..., 0] - reference).astype(np.float32))
    likely: Floats = chroma * dark * bright
    return likely


@lru_cache(maxsize=512)
def lab_of(colour: str) -> Floats:
    """Lab of ``#rrggbb``, (3,) float32, read only."""
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], np.uint8)
    lab: Floats = rgb_to_lab(rgb[None])[0]
    lab.setflags(write=False)
    return lab


def powder(c: Canvas, layer: Layer, colour: str, strength: float, gate: Floats) -> None:
    """Lay powder on the canvas.

    The pigment's lightness against the reference skin becomes a factor on the lightness at hand;
    its colour is scaled with the light and leans towards the tone of the skin under it. On deep
    skin the factor is milder and the colour stronger, as artists choose richer powders there.
    """
    at = layer.at
    alpha = (layer.alpha * gate[at] * np.float32(strength))[..., None]
    pigment = lab_of(colour)
    depth = float(np.clip(c.skin[0] / REFERENCE[0], 0.25, 1.15))
    ratio = float(np.clip(pigment[0] / REFERENCE[0], 0.12, 1.5))
    if ratio < 1:
        ratio = ratio ** (0.6 + 0.4 * min(depth, 1.0))
    richness = float(np.clip(depth**0.5, 0.62, 1.05))
    target = pigment[1:] * richness + (c.skin[1:] - richness * vector(*REFERENCE[1:])) * 0.35
    here = c.lab[at]
    shade = np.clip(here[..., :1] / max(float(c.skin[0]), 8.0), 0.35, 1.15) ** np.float32(0.6)
    change = np.empty_like(here)
    change[..., :1] = here[..., :1] * np.float32(ratio - 1)
    vivid = np.float32(1.0 + 0.9 * max(0.0, 1.0 - depth))
    change[..., 1:] = (target.astype(np.float32) * shade - _soft_colour(c, here, at)) * vivid
    here += alpha * change


def _soft_colour(c: Canvas, here: Floats, at: tuple[slice, slice]) -> Floats:
    """a, b of the canvas without the fine texture of the bare skin, which is to stay."""
    return here[..., 1:] - (c.base[at][..., 1:] - c.low[at][..., 1:])


def ink(c: Canvas, layer: Layer, colour: str, strength: float, gate: Floats) -> None:
    """Lay an opaque dark line: never lighter than what is there, darker in less light."""
    at = layer.at
    alpha = (layer.alpha * gate[at] * np.float32(strength))[..., None]
    pigment = lab_of(colour) * vector(min(c.light, 1.0), 1.0, 1.0)
    here = c.lab[at]
    change = np.empty_like(here)
    change[..., 0] = pigment[0] - here[..., 0]
    if pigment[0] < 35.0:
        change[..., 0] = np.minimum(change[..., 0], 0.0)
    change[..., 1:] = pigment[1:] * np.float32(c.light**0.5) - here[..., 1:]
    here += alpha * change


def light_up(c: Canvas, layer: Layer, colour: str, strength: float, gate: Floats) -> None:
    """Add shine: lightens what already catches light more than what lies in shade."""
    at = layer.at
    pigment = lab_of(colour)
    here = c.lab[at]
    lit = np.clip(here[..., 0] / max(float(c.skin[0]), 8.0), 0.3, 1.25) ** np.float32(1.3)
    alpha = layer.alpha * gate[at] * np.float32(strength) * lit
    room = np.clip((np.float32(97.0) - here[..., 0]) / 30.0, 0.0, 1.0)
    here[..., 0] += alpha * room * np.float32(16.0 * c.light)
    colour_gap = pigment[1:] * np.float32(0.8) + c.skin[1:] * np.float32(0.35) - here[..., 1:]
    here[..., 1:] += (alpha * np.float32(0.3))[..., None] * colour_gap
