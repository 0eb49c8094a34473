"""The mesh network as users hold it: numpy in, numpy out, ONNX Runtime."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.errors import ModelDamagedError
from visagist.face.align import Alignment, align, crop, similarity
from visagist.face.mesh.closeups import Closeups
from visagist.face.topology import (
    N_POINTS,
    canonical_points,
    five_points,
    mirror_index,
)
from visagist.face.types import Detection
from visagist.runtime.session import make_session
from visagist.runtime.store import ModelFiles, open_model

_BOX_CENTRE = (128.0, 136.0)
_BOX_WIDTH = 158.0
"""Where a detector's box lies in the canonical crop when it gives no points."""


class MeshPredictor:
    """Fits 478 points to a detected face.

    The first pass looks at the crop that the detector suggests; the second at a crop made from
    the first pass's own mesh, which removes roll and scale errors, and at its mirror image, whose
    mirrored answer is averaged in.

    Args:
        model: an opened ``face-mesh`` model.
        threads: of ONNX Runtime.
        passes: 1 runs the network once a face, 2 runs it three times; more brings nothing.
        closeups: look at eyes and lips again, or nothing.
    """

    def __init__(
        self,
        model: ModelFiles,
        *,
        threads: int = 1,
        passes: int = 2,
        closeups: Closeups | None = None,
    ) -> None:
        try:
            self.size = int(model.config["input_size"])
            self.field = float(model.config["field"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelDamagedError(
                f"{model.path / 'config.json'}: {error} is missing or wrong; reinstall visagist"
            ) from error
        self.passes, self.closeups = passes, closeups
        self._session: Any = make_session(model.onnx, threads=threads)

    @classmethod
    def from_pretrained(
        cls,
        name_or_dir: str | os.PathLike[str] = "face-mesh",
        *,
        threads: int = 1,
        closeups: str | os.PathLike[str] | None = "mesh-closeups",
    ) -> MeshPredictor:
        """Open a bundled or own model.

        Args:
            name_or_dir: of the mesh network.
            threads: of ONNX Runtime.
            closeups: name or folder of the networks for eyes and lips; nothing to do without.

        Raises:
            ModelMissingError: there is no such model.
            ModelDamagedError: a file does not match its manifest.
        """
        near = None if closeups is None else Closeups.from_pretrained(closeups, threads=threads)
        return cls(open_model(name_or_dir), threads=threads, closeups=near)

    def predict(
        self, pixels: NDArray[np.uint8], detection: Detection
    ) -> tuple[NDArray[np.float32], float]:
        """Mesh of a detected face.

        Args:
            pixels: (H, W, 3) uint8 photo.
            detection: box, and points where the detector has them, in photo pixels.

        Returns:
            The (478, 3) float32 mesh in photo pixels, and the confidence 0..1 of the last pass.
        """
        alignment = self._crop_of(_first_alignment(detection))
        mesh, confidence = self._run(pixels, alignment)
        for _ in range(self.passes - 1):
            alignment = self._crop_of(align(mesh))
            mesh, confidence = self._run(pixels, alignment, mirror=True)
        if self.closeups is not None:
            mesh = self.closeups.refine(pixels, mesh)
        return mesh, confidence

    def predict_near(
        self, pixels: NDArray[np.uint8], mesh: NDArray[np.floating]
    ) -> NDArray[np.float32]:
        """What the network finds where a label says that a face is.

        Args:
            pixels: (H, W, 3) uint8 photo.
            mesh: (478, 2 or 3) labelled points in its pixels; only the place is taken from them.

        Returns:
            The (478, 3) float32 mesh in photo pixels.
        """
        low, high = mesh[:, :2].min(0), mesh[:, :2].max(0)
        box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        points = five_points(mesh).astype(np.float32)
        return self.predict(pixels, Detection(box=box, score=1.0, points=points))[0]

    def _crop_of(self, alignment: Alignment) -> Alignment:
        return alignment.widened(self.field).resized(self.size)

    def _run(
        self, pixels: NDArray[np.uint8], alignment: Alignment, *, mirror: bool = False
    ) -> tuple[NDArray[np.float32], float]:
        view = crop(pixels, alignment).astype(np.float32)
        image = (view.transpose(2, 0, 1)[None] - 127.5) / np.float32(127.5)
        points, logit = self._network(image)
        if mirror:
            flipped, second = self._network(np.ascontiguousarray(image[..., ::-1]))
            flipped = flipped[mirror_index()]
            flipped[:, 0] = 1 - flipped[:, 0]
            points = (points + flipped) / np.float32(2)
            logit = (logit + second) / 2
        mesh = alignment.to_photo(points * self.size)
        return mesh, float(1 / (1 + np.exp(-logit)))

    def _network(self, image: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
        points, logit = self._session.run(None, {"image": image})
        return points[0].reshape(N_POINTS, 3), float(logit[0])


def _first_alignment(detection: Detection) -> Alignment:
    if detection.points is not None:
        return Alignment(similarity(detection.points, five_points(canonical_points())))
    x0, y0, x1, y1 = detection.box
    scale = _BOX_WIDTH / max(x1 - x0, 1.0)
    centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    offset = np.array(_BOX_CENTRE) - scale * centre
    return Alignment(np.array([[scale, 0, offset[0]], [0, scale, offset[1]]], np.float64))
