"""Embedders behind one interface, so that all of them see the same pictures in one run."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visagist.face.identity import load_judge
from visagist.face.types import Face
from visagist.recognition.inference import Recognizer
from visagist.runtime.store import open_model

Vectors = NDArray[np.float32]
Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Embedder:
    """Something that turns a face into a vector.

    Attributes:
        name: what it is called in a report.
        embed: a picture and its face -> (d,) float32.
        megabytes: size of its network.
        params: number of its parameters, where known.
        by_distance: it is made for Euclidean distances instead of cosines.
    """

    name: str
    embed: Callable[[NDArray[np.uint8], Face], Vectors]
    megabytes: float
    params: int | None = None
    by_distance: bool = False

    def compare(self, a: Vectors, b: Vectors) -> Scores:
        """(n, d) and (m, d) vectors to (n, m) similarities: cosines, or negative distances.

        A row of NaN (no vector could be had) gives minus infinity everywhere: whoever
        cannot be enrolled or searched is not found.
        """
        a64, b64 = a.astype(np.float64), b.astype(np.float64)
        failed = np.add.outer(np.isnan(a64).any(1), np.isnan(b64).any(1))
        a64, b64 = np.nan_to_num(a64), np.nan_to_num(b64)
        if self.by_distance:
            squares = (a64**2).sum(1)[:, None] + (b64**2).sum(1)[None] - 2 * a64 @ b64.T
            scores = -np.sqrt(np.maximum(squares, 0))
        else:
            scores = _unit(a64) @ _unit(b64).T
        return np.where(failed, -np.inf, scores)


def model_embedder(name_or_dir: str | os.PathLike[str], *, name: str | None = None) -> Embedder:
    """A recognition model of ours.

    Raises:
        ModelMissingError: there is no such model.
        ModelDamagedError: it is damaged, or no recognition model.
    """
    files = open_model(name_or_dir)
    recognizer = Recognizer(files)
    params = files.config.get("params")
    return Embedder(
        name=name or Path(name_or_dir).name,
        embed=recognizer.embed,
        megabytes=_megabytes(len(files.onnx)),
        params=params if isinstance(params, int) else None,
    )


def judge_embedder(path: Path) -> Embedder:
    """An ONNX embedder of the user's (see :func:`~visagist.face.identity.load_judge`).

    Raises:
        ModelMissingError: no such file.
        ModelDamagedError: not a self-contained ONNX file of 112x112 faces.
    """
    judge = load_judge(path)
    return Embedder(
        name=path.stem,
        embed=lambda pixels, face: judge(pixels, face.mesh),
        megabytes=_megabytes(path.stat().st_size),
    )


def open_embedder(name_or_path: str) -> Embedder:
    """A judge for a path that ends in ``.onnx``, else a model by name or folder.

    Raises:
        ModelError: as :func:`model_embedder` and :func:`judge_embedder`.
    """
    if name_or_path.endswith(".onnx"):
        return judge_embedder(Path(name_or_path))
    return model_embedder(name_or_path)


def _megabytes(length: int) -> float:
    return round(length / 1e6, 2)


def _unit(vectors: Scores) -> Scores:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
