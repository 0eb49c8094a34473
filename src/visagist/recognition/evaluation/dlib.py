"""dlib's network among the embedders; the only part of the evaluation that needs torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from visagist.face.align import Alignment, crop
from visagist.face.types import Face
from visagist.recognition.evaluation.embedders import Embedder
from visagist.recognition.teacher import INPUT_SIZE, Teacher, chip_matrix


def dlib_embedder(path: Path) -> Embedder:
    """The recogniser of dlib with its own crops and its own measure, the Euclidean distance.

    Args:
        path: ``dlib_face_recognition_resnet_model_v1.dat``.

    Raises:
        ModelMissingError: there is no such file.
        ModelDamagedError: it is not the published file.
    """
    teacher = Teacher.from_file(path)

    def embed(pixels: NDArray[np.uint8], face: Face) -> NDArray[np.float32]:
        view = crop(pixels, Alignment(chip_matrix(face.mesh), INPUT_SIZE))
        image = torch.from_numpy(view.transpose(2, 0, 1)[None].astype(np.float32) / 255)
        with torch.inference_mode():
            return np.asarray(teacher(image)[0].numpy())

    return Embedder(
        name="dlib",
        embed=embed,
        megabytes=round(path.stat().st_size / 1e6, 2),
        params=sum(p.numel() for p in teacher.parameters()),
        by_distance=True,
    )
