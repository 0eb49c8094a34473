"""The rows: ways from five pairs to made-up faces, all judged alike and all students trained alike.

Every student has the same network, the same start and the same number of steps; only what it is
shown differs. One student of all styles stands for one of each, which is several times cheaper.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from visagist.amplify.backend import Backend, CropFace, open_backend
from visagist.amplify.baselines import ColourTransfer
from visagist.amplify.ensemble import EnsembleBackend
from visagist.amplify.evaluation.bench import MARGIN, SIDE, ZOOM, Bench, Report, settings_key
from visagist.amplify.pixels.backend import PixelBackend
from visagist.amplify.pixels.config import FinetuneConfig, SamplingConfig
from visagist.amplify.pixels.examples import Progress
from visagist.amplify.student import (
    AUGMENT,
    START,
    student_recipe,
    train_student,
)
from visagist.face.align import CROP_SIZE
from visagist.makeup.network import MakeupNetwork
from visagist.makeup.training import MakeupRecipe
from visagist.photo.files import mapped_array
from visagist.runtime.store import open_model
from visagist.training.augmentation import (
    AugmentConfig,
    DefectConfig,
    GeometricConfig,
    PhotometricConfig,
)
from visagist.training.run import RECIPE, WEIGHTS, load_weights, read_run

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

UNDISTURBED = AugmentConfig(geometric=GeometricConfig(mirror=False))
STRONG = AugmentConfig(
    geometric=GeometricConfig(roll=14.0, scale=0.14, shift=14.0 / 256),
    photometric=PhotometricConfig(strength=1.3),
    degraded=0.5,
    blur=DefectConfig(share=0.5),
    noise=DefectConfig(share=0.5),
    jpeg=DefectConfig(share=0.5),
    occlusion=DefectConfig(share=0.3),
)
"""Classical augmentation, as strong as five pairs need it."""

_TOGETHER = 8


class Painter(Protocol):
    """What can make up faces in one style."""

    def render(self, faces: Sequence[CropFace], *, strength: float = 1.0, seed: int = 0) -> Floats:
        """(N, 256, 256, 3) changes in levels."""


class Predict(Protocol):
    """A row, as it is judged."""

    student: bool
    """Whether it looks at pixels alone, so that its reaction to a shift can be measured."""

    def __call__(self, i: int, crop: Bytes) -> Floats:
        """(styles, 256, 256, 3) changes in levels of judged person ``i``, whose crop is given."""


class Untouched:
    """The floor: nothing is changed."""

    student = False

    def __init__(self, styles: int) -> None:
        self._styles = styles

    def __call__(self, i: int, crop: Bytes) -> Floats:
        """Zeros."""
        return np.zeros((self._styles, *crop.shape), np.float32)


class Teacher:
    """A painter for each style, on the meshes that our network finds."""

    student = False

    def __init__(self, bench: Bench, painters: Sequence[Painter]) -> None:
        self._bench, self._painters = bench, painters

    def __call__(self, i: int, crop: Bytes) -> Floats:
        """What each painter adds."""
        face = self._bench.judged.crop_face(i)
        return np.concatenate([p.render([face], seed=0) for p in self._painters])


class Student:
    """A trained network."""

    student = True

    def __init__(self, run: Path) -> None:
        recipe, weights = read_run(run, MakeupRecipe)
        self._network = MakeupNetwork(recipe.network)
        load_weights(self._network, weights, run)
        self._network.eval()
        self._codes = torch.eye(len(recipe.network.styles))

    @torch.inference_mode()
    def __call__(self, i: int, crop: Bytes) -> Floats:
        """The residual of every style."""
        image = torch.from_numpy(crop.copy()).permute(2, 0, 1)[None].float().div(127.5).sub(1)
        repeated = image.expand(len(self._codes), -1, -1, -1)
        out = self._network(repeated, self._codes) * 255
        return np.asarray(out.permute(0, 2, 3, 1).numpy(), np.float32)


def _bare(bench: Bench, report: Report) -> Predict:
    return Untouched(len(bench.styles))


def _pairs_alone(name: str, bench: Bench, report: Report) -> Predict:
    targets = np.ascontiguousarray(bench.train.truth[list(bench.seeds)])
    return _student(bench, name, targets, report)


def _colour(bench: Bench, report: Report) -> Predict:
    fits = [ColourTransfer.fit(bench.looks(k)) for k in range(len(bench.styles))]
    return Teacher(bench, fits)


def _teacher(backend: str | None, bench: Bench, report: Report) -> Predict:
    return Teacher(bench, fitted(bench, backend or bench.config.backend, report))


def _amplified(backend: str | None, name: str, bench: Bench, report: Report) -> Predict:
    chosen = backend or bench.config.backend
    if (run := _run_folder(bench, name, identity_of(chosen))).joinpath(RECIPE).is_file():
        return Student(run)
    targets = amplify_all(bench, chosen, report)
    return _student(bench, name, targets, report, backend=identity_of(chosen))


def _ceiling(bench: Bench, report: Report) -> Predict:
    return _student(bench, "ceiling", bench.train.truth, report)


ROWS: Mapping[str, Callable[[Bench, Report], Predict]] = {
    "bare": _bare,
    "five_pairs": partial(_pairs_alone, "five_pairs"),
    "five_pairs_augmented": partial(_pairs_alone, "five_pairs_augmented"),
    "colour_transfer": _colour,
    "mesh_transfer_teacher": partial(_teacher, "mesh"),
    "mesh_transfer": partial(_amplified, "mesh", "mesh_transfer"),
    "teacher": partial(_teacher, None),
    "dal": partial(_amplified, None, "dal"),
    "ceiling": _ceiling,
}
"""Each row by name: makes ready what is judged. Whatever it leaves is found again."""

STUDENTS: Mapping[str, AugmentConfig] = {
    "five_pairs": UNDISTURBED,
    "five_pairs_augmented": STRONG,
    "mesh_transfer": AUGMENT,
    "dal": AUGMENT,
    "ceiling": AUGMENT,
}
"""How the pictures of each row that trains a network are disturbed."""

VARIANTS: Mapping[str, Callable[[], Backend]] = {
    "pixels-without-rdm": lambda: _pixels(bare_pass=False),
    "pixels-without-masks": lambda: _pixels(margin=CROP_SIZE),
    "pixels-4-steps": lambda: _pixels(steps=4),
    "pixels-untuned": lambda: PixelBackend(tuning=FinetuneConfig(steps=0)),
}
"""The pixel amplifier with one part taken out, for ablations."""


def _pixels(**sampling: int | bool) -> PixelBackend:
    return PixelBackend(sampling=SamplingConfig.model_validate(sampling))


@cache
def opened(backend: str) -> Backend:
    """A backend or one of its variants.

    Raises:
        InputError: there is none of that name.
        ModelError: its weights are missing or damaged.
    """
    return VARIANTS[backend]() if backend in VARIANTS else open_backend(backend)


def identity_of(backend: str) -> str:
    """A backend's name with its weights or settings: nothing of older ones is used again."""
    engine = opened(backend)
    if isinstance(engine, EnsembleBackend):
        return f"{backend} {engine.config.model_dump_json()}"
    return f"{backend} {engine.base.model_id}" if isinstance(engine, PixelBackend) else backend


def fitted(bench: Bench, backend: str, report: Report) -> list[Painter]:
    """The backend's style for each style, fitted once and then loaded."""
    engine = opened(backend)
    folder = bench.folder / f"fitted-{backend}-{settings_key(bench, identity_of(backend))}"
    out: list[Painter] = []
    for k, style in enumerate(bench.styles):
        place, done = folder / style.name, folder / f"{style.name}.done"
        if not done.is_file():
            told = partial(report, f"fit {style.name} ({backend})")
            engine.fit(bench.looks(k), seed=bench.config.seed, progress=told).save(place)
            done.touch()
        # As everybody gets it: from its files, with whatever they round.
        out.append(engine.load(place))
    return out


def amplify_all(bench: Bench, backend: str, report: Report) -> Bytes:
    """(N, 1 + styles, 288, 288, 3) training people made up by a backend, kept on disk."""
    todo = list(bench.amplified())
    shape = (len(todo), 1 + len(bench.styles), SIDE, SIDE, 3)
    key = settings_key(bench, len(todo), identity_of(backend))
    path = bench.folder / f"amplified-{backend}-{key}.npy"
    progress = Progress(path, settings_key(bench, todo), shape)
    done = progress.done()
    if done < len(todo):
        painters = fitted(bench, backend, report)
        targets = mapped_array(path, np.uint8, shape, keep=bool(done))
        while done < len(todo):
            part = todo[done : done + _TOGETHER]
            targets[done : done + len(part)] = _painted(bench, painters, part)
            done += len(part)
            targets.flush()
            progress.write(done)
            report(f"amplify ({backend})", done, len(todo))
        del targets
    stored: Bytes = np.load(path, mmap_mode="r")
    return stored


def _painted(bench: Bench, painters: Sequence[Painter], part: Sequence[tuple[int, int]]) -> Bytes:
    """Faces of one seed go through a painter together."""
    wide = np.stack([bench.train.faces.crops[i] for i, _ in part])
    out = np.repeat(wide[:, None], 1 + len(painters), 1)
    inner = out[:, :, MARGIN:-MARGIN, MARGIN:-MARGIN]
    for seed in sorted({s for _, s in part}):
        rows = [row for row, (_, s) in enumerate(part) if s == seed]
        faces = [bench.train.crop_face(part[row][0]) for row in rows]
        for k, painter in enumerate(painters):
            made = inner[rows, 0] + painter.render(faces, seed=seed)
            inner[rows, 1 + k] = np.clip(np.rint(made), 0, 255)
    return out


def student_of(bench: Bench, name: str) -> MakeupRecipe:
    """The recipe by which the network of a row is trained."""
    return student_recipe(
        [style.name for style in bench.styles],
        steps=bench.config.steps,
        seed=bench.config.seed,
        augment=STUDENTS[name],
        scratch=bench.config.start == "scratch",
    )


def student_key(bench: Bench, name: str) -> dict[str, object]:
    """What decides a trained network but for its pictures: its recipe, and what it starts from."""
    known = bench.config.start == "known"
    start = open_model(START).manifest.files[WEIGHTS].sha256 if known else None
    return {"recipe": student_of(bench, name).model_dump(mode="json"), "start": start}


def _student(
    bench: Bench, name: str, targets: Bytes, report: Report, *, backend: str = ""
) -> Student:
    config = bench.config
    run = _run_folder(bench, name, backend)
    if not (run / RECIPE).is_file():
        told = f"train {name}"
        train_student(
            student_of(bench, name),
            targets,
            bench.logged.truth,
            run,
            zoom=ZOOM,
            workers=1,
            start=START if config.start == "known" else None,
            progress=lambda step, numbers: report(told, step, config.steps),
        )
    return Student(run)


def _run_folder(bench: Bench, name: str, backend: str) -> Path:
    key = settings_key(bench, student_key(bench, name), bench.config.faces, backend)
    return bench.folder / "students" / f"{name}-{key}"
