"""Edits that leave a person who they are: what is worn, expression, gaze, light, hair's colour."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from visagist.corpus.blends.change import Change, changed
from visagist.corpus.blends.expression import CLOSED, mouth_open, units
from visagist.corpus.blends.light import Light, multiplied, shading_change
from visagist.corpus.blends.posing import posed_like
from visagist.corpus.blends.warp import sample, warp
from visagist.face.parser import overlays
from visagist.face.parser.overlays import Canvas, Overlay
from visagist.face.regions import face_scale, region_masks
from visagist.face.topology import canonical_points
from visagist.swap.shape import EYES, eye_opening
from visagist.swap.triplets.faces import Face, Floats, Picture

_LEAST_OPENING = 0.14
"""Gap of the lids over their width below which a gaze cannot be seen."""


def _canvas(face: Face) -> Canvas:
    masks = region_masks(face.mesh, face.size)
    sure = masks.skin > 0.8
    skin = np.median(face.image[sure], 0) if sure.any() else np.full(3, 128.0)
    return Canvas(face.mesh, face.size, skin.astype(np.float32), (face.image,))


def _worn(random: np.random.Generator, face: Face, things: list[Overlay], name: str) -> Face:
    labels = np.zeros(face.image.shape[:2], np.uint8)
    image, _ = overlays.compose(face.image, labels, things, random)
    if face.grey:
        image = np.repeat(np.rint(image.mean(2, keepdims=True)), 3, 2).astype(np.uint8)
    return face.edited(image, face.mesh, name)


def glasses(random: np.random.Generator, face: Face) -> Face | None:
    """Glasses or sunglasses; none where something covers the eyes already."""
    eyes = region_masks(face.mesh, face.size).lids
    if float((eyes * (1 - face.free)).sum()) > 0.12 * float(eyes.sum()):
        return None
    things = overlays.glasses(_canvas(face), random)
    x, y = (int(v) for v in np.clip(face.mesh[468, :2], 0, face.size - 1))
    dark = len(things) > 1 and float(things[0].alpha[y, x]) > 0.5
    return _worn(random, face, things, "sunglasses" if dark else "glasses")


def hair(random: np.random.Generator, face: Face) -> Face | None:
    """Locks over forehead, temples and cheeks."""
    return _worn(random, face, overlays.strands(_canvas(face), random), "hair")


def occluder(random: np.random.Generator, face: Face) -> Face | None:
    """A hand, a cup, a microphone, a mask, or anything."""
    kinds: dict[str, Callable[[Canvas, np.random.Generator], Overlay]]
    kinds = {
        "hand": overlays.hand,
        "mask": overlays.mask,
        "thing": overlays.thing,
        "patch": overlays.patch,
    }
    name = str(random.choice(list(kinds), p=[0.35, 0.15, 0.3, 0.2]))
    return _worn(random, face, [kinds[name](_canvas(face), random)], name)


def hat(random: np.random.Generator, face: Face) -> Face | None:
    """A cap, a beanie or a scarf."""
    return _worn(random, face, [overlays.hat(_canvas(face), random)], "hat")


def _expressed(
    random: np.random.Generator, face: Face, ranges: Mapping[str, tuple[float, float]], name: str
) -> Face:
    weights = {unit: float(random.uniform(*limits)) for unit, limits in ranges.items()}
    return face.edited(*changed(face.image, face.mesh, Change(expression=weights)), name)


def smile(random: np.random.Generator, face: Face) -> Face | None:
    """A smile, or less of one where there are teeth to be seen."""
    if mouth_open(face.mesh) < CLOSED:
        ranges = {"mouthSmile": (0.5, 1.0), "cheekSquint": (0.2, 0.6), "eyeSquint": (0.1, 0.4)}
        return _expressed(random, face, ranges, "smile")
    low, high = ((0.25, 0.5), (-0.5, -0.25))[int(random.random() < 0.5)]
    return _expressed(random, face, {"mouthSmile": (min(low, high), max(low, high))}, "smile")


def brows(random: np.random.Generator, face: Face) -> Face | None:
    """Brows up or down."""
    if random.random() < 0.5:
        return _expressed(
            random, face, {"browInnerUp": (0.5, 1.0), "browOuterUp": (0.5, 1.0)}, "brows_up"
        )
    return _expressed(random, face, {"browDown": (0.5, 1.0), "eyeSquint": (0.1, 0.4)}, "brows_down")


def mouth_opened(random: np.random.Generator, face: Face) -> Face | None:
    """The jaw drops; what was between closed lips is painted: dark, with a row of teeth."""
    shut = mouth_open(face.mesh) < CLOSED
    if float(face.free[_rows(face.mesh[[13, 14, 61, 291]], face.size)].mean()) < 0.9:
        return None
    if not shut:
        return _expressed(random, face, {"jawOpen": (0.08, 0.22)}, "mouth_open")
    weight = float(random.uniform(0.16, 0.5))
    front = canonical_points()
    move = weight * units()["jawOpen"]
    goal = (face.mesh + posed_like(front + move, face.mesh, front)
            - posed_like(front, face.mesh)).astype(np.float32)  # fmt: skip
    image = warp(face.image, face.mesh, goal)
    image = multiplied(image, shading_change(face.mesh, goal, face.size))
    return face.edited(_painted_mouth(random, image, goal, face), goal, "mouth_open")


def _rows(points: Floats, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of points, inside the picture."""
    at = np.clip(points[:, :2].astype(int), 0, size - 1)
    return at[:, 1], at[:, 0]


def _painted_mouth(
    random: np.random.Generator,
    image: Picture,
    mesh: Floats,
    face: Face,
) -> Picture:
    """What an open mouth shows: darkness, upper teeth, maybe the tongue."""
    size, unit = face.size, face_scale(mesh)
    masks = region_masks(mesh, size)
    mouth = cv2.GaussianBlur(masks.mouth, (0, 0), 0.6 * unit)
    sure = masks.skin > 0.8
    level = float(np.median(image[sure])) / 150 if sure.any() else 1.0
    y = np.arange(size)[:, None]
    x = np.arange(size)[None, :]
    upper = np.interp(x[0], *_sorted(mesh[[78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308]]))
    gap = max(float(mesh[14, 1] - mesh[13, 1]), 1.0)
    below = (y - upper[None, :]) / gap
    inside = np.array([62, 22, 20], np.float32) * level
    picture: NDArray[np.floating] = (
        np.broadcast_to(inside, image.shape) * (1 - 0.45 * np.clip(below, 0, 1))[..., None]
    )
    tall = random.uniform(0.2, 0.42) if random.random() < 0.8 else 0.0
    ivory = np.array([222, 212, 196], np.float32) * np.clip(level, 0.3, 1.1) * 0.86
    middle, wide = float(mesh[13, 0]), float(abs(mesh[308, 0] - mesh[78, 0])) / 2
    round_ = np.clip(1 - ((x - middle) / max(wide, 1)) ** 2, 0, 1)
    teeth = np.clip((tall * round_ - below) * gap / (0.8 * unit) + 0.5, 0, 1) * (tall > 0)
    lines = 0.9 + 0.1 * np.abs(np.cos((x - middle) / max(wide, 1) * 3.2 * np.pi)) ** 0.3
    shaded = ivory * (lines * (0.55 + 0.45 * round_))[..., None]
    picture = picture + (shaded - picture) * teeth[..., None]
    if random.random() < 0.6:
        tongue = np.clip((below - 0.68) * 4, 0, 1) * round_
        pink = np.array([150, 72, 70], np.float32) * level * 0.75
        picture = picture + (pink - picture) * (0.8 * tongue)[..., None]
    if face.grey:
        picture = np.repeat(picture.mean(2, keepdims=True), 3, 2)
    mixed = image + (picture - image) * mouth[..., None]
    return np.asarray(np.clip(np.rint(mixed), 0, 255), np.uint8)


def _sorted(points: Floats) -> tuple[Floats, Floats]:
    order = np.argsort(points[:, 0])
    return points[order, 0], points[order, 1]


def gaze(random: np.random.Generator, face: Face) -> Face | None:
    """The irises move within the lids."""
    if (
        min(eye_opening(face.mesh)) < _LEAST_OPENING
        or float(face.free[_rows(face.mesh[[468, 473]], face.size)].min()) < 0.9
    ):
        return None
    size = face.size
    line = np.arange(size, dtype=np.float32) + np.float32(0.5)
    where = np.stack(np.broadcast_arrays(line[None, :], line[:, None]), 2).copy()
    width = float(np.hypot(*(face.mesh[33, :2] - face.mesh[133, :2])))
    turn = random.uniform(0.1, 0.2) * width * (1 if random.random() < 0.5 else -1)
    shift = np.array([turn, random.uniform(-0.05, 0.05) * width], np.float32)
    mesh = face.mesh.copy()
    for lids, iris in EYES:
        hull = np.asarray(cv2.convexHull(face.mesh[list(lids), :2].astype(np.float32)))
        mask = np.zeros((size, size), np.uint8)
        cv2.fillConvexPoly(mask, np.rint((hull - 0.5) * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
        # the whites stretch towards the corners, the lids stay
        inside = cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 5)
        weight = np.clip(inside / max(0.45 * float(inside.max()), 0.5), 0, 1)
        weight = cv2.GaussianBlur(weight.astype(np.float32), (0, 0), 0.5 * face.unit)
        where -= weight[..., None] * shift
        mesh[list(iris), :2] += shift
    return face.edited(sample(face.image, where.astype(np.float32)), mesh, "gaze")


def light(random: np.random.Generator, face: Face) -> Face | None:
    """Light from another side, another exposure, warmer or cooler."""
    angle, length = random.uniform(0, 2 * np.pi), random.uniform(0.2, 0.55)
    white = 0.0 if face.grey else 0.25
    lamp = Light(
        towards=(float(length * np.cos(angle)), float(length * np.sin(angle)), 0.0),
        rim=float(random.uniform(-0.3, 0.15)),
        stops=float(random.uniform(-0.6, 0.5)),
        warmth=float(random.uniform(-white, white)),
        tint=float(random.uniform(-white, white) / 2),
    )
    return face.edited(*changed(face.image, face.mesh, Change(light=lamp)), "light")


def hair_colour(random: np.random.Generator, face: Face) -> Face | None:
    """The hair in another natural colour; none where there is hardly any."""
    where = np.clip(face.shares["hair"] * 1.4 - 0.2, 0, 1)
    brow = region_masks(face.mesh, face.size).brows
    where = np.maximum(where * (1 - brow), 0)
    if float((where > 0.5).mean()) < 0.02 or face.grey:
        return None
    scaled = face.image.astype(np.float32) * np.float32(1 / 255)
    lab = cv2.cvtColor(scaled, cv2.COLOR_RGB2LAB)
    now = np.median(lab[where > 0.5], 0)
    # L*, a*, b* of black, brown, chestnut, red, blond, grey, white hair
    natural = ((14, 1, 1), (26, 5, 8), (32, 12, 14), (38, 22, 24), (62, 7, 26), (55, 0, 2),
               (78, 0, 4))  # fmt: skip
    choices = [c for c in natural if abs(c[0] - now[0]) + abs(c[1] - now[1]) > 10]
    goal = np.array(choices[int(random.integers(len(choices)))], np.float32)
    goal[0] = np.clip(goal[0], now[0] - 30, now[0] + 22)  # dark hair shows no light strands
    ratio = np.clip(lab[..., :1] / max(float(now[0]), 4.0), 0, 2.2)
    lightness = np.clip(goal[0] * (0.35 + 0.65 * ratio), 0, 97)
    hue = lab[..., 1:] * 0.25 + goal[1:] * np.clip(ratio, 0.4, 1.3)
    new = np.concatenate([lightness, hue], 2)
    soft = cv2.GaussianBlur(where, (0, 0), 1.5 * face.unit)[..., None]
    image = cv2.cvtColor((lab + (new - lab) * soft).astype(np.float32), cv2.COLOR_LAB2RGB) * 255
    return face.edited(np.clip(np.rint(image), 0, 255).astype(np.uint8), face.mesh, "hair_colour")


Edit = Callable[[np.random.Generator, Face], Face | None]
EDITS: dict[str, Edit] = {
    "glasses": glasses,
    "hair": hair,
    "occluder": occluder,
    "hat": hat,
    "smile": smile,
    "mouth_open": mouth_opened,
    "brows": brows,
    "gaze": gaze,
    "light": light,
    "hair_colour": hair_colour,
}
"""By the names of :data:`~visagist.swap.triplets.config.AttributeEdit`."""
SAME_PIXELS = frozenset({"smile", "mouth_open", "brows_up", "brows_down", "gaze", "light"})
"""Edits that leave the recogniser all of the face to see."""
