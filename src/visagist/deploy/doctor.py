"""What is installed here, whether the model files are whole, and how fast this machine is."""

from __future__ import annotations

import io
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from PIL import Image

from visagist.deploy.machine import cpu_name
from visagist.errors import ModelError
from visagist.face.detect import default_detector
from visagist.photo import Photo
from visagist.runtime.manifest import verify
from visagist.runtime.session import make_session
from visagist.runtime.store import bundled_models, list_models, open_model, user_models

__all__ = ["Problem", "Report", "examine"]

BASE = ("visagist", "numpy", "pillow", "onnxruntime", "pydantic", "pyyaml", "typer")
OPTIONAL = ("pillow-heif", "torch", "safetensors", "onnx", "onnxscript")
REQUIRED_MODELS = ("face-mesh", "makeup-tiny")
_SECONDS_EACH = 0.25  # a network: enough for a steady median, about a second in all


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong and what to do about it, one line each."""

    what: str
    fix: str


@dataclass(slots=True)
class Report:
    """All findings; ``problems`` is empty on a machine where everything works.

    Attributes:
        python, system: versions and platform.
        packages: version by package, ``None`` when an optional one is not installed.
        engine: ONNX Runtime's version and providers.
        cpu: name, cores, cores this process may use, SIMD extensions.
        models: one entry a model that can be opened by name.
        places: folders where models are looked for.
        speed: milliseconds, median; see :func:`examine`.
        notes: what to know about the numbers.
        problems: what to mend.
    """

    python: str
    system: str
    packages: dict[str, str | None]
    engine: dict[str, Any]
    cpu: dict[str, Any]
    models: list[dict[str, Any]] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    detector: str | None = None
    speed: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def examine(*, measure: bool = True) -> Report:
    """Look at everything that running needs; changes nothing.

    Args:
        measure: also time each network on one thread with random input, finding faces in an empty
            photo, and decoding a 12-megapixel JPEG.
    """
    report = Report(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        packages={name: _version(name) for name in (*BASE, *OPTIONAL)},
        engine={"onnxruntime": ort.__version__, "providers": ort.get_available_providers()},
        cpu=_cpu(),
        places=[str(bundled_models()), str(user_models())],
    )
    _check_packages(report)
    _check_models(report)
    _check_detector(report)
    if measure:
        _measure(report)
    return report


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _cpu() -> dict[str, Any]:
    found = np.show_config(mode="dicts").get("SIMD Extensions", {})
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "name": cpu_name(),
        "cores": os.cpu_count(),
        "usable_cores": usable,
        "threads_by_default": 1,
        "features": [*found.get("baseline", []), *found.get("found", [])],
    }


def _check_packages(report: Report) -> None:
    for name in BASE:
        if report.packages[name] is None:
            report.problems.append(
                Problem(f"the package {name} is not installed", f"pip install {name}")
            )
    if "CPUExecutionProvider" not in report.engine["providers"]:
        report.problems.append(
            Problem(
                "this build of ONNX Runtime has no CPU provider",
                "pip install --force-reinstall onnxruntime",
            )
        )
    home = os.environ.get("VISAGIST_HOME")
    if home and not Path(home).is_dir():
        report.problems.append(
            Problem(f"VISAGIST_HOME is {home}, which is no folder", "make it, or unset it")
        )


def _check_models(report: Report) -> None:
    models = list_models()
    for name, folder in models.items():
        entry: dict[str, Any] = {"name": name, "path": str(folder), "whole": True}
        try:
            manifest = verify(folder)
            open_model(folder)
        except ModelError as error:
            entry["whole"] = False
            fix = (
                "pip install --force-reinstall visagist"
                if folder.parent == bundled_models()
                else f"export it again, or delete {folder}"
            )
            report.problems.append(Problem(str(error), fix))
        else:
            entry["version"] = manifest.version
            entry["licence"] = manifest.licence
            entry["files"] = {n: f.model_dump() for n, f in manifest.files.items()}
        report.models.append(entry)
    for name in REQUIRED_MODELS:
        if name not in models:
            report.problems.append(
                Problem(f"the model {name} is missing", "pip install --force-reinstall visagist")
            )


def _check_detector(report: Report) -> None:
    try:
        report.detector = default_detector().name
    except ModelError as error:
        report.problems.append(
            Problem(
                f"the face detector does not load: {error}",
                "pip install --force-reinstall visagist and its dependencies",
            )
        )


def _measure(report: Report) -> None:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > report.cpu["usable_cores"]:
        report.notes.append(
            f"other programs keep this machine busy (load {load:.1f} on "
            f"{report.cpu['usable_cores']} cores): the times are longer than it needs"
        )
    for entry in report.models:
        if entry["whole"]:
            run = _network(open_model(entry["path"]).onnx)
            report.speed[f"{entry['name']} network"] = _median_ms(run)
    if report.detector is not None:
        empty = np.zeros((480, 640, 3), np.uint8)
        report.speed["face detection, 640x480"] = _median_ms(
            lambda: default_detector().detect(empty)
        )
    jpeg = io.BytesIO()
    Image.new("RGB", (4000, 3000), (150, 120, 100)).save(jpeg, "JPEG", quality=90)
    data = jpeg.getvalue()
    report.speed["decoding a 12-megapixel JPEG"] = _median_ms(lambda: Photo.open(data))


def _network(onnx: bytes) -> Callable[[], object]:
    session = make_session(onnx)
    rng = np.random.default_rng(0)
    feeds = {
        value.name: rng.random([d if isinstance(d, int) else 1 for d in value.shape], np.float32)
        for value in session.get_inputs()
    }
    return lambda: session.run(None, feeds)


def _median_ms(run: Callable[[], object]) -> float:
    run()  # the first run allocates
    times: list[float] = []
    end = time.perf_counter() + _SECONDS_EACH
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1000.0)
    return round(statistics.median(times), 3)
