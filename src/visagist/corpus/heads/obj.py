"""Reads MakeHuman's three text formats: meshes (.obj), shape targets and fitted proxies (.mhclo).

A target lists the vertices that it moves and by how much. A proxy (hair, brows, teeth) says for
each of its vertices which three vertices of the base mesh it hangs on; see :class:`Fit`. The
formats are described in MakeHuman's documentation, "MHCLO file format" and "Target file format".
"""

from __future__ import annotations

import gzip
import warnings
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visagist.errors import DataError

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]
# The axis that each of a proxy's three scales measures along.
_SCALES = {"x_scale": 0, "y_scale": 1, "z_scale": 2}


@dataclass(frozen=True, slots=True)
class ObjMesh:
    """A mesh of triangles; polygons of the file are cut into fans.

    Attributes:
        vertices: (V, 3) float32.
        uv: (U, 2) float32, origin at the lower left.
        triangles: (T, 3) int32 vertices.
        triangles_uv: (T, 3) int32 texture coordinates.
        groups: (T,) int32 positions in ``names``.
        names: names of the groups.
    """

    vertices: Floats
    uv: Floats
    triangles: Integers
    triangles_uv: Integers
    groups: Integers
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """Offsets of some vertices of the base mesh.

    Attributes:
        indices: (N,) int32, each vertex once.
        offsets: (N, 3) float32 in decimetres.
    """

    indices: Integers
    offsets: Floats


@dataclass(frozen=True, slots=True)
class Fit:
    """How a proxy hangs on the base mesh.

    A proxy vertex is ``weights @ base[triangle] + scale * offset``; the scale of each axis is the
    distance of two base vertices along it, divided by what it was when the proxy was made, so that
    a larger head moves hair out and a broader one spreads it.

    Attributes:
        triangles: (V, 3) int32 base vertices.
        weights: (V, 3) float32 barycentric weights; they add up to 1.
        offsets: (V, 3) float32 in decimetres.
        scale_vertices: (3, 2) int32 the pair of base vertices of each axis.
        scale_lengths: (3,) float32 their distance along the axis when the proxy was made.
    """

    triangles: Integers
    weights: Floats
    offsets: Floats
    scale_vertices: Integers
    scale_lengths: Floats

    def apply(self, base: Floats) -> Floats:
        """The proxy's (V, 3) vertices on a base mesh of (B, 3) vertices."""
        ends = base[self.scale_vertices]
        axes = np.arange(3)
        scale = np.abs(ends[axes, 0, axes] - ends[axes, 1, axes]) / self.scale_lengths
        corners = base[self.triangles]
        hung = np.einsum("vk,vkx->vx", self.weights, corners)
        return np.asarray(hung + self.offsets * scale, np.float32)


def read_obj(path: Path) -> ObjMesh:
    """Read a mesh with texture coordinates.

    Raises:
        DataError: the file cannot be read, or is not a mesh with texture coordinates.
    """
    vertices: list[list[str]] = []
    uv: list[list[str]] = []
    corners: list[tuple[str, str, str]] = []
    groups: list[int] = []
    names: list[str] = [""]
    group = 0
    for line in _text(path).splitlines():
        kind, _, rest = line.strip().partition(" ")
        if kind == "v":
            vertices.append(rest.split()[:3])
        elif kind == "vt":
            uv.append(rest.split()[:2])
        elif kind == "g":
            name = rest.strip()
            if name not in names:
                names.append(name)
            group = names.index(name)
        elif kind == "f":
            polygon = rest.split()
            for second, third in pairwise(polygon[1:]):
                corners.append((polygon[0], second, third))
                groups.append(group)
    try:
        pairs = [corner.split("/")[:2] for triangle in corners for corner in triangle]
        index = np.array(pairs, np.int64).reshape(-1, 3, 2) - 1
        mesh = ObjMesh(
            np.array(vertices, np.float32).reshape(-1, 3),
            np.array(uv, np.float32).reshape(-1, 2),
            index[..., 0].astype(np.int32),
            index[..., 1].astype(np.int32),
            np.array(groups, np.int32),
            tuple(names),
        )
    except ValueError as error:
        raise DataError(f"{path}: not a mesh with texture coordinates ({error})") from error
    if not len(mesh.triangles):
        raise DataError(f"{path}: the mesh has no faces")
    _check_range(path, mesh.triangles, len(mesh.vertices))
    _check_range(path, mesh.triangles_uv, len(mesh.uv))
    return mesh


def read_target(path: Path, vertices: int) -> Target:
    """Read a target, plain or gzipped.

    Args:
        path: ``NAME.target`` or ``NAME.target.gz``.
        vertices: how many vertices the base mesh has.

    Raises:
        DataError: the file cannot be read or does not fit the base mesh.
    """
    lines = [line for line in _text(path).splitlines() if not line.lstrip().startswith("#")]
    rows = _numbers(path, "\n".join(lines), 4)
    indices = rows[:, 0].astype(np.int32)
    _check_range(path, indices, vertices)
    if len(np.unique(indices)) != len(indices):
        raise DataError(f"{path}: the target moves a vertex twice")
    return Target(indices, rows[:, 1:].astype(np.float32))


def read_fit(path: Path, vertices: int) -> Fit:
    """Read a proxy's ``.mhclo``.

    Args:
        path: the file.
        vertices: how many vertices the base mesh has.

    Raises:
        DataError: the file cannot be read, lacks a scale or does not fit the base mesh.
    """
    scales: dict[str, list[str]] = {}
    rows: list[list[str]] = []
    listing = False
    for line in _text(path).splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] in ("verts", "delete_verts"):
            listing = words[0] == "verts"
        elif words[0] in _SCALES:
            scales[words[0]] = words[1:4]
        elif listing and words[0].isdigit():  # some files have a tag or material in between
            # A lone number is a base vertex that the proxy's vertex coincides with.
            rows.append(words if len(words) > 1 else [*words * 3, "1", "0", "0", "0", "0", "0"])
    missing = [name for name in _SCALES if len(scales.get(name, ())) != 3]
    if missing:
        raise DataError(f"{path}: {', '.join(missing)} is missing")
    table = _numbers(path, " ".join(word for row in rows for word in row), 9)
    axes = _numbers(path, " ".join(word for name in _SCALES for word in scales[name]), 3)
    fit = Fit(
        table[:, :3].astype(np.int32),
        table[:, 3:6].astype(np.float32),
        table[:, 6:].astype(np.float32),
        axes[:, :2].astype(np.int32),
        axes[:, 2].astype(np.float32),
    )
    if not len(table) or not (fit.scale_lengths > 0).all():
        raise DataError(f"{path}: no vertices, or a scale of zero")
    _check_range(path, fit.triangles, vertices)
    _check_range(path, fit.scale_vertices, vertices)
    return fit


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error


def _numbers(path: Path, text: str, columns: int) -> NDArray[np.float64]:
    """The text as rows of numbers; one C call, since a head needs hundreds of targets."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # numpy's answer to text that is none
        try:
            values = np.fromstring(text, np.float64, sep=" ")
            rows = values.reshape(-1, columns)
        except (ValueError, DeprecationWarning) as error:
            raise DataError(f"{path}: expected rows of {columns} numbers") from error
    if not np.isfinite(rows).all():
        raise DataError(f"{path}: expected finite numbers")
    return rows


def _check_range(path: Path, indices: Integers, count: int) -> None:
    if len(indices) and not (indices.min() >= 0 and indices.max() < count):
        raise DataError(f"{path}: refers to vertices outside 1..{count}")
