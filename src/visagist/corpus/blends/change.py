"""Another picture of a face: expression, pose and light changed in one resampling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.blends.expression import CLOSED, expressed, mouth_open
from visagist.corpus.blends.light import (
    Light,
    multiplied,
    normal_map,
    shading_change,
    shading_ratio,
)
from visagist.corpus.blends.pose import turned
from visagist.corpus.blends.warp import warp

Floats = NDArray[np.float32]

# Ranges of weights. Closed lips can smile, frown and purse; between open ones there are only the
# teeth that the picture has, so they move less, both ways.
_CLOSED_MOUTH: tuple[Mapping[str, tuple[float, float]], ...] = (
    {"mouthSmile": (0.35, 0.85), "cheekSquint": (0.1, 0.5)},
    {"mouthFrown": (0.3, 0.8)},
    {"mouthPucker": (0.2, 0.6)},
    {"mouthPress": (0.2, 0.5), "mouthStretch": (0.0, 0.4)},
)
_OPEN_MOUTH: tuple[Mapping[str, tuple[float, float]], ...] = (
    {"mouthSmile": (0.2, 0.45), "cheekSquint": (0.1, 0.4)},
    {"mouthSmile": (-0.45, -0.2)},
    {"jawOpen": (0.03, 0.1), "mouthUpperUp": (0.0, 0.3)},
    {"mouthPucker": (0.15, 0.4)},
)
_EYES_AND_BROWS: tuple[Mapping[str, tuple[float, float]], ...] = (
    {"browInnerUp": (0.3, 0.9), "browOuterUp": (0.3, 0.9), "eyeWide": (0.0, 0.5)},
    {"browDown": (0.3, 0.9), "eyeSquint": (0.0, 0.4)},
    {"eyeSquint": (0.2, 0.7), "cheekSquint": (0.1, 0.5)},
    {"eyeBlink": (0.1, 0.4)},
    {"browInnerUp": (0.4, 0.9)},
    {},
)
_ROLL, _STOPS, _WHITE = 4.0, 0.45, 0.16  # half ranges of what always varies


@dataclass(frozen=True, slots=True)
class Change:
    """What differs between two pictures of a face.

    Attributes:
        expression: weights added, of :data:`~visagist.corpus.blends.expression.UNITS`.
        yaw: degrees to the image's right.
        pitch: degrees up.
        roll: degrees clockwise in the picture.
        light: the light.
    """

    expression: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    light: Light = field(default_factory=Light)

    def facts(self) -> dict[str, object]:
        """The change as JSON."""
        angles = {"yaw": self.yaw, "pitch": self.pitch, "roll": self.roll}
        return {"expression": dict(self.expression), **angles, "light": asdict(self.light)}


def draw_change(
    random: np.random.Generator,
    mesh: NDArray[np.floating],
    *,
    max_turn: float,
    max_light: float,
    grey: bool = False,
) -> Change:
    """A change that the picture can bear.

    Args:
        random: draws it.
        mesh: (478, 3) of the face: a closed mouth stays closed.
        max_turn: degrees of yaw and pitch.
        max_light: relative change of light across the face.
        grey: the picture has no colour and shall stay so.
    """
    white = 0.0 if grey else _WHITE
    mouths = _CLOSED_MOUTH if mouth_open(mesh) < CLOSED else _OPEN_MOUTH
    weights: dict[str, float] = {}
    for choices in (mouths, _EYES_AND_BROWS):
        ranges = choices[int(random.integers(len(choices)))]
        for name, (low, high) in ranges.items():
            weights[name] = max(weights.get(name, 0.0), _rounded(random.uniform(low, high)))
            if high <= 0:
                weights[name] = _rounded(random.uniform(low, high))
    angle, length = random.uniform(0, 2 * np.pi), max_light * np.sqrt(random.uniform())
    return Change(
        expression=weights,
        yaw=_rounded(random.uniform(-max_turn, max_turn)),
        pitch=_rounded(random.uniform(-max_turn, max_turn)),
        roll=_rounded(random.uniform(-_ROLL, _ROLL)),
        light=Light(
            towards=(_rounded(length * np.cos(angle)), _rounded(length * np.sin(angle)), 0.0),
            rim=_rounded(random.uniform(-0.3, 0.15)),
            stops=_rounded(random.uniform(-_STOPS, _STOPS)),
            warmth=_rounded(random.uniform(-white, white)),
            tint=_rounded(random.uniform(-white, white) / 2),
        ),
    )


def changed(
    image: NDArray[np.uint8], mesh: NDArray[np.floating], change: Change
) -> tuple[NDArray[np.uint8], Floats]:
    """A face changed; hair and background follow by stretching, folds are shaded.

    Args:
        image: (S, S, 3) uint8 crop.
        mesh: (478, 3) of the face in it.
        change: what to change.

    Returns:
        The picture and its mesh.
    """
    size = image.shape[0]
    angles = {"yaw": change.yaw, "pitch": change.pitch, "roll": change.roll}
    rest = turned(mesh, **angles)
    goal = turned(expressed(mesh, change.expression), **angles)
    moved = warp(image, mesh, goal)
    ratio = np.ones((size, size), np.float32)
    if change.expression:
        ratio *= shading_change(rest, goal, size)
    if any(change.light.towards) or change.light.rim:
        ratio *= shading_ratio(normal_map(goal, size), change.light)
    return multiplied(moved, ratio, change.light), goal


def _rounded(value: float | np.floating) -> float:
    return round(float(value), 4)
