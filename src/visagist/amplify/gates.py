"""Which amplified samples a student may learn from, and why the others may not.

Every gate gives a figure, and compares it with a limit that was picked on training people (see
``benchmarks/registration.py`` and docs/pairs.md): samples of the retoucher, whose truth is known,
must pass; samples with a known fault must not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from visagist.amplify.backend import CropFace, Look
from visagist.amplify.masks import changed_mask, makeup_masks
from visagist.errors import InputError
from visagist.face.identity import Judge
from visagist.photo.colour import rgb_to_lab

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

_REMEMBERED = 64
"""Faces whose own vector is kept; a chunk asks for all samples of a few faces at a time."""
REASONS = ("identity", "outside", "colour", "no_makeup", "copy")


class GateConfig(BaseModel):
    """Limits of the gates."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_cosine: float = Field(
        0.6,
        description="least cosine of the recogniser's vectors of the bare and the made-up face",
        ge=-1,
        le=1,
    )
    identity_margin: float = Field(
        0.1,
        description="how much further than the looks themselves a sample may move the vector",
        ge=0,
        le=2,
    )
    max_outside: float = Field(
        0.02, description="largest share of the change that lies outside the regions", ge=0, le=1
    )
    max_protected: float = Field(
        4.0, description="levels: 99th percentile of the change on eyeballs and inner mouth", ge=0
    )
    min_direction: float = Field(
        0.3,
        description="least cosine, in CIE Lab, of a region's mean change and that of the looks",
        ge=-1,
        le=1,
    )
    clear_change: float = Field(
        4.0, description="CIE Lab length of the looks' mean change that gives a direction", ge=0
    )
    min_amount: float = Field(
        0.25, description="least mean change over that of the looks at the same strength", ge=0
    )
    min_difference: float = Field(
        0.02,
        description="least difference of two samples of a face, over the change of the later one",
        ge=0,
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gates say about a sample.

    Attributes:
        reasons: those of ``REASONS`` that speak against it; none for a good one.
        scores: the figures, by name.
    """

    reasons: tuple[str, ...]
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Expected:
    """What the looks lead to expect of a sample; small, so that it travels to workers.

    Attributes:
        directions: unit mean change in CIE Lab of each region where the looks agree on one.
        amount: their mean absolute change in levels, over the regions.
        cosine: the least of bare and made-up face among the looks; 1 without an embedder.
    """

    directions: Mapping[str, Floats]
    amount: float
    cosine: float


def expect(looks: Sequence[Look], embed: Judge | None, config: GateConfig) -> Expected:
    """Measure the looks that a style is learned from.

    Args:
        looks: at least one.
        embed: a face embedder; must not be the one that evaluates the results.
        config: the limits.

    Raises:
        InputError: there is no look.
    """
    if not looks:
        raise InputError("the gates need at least one look to compare samples with")
    directions, amount = _of_looks(looks, config.clear_change)
    moved = [_cosine(embed, k.before, k.after, k.mesh) for k in looks] if embed else [1.0]
    return Expected(directions, amount, min(moved))


class Gates:
    """Measures samples against what the looks lead to expect.

    Args:
        expected: of :func:`expect`.
        embed: the same embedder, or none.
        config: the limits.
    """

    def __init__(self, expected: Expected, embed: Judge | None, config: GateConfig) -> None:
        self.expected, self.config, self._embed = expected, config, embed
        self._bare: dict[str, Floats] = {}

    def check(
        self,
        face: CropFace,
        made: Bytes,
        *,
        strength: float,
        earlier: Sequence[Bytes] = (),
    ) -> Verdict:
        """Measure one sample.

        Args:
            face: the bare face.
            made: (256, 256, 3) uint8, made up.
            strength: that it was asked for at.
            earlier: samples of the same face that are kept already.
        """
        change = made.astype(np.float32) - face.crop
        masks = makeup_masks(face.mesh)
        allowed = changed_mask(masks)
        scores = {
            "outside": _outside(change, allowed),
            "protected": _protected(change, allowed, face.mesh),
            "direction": self._direction(face, made, masks),
            "amount": _amount(change, allowed) / max(self.expected.amount * strength, 1e-6),
        }
        if earlier:
            nearest = min(_amount(made.astype(np.float32) - one, allowed) for one in earlier)
            scores["difference"] = nearest / max(_amount(change, allowed), 1e-6)
        if self._embed is not None:
            scores["cosine"] = float(self._bare_vector(face) @ self._embed(made, face.mesh))
        return Verdict(self._reasons(scores), {k: round(v, 4) for k, v in scores.items()})

    def _bare_vector(self, face: CropFace) -> Floats:
        """A face's own vector, which all samples of the face are compared with."""
        if self._embed is None:
            raise InputError("there is no embedder to compare identities with")
        if face.key not in self._bare:
            if len(self._bare) >= _REMEMBERED:
                self._bare.clear()
            self._bare[face.key] = self._embed(face.crop, face.mesh)
        return self._bare[face.key]

    def _reasons(self, scores: Mapping[str, float]) -> tuple[str, ...]:
        limits = self.config
        least_cosine = min(limits.min_cosine, self.expected.cosine - limits.identity_margin)
        failed = {
            "identity": scores.get("cosine", 1.0) < least_cosine,
            "outside": scores["outside"] > limits.max_outside
            or scores["protected"] > limits.max_protected,
            "colour": scores["direction"] < limits.min_direction,
            "no_makeup": scores["amount"] < limits.min_amount,
            "copy": scores.get("difference", np.inf) < limits.min_difference,
        }
        return tuple(reason for reason in REASONS if failed[reason])

    def _direction(self, face: CropFace, made: Bytes, masks: Mapping[str, Floats]) -> float:
        """The least agreement of a region's change with the looks'; 1 where none has a direction.

        A direction counts where all looks agree on it: a lipstick lighter than one mouth may be
        darker than another.
        """
        change = rgb_to_lab(made) - rgb_to_lab(face.crop)
        found = [1.0]
        for region, direction in self.expected.directions.items():
            mean = _mean(change, masks[region])
            length = float(np.linalg.norm(mean))
            if length > 1:  # shorter ones are the gate no_makeup's
                found.append(float(mean @ direction) / length)
        return min(found)


def _of_looks(looks: Sequence[Look], clear: float) -> tuple[dict[str, Floats], float]:
    """Unit mean change in Lab of each region that the looks agree on, and their mean change."""
    changes: dict[str, list[Floats]] = {}
    amounts = []
    for look in looks:
        masks = {r: m * look.valid for r, m in makeup_masks(look.mesh).items()}
        difference = rgb_to_lab(look.after) - rgb_to_lab(look.before)
        levels = look.after.astype(np.float32) - look.before
        amounts.append(_amount(levels, changed_mask(masks)))
        for region, mask in masks.items():
            changes.setdefault(region, []).append(_mean(difference, mask))
    directions = {}
    for region, found in changes.items():
        mean = np.mean(found, axis=0)
        length = float(np.linalg.norm(mean))
        agreed = all(float(one @ mean) > 0.5 * np.linalg.norm(one) * length for one in found)
        if length >= clear and agreed:
            directions[region] = np.asarray(mean / length, np.float32)
    return directions, float(np.mean(amounts))


def _mean(values: Floats, mask: Floats) -> Floats:
    total = max(float(mask.sum()), 1e-6)
    return np.asarray((values * mask[..., None]).sum((0, 1)) / total, np.float32)


def _amount(change: Floats, mask: Floats) -> float:
    return float((np.abs(change).mean(2) * mask).sum() / max(float(mask.sum()), 1e-6))


def _outside(change: Floats, allowed: Floats) -> float:
    """Share of the absolute change where no makeup may be; 0 where nothing changed."""
    size = np.abs(change).sum(2)
    total = float(size.sum())
    return float((size * (allowed <= 0)).sum()) / total if total else 0.0


def _protected(change: Floats, allowed: Floats, mesh: Floats) -> float:
    """99th percentile of the change where the face is but makeup is not: eyeballs, inner mouth."""
    x0, y0 = np.maximum(np.floor(mesh[:, :2].min(0)), 0).astype(int)
    x1, y1 = np.ceil(mesh[:, :2].max(0)).astype(int)
    hull = np.zeros(allowed.shape, bool)
    hull[y0:y1, x0:x1] = True
    # holes of the mask: not allowed, and surrounded by what is
    holes = (allowed <= 0) & hull & _enclosed(allowed > 0)
    return float(np.percentile(np.abs(change)[holes], 99)) if holes.any() else 0.0


def _enclosed(filled: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels with filled ones on all four sides."""
    left, right = (np.maximum.accumulate(f, 1) for f in (filled, filled[:, ::-1]))
    up, down = (np.maximum.accumulate(f, 0) for f in (filled, filled[::-1]))
    return np.asarray(left & right[:, ::-1] & up & down[::-1])


def _cosine(embed: Judge, one: Bytes, other: Bytes, mesh: Floats) -> float:
    return float(embed(one, mesh) @ embed(other, mesh))
