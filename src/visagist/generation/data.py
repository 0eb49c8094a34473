"""From corpora and folders to batches of pictures for the generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visagist.corpus.corpus import Corpus
from visagist.corpus.feed.batches import Ahead
from visagist.corpus.feed.cache import FaceCache, cached_faces
from visagist.errors import DataError
from visagist.generation.config import DataConfig
from visagist.generation.draws import Draws, picked
from visagist.generation.folder import FolderPictures
from visagist.training.parallel import Part, world_size

Bytes = NDArray[np.uint8]
Weights = NDArray[np.float64]
FEWEST = 16
"""With fewer pictures a generator would learn them by heart and nothing else."""


class Pictures(Protocol):
    """A set of pictures that batches are drawn from.

    Attributes:
        weights: (N,) probability of each picture; they add up to 1.
        labels: (N,) int64 classes, or nothing.
        resident: whether ``get`` is so fast that no batch is made ahead.
    """

    weights: Weights
    labels: NDArray[np.int64] | None
    resident: bool

    def get(self, index: NDArray[np.int64]) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """uint8 (n, 3, S, S) pictures, sources of that shape and (n, M, S, S) masks, or none."""


class StoredPictures:
    """Pictures in an array in memory or mapped from disk, on the device where they are resident.

    Args:
        pictures: (N, S, S, 3) uint8.
        device: where they are kept.
        weights: (N,) how often each is shown; alike by default.
        labels: (N,) classes.
        sources: (N, S, S, 3) pictures that are turned into these.
        masks: (N, S, S, M) where they may be changed, 0..255.
        resident: keep them on the device.

    Raises:
        DataError: there is none, or arrays do not fit each other.
    """

    def __init__(
        self,
        pictures: Bytes,
        device: torch.device,
        *,
        weights: Weights | None = None,
        labels: NDArray[np.int64] | None = None,
        sources: Bytes | None = None,
        masks: Bytes | None = None,
        resident: bool = True,
    ) -> None:
        n = len(pictures)
        if not n:
            raise DataError("a set of pictures without pictures")
        for name, other in [("labels", labels), ("sources", sources), ("masks", masks)]:
            if other is not None and len(other) != n:
                raise DataError(f"there are {n} pictures but {len(other)} {name}")
        share = np.full(n, 1.0) if weights is None else np.asarray(weights, np.float64)
        self.weights = share / share.sum()
        self.labels, self.resident = labels, resident
        self.shape = pictures.shape[1:]
        self._arrays = [
            None if a is None else torch.from_numpy(a).to(device) if resident else a
            for a in (pictures, sources, masks)
        ]

    def get(self, index: NDArray[np.int64]) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The pictures of that number."""
        pictures, sources, masks = (_chosen(a, index) for a in self._arrays)
        if pictures is None:
            raise DataError("a set of pictures without pictures")
        return pictures, sources, masks


def _chosen(array: Tensor | Bytes | None, index: NDArray[np.int64]) -> Tensor | None:
    if array is None:
        return None
    if isinstance(array, Tensor):
        chosen = array[torch.from_numpy(index).to(array.device)]
    else:
        chosen = torch.from_numpy(np.ascontiguousarray(array[index]))
    return chosen.permute(0, 3, 1, 2)


@dataclass(frozen=True, slots=True)
class Batch:
    """A part of a step's batch, on the device.

    Attributes:
        image: (B, 3, S, S) float32 in [-1, 1].
        label: (B,) int64, or nothing.
        source: as ``image``, or nothing.
        masks: (B, M, S, S) in [0, 1], or nothing.
        draws: further randomness of these pictures.
    """

    image: Tensor
    label: Tensor | None
    source: Tensor | None
    masks: Tensor | None
    draws: Draws


class Batches:
    """Step and part -> batch.

    Args:
        pictures: what is drawn from, with replacement.
        config: flips, blocks, workers.
        batch: pictures a step over all processes.
        seed: of the run.
        steps: of the run.
        device: where batches are used.
    """

    def __init__(
        self,
        pictures: Pictures,
        config: DataConfig,
        *,
        batch: int,
        seed: int,
        steps: int,
        device: torch.device,
    ) -> None:
        self.pictures, self.config = pictures, config
        self.batch, self.seed, self.steps, self.device = batch, seed, steps, device
        self._cumulative = np.cumsum(pictures.weights)
        self._ahead: Ahead[tuple[Tensor, Tensor | None, Tensor | None]] | None = None
        self._turns = 0

    def draw(self, step: int, part: Part) -> Batch:
        """The pictures of a part of a step's batch, mirrored at random."""
        draws = self._draws(step, part)
        index = picked(self._cumulative, draws.uniform())
        flip = torch.from_numpy(draws.uniform() < 0.5) & self.config.flip
        image, source, masks = self._get(step, part, index)
        labels = self.pictures.labels
        label = None if labels is None else torch.from_numpy(labels[index]).to(self.device)
        prepared = [None if x is None else self._flipped(x, flip) for x in (image, source, masks)]
        if prepared[0] is None:
            raise DataError("a batch without pictures")
        return Batch(
            image=prepared[0] / 127.5 - 1,
            label=label,
            source=None if prepared[1] is None else prepared[1] / 127.5 - 1,
            masks=None if prepared[2] is None else prepared[2] / 255,
            draws=draws,
        )

    def fixed(self, count: int) -> Batch:
        """Pictures spread evenly over the set, for validation; the same every time."""
        count = max(1, min(count, len(self.pictures.weights)) // self.config.block)
        count *= self.config.block
        index = np.linspace(0, len(self.pictures.weights) - 1, count).astype(np.int64)
        image, source, masks = self.pictures.get(index)
        labels = self.pictures.labels
        place = self.device
        return Batch(
            image=image.to(place).float() / 127.5 - 1,
            label=None if labels is None else torch.from_numpy(labels[index]).to(place),
            source=None if source is None else source.to(place).float() / 127.5 - 1,
            masks=None if masks is None else masks.to(place).float() / 255,
            draws=Draws(0, 0, batch=count, part=Part(), block=self.config.block, device=place),
        )

    def _flipped(self, x: Tensor, flip: Tensor) -> Tensor:
        x = x.to(self.device, non_blocking=True).float()
        return torch.where(flip.to(self.device).reshape(-1, 1, 1, 1), x.flip(3), x)

    def _draws(self, step: int, part: Part) -> Draws:
        return Draws(
            self.seed,
            step,
            batch=self.batch,
            part=part,
            block=self.config.block,
            device=self.device,
        )

    def _get(
        self, step: int, part: Part, index: NDArray[np.int64]
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        if self.pictures.resident or not self.config.workers:
            return self.pictures.get(index)
        world = world_size()
        turns, mine = part.count // world, part.number % world
        if self._ahead is None or self._turns != turns:

            def make(number: int) -> tuple[Tensor, Tensor | None, Tensor | None]:
                wanted = Part(number % turns * world + mine, part.count)
                draws = self._draws(number // turns, wanted)
                return self.pictures.get(picked(self._cumulative, draws.uniform()))

            self._ahead = Ahead(make, steps=self.steps * turns, workers=self.config.workers)
            self._turns = turns
        return self._ahead[step * turns + part.number // world]


def corpus_pictures(
    corpora: Sequence[Path],
    config: DataConfig,
    *,
    cache: Path,
    split: str,
    device: torch.device,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> StoredPictures:
    """The faces of one split of several corpora.

    Args:
        corpora: folders of finished corpora.
        config: which faces, and the share of each source.
        cache: folder for the decoded faces.
        split: train or validation.
        device: where resident pictures go.
        progress: called with faces done and in all while a cache is written.

    Raises:
        DataError: a corpus does not fit, or a source that has a share is in none of them.
    """
    if config.faces is None:
        raise DataError("the recipe names no faces; corpora need data.faces")
    crops: list[Bytes] = []
    sources: list[str] = []
    for path in corpora:
        corpus = Corpus.open(path)
        faces = cached_faces(
            corpus, config.faces, cache, splits=(split,), progress=progress
        ).subset(split)
        crops.append(faces.crops)
        sources += _sources(corpus, faces)
    pictures = crops[0] if len(crops) == 1 else np.concatenate(crops)
    weights = shared_weights(sources, config.shares)
    return StoredPictures(pictures, device, weights=weights, resident=config.resident)


def _sources(corpus: Corpus, faces: FaceCache) -> list[str]:
    by_key = {record.key: record.origin.source for record in corpus.records}
    return [by_key[key] for key in faces.keys]


def shared_weights(sources: Sequence[str], shares: Mapping[str, float]) -> Weights:
    """(N,) weight of each picture, so that each source has its share of the batches.

    Args:
        sources: of each picture.
        shares: of the sources that have one; the others divide the rest by their numbers.

    Raises:
        DataError: a source with a share has no picture, or the shares leave nothing to others.
    """
    if missing := set(shares) - set(sources):
        raise DataError(
            f"no picture of {', '.join(sorted(missing))}, which data.shares names; there is "
            f"{', '.join(sorted(set(sources)))}"
        )
    names = np.array(sources)
    named = np.isin(names, list(shares))
    rest = 1 - sum(shares.values())
    weights = np.where(named, 0.0, max(rest, 0.0) / max(1, int((~named).sum())))
    for name, share in shares.items():
        here = names == name
        weights[here] = share / here.sum()
    if not weights.sum() > 0:
        raise DataError("data.shares leave nothing to show")
    return np.asarray(weights / weights.sum(), np.float64)


def open_pictures(
    data: Sequence[Path],
    config: DataConfig,
    *,
    side: int,
    cache: Path,
    split: str,
    device: torch.device,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> StoredPictures | FolderPictures:
    """The pictures of a recipe: faces of corpora, or a folder of class folders.

    Raises:
        DataError: there is nothing to read, or it does not fit the recipe.
    """
    if not data:
        raise DataError("no data is given; name one corpus or more, or a folder of class folders")
    if config.folder:
        if len(data) > 1:
            raise DataError("a folder of class folders comes alone")
        return FolderPictures(data[0], side=side, split=split)
    return corpus_pictures(data, config, cache=cache, split=split, device=device, progress=progress)
