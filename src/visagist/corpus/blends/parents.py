"""Who can be blended with whom, the test for glasses, and where a blend comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from visagist.corpus.blends.config import ParentConfig
from visagist.corpus.blends.texture_space import frontal, frontal_mesh
from visagist.corpus.index import Record
from visagist.corpus.sample import USES, Origin, Quality
from visagist.errors import InputError
from visagist.face.topology import (
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
)

_GREY = 2.0  # chroma of skin below which a picture is grey
_CHEEKS = (50, 280)
# Beside the philtrum, below the lower lip, the chin, and both sides of it.
_BEARD = (165, 391, 18, 200, 199, 204, 424, 211, 431)
# Steps of brightness, as shares of the cheeks', above which frames are likely. Picked on training
# faces by eye: of the 834 of 1,465 that pass, one in the worst 216 wore glasses.
_BRIDGE, _BRIDGE_WITH_RIMS, _RIMS, _TEMPLES = 0.09, 0.115, 0.345, 0.2


def may_be_parent(record: Record, rules: ParentConfig) -> bool:
    """Whether the figures of a face allow blending it at all."""
    q = record.quality
    return (
        record.origin.kind in {"photo", "generated"}
        and (rules.grey or not is_grey(q))
        and abs(q.yaw) <= rules.max_yaw
        and abs(q.pitch) <= rules.max_pitch
        and q.occluded <= rules.max_occluded
        and abs(q.light_x) <= rules.max_side_light
        and q.luminance >= rules.min_luminance
        and q.clipped <= rules.max_clipped
        and q.face_width >= rules.min_face_width
        and q.sharpness >= rules.min_sharpness
    )


def fit_together(first: Record, second: Record, rules: ParentConfig) -> bool:
    """Whether two faces are alike enough in what a blend cannot average."""
    one, other = first.quality, second.quality
    sharper = max(one.sharpness, other.sharpness) / max(min(one.sharpness, other.sharpness), 1e-3)
    return (
        abs(one.yaw - other.yaw) <= rules.pose_difference
        and abs(one.pitch - other.pitch) <= rules.pose_difference
        and abs(one.light_x - other.light_x) <= rules.light_difference
        and abs(one.light_y - other.light_y) <= rules.light_difference
        and abs(one.tone - other.tone) <= rules.tone_difference
        and abs(one.mouth_open - other.mouth_open) <= rules.mouth_difference
        and sharper <= rules.sharpness_ratio
        and is_grey(one) == is_grey(other)
        and abs(eyes_open(first.mesh) - eyes_open(second.mesh)) <= rules.eyes_difference
    )


def eyes_open(mesh: NDArray[np.floating]) -> float:
    """Mean opening of the lids divided by the width of the eyes."""
    height = [np.hypot(*(mesh[a, :2] - mesh[b, :2])) for a, b in ((159, 145), (386, 374))]
    width = [
        np.hypot(*(mesh[a, :2] - mesh[b, :2]))
        for a, b in ((RIGHT_EYE_OUTER, RIGHT_EYE_INNER), (LEFT_EYE_OUTER, LEFT_EYE_INNER))
    ]
    return float(sum(height) / max(float(sum(width)), 1e-6))


def is_grey(quality: Quality) -> bool:
    """Whether the skin has no colour."""
    return bool(np.hypot(quality.skin_a, quality.skin_b) < _GREY)


def person(record: Record) -> str:
    """The identity, or the picture where it is its own person."""
    return record.origin.person


def draw_parents(
    random: np.random.Generator,
    candidates: Mapping[str, Sequence[Record]],
    count: int,
    rules: ParentConfig,
    looks: Callable[[Record], Wear],
) -> list[Record]:
    """People who fit together, the host first; fewer than ``count`` where there are not enough.

    Args:
        random: draws them: people, then a picture of each.
        candidates: pictures of each person of one split, all allowed by :func:`may_be_parent`.
        count: how many.
        rules: what fits together.
        looks: what the face in a picture wears; asked for as few as possible.
    """
    chosen: list[Record] = []
    people = list(candidates)
    for k in random.permutation(len(people)):
        pictures = candidates[people[int(k)]]
        other = pictures[int(random.integers(len(pictures)))]
        if not all(fit_together(record, other, rules) for record in chosen):
            continue
        seen = looks(other)
        if seen.glasses > rules.max_glasses or (
            chosen and abs(seen.beard - looks(chosen[0]).beard) > rules.beard_difference
        ):
            continue
        chosen.append(other)
        if len(chosen) == count:
            break
    return chosen


@dataclass(frozen=True, slots=True)
class Wear:
    """What a face wears, by its brightness relative to the cheeks.

    Attributes:
        glasses: likely above 1. Frames leave steps of brightness where bare skin has none: across
            the bridge of the nose, below both eyes, and beside them. Deep wrinkles and hard
            shadows leave some, too.
        beard: by how much upper lip and chin are darker; negative where they are brighter.
    """

    glasses: float
    beard: float


def wear(image: NDArray[np.uint8], mesh: NDArray[np.floating]) -> Wear:
    """Look for glasses and a beard.

    Args:
        image: (S, S, 3) uint8 crop.
        mesh: (478, 3) of the face in it.
    """
    view = frontal(image, mesh)
    points = frontal_mesh()[:, :2]
    grey = cv2.cvtColor(view, cv2.COLOR_RGB2GRAY).astype(np.float32)
    cheeks = [np.median(_patch(grey, points[k], 3, 3)) for k in _CHEEKS]
    grey /= max(float(np.mean(cheeks)), 25.0)
    haired = [float(np.median(_patch(grey, points[k], 2, 2))) for k in _BEARD]
    return Wear(glasses=_glasses(grey, points), beard=1 - float(np.mean(haired)))


def _glasses(grey: NDArray[np.float32], points: NDArray[np.floating]) -> float:
    x = int(points[168, 0])
    bridge = np.median(grey[int(points[9, 1]) + 2 : int(points[195, 1]), x - 4 : x + 5], axis=1)
    smooth = np.convolve(np.pad(bridge, 5, mode="edge"), np.ones(11) / 11, "valid")
    dip = float(np.abs(bridge - smooth).max())
    rims, temples = [], []
    for inner, outer, lid, side in (
        (RIGHT_EYE_INNER, RIGHT_EYE_OUTER, 145, 127),
        (LEFT_EYE_INNER, LEFT_EYE_OUTER, 374, 356),
    ):
        left, right = sorted((int(points[inner, 0]), int(points[outer, 0])))
        quarter = (right - left) // 4
        top = int(points[lid, 1]) + 4
        rims.append(_step(grey[top : top + 20, left + quarter : right - quarter]))
        left, right = sorted((int(points[outer, 0]), int(points[side, 0])))
        y = int(points[outer, 1])
        temples.append(_step(grey[y - 10 : y + 10, left + 2 : right - 1]))
    return max(
        dip / _BRIDGE,
        dip / _BRIDGE_WITH_RIMS + min(rims) / _RIMS,
        min(temples) / _TEMPLES,
    )


def _step(patch: NDArray[np.float32]) -> float:
    """The largest step from one row to the next."""
    return float(np.abs(np.diff(np.median(patch, axis=1))).max())


def _patch(
    image: NDArray[np.float32], at: NDArray[np.floating], h: int, w: int
) -> NDArray[np.float32]:
    x, y = int(at[0]), int(at[1])
    return image[y - h : y + h, x - w : x + w]


def child_origin(parents: Sequence[Record], *, source: str, item: str, identity: str) -> Origin:
    """Where a blend comes from: it may be used for what all parents may be used for.

    Args:
        parents: two or more.
        source: name of the blends.
        item: number of the picture.
        identity: of the blended person.

    Raises:
        InputError: the parents are in several splits.
    """
    splits = sorted({record.split for record in parents})
    if len(splits) != 1:
        raise InputError(f"parents of one blend are in the splits {', '.join(splits)}")
    licences = sorted({record.origin.licence or "unknown" for record in parents})
    generators = sorted({record.origin.generator for record in parents} - {""})
    return Origin(
        source=source,
        item=item,
        identity=identity,
        kind="blend",
        licence="" if licences == ["unknown"] else " AND ".join(licences),
        generator="+".join(generators),
        uses=tuple(use for use in USES if all(use in r.origin.uses for r in parents)),
        may_show=all(record.origin.may_show for record in parents),
        split=splits[0],
        parents=tuple(person(record) for record in parents),
    )
