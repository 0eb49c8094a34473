"""Styles drawn at random: what the amplifier's base learns makeup in general from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from visagist.makeup.style import Style
from visagist.photo.colour import lab_to_rgb

Rng = np.random.Generator


def random_style(rng: Rng, name: str = "random") -> Style:
    """A style with about two thirds of all products, each with settings of its own.

    Colours are drawn in Lab, so that no hue is rare: two thirds near those that are sold, the rest
    from everywhere.
    """
    blocks: dict[str, dict[str, Any]] = {
        product: draw(rng) for product, (share, draw) in _PRODUCTS.items() if rng.random() < share
    }
    if not blocks:
        blocks["lips"] = _lips(rng)
    return Style.model_validate({"name": name, **blocks})


def _hex(rng: Rng, lightness: tuple[float, float], chroma: float, hue: float, spread: float) -> str:
    """A colour around a hue in degrees; a third of them from the whole circle."""
    if rng.random() < 1 / 3:
        hue, spread, chroma = rng.uniform(0, 360), 0.0, chroma * 1.1
    angle = np.deg2rad(hue + rng.normal(0, spread))
    radius = chroma * rng.uniform(0.3, 1.2)
    lab = np.array([rng.uniform(*lightness), radius * np.cos(angle), radius * np.sin(angle)])
    red, green, blue = np.rint(np.clip(lab_to_rgb(lab.astype(np.float32)), 0, 1) * 255).astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}"


def _strength(rng: Rng, least: float = 0.3) -> float:
    return float(rng.uniform(least, 1))


def _lips(rng: Rng) -> dict[str, Any]:
    block: dict[str, Any] = {
        "strength": _strength(rng, 0.5),
        "colour": _hex(rng, (22, 65), 45, 18, 25),
        "finish": str(rng.choice(["matte", "satin", "gloss"])),
        "opacity": float(rng.uniform(0.3, 1)),
    }
    if rng.random() < 0.4:
        block["liner"] = {
            "strength": _strength(rng),
            "colour": _hex(rng, (15, 45), 35, 18, 20),
            "width": float(rng.uniform(0.2, 0.5)),
        }
    return block


def _eyeshadow(rng: Rng) -> dict[str, Any]:
    hue, chroma = float(rng.uniform(0, 360)) if rng.random() < 0.5 else 50.0, rng.uniform(10, 45)
    parts = {"lid": (45, 80), "crease": (28, 60), "outer": (18, 48), "lower": (28, 65)}
    block: dict[str, Any] = {k: _hex(rng, span, chroma, hue, 20) for k, span in parts.items()}
    for part in ("lid", "crease", "outer", "lower"):
        block[f"{part}_strength"] = float(rng.uniform(0.1, 1))
    block |= {
        "strength": _strength(rng, 0.4),
        "height": float(rng.uniform(0.3, 0.8)),
        "shimmer": float(rng.uniform(0, 1)),
    }
    return block


def _eyeliner(rng: Rng) -> dict[str, Any]:
    return {
        "strength": _strength(rng, 0.5),
        "colour": _hex(rng, (4, 40), 22, 270, 60),
        "thickness": float(rng.uniform(0.03, 0.13)),
        "wing_length": float(rng.uniform(0, 0.45)) if rng.random() < 0.7 else 0.0,
        "wing_angle": float(rng.uniform(10, 40)),
        "lower": float(rng.uniform(0, 0.8)) if rng.random() < 0.4 else 0.0,
        "smudge": float(rng.uniform(0, 0.7)),
    }


def _lashes(rng: Rng) -> dict[str, Any]:
    return {
        "strength": _strength(rng),
        "colour": _hex(rng, (4, 20), 8, 40, 40),
        "length": float(rng.uniform(0.08, 0.32)),
        "lower": float(rng.uniform(0, 0.5)),
    }


def _brows(rng: Rng) -> dict[str, Any]:
    return {
        "strength": _strength(rng),
        "colour": _hex(rng, (12, 42), 14, 60, 25),
        "fill": float(rng.uniform(0, 1)),
    }


def _blush(rng: Rng) -> dict[str, Any]:
    return {
        "strength": _strength(rng),
        "colour": _hex(rng, (50, 72), 40, 25, 20),
        "placement": str(rng.choice(["apples", "cheekbones", "draped", "sunkissed"])),
        "size": float(rng.uniform(0.7, 1.4)),
    }


def _contour(rng: Rng) -> dict[str, Any]:
    return {"strength": _strength(rng), "colour": _hex(rng, (35, 55), 18, 55, 15)}


def _highlight(rng: Rng) -> dict[str, Any]:
    return {"strength": _strength(rng), "colour": _hex(rng, (88, 96), 12, 80, 40)}


def _foundation(rng: Rng) -> dict[str, Any]:
    return {
        "strength": _strength(rng),
        "evenness": float(rng.uniform(0.2, 0.9)),
        "warmth": float(rng.uniform(-0.6, 0.6)),
        "lightness": float(rng.uniform(-0.5, 0.5)),
    }


_PRODUCTS: dict[str, tuple[float, Callable[[Rng], dict[str, Any]]]] = {
    "lips": (0.85, _lips),
    "eyeshadow": (0.75, _eyeshadow),
    "eyeliner": (0.65, _eyeliner),
    "lashes": (0.6, _lashes),
    "brows": (0.6, _brows),
    "blush": (0.7, _blush),
    "contour": (0.45, _contour),
    "highlight": (0.45, _highlight),
    "foundation": (0.7, _foundation),
}
"""How often each product is worn, and how its settings are drawn."""
