"""Draws scenes: the renderer, the assets and what they have in common, kept for many pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.heads.assets import HeadAssets
from visagist.corpus.heads.background import background
from visagist.corpus.heads.camera import Camera, Pose
from visagist.corpus.heads.coverings import clothes
from visagist.corpus.heads.develop import develop, exposure
from visagist.corpus.heads.drawing import Draw, Picture, View
from visagist.corpus.heads.expression import Expression
from visagist.corpus.heads.geometry import HeadSpec, build_head
from visagist.corpus.heads.light import Lamp, Lighting
from visagist.corpus.heads.materials import head_draws
from visagist.corpus.heads.occluders import hat_plane, worn_draws
from visagist.corpus.heads.renderer import Renderer
from visagist.corpus.heads.scene import Scene
from visagist.corpus.heads.shape import HeadShape
from visagist.face.align import Alignment, align

Floats = NDArray[np.float32]
_DIRECTIONS = 64


@dataclass(frozen=True, slots=True)
class Shot:
    """A finished picture with its truth.

    Attributes:
        image: (S, S, 3) uint8 RGB.
        picture: the parts, the depth, and the light before it was developed.
        mesh: (478, 3) float32 crop pixels; hidden points are where they would be seen.
        alignment: from photo pixels to the crop.
        gain: exposure.
        face_width: in photo pixels.
    """

    image: NDArray[np.uint8]
    picture: Picture
    mesh: Floats
    alignment: Alignment
    gain: float
    face_width: float


class Studio:
    """Draws scenes at one size and zoom."""

    def __init__(self, assets: HeadAssets, size: int, zoom: float) -> None:
        """Open the renderer.

        Args:
            assets: what heads are made of.
            size: side of the crops.
            zoom: field of view in canonical crops.

        Raises:
            DataError: no OpenGL.
        """
        self.assets, self.size, self.zoom = assets, size, zoom
        self.renderer = Renderer(size)
        self._openness: Floats | None = None

    def shoot(self, scene: Scene, like: Shot | None = None) -> Shot:
        """Draw a scene.

        Args:
            scene: what.
            like: take crop and exposure from this picture of the same scene with someone else.
        """
        head = build_head(scene.spec, self.assets)
        photo = scene.camera.project(scene.pose.place(head.points))
        alignment = align(photo, self.size).widened(self.zoom) if like is None else like.alignment
        draws = head_draws(
            head, scene.spec, scene.person.skin, scene.person.hair, scene.finish,
            openness=self.openness(), folder=self.assets.folder,
        )  # fmt: skip
        skin = next(one for one in draws if one.material == "skin")
        draws += clothes(head, scene.clothes_seed)
        for worn in scene.worn:
            draws += worn_draws(worn, head, skin)
        view = View(
            scene.pose, scene.camera, alignment.matrix, scene.lighting, hat_plane(scene.worn)
        )
        picture = self.renderer.draw(draws, view)
        look = scene.development
        gain = exposure(picture, look.skin_level) if like is None else like.gain
        behind = background(scene.background, scene.background_seed, self.size)
        look = replace(look, detail=min(1.0, 1 / alignment.scale))
        image = develop(picture, behind, look, gain)
        width = float(np.linalg.norm(photo[234] - photo[454]))
        return Shot(image, picture, alignment.to_crop(photo), alignment, gain, width)

    def openness(self) -> Floats:
        """(V,) share of the surroundings that each vertex of the skin sees, on an average head."""
        if self._openness is None:
            skin = build_head(HeadSpec(HeadShape(0), Expression())).surfaces[0]
            k = np.arange(_DIRECTIONS) + 0.5
            z, a = 1 - 2 * k / _DIRECTIONS, np.pi * (1 + 5**0.5) * k
            r = np.sqrt(1 - z * z)
            towards = np.stack([r * np.cos(a), z, r * np.sin(a)], 1).astype(np.float32)
            mesh = Draw("plain", skin.vertices, skin.normals, skin.triangles, skin.parts)
            dark = Lamp(towards[0], np.zeros(3, np.float32))
            light = Lighting("none", dark, dark, dark, np.zeros((9, 3), np.float32), 0.1)
            view = View(Pose(), Camera(10, 10, 10), np.eye(2, 3), light)
            self._openness = self.renderer.visible([mesh], view, towards)
        return self._openness
