"""The source's face on the target's mesh: what the network starts from.

A vector of a few hundred numbers says who somebody is, not how their skin looks. The mesh carries
the pixels over: the face of the source in the target's pose and expression, with a share of the
source's build, in the target's colours and coarse light. The network then only has to do what a
mesh cannot: finer light, seams, expression, and what covers the target. All of it in numpy and
Pillow, for it runs on every frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.blends.expression import CLOSED, mouth_open
from visagist.errors import InputError
from visagist.face.raster import Floats, blur, fill, ramp, smoothstep
from visagist.face.regions import region_masks
from visagist.face.topology import FACE_OVAL, LIPS_INNER, LIPS_OUTER, triangles
from visagist.face.warp import extended, interpolate, surface, triangle_map
from visagist.swap.colour import read, relight
from visagist.swap.shape import EYES, eye_opening, moved, shape_difference

__all__ = ["SHUT", "Guide", "gaze_shift", "guide", "mirrored_mesh"]

SHUT = 0.11
"""Lids whose gap over their width is less are closed."""
_MOST_GAZE = 0.3
"""Largest correction of the gaze, in widths of the eye."""

# Shares of the face's size, so that crops of any side give the same.
_INSET = 0.06  # the face's oval is drawn smaller by this share
_SOFT = 0.03  # standard deviation of its rim, in widths of the oval
_GAPING = (0.25, 0.4)  # how much wider than the target's a source's mouth is open, by its width
_LIPS = 1.3  # the lips' outline is drawn larger by this factor where they stay the target's
_EDGE_ON = (0.15, 0.4)  # areas in the source over those in the target, none and all of it seen
_FLAT = 1e-3  # square pixels of a triangle in the target that shows nothing
_SOFTENED = 0.008  # standard deviation, in sides of the crop, between what is seen and what is not
_RIM = 0.2  # share of the oval that counts as its rim
_STRANGE = (30.0, 70.0)  # levels between source and target there, nothing and all of it doubted
_STILL = 0.1  # pixels that a place must move before it is read anew
_GREY = 3.0  # levels between the channels of a picture without colour
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Guide:
    """A target with the source's face laid on.

    Attributes:
        picture: (S, S, 3) uint8; where ``share`` is 0, the target, moved by the change of build.
        share: (S, S) float32 in 0..1 of the source's pixels.
    """

    picture: NDArray[np.uint8]
    share: Floats


def guide(
    source: NDArray[np.uint8],
    source_mesh: NDArray[np.floating],
    target: NDArray[np.uint8],
    target_mesh: NDArray[np.floating],
    *,
    shape: float = 0.8,
    strength: float = 1.0,
    source_free: Floats | None = None,
    target_free: Floats | None = None,
) -> Guide:
    """Lay the source's face on the target.

    Args:
        source: (R, R, 3) uint8 RGB square crop with the source's face.
        source_mesh: (478, 3) of it, crop pixels.
        target: (S, S, 3) uint8 crop of the target.
        target_mesh: (478, 3) of the face in it.
        shape: share of the source's build that the target's face takes on, 0..1.
        strength: share of all of it; 0 leaves the target.
        source_free: (R, R) in 0..1, 0 where the source's hair lies over the face: it stays behind.
        target_free: (S, S) in 0..1, 0 where something covers the target, which says nothing about
            the light on the skin.

    Raises:
        InputError: a crop is not a square uint8 RGB picture, or a mesh is not finite.
    """
    for picture, mesh in ((source, source_mesh), (target, target_mesh)):
        if picture.dtype != np.uint8 or picture.ndim != 3 or len(set(picture.shape[:2])) > 1:
            raise InputError(f"a swap needs square uint8 RGB crops, got {picture.shape}")
        if mesh.shape != (478, 3) or not np.isfinite(mesh).all():
            raise InputError("a swap needs (478, 3) meshes of finite points")
    size = target.shape[0]
    share_of_build = shape * strength
    goal = moved(target_mesh, share_of_build * shape_difference(source_mesh, target_mesh))
    own, drawn = extended(target_mesh, goal, size)
    given, _ = extended(source_mesh, goal, size)
    shown = triangle_map(drawn, goal[:, 2], size)
    where = interpolate(np.concatenate([own, given], 1), drawn, shown)
    base = _moved_target(target, where[..., :2], shown)
    share = _share(source_mesh, target_mesh, goal, size) * _seen(given, drawn, shown)
    rows, columns = np.nonzero(share > 0)
    if len(rows) == 0:
        return Guide(base, share)
    places = where[rows, columns, 2:] + gaze_shift(source_mesh, goal, rows, columns)
    face = read(source, places)
    if source_free is not None:
        share[rows, columns] *= read(source_free[..., None], places)[:, 0]
    before = base[rows, columns].astype(np.float32)
    if np.ptp(before, axis=1).max() <= _GREY:
        face = np.repeat(face @ _LUMA[:, None], 3, 1)
    lit = share * region_masks(goal, size).skin
    if target_free is not None:
        lit *= target_free
    face = relight(face, before, lit, rows, columns)
    share *= _plausible(face - before, goal, share, rows, columns)
    share *= np.float32(strength)
    mixed = before + (face - before) * share[rows, columns, None]
    picture = base.copy() if base is target else base
    picture[rows, columns] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    return Guide(picture, share)


def mirrored_mesh(
    mesh: NDArray[np.floating], side: int, order: NDArray[np.integer]
) -> NDArray[np.float32]:
    """The mesh of a mirrored crop.

    Args:
        mesh: (478, 3).
        side: of the crop in pixels.
        order: (478,) of :func:`~visagist.face.topology.mirror_index`.
    """
    result: NDArray[np.float32] = np.asarray(mesh, np.float32)[order]
    result[:, 0] = side - result[:, 0]
    return result


def _moved_target(
    target: NDArray[np.uint8], where: Floats, shown: NDArray[np.int32]
) -> NDArray[np.uint8]:
    """The target with the other build; itself where nothing moves."""
    size = target.shape[0]
    line = np.arange(size, dtype=np.float32) + np.float32(0.5)
    far = np.maximum(np.abs(where[..., 0] - line), np.abs(where[..., 1] - line[:, None]))
    rows, columns = np.nonzero((far > _STILL) & (shown >= 0))
    if len(rows) == 0:
        return target
    result = target.copy()
    result[rows, columns] = np.rint(read(target, where[rows, columns])).astype(np.uint8)
    return result


def _plausible(
    difference: Floats,
    goal: NDArray[np.floating],
    share: Floats,
    rows: NDArray[np.integer],
    columns: NDArray[np.integer],
) -> Floats:
    """(S, S) 0 near the face's outline where the source differs much from the target.

    Features that make a person lie inside. What is different at the rim, when colour and light are
    equal, is hair, or background that a mesh a little too wide has caught.
    """
    oval = goal[list(FACE_OVAL), :2]
    centre, width = oval.mean(0), float(np.ptp(oval[:, 0]))
    size = share.shape[0]
    inner = fill(centre + (oval - centre) * (1 - _RIM), size, size, feather=_SOFT * width)
    far = np.zeros(share.shape, np.float32)
    far[rows, columns] = smoothstep(*_STRANGE, np.abs(difference).mean(1))
    return 1 - (1 - inner) * blur(far, _SOFTENED * size)


def _share(
    source_mesh: NDArray[np.floating],
    target_mesh: NDArray[np.floating],
    goal: NDArray[np.floating],
    size: int,
) -> Floats:
    """The face's oval but for what must stay the target's.

    That is what lies between open lips, shut eyes, and the lips where the source's mouth gapes:
    pulled shut by the mesh, it shows tongue and teeth in a mouth that is closed.
    """
    oval = goal[list(FACE_OVAL), :2]
    centre = oval.mean(0)
    width = float(np.ptp(oval[:, 0]))
    share = fill(centre + (oval - centre) * (1 - _INSET), size, size, feather=_SOFT * width)
    wider = mouth_open(source_mesh) - mouth_open(target_mesh)
    kept: list[tuple[tuple[int, ...], float, float]] = [(LIPS_OUTER, _LIPS, ramp(*_GAPING, wider))]
    if mouth_open(target_mesh) >= CLOSED:
        kept.append((LIPS_INNER, 1.0, 1.0))
    if min(*eye_opening(source_mesh), *eye_opening(target_mesh)) < SHUT:
        kept += [(lids, 1.6, 1.0) for lids, _ in EYES]
    for points, grown, much in kept:
        if much > 0:
            ring = goal[list(points), :2]
            middle = ring.mean(0)
            place = fill(middle + (ring - middle) * grown, size, size, feather=0.006 * width)
            share *= 1 - np.float32(much) * place
    return share


def _seen(given: Floats, drawn: Floats, shown: NDArray[np.int32]) -> Floats:
    """(S, S) 0 where the source's picture shows that part of its face edge-on or not at all.

    There the mesh would read hair and background from beside the cheek.
    """
    corners = triangles()

    def areas(points: Floats) -> Floats:
        a, b, c = (points[corners[:, k]] for k in range(3))
        u, v = b - a, c - a
        return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]

    ratio = areas(given) / np.where(np.abs(areas(drawn)) < _FLAT, np.inf, areas(drawn))
    ratio /= max(float(np.median(ratio)), 1e-6)
    # the rings beyond the mesh, and -1 for no triangle at all, are not seen
    seen = np.zeros(len(surface()) + 1, np.float32)
    seen[: len(corners)] = smoothstep(*_EDGE_ON, ratio.astype(np.float32))
    return blur(seen[shown], _SOFTENED * shown.shape[0])


def gaze_shift(
    source_mesh: NDArray[np.floating],
    goal: NDArray[np.floating],
    rows: NDArray[np.integer],
    columns: NDArray[np.integer],
) -> Floats:
    """How much farther each pixel reads, so that the source's irises look where the target's do.

    Args:
        source_mesh: (478, 3) in the picture that is read.
        goal: (478, 3) in the picture that is made.
        rows: (N,) of its pixels.
        columns: (N,).

    Returns:
        (N, 2) float32 x, y in pixels of the source's picture; 0 outside the eyes.
    """
    source = np.asarray(source_mesh, np.float64)
    shift = np.zeros((len(rows), 2), np.float32)
    size = 1 + int(max(rows.max(), columns.max()))
    for lids, iris in EYES:
        # where, in the source's picture, the target's iris would be read from
        read = _through(goal, source, lids, goal[list(iris), :2]).mean(0)
        ring = np.asarray(goal[list(lids), :2], np.float64)
        width = float(np.ptp(source[list(lids), 0]))
        move = source[list(iris), :2].mean(0) - read
        length = float(np.hypot(*move))
        move *= min(1.0, _MOST_GAZE * width / max(length, 1e-6))
        opening = max(float(np.ptp(ring[:, 1])), 1.0)
        soft = fill(ring, size, size, feather=0.12 * opening + 0.3)
        shift += soft[rows, columns, None] * move.astype(np.float32)
    return shift


def _through(
    one: NDArray[np.floating],
    other: NDArray[np.floating],
    fitted: tuple[int, ...],
    points: NDArray[np.floating],
) -> NDArray[np.float64]:
    """Points of one mesh's picture in the other's, by the affine map of some mesh points."""
    ring = np.asarray(one)[list(fitted), :2].astype(np.float64)
    flat = np.column_stack([ring, np.ones(len(ring))])
    affine = np.linalg.lstsq(flat, np.asarray(other)[list(fitted), :2], rcond=None)[0]
    return np.asarray(np.column_stack([points, np.ones(len(points))]) @ affine, np.float64)
