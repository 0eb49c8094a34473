"""A hand before the face: the base mesh's own, in the person's skin."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.heads.assets import base_mesh, draw_list, normals
from visagist.corpus.heads.drawing import Draw
from visagist.corpus.heads.geometry import HeadGeometry
from visagist.corpus.heads.solids import (
    Floats,
    Random,
)
from visagist.face.parts import Part


@cache
def _hand_mesh() -> tuple[Floats, Floats, Floats, NDArray[np.int32]]:
    """Vertices, normals, texture coordinates and triangles of the base mesh's left hand."""
    base = base_mesh()
    corners = base.vertices[base.mesh.triangles]
    keep = (
        base.triangles_of("body") & (corners[..., 0].min(1) > 2.7) & (corners[..., 1].min(1) > 1.0)
    )
    draw = draw_list(base.mesh, keep)
    return base.vertices[draw.sources], normals(base.vertices, draw), draw.uv, draw.triangles


def hand(head: HeadGeometry, random: Random, skin: Draw) -> list[Draw]:
    """A hand before the face, its fingers pointing up or across."""
    vertices, normal, uv, triangles = _hand_mesh()
    tips = vertices[vertices[:, 0].argmax()]
    wrist = vertices[np.abs(vertices[:, 0] - 3.7) < 0.1].mean(0)
    along = (tips - wrist) / np.linalg.norm(tips - wrist)
    thumb = vertices[vertices[:, 2].argmax()] - wrist
    across = thumb - along * (thumb @ along)
    across /= np.linalg.norm(across)
    frame = np.stack([across, along, np.cross(across, along)])  # rows: thumb side, fingers, palm
    own = (vertices - (wrist + tips) / 2) @ frame.T
    turned = normal @ frame.T
    mirror = random.choice((-1.0, 1.0))
    own[:, 0] *= mirror
    turned[:, 0] *= mirror
    tilt = float(random.normal(0, 35)) + mirror * 25
    a, lean = np.radians(tilt), float(random.normal(0, 0.25))
    spin = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    nod = np.array([[1, 0, 0], [0, np.cos(lean), -np.sin(lean)], [0, np.sin(lean), np.cos(lean)]])
    if random.random() < 0.5:  # the back of the hand or the palm to the camera
        flip = np.diag([-1.0, 1.0, -1.0])
        own, turned = own @ flip, turned @ flip
    place = spin @ nod
    own, turned = own @ place.T, turned @ place.T
    target = np.array([random.normal(0, 0.5), random.normal(-0.6, 0.45), 0.0])
    own += target
    # Pushed forward until nothing of it is inside the face.
    face = head.surfaces[0].vertices
    face = face[(face[:, 2] > -0.6) & (face[:, 1] > -1.3)]
    few, face = own[::4], face[::4]
    near = np.abs(few[:, None, :2] - face[None, :, :2]).max(-1) < 0.12
    gap = np.where(near, face[None, :, 2] - few[:, None, 2], -9.0).max()
    own[:, 2] += max(float(gap), 0.0) + 0.04
    order = triangles if mirror > 0 else triangles[:, ::-1]
    values = {**skin.values, "stubble": 0.0, "freckles": 0.0}
    return [
        Draw(
            "skin",
            own.astype(np.float32),
            turned.astype(np.float32),
            np.ascontiguousarray(order),
            np.full(len(order), Part.OCCLUDER, np.uint8),
            uv=uv,
            values=values,
            textures=skin.textures,
        )
    ]
