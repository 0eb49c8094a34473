"""What a face does: weights of expression units and where the eyes look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

# Degrees that the eyes turn at weight 1 of the units with which the lids follow them: the angle
# of the eyeball's foremost point in ``eyeLookOutLeft`` and so on, at the eyeball's radius.
_LOOK_SIDE, _LOOK_UP, _LOOK_DOWN = 22.0, 11.0, 16.0


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
