"""Blends as work for a build: a seed becomes a person in one, two or more pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.blends.blend import blend
from visagist.corpus.blends.change import changed, draw_change
from visagist.corpus.blends.config import BlendConfig
from visagist.corpus.blends.gate import Gate
from visagist.corpus.blends.mixture import Mixture, draw_mixture
from visagist.corpus.blends.parents import (
    Wear,
    child_origin,
    draw_parents,
    is_grey,
    may_be_parent,
    person,
    wear,
)
from visagist.corpus.blends.posing import mix_meshes
from visagist.corpus.blends.shape_space import LEAST, ShapeSpace, learn_shape_space
from visagist.corpus.blends.texture_space import TextureSpace, learn_texture_space
from visagist.corpus.corpus import Corpus
from visagist.corpus.index import Record
from visagist.corpus.make import make_sample
from visagist.corpus.sample import Sample
from visagist.corpus.task import Item, SkippedItemError
from visagist.errors import DataError, InputError
from visagist.face.align import transform_points

_TRIES = 8  # parents drawn until enough fit, and blends until one is new
_MOST_SHAPES = 800  # people whose meshes make the shape space
_MOST_TEXTURES = 250  # people whose skin makes the texture space


class BlendTask:
    """Makes blends of the people of a corpus; see :class:`~visagist.corpus.task.CorpusTask`.

    Args:
        corpus: folder of a finished corpus.
        config: how.
        gate: a face embedder that refuses blends which resemble a parent.

    Raises:
        DataError: there is no corpus.
        InputError: its splits hold too few faces that may be blended.
    """

    def __init__(self, corpus: Path, config: BlendConfig, gate: Gate | None = None) -> None:
        self.corpus, self.config, self.gate = Path(corpus), config, gate
        for split in config.splits:
            people = len(self._faces.candidates[split])
            needed = max(config.parents, LEAST)
            if people < needed:
                raise InputError(
                    f"{corpus}: {people} people in {split} have a face that may be blended; "
                    f"{needed} are needed. Leave the split out, or loosen the rules"
                )

    def __getstate__(self) -> dict[str, Any]:
        """Only settings travel between processes."""
        return {"corpus": self.corpus, "config": self.config, "gate": self.gate}

    @cached_property
    def _faces(self) -> _Faces:
        return _Faces(Corpus.open(self.corpus), self.config)

    def items(self) -> Iterable[Item]:
        """One a blend: its number."""
        for number in range(self.config.count):
            yield Item(f"{self.config.source}/{number:08d}", number)

    def describe(self) -> dict[str, object]:
        """The settings, and which corpus the parents come from."""
        settings: dict[str, object] = {
            "blends": self.config.model_dump(mode="json"),
            "parents": self._faces.corpus.summary["index_sha256"],
        }
        if self.gate is not None:
            settings["embedder"] = self.gate.name
        return settings

    def prepare(self, item: Item) -> list[Sample]:
        """The pictures of one blended person.

        Raises:
            SkippedItemError: nobody fits the first parent that was drawn, or all that was drawn
                resembles a parent.
        """
        config, number = self.config, int(item.payload)
        random = np.random.default_rng([config.seed, number])
        parents = self._draw(random)
        loaded = [self._faces.window(record) for record in parents]
        images, meshes = [one[0] for one in loaded], [one[1] for one in loaded]
        mixture, image, mesh = self._born(random, parents, images, meshes)
        pictures: list[tuple[NDArray[np.uint8], NDArray[np.float32], dict[str, object]]] = [
            (image, mesh, {})
        ]
        for _ in range(config.pictures - 1):
            change = draw_change(
                random,
                mesh,
                max_turn=config.max_turn,
                max_light=config.max_light,
                grey=is_grey(parents[0].quality),
            )
            pictures.append((*changed(image, mesh, change), change.facts()))
        facts = _facts(parents, mixture)
        return [
            self._sample(number, k, picture, parents, loaded[0], facts)
            for k, picture in enumerate(pictures)
        ]

    def _born(
        self,
        random: np.random.Generator,
        parents: Sequence[Record],
        images: Sequence[NDArray[np.uint8]],
        meshes: Sequence[NDArray[np.float32]],
    ) -> tuple[Mixture, NDArray[np.uint8], NDArray[np.float32]]:
        """A blend of some parents, drawn again while it resembles one of them."""
        config = self.config
        for _ in range(_TRIES):
            mixture = draw_mixture(
                random, len(parents), host_share=config.host_share, spread=config.spread
            )
            variation, complexion = self._new(random, parents, images, meshes, mixture)
            image, mesh = blend(images, meshes, mixture, variation=variation, complexion=complexion)
            if self.gate is None:
                return mixture, image, mesh
            embed = self.gate.load()
            child = embed(image, mesh)
            both = zip(images, meshes, strict=True)
            if max(float(embed(*one) @ child) for one in both) <= config.max_cosine:
                return mixture, image, mesh
        raise SkippedItemError("like_a_parent", f"{_TRIES} blends that resemble a parent")

    def _new(
        self,
        random: np.random.Generator,
        parents: Sequence[Record],
        images: Sequence[NDArray[np.uint8]],
        meshes: Sequence[NDArray[np.float32]],
        mixture: Mixture,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What no parent gives to shape and skin."""
        config, split = self.config, parents[0].split
        shape = self._faces.shapes(split).vary(
            mix_meshes(meshes, mixture.shape, mixture.host),
            random,
            inherit=config.inherit,
            strength=config.variation,
        )
        skin = self._faces.textures(split).vary(
            list(zip(images, meshes, strict=True)),
            mixture.texture,
            random,
            inherit=config.inherit_skin,
            strength=config.complexion,
        )
        if is_grey(parents[0].quality):
            skin[..., 1:] = 0
        return shape, skin

    def _draw(self, random: np.random.Generator) -> list[Record]:
        faces, config = self._faces, self.config
        sizes = np.array([len(faces.candidates[split]) for split in config.splits])
        for _ in range(_TRIES):
            split = config.splits[int(random.choice(len(sizes), p=sizes / sizes.sum()))]
            parents = draw_parents(
                random, faces.candidates[split], config.parents, config.rules, faces.wear
            )
            if len(parents) == config.parents:
                return parents
        raise SkippedItemError(
            "no_parents", f"nobody fits the first parent that was drawn, {_TRIES} times over"
        )

    def _sample(  # noqa: PLR0917  (what a picture is made of)
        self,
        number: int,
        k: int,
        picture: tuple[NDArray[np.uint8], NDArray[np.float32], dict[str, object]],
        parents: Sequence[Record],
        host: tuple[NDArray[np.uint8], NDArray[np.float32], Sample, int],
        facts: dict[str, object],
    ) -> Sample:
        image, mesh, change = picture
        _, _, first, margin = host
        whole = first.image.copy()
        inside = slice(margin, margin + image.shape[0])
        whole[inside, inside] = image
        source = self.config.source
        origin = child_origin(
            parents, source=source, item=f"{number:08d}-{k}", identity=f"{source}/{number:08d}"
        )
        given = all(record.labels_from in {"given", "exact"} for record in parents)
        return make_sample(
            whole,
            mesh + np.array([margin, margin, 0], np.float32),
            origin,
            zoom=first.zoom,
            matrix=first.matrix,
            confidence=min(record.confidence for record in parents),
            labels_from="given" if given else "network",
            face_width=min(record.quality.face_width for record in parents),
            facts={**facts, "change": change} if change else facts,
        )


@dataclass
class _Faces:
    """What a process loads once: the index, who may be a parent, and the shapes of people."""

    corpus: Corpus
    config: BlendConfig

    def __post_init__(self) -> None:
        self._shapes: dict[str, ShapeSpace] = {}
        self._textures: dict[str, TextureSpace] = {}
        self._wear: dict[str, Wear] = {}

    @cached_property
    def candidates(self) -> dict[str, dict[str, list[Record]]]:
        """Possible parents: the pictures of each person of each split."""
        found: dict[str, dict[str, list[Record]]] = {split: {} for split in self.config.splits}
        for record in self.corpus.select(splits=self.config.splits, use=self.config.use):
            if may_be_parent(record, self.config.rules):
                found[record.split].setdefault(person(record), []).append(record)
        return found

    def shapes(self, split: str) -> ShapeSpace:
        """How the people of one split differ; nothing is learned across splits."""
        if split not in self._shapes:
            people = self.candidates[split]
            chosen = [people[name][0] for name in sorted(people)]
            step = max(1, len(chosen) // _MOST_SHAPES)
            self._shapes[split] = learn_shape_space([r.mesh for r in chosen[::step]])
        return self._shapes[split]

    def textures(self, split: str) -> TextureSpace:
        """How the skin of one split's people differs."""
        if split not in self._textures:
            people = self.candidates[split]
            chosen = [people[name][0] for name in sorted(people)]
            step = max(1, -(-len(chosen) // _MOST_TEXTURES))
            shown = [r for r in chosen[::step] if self.wear(r).glasses <= 1]
            if len(shown) < LEAST:
                shown = [r for r in chosen if np.isfinite(self.wear(r).glasses)]
            self._textures[split] = learn_texture_space(self.window(r)[:2] for r in shown)
        return self._textures[split]

    def wear(self, record: Record) -> Wear:
        """What the face in a picture wears; looked at once. A damaged picture is never chosen."""
        if record.key not in self._wear:
            try:
                image, mesh, _, _ = self.window(record)
                self._wear[record.key] = wear(image, mesh)
            except DataError:  # a damaged picture costs its person a turn, not the build
                self._wear[record.key] = Wear(glasses=np.inf, beard=0.0)
        return self._wear[record.key]

    def window(self, record: Record) -> tuple[NDArray[np.uint8], NDArray[np.float32], Sample, int]:
        """The middle of a crop, its mesh there, the whole sample and the margin around."""
        sample = self.corpus.load(record)
        size = sample.image.shape[0]
        margin = max(0, round(size * (1 - self.config.window / sample.zoom) / 2))
        inside = slice(margin, size - margin)
        return (
            np.ascontiguousarray(sample.image[inside, inside]),
            transform_points(np.array([[1, 0, -margin], [0, 1, -margin]]), sample.mesh),
            sample,
            margin,
        )


def _facts(parents: Sequence[Record], mixture: Mixture) -> dict[str, object]:
    return {
        "pictures_of_parents": [record.key for record in parents],
        "shape": list(mixture.shape),
        "texture": list(mixture.texture),
        "detail": mixture.detail,
        "eyes": mixture.eyes,
        "brows": mixture.brows,
        "mouth": mixture.mouth,
    }
