"""Who a head belongs to: weights of MakeHuman's shape targets, drawn at random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class HeadShape:
    """The build of an adult.

    Attributes:
        seed: the identity.
        male: 0 for a woman's build, 1 for a man's.
        age: 0 for a young adult of about 25 years, 1 for an old person.
        weight: -1 for thin, 1 for heavy.
        muscle: -1 to 1.
        races: shares of the African, Asian and Caucasian build; they add up to 1.
        details: weights of face targets, by name without ``.target.gz``.
    """

    seed: int
    male: float = 0.5
    age: float = 0.0
    weight: float = 0.0
    muscle: float = 0.0
    races: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)
    details: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
