"""Class folders of pictures, such as ImageNet, decoded when they are needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from visagist.corpus.sources import imagenet
from visagist.errors import DataError, PhotoError
from visagist.photo import Photo


def centre_square(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """(side, side, 3): the largest square in the middle, resampled."""
    height, width = pixels.shape[:2]
    square = min(height, width)
    left, top = (width - square) / 2, (height - square) / 2
    box = (left, top, left + square, top + square)
    # the gap lets large pictures shrink by averaging first, which is fast and does not alias
    resized = Image.fromarray(pixels).resize(
        (side, side), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0
    )
    return np.asarray(resized)


class FolderPictures:
    """Pictures below ``ROOT/[train|val/]nXXXXXXXX/``; classes are numbered by their sorted names.

    A picture that cannot be read is replaced by the next one that can, and counted.

    Args:
        root: the folder.
        side: of the centre squares that are handed out.
        split: train, validation or test; pictures outside of such folders are all of ``train``.

    Raises:
        DataError: there is no picture with a class in the split.
    """

    resident = False

    def __init__(self, root: Path, *, side: int, split: str) -> None:
        self.root, self.side = root, side
        found = [p for p in imagenet.read(root) if p.problem is None and "class" in p.facts]
        # the classes of every split, so that numbers do not depend on which one is read
        self.classes = sorted({str(p.facts["class"]) for p in found})
        number = {name: i for i, name in enumerate(self.classes)}
        mine = [p for p in found if (p.split or "train") == split]
        if not mine:
            raise DataError(f"{root}: no picture in class folders for the split {split!r}")
        self.paths = [p.path for p in mine]
        self.labels: NDArray[np.int64] | None = np.array(
            [number[str(p.facts["class"])] for p in mine], np.int64
        )
        self.weights = np.full(len(mine), 1 / len(mine))
        self.unreadable: set[str] = set()

    def get(self, index: NDArray[np.int64]) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The pictures of that number, cut to squares.

        Raises:
            DataError: none of 100 pictures in a row can be read.
        """
        squares = np.stack([self._square(int(i)) for i in index])
        return torch.from_numpy(squares).permute(0, 3, 1, 2), None, None

    def _square(self, number: int) -> NDArray[np.uint8]:
        for later in range(100):
            path = self.paths[(number + later) % len(self.paths)]
            if path in self.unreadable:
                continue
            try:
                return centre_square(Photo.open(self.root / path).pixels, self.side)
            except PhotoError:
                self.unreadable.add(path)
        raise DataError(
            f"{self.root}: {len(self.unreadable)} pictures cannot be read; is it whole?"
        )
