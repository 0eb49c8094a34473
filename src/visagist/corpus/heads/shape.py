"""Who a head belongs to: weights of MakeHuman's shape targets, drawn at random."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from types import MappingProxyType

RACES = ("african", "asian", "caucasian")


@dataclass(frozen=True, slots=True)
class HeadShape:
    """The build of an adult.

    Attributes:
        seed: the identity.
        male: 0 for a woman's build, 1 for a man's.
        age: 0 for a young adult of about 25 years, 1 for a very old person of about 90.
        weight: -1 for thin, 1 for heavy.
        muscle: -1 to 1.
        races: shares of the African, Asian and Caucasian build; they add up to 1.
        details: weights of face targets, by path without ending (``nose/nose-hump-incr``).
    """

    seed: int
    male: float = 0.5
    age: float = 0.0
    weight: float = 0.0
    muscle: float = 0.0
    races: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)
    details: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def targets(self) -> dict[str, float]:
        """Weight of every target, the macro targets' by the products that MakeHuman takes.

        A macro target is named after a corner of the space of builds; its weight is the share of
        each of its words. The words for children are never used.
        """
        weights = dict(self.details)
        genders = {"female": 1 - self.male, "male": self.male}
        ages = {"young": 1 - self.age, "old": self.age}
        for gender, age in product(genders, ages):
            both = genders[gender] * ages[age]
            for race, share in zip(RACES, self.races, strict=True):
                weights[f"macrodetails/{race}-{gender}-{age}"] = both * share
            for muscle, by_muscle in _thirds(self.muscle):
                for heavy, by_weight in _thirds(self.weight):
                    name = f"universal-{gender}-{age}-{muscle}muscle-{heavy}weight"
                    weights[f"macrodetails/{name}"] = both * by_muscle * by_weight
        return {name: weight for name, weight in weights.items() if weight}


def _thirds(value: float) -> Iterator[tuple[str, float]]:
    """Shares of ``min``, ``average`` and ``max`` for a value of -1..1."""
    yield "min", max(-value, 0.0)
    yield "average", 1 - abs(value)
    yield "max", max(value, 0.0)
