"""What is behind a head: studio walls, soft noise, rooms and lights out of focus."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from visagist.corpus.heads.pixels import blur, resized

Floats = NDArray[np.float32]

KINDS = ("studio", "gradient", "noise", "room", "lights", "outdoor", "plain")
_SHARES = (0.2, 0.12, 0.14, 0.26, 0.08, 0.15, 0.05)
_WORK = 96  # blurred pictures need no more pixels


def sample_background(random: np.random.Generator) -> str:
    """A kind, by how common it is."""
    return str(random.choice(KINDS, p=_SHARES))


def background(kind: str, seed: int, size: int) -> Floats:
    """(size, size, 3) float32 linear light, 0..1; the same for the same kind and seed."""
    random = np.random.default_rng([seed, 17])
    image = {
        "studio": _studio, "gradient": _gradient, "noise": _noise, "room": _room,
        "lights": _lights, "outdoor": _outdoor, "plain": _plain,
    }[kind](random)  # fmt: skip
    return np.clip(resized(image, size), 0.0, 1.2)


def _colour(random: np.random.Generator, low: float, high: float, saturation: float) -> Floats:
    """(3,) linear colour of a luminance drawn evenly in its square root."""
    level = random.uniform(low**0.5, high**0.5) ** 2
    tint = np.exp(random.normal(0.0, saturation, 3))
    tint /= tint @ [0.2126, 0.7152, 0.0722]
    return np.asarray(level * tint, np.float32)


def _grid() -> tuple[Floats, Floats]:
    y, x = np.mgrid[0:_WORK, 0:_WORK].astype(np.float32) / (_WORK - 1)
    return x, y


def _plain(random: np.random.Generator) -> Floats:
    colour = _colour(random, 0.0, 1.0, 0.15)
    return np.broadcast_to(colour, (_WORK, _WORK, 3)).astype(np.float32)


def _studio(random: np.random.Generator) -> Floats:
    """A wall with a pool of light."""
    x, y = _grid()
    at = random.uniform((0.2, 0.1), (0.8, 0.9))
    pool = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / random.uniform(0.15, 0.9))
    wall = _colour(random, 0.02, 0.8, 0.12)
    shade = random.uniform(0.25, 0.9)
    cloth = blur(random.normal(0, 1, (_WORK, _WORK)), 9)
    light = shade + (1 - shade) * pool + random.uniform(0, 1.5) * cloth * shade
    return np.asarray(light[..., None] * wall, np.float32)


def _gradient(random: np.random.Generator) -> Floats:
    x, y = _grid()
    angle = random.uniform(0, 2 * np.pi)
    t = np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5) + 0.5
    t = np.clip(t, 0, 1)[..., None] ** random.uniform(0.6, 1.6)
    first, second = _colour(random, 0.01, 0.9, 0.22), _colour(random, 0.01, 0.9, 0.22)
    return np.asarray(first * (1 - t) + second * t, np.float32)


def _noise(random: np.random.Generator) -> Floats:
    """Soft patches of a few sizes."""
    image = np.zeros((_WORK, _WORK, 3), np.float32)
    for sigma in (24.0, 10.0, 4.0):
        layer = random.normal(0, 1, (_WORK, _WORK, 3)).astype(np.float32)
        layer = layer.mean(2, keepdims=True) * 1.5 + 0.25 * layer
        layer = blur(layer, sigma)
        image += layer / max(float(layer.std()), 1e-6) * (sigma / 24) ** 0.7
    base = _colour(random, 0.03, 0.5, 0.2)
    return np.asarray(base * np.exp(0.55 * image), np.float32)


def _room(random: np.random.Generator) -> Floats:
    """Walls, frames, shelves, doors and windows, out of focus."""
    wall = _colour(random, 0.08, 0.7, 0.12)
    image = np.broadcast_to(wall, (_WORK, _WORK, 3)).astype(np.float32).copy()
    x, _ = _grid()
    image *= (0.6 + 0.6 * np.abs(x - random.uniform(0, 1)))[..., None]
    for _ in range(int(random.integers(3, 14))):
        left, top = random.uniform(-0.2, 0.9, 2) * _WORK
        width, height = random.uniform(0.05, 0.5, 2) * _WORK
        bright = 1.4 if random.random() < 0.15 else 0.6
        box = [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]
        turn = random.normal(0, 0.03)
        corners = np.array([(px + turn * py, py - turn * px) for px, py in box])
        colour = _colour(random, 0.01, bright, 0.2)
        cv2.fillConvexPoly(image, corners.round().astype(np.int32), colour.tolist())
    if random.random() < 0.4:  # rows of books or bottles
        top = int(random.uniform(0, 0.8) * _WORK)
        height, column = int(random.uniform(0.08, 0.2) * _WORK), 0
        while column < _WORK:
            width = int(random.integers(2, 8))
            image[top : top + height, column : column + width] = _colour(random, 0.01, 0.5, 0.5)
            column += width
    return blur(image, random.uniform(0.6, 5.0))


def _lights(random: np.random.Generator) -> Floats:
    """A night with lamps out of focus."""
    image = np.broadcast_to(_colour(random, 0.004, 0.06, 0.3), (_WORK, _WORK, 3)).astype(np.float32)
    image = image.copy()
    radius = random.uniform(2, 8)
    for _ in range(int(random.integers(5, 40))):
        spot = np.zeros_like(image)
        centre = random.uniform(0, _WORK, 2).round().astype(int).tolist()
        colour = _colour(random, 0.05, 0.7, 0.5).tolist()
        cv2.circle(
            spot, centre, max(int(radius * random.uniform(0.7, 1.2)), 1), colour, -1, cv2.LINE_AA
        )
        image += spot
    return blur(image, random.uniform(0.5, 2.0))


def _outdoor(random: np.random.Generator) -> Floats:
    """Sky over a hedge, a lawn or houses."""
    _, y = _grid()
    sky = _colour(random, 0.3, 1.0, 0.1) * np.array([0.9, 1.0, 1.2], np.float32)
    land = _colour(random, 0.02, 0.3, 0.2) * np.array([0.95, 1.1, 0.6], np.float32)
    wave = blur(random.normal(0, 1, (_WORK, _WORK)).astype(np.float32), 5)
    wave /= max(float(wave.std()), 1e-6)
    line = random.uniform(-0.2, 0.9) + 0.06 * wave
    t = np.clip((y - line) / random.uniform(0.02, 0.15) + 0.5, 0, 1)[..., None]
    leaves = random.normal(0, 1, (_WORK, _WORK)).astype(np.float32)
    leaves = blur(leaves, random.uniform(1.0, 3.0))
    leaves = np.exp(random.uniform(0.2, 0.7) * leaves / max(float(leaves.std()), 1e-6))
    image = sky * (1 - t) + land * leaves[..., None] * t
    return blur(image.astype(np.float32), random.uniform(0.8, 4.0))
