"""A rendered person's geometry: what to draw, and where the 478 mesh points truly are.

Model space is MakeHuman's, moved: decimetres, x to the person's left, y up, z out of the face; the
origin is midway between the centres of the eyeballs. Triangles wind counter-clockwise seen from
outside. Texture coordinates have their origin at the picture's lower left, as in OBJ files.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.heads.assets import (
    BaseMesh,
    DrawList,
    HeadAssets,
    base_mesh,
    draw_list,
    normals,
)
from visagist.corpus.heads.correspondence import mesh_points
from visagist.corpus.heads.expression import Expression
from visagist.corpus.heads.loops import lip_triangles, mouth_triangles
from visagist.corpus.heads.moving import expressed
from visagist.corpus.heads.shape import HeadShape
from visagist.face.parts import Part

Alpha = Literal["opaque", "cutout", "blend"]
# Helper vertices of the eyeballs, the right eye's first; each is a sphere in the base mesh.
_EYES = (slice(14670, 14742), slice(14598, 14670))
# The skin is drawn down to the chest and out to the elbows, beyond any picture of a face.
_LOWEST, _WIDEST = 3.2, 3.4


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """Everything that decides a head's geometry and its textures.

    The names are those of the assets folder without endings; an empty name leaves that part out.

    Attributes:
        shape: the person's build and face.
        expression: what the face does, gaze included.
        skin: picture of ``skins_512`` or ``skins_2048``: ``young_lightskinned_male_diffuse``.
        iris: picture of ``eyes``, such as ``brown_eye``.
        hair: folder of ``hair``, such as ``bob01``.
        brows: folder of ``eyebrows``.
        lashes: folder of ``eyelashes``.
        teeth: folder of ``teeth``.
        tongue: folder of ``tongue``.
    """

    shape: HeadShape
    expression: Expression
    skin: str = ""
    iris: str = ""
    hair: str = ""
    brows: str = ""
    lashes: str = ""
    teeth: str = "teeth_base"
    tongue: str = "tongue01"


@dataclass(frozen=True, slots=True)
class Surface:
    """One drawable mesh.

    Attributes:
        name: ``skin``, ``eyes``, ``teeth``, ``tongue``, ``brows``, ``lashes`` or ``hair``.
        vertices: (V, 3) float32 in model space.
        normals: (V, 3) float32, unit length, outward.
        uv: (V, 2) float32; vertices on a seam are doubled.
        triangles: (T, 3) int32.
        parts: (T,) uint8, each triangle's :class:`~visagist.face.parts.Part`: the skin's mesh also
            holds the lips and the inside of the mouth.
        texture: the RGB or RGBA picture, or ``None`` where the assets have none.
        alpha: ``opaque``; ``cutout``, where the texture's alpha decides what is there (labels:
            above one half) and both sides show; or ``blend``, soft edges that need drawing last.
    """

    name: str
    vertices: NDArray[np.float32]
    normals: NDArray[np.float32]
    uv: NDArray[np.float32]
    triangles: NDArray[np.int32]
    parts: NDArray[np.uint8]
    texture: Path | None
    alpha: Alpha


@dataclass(frozen=True, slots=True)
class HeadGeometry:
    """A head ready to be drawn.

    Attributes:
        surfaces: opaque ones first, then cut out, then blended: the order to draw them in.
        points: (478, 3) float32 true mesh points in model space, the irises with the gaze.
        eye_centres: (2, 3) float32 centres of the right and the left eyeball.
        eye_radius: radius of the eyeballs.
    """

    surfaces: tuple[Surface, ...]
    points: NDArray[np.float32]
    eye_centres: NDArray[np.float32]
    eye_radius: float

    def surface(self, name: str) -> Surface | None:
        """The surface of this name, or ``None``."""
        return next((one for one in self.surfaces if one.name == name), None)


def build_head(spec: HeadSpec, assets: HeadAssets | None = None) -> HeadGeometry:
    """Build a head.

    Args:
        spec: what decides it.
        assets: hair, brows, teeth, eyes and textures; without them there is only skin.

    Returns:
        The geometry, about its own origin; see the module for the axes.

    Raises:
        MissingExtraError: the base mesh is not installed.
        DataError: an asset or target does not exist or is damaged.
    """
    body = shaped(spec)
    surfaces = [_skin(body.vertices, spec, assets)]
    if assets is not None:
        surfaces += _proxies(body, spec, assets)
    turn = gaze_matrix(spec.expression.gaze)
    points = mesh_points(body.vertices, body.eye_centres, body.eye_radius, turn)
    return HeadGeometry(tuple(surfaces), points, body.eye_centres, body.eye_radius)


@dataclass(frozen=True, slots=True)
class Body:
    """The base mesh, helpers included, as a person's with an expression, in model space.

    Attributes:
        vertices: (19158, 3) float32.
        eye_centres: (2, 3) float32 of the right and the left eyeball.
        eye_radius: of both.
    """

    vertices: NDArray[np.float32]
    eye_centres: NDArray[np.float32]
    eye_radius: float


def shaped(spec: HeadSpec) -> Body:
    """The base mesh with a person's shape and expression.

    Raises:
        MissingExtraError: the base mesh is not installed.
        DataError: a target does not exist or is damaged.
    """
    base = base_mesh()
    built = base.moved(spec.shape.targets())
    centres = np.stack([_centre(built[eye]) for eye in _EYES])
    radius = float(np.linalg.norm(built[_EYES[0]] - centres[0], axis=1).mean())
    vertices = expressed(base, built, spec.expression)
    for eye in _EYES:  # the units shift the eyeballs; they are turned instead
        vertices[eye] = built[eye]
    origin = centres.mean(0)
    return Body(vertices - origin, centres - origin, radius)


def _centre(sphere: NDArray[np.float32]) -> NDArray[np.float32]:
    """The middle of an eyeball's bounding box: its rings are symmetric, their density is not."""
    return np.asarray((sphere.min(0) + sphere.max(0)) / 2)


@cache
def _skin_list(base: BaseMesh) -> tuple[DrawList, NDArray[np.uint8]]:
    """The triangles of the body that are drawn, and the part of each."""
    corners = base.vertices[base.mesh.triangles]
    inside = (corners[..., 1].min(1) > _LOWEST) & (np.abs(corners[..., 0]).max(1) < _WIDEST)
    keep = base.triangles_of("body") & inside
    parts = np.full(len(keep), Part.SKIN, np.uint8)
    parts[lip_triangles(base)] = Part.LIPS
    parts[mouth_triangles(base)] = Part.MOUTH
    return draw_list(base.mesh, keep), parts[keep]


def _skin(vertices: NDArray[np.float32], spec: HeadSpec, assets: HeadAssets | None) -> Surface:
    draw, parts = _skin_list(base_mesh())
    texture = assets.skin(spec.skin) if assets is not None and spec.skin else None
    return _surface("skin", vertices, draw, parts, texture, "opaque")


def _proxies(body: Body, spec: HeadSpec, assets: HeadAssets) -> list[Surface]:
    """Eyes, teeth, tongue, hair, brows and lashes, in the order to draw them."""
    eyes = assets.proxy("eyes", "high-poly")
    turned = _turn(eyes.fit.apply(body.vertices), body.eye_centres, spec.expression.gaze)
    iris = assets.iris(spec.iris) if spec.iris else None
    surfaces = [_surface("eyes", turned, eyes.draw, Part.EYES, iris, "opaque")]
    rest: tuple[tuple[str, str, str, Part, Alpha], ...] = (
        ("teeth", "teeth", spec.teeth, Part.MOUTH, "opaque"),
        ("tongue", "tongue", spec.tongue, Part.MOUTH, "opaque"),
        ("hair", "hair", spec.hair, Part.HAIR, "cutout"),
        ("brows", "eyebrows", spec.brows, Part.BROWS, "blend"),
        ("lashes", "eyelashes", spec.lashes, Part.EYES, "blend"),
    )
    for name, kind, asset, part, alpha in rest:
        if asset:
            proxy = assets.proxy(kind, asset)
            fitted = proxy.fit.apply(body.vertices)
            surfaces.append(_surface(name, fitted, proxy.draw, part, proxy.texture, alpha))
    return surfaces


def _turn(
    eyes: NDArray[np.float32], centres: NDArray[np.float32], gaze: tuple[float, float]
) -> NDArray[np.float32]:
    """Turn both eyeballs about their own centres."""
    own = centres[(eyes[:, 0] > 0).astype(int)]
    return np.asarray((eyes - own) @ gaze_matrix(gaze).T + own, np.float32)


def gaze_matrix(gaze: tuple[float, float]) -> NDArray[np.float32]:
    """(3, 3) rotation that turns +z by degrees to the person's left (+x) and up (+y)."""
    side, up = np.radians(gaze)
    c, s = np.cos(side), np.sin(side)
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    c, s = np.cos(up), np.sin(up)
    return np.asarray(turn @ np.array([[1, 0, 0], [0, c, s], [0, -s, c]]), np.float32)


def _surface(  # noqa: PLR0917 - every field of a surface
    name: str,
    vertices: NDArray[np.float32],
    draw: DrawList,
    parts: Part | NDArray[np.uint8],
    texture: Path | None,
    alpha: Alpha,
) -> Surface:
    each = np.full(len(draw.triangles), parts, np.uint8) if isinstance(parts, Part) else parts
    return Surface(
        name,
        vertices[draw.sources],
        normals(vertices, draw),
        draw.uv,
        draw.triangles,
        each,
        texture,
        alpha,
    )
