"""The waves of the tiled watermark: which frequencies, and what each one carries.

A tile of ``TILE`` pixels repeats over the picture. It is a sum of waves whose frequencies are whole
numbers of periods a tile, in a ring that JPEG and halving a picture mostly leave alone and where a
face has little of its own. Some waves have phases that are always the same (sync: they tell scale
and place), the rest carry two code bits each, as the signs of cosine and sine part. Which wave does
what follows from hashes of its frequency, so that it is the same on every machine and release.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from visagist.provenance.watermark.code import encode

__all__ = ["PAYLOAD", "REACH", "SYNC", "SYNC_WAVE", "TILE", "WAVES", "phasors", "received"]

TILE = 64
"""Side of the tile in pixels, in pictures of at most ``tiled.FULL`` pixels on the shorter side."""
_RING = (4.0, 14.0)
_SYNC_WAVES = 80


def _hash(x: int, y: int, use: str) -> int:
    return int.from_bytes(hashlib.sha256(f"visagist 1 {use} {x} {y}".encode()).digest()[:4], "big")


def _waves() -> NDArray[np.int64]:
    """Half of the ring; the other half is the same waves. ``(N, 2)`` periods a tile in x and y."""
    reach = int(_RING[1])
    ring = [
        (x, y)
        for y in range(reach + 1)
        for x in range(-reach, reach + 1)
        if (y > 0 or x > 0) and _RING[0] <= np.hypot(x, y) <= _RING[1]
    ]
    return np.array(sorted(ring, key=lambda k: _hash(k[0], k[1], "order")), np.int64)


WAVES = _waves()
REACH = int(np.abs(WAVES).max())
SYNC = slice(0, _SYNC_WAVES)
PAYLOAD = slice(_SYNC_WAVES, len(WAVES))
_QUARTERS = np.array([_hash(int(x), int(y), "phase") % 4 for x, y in WAVES])
SYNC_WAVE = np.exp(1j * np.pi * (0.25 + 0.5 * _QUARTERS[SYNC]))
"""What sync waves are, complex of length 1."""
_MASK = np.array(
    [1 - 2 * (_hash(int(x), int(y), part) % 2) for x, y in WAVES[PAYLOAD] for part in "cs"]
)


def phasors(mark_id: int) -> NDArray[np.complex128]:
    """Amplitude and phase of every wave of an id, all of length 1, ``(N,)``."""
    chips = np.resize(encode(mark_id), len(_MASK)) * _MASK
    payload = (chips[0::2] + 1j * chips[1::2]) / np.sqrt(2.0)
    return np.concatenate([SYNC_WAVE, payload])


def received(payload: NDArray[np.complexfloating]) -> NDArray[np.float64]:
    """Soft code bits of payload waves as found in a picture, in the order sent."""
    chips = np.empty(len(_MASK))
    chips[0::2], chips[1::2] = payload.real, payload.imag
    soft: NDArray[np.float64] = chips * _MASK
    return soft
