"""From targets to batches: faces made up once by the retoucher, or stored pairs, disturbed anew."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visagist.corpus.feed.cache import FaceCache
from visagist.errors import DataError
from visagist.makeup.config import MakeupTrainingConfig
from visagist.makeup.retoucher import retouch
from visagist.makeup.style import Style
from visagist.photo.files import mapped_array
from visagist.training.augmentation import AugmentConfig
from visagist.training.degrade import cover, degrade, light_curves

CROP = 256
PATCH = 4
EYE_STRIP = (slice(72, 136), slice(56, 200))
"""Rows and columns of the canonical crop in which eyes lie, with room for misalignment."""

Item = tuple[
    NDArray[np.uint8],
    NDArray[np.int64],
    NDArray[np.float32],
    NDArray[np.int64],
    NDArray[np.int16],
    NDArray[np.int16],
]


@dataclass(frozen=True, slots=True)
class MakeupBatch:
    """One batch. Residuals are what makeup adds to the clean picture, in 1 / 255.

    Attributes:
        image: (B, 3, S, S) float32 in [-1, 1], as a camera and a detector would give it.
        styles: (B, K) int64 style of each target.
        strengths: (B, K) float32 how much of the style each target wears; 1 is as designed.
        where: (B, P) int64 numbers of the patches that are looked at.
        patches: (B, K, 3 p^2, P) float32 residual there, in the order of ``torch.pixel_shuffle``.
        eyes: (B, 3, h, w) float32 residual of the first style in the eye strip.
    """

    image: Tensor
    styles: Tensor
    strengths: Tensor
    where: Tensor
    patches: Tensor
    eyes: Tensor


def render_targets(
    faces: FaceCache,
    styles: Sequence[Style],
    path: Path,
    *,
    workers: int = 1,
    progress: Callable[[int], None] = lambda done: None,
) -> NDArray[np.uint8]:
    """Every face bare and in every style, as a memory-mapped array.

    Args:
        faces: crops with their meshes.
        styles: what to draw.
        path: the ``.npy`` to write; an existing one is reused when faces and styles are the same,
            and a partly rendered one is completed.
        workers: processes.
        progress: called with the number of faces done.

    Returns:
        (N, 1 + styles, H, W, 3) uint8, read-only; index 0 is the bare face.

    Raises:
        DataError: the file cannot be written.
    """
    shape = (len(faces), 1 + len(styles), *faces.crops.shape[1:])
    key = _digest(faces, styles)
    note = path.with_suffix(".json")
    done = _already_done(note, path, key, shape)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not done:  # or the note of what is overwritten would vouch for it
            _write_note(note, key, 0)
        targets = mapped_array(path, np.uint8, shape, keep=path.exists() and bool(done))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot write the rendered targets ({error})") from error
    todo = range(done, len(faces))
    jobs = ((np.array(faces.crops[i]), np.array(faces.meshes[i]), styles) for i in todo)
    with ProcessPoolExecutor(workers) as pool:
        for i, drawn in zip(todo, pool.map(_render, jobs, chunksize=4), strict=True):
            targets[i] = drawn
            if (i + 1) % 50 == 0 or i + 1 == len(faces):
                targets.flush()
                _write_note(note, key, i + 1)
            progress(i + 1)
    del targets
    rendered: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return rendered


def _render(
    job: tuple[NDArray[np.uint8], NDArray[np.float32], Sequence[Style]],
) -> NDArray[np.uint8]:
    crop, mesh, styles = job
    return np.stack([crop, *(retouch(crop, mesh, style) for style in styles)])


def _digest(faces: FaceCache, styles: Sequence[Style]) -> str:
    sha = hashlib.sha256()
    sha.update("\n".join(faces.keys).encode())
    sha.update(faces.meshes.tobytes())
    for style in styles:
        sha.update(style.model_dump_json().encode())
    return sha.hexdigest()


def _already_done(note: Path, path: Path, key: str, shape: tuple[int, ...]) -> int:
    try:
        data = json.loads(note.read_text(encoding="utf-8"))
        stored = np.load(path, mmap_mode="r").shape
    except (OSError, ValueError):
        return 0
    return int(data["faces"]) if data.get("key") == key and stored == shape else 0


def _write_note(note: Path, key: str, faces: int) -> None:
    temporary = note.with_suffix(".part")
    temporary.write_text(json.dumps({"key": key, "faces": faces}), encoding="utf-8")
    temporary.replace(note)


class MakeupDataset:
    """Item ``step`` is the whole batch of that step: a function of the seed and the step alone.

    Args:
        targets: (N, 1 + styles, H, W, 3) from :func:`render_targets`, or of stored pairs.
        zoom: field of view of the targets in canonical crops.
        config: batch size, and which styles and patches a step looks at.
        augmentation: how crops are disturbed.
        seed: of the run.
        steps: length of the run.
        strengths: (N, styles) how much of its style each target wears; 1 everywhere by default.
    """

    def __init__(
        self,
        targets: NDArray[np.uint8],
        *,
        zoom: float,
        config: MakeupTrainingConfig,
        augmentation: AugmentConfig,
        seed: int,
        steps: int,
        strengths: NDArray[np.float32] | None = None,
    ) -> None:
        self.targets, self.zoom, self.config = targets, zoom, config
        full = np.ones((len(targets), targets.shape[1] - 1), np.float32)
        self.strengths = full if strengths is None else strengths
        if self.strengths.shape != full.shape:
            raise DataError(
                f"strengths of shape {self.strengths.shape} for targets of {full.shape} styles"
            )
        self.augmentation = augmentation
        self.seed, self.steps = seed, steps
        self.styles = targets.shape[1] - 1

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Item:
        cv2.setNumThreads(0)
        rng = np.random.default_rng((self.seed, step))
        faces = [
            self._face(int(rng.integers(len(self.targets))), rng) for _ in range(self.config.batch)
        ]
        images, styles, strengths, where, patches, eyes = zip(*faces, strict=True)
        return (
            np.stack(images),
            np.stack(styles),
            np.stack(strengths),
            np.stack(where),
            np.stack(patches),
            np.stack(eyes),
        )

    def _face(self, face: int, rng: np.random.Generator) -> Item:
        cfg = self.config
        styles = rng.permutation(self.styles)[: cfg.styles_per_face]
        matrix = self._matrix(rng)
        curves = light_curves(rng, self.augmentation.photometric)
        covered = self._cover(rng)
        bare = self._view(self.targets[face, 0], matrix, curves, covered)
        residuals = np.empty((len(styles), CROP, CROP, 3), np.int16)
        for j, style in enumerate(styles):
            made_up = self._view(self.targets[face, 1 + style], matrix, curves, covered)
            np.subtract(made_up, bare, out=residuals[j], dtype=np.int16)
        grid = into_patches(residuals)
        where = self._choose(grid, rng)
        eyes = residuals[0][EYE_STRIP].transpose(2, 0, 1)
        image = degrade(bare, rng, self.augmentation)
        strengths = self.strengths[face, styles]
        return image, styles, strengths, where, grid[:, where].transpose(0, 2, 1), eyes

    def _choose(self, grid: NDArray[np.int16], rng: np.random.Generator) -> NDArray[np.int64]:
        """Patches to look at, drawn without replacement: strong makeup first, plain skin rarely."""
        count = min(self.config.patches, grid.shape[1])
        if count == grid.shape[1]:
            return np.arange(count)
        strength = np.maximum(grid.max((0, 2)), -grid.min((0, 2))).astype(np.float32)
        plain = self.config.plain_share
        weight = np.where(strength > 1, 1 + np.clip(strength / 12, 0, 4), plain)
        # Exponential keys give a weighted sample without replacement (Efraimidis, Spirakis 2006).
        keys = rng.exponential(size=len(weight)) / weight
        return np.sort(np.argpartition(keys, count)[:count])

    def _cover(
        self, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """What stands before the face, bare or made up; nothing is to be painted on it."""
        occlusion = self.augmentation.occlusion
        if not occlusion.active or rng.random() >= occlusion.share:
            return None
        return cover((CROP, CROP), rng, occlusion.strength)

    def _matrix(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """(2, 3) from crop pixels to target pixels: roll, scale, shift and mirror.

        The roll is normal with half the largest as its standard deviation: a face that was
        aligned by its mesh is seldom far off.
        """
        place = self.augmentation.geometric
        on = float(place.enabled)
        roll, size, shift = on * place.roll, on * place.scale, on * place.shift * CROP
        angle = np.deg2rad(np.clip(rng.normal(0, roll / 2), -roll, roll))
        scale = np.exp(rng.uniform(-size, size))
        side = self.targets.shape[2]
        unit = side / (CROP * self.zoom)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        linear = turn * scale * unit
        if rng.random() < 0.5 * on * place.mirror:
            linear[:, 0] *= -1
        centre = side / 2 + rng.uniform(-shift, shift, 2) * unit
        offset = centre - linear @ np.full(2, CROP / 2)
        return np.concatenate([linear, offset[:, None]], 1)

    @staticmethod
    def _view(
        picture: NDArray[np.uint8],
        matrix: NDArray[np.float64],
        curves: NDArray[np.uint8],
        covered: tuple[NDArray[np.float32], NDArray[np.float32]] | None,
    ) -> NDArray[np.uint8]:
        # cv2 counts pixel centres from 0, we from .5.
        shifted = matrix.copy()
        shifted[:, 2] += shifted[:, :2] @ np.full(2, 0.5) - 0.5
        view = cv2.warpAffine(
            picture,
            shifted,
            (CROP, CROP),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        lit: NDArray[np.uint8] = np.asarray(cv2.LUT(view, curves[None]), np.uint8)
        if covered is None:
            return lit
        mask, colour = covered
        return np.rint(lit + mask * (colour - lit)).astype(np.uint8)


def disturbed_views(
    faces: FaceCache, config: MakeupTrainingConfig, augmentation: AugmentConfig, seed: int
) -> NDArray[np.uint8]:
    """(N, S, S, 3): each face once, as it comes out of a training batch; for looking at."""
    targets = np.stack([faces.crops, faces.crops], axis=1)
    data = MakeupDataset(
        targets,
        zoom=faces.zoom,
        config=config,
        augmentation=augmentation,
        seed=seed,
        steps=1,
    )
    rng = np.random.default_rng(seed)
    return np.stack([data._face(i, rng)[0] for i in range(len(faces))])


def into_patches(residuals: NDArray[np.int16]) -> NDArray[np.int16]:
    """(K, S, S, 3) -> (K, patches, 3 p^2) in the channel order of ``torch.pixel_shuffle``."""
    k, side = residuals.shape[0], residuals.shape[1] // PATCH
    cells = residuals.reshape(k, side, PATCH, side, PATCH, 3).transpose(0, 1, 3, 5, 2, 4)
    return cells.reshape(k, side * side, 3 * PATCH * PATCH)


def to_batch(item: Item, device: torch.device) -> MakeupBatch:
    """Numpy arrays of :class:`MakeupDataset` to tensors on the device."""
    images, styles, strengths, where, patches, eyes = (
        torch.as_tensor(part).to(device) for part in item
    )
    image = images.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
    residuals = (patches.float().div_(255), eyes.float().div_(255))
    return MakeupBatch(image, styles, strengths, where, *residuals)
