"""The base mesh at rest as a surface to find points on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.heads.assets import BaseMesh
from visagist.corpus.heads.loops import LID_EDGE, lid_rings, lip_triangles, mouth_triangles
from visagist.face.topology import mirror_index

Floats = NDArray[np.float64]
HEAD = 5.5  # decimetres; the base mesh's head and neck lie above
_LONGEST = 0.5  # decimetres; no edge of a triangle of the head is longer


class Surface:
    """The head's triangles at rest.

    Attributes:
        vertices: (B, 3) float64 of the whole base mesh.
        skin: (T, 3) triangles of the head's skin, without lips, mouth and eye sockets.
        lips: (L, 3) triangles of the lips.
    """

    def __init__(self, base: BaseMesh) -> None:
        body = base.triangles_of("body")
        lips, mouth = lip_triangles(base), mouth_triangles(base)
        sockets = np.zeros(len(base.vertices), bool)
        for side in (1, -1):
            sockets[np.concatenate(lid_rings(base, side)[:LID_EDGE])] = True
        triangles = base.mesh.triangles
        head = base.vertices[triangles][..., 1].min(1) > HEAD
        outside = body & head & ~mouth & ~sockets[triangles].any(1)
        self.vertices = base.vertices.astype(np.float64)
        self.skin = triangles[outside & ~lips]
        self.lips = triangles[lips]
        a, b, c = (self.vertices[self.skin[:, k]] for k in range(3))
        self._normals = np.cross(b - a, c - a)
        self._normals /= np.linalg.norm(self._normals, axis=1, keepdims=True)
        self._centres = (a + b + c) / 3

    def candidates(self, k: int, lip: NDArray[np.int32] | None = None) -> NDArray[np.int32]:
        """The triangles of the skin, or those given, that point ``k`` may lie on.

        A point that is its own mirror image lies on an edge of the middle, written as a triangle
        with one corner twice.
        """
        triangles = self.skin if lip is None else lip
        if mirror_index()[k] != k:
            return triangles
        edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
        middle = edges[(np.abs(self.vertices[edges, 0]) < 1e-4).all(1)]
        return np.column_stack([middle, middle[:, 1]])

    def normal(self, point: Floats) -> Floats:
        """Unit normal of the skin about a point near it."""
        away = np.linalg.norm(self._centres - point, axis=1)
        # the nearest triangles count whatever their distance
        share = np.exp(-((away - away.min()) ** 2) / (2 * 0.06**2))
        mean = share @ self._normals
        return np.asarray(mean / np.linalg.norm(mean))

    def closest(self, point: Floats, triangles: NDArray[np.int32]) -> tuple[Floats, Floats]:
        """The triangle's corners and weights of the nearest point of some triangles."""
        # No triangle of the head is larger than this, so the others cannot be nearest.
        away = np.linalg.norm(self.vertices[triangles[:, 0]] - point, axis=1)
        triangles = triangles[away <= away.min() + _LONGEST]
        weights = closest_weights(point, self.vertices[triangles])
        found = np.einsum("tk,tkx->tx", weights, self.vertices[triangles])
        best = int(np.argmin(((found - point) ** 2).sum(1)))
        return triangles[best].astype(np.float64), weights[best]


def closest_weights(point: Floats, triangles: Floats) -> Floats:
    """Barycentric weights of the point of each of (T, 3, 3) triangles that is nearest to a point.

    The nearest point of the plane where that lies inside, else the nearest of the three edges.
    """
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    u, v, w = b - a, c - a, point - a
    uu, uv, vv = ((x * y).sum(1) for x, y in ((u, u), (u, v), (v, v)))
    wu, wv = (w * u).sum(1), (w * v).sum(1)
    area = np.maximum(uu * vv - uv * uv, 1e-18)
    s, t = (vv * wu - uv * wv) / area, (uu * wv - uv * wu) / area
    inner = np.column_stack([1 - s - t, s, t])
    candidates, distances = [], []
    for first, second in ((0, 1), (1, 2), (2, 0)):
        edge = triangles[:, second] - triangles[:, first]
        along = ((point - triangles[:, first]) * edge).sum(1)
        along = np.clip(along / np.maximum((edge * edge).sum(1), 1e-18), 0, 1)
        weights = np.zeros_like(inner)
        weights[:, first], weights[:, second] = 1 - along, along
        candidates.append(weights)
        found = np.einsum("tk,tkx->tx", weights, triangles)
        distances.append(((found - point) ** 2).sum(1))
    nearest = np.argmin(distances, axis=0)
    edges = np.stack(candidates)[nearest, np.arange(len(triangles))]
    return np.where(inner.min(1, keepdims=True) >= 0, inner, edges)


def mirror_vertices(base: BaseMesh) -> NDArray[np.int32]:
    """(B,) each head vertex' mirror image; the vertex itself elsewhere."""
    twin = np.arange(len(base.vertices), dtype=np.int32)
    head = np.unique(base.mesh.triangles[base.triangles_of("body")])
    head = head[base.vertices[head, 1] > HEAD]
    points = base.vertices[head].astype(np.float64)
    for some in np.array_split(np.arange(len(head)), 8):  # a block of distances at a time
        flipped = points[some] * np.array([-1, 1, 1])
        # squared distance without the flipped points' own squares, which change no minimum
        away = (points * points).sum(1) - 2 * flipped @ points.T
        twin[head[some]] = head[away.argmin(1)]
    return twin
