"""Rendered heads as a corpus task: one item is one picture of one person."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from visagist.corpus.heads.assets import HeadAssets
from visagist.corpus.heads.scene import (
    HeadsConfig,
    draw_person,
    draw_scene,
    other_person,
    scene_facts,
)
from visagist.corpus.heads.studio import Shot, Studio
from visagist.corpus.make import make_sample
from visagist.corpus.sample import Origin, Sample
from visagist.corpus.task import Item
from visagist.errors import DataError, InputError
from visagist.face.parts import Part

SOURCE = "heads"
LICENCE = "CC0-1.0"
DEPTH_UNIT = 0.05  # millimetres a step of depth.png; 0 is background
# What makeup lies on; glasses, hair and hands stay as they are.
_PAINTED = (Part.SKIN, Part.LIPS, Part.EYES, Part.BROWS)


class Retouch(Protocol):
    """Puts makeup on a face; handed in, because the corpus knows no makeup. Picklable."""

    def __call__(
        self, image: NDArray[np.uint8], mesh: NDArray[np.float32], seed: int
    ) -> tuple[NDArray[np.uint8], str]:
        """A made-up copy of an (S, S, 3) crop with its (478, 3) mesh, and the style's name."""
        ...


class HeadTask:
    """Draws ``count`` pictures of as many people as ``per_identity`` asks for."""

    def __init__(self, config: HeadsConfig, assets: Path, retouch: Retouch | None = None) -> None:
        """Set up the task; nothing is loaded until the first picture.

        Args:
            config: the settings.
            assets: MakeHuman's assets.
            retouch: makes up faces for the counterfactual ``makeup``.

        Raises:
            DataError: the assets' folder does not exist or lacks what every head needs.
            InputError: makeup is asked for, but nobody to do it.
        """
        if "makeup" in config.counterfactuals and retouch is None:
            raise InputError("the counterfactual makeup needs a retouch function")
        check_assets(assets)
        self.config, self.assets, self.retouch = config, assets, retouch

    def items(self) -> Iterable[Item]:
        """One item a picture: the number of the person and of the picture."""
        each = self.config.per_identity
        for k in range(self.config.count):
            number, picture = divmod(k, each)
            yield Item(f"{self.config.seed}/{number:07d}/{picture}", (number, picture))

    def prepare(self, item: Item) -> list[Sample]:
        """Draw one picture and what else is asked for of it."""
        number, picture = item.payload
        studio = _studio(self.assets, self.config.size, self.config.zoom)
        scene = draw_scene(self.config, number, picture, studio.assets)
        shot = studio.shoot(scene)
        facts = scene_facts(scene)
        extras = _truth(shot, "")
        if "makeup" in self.config.counterfactuals and self.retouch is not None:
            made_up, style = _made_up(shot, self.retouch, scene.development.seed)
            extras["makeup.png"] = _png(made_up)
            facts["makeup"] = style
        if "other" in self.config.counterfactuals:
            person = draw_person(self.config.seed, number, studio.assets, 1 + picture)
            other = studio.shoot(other_person(scene, person), shot)
            extras |= {"other.png": _png(other.image), **_truth(other, "other.")}
            facts["other"] = {"identity": person.identity, "person": person.spec.shape.seed}
        origin = Origin(
            source=SOURCE,
            item=item.key,
            identity=scene.person.identity,
            kind="head",
            licence=LICENCE,
            may_show=True,
        )
        return [
            make_sample(
                shot.image,
                shot.mesh,
                origin,
                zoom=self.config.zoom,
                matrix=shot.alignment.matrix,
                confidence=1.0,
                labels_from="exact",
                face_width=shot.face_width,
                parts=shot.picture.parts,
                extras=extras,
                facts=facts,
            )
        ]

    def describe(self) -> dict[str, object]:
        """The settings; a build resumes only under equal ones, wherever the assets lie."""
        return {
            "task": "heads",
            **self.config.model_dump(mode="json"),
            "retouch": None if self.retouch is None else repr(self.retouch),
        }


def check_assets(folder: Path) -> None:
    """Refuse a folder that cannot make a head.

    Raises:
        DataError: it does not exist, or has no skins or no irises.
    """
    names = HeadAssets(folder).names
    for kind in ("skins", "irises"):
        if not names[kind]:
            raise DataError(
                f"{folder}: has no {kind}; docs/synthetic-heads.md says what belongs there and "
                "where it is had"
            )


@cache
def _studio(assets: Path, size: int, zoom: float) -> Studio:
    """This process's renderer: OpenGL is opened once, and textures stay."""
    cv2.setNumThreads(1)  # chunks are what runs in parallel; Mesa's rasteriser reads the variable
    os.environ.setdefault("LP_NUM_THREADS", "1")
    return Studio(HeadAssets(assets), size, zoom)


def _truth(shot: Shot, prefix: str) -> dict[str, bytes]:
    """The label map and the depth as PNG; the other person's mesh as well."""
    tenths = np.round(shot.picture.depth * (100 / DEPTH_UNIT))
    depth = np.clip(tenths, 0, 65535).astype(np.uint16)
    members = {
        f"{prefix}parts.png": _png(shot.picture.parts),
        f"{prefix}depth.png": _png(depth),
    }
    if prefix:
        stream = io.BytesIO()
        np.save(stream, shot.mesh.astype(np.float32))
        members[f"{prefix}mesh.npy"] = stream.getvalue()
    return members


def _png(image: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    shown = image[..., ::-1] if image.ndim == 3 else image
    done, data = cv2.imencode(".png", np.ascontiguousarray(shown))
    if not done:
        raise DataError("a picture could not be encoded")
    return bytes(data)


def _made_up(shot: Shot, retouch: Retouch, seed: int) -> tuple[NDArray[np.uint8], str]:
    """Makeup on what is bare: hair, glasses and hands stay as they are."""
    painted, style = retouch(shot.image, shot.mesh, seed)
    bare = np.isin(shot.picture.parts, _PAINTED)[..., None]
    return np.where(bare, painted, shot.image), style
