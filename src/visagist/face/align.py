"""The one alignment: from a mesh to the canonical crop and back.

Points are (x, y) pixels with pixel centres at .5: pixel (0, 0) covers [0, 1) x [0, 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.errors import FaceError
from visagist.face.topology import N_SKIN_POINTS, canonical_points

CROP_SIZE = 256


@dataclass(frozen=True, slots=True)
class Alignment:
    """A similarity transform from photo pixels to crop pixels.

    Attributes:
        matrix: (2, 3) float64, ``crop = matrix[:, :2] @ photo + matrix[:, 2]``.
        size: side of the square crop in pixels.
    """

    matrix: NDArray[np.float64]
    size: int = CROP_SIZE

    @property
    def scale(self) -> float:
        """Crop pixels per photo pixel."""
        return float(np.hypot(self.matrix[0, 0], self.matrix[1, 0]))

    @property
    def inverse(self) -> NDArray[np.float64]:
        """(2, 3) matrix from crop pixels to photo pixels."""
        linear = np.linalg.inv(self.matrix[:, :2])
        return np.concatenate([linear, -linear @ self.matrix[:, 2:]], axis=1)

    def to_crop(self, points: NDArray[np.floating]) -> NDArray[np.float32]:
        """Map (N, 2) or (N, 3) photo points into the crop; z is scaled."""
        return transform_points(self.matrix, points)

    def to_photo(self, points: NDArray[np.floating]) -> NDArray[np.float32]:
        """Map (N, 2) or (N, 3) crop points back into the photo."""
        return transform_points(self.inverse, points)

    def resized(self, size: int) -> Alignment:
        """The same crop sampled at another side length."""
        return Alignment(self.matrix * (size / self.size), size)

    def widened(self, field: float) -> Alignment:
        """The same number of pixels showing ``field`` times as much, around the same centre."""
        matrix = self.matrix / field
        matrix[:, 2] += self.size / 2 * (1 - 1 / field)
        return Alignment(matrix, self.size)


def transform_points(
    matrix: NDArray[np.floating], points: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Apply a (2, 3) similarity to (N, 2) or (N, 3) points; z is multiplied by the scale."""
    points = np.asarray(points, np.float64)
    out = points.copy()
    out[:, :2] = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    if points.shape[1] == 3:
        out[:, 2] *= np.hypot(matrix[0, 0], matrix[1, 0])
    return out.astype(np.float32)


def similarity(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """Least-squares similarity (Umeyama 1991, no reflection) from (N, 2) to (N, 2) points.

    Raises:
        FaceError: the points are not finite or all the same.
    """
    src = np.asarray(source, np.float64)
    dst = np.asarray(target, np.float64)
    if not (np.isfinite(src).all() and np.isfinite(dst).all()):
        raise FaceError("the face mesh holds points that are no numbers; it cannot be aligned")
    # In the plane a rotation with scale is one complex factor, so least squares is one division.
    p = src[:, 0] + 1j * src[:, 1]
    q = dst[:, 0] + 1j * dst[:, 1]
    p0, q0 = p.mean(), q.mean()
    spread = float((np.abs(p - p0) ** 2).sum())
    if spread < 1e-9:
        raise FaceError("the face mesh has no extent; it cannot be aligned")
    z = (np.conj(p - p0) * (q - q0)).sum() / spread
    if abs(z) < 1e-12:
        raise FaceError("the face mesh does not match the canonical face; it cannot be aligned")
    t = q0 - z * p0
    return np.array([[z.real, -z.imag, t.real], [z.imag, z.real, t.imag]])


def align(mesh: NDArray[np.floating], size: int = CROP_SIZE) -> Alignment:
    """The canonical alignment of a (478, 2|3) mesh in photo pixels.

    All 468 skin points are fitted to the canonical face, which averages the network's noise and
    keeps chin and hairline inside the crop whatever the expression.
    """
    skin = np.asarray(mesh)[:N_SKIN_POINTS, :2]
    matrix = similarity(skin, canonical_points()[:N_SKIN_POINTS, :2])
    return Alignment(matrix, 256).resized(size)


def crop(pixels: NDArray[np.uint8], alignment: Alignment) -> NDArray[np.uint8]:
    """Sample the aligned crop: (H, W, 3) photo -> (size, size, 3).

    Large faces are first reduced with an antialiasing filter (only the part that is needed);
    what lies outside the photo repeats its edge.
    """
    size = alignment.size
    corners = alignment.to_photo(np.array([[0, 0], [size, 0], [size, size], [0, size]], np.float64))
    height, width = pixels.shape[:2]
    shrink = max(1, int(1.0 / alignment.scale / 1.0001))
    pad = 2 * shrink + 2
    x0, y0 = (int(v) - pad for v in np.floor(corners.min(0)))
    x1, y1 = (int(v) + pad for v in np.ceil(corners.max(0)))
    x1, y1 = x0 + _up(x1 - x0, shrink), y0 + _up(y1 - y0, shrink)
    part = pixels[max(y0, 0) : max(min(y1, height), 0), max(x0, 0) : max(min(x1, width), 0)]
    if part.size == 0:
        raise FaceError("the face lies outside the photo")
    margins = (
        (max(0, -y0), max(0, y1 - height)),
        (max(0, -x0), max(0, x1 - width)),
        (0, 0),
    )
    if any(m for pair in margins for m in pair):
        part = np.pad(part, margins, mode="edge")
    image = Image.fromarray(np.ascontiguousarray(part))
    if shrink > 1:
        image = image.reduce(shrink)
    # crop pixel -> photo pixel -> pixel of the reduced part
    inverse = alignment.inverse
    to_part = np.array([[1 / shrink, 0, -x0 / shrink], [0, 1 / shrink, -y0 / shrink]])
    full = to_part[:, :2] @ inverse
    full[:, 2] += to_part[:, 2]
    out = image.transform(
        (size, size),
        Image.Transform.AFFINE,
        tuple(full.ravel()),
        resample=Image.Resampling.BICUBIC,
    )
    return np.asarray(out)


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
