"""YuNet from an ONNX file the user has.

Source: Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence
Research 2023. An anchor-free detector with heads at strides 8, 16 and 32. Each cell of a stride
gives a class and an objectness probability (the score is the geometric mean of both), the box
centre as an offset in strides, its size as the logarithm of strides, and five points as offsets in
strides.

Files with these outputs come from libfacedetection.train and from OpenCV's model zoo
(``face_detection_yunet_2023mar.onnx``, whose input size is fixed at 640x640).
"""

from __future__ import annotations

from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.errors import InputError, ModelDamagedError, ModelMissingError
from visagist.face.detect.boxes import FloatArray, suppress
from visagist.face.detect.protocol import check_pixels
from visagist.face.types import Detection

_STRIDES = (8, 16, 32)
_MULTIPLE = 32  # sides of the input, so that every stride divides them
_HEADS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
_MAX_BYTES = 64_000_000
_NUMBER_OF_DIMENSIONS = 4


class YuNetDetector:
    """YuNet on a reduced copy of the photo, with a user's ONNX file.

    The file's hash is not pinned, because there are several good ones; its inputs and outputs are
    checked instead, and the same rules as for our own networks apply (one file, nothing external).
    """

    name = "yunet"

    def __init__(
        self, path: str | Path, *, side: int = 640, least_score: float = 0.6, threads: int = 1
    ) -> None:
        """Load the network.

        Args:
            path: the ONNX file.
            side: longer side of the copy that is searched, pixels, at least 32; a file with a
                fixed input size overrules it.
            least_score: 0..1; weaker detections are dropped.
            threads: ONNX Runtime threads.

        Raises:
            InputError: ``side`` is too small.
            ModelMissingError: the file cannot be read.
            ModelDamagedError: the file is not a YuNet network.
        """
        if side < _MULTIPLE:
            raise InputError(f"side must be at least {_MULTIPLE}, not {side}")
        # imported here because ONNX Runtime takes a tenth of a second to import
        from visagist.runtime.session import make_session  # noqa: PLC0415

        path = Path(path)
        self._session = make_session(_read(path), threads=threads)
        self._input, self._fixed = self._check_interface(path)
        self.side = side
        self.least_score = least_score

    def detect(self, pixels: NDArray[np.uint8]) -> list[Detection]:
        """Find the faces in (H, W, 3) uint8 RGB pixels; best score first.

        Raises:
            InputError: the array is not uint8 RGB.
            ModelDamagedError: the network answers with other shapes than YuNet's.
        """
        check_pixels(pixels)
        height, width = pixels.shape[:2]
        target_w, target_h = self._fixed or (self.side, self.side)
        scale = min(1.0, target_w / width, target_h / height)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = Image.fromarray(np.ascontiguousarray(pixels))
        if size != image.size:
            image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
        canvas = self._fixed or tuple(_MULTIPLE * ceil(v / _MULTIPLE) for v in size)
        tensor = np.zeros((1, 3, canvas[1], canvas[0]), np.float32)
        # planes in the order blue, green, red, 0..255, at the top left of a black canvas
        tensor[0, :, : size[1], : size[0]] = np.asarray(image)[:, :, ::-1].transpose(2, 0, 1)
        boxes, scores, points = self._decode(tensor)
        back = np.array([width / size[0], height / size[1]], np.float32)
        boxes, points = boxes * np.tile(back, 2), points * back
        return [
            Detection(
                box=(float(b[0]), float(b[1]), float(b[2]), float(b[3])), score=float(s), points=p
            )
            for b, s, p in zip(boxes, scores, points, strict=True)
        ]

    def _decode(self, tensor: NDArray[np.float32]) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(N, 4) boxes, (N,) scores and (N, 5, 2) points in canvas pixels."""
        names = [f"{head}_{stride}" for head in _HEADS for stride in _STRIDES]
        answers = dict(zip(names, self._session.run(names, {self._input: tensor}), strict=True))
        height, width = tensor.shape[2:]
        parts = []
        for stride in _STRIDES:
            rows, columns = height // stride, width // stride
            heads = {}
            for head, channels in _HEADS.items():
                answer = answers[f"{head}_{stride}"]
                if answer.shape != (1, rows * columns, channels):
                    raise ModelDamagedError(
                        f"the face detector's output {head}_{stride} has shape {answer.shape} "
                        f"instead of {(1, rows * columns, channels)}; this is not a YuNet network"
                    )
                heads[head] = answer[0]
            parts.append(decode_stride(heads, columns, stride, self.least_score))
        boxes, scores, points = (np.concatenate(part) for part in zip(*parts, strict=True))
        kept = suppress(boxes, scores, 0.45)
        return boxes[kept], scores[kept], points[kept]

    def _check_interface(self, path: Path) -> tuple[str, tuple[int, int] | None]:
        """The input's name, and (width, height) when the file fixes them."""
        inputs = self._session.get_inputs()
        missing = {f"{head}_{stride}" for head in _HEADS for stride in _STRIDES} - {
            output.name for output in self._session.get_outputs()
        }
        shape = inputs[0].shape if len(inputs) == 1 else []
        if missing or len(shape) != _NUMBER_OF_DIMENSIONS or shape[1] != 3:
            raise ModelDamagedError(
                f"{path} is not a YuNet network: it needs one input (1, 3, height, width) and the "
                f"outputs cls, obj, bbox and kps at strides 8, 16 and 32"
            )
        height, width = shape[2:]
        if isinstance(height, int) and isinstance(width, int):
            if height % _MULTIPLE or width % _MULTIPLE or not height or not width:
                raise ModelDamagedError(
                    f"{path} has an input of {width}x{height}; YuNet's sides are multiples of "
                    f"{_MULTIPLE}"
                )
            return str(inputs[0].name), (width, height)
        return str(inputs[0].name), None


def decode_stride(
    heads: dict[str, NDArray[np.float32]], columns: int, stride: int, least_score: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Boxes, scores and points of one stride.

    Args:
        heads: ``cls`` (N, 1) and ``obj`` (N, 1) probabilities, ``bbox`` (N, 4) and ``kps`` (N, 10)
            in strides, for N cells row by row.
        columns: cells in a row.
        stride: canvas pixels per cell.
        least_score: weaker cells are left out.

    Returns:
        (M, 4) float32 boxes, (M,) scores, (M, 5, 2) points in canvas pixels.
    """
    score = np.sqrt(np.clip(heads["cls"][:, 0], 0, 1) * np.clip(heads["obj"][:, 0], 0, 1))
    cells = np.flatnonzero(score >= least_score)
    corner = np.stack([cells % columns, cells // columns], axis=1).astype(np.float32)
    box = heads["bbox"][cells]
    centre = (corner + box[:, :2]) * stride
    # the clip keeps a damaged file from overflowing; real logarithms stay below 6
    half = np.exp(np.clip(box[:, 2:], -10, 10)) * (stride / 2)
    points = (heads["kps"][cells].reshape(-1, 5, 2) + corner[:, None]) * stride
    boxes = np.concatenate([centre - half, centre + half], axis=1)
    return boxes.astype(np.float32), score[cells].astype(np.float32), points.astype(np.float32)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ModelMissingError(
            f"the face detector's file {path} cannot be read ({error.strerror}); give the path of "
            "a YuNet ONNX file"
        ) from error
    if len(data) > _MAX_BYTES:
        raise ModelDamagedError(
            f"{path} has more than {_MAX_BYTES // 1_000_000} MB; YuNet files have less than one"
        )
    return data
