"""Triplets whose truth is exact: rendered heads, another person in the same picture.

The target is a scene of somebody; the truth is the same scene, crop and exposure with somebody
else's build, skin, eyes and brows; the source is that person in another scene.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from visagist.corpus.heads.assets import HeadAssets
from visagist.corpus.heads.scene import (
    HeadsConfig,
    Person,
    draw_person,
    draw_scene,
    other_person,
)
from visagist.corpus.heads.studio import Shot, Studio
from visagist.corpus.heads.task import LICENCE
from visagist.corpus.sample import SPLITS, Origin
from visagist.swap.triplets.config import TripletConfig
from visagist.swap.triplets.faces import FIELD, Face
from visagist.swap.triplets.gates import Gates, RejectedError
from visagist.swap.triplets.triplet import Triplet

_SOURCE = "heads-exact"
_SEED = 7_000_000  # heads of corpora have small seeds; nobody is in both
_YAW = 40.0
_TONE = 22.0  # typology angle; beyond, a lighter skin is burnt out under the other's exposure
_OTHERS = 8  # people who are drawn until one fits
_SEEN_WITH = ("glasses", "beanie", "cap")  # what a source may wear


class ExactMaker:
    """Renders triplets.

    Args:
        assets: MakeHuman's assets.
        config: the recipe.
        gates: what is thrown away.
        split: people of different splits are different.
        seed: another seed draws other people.

    Raises:
        DataError: the assets' folder does not exist, or there is no OpenGL.
    """

    def __init__(
        self, assets: Path, config: TripletConfig, gates: Gates, *, split: str, seed: int = 0
    ) -> None:
        self._studio = Studio(HeadAssets(assets), round(config.size * FIELD), FIELD)
        self._config, self._gates = config, gates
        self._seed = _SEED + len(SPLITS) * seed + SPLITS.index(split)

    def make(self, random: np.random.Generator, number: int, key: str) -> Triplet:
        """One triplet.

        Raises:
            RejectedError: the two people are too much alike, or turned away.
        """
        first = 64 * number + int(random.integers(0, 64, endpoint=False))
        heads = HeadsConfig(seed=self._seed, worn=1.3)
        assets = self._studio.assets
        scene = draw_scene(heads, first, 0, assets)
        elsewhere = draw_scene(heads, first, 1, assets)
        if max(abs(scene.pose.yaw), abs(elsewhere.pose.yaw)) > _YAW:
            raise RejectedError("turned_away")
        elsewhere = replace(
            elsewhere, worn=tuple(one for one in elsewhere.worn if one.kind in _SEEN_WITH)
        )
        person = self._alike(scene.person, first)
        target = self._studio.shoot(scene)
        # its crop and exposure, for the truth must lie on the target pixel by pixel
        truth = self._studio.shoot(other_person(scene, person), target)
        source = self._studio.shoot(other_person(elsewhere, person))
        faces = [
            self._face(target, scene.person.identity),
            self._face(truth, person.identity),
            self._face(source, person.identity),
        ]
        figures = self._gates.change(faces[1], faces[0], around=False)
        figures["cosine"] = self._gates.cosine(faces[1], faces[0])
        if figures["cosine"] > self._config.gates.edited_most:
            raise RejectedError("identity_kept")
        self._gates.source(faces[2])
        weight = self._config.weights.get("exact", 1.0)
        target_face = faces[0].edited(faces[0].image, faces[0].mesh, "exact")
        return Triplet(key, "exact", faces[2], target_face, faces[1], weight, figures)

    def _alike(self, person: Person, number: int) -> Person:
        """Somebody whose skin the scene's exposure suits, too.

        Raises:
            RejectedError: nobody of those that were drawn.
        """
        for other in range(1, _OTHERS + 1):
            drawn = draw_person(self._seed, number, self._studio.assets, other)
            if abs(drawn.tone - person.tone) <= _TONE:
                return drawn
        raise RejectedError("nobody_fits")

    def _face(self, shot: Shot, identity: str) -> Face:
        origin = Origin(
            source=_SOURCE,
            item=identity,
            identity=identity,
            kind="head",
            licence=LICENCE,
            may_show=True,
        )
        return Face(shot.image, shot.mesh.astype(np.float32), identity, origin.person, origin)
