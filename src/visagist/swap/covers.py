"""Targets with something drawn in front of the face, of which every covered pixel is known."""

from __future__ import annotations

import hashlib

import numpy as np

from visagist.face.align import align, crop
from visagist.face.parser.classes import SKIN
from visagist.face.parser.labels import face_labels
from visagist.face.parser.overlays import Canvas, compose, draw
from visagist.face.regions import outline
from visagist.face.topology import FACE_OVAL
from visagist.face.types import Detection, Face
from visagist.swap.methods import Scene, Side

__all__ = ["covered_target"]

_WIDE = 2.0
"""Side of the picture that covers are drawn on, in canonical crops."""
_SEED = 23_000_000
_NONE = 255


def covered_target(target: Side) -> Scene:
    """Draw hair strands, glasses, hands and other things, from a seed that no training uses."""
    base = align(target.face.mesh)
    wide = base.widened(_WIDE).resized(round(base.size * _WIDE))
    view, mesh = crop(target.pixels, wide), wide.to_crop(target.face.mesh)
    labels = face_labels(mesh, wide.size)
    digest = hashlib.sha256(f"{_SEED} {target.name}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    skin = np.median(view[labels == SKIN], 0).astype(np.float32)
    covers = draw(Canvas(mesh, wide.size, skin, (view,)), rng)
    picture, known = compose(view, np.full_like(labels, _NONE), covers, rng)
    oval = outline(mesh, FACE_OVAL, wide.size, wide.size) > 0.5
    (x0, y0), (x1, y1) = mesh[:, :2].min(0), mesh[:, :2].max(0)
    detection = Detection((float(x0), float(y0), float(x1), float(y1)), 1.0)
    return Scene(view, picture, Face(detection, mesh, 1.0), (known != _NONE) & oval)
