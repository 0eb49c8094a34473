"""The photo at several sizes, so that resampling a large face costs no more than a small one."""

from __future__ import annotations

from math import ceil, floor, log2

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.face.detect.boxes import FloatArray

_LEAST_SIDE = 12  # pixels: the side of the smallest window a network looks at


class Ladder:
    """The reduced photo, transposed, with copies at a half, a quarter, ... of its size.

    A picture's first axis is the photo's x here. Crops and pyramid levels are resampled from the
    smallest copy that is large enough, so that a large face costs no more than a small one.

    Attributes:
        width: PIL's width, which is the photo's (reduced) height.
        height: PIL's height, which is the photo's (reduced) width.
    """

    def __init__(self, image: Image.Image) -> None:
        self.rungs = [image.transpose(Image.Transpose.TRANSPOSE)]
        self.width, self.height = self.rungs[0].size
        while min(self.rungs[-1].size) >= 2 * _LEAST_SIDE:
            self.rungs.append(self.rungs[-1].reduce(2))

    def scaled(self, scale: float) -> NDArray[np.uint8]:
        """The whole picture at ``scale`` (0..1] of the first rung."""
        size = (
            max(_LEAST_SIDE, round(self.width * scale)),
            max(_LEAST_SIDE, round(self.height * scale)),
        )
        rung = self._rung(1 / scale)
        image = self.rungs[rung]
        # reduce() rounds sizes up, so the last column may cover less than a full pixel
        box = (0, 0, self.width / 2**rung, self.height / 2**rung)
        return np.asarray(image.resize(size, Image.Resampling.BILINEAR, box=box))

    def crops(self, boxes: FloatArray, size: int) -> NDArray[np.uint8]:
        """(N, size, size, 3) of (N, 4) squares; black outside the photo, as in training."""
        out = np.empty((len(boxes), size, size, 3), np.uint8)
        for k, (x0, y0, x1, y1) in enumerate(boxes.tolist()):
            rung = self._rung((x1 - x0) / size)
            # PIL's x is the frame's second axis
            left, top, right, bottom = (v / 2**rung for v in (y0, x0, y1, x1))
            x, y = floor(left), floor(top)
            part = self.rungs[rung].crop((x, y, max(ceil(right), x + 1), max(ceil(bottom), y + 1)))
            exact = (left - x, top - y, max(right - x, 0.5), max(bottom - y, 0.5))
            out[k] = np.asarray(part.resize((size, size), Image.Resampling.BILINEAR, box=exact))
        return out

    def _rung(self, shrink: float) -> int:
        """The smallest rung that still has ``1 / shrink`` of the first rung's pixels per side."""
        return min(len(self.rungs) - 1, max(0, floor(log2(max(shrink, 1)) + 1e-6)))
