"""From a style and a mesh to layers: what is painted where, before the picture is looked at."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from visagist.face.raster import Floats, smoothstep, vector
from visagist.face.regions import (
    RIGHT_BROW_OUTLINE,
    Regions,
    face_scale,
    mirrored,
    outline,
    region_masks,
)
from visagist.face.topology import FACE_OVAL
from visagist.makeup.retouch.eyes import lash_layer, liner_layer, shadow_layers
from visagist.makeup.retouch.geometry import Layer, blob, eye_frame, pair, union, window_of
from visagist.makeup.style import Blush, Style

Spot = tuple[tuple[float, float], tuple[float, float], float]

# Centre, radii and angle on the person's right side of the canonical face (256x256); mirrored.
_BLUSH: dict[str, tuple[Spot, ...]] = {
    "apples": (((82.0, 151.0), (37.0, 29.0), 20.0),),
    "cheekbones": (((71.0, 145.0), (45.0, 25.0), 30.0),),
    "draped": (((70.0, 142.0), (46.0, 25.0), 36.0), ((58.0, 117.0), (26.0, 24.0), 60.0)),
    "sunkissed": (((83.0, 147.0), (42.0, 27.0), 8.0),),
}
_CONTOUR: tuple[Spot, ...] = (
    ((67.0, 168.0), (42.0, 17.0), 34.0),  # under the cheekbone
    ((79.0, 209.0), (38.0, 15.0), 50.0),  # jaw
    ((64.0, 68.0), (22.0, 36.0), 30.0),  # temple
    ((115.0, 128.0), (6.5, 28.0), 5.0),  # side of the nose
)
_HIGHLIGHT: tuple[Spot, ...] = (
    ((65.0, 130.0), (30.0, 12.0), 32.0),  # top of the cheekbone
    ((73.0, 94.5), (19.0, 6.0), 8.0),  # brow bone
    ((108.5, 107.0), (6.5, 6.0), 0.0),  # inner corner
)
_HIGHLIGHT_MIDDLE: tuple[Spot, ...] = (
    ((128.0, 128.0), (6.0, 38.0), 0.0),  # nose bridge
    ((128.0, 169.5), (10.0, 5.5), 0.0),  # cupid's bow
    ((128.0, 72.0), (40.0, 26.0), 0.0),  # forehead
    ((128.0, 219.0), (16.0, 10.0), 0.0),  # chin
)


@dataclass(frozen=True, slots=True)
class Plan:
    """Where a style paints on one face.

    Attributes:
        window: x0, y0, x1, y1, the part of the picture that is worked on.
        mesh: (478, 2) points in window pixels.
        unit: size of the face, 1 for the canonical face in the 256x256 crop.
        regions: region masks of the window.
        allowed: window-sized; 0 on eyeballs, in the mouth and in the nostrils, 1 elsewhere.
        layers: alpha of each product, by name, without the style's strengths.
    """

    window: tuple[int, int, int, int]
    mesh: NDArray[np.float32]
    unit: float
    regions: Regions
    allowed: Floats
    layers: dict[str, list[Layer]] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the window."""
        x0, y0, x1, y1 = self.window
        return y1 - y0, x1 - x0


def plan(mesh: NDArray[np.floating], style: Style, shape: tuple[int, int]) -> Plan | None:
    """Lay out a style on a face.

    Args:
        mesh: (478, 2 or 3) points in pixels of the picture.
        style: what to paint; products of strength 0 get no layer.
        shape: (height, width) of the picture.

    Returns:
        The plan, or ``None`` when the face lies outside the picture.
    """
    unit = face_scale(mesh)
    window = window_of(np.asarray(mesh[:, :2]), 14.0 * unit, shape)
    x0, y0, x1, y1 = window
    if x1 - x0 < 2 or y1 - y0 < 2:
        return None
    points = (np.asarray(mesh[:, :2], np.float32) - vector(x0, y0)).astype(np.float32)
    size = (y1 - y0, x1 - x0)
    regions = region_masks(points, size)
    allowed = smoothstep(0.5, 0.1, regions.eyes) * smoothstep(0.5, 0.25, regions.mouth)
    made = Plan(window, points, unit, regions, allowed)
    _skin(made, style)
    _eyes(made, style)
    _lips(made, style)
    for name, layers in made.layers.items():
        made.layers[name] = [la.times(allowed) for la in layers]
    return made


def _skin(made: Plan, style: Style) -> None:
    mesh, unit, shape, layers = made.mesh, made.unit, made.shape, made.layers
    skin = np.maximum(made.regions.skin, made.regions.lids * np.float32(0.8))
    if style.foundation.strength > 0:
        # Foundation is blended out towards hairline and jaw, where its edge would show.
        edge = outline(mesh, FACE_OVAL, *shape, feather=7.0 * unit)
        layers["foundation"] = [Layer(0, 0, skin * smoothstep(0.45, 0.98, edge))]

    def on_skin(parts: list[Layer]) -> list[Layer]:
        joined = union(parts, shape)
        return [] if joined is None else [joined.times(skin)]

    if style.blush.strength > 0:
        layers["blush"] = on_skin(_blush(made, style.blush))
    if style.contour.strength > 0:
        layers["contour"] = on_skin(
            [
                la
                for c, r, a in _CONTOUR
                for la in pair(mesh, unit, shape, centre=c, radii=r, angle=a)
            ]
        )
    if style.highlight.strength > 0:
        spots = [
            la
            for c, r, a in _HIGHLIGHT
            for la in pair(mesh, unit, shape, centre=c, radii=r, angle=a)
        ]
        for c, r, a in _HIGHLIGHT_MIDDLE:
            middle = blob(mesh, unit, shape, centre=c, radii=r, angle=a)
            # Broad patches (the forehead) shine less than narrow ridges (the nose).
            spots += [] if middle is None else [middle.times(min(1.0, 8.0 / min(r) + 0.15))]
        layers["highlight"] = on_skin(spots)


def _blush(made: Plan, blush: Blush) -> list[Layer]:
    parts: list[Layer] = []
    for centre, radii, angle in _BLUSH[blush.placement]:
        grown = (radii[0] * blush.size, radii[1] * blush.size)
        parts += pair(made.mesh, made.unit, made.shape, centre=centre, radii=grown, angle=angle)
    if blush.placement == "sunkissed":
        nose = blob(
            made.mesh, made.unit, made.shape, centre=(128.0, 138.0),
            radii=(44.0 * blush.size, 18.0 * blush.size),
        )  # fmt: skip
        parts += [] if nose is None else [nose.times(0.45)]
    return parts


def _eyes(made: Plan, style: Style) -> None:
    layers = made.layers
    if style.brows.strength > 0:
        layers["brows"] = [
            Layer(y0, x0, made.regions.brows[y0:y1, x0:x1])
            for outline in (RIGHT_BROW_OUTLINE, mirrored(RIGHT_BROW_OUTLINE))
            for x0, y0, x1, y1 in (window_of(made.mesh[list(outline)], 5 * made.unit, made.shape),)
            if x1 > x0 and y1 > y0
        ]
    near = np.minimum(made.regions.skin + made.regions.lids + made.regions.brows, 1.0)
    for left in (False, True):
        eye = eye_frame(made.mesh, made.unit, left=left)
        if eye is None:
            continue
        if style.eyeshadow.strength > 0:
            for name, layer in shadow_layers(eye, style.eyeshadow, made.shape).items():
                layers.setdefault(name, []).append(layer.times(near))
        if style.eyeliner.strength > 0:
            liner = liner_layer(eye, style.eyeliner, made.shape, made.unit)
            layers.setdefault("eyeliner", []).extend([] if liner is None else [liner])
        if style.lashes.strength > 0:
            lash = lash_layer(eye, style.lashes, made.shape, made.unit)
            layers.setdefault("lashes", []).extend([] if lash is None else [lash])


def _lips(made: Plan, style: Style) -> None:
    if style.lips.strength <= 0:
        return
    mesh, unit, shape = made.mesh, made.unit, made.shape
    lips = made.regions.lips
    x0, y0, x1, y1 = window_of(mesh[_LIP_POINTS], 4.0 * unit, shape)
    if x1 <= x0 or y1 <= y0:
        return
    made.layers["lips"] = [Layer(y0, x0, lips[y0:y1, x0:x1])]
    shine = [
        blob(mesh, unit, shape, centre=(128.0, 192.5), radii=(19.0, 4.2)),
        blob(mesh, unit, shape, centre=(128.0, 176.5), radii=(9.0, 2.2)),
    ]
    made.layers["gloss"] = [la.times(lips) for la in shine if la is not None]


_LIP_POINTS = [61, 291, 0, 17, 37, 267, 84, 314, 91, 321]
