"""A file as dlib writes its recogniser, with random weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from visagist.recognition import teacher as module
from visagist.recognition.teacher import BLOCKS, EMBEDDING


def packed(value: int) -> bytes:
    """An integer of dlib: a byte that counts the bytes behind it."""
    data = abs(value).to_bytes(max(1, (abs(value).bit_length() + 7) // 8), "little")
    return bytes([len(data) | (128 if value < 0 else 0)]) + data


def tensor(values: np.ndarray) -> bytes:
    sizes = (values.size, 1, 1, 1)
    return packed(2) + b"".join(packed(n) for n in sizes) + values.astype("<f4").tobytes()


def weights(seed: int = 0) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """(filters, biases, scales, shifts) of each convolution, input first."""
    rng = np.random.default_rng(seed)
    out = []
    shapes = [(32, 3, 7, 7)]
    channels = 32
    for width, _ in BLOCKS:
        shapes += [(width, channels, 3, 3), (width, width, 3, 3)]
        channels = width
    for shape in shapes:
        scale = (2 / np.prod(shape[1:])) ** 0.5
        out.append(
            (
                rng.normal(0, scale, shape),
                rng.normal(0, 0.05, shape[0]),
                rng.uniform(0.5, 1.0, shape[0]),
                rng.normal(0, 0.05, shape[0]),
            )
        )
    return out


def head(seed: int = 0) -> np.ndarray:
    """(256, 128) matrix of the last layer."""
    return np.random.default_rng([seed, 1]).normal(0, 0.06, (256, EMBEDDING))


def write_dlib_file(path: Path, monkeypatch, seed: int = 0) -> Path:
    """Write such a file and let the reader take it for the published one."""
    stream = b"\x01\x06loss_m"  # other layers hold no numbers and are passed over
    for filters, biases, scales, shifts in weights(seed):
        stream += b"\x01\x05con_4" + tensor(np.concatenate([filters.ravel(), biases]))
        stream += b"\x01\x07affine_" + tensor(np.concatenate([scales, shifts]))
    stream += b"\x01\x04fc_2" + packed(EMBEDDING) + packed(0) + tensor(head(seed).ravel())
    path.write_bytes(stream)
    monkeypatch.setattr(module, "WEIGHTS_SHA256", hashlib.sha256(stream).hexdigest())
    return path
