"""A rendered person's geometry: what to draw, and where the 478 mesh points truly are.

Model space is MakeHuman's, moved: decimetres, x to the person's left, y up, z out of the face; the
origin is midway between the centres of the eyeballs. Triangles wind counter-clockwise seen from
outside. Texture coordinates have their origin at the picture's lower left, as in OBJ files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.heads.expression import Expression
from visagist.corpus.heads.shape import HeadShape

Alpha = Literal["opaque", "cutout", "blend"]


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """Everything that decides a head's geometry and its textures.

    The names are those of the assets folder without endings; an empty name leaves that part out.

    Attributes:
        shape: the person's build and face.
        expression: what the face does, gaze included.
        skin: picture of ``skins_512`` or ``skins_2048``, such as ``young_lightskinned_male_diffuse``.
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
        name: ``skin``, ``eye_left``, ``eye_right``, ``teeth``, ``tongue``, ``brows``, ``lashes``
            or ``hair``.
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
