"""Label maps that sets give as PNG files, turned into the parts of this project."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from visagist.corpus.sources.source import GivenLabels, printable
from visagist.corpus.task import SkippedItemError
from visagist.face.parts import Part

_MAX_PIXELS = 4096 * 4096


@dataclass(frozen=True, slots=True)
class PartsMap:
    """One PNG whose values are classes; ``table`` says which part each value is.

    Attributes:
        path: the PNG.
        table: part of every value; values beyond the end are background.
    """

    path: str
    table: tuple[Part, ...]

    def load(self) -> GivenLabels:
        """Read the label map.

        Raises:
            SkippedItemError: it cannot be read.
        """
        values = _read(Path(self.path))
        table = np.zeros(256, np.uint8)
        table[: len(self.table)] = self.table
        return GivenLabels(parts=table[values])


@dataclass(frozen=True, slots=True)
class PartsLayers:
    """One black-and-white PNG a class, painted one over the other.

    Attributes:
        stem: path of the files up to the class, such as ``mask-anno/0/00000``.
        layers: class and part in the order of painting; classes without a file are passed over.
    """

    stem: str
    layers: tuple[tuple[str, Part], ...]

    def load(self) -> GivenLabels:
        """Paint the label map; no labels where a picture has no file at all.

        Raises:
            SkippedItemError: a file cannot be read, or two differ in size.
        """
        painted: NDArray[np.uint8] | None = None
        for name, part in self.layers:
            path = Path(f"{self.stem}_{name}.png")
            if not path.is_file():
                continue
            mask = _read(path) > 0
            if painted is None:
                painted = np.zeros(mask.shape, np.uint8)
            if mask.shape != painted.shape:
                detail = f"{printable(path.name)} differs in size from the other masks"
                raise SkippedItemError("labels", detail)
            painted[mask] = part
        return GivenLabels(parts=painted)


def _read(path: Path) -> NDArray[np.uint8]:
    """Palette and grey PNGs give their values, colour ones their first channel."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise SkippedItemError("labels", f"{printable(path.name)} is too large for a mask")
            values = np.asarray(image)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        detail = f"{printable(path.name)} cannot be read ({error})"
        raise SkippedItemError("labels", detail) from error
    values = values[..., 0] if values.ndim == 3 else values
    return values.astype(np.uint8)
