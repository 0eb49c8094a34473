"""A second look at eyes and lips, near enough to see where lids and lips end.

The mesh network sees the whole face at about half the crop's resolution. Makeup is drawn along
lids and lips, where half a pixel shows. So three windows are cut where its mesh says that eyes and
mouth are, and small networks say where their points really lie (as the attention mesh refines
regions: Grishchenko et al., arXiv 2006.10962). A right eye is mirrored: one network knows both.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.errors import ModelDamagedError
from visagist.face.align import Alignment, align, crop, transform_points
from visagist.face.topology import (
    LEFT_EYE,
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    LEFT_IRIS,
    LIPS_INNER,
    LIPS_OUTER,
    canonical_points,
    mirror_index,
)
from visagist.runtime.session import make_session
from visagist.runtime.store import ModelFiles, open_model

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]

SIZE = 64
"""Pixels along a side of a window, as the networks see it."""
_MARGIN = 3.0
"""Points nearer than this to a window's rim, in pixels of the canonical crop, are not asked for."""
_RIM = 10.0
"""Width over which what a window says fades into what the whole face said."""


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the face that is looked at again.

    Attributes:
        side: of its window in pixels of the canonical crop.
        up: pixels by which the window's middle lies above that of the points it follows.
        follows: points whose middle the window follows.
        fine: points that matter most: where makeup ends.
    """

    side: float
    up: float
    follows: tuple[int, ...]
    fine: tuple[int, ...]


REGIONS = {
    "eye": Region(88.0, 8.0, (LEFT_EYE_INNER, LEFT_EYE_OUTER), (*LEFT_EYE, *LEFT_IRIS)),
    "lips": Region(96.0, 0.0, LIPS_OUTER, (*LIPS_OUTER, *LIPS_INNER)),
}
"""The left eye with its brow, and the mouth; a right eye is the left one of the mirror image."""


def middle(mesh: NDArray[np.floating], region: Region) -> NDArray[np.float64]:
    """(2,) centre of a region's window; the mesh is in pixels of the canonical crop."""
    points = np.asarray(mesh, np.float64)[list(region.follows), :2]
    return np.asarray((points.min(0) + points.max(0)) / 2 - [0, region.up])


@lru_cache(maxsize=4)
def region_points(name: str) -> tuple[Indices, Floats, Floats]:
    """Which points a region's network places.

    Args:
        name: of ``REGIONS``.

    Returns:
        Their (P,) numbers, their (P, 2) places on the canonical face in pixels of the window, and
        (P,) how much what the window says counts: 1 inside, less towards its rim.
    """
    region = REGIONS[name]
    points = canonical_points()[:, :2].astype(np.float64)
    low = middle(points, region) - region.side / 2
    to_edge = np.minimum(points - low, low + region.side - points).min(1)
    chosen = np.flatnonzero(to_edge > _MARGIN)
    weight = np.clip((to_edge[chosen] - _MARGIN) / _RIM, 0, 1)
    places = (points[chosen] - low) * SIZE / region.side
    return chosen, places.astype(np.float32), weight.astype(np.float32)


def window(mesh: NDArray[np.floating], region: Region) -> Alignment:
    """From photo pixels to a region's window.

    Args:
        mesh: (478, 3) points in photo pixels.
        region: of ``REGIONS``.
    """
    canonical = align(mesh)
    low = middle(canonical.to_crop(mesh), region) - region.side / 2
    scale = SIZE / region.side
    matrix = canonical.matrix * scale
    matrix[:, 2] -= low * scale
    return Alignment(matrix, SIZE)


def mirrored_mesh(mesh: NDArray[np.floating], width: float) -> Floats:
    """(478, 3) mesh of the picture seen from behind, ``width`` pixels wide."""
    flipped = np.asarray(mesh, np.float32)[mirror_index()].copy()
    flipped[:, 0] = np.float32(width) - flipped[:, 0]
    return flipped


class Closeups:
    """Moves the points of eyes and lips to where they are.

    Args:
        model: an opened ``mesh-closeups`` model.
        threads: of ONNX Runtime.
    """

    def __init__(self, model: ModelFiles, *, threads: int = 1) -> None:
        counts = {name: len(region_points(name)[0]) for name in REGIONS}
        if model.config.get("kind") != "mesh-closeups" or model.config.get("points") != counts:
            raise ModelDamagedError(
                f"{model.path}: these are no close-ups of this mesh; reinstall visagist"
            )
        self._session: Any = make_session(model.onnx, threads=threads)

    @classmethod
    def from_pretrained(
        cls, name_or_dir: str | os.PathLike[str] = "mesh-closeups", *, threads: int = 1
    ) -> Closeups:
        """Open a bundled or own model.

        Raises:
            ModelMissingError: there is no such model.
            ModelDamagedError: a file does not match its manifest.
        """
        return cls(open_model(name_or_dir), threads=threads)

    def refine(self, pixels: NDArray[np.uint8], mesh: NDArray[np.floating]) -> Floats:
        """A mesh whose eyes, brows and lips were looked at again.

        Args:
            pixels: (H, W, 3) uint8 photo.
            mesh: (478, 3) points in its pixels.

        Returns:
            (478, 3) float32; depths stay as they are.
        """
        width = pixels.shape[1]
        whole = np.asarray(mesh, np.float32)
        behind = mirrored_mesh(whole, width)
        # Seen from behind only around the right eye, which is why so little is turned over.
        left, lips = (window(whole, REGIONS[name]) for name in ("eye", "lips"))
        right = window(behind, REGIONS["eye"])
        views = {
            "eyes": np.stack([_view(pixels, left), _view(pixels, _from_behind(right, width))]),
            "lips": _view(pixels, lips)[None],
        }
        views["eyes"][1] = views["eyes"][1, :, :, ::-1]
        eyes, mouth = self._session.run(None, views)
        refined = whole.copy()
        refined = _placed(refined, left, "eye", eyes[0])
        refined = _placed(refined, lips, "lips", mouth[0])
        behind = _placed(mirrored_mesh(refined, width), right, "eye", eyes[1])
        return mirrored_mesh(behind, width)


def _view(pixels: NDArray[np.uint8], alignment: Alignment) -> Floats:
    """(3, 64, 64) float32 in [-1, 1]."""
    seen = crop(pixels, alignment).astype(np.float32).transpose(2, 0, 1)
    return np.asarray((seen - 127.5) / np.float32(127.5), np.float32)


def _from_behind(alignment: Alignment, width: float) -> Alignment:
    """The window of the mirror image as one of the picture itself; its view has to be turned."""
    matrix = alignment.matrix.copy()
    # x' of the mirrored picture is width - x, and the view's columns run the other way.
    matrix[:, 2] += matrix[:, 0] * width
    matrix[:, 0] *= -1
    matrix[0] *= -1
    matrix[0, 2] += alignment.size
    return Alignment(matrix, alignment.size)


def _placed(mesh: Floats, alignment: Alignment, name: str, seen: Floats) -> Floats:
    """The mesh with a window's points where the network sees them, fading out at the rim."""
    chosen, _, weight = region_points(name)
    places = transform_points(alignment.inverse, seen)
    out = mesh.copy()
    out[chosen, :2] += weight[:, None] * (places - mesh[chosen, :2])
    return out
