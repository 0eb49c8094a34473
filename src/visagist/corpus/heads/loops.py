"""Edge loops of the base mesh: the border of the lips, the mouth's opening and the lids' edges.

The base mesh is modelled in loops of quads around mouth and eyes, as faces are by hand. Counting
loops outward from a place that needs no judgement (where the mouth's lining begins, the deepest
point of the eye socket) gives the semantic contours without a vertex number being written down.
How many loops to count was seen on the mesh drawn over rendered heads.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.heads.assets import BaseMesh
from visagist.errors import DataError

Integers = NDArray[np.int64]
# Loops counted outward from where the mouth's lining begins. The painted red of the lower lip ends
# on average at loop 7, that of the upper half way between loops 6 and 7.
LIP_INNER, LIP_OUTER = 2, 7
UPPER_RED = 0.5
# Loops counted outward from the deepest point of the eye socket.
LID_EDGE = 14
# The mouth's lining is the largest piece of the texture inside this box (decimetres).
_MOUTH = ((-0.4, 6.2, 0.5), (0.4, 7.05, 1.6))


def quads(base: BaseMesh) -> Integers:
    """(Q, 4) the body's polygons; the reader cut each into two triangles."""
    triangles = base.mesh.triangles[base.triangles_of("body")]
    return np.column_stack([triangles[::2], triangles[1::2, 2]]).astype(np.int64)


def rings(polygons: Integers, start: Iterable[int], count: int) -> list[Integers]:
    """Neighbourhoods of a set of vertices: the set itself, then what shares a polygon, and so on.

    Returns:
        ``count + 1`` arrays of vertices, ascending and without repeats.
    """
    found = [np.unique(np.fromiter(start, np.int64))]
    used = np.zeros(int(polygons.max()) + 1, bool)
    used[found[0]] = True
    for _ in range(count):
        near = np.unique(polygons[used[polygons].any(1)])
        found.append(near[~used[near]])
        used[near] = True
    return found


def ordered(polygons: Integers, vertices: Integers) -> Integers:
    """Vertices of a closed loop of edges, in order around it.

    Raises:
        DataError: the edges between the vertices make no single closed loop.
    """
    chosen = set(vertices.tolist())
    edges: dict[int, set[int]] = defaultdict(set)
    for polygon in polygons[np.isin(polygons, vertices).sum(1) >= 2]:
        for a, b in zip(polygon.tolist(), np.roll(polygon, -1).tolist(), strict=True):
            if a in chosen and b in chosen:
                edges[a].add(b)
                edges[b].add(a)
    loop = [int(vertices[0])]
    while True:
        onward = [one for one in edges[loop[-1]] if one not in loop[-2:]]
        if not onward or onward[0] == loop[0] or len(loop) > len(vertices):
            break
        loop.append(onward[0])
    if len(loop) != len(vertices) or any(len(edges[one]) != 2 for one in loop):
        raise DataError("the base mesh is not the expected one: a loop of edges is not closed")
    return np.array(loop, np.int64)


@cache
def mouth_triangles(base: BaseMesh) -> NDArray[np.bool_]:
    """(T,) which triangles line the mouth: their own piece of the texture."""
    mesh = base.mesh
    body = np.flatnonzero(base.triangles_of("body"))
    label = np.arange(len(mesh.uv))
    corners = mesh.triangles_uv[body]
    while True:  # the smallest number wins until every piece has one
        least = label[corners].min(1)
        before = label.copy()
        np.minimum.at(label, corners, least[:, None])
        label = label[label]
        if np.array_equal(before, label):
            break
    piece = label[corners[:, 0]]
    low, high = np.array(_MOUTH)
    points = mesh.vertices[mesh.triangles[body]]
    outside = ((points < low) | (points > high)).any((1, 2))
    candidates = np.setdiff1d(piece, piece[outside])
    if not len(candidates):
        raise DataError("the base mesh is not the expected one: it has no lining of the mouth")
    sizes = [(piece == one).sum() for one in candidates]
    lining = np.zeros(len(mesh.triangles), bool)
    lining[body[piece == candidates[int(np.argmax(sizes))]]] = True
    return lining


@cache
def lip_rings(base: BaseMesh) -> list[Integers]:
    """Loops of the lips from where the mouth's lining begins (0) to beyond their border."""
    lining = mouth_triangles(base)
    inside = np.unique(base.mesh.triangles[lining])
    polygons = quads(base)
    outer = polygons[~np.isin(polygons, inside).all(1)]
    border = np.intersect1d(outer, inside)
    return rings(outer, border.tolist(), LIP_OUTER + 1)


def lip_triangles(base: BaseMesh) -> NDArray[np.bool_]:
    """(T,) which triangles are lips: between the mouth's lining and the border of the red."""
    inside = np.concatenate(lip_rings(base)[: LIP_OUTER + 1])
    triangles = base.mesh.triangles
    return np.isin(triangles, inside).all(1) & base.triangles_of("body") & ~mouth_triangles(base)


def lid_rings(base: BaseMesh, side: int) -> list[Integers]:
    """Loops of the lids outward from the deepest point of the socket.

    Args:
        base: the base mesh.
        side: 1 for the person's left eye, -1 for the right.
    """
    helper = "helper-l-eye" if side > 0 else "helper-r-eye"
    eyeball = base.vertices[np.unique(base.mesh.triangles[base.triangles_of(helper)])]
    centre = (eyeball.min(0) + eyeball.max(0)) / 2
    radius = float(np.linalg.norm(eyeball - centre, axis=1).mean())
    polygons = quads(base)
    vertices = np.unique(polygons)
    away = base.vertices[vertices] - centre
    near = vertices[np.linalg.norm(away, axis=1) < 1.2 * radius]
    deepest = near[np.argmin(base.vertices[near, 2])]
    return rings(polygons, [int(deepest)], LID_EDGE + 2)
