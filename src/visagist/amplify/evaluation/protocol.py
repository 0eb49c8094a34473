"""Run the rows one by one, each kept in a file of its own, and put the table together."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from visagist.amplify.backend import BACKENDS
from visagist.amplify.evaluation.bench import Bench, DalConfig, Report, open_bench, settings_key
from visagist.amplify.evaluation.rows import ROWS, STUDENTS, VARIANTS, identity_of, student_key
from visagist.amplify.evaluation.scores import Judges, score
from visagist.corpus.build.driver import only_builder
from visagist.errors import InputError, MissingExtraError, ModelError
from visagist.photo.files import write_atomically

FIELDS = {
    "psnr": "psnr",
    "psnr_in_mask": "psnr_in_mask",
    "ssim": "ssim",
    "leakage": "leakage",
    "perceptual": "perceptual",
    "identity_drop": "identity_cosine_drop",
    "shift": "shift_sensitivity",
    "pipeline_psnr": "pipeline_psnr",
    "pipeline_leakage": "pipeline_leakage",
}
"""Names of the flat fields, followed by the row's, and of the rows' own numbers."""


def evaluate_dal(
    corpus: Path,
    styles: Sequence[Path],
    folder: Path,
    config: DalConfig,
    *,
    only: Sequence[str] = (),
    judges: Callable[[], Judges] = Judges,
    workers: int = 1,
    report: Report = lambda what, done, total: None,
) -> dict[str, Any]:
    """Run the experiment, or what is left of it, and summarise all rows that are there.

    Args:
        corpus: folder of a corpus with labelled meshes.
        styles: YAML files of styles that no network of ours was trained with.
        folder: for everything that can be used again; the same folder goes on.
        config: the settings.
        only: names of rows; all by default.
        judges: opens the embedders; called only where a row is missing, or a figure of one.
        workers: processes and threads.
        report: called with what is done, how much of it, and in all.

    Returns:
        Flat fields (``psnr_dal``, ``leakage_teacher`` and so on, means over styles and people),
        ``minutes_total``, the ``rows`` with their own numbers, and the ``targets``.

    Raises:
        InputError: there is no such row or backend, or another run is writing to the folder.
    """
    wanted = list(only) or list(ROWS)
    if unknown := [row for row in wanted if row not in ROWS]:
        raise InputError(f"there is no row {unknown[0]!r}; there are {', '.join(ROWS)}")
    if config.backend not in (known := (*BACKENDS, *VARIANTS)):
        raise InputError(f"there is no amplifier {config.backend!r}; there are {', '.join(known)}")
    folder.mkdir(parents=True, exist_ok=True)
    with only_builder(folder):
        bench = open_bench(corpus, styles, folder, config, workers=workers, report=report)
        opened: list[Judges] = []
        for name in wanted:
            missing = _missing(_row_file(bench, name))
            if missing and not opened:
                opened.append(judges())
            if missing & _given(opened[0] if opened else Judges()):
                _run_row(bench, name, opened[0], report)
        return summary(bench)


_BY_JUDGE = {"identity": "identity_cosine_drop", "perceptual": "perceptual"}
_ROW = "the row itself"


def _missing(path: Path) -> set[str]:
    """What a kept row does not tell; a later call with a judge judges it again."""
    if not path.is_file():
        return {_ROW}
    told = json.loads(path.read_text(encoding="utf-8"))["mean"]
    return {judge for judge, field in _BY_JUDGE.items() if field not in told}


def _given(judges: Judges) -> set[str]:
    return {_ROW} | {name for name in _BY_JUDGE if getattr(judges, name) is not None}


def _run_row(bench: Bench, name: str, judges: Judges, report: Report) -> None:
    began = time.perf_counter()
    predict = ROWS[name](bench, report)
    ready = time.perf_counter()
    result = score(bench, predict, judges, progress=partial(report, f"judge {name}"))
    result["row"] = name
    # Of this start: what an earlier one that was stopped had done is not in it.
    result["minutes"] = round((ready - began) / 60, 2)
    result["minutes_judged"] = round((time.perf_counter() - ready) / 60, 2)
    path = _row_file(bench, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(result, indent=2) + "\n").encode(), overwrite=True)


def _row_file(bench: Bench, name: str) -> Path:
    """Named by what the row depends on, so that rivals need not be run for each ablation."""
    config = bench.config.model_dump()
    if name in ("teacher", "dal"):
        config["backend"] = identity_of(config["backend"])
    else:
        del config["backend"]
    if name not in ("dal", "mesh_transfer"):
        del config["faces"]
    del config["steps"], config["start"]
    if name in STUDENTS:
        config["student"] = student_key(bench, name)
    key = settings_key(bench, config)
    return bench.folder / "rows" / f"{name}-{key}.json"


def summary(bench: Bench) -> dict[str, Any]:
    """The flat report of the rows that are there."""
    rows: dict[str, dict[str, Any]] = {}
    for name in ROWS:
        try:
            path = _row_file(bench, name)
        except (
            ModelError,
            MissingExtraError,
        ):  # no amplifier, so no row of it
            continue
        if path.is_file():
            rows[name] = json.loads(path.read_text(encoding="utf-8"))
    flat: dict[str, Any] = {
        "config": bench.config.model_dump(),
        "styles": [style.name for style in bench.styles],
        "training_people": len(bench.train),
        "judged_people": len(bench.judged),
    }
    for name, row in rows.items():
        for field, source in FIELDS.items():
            if source in row["mean"]:
                flat[f"{field}_{name}"] = row["mean"][source]
    if "bare" in rows and "identity_cosine_drop_truth" in rows["bare"]["mean"]:
        flat["identity_drop_truth"] = rows["bare"]["mean"]["identity_cosine_drop_truth"]
    flat["minutes_total"] = round(sum(r["minutes"] + r["minutes_judged"] for r in rows.values()), 2)
    flat["targets"] = targets(flat)
    flat["rows"] = rows
    return flat


def targets(flat: Mapping[str, Any]) -> dict[str, bool]:
    """Which of the goals are met, of those that the rows there are can tell."""
    wanted: dict[str, tuple[tuple[str, ...], Callable[..., bool]]] = {
        "within_1_dB_of_ceiling": (("psnr_dal", "psnr_ceiling"), lambda d, c: d >= c - 1.0),
        "1.5_dB_above_augmented": (
            ("psnr_dal", "psnr_five_pairs_augmented"), lambda d, a: d >= a + 1.5
        ),
        "above_mesh_transfer": (("psnr_dal", "psnr_mesh_transfer"), lambda d, m: d > m),
        "above_mesh_transfer_in_mask": (
            ("psnr_in_mask_dal", "psnr_in_mask_mesh_transfer"), lambda d, m: d > m
        ),
        "teacher_above_mesh_transfer": (
            ("psnr_teacher", "psnr_mesh_transfer_teacher"), lambda t, m: t > m
        ),
        "teacher_leakage_2_percent": (("leakage_teacher",), lambda x: x <= 0.02),
        "student_leakage_5_percent": (("leakage_dal",), lambda x: x <= 0.05),
        "identity_as_the_retoucher": (
            ("identity_drop_dal", "identity_drop_truth"), lambda d, t: d <= t
        ),
    }  # fmt: skip
    return {
        name: bool(check(*(flat[field] for field in fields)))
        for name, (fields, check) in wanted.items()
        if all(field in flat for field in fields)
    }
