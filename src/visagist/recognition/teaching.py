"""What the teacher says of every face, computed once and kept beside the caches."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from tempfile import NamedTemporaryFile

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from visagist.face.align import Alignment
from visagist.recognition.crop import CENTRE, FIELD
from visagist.recognition.data import Faces
from visagist.recognition.teacher import EMBEDDING, INPUT_SIZE, Teacher, chip_matrix

_BATCH = 64


def teacher_vectors(
    faces: Faces,
    teacher: Teacher,
    cache: Path,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> NDArray[np.float32]:
    """(N, 128) what the teacher makes of each face, as dlib gives it (not normalised).

    Each is the mean of four: of our crop and of dlib's own, as they are and mirrored. Four looks
    at one picture agree on the person and differ in the rest.

    Args:
        faces: in the order of the result.
        teacher: dlib's network.
        cache: folder for the result; a second call with the same faces reads it.
        progress: called with faces done and in all.
    """
    what = hashlib.sha256("\n".join(faces.keys).encode())
    what.update(f"{faces.side} {faces.zoom:.6f} {FIELD} {CENTRE} 1".encode())
    path = cache / f"teacher-{what.hexdigest()[:12]}.npy"
    if path.is_file():
        stored = np.load(path, allow_pickle=False)
        if stored.shape == (len(faces), EMBEDDING):
            return np.asarray(stored, np.float32)
    out = np.empty((len(faces), EMBEDDING), np.float32)
    meshes = faces.meshes
    for start in range(0, len(faces), _BATCH):
        index = np.arange(start, min(start + _BATCH, len(faces)))
        out[index] = _looked_at(faces.crops(index), meshes[index], faces.zoom, teacher)
        progress(int(index[-1]) + 1, len(faces))
    cache.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=cache, suffix=".part", delete=False) as part:
        np.save(part, out)
    Path(part.name).replace(path)
    return out


def _looked_at(
    crops: NDArray[np.uint8], meshes: NDArray[np.float32], zoom: float, teacher: Teacher
) -> NDArray[np.float32]:
    side = crops.shape[1]
    ours = _our_view(side, zoom)
    views = []
    for crop, mesh in zip(crops, meshes, strict=True):
        for matrix in (ours, chip_matrix(mesh)):
            view = _warped(crop, matrix)
            views += [view, view[:, ::-1]]
    batch = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        vectors = teacher(batch.contiguous(memory_format=torch.channels_last))
    return np.asarray(vectors.reshape(len(crops), 4, -1).mean(1).numpy(), np.float32)


def _our_view(side: int, zoom: float) -> NDArray[np.float64]:
    """(2, 3) from the pixels of a cached crop to the recogniser's view at the teacher's size."""
    scale = INPUT_SIZE * zoom / (FIELD * side)
    matrix = np.array([[scale, 0.0, 0.0], [0.0, scale, 0.0]])
    centre = side / 2 + side * (np.array(CENTRE) - 0.5) / zoom
    matrix[:, 2] = INPUT_SIZE / 2 - scale * centre
    return Alignment(matrix, INPUT_SIZE).matrix


def _warped(crop: NDArray[np.uint8], matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    # cv2 counts pixel centres from 0, we from .5.
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2].sum(1) / 2 - 0.5
    size = (INPUT_SIZE, INPUT_SIZE)
    out = cv2.warpAffine(
        crop, shifted, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(out, np.uint8)
