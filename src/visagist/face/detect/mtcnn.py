"""The default detector: MTCNN, three small networks in a cascade, run with ONNX Runtime.

Source: Zhang, Zhang, Li, Qiao, "Joint Face Detection and Alignment using Multi-task Cascaded
Convolutional Networks", IEEE Signal Processing Letters 2016. P-Net looks at every 12x12 window of an
image pyramid, R-Net (24x24) and O-Net (48x48) look again at what is left and correct the boxes;
O-Net also gives five points.

The networks were trained with images stored column by column, so they expect the first spatial axis
to be x. The working copy is transposed once and everything happens in that frame.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.errors import InputError
from visagist.face.detect.boxes import FloatArray, shifted, squared, suppress
from visagist.face.detect.protocol import check_pixels, working_copy
from visagist.face.detect.session import open_session, run
from visagist.face.detect.weights import load_weights
from visagist.face.types import Detection

_WINDOW = 12  # side of P-Net's window
_STRIDE = 2  # step between its windows
_STEP = 0.709  # sqrt(1/2): the area halves from one pyramid level to the next
_AT_MOST = (400, 96)  # candidates that go on to R-Net and O-Net: bounds the time on busy textures


class MtcnnDetector:
    """MTCNN on a reduced copy of the photo.

    Deterministic, single-threaded by default, safe to use from several threads.
    """

    name = "mtcnn"

    def __init__(
        self,
        *,
        side: int = 640,
        fine_side: int = 1280,
        min_face: int = 24,
        thresholds: tuple[float, float, float] = (0.6, 0.7, 0.85),
        threads: int = 1,
        weights: Path | None = None,
    ) -> None:
        """Load the networks.

        Args:
            side: longer side of the copy that is searched, pixels.
            fine_side: side of a second, finer search that runs only when the first finds nothing
                and the photo is larger than ``side``; 0 switches it off.
            min_face: smallest face searched for, in pixels of the copy, at least 12.
            thresholds: least face probability (0..1) after P-Net, R-Net and O-Net.
            threads: ONNX Runtime threads per network.
            weights: folder with the three ONNX files; by default the installed package's.

        Raises:
            InputError: ``side`` or ``min_face`` make no sense.
            ModelMissingError: the weights are not installed.
            ModelDamagedError: the weights are not the tested ones.
        """
        if min_face < _WINDOW or side < min_face:
            raise InputError(
                f"min_face must be at least {_WINDOW} and at most side; got min_face={min_face}, "
                f"side={side}"
            )
        self.side = side
        self.fine_side = fine_side
        self.min_face = min_face
        self.thresholds = thresholds
        data = load_weights(weights)
        self._pnet = open_session(data["pnet"], threads=threads)
        self._rnet = open_session(data["rnet"], threads=threads)
        self._onet = open_session(data["onet"], threads=threads)

    def detect(self, pixels: NDArray[np.uint8]) -> list[Detection]:
        """Find the faces in (H, W, 3) uint8 RGB pixels; best score first.

        Raises:
            InputError: the array is not uint8 RGB.
        """
        check_pixels(pixels)
        found = self._search(pixels, self.side)
        if not found and self.fine_side > self.side and max(pixels.shape[:2]) > self.side:
            found = self._search(pixels, self.fine_side)
        return found

    def _search(self, pixels: NDArray[np.uint8], side: int) -> list[Detection]:
        copy = working_copy(pixels, side)
        image = copy.image.transpose(Image.Transpose.TRANSPOSE)
        boxes = self._propose(image)
        boxes = self._refine(image, boxes)
        boxes, scores, points = self._output(image, boxes)
        scale = np.array(copy.scale, np.float32)
        boxes, points = boxes * np.tile(scale, 2), points * scale
        return [
            Detection(
                box=(float(b[0]), float(b[1]), float(b[2]), float(b[3])), score=float(s), points=p
            )
            for b, s, p in zip(boxes, scores, points, strict=True)
        ]

    def _propose(self, image: Image.Image) -> FloatArray:
        """P-Net over the pyramid: (N, 4) square candidates in working pixels."""
        found_boxes, found_scores = [np.zeros((0, 4), np.float32)], [np.zeros(0, np.float32)]
        scale = min(1.0, _WINDOW / self.min_face)
        while min(image.size) * scale >= _WINDOW:
            boxes, scores = self._propose_at(image, scale)
            found_boxes.append(boxes)
            found_scores.append(scores)
            scale *= _STEP
        boxes, scores = np.concatenate(found_boxes), np.concatenate(found_scores)
        kept = suppress(boxes, scores, 0.7, keep_at_most=_AT_MOST[0])
        return squared(boxes[kept])

    def _propose_at(self, image: Image.Image, scale: float) -> tuple[FloatArray, FloatArray]:
        """P-Net at one level: (N, 4) boxes in working pixels and (N,) scores."""
        # PIL's x is the transposed frame's second axis, which is the photo's y
        size = (
            max(_WINDOW, round(image.width * scale)),
            max(_WINDOW, round(image.height * scale)),
        )
        level = image.resize(size, Image.Resampling.BILINEAR) if size != image.size else image
        shifts, faces = run(self._pnet, _normalised(np.asarray(level)[None]))
        probability = faces[0, :, :, 1]
        x, y = np.nonzero(probability > self.thresholds[0])
        scores = probability[x, y]
        corner = np.stack([x, y], axis=1).astype(np.float32) * _STRIDE
        per_level = np.array([image.height / size[1], image.width / size[0]], np.float32)
        cells = np.concatenate([corner * per_level, (corner + _WINDOW) * per_level], axis=1)
        kept = suppress(cells, scores, 0.5, keep_at_most=_AT_MOST[0])
        return shifted(cells[kept], shifts[0, x[kept], y[kept]]), scores[kept]

    def _refine(self, image: Image.Image, boxes: FloatArray) -> FloatArray:
        """R-Net: fewer and better (N, 4) square candidates."""
        if not len(boxes):
            return boxes
        boxes = np.rint(boxes)
        shifts, faces = run(self._rnet, _normalised(_crops(image, boxes, 24)))
        good = np.flatnonzero(faces[:, 1] > self.thresholds[1])
        kept = good[suppress(boxes[good], faces[good, 1], 0.7, keep_at_most=_AT_MOST[1])]
        return squared(shifted(boxes[kept], shifts[kept]))

    def _output(
        self, image: Image.Image, boxes: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """O-Net: (N, 4) boxes, (N,) scores and (N, 5, 2) points in working pixels."""
        if not len(boxes):
            return boxes, np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32)
        boxes = np.rint(boxes)
        shifts, places, faces = run(self._onet, _normalised(_crops(image, boxes, 48)))
        good = np.flatnonzero(faces[:, 1] > self.thresholds[2])
        boxes, scores = boxes[good], faces[good, 1]
        # ten numbers: five x, then five y, as shares of the box
        shares = np.stack([places[good, :5], places[good, 5:]], axis=2)
        points = boxes[:, None, 0:2] + shares * (boxes[:, 2:4] - boxes[:, 0:2])[:, None]
        boxes = shifted(boxes, shifts[good])
        kept = suppress(boxes, scores, 0.5, over_smaller=True)
        return boxes[kept], scores[kept], points[kept].astype(np.float32)


def _crops(image: Image.Image, boxes: FloatArray, size: int) -> NDArray[np.uint8]:
    """(N, size, size, 3) squares of the transposed picture; black outside it, as in training."""
    out = np.empty((len(boxes), size, size, 3), np.uint8)
    for k, (x0, y0, x1, y1) in enumerate(boxes.astype(int).tolist()):
        part = image.crop((y0, x0, max(y1, y0 + 1), max(x1, x0 + 1)))
        out[k] = np.asarray(part.resize((size, size), Image.Resampling.BILINEAR))
    return out


def _normalised(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """0..255 to about -1..1, as the networks were trained."""
    return (pixels.astype(np.float32) - np.float32(127.5)) * np.float32(1 / 128)
