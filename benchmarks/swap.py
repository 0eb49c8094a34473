"""Measure swap models beside the mesh warp and the untouched target; one results file, two sheets.

    python benchmarks/swap.py --data DIR --into benchmarks/results/0.4.0/swap.json
        --model visagist=swap --model live=swap-live --model "paper's network=DIR1"
        --model "without triplets=DIR2" --model "one scale=DIR3" --model "without mask=DIR4"
        --speed --sheet docs/images/swaps.jpg --worst FOLDER

The first model gives the flat fields and the timing, and is the one on the sheet of 64 random swaps
of generated faces (a seed draws them, nobody chooses); ``--live`` names the smaller network for the
timing. Results are kept by split, so that ``--split validation`` beside the test people's does not
overwrite them. ``--worst FOLDER`` draws the worst 20 of every figure, with people of the data: look
at them and keep them to yourself. ``--baselines`` measures what needs no model.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from visagist.deploy.benchmark_swap import benchmark_swap
from visagist.deploy.judge_swap import Judged, evaluate_swap, features_distance, labelled_models
from visagist.deploy.machine import machine
from visagist.photo import Photo
from visagist.swap.pairs import FOLDERS
from visagist.swap.sheets import random_sheet, worst_sheet

SHOWN = "generated"
"""The only folder whose faces may be published."""
FIGURES = ("id_margin", "pose_error", "expression_error", "background_level")


def main() -> None:
    """Measure, draw, and write where asked to."""
    options = _options()
    torch.set_num_threads(1)
    models = {} if options.baselines else labelled_models(options.model)
    judged = evaluate_swap(
        options.data,
        models=models,
        encoder=options.encoder,
        split=options.split,
        folders=options.folder or FOLDERS,
        rounds=options.rounds,
        limit=options.limit,
        judge=options.judge,
        compare=features_distance(options.efficientnet) if options.fd else None,
        covered=options.covered,
        resamples=options.resamples,
        reading=_progress("read"),
        progress=_progress("swap"),
    )
    main_label = judged.report["row"]
    if options.worst is not None:
        _draw_worst(judged, options.worst, main_label)
    if options.sheet is not None:
        ours = [m for m in judged.methods if m.label == main_label]
        shown = [p for p in judged.fixed.pairs if p.target.name.startswith(f"{SHOWN}/")]
        sheet = random_sheet(judged.stage, ours, shown, count=options.shown, seed=0)
        Photo.from_array(sheet).save(options.sheet, quality=88, overwrite=True)
    result: dict[str, Any] = {}
    if options.into is not None and options.into.is_file():
        result = json.loads(options.into.read_text(encoding="utf-8"))
    result[options.split] = _slim(judged.report) | {
        "machine": machine(),
        "load": [round(v, 2) for v in os.getloadavg()],
    }
    if options.speed and models:
        first = next(iter(models.values()))
        result["speed"] = benchmark_swap(
            model=first, live=options.live, encoder=options.encoder, runs=options.runs
        )
    text = json.dumps(result, indent=1, allow_nan=False) + "\n"
    if options.into is None:
        sys.stdout.write(text)
    else:
        options.into.parent.mkdir(parents=True, exist_ok=True)
        options.into.write_text(text, encoding="utf-8")


def _draw_worst(judged: Judged, folder: Path, label: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for figure in FIGURES:
        row = judged.report["table"][label]
        sheet = worst_sheet(judged.stage, judged.methods[1:], row, figure)
        Photo.from_array(sheet).save(folder / f"{figure}.png", overwrite=True)


def _slim(report: dict[str, Any]) -> dict[str, Any]:
    """The report without names of pictures, which name people."""
    table = {
        label: {key: value for key, value in row.items() if key != "worst"}
        for label, row in report["table"].items()
    }
    return report | {"table": table, "skipped": len(report["skipped"])}


def _progress(what: str) -> Callable[[int, int], None]:
    def show(done: int, total: int) -> None:
        if done % 50 == 0 or done == total:
            print(f"{what} {done} of {total}", file=sys.stderr)

    return show


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--into", type=Path, help="results file; stdout without it")
    parser.add_argument("--model", action="append", default=[], metavar="LABEL=MODEL")
    parser.add_argument("--baselines", action="store_true")
    parser.add_argument("--encoder", default="recognizer")
    parser.add_argument("--split", default="test")
    parser.add_argument("--folder", action="append", metavar="NAME")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--judge", type=Path)
    parser.add_argument("--efficientnet", type=Path)
    parser.add_argument("--no-fd", dest="fd", action="store_false")
    parser.add_argument("--covered", type=int, default=60)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--live")
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--shown", type=int, default=64)
    parser.add_argument("--worst", type=Path)
    options = parser.parse_args()
    if not options.model and not options.baselines:
        parser.error("give --model LABEL=MODEL, or --baselines")
    return options


if __name__ == "__main__":
    main()
