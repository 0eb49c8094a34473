"""What Data Amplify Learning is compared with: colour transfer by region, from the same pairs.

Reinhard et al. 2001 give one picture the mean and spread of another's colours in a decorrelated
space. With pairs it is the change of both that is carried over, for each region of the face by
itself, so that a face keeps its own tone of skin::

    Lab' = (Lab - m) s_after / s_before + m + (m_after - m_before)

with m the mean of the face at hand in the region, and m_before, m_after, s_before, s_after means
and standard deviations of the pairs. It has no shapes: a line on the lid becomes a tint of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visagist.amplify.backend import CropFace, Look
from visagist.errors import InputError
from visagist.face.align import CROP_SIZE
from visagist.face.regions import region_masks
from visagist.photo.colour import lab_to_rgb, rgb_to_lab

Floats = NDArray[np.float32]

REGIONS = ("skin", "lids", "brows", "lips")
_LEAST_SPREAD = 1.0
"""CIE Lab units below which a spread is not divided by."""
_MOST_STRETCH = 2.0
_LEAST_WEIGHT = 8.0
"""Pixels below which a region of a look counts for nothing."""


@dataclass(frozen=True, slots=True)
class RegionChange:
    """How a style changes the colours of a region, in CIE Lab.

    Attributes:
        shift: (3,) change of the mean.
        stretch: (3,) factor on the spread.
    """

    shift: Floats
    stretch: Floats


class ColourTransfer:
    """A style as a change of colour statistics in each region.

    Args:
        changes: by region; a region that no pair shows is left out.
    """

    def __init__(self, changes: dict[str, RegionChange]) -> None:
        self.changes = changes

    @classmethod
    def fit(cls, looks: Sequence[Look]) -> ColourTransfer:
        """Measure it on looks, each of which counts alike.

        Raises:
            InputError: there is no look.
        """
        if not looks:
            raise InputError("colour transfer needs at least one pair")
        found: dict[str, list[tuple[Floats, Floats]]] = {region: [] for region in REGIONS}
        for look in looks:
            before, after = rgb_to_lab(look.before), rgb_to_lab(look.after)
            masks = region_masks(look.mesh, CROP_SIZE)
            for region in REGIONS:
                weight = getattr(masks, region) * look.valid
                if weight.sum() < _LEAST_WEIGHT:
                    continue
                mean, spread = statistics(before, weight)
                made_mean, made_spread = statistics(after, weight)
                stretch = made_spread / np.maximum(spread, _LEAST_SPREAD)
                change = (made_mean - mean, np.asarray(stretch, np.float32))
                found[region].append(change)
        changes = {
            region: RegionChange(
                np.mean([shift for shift, _ in seen], 0, dtype=np.float32),
                np.clip(
                    np.mean([stretch for _, stretch in seen], 0, dtype=np.float32),
                    1 / _MOST_STRETCH,
                    _MOST_STRETCH,
                ),
            )
            for region, seen in found.items()
            if seen
        }
        return cls(changes)

    def render(self, faces: Sequence[CropFace], *, strength: float = 1.0, seed: int = 0) -> Floats:
        """(N, 256, 256, 3) changes in levels, exactly 0 outside the regions; nothing is random."""
        out = np.zeros((len(faces), CROP_SIZE, CROP_SIZE, 3), np.float32)
        for i, face in enumerate(faces):
            out[i] = self._one(face)
        return out * np.float32(strength)

    def _one(self, face: CropFace) -> Floats:
        lab = rgb_to_lab(face.crop)
        masks = region_masks(face.mesh, CROP_SIZE)
        moved = np.zeros_like(lab)
        touched = np.zeros(lab.shape[:2], bool)
        for region, change in self.changes.items():
            mask: Floats = getattr(masks, region)
            if mask.sum() < _LEAST_WEIGHT:
                continue
            mean, _ = statistics(lab, mask)
            moved += mask[..., None] * ((lab - mean) * (change.stretch - 1) + change.shift)
            touched |= mask > 0
        out = np.zeros(lab.shape, np.float32)
        made = lab_to_rgb((lab + moved)[touched]) * np.float32(255)
        out[touched] = np.clip(made, 0, 255) - face.crop[touched]
        return out


def statistics(lab: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Weighted mean and standard deviation of (H, W, 3) colours, each (3,)."""
    total = weight.sum(dtype=np.float64)
    mean = (lab * weight[..., None]).sum((0, 1), dtype=np.float64) / total
    variance = (np.square(lab - mean) * weight[..., None]).sum((0, 1), dtype=np.float64) / total
    return mean.astype(np.float32), np.sqrt(variance).astype(np.float32)
