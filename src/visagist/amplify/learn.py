"""From a few before/after photos to an installed style, in stages that can be stopped anywhere."""

from __future__ import annotations

import hashlib
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from visagist.amplify.amplify import AmplifyConfig, amplify
from visagist.amplify.backend import DEFAULT, CropFace, Fitted, Look, open_backend
from visagist.amplify.install import install, write_card
from visagist.amplify.pairs import find_pairs, load_pairs
from visagist.amplify.pairset import SIDE, read_pairset
from visagist.amplify.student import START, steps_per_second, student_recipe, train_student
from visagist.amplify.styled import HeldOut, held_out_faces, read_strengths, report_student
from visagist.amplify.template import ESTIMATED, open_template
from visagist.amplify.work import Work, require_space
from visagist.corpus.blends.gate import Gate
from visagist.corpus.build.driver import only_builder
from visagist.corpus.corpus import INDEX, Corpus
from visagist.corpus.feed.selection import select_faces
from visagist.deploy.export import export_makeup
from visagist.errors import DataError, InputError
from visagist.makeup.learned import style_name_taken
from visagist.makeup.style import Style
from visagist.makeup.training import MakeupRecipe

Report = Callable[[str, int, int], None]

STAGES = (
    "register", "fit", "plan", "amplify", "held_out", "train_plan", "train", "judge", "install"
)  # fmt: skip
"""In order; each is done or not done."""
_PAIR_BYTES = 2 * SIDE * SIDE * 3
_ELSEWHERE = 300 << 20
"""Bytes for checkpoints, held-out faces and the model."""
_SHARE_AMPLIFY = 0.5
"""Of the time that is left when amplifying begins; the rest is for training and judging."""
_SHARE_TRAIN = 0.85
_LEAST_SAMPLES, _LEAST_STEPS = 200, 200


class LearnConfig(BaseModel):
    """Everything that decides what is learned."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backend: str = Field(DEFAULT, description="what learns the style from the pairs")
    count: int = Field(4000, ge=8, description="amplified samples to draw, if time allows")
    steps: int = Field(2500, ge=1, description="of the student's training, if time allows")
    held_out: int = Field(64, ge=1, description="validation people that the result is judged on")
    start: str = Field(START, description="makeup model that the student starts from")
    seed: int = Field(0, ge=0, description="of everything that is drawn at random")
    from_photo: bool = Field(
        False, description="the pairs are one photo of a made-up face, its before is estimated"
    )


def learn(
    pairs: Path,
    name: str,
    faces: Sequence[Path],
    work_folder: Path,
    config: LearnConfig,
    *,
    minutes: float | None = 60.0,
    replace: bool = False,
    embedder: Gate | None = None,
    workers: int = 1,
    report: Report = lambda stage, done, total: None,
) -> dict[str, Any]:
    """Learn a style and put it into the user's store; the same call goes on where it was stopped.

    Args:
        pairs: folder or CSV of before and after photos.
        name: of the style.
        faces: folders of corpora: training people to amplify on, validation people to judge on.
        work_folder: for everything on the way.
        config: the settings.
        minutes: how long it may take in all; fewer samples and steps are made where the machine
            is slow. ``None`` makes as many as ``config`` says.
        replace: put it in the place of a style of this name that the user has.
        embedder: for the gate of identity.
        workers: processes that amplify, and threads that prepare batches.
        report: called with a stage, how much of it is done, and in all.

    Returns:
        What became of it: the model's folder, counts, the numbers on held-out people, minutes by
        stage, peak memory.

    Raises:
        InputError: the name is taken or no name, or the work folder belongs to other work or to a
            run that is not over.
        PairError, DataError: no pair can be used, or a corpus cannot: each needs training and
            validation people.
            Or the gates rejected every amplified face.
        DiskFullError: the disk is full; what was finished is kept.
    """
    check_name(name, replace=replace)
    if not faces:
        raise InputError("learning a style needs the faces of at least one corpus")
    about = _about(pairs, name, faces, config)
    for folder in faces:  # before all the work whose last part would fail
        select_faces(Corpus.open(folder), AmplifyConfig().data)
    work = Work(work_folder, about)
    steps = _Steps(work, pairs, name, tuple(faces), config, embedder, workers, report)
    with only_builder(work_folder):
        looks = steps.registered()
        fitted = steps.fitted(looks)
        steps.amplified(looks, fitted, _left(work, minutes, _SHARE_AMPLIFY))
        held_out = steps.held_out(fitted)
        steps.trained(held_out, _left(work, minutes, _SHARE_TRAIN))
        steps.judged(looks, held_out)
        steps.installed(replace=replace)
        return summary(work)


def check_name(name: str, *, replace: bool = False) -> None:
    """Refuse a name before anything is done.

    Raises:
        InputError: it is no name for a style, or it is taken.
    """
    try:
        Style(name=name)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise InputError(f"--name: {problem}") from error
    taken = style_name_taken(name)
    if taken and not (replace and taken.startswith("in the store")):
        hint = "; give another name" + (
            ", or --replace to put the new style in its place"
            if taken.startswith("in the store")
            else ""
        )
        raise InputError(f"the name {name!r} is taken: {taken}{hint}")


def _about(pairs: Path, name: str, faces: Sequence[Path], config: LearnConfig) -> dict[str, Any]:
    """What the work is about; files count by their bytes, wherever they lie."""
    sha = hashlib.sha256()
    files = (
        [(pairs.stem, pairs)]
        if config.from_photo
        else [(p.name, path) for p in find_pairs(pairs)[0] for path in (p.before, p.after)]
    )
    for pair_name, path in files:
        try:
            sha.update(f"{pair_name}/{path.name}".encode() + path.read_bytes())
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    return {
        "style": name,
        "pairs": sha.hexdigest(),
        "faces": [_digest(folder / INDEX) for folder in faces],
        "settings": config.model_dump(),
    }


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(
            f"{path.parent}: no corpus ({error.strerror}); `visagist corpus build` makes one"
        ) from error


def _left(work: Work, minutes: float | None, share: float) -> float | None:
    """Seconds that a stage may take; nothing for any time."""
    return None if minutes is None else max(0.0, minutes * 60 - work.total_seconds) * share


class _Steps:
    """The stages. Each is passed over when the folder says that it is done."""

    def __init__(  # noqa: PLR0917  (what all stages share)
        self,
        work: Work,
        pairs: Path,
        name: str,
        faces: tuple[Path, ...],
        config: LearnConfig,
        embedder: Gate | None,
        workers: int,
        report: Report,
    ) -> None:
        self.work, self.pairs, self.name, self.faces = work, pairs, name, faces
        self.config, self.embedder, self.workers, self.report = config, embedder, workers, report
        self.folder = work.folder

    def registered(self) -> list[Look]:
        """The pairs as looks."""
        path = self.folder / "looks.npz"
        if self.work.result("register") is None:
            with self.work.stage("register") as result:
                if self.config.from_photo:
                    look = open_template(self.pairs)
                    _write_looks(path, [look])
                    result |= {"pairs": [{"name": look.name}], "left_out": []}
                    result |= {"warnings": [ESTIMATED]}
                    return [look]
                found = load_pairs(self.pairs, progress=partial(self.report, "register"))
                _write_looks(path, found.looks)
                result |= {
                    "pairs": [
                        {"name": r.look.name, **asdict(r.report)} for r in found.registrations
                    ],
                    "left_out": [asdict(one) for one in found.left_out],
                    "warnings": list(found.warnings),
                }
        return _read_looks(path)

    def fitted(self, looks: Sequence[Look]) -> Fitted:
        """The style, as the backend has learned it."""
        folder, checkpoints = self.folder / "style", self.folder / "fit"
        backend = open_backend(self.config.backend, work=checkpoints)
        if self.work.result("fit") is None:
            with self.work.stage("fit"):
                shutil.rmtree(folder, ignore_errors=True)
                told = partial(self.report, "fit")
                backend.fit(looks, seed=self.config.seed, progress=told).save(folder)
            shutil.rmtree(checkpoints, ignore_errors=True)
        return backend.load(folder)

    def amplified(self, looks: Sequence[Look], fitted: Fitted, seconds: float | None) -> None:
        """The set of pairs."""
        plan = self.work.result("plan")
        if plan is None:
            with self.work.stage("plan") as plan:
                count = self.config.count
                if seconds is not None:
                    rate = _rate(fitted, looks) * self.workers
                    count = min(count, max(_LEAST_SAMPLES, int(seconds * rate)))
                    count = min(count, self.config.count)
                plan["count"] = count
        if self.work.result("amplify") is not None:
            return
        count = int(plan["count"])
        # A full disk under a mapped file kills the process, so room is looked for before.
        require_space(self.folder, count * _PAIR_BYTES + _ELSEWHERE, f"{count} amplified pairs")
        with self.work.stage("amplify") as result:
            made = amplify(
                looks,
                self.faces,
                self.folder / "set",
                AmplifyConfig(count=count, backend=self.config.backend, seed=self.config.seed),
                name=self.name,
                embedder=self.embedder,
                style=self.folder / "style",
                engine="processes" if self.workers > 1 else "serial",
                workers=self.workers,
                progress=self.report,
            )
            if not made.summary["samples"]:
                reasons = ", ".join(f"{k} {n}" for k, n in made.summary["reasons"].items())
                raise DataError(
                    f"all amplified faces were rejected ({reasons}); look at "
                    f"{made.folder / 'report' / 'index.html'}, and begin anew with --restart and "
                    "other pairs"
                )
            read_pairset(made.folder, self.folder / "targets.npy")
            kept = ("samples", "rejected", "dropped", "reasons", "faces")
            result |= {k: made.summary[k] for k in kept}

    def held_out(self, fitted: Fitted) -> HeldOut:
        """Validation people, as the amplifier makes them up."""
        path, told = self.folder / "held-out.npz", partial(self.report, "held-out people")
        with self.work.stage("held_out"):
            return held_out_faces(self.faces, fitted, self.config.held_out, path, progress=told)

    def trained(self, held_out: HeldOut, seconds: float | None) -> None:
        """The student."""
        if self.work.result("train") is not None:
            return
        targets, _ = read_pairset(self.folder / "set", self.folder / "targets.npy")
        strengths = read_strengths(self.folder / "set")
        plan = self.work.result("train_plan")
        if plan is None:
            with self.work.stage("train_plan") as plan:
                plan["steps"] = self.config.steps
                if seconds is not None:
                    rate = steps_per_second(self._recipe(self.config.steps), targets)
                    fits = max(_LEAST_STEPS, int(seconds * rate))
                    plan |= {"steps": min(self.config.steps, fits), "per_second": round(rate, 3)}
        steps = int(plan["steps"])
        with self.work.stage("train") as result:
            began = time.perf_counter()
            train_student(
                self._recipe(steps),
                targets,
                held_out.targets,
                self.folder / "run",
                zoom=held_out.zoom,
                strengths=strengths[:, None],
                start=self.config.start,
                workers=self.workers,
                progress=lambda step, numbers: self.report("train", step, steps),
            )
            result |= {"steps": steps, "seconds_last": round(time.perf_counter() - began, 1)}

    def _recipe(self, steps: int) -> MakeupRecipe:
        config = self.config
        return student_recipe([self.name], steps=steps, seed=config.seed, start=config.start)

    def judged(self, looks: Sequence[Look], held_out: HeldOut) -> None:
        """The model folder and its numbers on held-out people."""
        if self.work.result("judge") is not None:
            return
        with self.work.stage("judge") as result:
            model = self.folder / "model"
            exported = export_makeup(self.folder / "run", model)
            result.update({"params": exported["params"], "files": exported["files"]})
            told = partial(self.report, "judge")
            result.update(report_student(model, held_out, looks, progress=told))

    def installed(self, *, replace: bool) -> None:
        """The style in the user's store, also where it was deleted there since."""
        done = self.work.result("install")
        if done is not None and Path(done["model"]).is_dir():
            return
        with self.work.stage("install") as result:
            write_card(self.folder / "model", self.name, summary(self.work), self.config.backend)
            result["model"] = str(install(self.folder / "model", self.name, replace=replace))


def summary(work: Work) -> dict[str, Any]:
    """Flat numbers of what is done so far."""
    stages: Mapping[str, Any] = {
        stage: work.result(stage) or {}
        for stage in ("register", "amplify", "train", "judge", "install")
    }
    judged = {k: v for k, v in stages["judge"].items() if k != "files"}
    minutes = {f"minutes_{stage}": round(work.seconds(stage) / 60, 2) for stage in STAGES}
    return {
        "model": stages["install"].get("model", ""),
        "pairs": len(stages["register"].get("pairs", [])),
        "left_out": stages["register"].get("left_out", []),
        "warnings": stages["register"].get("warnings", []),
        "samples": stages["amplify"].get("samples", 0),
        "rejected": stages["amplify"].get("rejected", 0),
        "reasons": stages["amplify"].get("reasons", {}),
        "steps": stages["train"].get("steps", 0),
        **judged,
        **minutes,
        "minutes_total": round(work.total_seconds / 60, 2),
        "peak_memory_gb": round(_peak_bytes() / 2**30, 2),
    }


def _peak_bytes() -> int:
    """Of this process and of the largest of its workers; 0 where the system does not tell."""
    try:
        import resource  # noqa: PLC0415  (not on Windows)
    except ImportError:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return (own + worker) * unit


def _rate(fitted: Fitted, looks: Sequence[Look]) -> float:
    """Faces that one core makes up in a second, tried on the pairs themselves."""
    faces = [CropFace(look.name, look.before, look.mesh) for look in looks]
    faces = (faces * 8)[:8]
    fitted.render(faces[:1])  # what is done once only does not count
    began = time.perf_counter()
    fitted.render(faces)
    return len(faces) / max(1e-6, time.perf_counter() - began)


def _write_looks(path: Path, looks: Sequence[Look]) -> None:
    arrays: dict[str, Any] = {
        name: np.stack([getattr(look, name) for look in looks])
        for name in ("before", "after", "mesh", "valid")
    }
    part = path.with_name(f"{path.stem}.part.npz")
    np.savez_compressed(part, names=np.array([look.name for look in looks]), **arrays)
    part.replace(path)


def _read_looks(path: Path) -> list[Look]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {k: stored[k] for k in ("names", "before", "after", "mesh", "valid")}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise DataError(f"{path}: damaged ({error}); begin anew with --restart") from error
    rows = zip(*(arrays[k] for k in ("names", "before", "after", "mesh", "valid")), strict=True)
    return [Look(str(name), *parts) for name, *parts in rows]
