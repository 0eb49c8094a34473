"""What a face does: weights of expression units and where the eyes look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

# Degrees that the eyes turn at weight 1 of the units with which the lids follow them: the angle
# of the eyeball's foremost point in ``eyeLookOutLeft`` and so on, at the eyeball's radius.
_LOOK_SIDE, _LOOK_UP, _LOOK_DOWN = 22.0, 11.0, 16.0
# Range of the weight of each unit of an expression; NAME* stands for NAMELeft and NAMERight, which
# get nearly the same weight. The ranges end where the mesh breaks: the mouth's lining shows through
# the chin when the jaw drops further, full smiles of broad faces fold the cheeks.
_Ranges = Mapping[str, tuple[float, float]]
_KINDS: Mapping[str, tuple[float, _Ranges]] = {
    "neutral": (0.22, {}),
    "smile": (
        0.14,
        {"mouthSmile*": (0.2, 0.7), "cheekSquint*": (0.1, 0.5), "mouthPress*": (0.0, 0.3)},
    ),
    "open smile": (
        0.14,
        {
            "mouthSmile*": (0.3, 0.8),
            "cheekSquint*": (0.1, 0.6),
            "jawOpen": (0.05, 0.2),
            "mouthUpperUp*": (0.2, 0.7),
            "mouthLowerDown*": (0.0, 0.4),
            "eyeSquint*": (0.0, 0.5),
        },
    ),
    "laugh": (
        0.05,
        {
            "mouthSmile*": (0.4, 0.8),
            "cheekSquint*": (0.3, 0.8),
            "jawOpen": (0.25, 0.5),
            "mouthUpperUp*": (0.3, 0.8),
            "mouthLowerDown*": (0.0, 0.5),
            "eyeSquint*": (0.2, 0.9),
        },
    ),
    "talk": (
        0.12,
        {
            "jawOpen": (0.05, 0.35),
            "mouthFunnel": (0.0, 0.5),
            "mouthPucker": (0.0, 0.3),
            "mouthStretch*": (0.0, 0.4),
            "mouthLowerDown*": (0.0, 0.5),
            "mouthUpperUp*": (0.0, 0.3),
            "browInnerUp": (0.0, 0.4),
        },
    ),
    "surprise": (
        0.06,
        {
            "browInnerUp": (0.4, 1.0),
            "browOuterUp*": (0.3, 1.0),
            "eyeWide*": (0.1, 0.7),
            "jawOpen": (0.1, 0.55),
        },
    ),
    "frown": (
        0.06,
        {
            "browDown*": (0.4, 1.0),
            "mouthFrown*": (0.1, 0.7),
            "eyeSquint*": (0.0, 0.6),
            "noseSneer*": (0.0, 0.5),
        },
    ),
    "sad": (
        0.04,
        {
            "browInnerUp": (0.4, 1.0),
            "mouthFrown*": (0.3, 0.8),
            "mouthShrugLower": (0.0, 0.5),
        },
    ),
    "disgust": (
        0.02,
        {"noseSneer*": (0.4, 1.0), "mouthUpperUp*": (0.2, 0.7), "browDown*": (0.2, 0.7)},
    ),
    "blink": (0.05, {"eyeBlink*": (0.85, 1.0)}),
    "half closed": (0.03, {"eyeBlink*": (0.25, 0.7)}),
    "wink": (
        0.02,
        {"eyeBlink?": (0.85, 1.0), "cheekSquint?": (0.2, 0.8), "mouthSmile?": (0.0, 0.5)},
    ),
    "pursed": (0.03, {"mouthPucker": (0.4, 1.0), "mouthFunnel": (0.0, 0.2)}),
    "pressed": (
        0.01,
        {"mouthPress*": (0.3, 0.8), "mouthRollLower": (0.1, 0.6), "mouthRollUpper": (0.1, 0.5)},
    ),
    "askew": (0.01, {"mouthLeft": (-0.8, 0.8), "jawLeft": (-0.6, 0.6)}),
}
KINDS = tuple(_KINDS)
# What every face does a little of, whatever else it does: standard deviation, positive half only.
_IDLE = {"browInnerUp": 0.1, "browDown*": 0.1, "browOuterUp*": 0.08, "eyeSquint*": 0.08}
# Units that are each other's opposite: a negative weight of one is the other's.
_OPPOSITE = {"mouthLeft": "mouthRight", "jawLeft": "jawRight"}
_UNEVEN = 0.12  # standard deviation of a side's weight, as a share of it


@dataclass(frozen=True, slots=True)
class Expression:
    """A facial expression.

    Attributes:
        name: ``neutral``, ``smile``, ``open smile`` and so on; for reports.
        units: weight 0..1 of each of the 52 face units, named as in ARKit: ``jawOpen``.
        gaze: degrees that the eyes turn to the person's left and up.
    """

    name: str = "neutral"
    units: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    gaze: tuple[float, float] = (0.0, 0.0)

    def targets(self) -> dict[str, float]:
        """Weight of every unit, with those by which the lids follow the gaze."""
        side, up = self.gaze
        weights = dict(self.units)
        follow = {
            "eyeLookOutLeft": side / _LOOK_SIDE,
            "eyeLookInRight": side / _LOOK_SIDE,
            "eyeLookInLeft": -side / _LOOK_SIDE,
            "eyeLookOutRight": -side / _LOOK_SIDE,
            "eyeLookUpLeft": up / _LOOK_UP,
            "eyeLookUpRight": up / _LOOK_UP,
            "eyeLookDownLeft": -up / _LOOK_DOWN,
            "eyeLookDownRight": -up / _LOOK_DOWN,
        }
        for name, weight in follow.items():
            if weight > 0:
                weights[name] = weights.get(name, 0.0) + min(weight, 1.0)
        return weights


def sample_expression(random: np.random.Generator, kind: str = "") -> Expression:
    """A plausible expression.

    Args:
        random: draws it.
        kind: one of ``KINDS``; drawn by how common it is on photos when empty.
    """
    chances = np.array([_KINDS[name][0] for name in KINDS])
    kind = kind or KINDS[int(random.choice(len(KINDS), p=chances / chances.sum()))]
    units: dict[str, float] = {}
    side = "Left" if random.random() < 0.5 else "Right"
    for pattern, (low, high) in _KINDS[kind][1].items():
        _add(units, pattern.replace("?", side), float(random.uniform(low, high)), random)
    for pattern, deviation in _IDLE.items():
        _add(units, pattern, abs(float(random.normal(0.0, deviation))), random)
    gaze = (float(random.normal(0, 7)), float(random.normal(0, 4)))
    gaze = (float(np.clip(gaze[0], -20, 20)), float(np.clip(gaze[1], -12, 9)))
    return Expression(kind, MappingProxyType(units), gaze)


def _add(units: dict[str, float], pattern: str, weight: float, random: np.random.Generator) -> None:
    """Add a weight to a unit or to both of a pair."""
    names = [pattern]
    if pattern.endswith("*"):
        names = [pattern[:-1] + "Left", pattern[:-1] + "Right"]
    elif weight < 0:
        names, weight = [_OPPOSITE[pattern]], -weight
    for name in names:
        uneven = 1.0 if len(names) == 1 else 1 + _UNEVEN * float(random.normal())
        units[name] = float(np.clip(units.get(name, 0.0) + weight * uneven, 0.0, 1.0))
