"""Near-duplicates: the same picture re-encoded, resized, recoloured, shifted or mirrored.

Three sieves, each finer and on fewer pairs than the one before: fingerprints that differ in few
bits, thumbnails that correlate, and the crops themselves, laid over each other. The last one tells
a copy from a second shot of the same sitting, whose eyes or mouth differ a little.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from visagist.corpus.fingerprints import THUMBNAIL, canonical_grey, mirror_mask
from visagist.errors import InputError

_BLOCK = 1 << 20  # pairs compared at a time
_LEAST_CORRELATION = 0.8  # of thumbnails; copies shifted by 2 % of the crop stay above 0.84
_SIDE = 128  # of the views that are laid over each other
_COARSE = 64  # of those that the shift is found on
_STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 1e-4)
# Mouth and eyes of the canonical crop at 128 pixels: rows, columns.
_PLACES = (
    (slice(82, 104), slice(42, 86)),
    (slice(46, 66), slice(34, 62)),
    (slice(46, 66), slice(66, 94)),
)

Grey = NDArray[np.float32]
Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Likeness:
    """How equal two crops are once laid over each other, -1..1.

    Attributes:
        whole: correlation of the canonical crops without their coarse shading. Different people
            in one studio reach 0.84, two shots of one sitting 0.98.
        least: the smallest of ``whole`` and the correlations of mouth, right and left eye; copies
            stay above 0.95, shots of one sitting mostly below.
    """

    whole: float
    least: float


def compare(one: Grey, other: Grey) -> Likeness:
    """Lay one view over the other, or over its mirror image, and compare.

    The second view is moved by the affine map that maximises the correlation (Evangelidis and
    Psarakis 2008), since the meshes of two copies differ by noise.

    Args:
        one: (128, 128), of :func:`comparison_view`.
        other: the same of the other crop.
    """
    flipped = np.ascontiguousarray(other[:, ::-1])
    target = _shrunk(one)
    if float((target * _shrunk(flipped)).mean()) > float((target * _shrunk(other)).mean()):
        other = flipped
    still = np.eye(2, 3, dtype=np.float32)
    try:
        whole, warp = cv2.findTransformECC(
            target, _shrunk(other), still, cv2.MOTION_AFFINE, _STEPS, np.array([]), 3
        )
    except cv2.error:  # it found nothing in common
        return Likeness(-1.0, -1.0)
    # the map at twice the resolution, pixel centres on whole numbers
    matrix = np.asarray(warp, np.float64)
    offset = 2 * matrix[:, 2] + 0.5 - 0.5 * matrix[:, :2].sum(1)
    moved = cv2.warpAffine(
        other,
        np.column_stack([matrix[:, :2], offset]),
        (_SIDE, _SIDE),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    smooth, fitted = _band(one, 1.0, 8.0), _band(np.asarray(moved, np.float32), 1.0, 8.0)
    places = [_correlation(smooth[place], fitted[place]) for place in _PLACES]
    return Likeness(float(whole), min(float(whole), *places))


def comparison_view(image: NDArray[np.uint8], zoom: float) -> Grey:
    """What :func:`compare` takes: the canonical crop of an aligned crop, grey, (128, 128)."""
    return canonical_grey(image, zoom, _SIDE)


def _shrunk(view: Grey) -> Grey:
    small = cv2.resize(view, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA)
    return _band(np.asarray(small, np.float32), 0.0, 2.0)


def _band(view: Grey, fine: float, coarse: float) -> Grey:
    """A view without what is finer and what is coarser than two Gaussians, of unit variance."""
    smooth = cv2.GaussianBlur(view, (0, 0), fine) if fine else view
    band = smooth - cv2.GaussianBlur(view, (0, 0), coarse)
    return np.asarray(band / max(float(band.std()), 1e-6), np.float32)


def _correlation(one: Grey, other: Grey) -> float:
    a, b = one - one.mean(), other - other.mean()
    return float((a * b).sum() / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-6))


def likely_pairs(
    bits: NDArray[np.uint64], thumbnails: NDArray[np.uint8], *, radius: int
) -> NDArray[np.int64]:
    """Pairs of crops that may be one picture: the first two sieves.

    Args:
        bits: (N,) uint64 fingerprints.
        thumbnails: (N, 256) uint8; may be a memory map.
        radius: 0..7, bits in which fingerprints may differ.

    Returns:
        (P, 2) int64, i < j, sorted, each pair once.

    Raises:
        InputError: a radius out of its range.
    """
    found = [np.empty((0, 2), np.int64)]
    for i, j in candidate_pairs(bits, radius):
        likely = thumbnail_correlation(thumbnails[i], thumbnails[j]) >= _LEAST_CORRELATION
        found.append(np.stack([i[likely], j[likely]], 1))
    return np.unique(np.concatenate(found), axis=0)


def thumbnail_correlation(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> Grey:
    """(N,) correlation of (N, 256) thumbnails, or of the mirror images where that is larger."""
    a, b = _sharp(one), _sharp(other)
    flipped = b.reshape(-1, THUMBNAIL, THUMBNAIL)[:, :, ::-1].reshape(b.shape)
    return np.asarray(np.maximum((a * b).sum(1), (a * flipped).sum(1)), np.float32)


def _sharp(thumbnails: NDArray[np.uint8]) -> Grey:
    """Thumbnails without coarse shading, of unit length: faces share their shading."""
    values = thumbnails.astype(np.float32) @ _without_shading()
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.maximum(length, 1e-6), np.float32)


@lru_cache(maxsize=1)
def _without_shading() -> Grey:
    """(256, 256): identity minus a Gaussian blur and minus the mean, as one matrix."""
    units = np.eye(THUMBNAIL * THUMBNAIL, dtype=np.float32)
    blurred = [
        cv2.GaussianBlur(u.reshape(THUMBNAIL, THUMBNAIL), (0, 0), 1.5).ravel() for u in units
    ]
    matrix = units - np.stack(blurred)
    return np.asarray(matrix - matrix.mean(1, keepdims=True), np.float32)


def candidate_pairs(bits: NDArray[np.uint64], radius: int) -> Iterator[Pairs]:
    """Pairs i < j whose fingerprints differ in at most ``radius`` bits, the mirror image counted.

    Multi-index hashing (Norouzi et al. 2012): of four bands of 16 bits, at least one differs in at
    most one bit when the whole differs in at most seven. So every fingerprint is looked up under
    17 values a band, and only those that share a bucket are compared.

    Args:
        bits: (N,) uint64 fingerprints.
        radius: 0..7.

    Yields:
        arrays of i and of j; a pair may come more than once.

    Raises:
        InputError: a radius that the bands cannot guarantee.
    """
    if not 0 <= radius <= 7:
        raise InputError(f"fingerprints are compared up to 7 bits, not {radius}")
    probes = [0] + [1 << k for k in range(16)]
    if radius < 4:
        probes = probes[:1]  # at most three differing bits leave one of four bands untouched
    for queries in (bits, bits ^ np.uint64(mirror_mask())):
        for band in range(4):
            table = _Buckets(bits, band)
            for probe in probes:
                yield from table.mates(queries, probe, radius)


class _Buckets:
    """The fingerprints sorted by 16 of their bits."""

    def __init__(self, bits: NDArray[np.uint64], band: int) -> None:
        self._bits, self._shift = bits, np.uint64(16 * band)
        values = self._band(bits)
        self._order = np.argsort(values, kind="stable")
        self._starts = np.searchsorted(values[self._order], np.arange(65537))

    def _band(self, bits: NDArray[np.uint64]) -> NDArray[np.int64]:
        return ((bits >> self._shift) & np.uint64(0xFFFF)).astype(np.int64)

    def mates(self, queries: NDArray[np.uint64], probe: int, radius: int) -> Iterator[Pairs]:
        """Every query with the later ones in its bucket that are near, a block at a time."""
        buckets = self._band(queries) ^ probe
        counts = self._starts[buckets + 1] - self._starts[buckets]
        ends = np.cumsum(counts)
        first = 0
        while first < len(queries):
            before = ends[first - 1] if first else 0
            last = max(int(np.searchsorted(ends, before + _BLOCK, side="right")), first + 1)
            n = counts[first:last]
            i = np.repeat(np.arange(first, last), n)
            within = np.arange(len(i)) - np.repeat(np.cumsum(n) - n, n)
            j = self._order[self._starts[buckets[i]] + within]
            later = i < j
            i, j = i[later], j[later]
            near = _differing_bits(queries[i], self._bits[j]) <= radius
            if near.any():
                yield i[near], j[near]
            first = last


def _differing_bits(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hamming distance; sums of bits in ever wider fields (Warren, Hacker's Delight, 5-1)."""
    x = one ^ other
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (x * np.uint64(0x0101010101010101)) >> np.uint64(56)
