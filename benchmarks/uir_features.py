"""Faces after the first layers of a network, kept, so that the last ones train in seconds.

The network is cut in two. The trunk, which stays as it is, sees every training face in a few
differently disturbed views once; the tail is what a sweep trains.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from visagist.corpus.feed.selection import FeedConfig
from visagist.corpus.index import Record
from visagist.errors import DataError
from visagist.face.align import crop
from visagist.face.types import Face
from visagist.recognition.config import EmbeddingRun
from visagist.recognition.crop import recognition_crop
from visagist.recognition.data import Faces, open_faces
from visagist.recognition.evaluation.embedders import Embedder
from visagist.recognition.evaluation.lists import read_list
from visagist.recognition.evaluation.pictures import CLEAN, see
from visagist.recognition.network import Block, EmbeddingNetwork
from visagist.recognition.people import records_of
from visagist.training.augmentation import AugmentConfig
from visagist.training.run import load_weights, read_run

_BATCH = 128


class Tail(nn.Module):
    """The last blocks of a network and its head: (n, c, h, w) maps to (n, d) embeddings."""

    def __init__(self, blocks: Sequence[nn.Module], head: nn.Linear) -> None:
        super().__init__()
        self.blocks, self.head = nn.Sequential(*blocks), head

    def forward(self, maps: Tensor) -> Tensor:
        """Embed maps."""
        out: Tensor = self.head(self.blocks(maps).mean((2, 3)))
        return out


def load_network(run: Path) -> EmbeddingNetwork:
    """The network of a finished run."""
    recipe, weights = read_run(run, EmbeddingRun)
    network = EmbeddingNetwork(recipe.network)
    load_weights(network, weights, run)
    return network.eval()


def cut(network: EmbeddingNetwork, tail_blocks: int) -> tuple[nn.Module, Tail]:
    """Trunk and tail; both share the network's weights."""
    blocks = [module for module in network.stages.modules() if isinstance(module, Block)]
    kept = len(blocks) - tail_blocks
    return nn.Sequential(network.stem, *blocks[:kept]), Tail(blocks[kept:], network.head)


@dataclass(frozen=True)
class Kept:
    """Faces of a split behind the trunk.

    Attributes:
        records: N of them.
        maps: (views, N, c, h, w) float16.
    """

    records: list[Record]
    maps: NDArray[np.float16]

    def rows(self, view: Tensor, index: Tensor) -> Tensor:
        """(n, c, h, w) float32 maps of faces in the views wanted."""
        return torch.from_numpy(self.maps[view.numpy(), index.numpy()]).float()


def keep(
    run: Path,
    data: Sequence[Path],
    config: FeedConfig,
    augmentation: AugmentConfig,
    *,
    decoded: Path,
    cache: Path,
    split: str,
    views: int,
    tail_blocks: int,
) -> Kept:
    """Every face of a split behind the trunk; computed once.

    Training faces are disturbed, others are shown as they are, once.
    """
    faces = open_faces(data, config, decoded, split)
    records = records_of(data, faces.keys)
    weights = hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()
    what = [weights, list(faces.keys), views, tail_blocks, augmentation.model_dump(), split]
    digest = hashlib.sha256(json.dumps(what).encode()).hexdigest()[:12]
    path = cache / f"trunk-{digest}.npy"
    if not path.is_file():
        trunk, _ = cut(load_network(run), tail_blocks)
        _fill(path, trunk, faces, augmentation if split == "train" else None, views)
    return Kept(records, np.load(path, mmap_mode="r"))


def photos(run: Path, tree: Path, split: str, tail_blocks: int, cache: Path) -> NDArray[np.float16]:
    """(n, c, h, w) maps of the pictures of a fixed list, in its order; computed once.

    Raises:
        DataError: a picture of the list cannot be read.
    """
    path = cache / f"photos-{split}-{tail_blocks}.npy"
    if path.is_file():
        return np.asarray(np.load(path))
    fixed, (trunk, _) = read_list(split), cut(load_network(run), tail_blocks)

    @torch.no_grad()
    def maps(pixels: NDArray[np.uint8], face: Face) -> NDArray[np.float32]:
        view = crop(pixels, recognition_crop(face.alignment()))
        image = torch.from_numpy(view.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        return np.asarray(trunk(image)[0].numpy(), np.float32)

    seen = see(tree, fixed, [Embedder("trunk", maps, 0.0)])
    if seen.skipped:
        raise DataError(f"{tree}: {len(seen.skipped)} pictures of the list cannot be read")
    out = np.stack([seen.vectors["trunk", CLEAN, e.file] for e in fixed.entries])
    cache.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npy")
    np.save(part, out.astype(np.float16))
    part.replace(path)
    return out.astype(np.float16)


@torch.no_grad()
def _fill(
    path: Path, trunk: nn.Module, faces: Faces, augmentation: AugmentConfig | None, views: int
) -> None:
    trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    generator = torch.Generator().manual_seed(0)
    part = path.with_suffix(".part")
    out: np.memmap[Any, Any] | None = None
    for view in range(views):
        # In random order, because disturbances fall on slices of a batch.
        for rows in torch.split(torch.randperm(len(faces), generator=generator), _BATCH):
            seen = faces.views(rows, generator, augmentation)
            maps = trunk(seen.contiguous(memory_format=torch.channels_last)).half().numpy()
            if out is None:
                shape = (views, len(faces), *maps.shape[1:])
                out = np.lib.format.open_memmap(part, "w+", np.float16, shape)
            out[view, rows.numpy()] = maps
    assert out is not None
    out.flush()
    part.replace(path)
