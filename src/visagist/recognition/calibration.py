"""Thresholds that keep a promise: a wanted rate of errors, with its interval, or a refusal.

A calibration holds how often strangers reach each score, measured with one model on many people,
and answers from that alone. What the people at hand cannot show is refused; see
:mod:`visagist.recognition.calibrating` for how it is made.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from visagist.errors import CalibrationError, InputError
from visagist.recognition.rates import measurable, needed_trials
from visagist.recognition.tail import Tail

Method = Literal["measured", "independence", "extrapolated"]
_MODEL_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}-[A-Za-z0-9._+-]{1,64}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold and what it promises.

    Attributes:
        value: least score of a match.
        rate: wanted FAR, or FPIR where ``gallery_size`` is given.
        interval: 95 % interval of the rate that this threshold has.
        tar: share of mated comparisons that reach it; ``None`` where none were measured.
        tar_interval: 95 % interval of that share.
        gallery_size: people in the gallery that an FPIR is for; ``None`` for a FAR.
        method: ``measured`` on comparisons of different people; ``independence``: an FPIR computed
            from a measured FAR as if the gallery's people were independent; ``extrapolated`` beyond
            the data, which promises nothing.
    """

    value: float
    rate: float
    interval: tuple[float, float]
    tar: float | None = None
    tar_interval: tuple[float, float] | None = None
    gallery_size: int | None = None
    method: Method = "measured"


class Counts(BaseModel):
    """What a calibration was made from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    people: int = Field(description="people with a picture that was used", ge=2)
    pictures: int = Field(description="pictures used", ge=2)
    mated_people: int = Field(description="people with two pictures or more", ge=0)
    genuine_pairs: int = Field(description="pairs of pictures of one person", ge=0)
    impostor_pairs: int = Field(description="pairs of pictures of two people", ge=1)
    refused: Mapping[str, int] = Field({}, description="pictures not used, by reason")

    @property
    def people_pairs(self) -> int:
        """Pairs of different people: however many pictures two people have, they are one trial."""
        return self.people * (self.people - 1) // 2


class Curve(BaseModel):
    """A rate at each of the calibration's thresholds, with its 95 % interval."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def at(self, node: int) -> tuple[float, float, float]:
        """Rate and interval at one threshold."""
        return self.rate[node], self.low[node], self.high[node]


class GalleryCurve(Curve):
    """FPIR of searches of galleries of one size."""

    gallery_size: int = Field(ge=1)


class Calibration(BaseModel):
    """How often strangers, and one person's own pictures, reach each score.

    Attributes:
        format: version of the file.
        model_id: the model whose scores these are; with any other they mean nothing.
        data: what the people are, in words.
        counts: how many they are.
        thresholds: rising; least scores of a match.
        far: share of pairs of different people at or above each threshold, where every two people
            count once however many pictures they have.
        galleries: share of searches by strangers that return anybody, the mean over all galleries
            of a size that can be drawn from the other people; sizes rising.
        tar: share of pairs of one person's pictures, where every person counts once.
        impostor_quantiles: scores of different people at 0, 1, ... 100 %.
        genuine_quantiles: the same of one person's pictures; empty without any.
        tail: of the impostor scores, for estimates beyond the data.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    model_id: str = Field(pattern=_MODEL_ID.pattern)
    data: str
    counts: Counts
    thresholds: tuple[float, ...] = Field(min_length=1)
    far: Curve
    galleries: tuple[GalleryCurve, ...]
    tar: Curve | None
    impostor_quantiles: tuple[float, ...]
    genuine_quantiles: tuple[float, ...]
    tail: Tail | None

    @model_validator(mode="after")
    def _fits(self) -> Calibration:
        curves = [self.far, *self.galleries, *([self.tar] if self.tar else [])]
        lengths = {len(part) for c in curves for part in (c.rate, c.low, c.high)}
        if lengths != {len(self.thresholds)} or list(self.thresholds) != sorted(self.thresholds):
            raise ValueError("every curve needs one value for each of the rising thresholds")
        sizes = [curve.gallery_size for curve in self.galleries]
        if not sizes or sizes != sorted(set(sizes)) or sizes[0] != 1:
            raise ValueError("gallery sizes must rise from 1")
        return self

    def threshold(
        self,
        *,
        far: float | None = None,
        fpir: float | None = None,
        gallery_size: int | None = None,
        extrapolate: bool = False,
    ) -> Threshold:
        """The least threshold that keeps a wanted rate of errors.

        Args:
            far: wanted false accept rate of comparing two pictures.
            fpir: wanted share of strangers' searches that return anybody, in a gallery of
                ``gallery_size`` people.
            gallery_size: people in the gallery.
            extrapolate: where the data do not reach, estimate instead of refusing; the answer's
                ``method`` says so.

        Raises:
            InputError: not exactly one rate, or one that makes no sense.
            CalibrationError: the data cannot show this rate; the message says what it would take.
        """
        if (far is None) == (fpir is None) or (fpir is None) != (gallery_size is None):
            raise InputError("give either far, or fpir with gallery_size")
        rate = float(far if far is not None else fpir if fpir is not None else 0.0)
        if not 0 < rate < 1 or (gallery_size is not None and gallery_size < 1):
            raise InputError("a rate lies between 0 and 1, a gallery has at least one person")
        if gallery_size is None:
            refusal = self._too_few_pairs(rate)
        else:
            refusal = self._too_few_people(rate, gallery_size)
        if refusal and not extrapolate:
            raise CalibrationError(refusal)
        if refusal and gallery_size is None:
            return self._from_tail(rate, rate, None)
        if refusal and gallery_size is not None:
            return self._as_if_independent(rate, gallery_size)
        curve = self.far if gallery_size is None else self._gallery(gallery_size)
        return self._measured(curve, rate, gallery_size)

    def rate_at(self, score: float) -> float:
        """Measured FAR at a score: the share of pairs of different people that reach it.

        Scores between two thresholds get the rate of the lower one, which is the larger rate.
        """
        node = int(np.searchsorted(self.thresholds, score, side="right")) - 1
        return 1.0 if node < 0 else self.far.rate[node]

    def _measured(self, curve: Curve, rate: float, gallery_size: int | None) -> Threshold:
        # Rates fall along the thresholds; the first that is low enough is the least one.
        kept = np.flatnonzero(np.asarray(curve.rate) <= rate + 1e-12)
        if not len(kept):  # the highest threshold lies above every stranger, so its FAR is 0
            raise CalibrationError(f"the calibration has no threshold for a rate of {rate:.3g}")
        node = int(kept[0])
        if node == 0 and curve.rate[0] < rate / 2:
            raise CalibrationError(
                f"the calibration begins at a rate of {curve.rate[0]:.3g}; ask for no more"
            )
        _, low, high = curve.at(node)
        return self._threshold(self.thresholds[node], rate, (low, high), gallery_size, "measured")

    def _threshold(
        self,
        value: float,
        rate: float,
        interval: tuple[float, float],
        gallery_size: int | None,
        method: Method,
    ) -> Threshold:
        tar = interval_of_tar = None
        node = int(np.searchsorted(self.thresholds, value, side="left"))
        if self.tar is not None and node < len(self.thresholds):
            tar, *bounds = self.tar.at(node)
            interval_of_tar = (bounds[0], bounds[1])
        return Threshold(value, rate, interval, tar, interval_of_tar, gallery_size, method)

    def _gallery(self, size: int) -> Curve:
        """FPIR for a size between those that are stored.

        With n independent people FPIR is 1 - (1 - FAR)^n, so -log(1 - FPIR) is a straight line over
        n in logarithmic scales; for dependent ones it is nearly one between neighbouring sizes.
        """
        sizes = [curve.gallery_size for curve in self.galleries]
        if size in sizes:
            return self.galleries[sizes.index(size)]
        right = int(np.searchsorted(sizes, size))
        below, above = self.galleries[right - 1], self.galleries[right]
        share = math.log(size / below.gallery_size) / math.log(
            above.gallery_size / below.gallery_size
        )

        def between(a: tuple[float, ...], b: tuple[float, ...]) -> tuple[float, ...]:
            hazards = [-np.log1p(-np.clip(v, 1e-12, 1 - 1e-9)) for v in (a, b)]
            log_rate = (1 - share) * np.log(hazards[0]) + share * np.log(hazards[1])
            rates = -np.expm1(-np.exp(log_rate))
            return tuple(np.where(np.asarray(b) <= 0, 0.0, rates).tolist())

        return Curve(
            rate=between(below.rate, above.rate),
            low=between(below.low, above.low),
            high=between(below.high, above.high),
        )

    def _too_few_pairs(self, far: float) -> str:
        pairs = self.counts.people_pairs
        if measurable(far, pairs):
            return ""
        needed = needed_trials(far)
        people = math.ceil((1 + math.sqrt(1 + 8 * needed)) / 2)
        return (
            f"a FAR of {far:.3g} needs {needed:,} pairs of different people (3 / rate), the "
            f"calibration has {pairs:,}; calibrate with {people:,} people or more, which is "
            f"{people - self.counts.people:,} more, or ask for a FAR of {3 / pairs:.2g} or more"
        )

    def _too_few_people(self, fpir: float, gallery_size: int) -> str:
        have = self.counts.people
        needed = max(needed_trials(fpir), gallery_size + 1)
        if have >= needed:
            return ""
        return (
            f"an FPIR of {fpir:.3g} in a gallery of {gallery_size:,} needs {needed:,} people: "
            f"3 / rate of them as strangers, and more of them than the gallery holds; the "
            f"calibration has {have:,}, calibrate with {needed - have:,} more"
        )

    def _as_if_independent(self, fpir: float, gallery_size: int) -> Threshold:
        """FPIR from FAR as 1 - (1 - FAR)^n, the FAR measured or, beyond the data, estimated."""
        far = -math.expm1(math.log1p(-fpir) / gallery_size)
        if self._too_few_pairs(far):
            return self._from_tail(far, fpir, gallery_size)
        found = self.threshold(far=far)
        low, high = (_in_gallery(bound, gallery_size) for bound in found.interval)
        return self._threshold(found.value, fpir, (low, high), gallery_size, "independence")

    def _from_tail(self, far: float, rate: float, gallery_size: int | None) -> Threshold:
        if self.tail is None:
            raise CalibrationError("the calibration has too few people for an estimate of its tail")
        value = self.tail.threshold(far)
        low, high = self.tail.interval(value)
        if gallery_size is not None:
            low, high = _in_gallery(low, gallery_size), _in_gallery(high, gallery_size)
        return self._threshold(value, rate, (low, high), gallery_size, "extrapolated")


def _in_gallery(far: float, size: int) -> float:
    return -math.expm1(size * math.log1p(-min(far, 1 - 1e-12)))
