"""From cached crops to batches of aligned faces as the network sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from visagist.corpus.corpus import Corpus
from visagist.corpus.feed.cache import FaceCache, cached_faces
from visagist.corpus.feed.selection import FeedConfig
from visagist.errors import DataError
from visagist.recognition.crop import CENTRE, FIELD, INPUT_SIZE
from visagist.training import augment
from visagist.training.augmentation import AugmentConfig


class Faces:
    """Faces of one or several corpora, read from their caches as batches ask for them.

    Args:
        caches: crops of the same size and field of view.

    Raises:
        DataError: there is no cache, they differ in size or field of view, or show less than the
            network looks at.
    """

    def __init__(self, caches: Sequence[FaceCache]) -> None:
        if not caches:
            raise DataError("there is no corpus to take faces from")
        kinds = {(cache.crops.shape[1], round(cache.zoom, 6)) for cache in caches}
        if len(kinds) > 1:
            raise DataError("the caches of faces differ in size or field of view")
        self.side, self.zoom = kinds.pop()
        reach = max(abs(c - 0.5) for c in CENTRE) + FIELD / 2
        if self.zoom / 2 < reach * (1 - 1e-6):
            raise DataError(
                f"the crops show {self.zoom:.3g} canonical crops, the recogniser looks at "
                f"{2 * reach:.3g}; give the recipe's data section a larger zoom"
            )
        self.caches = tuple(caches)
        self.starts = np.cumsum([0, *(len(cache) for cache in caches)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def keys(self) -> tuple[str, ...]:
        """The samples' keys."""
        return tuple(key for cache in self.caches for key in cache.keys)

    @property
    def meshes(self) -> NDArray[np.float32]:
        """(N, 478, 3) in pixels of the cached crops."""
        return np.concatenate([cache.meshes for cache in self.caches])

    def crops(self, index: NDArray[np.integer]) -> NDArray[np.uint8]:
        """(n, S, S, 3) crops of the given faces."""
        out = np.empty((len(index), self.side, self.side, 3), np.uint8)
        owner = np.searchsorted(self.starts, index, side="right") - 1
        for number in np.unique(owner):
            rows = np.flatnonzero(owner == number)
            out[rows] = self.caches[number].crops[index[rows] - self.starts[number]]
        return out

    def views(
        self,
        index: Tensor,
        generator: torch.Generator,
        augmentation: AugmentConfig | None = None,
        *,
        size: int = INPUT_SIZE,
        device: torch.device | None = None,
    ) -> Tensor:
        """(n, 3, size, size) float32 in [-1, 1]: aligned faces, disturbed where asked for.

        Args:
            index: (n,) which faces.
            generator: source of randomness, on ``device``.
            augmentation: disturbances; nothing for faces as they are.
            size: side of a view in pixels.
            device: where the views are made.
        """
        device = device or generator.device
        crops = torch.from_numpy(self.crops(index.cpu().numpy())).to(device)
        images = crops.permute(0, 3, 1, 2).float() / 255
        grid = self._grid(len(index), size, generator, augmentation)
        # The crops have about the network's resolution, so bilinear sampling does not alias.
        view = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
        if augmentation is not None:
            if augmentation.geometric.enabled and augmentation.geometric.mirror:
                flip = augment.chance(len(view), 0.5, generator).bool()
                view = torch.where(flip, view.flip(3), view)
            view = augment.disturb(view, augmentation, generator)
        out: Tensor = view * 2 - 1
        return out

    def _grid(
        self,
        n: int,
        size: int,
        generator: torch.Generator,
        augmentation: AugmentConfig | None,
    ) -> Tensor:
        """(n, size, size, 2) where in the cached crop, which spans [-1, 1], each pixel lies."""
        device = generator.device
        place = None if augmentation is None else augmentation.geometric
        if place is None or not place.enabled:
            matrices = torch.eye(2, 3, device=device).repeat(n, 1, 1)
        else:
            matrices = augment.affine_matrices(
                n,
                roll=augment.uniform((n,), -place.roll, place.roll, generator),
                scale=place.scale,
                shift=place.shift,
                anisotropy=place.anisotropy,
                generator=generator,
            )
        matrices = matrices * (FIELD / self.zoom)
        centre = torch.tensor(CENTRE, device=device)
        matrices[:, :, 2] += (centre - 0.5) * 2 / self.zoom
        return F.affine_grid(matrices, [n, 3, size, size], align_corners=False)


def open_faces(
    corpora: Sequence[Path],
    config: FeedConfig,
    cache: Path,
    split: str,
    *,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Faces:
    """The faces of a split from several corpora, decoded once into caches below ``cache``.

    Args:
        corpora: folders of corpora; one without such a face is passed over.
        config: which faces, and how they are cropped.
        cache: folder of the caches; runs may share it.
        split: train, validation or test.
        progress: called with the corpus' name, faces done and in all.

    Raises:
        DataError: no corpus has a face of this split that the config admits.
    """
    found = []
    for path in corpora:
        corpus = Corpus.open(path)
        if not corpus.select(splits=(split,), kinds=config.kinds or None, use=config.use):
            continue

        def tell(done: int, total: int, name: str = path.name) -> None:
            progress(name, done, total)

        found.append(cached_faces(corpus, config, cache, splits=(split,), progress=tell))
    if not found:
        raise DataError(f"no corpus given has a face for {split}")
    return Faces(found)
