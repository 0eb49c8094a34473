"""The default detector: MTCNN, three small networks in a cascade, run with ONNX Runtime.

Source: Zhang, Zhang, Li, Qiao, "Joint Face Detection and Alignment using Multi-task Cascaded
Convolutional Networks", IEEE Signal Processing Letters 2016. P-Net looks at every 12x12 window of
an image pyramid, R-Net (24x24) and O-Net (48x48) look again at what is left and correct the boxes;
O-Net also gives five points.

The networks were trained with images stored column by column, so they expect the first spatial axis
to be x. The photo's copy is transposed once and everything happens in that frame.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visagist.errors import InputError
from visagist.face.detect.boxes import FloatArray, shifted, squared, suppress
from visagist.face.detect.ladder import Ladder
from visagist.face.detect.protocol import check_pixels, reduced
from visagist.face.detect.weights import load_weights
from visagist.face.types import Detection

_WINDOW = 12  # side of P-Net's window
_STRIDE = 2  # step between its windows
_STEP = 0.709  # sqrt(1/2): the area halves from one pyramid level to the next
_LEAST_FACE = 20.0  # pixels of the photo: smaller ones are noise to a 12-pixel window
_DETAIL = 2.0  # crops for R-Net and O-Net come from a copy this many times finer than P-Net's
_GROUP = 0.15  # share of the longer side: with no face wider than this, search again for small ones
_CROSS = 0.6  # overlap above which candidates of different levels are one
_AT_MOST = (400, 96)  # candidates that go on to R-Net and O-Net: bounds the time on busy textures


class MtcnnDetector:
    """MTCNN on reduced copies of the photo.

    Deterministic, single-threaded by default, safe to use from several threads.
    """

    name = "mtcnn"

    def __init__(
        self,
        *,
        smallest: float = 0.06,
        smallest_again: float | None = 0.02,
        thresholds: tuple[float, float, float] = (0.6, 0.7, 0.85),
        threads: int = 1,
        weights: Path | None = None,
    ) -> None:
        """Load the networks.

        Args:
            smallest: smallest face searched for, as a share of the photo's longer side. The time
                grows with its inverse square.
            smallest_again: the same for a second, slower search that runs only when the first
                finds nothing, or nothing wider than ``0.15`` of the longer side, which means a
                group or a distant person; ``None`` switches it off.
            thresholds: least face probability (0..1) after P-Net, R-Net and O-Net.
            threads: ONNX Runtime threads per network.
            weights: folder with the three ONNX files; by default the installed package's.

        Raises:
            InputError: a share is not in (0, 1].
            ModelMissingError: the weights are not installed.
            ModelDamagedError: the weights are not the tested ones.
        """
        for share in (smallest, 1.0 if smallest_again is None else smallest_again):
            if not 0 < share <= 1:
                raise InputError(f"the smallest face is a share of the photo (0..1], not {share}")
        # imported here because ONNX Runtime takes a tenth of a second to import
        from visagist.runtime.session import make_session  # noqa: PLC0415

        self.smallest = smallest
        self.smallest_again = smallest_again
        self.thresholds = thresholds
        data = load_weights(weights)
        self._pnet = make_session(data["pnet"], threads=threads)
        self._rnet = make_session(data["rnet"], threads=threads)
        self._onet = make_session(data["onet"], threads=threads)

    def detect(self, pixels: NDArray[np.uint8]) -> list[Detection]:
        """Find the faces in (H, W, 3) uint8 RGB pixels; best score first.

        Raises:
            InputError: the array is not uint8 RGB.
        """
        check_pixels(pixels)
        found = self._search(pixels, self.smallest)
        again = self.smallest_again
        if again is None or again >= self.smallest:
            return found
        widest = max((d.box[2] - d.box[0] for d in found), default=0.0)
        if widest < _GROUP * max(pixels.shape[:2]):
            return self._search(pixels, again)
        return found

    def _search(self, pixels: NDArray[np.uint8], smallest: float) -> list[Detection]:
        """One search for faces of at least this share of the longer side."""
        side = max(pixels.shape[:2])
        coarse = _WINDOW / max(smallest, _LEAST_FACE / side)  # P-Net's longest picture
        ladder = Ladder(reduced(pixels, round(_DETAIL * coarse)))
        boxes = self._propose(ladder, coarse)
        boxes = self._refine(ladder, boxes)
        boxes, scores, points = self._output(ladder, boxes)
        scale = np.array(
            [pixels.shape[1] / ladder.height, pixels.shape[0] / ladder.width], np.float32
        )
        boxes, points = boxes * np.tile(scale, 2), points * scale
        return [
            Detection(
                box=(float(b[0]), float(b[1]), float(b[2]), float(b[3])), score=float(s), points=p
            )
            for b, s, p in zip(boxes, scores, points, strict=True)
        ]

    def _propose(self, ladder: Ladder, coarse: float) -> FloatArray:
        """P-Net over the pyramid: (N, 4) square candidates in the ladder's pixels."""
        found_boxes, found_scores = [np.zeros((0, 4), np.float32)], [np.zeros(0, np.float32)]
        scale = min(1.0, coarse / max(ladder.width, ladder.height))
        while min(ladder.width, ladder.height) * scale >= _WINDOW:
            boxes, scores = self._propose_at(ladder, scale)
            found_boxes.append(boxes)
            found_scores.append(scores)
            scale *= _STEP
        boxes, scores = np.concatenate(found_boxes), np.concatenate(found_scores)
        kept = suppress(boxes, scores, _CROSS, keep_at_most=_AT_MOST[0])
        return squared(boxes[kept])

    def _propose_at(self, ladder: Ladder, scale: float) -> tuple[FloatArray, FloatArray]:
        """P-Net at one level: (N, 4) boxes and (N,) scores."""
        level = ladder.scaled(scale)
        shifts, faces = self._pnet.run(None, {"input_1": _normalised(level[None])})
        probability = faces[0, :, :, 1]
        x, y = np.nonzero(probability > self.thresholds[0])
        scores = probability[x, y]
        corner = np.stack([x, y], axis=1).astype(np.float32) * _STRIDE
        per_level = np.array(
            [ladder.height / level.shape[0], ladder.width / level.shape[1]], np.float32
        )
        cells = np.concatenate([corner * per_level, (corner + _WINDOW) * per_level], axis=1)
        kept = suppress(cells, scores, 0.5, keep_at_most=_AT_MOST[0])
        return shifted(cells[kept], shifts[0, x[kept], y[kept]]), scores[kept]

    def _refine(self, ladder: Ladder, boxes: FloatArray) -> FloatArray:
        """R-Net: fewer and better (N, 4) square candidates."""
        if not len(boxes):
            return boxes
        shifts, faces = self._rnet.run(None, {"input_2": _normalised(ladder.crops(boxes, 24))})
        good = np.flatnonzero(faces[:, 1] > self.thresholds[1])
        kept = good[suppress(boxes[good], faces[good, 1], 0.7, keep_at_most=_AT_MOST[1])]
        return squared(shifted(boxes[kept], shifts[kept]))

    def _output(
        self, ladder: Ladder, boxes: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """O-Net: (N, 4) boxes, (N,) scores and (N, 5, 2) points."""
        if not len(boxes):
            return boxes, np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32)
        shifts, places, faces = self._onet.run(
            None, {"input_3": _normalised(ladder.crops(boxes, 48))}
        )
        good = np.flatnonzero(faces[:, 1] > self.thresholds[2])
        boxes, scores = boxes[good], faces[good, 1]
        # ten numbers: five x, then five y, as shares of the box
        shares = np.stack([places[good, :5], places[good, 5:]], axis=2)
        points = boxes[:, None, 0:2] + shares * (boxes[:, 2:4] - boxes[:, 0:2])[:, None]
        boxes = shifted(boxes, shifts[good])
        kept = suppress(boxes, scores, 0.5, over_smaller=True)
        return boxes[kept], scores[kept], points[kept].astype(np.float32)


def _normalised(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """0..255 to about -1..1, as the networks were trained."""
    tensor = pixels.astype(np.float32)
    tensor -= np.float32(127.5)
    tensor *= np.float32(1 / 128)
    return tensor
