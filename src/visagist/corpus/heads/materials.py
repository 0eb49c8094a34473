"""What surfaces look like: skins in every tone, hair colours, eyes and teeth that do not glow.

Skin colour is changed in the logarithm of linear light, where more pigment is a shift: the texture
keeps its structure, and the average skin becomes the colour that was asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.heads.drawing import Draw, Material, Texture
from visagist.corpus.heads.geometry import HeadGeometry, HeadSpec, Surface
from visagist.corpus.heads.textures import (
    albedo,
    detail_texture,
    marks,
    skin_mean,
    soft_first,
    strands,
)
from visagist.errors import DataError

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SkinLook:
    """A person's skin, all of it identity.

    Attributes:
        colour: (3,) linear albedo of the average skin.
        contrast: exponent of the texture around its average.
        detail: which large skin gives pores and fine lines.
        fine: strength of that structure.
        redness: strength of blotches.
        freckles: 0..1.
        stubble: 0..1, shadow of a shaved beard.
        lips: (3,) factor of the lips' colour.
        seed: of the fine noise.
    """

    colour: tuple[float, float, float]
    contrast: float = 1.0
    detail: int = 0
    fine: float = 0.7
    redness: float = 1.0
    freckles: float = 0.0
    stubble: float = 0.0
    lips: tuple[float, float, float] = (1.0, 1.0, 1.0)
    seed: float = 0.0


@dataclass(frozen=True, slots=True)
class HairLook:
    """Hair and brows.

    Attributes:
        colour: (3,) linear albedo.
        tip: (3,) of strands that catch light or sun.
        shine: strength of the highlights.
        brows: (3,) of the brows.
    """

    colour: tuple[float, float, float]
    tip: tuple[float, float, float]
    shine: float
    brows: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Finish:
    """What changes between two pictures of a person: sweat, powder.

    Attributes:
        roughness: of the skin, 0.3 wet .. 0.6 dull.
        shine: strength of its highlights.
    """

    roughness: float = 0.45
    shine: float = 1.0


def head_draws(
    head: HeadGeometry,
    spec: HeadSpec,
    skin: SkinLook,
    hair: HairLook,
    finish: Finish,
    *,
    openness: Floats | None,
    folder: Path,
) -> list[Draw]:
    """Everything of a head that can be drawn.

    Args:
        head: the geometry.
        spec: what it was built from.
        skin: the person's skin.
        hair: the person's hair.
        finish: the skin's state.
        openness: (V,) of the skin's vertices, from :func:`openness_of`.
        folder: the assets, for the large skins' structure.
    """
    draws: list[Draw] = []
    for surface in head.surfaces:
        if surface.name == "skin":
            draws.append(
                _skin(
                    surface,
                    look=skin,
                    hair=hair,
                    finish=finish,
                    openness=openness,
                    folder=folder,
                )
            )
        elif surface.name == "eyes":
            draws.append(_eyes(surface, head, spec))
        elif surface.name in ("teeth", "tongue"):
            draws.append(_mouth(surface))
        elif surface.name == "hair":
            draws.append(_hair(surface, hair))
        else:
            draws.append(_strip(surface, hair))
    return draws


def _draw(surface: Surface, material: Material, **rest: Any) -> Draw:  # noqa: ANN401
    """A surface with the material's fields."""
    return Draw(
        material,
        surface.vertices,
        surface.normals,
        surface.triangles,
        surface.parts,
        uv=surface.uv,
        **rest,
    )


def _skin(
    surface: Surface,
    *,
    look: SkinLook,
    hair: HairLook,
    finish: Finish,
    openness: Floats | None,
    folder: Path,
) -> Draw:
    if surface.texture is None:
        raise DataError("a head needs a skin: the assets have no skins_512 and no skins_2048")
    path = surface.texture
    mean = skin_mean(path)
    beard = np.array(hair.brows) * 0.6 + np.array(look.colour) * 0.12
    return _draw(
        surface,
        material="skin",
        openness=openness,
        values={
            "gain": tuple((np.array(look.colour) / mean).tolist()),
            "mean": tuple(mean.tolist()),
            "contrast": look.contrast,
            "detail_contrast": look.fine,
            "bump": 0.03,
            "roughness": finish.roughness,
            "shine": finish.shine,
            "freckles": look.freckles,
            "stubble": look.stubble,
            "stubble_colour": tuple(beard.tolist()),
            "redness": look.redness,
            "lips": look.lips,
            "scalp": 1.0,
            "seed": look.seed,
        },
        textures={
            "albedo": Texture(f"albedo {path}", partial(albedo, path)),
            "detail": detail_texture(folder, look.detail),
            "marks": Texture("marks", marks),
        },
    )


def _eyes(surface: Surface, head: HeadGeometry, spec: HeadSpec) -> Draw:
    right, left = head.eye_centres.tolist()
    side, up = np.radians(spec.expression.gaze)
    gaze = (np.sin(side) * np.cos(up), np.sin(up), np.cos(side) * np.cos(up))
    if surface.texture is None:
        raise DataError("eyes need an iris: the assets have no eyes/*_eye.png")
    return _draw(
        surface,
        material="eye",
        values={
            "right_centre": tuple(right),
            "left_centre": tuple(left),
            "gaze": tuple(float(v) for v in gaze),
            "white": (0.80, 0.76, 0.73),
        },
        textures={"albedo": Texture(f"albedo {surface.texture}", partial(albedo, surface.texture))},
    )


def plain(**values: object) -> dict[str, object]:
    """Uniforms of the plain material; whatever is not given is matt, opaque and untextured."""
    return {
        "second": (0.0, 0.0, 0.0),
        "roughness": 0.7,
        "f0": 0.04,
        "pattern": 0.0,
        "pattern_scale": 1.0,
        "opacity": 1.0,
        "edge": (99.0, 0.0, 0.0, 0.0),
        "floor_edge": (-99.0, 0.0, 0.0, 0.0),
        "textured": 0.0,
        "both_sides": 1,
        "fade": (-9.0, -8.0, 1.0),
        **values,
    }


def _mouth(surface: Surface) -> Draw:
    teeth = surface.name == "teeth"
    if surface.texture is None:
        raise DataError(f"the assets have no picture for the {surface.name}")
    front = float(surface.vertices[:, 2].max())
    return _draw(
        surface,
        material="plain",
        values=plain(
            colour=(0.62, 0.56, 0.46) if teeth else (0.5, 0.36, 0.36),
            textured=1.0,
            roughness=0.3,
            both_sides=0,
            fade=(front - 0.5, front - 0.04, 0.03) if teeth else (front - 0.35, front, 0.1),
        ),
        textures={"albedo": Texture(f"albedo {surface.texture}", partial(albedo, surface.texture))},
        shadow=False,
    )


def _hair(surface: Surface, look: HairLook) -> Draw:
    draw = _draw(
        surface,
        "hair",
        values={
            "colour": look.colour,
            "tip": look.tip,
            "shine": look.shine,
            "spread": 1.0,
            "label_bias": 1.0,
            "depth_zero": 0.95,
        },
        textures={"strands": _strands_texture(surface)},
        alpha="cutout",
    )
    if surface.texture is None or draw.uv is None:
        return draw
    triangles, soft = soft_first(surface.texture, draw.uv, draw.triangles)
    return replace(draw, triangles=triangles, soft=soft)


def _strip(surface: Surface, look: HairLook) -> Draw:
    """Brows and lashes: strips with an alpha, over the skin."""
    brows = surface.name == "brows"
    return _draw(
        surface,
        material="hair",
        values={
            "colour": look.brows if brows else (0.012, 0.009, 0.008),
            "tip": look.brows if brows else (0.012, 0.009, 0.008),
            "shine": 0.15 if brows else 0.0,
            "spread": 0.0,
            "label_bias": 2.5,
            "depth_zero": 0.0,
        },
        textures={"strands": _strands_texture(surface)},
        alpha="blend",
        labelled=brows,
        shadow=False,
    )


def _strands_texture(surface: Surface) -> Texture:
    if surface.texture is None:
        raise DataError(f"the assets have no picture for the {surface.name}")
    return Texture(f"strands {surface.texture}", partial(strands, surface.texture))
