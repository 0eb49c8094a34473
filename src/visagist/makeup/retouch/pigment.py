"""What a product does to the colours under it, given the skin and the light of the face.

The model is Kubelka-Munk in spirit and small in practice: powder multiplies the lightness of what
it lies on and moves its colour towards the pigment's, so that shading, pores and shine stay.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visagist.face.raster import Floats, blur, smoothstep
from visagist.makeup.retouch.geometry import Layer
from visagist.makeup.retouch.plan import Plan
from visagist.photo.colour import rgb_to_lab

REFERENCE = (66.0, 14.0, 18.0)  # Lab of the skin on which a style's colours are specified
_WHITE = 88.0  # L of the lightest part of a well exposed face

# Points on bare skin: cheeks, forehead, nose, chin.
_SAMPLES = (
    50, 101, 118, 117, 123, 205, 36, 187, 280, 330, 347, 346, 352, 425, 266, 411,
    9, 151, 108, 337, 69, 299, 5, 195, 197, 199,
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
    samples = _sample(low, made.mesh[list(_SAMPLES)])
    centre = np.median(samples, 0)
    # Samples on hair or a beard are outliers: the second median leaves them out.
    spread = np.maximum(1.4826 * np.median(np.abs(samples - centre), 0), (4.0, 2.0, 2.5))
    inliers = samples[(np.abs(samples - centre) < 2.5 * spread).all(1)]
    skin = np.median(inliers, 0) if len(inliers) else centre
    face = made.regions.skin[::2, ::2] > 0.5
    lightness = base[::2, ::2, 0][face]
    white = float(np.percentile(lightness, 98)) if lightness.size else float(skin[0])
    light = float(np.clip(0.55 * skin[0] / REFERENCE[0] + 0.45 * white / _WHITE, 0.3, 1.1))
    gate = blur(_skin_likelihood(low, skin, spread), 0.8 * unit)
    near = smoothstep(0.15, 0.5, blur(gate, 2.6 * unit))
    gate = smoothstep(0.2, 0.8, gate)
    return Canvas(base.copy(), base, low, skin.astype(np.float32), light, gate, near, unit)


def _sample(image: Floats, points: NDArray[np.floating]) -> NDArray[np.float64]:
    height, width = image.shape[:2]
    x = np.clip(points[:, 0].astype(int), 0, width - 1)
    y = np.clip(points[:, 1].astype(int), 0, height - 1)
    return image[y, x].astype(np.float64)


def _skin_likelihood(low: Floats, skin: NDArray[np.float64], spread: NDArray[np.float64]) -> Floats:
    """0..1 for each pixel: does its colour fit this face's own skin under more or less light?

    Shade scales a, b with L (the same surface in less light), so both are compared after that
    scaling; a lid in shadow passes while hair of the same darkness but less colour does not.
    """
    lightness = np.maximum(low[..., 0], np.float32(1.0))
    reference = np.float32(max(float(skin[0]), 8.0))
    shade = np.clip(reference / lightness, np.float32(0.75), np.float32(2.2))
    sa = np.float32(np.clip(1.6 * spread[1], 6.0, 11.0))
    sb = np.float32(np.clip(1.6 * spread[2], 7.0, 12.0))
    da = (low[..., 1] * shade - np.float32(skin[1])) / sa
    db = (low[..., 2] * shade - np.float32(skin[2])) / sb
    # Redder than the skin is still skin (lids, cheeks, lips): forgive half of it.
    da = np.where(da > 0, da * np.float32(0.5), da)
    distance = da * da + db * db
    chroma = np.exp(np.float32(-0.5) * np.maximum(distance - np.float32(1.0), np.float32(0.0)))
    dark = smoothstep(0.28, 0.55, low[..., 0] / reference)
    bright = smoothstep(reference + 42.0, reference + 26.0, low[..., 0])
    return chroma * dark * bright


def lab_of(colour: str) -> Floats:
    """Lab of ``#rrggbb``, (3,) float32."""
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], np.uint8)
    return rgb_to_lab(rgb[None])[0]


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
        ratio = ratio ** (0.45 + 0.55 * min(depth, 1.0))
    richness = float(np.clip(depth**0.5, 0.62, 1.05))
    target = pigment[1:] * richness + (c.skin[1:] - richness * np.float32(REFERENCE[1:])) * 0.35
    here = c.lab[at]
    shade = np.clip(here[..., :1] / max(float(c.skin[0]), 8.0), 0.35, 1.15) ** np.float32(0.6)
    change = np.empty_like(here)
    change[..., :1] = here[..., :1] * np.float32(ratio - 1)
    change[..., 1:] = target.astype(np.float32) * shade - _soft_colour(c, here, at)
    here += alpha * change


def _soft_colour(c: Canvas, here: Floats, at: tuple[slice, slice]) -> Floats:
    """a, b of the canvas without the fine texture of the bare skin, which is to stay."""
    return here[..., 1:] - (c.base[at][..., 1:] - c.low[at][..., 1:])


def ink(c: Canvas, layer: Layer, colour: str, strength: float, gate: Floats) -> None:
    """Lay an opaque dark line: never lighter than what is there, darker in less light."""
    at = layer.at
    alpha = (layer.alpha * gate[at] * np.float32(strength))[..., None]
    pigment = lab_of(colour) * np.float32([min(c.light, 1.0), 1.0, 1.0])
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
