"""One checkpoint format: written beside, flushed, renamed, and checked by digest when read."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import torch

from visagist.errors import DataError

_PATTERN = "step-*.ckpt"


def save_checkpoint(folder: Path, step: int, state: dict[str, Any], *, keep: int = 2) -> Path:
    """Write ``state`` so that a kill at any moment leaves the previous checkpoint whole.

    The file is a SHA-256 digest followed by ``torch.save``'s bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stream = io.BytesIO()
    torch.save(state, stream)
    blob = stream.getvalue()
    path = folder / f"step-{step:09d}.ckpt"
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as out:
        out.write(hashlib.sha256(blob).digest())
        out.write(blob)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(path)
    for old in sorted(folder.glob(_PATTERN))[:-keep]:
        old.unlink()
    return path


def load_latest(folder: Path) -> tuple[int, dict[str, Any]] | None:
    """The newest whole checkpoint as (step, state); damaged ones are passed over.

    Returns:
        ``None`` when the folder holds no checkpoint at all.

    Raises:
        DataError: there are checkpoints and every one of them is damaged.
    """
    paths = sorted(folder.glob(_PATTERN), reverse=True)
    for path in paths:
        state = read_checkpoint(path)
        if state is not None:
            return step_of(path), state
    if paths:
        raise DataError(f"{folder}: every checkpoint is damaged; start again without --resume")
    return None


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a folder, the oldest first."""
    return sorted(folder.glob(_PATTERN))


def step_of(path: Path) -> int:
    """The step in a checkpoint's name."""
    return int(path.stem.split("-")[1])


def read_checkpoint(path: Path) -> dict[str, Any] | None:
    """The state in a checkpoint, or nothing where it is damaged."""
    blob = path.read_bytes()
    digest, body = blob[:32], blob[32:]
    if hashlib.sha256(body).digest() != digest:
        return None
    state: dict[str, Any] = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    return state
