"""Edits that make somebody else of a face: its build, its age, its beard, the colour of its skin.

Each takes a face and gives it back changed; hair, pose, expression and light stay.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from visagist.corpus.blends.light import multiplied, shading_change
from visagist.corpus.blends.warp import warp
from visagist.face.regions import face_scale, outline, region_masks
from visagist.face.topology import FACE_OVAL, LIPS_OUTER, canonical_points, mirror_index
from visagist.face.warp import extended, interpolate, triangle_map
from visagist.swap.classical import classical_swap
from visagist.swap.shape import moved, shape_difference
from visagist.swap.triplets.faces import Face, Floats, People, Picture

_LENGTH = 42.0  # no point of the canonical face moves further than this, in its pixels
_MIDDLE = 128.0


def _levels(image: NDArray[np.floating]) -> Picture:
    """Rounded to whole levels of 0..255."""
    return np.asarray(np.clip(np.rint(image), 0, 255), np.uint8)


def _bump(points: Floats, x: float, y: float, radius: float) -> Floats:
    """(478,) weight of a place on the canonical face, and of its mirror image."""
    one = np.exp(-((points[:, 0] - x) ** 2 + (points[:, 1] - y) ** 2) / (2 * radius**2))
    other = one[mirror_index()]
    return np.asarray(np.maximum(one, other), np.float32)


def draw_build(random: np.random.Generator) -> tuple[Floats, list[str]]:
    """A random change of build, (478, 3) in canonical pixels, and what it is made of."""
    points = canonical_points()
    x, y = points[:, 0] - _MIDDLE, points[:, 1]
    side = x / 75.0
    move = np.zeros(points.shape, np.float32)
    names = list(random.choice(["fat", "jaw", "chin", "nose", "eyes", "mouth", "brows"], 7, False))
    names = names[: int(random.integers(2, 5))]
    for name in names:
        sign = -1.0 if random.random() < 0.5 else 1.0
        k = sign * random.uniform(0.6, 1.2)
        if name == "fat":
            low = np.clip((y - 120) / 60, 0, 1)
            k = k if k > 0 else 0.75 * k
            move[:, 0] += k * 13 * side * low
            move[:, 1] += k * 6 * np.clip((y - 205) / 30, 0, 1)
        elif name == "jaw":
            move[:, 0] += k * 11 * np.sign(x) * _bump(points, 72, 205, 22)
        elif name == "chin":
            weight = _bump(points, _MIDDLE, 236, 26)
            move[:, 1] += k * 9 * weight
            move[:, 0] += random.uniform(-0.12, 0.12) * x * weight
        elif name == "nose":
            weight = _bump(points, _MIDDLE, 152, 17)
            move[:, 0] += k * 0.3 * x * weight
            move[:, 1] += random.uniform(-7, 7) * weight
            move[:, 2] += random.uniform(-7, 7) * weight
        elif name == "eyes":
            for iris in (468, 473):
                centre = points[iris]
                near = np.exp(-np.square(points[:, :2] - centre[:2]).sum(1) / (2 * 17.0**2))
                offset = (points[:, :2] - centre[:2]) * near[:, None]
                move[:, :2] += k * 0.17 * offset
                move[:, 0] += random.uniform(2, 4) * sign * np.sign(centre[0] - _MIDDLE) * near
        elif name == "mouth":
            weight = _bump(points, _MIDDLE, 186, 24)
            move[:, 0] += k * 0.17 * x * weight
            move[:, 1] += random.uniform(0.1, 0.35) * sign * (y - 186) * _bump(points, 128, 186, 12)
            move[:, 1] += random.uniform(-4, 4) * weight
        else:
            weight = _bump(points, 92, 92, 20)
            move[:, 1] += k * 6 * weight
    length = np.linalg.norm(move, axis=1, keepdims=True)
    return move * np.minimum(1, _LENGTH / np.maximum(length, 1e-6)).astype(np.float32), names


def _reshaped(face: Face, move: Floats) -> tuple[Picture, Floats]:
    goal = moved(face.mesh, move)
    picture = warp(face.image, face.mesh, goal)
    return multiplied(picture, shading_change(face.mesh, goal, face.size)), goal


def shape(random: np.random.Generator, face: Face, people: People) -> Face | None:
    """Fatter, slimmer, another jaw, chin, nose, eyes, mouth or brows; several at once."""
    move, names = draw_build(random)
    return face.edited(*_reshaped(face, move), *(f"shape_{name}" for name in names))


def other_shape(random: np.random.Generator, face: Face, people: People) -> Face | None:
    """The build of somebody else, a little overdone."""
    other = people.partner(random, face)
    if other is None:
        return None
    move = shape_difference(other.mesh, face.mesh) * np.float32(random.uniform(0.9, 1.3))
    return face.edited(*_reshaped(face, move), "other_shape")


def features(random: np.random.Generator, face: Face, people: People) -> Face | None:
    """Somebody else's eyes and brows, nose, or mouth and chin; skin and outline stay."""
    other = people.partner(random, face)
    if other is None:
        return None
    swapped, _ = classical_swap(
        other.image,
        other.mesh,
        face.image,
        face.mesh,
        shape=0.0,
        source_free=other.free,
        target_free=face.free,
    )
    chosen = list(random.choice(["eyes", "nose", "mouth"], int(random.integers(1, 3)), False))
    mask = np.zeros((face.size, face.size), np.float32)
    for name in chosen:
        mask = np.maximum(mask, _place(face, name))
    soft = mask[..., None]
    mixed = face.image + (swapped.astype(np.float32) - face.image) * soft
    image = _levels(mixed)
    return face.edited(image, face.mesh, *(f"features_{name}" for name in chosen))


def _place(face: Face, name: str) -> Floats:
    """(W, W) soft mask of a feature with its surroundings."""
    points = canonical_points()
    if name == "eyes":
        rows = (points[:, 1] > 78) & (points[:, 1] < 130) & (np.abs(points[:, 0] - _MIDDLE) < 64)
    elif name == "nose":
        rows = (points[:, 1] > 112) & (points[:, 1] < 168) & (np.abs(points[:, 0] - _MIDDLE) < 24)
    else:
        rows = (points[:, 1] > 166) & (points[:, 1] < 230) & (np.abs(points[:, 0] - _MIDDLE) < 44)
    hull = np.asarray(cv2.convexHull(face.mesh[rows, :2].astype(np.float32)))
    mask = np.zeros((face.size, face.size), np.uint8)
    cv2.fillConvexPoly(mask, np.rint((hull - 0.5) * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    return np.asarray(
        cv2.GaussianBlur((mask / 255).astype(np.float32), (0, 0), 4 * face.unit), np.float32
    )


def _skin(face: Face) -> Floats:
    """(W, W) bare skin inside the face's oval, softly ended."""
    masks = region_masks(face.mesh, face.size)
    return np.asarray(masks.skin * face.free * (1 - 0.5 * masks.lids), np.float32)


def older(random: np.random.Generator, face: Face, people: People) -> Face | None:
    """Coarser skin, folds and wrinkles, bags under the eyes, paler lips and brows."""
    unit = face_scale(face.mesh)
    image, skin = face.image.astype(np.float32), _skin(face)
    strength = random.uniform(0.7, 1.3)
    fine = image - cv2.GaussianBlur(image, (0, 0), 5.0 * unit)
    grain = cv2.GaussianBlur(
        random.normal(0, 1, image.shape[:2]).astype(np.float32), (0, 0), 1.1 * unit
    )
    grain = grain * np.float32(strength * 3.0 / max(float(grain.std()), 1e-6))
    gain = np.float32(0.6 * strength)
    image = (
        image + (gain * fine.clip(-20, 20) + grain[..., None]).astype(np.float32) * skin[..., None]
    )
    folds = _folds(random, face, unit) * strength
    image *= 1 - np.clip(folds, -0.1, 0.42)[..., None] * np.array([0.9, 1.0, 1.05], np.float32)
    masks = region_masks(face.mesh, face.size)
    pale = (0.35 * strength * masks.lips + 0.5 * random.random() * masks.brows) * face.free
    grey = image.mean(2, keepdims=True) * np.float32(1.08) + 6
    image = image + (grey - image) * pale[..., None].astype(np.float32)
    return face.edited(_levels(image), face.mesh, "older")


# Mesh points along the folds of age, on the person's right: beside nose and mouth, below the eye,
# between the brows, from the mouth down; and on the forehead, across the middle.
_FOLDS: tuple[tuple[tuple[int, ...], float], ...] = (
    ((129, 203, 206, 216, 212), 0.34),
    ((226, 110, 24, 23, 22, 26), 0.22),
    ((31, 228, 229, 230, 231), 0.26),
    ((55, 107), 0.2),
    ((61, 204, 211), 0.2),
    ((130, 35, 143), 0.16),
    ((130, 226, 113), 0.14),
)
_FOREHEAD: tuple[tuple[int, ...], ...] = ((54, 68, 104, 69, 108, 151, 337, 299, 333, 298, 284),
             (63, 104, 69, 9, 299, 333, 293))  # fmt: skip


def _folds(random: np.random.Generator, face: Face, unit: float) -> Floats:
    """(W, W) relative darkening along folds, with the light ridge beside each."""
    size = face.size
    total = np.zeros((size, size), np.float32)
    mirror = mirror_index()
    lines = [(path, depth) for path, depth in _FOLDS if random.random() < 0.85]
    lines += [(tuple(int(mirror[k]) for k in path), depth) for path, depth in lines]
    lines += [(path, 0.2) for path in _FOREHEAD if random.random() < 0.7]
    for path, depth in lines:
        points = face.mesh[list(path), :2] + random.normal(0, 0.8 * unit, (len(path), 2))
        fine = np.stack([np.interp(np.linspace(0, 1, 40), np.linspace(0, 1, len(path)), c)
                         for c in points.T], 1)  # fmt: skip
        fine = np.asarray(cv2.GaussianBlur(fine.astype(np.float32), (1, 9), 0), np.float32)
        line = np.zeros((size, size), np.uint8)
        corners = np.rint((fine - 0.5) * 16).astype(np.int32)
        cv2.polylines(line, [corners], False, 255, max(1, round(1.2 * unit)), cv2.LINE_AA, 4)
        soft = (line / 255).astype(np.float32)
        dark = cv2.GaussianBlur(soft, (0, 0), random.uniform(0.9, 1.6) * unit)
        wide = cv2.GaussianBlur(soft, (0, 0), 3.5 * unit)
        level = depth * random.uniform(0.6, 1.2)
        total += level * (1.5 * dark - 1.3 * wide)
    return total * _skin(face)


def younger(random: np.random.Generator, face: Face, people: People) -> Face | None:
    """Smooth skin without folds, redder lips, and a rounder face with larger eyes."""
    unit, image = face_scale(face.mesh), face.image
    skin = _skin(face)[..., None] * np.float32(random.uniform(0.75, 1.0))
    half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    for spread in (28, 18):
        half = cv2.bilateralFilter(half, 9, spread, 4.0 * unit)
    smooth = cv2.resize(half, image.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    old = image.astype(np.float32)
    fine = old - cv2.GaussianBlur(old, (0, 0), 1.0)
    mixed = old + (smooth.astype(np.float32) + np.float32(0.4) * fine - old) * skin
    lips = region_masks(face.mesh, face.size).lips[..., None] * face.free[..., None]
    if not face.grey:
        mixed = mixed * (1 + np.array([0.04, -0.1, -0.08], np.float32) * lips)
    points = canonical_points()
    move = np.zeros(points.shape, np.float32)
    for iris in (468, 473):
        near = np.exp(-np.square(points[:, :2] - points[iris, :2]).sum(1) / (2 * 18.0**2))
        move[:, :2] += 0.15 * random.uniform(0.6, 1.2) * (
            points[:, :2] - points[iris, :2]) * near[:, None]  # fmt: skip
    move[:, 1] -= 7 * random.uniform(0.4, 1.0) * _bump(points, _MIDDLE, 236, 30)
    done = face.edited(_levels(mixed), face.mesh)
    return face.edited(*_reshaped(done, move), "younger")


_BEARDS: dict[str, tuple[tuple[float, float, float, float], ...]] = {
    # places in the canonical face: x from the middle, y, half width, half height
    "full": ((0, 170, 26, 7), (0, 216, 52, 26), (52, 190, 12, 34), (62, 160, 7, 30)),
    "goatee": ((0, 170, 24, 6), (0, 218, 24, 19), (27, 190, 7, 18)),
    "moustache": ((0, 170, 28, 7.5),),
    "jaw": ((0, 228, 40, 11), (52, 202, 12, 28), (64, 168, 7, 30)),
}


def beard(random: np.random.Generator, face: Face, people: People) -> Face | None:
    """A beard of hairs that grow downwards, from stubble to full, in a natural colour."""
    name = str(random.choice(list(_BEARDS), p=[0.45, 0.2, 0.2, 0.15]))
    size, unit = face.size, face_scale(face.mesh)
    place = _beard_mask(random, face, name)
    stubble = random.random() < 0.35
    hair = _hairs(random, size, unit, dense=not stubble)
    masks = region_masks(face.mesh, size)
    lips = outline(face.mesh, LIPS_OUTER, size, size, feather=0.8 * unit)
    place *= (1 - np.clip(1.5 * lips, 0, 1)) * face.free * (1 - masks.mouth)
    dark = float(np.exp(random.normal(np.log(0.45), 0.35)))
    colours = ((38, 29, 24), (66, 45, 32), (104, 70, 42), (140, 84, 48), (128, 124, 120))
    colour = np.array(colours[int(random.integers(len(colours)))], np.float32)
    skin = np.median(face.image[masks.skin > 0.8], 0) if (masks.skin > 0.8).any() else 128.0
    # hairs are lit as the face is, and never lighter than it
    colour = np.minimum(colour * float(np.clip(np.mean(skin) / 150, 0.35, 1.3)), 0.75 * skin)
    if face.grey:
        colour = np.full(3, colour.mean(), np.float32)
    image = face.image.astype(np.float32)
    shade = image.mean(2, keepdims=True) / max(float(np.mean(skin)), 1.0)
    tone = colour * np.clip(shade, 0.5, 1.5) * (1 + 0.35 * (hair[..., None] - 0.5))
    if stubble:
        cover = place * (0.18 + 0.5 * hair) * random.uniform(0.5, 0.9)
    else:
        cover = place * np.clip(0.45 + 0.75 * hair, 0, 1) * np.clip(1.25 - 0.3 * dark, 0.7, 1)
    image = image + (tone - image) * cover[..., None].astype(np.float32)
    label = f"beard_{'stubble' if stubble else name}"
    return face.edited(_levels(image), face.mesh, label)


def _beard_mask(random: np.random.Generator, face: Face, name: str) -> Floats:
    """(W, W) where a beard grows, 0..1, with a ragged soft edge."""
    points = canonical_points()
    weight = np.zeros(len(points), np.float32)
    for x, y, wide, high in _BEARDS[name]:
        dx, dy = np.abs(points[:, 0] - _MIDDLE) - x, points[:, 1] - y
        weight = np.maximum(weight, (dx / wide) ** 2 + (dy / high) ** 2 < 1)
    frontal = _spread(face, weight)
    unit = face_scale(face.mesh)
    noise = cv2.GaussianBlur(
        random.normal(0, 1, (face.size, face.size)).astype(np.float32), (0, 0), 2.5 * unit
    )
    noise = noise * np.float32(0.12 / max(float(noise.std()), 1e-6))
    edge = cv2.GaussianBlur(frontal, (0, 0), 3.2 * unit) + noise
    oval = outline(face.mesh, FACE_OVAL, face.size, face.size, feather=1.5 * unit)
    return np.asarray(np.clip((edge - 0.35) / 0.4, 0, 1) * oval, np.float32)


def _spread(face: Face, weight: Floats) -> Floats:
    """(W, W) a weight of mesh points over the pixels of their triangles."""
    own, _ = extended(face.mesh, face.mesh, face.size)
    values = np.zeros((len(own), 1), np.float32)
    values[:468, 0] = weight[:468]
    shown = triangle_map(own, face.mesh[:, 2], face.size)
    return np.ascontiguousarray(interpolate(values, own, shown)[..., 0])


def _hairs(random: np.random.Generator, size: int, unit: float, *, dense: bool) -> Floats:
    """(S, S) 0..1 short strokes that hang downwards in wisps."""
    noise = random.normal(0, 1, (size, size)).astype(np.float32)
    length = max(3, round((9 if dense else 3) * unit)) | 1
    total = np.zeros((size, size), np.float32)
    for lean in (-0.35, 0.0, 0.35):
        kernel = np.zeros((length, length), np.float32)
        middle = length // 2
        for k in range(length):
            kernel[k, int(np.clip(round(middle + lean * (k - middle)), 0, length - 1))] = 1
        streak = cv2.filter2D(np.roll(noise, int(random.integers(size)), 1), -1, kernel / length)
        total = np.maximum(total, streak / max(float(streak.std()), 1e-6))
    soft = cv2.GaussianBlur(total, (0, 0), 0.45 * unit)
    return np.asarray(np.clip((soft - 0.2) / 1.6, 0, 1), np.float32)


def tone(random: np.random.Generator, face: Face, people: People) -> Face | None:
    """Another colour of the skin, of the whole of it: neck and ears, too."""
    skin = np.clip(face.shares["skin"] * 1.3 - 0.15, 0, 1)
    oval = outline(face.mesh, FACE_OVAL, face.size, face.size) * face.free
    masks = region_masks(face.mesh, face.size)
    inner = np.clip(masks.eyes + masks.mouth + 0.75 * masks.brows + 0.45 * masks.lips, 0, 1)
    where = cv2.GaussianBlur(np.maximum(skin, oval) * (1 - inner), (0, 0), 1.2 * face.unit)
    scaled = face.image.astype(np.float32) * np.float32(1 / 255)
    lab = cv2.cvtColor(scaled, cv2.COLOR_RGB2LAB)
    light = float(np.median(lab[..., 0][where > 0.8])) if (where > 0.8).any() else 60.0
    # light skins mostly get darker and dark ones lighter, so that both stay skins
    down = random.random() < np.clip((light - 30) / 45, 0.1, 0.9)
    factor = random.uniform(0.55, 0.82) if down else random.uniform(1.12, 1.32)
    factor = float(np.clip(factor, 18 / max(light, 1), 82 / max(light, 1)))
    changed = lab.copy()
    changed[..., 0] = np.clip(lab[..., 0] * factor, 0, 100)
    if not face.grey and (where > 0.8).any():
        now = np.median(lab[where > 0.8], 0)
        # towards the usual hue of skins, redder ones least
        changed[..., 1] += 0.7 * (random.uniform(9, 13) - now[1])
        changed[..., 2] += 0.6 * (random.uniform(13, 20) - now[2])
    mixed = lab + (changed - lab) * np.asarray(where, np.float32)[..., None]
    image = np.asarray(cv2.cvtColor(mixed.astype(np.float32), cv2.COLOR_LAB2RGB) * 255, np.float32)
    return face.edited(_levels(image), face.mesh, "tone")


Edit = Callable[[np.random.Generator, Face, People], Face | None]
EDITS: dict[str, Edit] = {
    "shape": shape,
    "other_shape": other_shape,
    "features": features,
    "older": older,
    "younger": younger,
    "beard": beard,
    "tone": tone,
}
"""By the names of :data:`~visagist.swap.triplets.config.IdentityEdit`."""


def with_new_face(face: Face, other: Face, *, shape: float) -> tuple[Face, NDArray[np.float32]]:
    """Somebody else's face on a picture, by the classical swap, and the share it covers."""
    image, mask = classical_swap(
        other.image,
        other.mesh,
        face.image,
        face.mesh,
        shape=shape,
        source_free=other.free,
        target_free=face.free,
    )
    goal = moved(face.mesh, shape * shape_difference(other.mesh, face.mesh))
    return face.edited(image, goal, "proxy"), mask
