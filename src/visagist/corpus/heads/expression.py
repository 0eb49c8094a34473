"""What a face does: weights of MakeHuman's expression units and where the eyes look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Expression:
    """A facial expression.

    Attributes:
        name: ``neutral``, ``smile``, ``open smile`` and so on; for reports.
        units: weight 0..1 of each expression unit, by its name without ``.target.gz``.
        gaze: degrees that the eyes turn to the person's left and up.
    """

    name: str = "neutral"
    units: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    gaze: tuple[float, float] = (0.0, 0.0)
