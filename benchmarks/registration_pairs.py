"""Before/after pairs whose truth is known: made up by the retoucher, then handled as people do.

The after-picture is cropped, turned by up to 3 degrees, scaled to 0.6 to 1.5 times, bent by up to
2.5 crop pixels in half of the cases, given other colours, and saved as JPEG of quality 60 to 95.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.face.align import align
from visagist.face.topology import N_SKIN_POINTS

Pixels = NDArray[np.uint8]
Points = NDArray[np.float64]

TURN, SCALE, BEND = 3.0, (0.6, 1.5), 2.5
QUALITY = (60, 95)


@dataclass(frozen=True)
class Handled:
    """An after-picture and where the pixels of the photo before went.

    Attributes:
        pixels: (H, W, 3).
        linear: (2, 2), and
        offset: (2,): ``after = linear @ bent + offset``.
        bend: (h, w, 2) in photo pixels, ``before = bent + bend(bent)``, or none.
    """

    pixels: Pixels
    linear: NDArray[np.float64]
    offset: NDArray[np.float64]
    bend: NDArray[np.float32] | None

    def places(self, points: Points) -> Points:
        """(N, 2) points of the photo before in the after-picture, pixel centres at .5."""
        bent = points.copy()
        for _ in range(8 if self.bend is not None else 0):
            bent = points - _at(self.bend, bent)
        return bent @ self.linear.T + self.offset


def handled(made: Pixels, mesh: NDArray[np.float32], rng: np.random.Generator) -> Handled:
    """Crop, turn, scale, bend, recolour and compress a made-up photo."""
    height, width = made.shape[:2]
    unit = 1 / align(mesh).scale
    angle = np.deg2rad(rng.uniform(-TURN, TURN))
    scale = np.exp(rng.uniform(*np.log(SCALE)))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * scale
    low, high = mesh[:N_SKIN_POINTS, :2].min(0), mesh[:N_SKIN_POINTS, :2].max(0)
    room = (high - low) * [0.12, 0.25]
    x0, y0 = (rng.uniform(0, max(low[k] - room[k], 1e-9)) for k in (0, 1))
    x1 = rng.uniform(min(high[0] + room[0], width), width)
    y1 = rng.uniform(min(high[1] + room[1] / 2, height), height)
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) @ turn.T
    offset = -corners.min(0) + rng.uniform(0, 1, 2)
    size = np.ceil(np.ptp(corners, axis=0)).astype(int)
    y, x = np.mgrid[: size[1], : size[0]] + 0.5
    source = (np.stack([x, y], -1) - offset) @ np.linalg.inv(turn).T
    bend = None
    if rng.random() < 0.5:
        noise = rng.normal(size=(height, width, 2)).astype(np.float32)
        bend = np.asarray(cv2.GaussianBlur(noise, (0, 0), 25 * unit), np.float32)
        bend *= np.float32(BEND * unit / np.hypot(bend[..., 0], bend[..., 1]).max())
        source = source + _at(bend, source.reshape(-1, 2)).reshape(source.shape)
    soft = cv2.GaussianBlur(made, (0, 0), 0.5 / scale) if scale < 0.9 else made
    places = (source - 0.5).astype(np.float32)
    border = cv2.BORDER_REFLECT
    out = cv2.remap(soft, places[..., 0], places[..., 1], cv2.INTER_CUBIC, borderMode=border)
    return Handled(saved(recoloured(out, rng), rng), turn, offset, bend)


def recoloured(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Other exposure, white balance and saturation for the whole picture."""
    x = (pixels.astype(np.float32) / 255) ** np.float32(np.exp(rng.uniform(-0.2, 0.2)))
    x = np.clip(x * np.exp(rng.uniform(-0.1, 0.1, 3)), 0, 1)
    grey = (x @ np.array([0.299, 0.587, 0.114]))[..., None]
    x = grey + (1 + rng.uniform(-0.15, 0.15)) * (x - grey)
    return np.rint(np.clip(x, 0, 1) * 255).astype(np.uint8)


def saved(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """As it comes back from a JPEG file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=int(rng.integers(*QUALITY)))
    return np.asarray(Image.open(stream))


def _at(field: NDArray[np.float32] | None, points: Points) -> Points:
    assert field is not None
    parts = np.array_split(points.astype(np.float32) - 0.5, -(-len(points) // 30_000))
    border = cv2.BORDER_REPLICATE
    found = [
        cv2.remap(field, part[None, :, 0], part[None, :, 1], cv2.INTER_LINEAR, borderMode=border)
        for part in parts
    ]
    return np.concatenate([one[0] for one in found]).astype(np.float64)
