"""The products, in the order in which an artist lays them on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from visagist.face.raster import Floats, blur, grow, ramp, shrink, smoothstep, vector
from visagist.makeup.retouch.geometry import Layer
from visagist.makeup.retouch.pigment import Canvas, ink, lab_of, light_up, powder
from visagist.makeup.retouch.plan import Plan
from visagist.makeup.style import Brows, Foundation, Lips, Style


def paint(c: Canvas, made: Plan, style: Style, strengths: Mapping[str, float]) -> None:
    """Paint a style on the canvas.

    Args:
        c: the canvas, changed in place.
        made: where the style goes.
        style: the style.
        strengths: factors 0..1 on the strengths of ``lips``, ``eyes`` and ``skin``.
    """
    layers = made.layers
    skin, eyes, lips = (strengths[k] for k in ("skin", "eyes", "lips"))

    def powders(name: str, colour: str, strength: float, gate: Floats) -> None:
        for layer in layers.get(name, ()):
            powder(c, layer, colour, strength, gate)

    for layer in layers.get("foundation", ()):
        _foundation(c, layer, style.foundation, skin * style.foundation.strength)
    powders("contour", style.contour.colour, 0.55 * skin * style.contour.strength, c.gate)
    powders("blush", style.blush.colour, 0.75 * skin * style.blush.strength, c.gate)
    for layer in layers.get("highlight", ()):
        light_up(c, layer, style.highlight.colour, skin * style.highlight.strength, c.gate)

    shadow = style.eyeshadow
    lids = _lid_gate(c)
    for name in ("lid", "crease", "outer", "lower"):
        strength = getattr(shadow, f"{name}_strength") * shadow.strength * eyes
        powders(name, getattr(shadow, name), strength, lids)
    for layer in layers.get("shimmer", ()):
        light_up(c, layer, shadow.lid, 1.3 * eyes * shadow.strength * shadow.shimmer, lids)
    for layer in layers.get("brows", ()):
        _brows(c, layer, style.brows, eyes * style.brows.strength)
    for layer in layers.get("eyeliner", ()):
        ink(c, layer, style.eyeliner.colour, 0.95 * eyes * style.eyeliner.strength, c.near)
    for layer in layers.get("lashes", ()):
        ink(c, layer, style.lashes.colour, 0.85 * eyes * style.lashes.strength, c.near)
    for layer in layers.get("lips", ()):
        _lips(c, layer, layers.get("gloss", []), style.lips, lips * style.lips.strength)


def _lid_gate(c: Canvas) -> Floats:
    """Where shadow may go: skin, and the shaded or lined lid that has skin around it."""
    lit = smoothstep(0.2, 0.5, c.low[..., 0] / np.float32(max(float(c.skin[0]), 8.0)))
    gate: Floats = np.maximum(c.gate, c.near * lit)
    return gate


def _foundation(c: Canvas, layer: Layer, product: Foundation, strength: float) -> None:
    """Even out blotches and shift the tone; what is larger than a blotch (shading) stays."""
    mask = layer.alpha * c.gate[layer.at]
    here = c.lab[layer.at]
    if product.evenness > 0:
        here += _evened(c, layer, mask) * np.float32(product.evenness * strength)
    level = float(np.clip(c.skin[0] / 66.0, 0.3, 1.1))
    tone = vector(
        6.0 * product.lightness, -2.0 * product.warmth, 5.0 * product.warmth
    ) * np.float32(level * strength)
    here += mask[..., None] * tone


def _evened(c: Canvas, layer: Layer, mask: Floats) -> Floats:
    """Lab change (h, w, 3) that takes out blotches: half-way to the mean of the surroundings.

    Blotches are broader than a pixel, so they are found on a reduced picture.
    """
    factor = max(2, round(2 * c.unit))
    weight = shrink(mask, factor)[..., None] + np.float32(1e-3)
    low = shrink(c.low[layer.at], factor)
    wide = blur(np.concatenate([low * weight, weight], axis=2), 4.5 * c.unit / factor)
    gap = wide[..., :3] / wide[..., 3:] - low
    # Small differences are evened, large ones are the shape of the face.
    keep = np.exp(-((gap / vector(9.0, 12.0, 14.0)) ** 2)) * vector(0.55, 0.75, 0.75)
    return grow(gap * keep, (mask.shape[0], mask.shape[1])) * mask[..., None]


def _brows(c: Canvas, layer: Layer, brows: Brows, strength: float) -> None:
    """Tint the hairs and fill the gaps between them."""
    at = layer.at
    near = smoothstep(0.05, 0.4, blur(c.near[at], 3.0 * c.unit))
    alpha = layer.alpha * near * np.float32(strength)
    here = c.lab[at]
    pigment = lab_of(brows.colour)
    # Light brows are not drawn black: at most 22 L below their own.
    core = c.base[at][..., 0][layer.alpha > 0.6]
    own = float(np.median(core)) if core.size else 0.0
    aim = np.float32(max(float(pigment[0]) * min(c.light, 1.0), own - 22.0))
    # Gaps are as light as skin: they get the powder. Hairs are dark already and stay.
    gap = np.minimum(aim - here[..., 0], 0.0)
    here[..., 0] += alpha * np.float32(0.25 + 0.5 * brows.fill) * gap
    tint = pigment[1:] * np.float32(c.light**0.5) - here[..., 1:]
    here[..., 1:] += (alpha * np.float32(0.6))[..., None] * tint


def _lips(c: Canvas, layer: Layer, shine: list[Layer], lips: Lips, strength: float) -> None:
    """Lipstick: the lips' own light and dark, carried over to the pigment's lightness."""
    at = layer.at
    here, base = c.lab[at], c.base[at]
    core = layer.alpha > 0.6
    if not core.any():
        return
    own = np.median(base[core], 0)
    gate = _lip_gate(c, layer, own)
    alpha = layer.alpha * gate * np.float32(strength)
    pigment = lab_of(lips.colour)
    aim = float(pigment[0]) * c.light
    ratio, sheen = _relief(c, layer, float(own[0]))
    ratio = np.clip(ratio * _finish(sheen, lips.finish), 0.2, 2.6)
    covered = np.minimum(np.float32(aim) * ratio, np.float32(97.0))
    opacity = np.float32(lips.opacity)
    here[..., 0] += alpha * opacity * (covered - here[..., 0])
    # A highlight is light that never reached the pigment: it keeps its own colour.
    shiny = smoothstep(1.15, 1.6, sheen) * smoothstep(25.0, 55.0, base[..., 0])
    rich = np.clip(ratio, 0.35, 1.15) ** np.float32(0.7)
    cast = (c.skin[1:] - vector(14.0, 18.0)) * np.float32(0.25)
    target = (pigment[1:] * np.float32(c.light**0.6) + cast) * rich[..., None]
    tint = alpha * (np.float32(0.6) + np.float32(0.4) * opacity) * (1 - np.float32(0.7) * shiny)
    here[..., 1:] += tint[..., None] * (target - here[..., 1:])
    if lips.liner.strength > 0:
        rim = _rim(layer.alpha, (0.6 + 1.6 * lips.liner.width) * c.unit)
        liner = Layer(layer.y, layer.x, rim * gate)
        ink(c, liner, lips.liner.colour, 0.8 * strength * lips.liner.strength, c.near)
    if lips.finish == "gloss":
        for spot in shine:
            lit = smoothstep(0.75, 1.25, c.base[spot.at][..., 0] / max(float(own[0]), 6.0))
            glow = spot.alpha * lit * np.float32(strength * 15.0 * c.light)
            c.lab[spot.at][..., 0] += glow


def _relief(c: Canvas, layer: Layer, own: float) -> tuple[Floats, Floats]:
    """Light and dark of the lips: the broad part against their median, and the fine part.

    The broad part is half shading, which stays, and half the lips' own uneven colour (a lighter
    lower lip), which lipstick covers: its square root is kept.
    """
    lightness = np.maximum(c.base[layer.at][..., 0], np.float32(1.0))
    weight = layer.alpha + np.float32(1e-3)
    both = blur(np.stack([lightness * weight, weight], axis=2), 3.0 * c.unit)
    local = both[..., 0] / both[..., 1]
    broad = np.sqrt(np.clip(local / np.float32(max(own, 6.0)), 0.15, 4.0))
    return broad, lightness / local


def _finish(ratio: Floats, finish: str) -> Floats:
    """How a finish changes the fine light and dark of the lips."""
    above = np.maximum(ratio - np.float32(1.0), np.float32(0.0))
    below = np.minimum(ratio, np.float32(1.0))
    gain = {"matte": 0.5, "satin": 1.0, "gloss": 1.4}[finish]
    shaped: Floats = below + np.float32(gain) * above
    return shaped


def _lip_gate(c: Canvas, layer: Layer, own: Floats) -> Floats:
    """Keep lipstick off moustaches, fingers, microphones and teeth."""
    low = c.low[layer.at]
    gap = (low - own) / vector(30.0, 13.0, 13.0)
    gap[..., 0] = np.where(gap[..., 0] < 0, gap[..., 0] * np.float32(1.15), gap[..., 0])
    distance = np.einsum("hwc,hwc->hw", gap, gap)
    gate = smoothstep(3.2, 1.0, distance)
    # The whole mouth may be covered: lips are never much lighter, darker or greener than skin.
    covered = max(
        abs(float(own[0] - c.skin[0]) + 8.0) / 34.0, (float(c.skin[1] - own[1])) / 12.0, 0.0
    )
    return gate * np.float32(ramp(1.25, 0.9, covered))


def _rim(alpha: Floats, width: float) -> Floats:
    """The outer edge of a mask."""
    inside = smoothstep(0.5, 0.98, blur(alpha, width))
    return alpha * (1 - inside)
