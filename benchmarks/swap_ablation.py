"""What triplets, scales, the mask and the guide each buy a swap network, at equal processor time.

    python benchmarks/swap_ablation.py --triplets DIR --held-out DIR --data LABELLED --work DIR \
        [--recipe recipes/swap-live.yaml] [--seconds 300] [--seeds 1] [--json OUT]

Every row is the recipe with one thing changed, trained on one processor core for the same time,
measured before the run, and judged like every swap on the pairs of validation people. Trainings and
what was found of them are kept below ``--work``, so that a sweep that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from visagist.cli.encoders import frozen_encoder
from visagist.deploy.export_swap import export_swap
from visagist.deploy.judge_swap import evaluate_swap
from visagist.deploy.machine import machine
from visagist.swap.config import SwapRecipe
from visagist.swap.data import open_triplets
from visagist.swap.network import make_network
from visagist.swap.training import SwapTask, train

CURVE = 8
"""How often a training is validated."""
FIGURES = (
    "id_top1", "id_cosine", "id_leak", "pose_error", "expression_error", "background_share",
    "occlusion_kept", "fd",
)  # fmt: skip
UNTAUGHT = {"data": {"mix": {"free": 1.0}}}
UNGUIDED = {
    "network": {"guide": False},
    "losses": {"identity": {"weights": [20.0, 20.0, 0.0]}, "pixel": {"weight": 15.0}},
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One row: its name, and what it changes of the recipe."""

    name: str
    change: Mapping[str, Any] = field(default_factory=dict)


SETTINGS = (
    Setting("as the recipe says"),
    Setting("without triplets", UNTAUGHT),
    Setting("one scale", {"losses": {"pixel": {"coarse": 0.0}}}),
    Setting("identity at three scales", {"losses": {"identity": {"weights": [20.0, 20.0, 20.0]}}}),
    Setting("without mask", {"network": {"mask": False}}),
    Setting("without guide", UNGUIDED),
    Setting("without guide, without triplets", {**UNGUIDED, **UNTAUGHT}),
)


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe with some of its knobs turned."""
    out = dict(base)
    for key, value in change.items():
        deeper = isinstance(value, Mapping) and key != "mix"
        out[key] = merged(out.get(key, {}), value) if deeper else value
    return out


class Bench:
    """The trainings and their results below one folder."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.work: Path = options.work
        self.work.mkdir(parents=True, exist_ok=True)
        self.base = yaml.safe_load(options.recipe.read_text(encoding="utf-8"))
        self.encoder = frozen_encoder(options.encoder)

    def recipe(self, setting: Setting, steps: int, seed: int) -> SwapRecipe:
        """The recipe of a row for so many steps."""
        often = max(1, steps // CURVE)
        loop = {
            "steps": steps, "seed": seed, "warmup": max(1, steps // 20), "log_every": often,
            "validate_every": often, "checkpoint_every": often,
        }  # fmt: skip
        changed = merged(merged(self.base, setting.change), {"loop": loop})
        # all rows are validated on the same triplets
        changed["data"]["held_out_mix"] = self.base["data"].get("mix")
        return SwapRecipe.model_validate(changed)

    def seconds_a_step(self, setting: Setting) -> float:
        """Processor time of a step: the median of some, kept for the runs to come."""
        path = self.work / "rates.json"
        rates: dict[str, float] = json.loads(path.read_text()) if path.is_file() else {}
        if setting.name not in rates:
            recipe = self.recipe(setting, 100, 0)
            triplets = open_triplets(
                self.options.triplets,
                mix=recipe.data.mix,
                guide=recipe.data.size if recipe.network.guided else None,
                shape=recipe.network.shape,
                augment=recipe.data.augment,
            )
            network = make_network(recipe.network)
            task = SwapTask(recipe, network, self.encoder, triplets, device=torch.device("cpu"))
            optimiser = torch.optim.AdamW(network.parameters(), fused=True)
            spent = []
            for step in range(10):
                began = time.process_time()
                losses = task.losses(network, step, torch.Generator())
                torch.stack(list(losses.values())).sum().backward()
                optimiser.step()
                optimiser.zero_grad()
                spent.append(time.process_time() - began)
            rates[setting.name] = float(np.median(spent[2:]))
            path.write_text(json.dumps(rates, indent=1))
        return rates[setting.name]

    def run(self, setting: Setting, seed: int) -> dict[str, Any]:
        """Train one row, or read what it gave before."""
        seconds = self.options.seconds
        name = setting.name.replace(" ", "-").replace(",", "")
        folder = self.work / f"{name}-{seconds:g}s-{seed}"
        kept = folder / "trained.json"
        if kept.is_file():
            return json.loads(kept.read_text())
        steps = max(2 * CURVE, round(seconds / self.seconds_a_step(setting)))
        recipe = self.recipe(setting, steps, seed)
        folder.mkdir(exist_ok=True)
        written = folder / "recipe.yaml"
        written.write_text(yaml.safe_dump(recipe.model_dump(mode="json")), encoding="utf-8")
        began = time.process_time()
        run = train(
            written,
            data=self.options.triplets,
            held_out=self.options.held_out,
            output=folder / "run",
            encoder=self.encoder,
            resume=(folder / "run").exists(),
        )
        spent = time.process_time() - began
        exported = export_swap(run, folder / "model")
        lines = [json.loads(x) for x in (run / "log.jsonl").read_text().splitlines()]
        found = {
            "name": setting.name,
            "seed": seed,
            "steps": steps,
            "seconds": round(spent, 1),
            "params": exported["params"],
            "curve": [
                {k.removeprefix("val_"): v for k, v in line.items()}
                for line in lines
                if "val_cosine" in line
            ],
            "model": str(folder / "model"),
        }
        kept.write_text(json.dumps(found, indent=1))
        return found

    def judged(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """All rows of one seed side by side, with the untouched target, warp and bare guide."""
        report = evaluate_swap(
            self.options.data,
            models={row["name"]: row["model"] for row in rows},
            encoder=self.options.encoder,
            split="validation",
            rounds=1,
            limit=self.options.limit,
            judge=self.options.judge,
            covered=self.options.covered,
            resamples=200,
            progress=partial(_told, "swap"),
        ).report
        return {
            label: {name: row[name] for name in FIGURES if row.get(name) is not None}
            for label, row in report["table"].items()
        } | {"pairs": next(iter(report["table"].values()))["pairs"]}


def main() -> None:
    """Train, judge, and write where asked to."""
    options = _options()
    torch.set_num_threads(1)
    bench = Bench(options)
    chosen = [s for s in SETTINGS if not options.only or s.name in options.only]
    for setting in chosen:
        _told(setting.name, round(1000 * bench.seconds_a_step(setting)), 0)
    seeds = []
    for seed in range(options.seeds):
        rows = []
        for setting in chosen:
            _told(setting.name, seed + 1, options.seeds)
            rows.append(bench.run(setting, seed))
        figures = bench.judged(rows)
        seeds.append({"seed": seed, "trained": rows, "judged": figures})
    for each in seeds:
        for row in each["trained"]:
            row.pop("model")
    document = {
        "machine": machine(),
        "recipe": options.recipe.name,
        "seconds": options.seconds,
        "seeds": seeds,
    }
    text = json.dumps(document, indent=1) + "\n"
    if options.json is None:
        sys.stdout.write(text)
    else:
        options.json.write_text(text, encoding="utf-8")


def _told(what: str, done: int, total: int) -> None:
    sys.stderr.write(f"\r{what} {done}/{total}  ")
    sys.stderr.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--triplets", type=Path, action="append", required=True)
    parser.add_argument("--held-out", type=Path, action="append", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, default=Path("recipes/swap-live.yaml"))
    parser.add_argument("--encoder", default="recognizer")
    parser.add_argument("--judge", type=Path)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", action="append", metavar="ROW")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--covered", type=int, default=40)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
