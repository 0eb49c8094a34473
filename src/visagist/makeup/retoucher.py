"""Render a makeup style on a face from its mesh.

The retoucher is the source of truth that the networks learn from, and a user's way to draft a
style. It works in CIE Lab on the crop itself: no texture is synthesised, every product shifts the
colours that are there. It is a pure function of its arguments.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from visagist.errors import InputError, UnknownStyleError
from visagist.face.raster import Floats
from visagist.face.regions import check_mesh
from visagist.makeup.retouch.paint import paint
from visagist.makeup.retouch.pigment import canvas
from visagist.makeup.retouch.plan import Plan, plan
from visagist.makeup.style import Style
from visagist.photo.colour import lab_to_rgb

__all__ = ["PARTS", "made_up_mask", "residual", "retouch"]

PARTS = ("lips", "eyes", "skin")


def retouch(
    crop: NDArray[np.uint8],
    mesh: NDArray[np.floating],
    style: Style,
    *,
    intensity: float = 1.0,
    strengths: Mapping[str, float] | None = None,
) -> NDArray[np.uint8]:
    """The face with makeup on.

    Args:
        crop: (H, W, 3) uint8 sRGB, any size; best the canonical crop.
        mesh: (478, 2 or 3) points in pixels of the crop.
        style: what to paint.
        intensity: 0..1, factor on the whole change; 0 gives the crop back bit for bit.
        strengths: factors 0..1 for ``lips``, ``eyes`` and ``skin``; those not named are 1.

    Returns:
        (H, W, 3) uint8, a new array.

    Raises:
        InputError: an array has the wrong shape or type, or a factor is out of range.
        UnknownStyleError: a key of ``strengths`` is not a part of the face.
        FaceError: the mesh has no extent.
    """
    change = residual(crop, mesh, style, intensity=intensity, strengths=strengths)
    change += crop
    np.rint(change, out=change)
    return np.clip(change, 0.0, 255.0).astype(np.uint8)


def residual(
    crop: NDArray[np.uint8],
    mesh: NDArray[np.floating],
    style: Style,
    *,
    intensity: float = 1.0,
    strengths: Mapping[str, float] | None = None,
) -> Floats:
    """What makeup adds to the crop, in levels of 0..255 and not rounded.

    The arguments and errors are those of :func:`retouch`. The residual is linear in ``intensity``
    and exactly zero on eyeballs, in the mouth and wherever :func:`made_up_mask` is zero.

    Returns:
        (H, W, 3) float32; ``crop + residual`` lies in 0..255 up to rounding.
    """
    _check(crop, mesh, intensity)
    factors = _strengths(strengths)
    out = np.zeros(crop.shape, np.float32)
    made = plan(mesh, style, crop.shape[:2])
    if made is None or not made.layers or intensity == 0:
        return out
    x0, y0, x1, y1 = made.window
    before = crop[y0:y1, x0:x1]
    c = canvas(before, made)
    paint(c, made, style, factors)
    touched = _reach(made) > 0
    # Only painted pixels are converted back: it is faster, and the others stay exact.
    after = lab_to_rgb(c.lab[touched]) * np.float32(255.0)
    change = out[y0:y1, x0:x1]
    weight = (made.allowed * np.float32(intensity))[touched][:, None]
    change[touched] = (after - before[touched]) * weight
    return out


def made_up_mask(mesh: NDArray[np.floating], style: Style, size: int | tuple[int, int]) -> Floats:
    """Where a style may change a face, whatever the picture shows.

    Args:
        mesh: (478, 2 or 3) points in pixels.
        style: the style.
        size: side, or (height, width), of the crop.

    Returns:
        (H, W) float32, 1 where it paints and falling to 0 over the soft edges of its products.

    Raises:
        InputError: the mesh has the wrong shape or is not finite.
        FaceError: the mesh has no extent.
    """
    check_mesh(mesh)
    shape = (size, size) if isinstance(size, int) else size
    out = np.zeros(shape, np.float32)
    made = plan(mesh, style, shape)
    if made is not None and made.layers:
        x0, y0, x1, y1 = made.window
        out[y0:y1, x0:x1] = np.clip(_reach(made) * np.float32(5.0), 0.0, 1.0)
    return out


def _reach(made: Plan) -> Floats:
    """Largest alpha of all layers on the window of the plan."""
    total = np.zeros(made.shape, np.float32)
    for layers in made.layers.values():
        for layer in layers:
            part = total[layer.at]
            np.maximum(part, layer.alpha, out=part)
    return total


def _check(crop: NDArray[np.uint8], mesh: NDArray[np.floating], intensity: float) -> None:
    if crop.dtype != np.uint8 or crop.ndim != 3 or crop.shape[2] != 3 or 0 in crop.shape:
        raise InputError(
            f"a crop is (height, width, 3) uint8, got {crop.shape} of type {crop.dtype}."
        )
    check_mesh(mesh)
    if not 0.0 <= intensity <= 1.0:
        raise InputError(f"intensity must lie between 0 and 1, not {intensity}.")


def _strengths(given: Mapping[str, float] | None) -> dict[str, float]:
    factors = dict.fromkeys(PARTS, 1.0)
    for name, value in (given or {}).items():
        if name not in factors:
            near = difflib.get_close_matches(name, PARTS, n=1, cutoff=0.3)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise UnknownStyleError(
                f"no part of the face is called {name!r}{hint} Parts: {', '.join(PARTS)}."
            )
        if not 0.0 <= value <= 1.0:
            raise InputError(f"the strength of {name} must lie between 0 and 1, not {value}.")
        factors[name] = float(value)
    return factors
