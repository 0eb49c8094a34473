"""The parser as users hold it: a photo and a face in, the parts of the portrait out; no torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.errors import InputError, ModelDamagedError
from visagist.face.align import Alignment, crop
from visagist.face.parser.classes import CLASSES, HAIR, OCCLUDER
from visagist.face.parts import Part
from visagist.face.raster import smoothstep
from visagist.face.types import Face
from visagist.runtime.session import make_session
from visagist.runtime.store import ModelFiles, open_model

_PARTS = np.array([*range(OCCLUDER), Part.OCCLUDER], np.uint8)
"""The :class:`Part` of each class; glasses and everything else in front are one."""

_DOUBT = (0.5, 0.1)
"""Probabilities of a cover from which nothing is painted, and below which everything is.

Picked on validation faces: wider apart or lower, more of the makeup beside a cover goes, too.
"""


@dataclass(frozen=True, slots=True)
class Parsing:
    """Which part of a portrait each pixel is.

    Attributes:
        parts: (H, W) uint8 :class:`~visagist.face.parts.Part` for the whole photo; background
            beyond the network's crop. Glasses count as ``OCCLUDER``, clothes as ``BACKGROUND``.
        probabilities: (8, n, n) float32 in the order of ``CLASSES``, in the network's crop.
        alignment: from photo pixels to the crop of ``probabilities``.
    """

    parts: NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    alignment: Alignment


class Parser:
    """Tells skin, lips, mouth, eyes, brows, hair, things in front of the face, and background.

    Args:
        model: an opened ``face-parser`` model.
        threads: of ONNX Runtime.

    Example:
        >>> parser = Parser.from_pretrained()  # doctest: +SKIP
        >>> parser.parse(photo.pixels, face).parts == Part.HAIR  # doctest: +SKIP
    """

    def __init__(self, model: ModelFiles, *, threads: int = 1) -> None:
        try:
            self.size = int(model.config["input_size"])
            self.field = float(model.config["field"])
            classes = tuple(model.config["classes"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelDamagedError(
                f"{model.path / 'config.json'}: {error} is missing or wrong; reinstall visagist"
            ) from error
        if classes != CLASSES:
            raise ModelDamagedError(
                f"{model.path / 'config.json'}: its classes are {', '.join(map(str, classes))}, "
                f"this version knows {', '.join(CLASSES)}; reinstall visagist"
            )
        self._session: Any = make_session(model.onnx, threads=threads)

    @classmethod
    def from_pretrained(
        cls, name_or_dir: str | os.PathLike[str] = "face-parser", *, threads: int = 1
    ) -> Parser:
        """Open a bundled or own model.

        Raises:
            ModelMissingError: there is no such model.
            ModelDamagedError: a file does not match its manifest.
        """
        return cls(open_model(name_or_dir), threads=threads)

    def parse(self, pixels: NDArray[np.uint8], face: Face) -> Parsing:
        """Parse a face and what is around it.

        Args:
            pixels: (H, W, 3) uint8 photo.
            face: one of its faces.
        """
        shares, alignment = self.shares(pixels, face.alignment())
        parts = _pasted(shares, alignment, pixels.shape[:2])
        return Parsing(parts, shares, alignment)

    def uncovered(
        self,
        pixels: NDArray[np.uint8],
        alignment: Alignment,
        *,
        by: Sequence[int] = (HAIR, OCCLUDER),
    ) -> NDArray[np.float32]:
        """How surely no hair and nothing else lies in front of the face.

        Args:
            pixels: (H, W, 3) uint8 photo.
            alignment: a canonical crop of it, at any resolution.
            by: classes that count as covers.

        Returns:
            (size, size) float32 for the pixels of that crop: 1 where the covers together
            are unlikely, 0 where they are likely, steep between, so that a doubt does not
            wash makeup out; 1 wherever the network's crop does not reach.
        """
        shares, ours = self.shares(pixels, alignment)
        covered = shares[list(by)].sum(0)
        side = alignment.size
        return smoothstep(*_DOUBT, _resampled(covered, ours, alignment.inverse, (side, side)))

    def shares(
        self, pixels: NDArray[np.uint8], alignment: Alignment
    ) -> tuple[NDArray[np.float32], Alignment]:
        """Probabilities of every class around a face, and where they lie.

        Args:
            pixels: (H, W, 3) uint8 photo.
            alignment: a canonical crop of it, at any resolution.

        Returns:
            (8, n, n) float32 as from :meth:`probabilities`, and the alignment from photo pixels to
            their grid.
        """
        ours = alignment.widened(self.field).resized(self.size)
        shares = self.probabilities(_view(pixels, ours))
        return shares, ours.resized(shares.shape[1])

    def probabilities(self, view: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(8, n, n) float32 that add up to 1, at the network's own output resolution.

        Args:
            view: (size, size, 3) uint8, ``field`` canonical crops wide.

        Raises:
            InputError: the view has another shape or type.
        """
        if view.shape != (self.size, self.size, 3) or view.dtype != np.uint8:
            raise InputError(
                f"the parser reads ({self.size}, {self.size}, 3) uint8, got {view.shape} of type "
                f"{view.dtype}."
            )
        image = (view.transpose(2, 0, 1)[None].astype(np.float32) - 127.5) / np.float32(127.5)
        logits = self._session.run(None, {"image": image})[0][0]
        shares: NDArray[np.float32] = np.exp(logits - logits.max(0))
        shares /= shares.sum(0)
        return shares


@cache
def default_parser() -> Parser:
    """The bundled parser; loaded once per process.

    Raises:
        ModelMissingError: its files are not there.
        ModelDamagedError: its files do not match their manifest.
    """
    return Parser.from_pretrained()


def _view(pixels: NDArray[np.uint8], alignment: Alignment) -> NDArray[np.uint8]:
    """The crop of a face; of a large one only every k-th pixel is looked at.

    At least two of them still make up each pixel of the crop, which is sharper than the network's
    output, and a face of a thousand pixels costs a fifth.
    """
    step = int(0.5 / alignment.scale)
    if step < 2:
        return crop(pixels, alignment)
    matrix = alignment.matrix * [[step, step, 1]]
    matrix[:, 2] += alignment.matrix[:, :2].sum(1) * (1 - step) / 2
    return crop(pixels[::step, ::step], Alignment(matrix, alignment.size))


def classify(shares: NDArray[np.float32], size: int) -> NDArray[np.uint8]:
    """(size, size) class numbers from (8, n, n) probabilities of the same square."""
    large = [
        np.asarray(Image.fromarray(plane).resize((size, size), Image.Resampling.BILINEAR))
        for plane in shares
    ]
    return np.asarray(np.stack(large).argmax(0), np.uint8)


def _pasted(
    shares: NDArray[np.float32], alignment: Alignment, shape: tuple[int, ...]
) -> NDArray[np.uint8]:
    """The likeliest part of each photo pixel, class by class, so that memory stays small."""
    size = alignment.size
    corners = alignment.to_photo(np.array([[0, 0], [size, 0], [size, size], [0, size]], np.float64))
    x0, y0 = (max(0, int(v)) for v in np.floor(corners.min(0)))
    x1, y1 = (int(v) for v in np.ceil(corners.max(0)))
    x1, y1 = min(x1, shape[1]), min(y1, shape[0])
    parts = np.full(shape[:2], Part.BACKGROUND, np.uint8)
    if x1 <= x0 or y1 <= y0:
        return parts
    to_photo = np.array([[1.0, 0.0, x0], [0.0, 1.0, y0]])
    best = np.full((y1 - y0, x1 - x0), 1e-6, np.float32)  # beyond the crop every share is 0
    window = parts[y0:y1, x0:x1]
    for number, plane in enumerate(shares):
        share = _resampled(plane, alignment, to_photo, best.shape)
        better = share > best
        window[better] = _PARTS[number]
        np.maximum(best, share, out=best)
    return parts


def _resampled(
    plane: NDArray[np.float32],
    alignment: Alignment,
    to_photo: NDArray[np.float64],
    shape: tuple[int, ...],
) -> NDArray[np.float32]:
    """A plane of a crop seen from another grid of the photo; 0 beyond the crop.

    Args:
        plane: (n, n) in the crop of ``alignment``.
        alignment: from photo to the plane.
        to_photo: (2, 3) from the wanted grid to the photo.
        shape: height and width of the wanted grid.
    """
    ours = alignment.matrix
    matrix = ours[:, :2] @ to_photo
    matrix[:, 2] += ours[:, 2]
    out = Image.fromarray(plane).transform(
        (shape[1], shape[0]),
        Image.Transform.AFFINE,
        tuple(matrix.ravel()),
        resample=Image.Resampling.BILINEAR,
    )
    return np.asarray(out)
