"""Makes ``correspondence.npz``: where each skin point of the 478-point mesh is on the base mesh.

Evidence comes from pictures: tens of people are rendered from several sides, the mesh network is
run on them, and each of its points is followed back to the surface, from all the sides that see
it. The mean over people and sides, made symmetric, is the point; single errors of the network and
the shapes of single people average out. Lips and lids do not rest on this: their points are laid on
the base mesh's own loops, so that a closed eye's lids coincide and the lips' points keep to the
edge of the red and of the opening whatever the face does.

    python -m visagist.corpus.heads.fitting ASSETS src/visagist/corpus/heads/correspondence.npz
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.heads.assets import BaseMesh, base_mesh
from visagist.corpus.heads.correspondence import Correspondence
from visagist.corpus.heads.loops import (
    LID_EDGE,
    LIP_INNER,
    LIP_OUTER,
    UPPER_RED,
    lid_rings,
    lip_rings,
    ordered,
    quads,
)
from visagist.corpus.heads.sighting import Sighting, gather
from visagist.corpus.heads.surface import Surface, mirror_vertices
from visagist.errors import DataError
from visagist.face.topology import N_SKIN_POINTS, canonical_points, mirror_index

Floats = NDArray[np.float64]
# The lips' four rings of points, outside to inside, each from the right corner along the upper and
# along the lower lip; the corners are shared.
LIPS_UPPER = (
    (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291),
    (76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306),
    (62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292),
    (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308),
)
LIPS_LOWER = (
    (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291),
    (76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306),
    (62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292),
    (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308),
)
# The right eye's lid edges from the outer to the inner corner; the left eye's are mirrored.
LID_UPPER = (33, 246, 161, 160, 159, 158, 157, 173, 133)
LID_LOWER = (33, 7, 163, 144, 145, 153, 154, 155, 133)
# The canonical face's crop pixels per decimetre: its eyes' outer corners are as far apart as the
# base mesh's.
_PIXELS = 115.5
# Sides from which a point is seen at less than this cosine say nothing about it.
_GRAZING = 0.1


def fit(base: BaseMesh, sightings: Sequence[Sighting]) -> Correspondence:
    """Fix every point on the base mesh.

    Args:
        base: the base mesh.
        sightings: from many people and sides.
    """
    surface = Surface(base)
    points = _averaged(surface, [*sightings, *(one.mirrored() for one in sightings)])
    corners = np.zeros((N_SKIN_POINTS, 3), np.int32)
    weights = np.zeros((N_SKIN_POINTS, 3))
    for k in range(N_SKIN_POINTS):
        corners[k], weights[k] = surface.closest(points[k], surface.candidates(k))
    for k, (corner, weight) in {**_lips(base, surface), **_lids(base)}.items():
        corners[k], weights[k] = corner, weight
    _mirror(base, corners, weights)
    return Correspondence(corners, weights.astype(np.float32))


def _averaged(surface: Surface, sightings: Sequence[Sighting]) -> Floats:
    """(468, 3) mean position of each point at rest over the sides that see it."""
    rest = np.stack([one.rest for one in sightings])
    facing = np.stack([one.facing for one in sightings])
    views = np.stack([one.view for one in sightings])
    hit = np.isfinite(rest[..., 0])
    points = canonical_in_model(surface.vertices)
    for _ in range(4):  # which sides see a point depends on where it is
        for k in range(N_SKIN_POINTS):
            seen = np.clip(views @ surface.normal(points[k]) - _GRAZING, 0, None)
            share = np.where(hit[:, k], seen * np.clip(facing[:, k] - 0.15, 0, None), 0)
            if int((share > 0).sum()) < 10:  # under the chin: only grazing views
                share = np.where(hit[:, k], np.clip(facing[:, k] - 0.05, 0, None), 0)
            used = share > 0
            points[k] = _median(rest[used, k], share[used], points[k])
    return points


def _median(points: Floats, shares: Floats, start: Floats) -> Floats:
    """Weighted spatial median by Weiszfeld's iteration; ``start`` where there are no points."""
    if not len(points):
        return start
    centre = np.average(points, axis=0, weights=shares)
    for _ in range(15):
        away = points - centre
        pull = shares / np.maximum(np.sqrt((away * away).sum(1)), 0.03)
        step = pull @ away / pull.sum()
        centre = centre + step
        if float(step @ step) < 1e-10:
            break
    return np.asarray(centre)


def canonical_in_model(vertices: Floats) -> Floats:
    """(468, 3) the canonical face in model space, its eyes' outer corners on the base mesh's."""
    canonical = canonical_points()[:N_SKIN_POINTS].astype(np.float64)
    corners = canonical[[33, 263]].mean(0)
    # The lids' outer corners of the base mesh, between the eyeballs' helpers.
    eyes = vertices[14598:14742]
    origin = np.array([0.0, eyes[:, 1].mean() - 0.006, eyes[:, 2].max() - 0.05])
    away = (canonical - corners) / _PIXELS
    return np.asarray(origin + away * np.array([1.0, -1.0, -1.0]))


_Place = tuple[NDArray[np.int32], Floats]


def _lips(base: BaseMesh, surface: Surface) -> dict[int, _Place]:
    """The lips' four rings of points on the loops of the lips."""
    loops = lip_rings(base)
    polygons = quads(base)
    found: dict[int, _Place] = {}
    for lip, upper in ((LIPS_UPPER, True), (LIPS_LOWER, False)):
        inner = _half(base, ordered(polygons, loops[LIP_INNER]), upper=upper)
        found.update(zip(lip[3], _along(base, inner, lip[3]), strict=True))
        border = _along(base, _half(base, ordered(polygons, loops[LIP_OUTER]), upper=upper), lip[0])
        if upper:
            within = _half(base, ordered(polygons, loops[LIP_OUTER - 1]), upper=upper)
            border = [
                _between(base, surface, UPPER_RED, *pair)
                for pair in zip(_along(base, within, lip[0]), border, strict=True)
            ]
        for k, place in zip(lip[0], border, strict=True):
            found.setdefault(k, place)  # the corners are the upper lip's
        side = _half(base, ordered(polygons, loops[4]), upper=upper)
        triangles = _of_lip(base, surface, side)
        position = {k: _position(base, found[k]) for k in (*lip[0], *lip[3])}
        canonical = canonical_points().astype(np.float64)[:, :2]
        for ring in lip[1:3]:
            for outer, inmost, k in zip(lip[0], lip[3], ring, strict=True):
                # The mean face's own share of the way from the opening to the border
                span = canonical[outer] - canonical[inmost]
                share = float((canonical[k] - canonical[inmost]) @ span / (span @ span))
                between = (1 - share) * position[inmost] + share * position[outer]
                corner, weight = surface.closest(between, surface.candidates(k, triangles))
                found[k] = (corner.astype(np.int32), weight)
    return found


def _between(base: BaseMesh, surface: Surface, share: float, one: _Place, two: _Place) -> _Place:
    """The place of the lips that is nearest to a point on the line between two places."""
    point = (1 - share) * _position(base, one) + share * _position(base, two)
    corner, weight = surface.closest(point, surface.lips)
    return corner.astype(np.int32), weight


def _of_lip(base: BaseMesh, surface: Surface, way: NDArray[np.int64]) -> NDArray[np.int32]:
    """The lips' triangles on the side of the opening where ``way`` runs, and beyond its inside.

    A triangle belongs to the half whose part of the middle loop is nearer.
    """
    loops = lip_rings(base)
    every = ordered(quads(base), loops[4])
    other = np.setdiff1d(every, way)
    visible = ~np.isin(surface.lips, np.concatenate(loops[:LIP_INNER])).any(1)
    triangles = surface.lips[visible]
    centres = surface.vertices[triangles].mean(1)[:, None]
    near = np.linalg.norm(centres - surface.vertices[way], axis=2).min(1)
    far = np.linalg.norm(centres - surface.vertices[other], axis=2).min(1)
    return np.asarray(triangles[near <= far])


def _half(base: BaseMesh, loop: NDArray[np.int64], *, upper: bool) -> NDArray[np.int64]:
    """Half of a loop around the mouth or an eye, from its smallest x to its largest."""
    points = base.vertices[loop]
    loop = np.roll(loop, -int(np.argmin(points[:, 0])))
    end = int(np.argmax(base.vertices[loop, 0]))
    one = loop[: end + 1]
    two = np.roll(loop, -1)[::-1][: len(loop) - end + 1]
    higher = base.vertices[one, 1].mean() > base.vertices[two, 1].mean()
    return one if higher == upper else two


def _along(base: BaseMesh, way: NDArray[np.int64], ring: Sequence[int]) -> list[_Place]:
    """Places on a line of edges at the shares of its length where the canonical face has them.

    Lengths are taken as seen from the front.
    """
    canonical = canonical_points().astype(np.float64)[list(ring), :2]
    shares = _lengths(canonical) / _lengths(canonical)[-1]
    line = _lengths(base.vertices[way, :2].astype(np.float64))
    places = []
    for share in shares:
        edge = int(np.clip(np.searchsorted(line, share * line[-1]) - 1, 0, len(way) - 2))
        step = (share * line[-1] - line[edge]) / (line[edge + 1] - line[edge])
        corner = np.array([way[edge], way[edge + 1], way[edge + 1]], np.int32)
        places.append((corner, np.array([1 - step, step, 0.0])))
    return places


def _lengths(line: Floats) -> Floats:
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def _lids(base: BaseMesh) -> dict[int, _Place]:
    """The right eye's lid points on the loop of the lids' edges; the left eye's are mirrored."""
    loop = lid_rings(base, -1)[LID_EDGE]
    points = base.vertices[loop, :2] - base.vertices[loop, :2].mean(0)
    loop = loop[np.argsort(np.arctan2(points[:, 1], points[:, 0]))]
    found: dict[int, _Place] = {}
    for ring, upper in ((LID_UPPER, True), (LID_LOWER, False)):
        way = _half(base, loop, upper=upper)
        found.update(zip(ring, _along(base, way, ring), strict=True))
    return found


def _position(base: BaseMesh, place: _Place) -> Floats:
    corner, weight = place
    return np.asarray(weight @ base.vertices[corner].astype(np.float64))


def _mirror(base: BaseMesh, corners: NDArray[np.int32], weights: Floats) -> None:
    """Make the person's left side the mirror image of the right; in place."""
    twin = mirror_vertices(base)
    swap = mirror_index()[:N_SKIN_POINTS]
    for k, other in enumerate(swap):
        if canonical_points()[k, 0] > canonical_points()[other, 0]:
            corners[k], weights[k] = twin[corners[other]], weights[other]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the correspondence; see the module."""
    parser = argparse.ArgumentParser(prog="python -m visagist.corpus.heads.fitting")
    parser.add_argument("assets", type=Path, help="folder with MakeHuman's assets")
    parser.add_argument("output", type=Path, help="correspondence.npz")
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--pictures", type=int, default=4, help="of each person")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    sightings = list(gather(given.assets, given.people, given.pictures, given.seed))
    if not sightings:
        raise DataError("no face was found on the rendered heads")
    found = fit(base_mesh(), sightings)
    # 19,158 vertices fit into 16 bits
    np.savez_compressed(
        given.output, corners=found.corners.astype(np.uint16), weights=found.weights
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
