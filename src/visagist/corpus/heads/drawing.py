"""What the renderer is given and what it gives back; knows nothing of OpenGL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.heads.camera import Camera, Pose
from visagist.corpus.heads.light import Lighting

Floats = NDArray[np.float32]
Material = Literal["skin", "eye", "hair", "plain"]


@dataclass(frozen=True, slots=True)
class Texture:
    """A picture for the GPU, made when it is first needed and kept by its name.

    Attributes:
        name: equal names are equal pictures.
        make: gives (H, W) or (H, W, C) uint8 or float16, first row at the top.
    """

    name: str
    make: Callable[[], NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Draw:
    """One mesh and how it looks.

    Attributes:
        material: which shader.
        vertices: (V, 3) in model space.
        normals: (V, 3) unit.
        triangles: (T, 3).
        labels: (T,) Part of each triangle.
        uv: (V, 2), zeros where there is no texture.
        openness: (V,) 0..1, how much of the surroundings the vertex sees.
        values: the shader's uniforms.
        textures: the shader's pictures.
        alpha: opaque; cutout, decided by the texture; blend, drawn last without depth.
        labelled: it owns the pixels that it covers.
        shadow: it casts one.
        soft: how many triangles, from the first, have edges that are neither there nor not; of a
            cut-out surface. All of them where it is ``None``.
    """

    material: Material
    vertices: Floats
    normals: Floats
    triangles: NDArray[np.int32]
    labels: NDArray[np.uint8]
    uv: Floats | None = None
    openness: Floats | None = None
    values: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    textures: Mapping[str, Texture] = field(default_factory=lambda: MappingProxyType({}))
    alpha: Literal["opaque", "cutout", "blend"] = "opaque"
    labelled: bool = True
    shadow: bool = True
    soft: int | None = None


@dataclass(frozen=True, slots=True)
class View:
    """From where, and in which light.

    Attributes:
        pose: of the head.
        camera: the photo.
        crop: (2, 3) from photo pixels to crop pixels.
        lighting: the light.
        hat: hair over y = hat[0] + hat[1] z lies under a hat and is not drawn.
    """

    pose: Pose
    camera: Camera
    crop: NDArray[np.float64]
    lighting: Lighting
    hat: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """What was drawn, at the crop's size.

    Attributes:
        colour: (S, S, 3) float32 linear, multiplied by ``cover``.
        cover: (S, S) float32 0..1, what is not background.
        parts: (S, S) uint8 label map.
        depth: (S, S) float32 decimetres from the camera's plane, 0 where there is background.
    """

    colour: Floats
    cover: Floats
    parts: NDArray[np.uint8]
    depth: Floats
