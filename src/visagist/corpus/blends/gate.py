"""Who refuses blends that resemble a parent."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from visagist.errors import ModelMissingError
from visagist.face.identity import Judge, load_judge


@dataclass(frozen=True, slots=True)
class Gate:
    """A face embedder that travels between processes: how to get it, not the thing itself.

    Whoever measures blends with an embedder must use another one here.

    Attributes:
        name: what tells its weights from others; part of the corpus' settings.
        load: gives the embedder; called in each process that works.
    """

    name: str
    load: Callable[[], Judge]


def gate_of_file(path: Path) -> Gate:
    """The gate of an ONNX file, as :func:`~visagist.face.identity.load_judge` reads it.

    Raises:
        ModelMissingError: no such file.
        ModelDamagedError: it is no embedder of 112x112 faces.
    """
    load_judge(path)  # a file that is none must not fail a thousand items
    try:
        return Gate(hashlib.sha256(path.read_bytes()).hexdigest(), partial(load_judge, path))
    except OSError as error:
        raise ModelMissingError(f"{path}: cannot be read ({error.strerror})") from error
