"""The test of the UIR sweep, once: what validation chose, on the test people of the protocol.

    python benchmarks/uir_test.py --sweep uir.json --run RUN --data CORPUS --data BLENDS \
        --data HEADS --tree DIR --cache DIR [--json OUT]

With the same arguments as the sweep (uir.py), whose trainings are read from ``--cache``. Chosen is
the row of fine-tuning with the lowest FNIR at FPIR 1 % on validation blends; beside it stand the
network as it was, the training without unlabelled faces, and the recipe's own form and weight.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from uir import MANY, Setting, Sweep, embedded, write
from uir_features import Kept, photos
from uir_judge import Floats, PhotoSearches, spread, weights

from visagist.recognition.evaluation.lists import EvaluationList, read_list
from visagist.recognition.evaluation.pictures import CLEAN, Seen

METRICS = ("fnir_fpir_1e-2", "london_tar_far_1e-3", "pairs_tar_far_1e-2", "both_tar_far_1e-3")


def main() -> int:
    """Test and print, or write, one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sweep", type=Path, required=True, help="what uir.py has written")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--blocks", type=int, default=0)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--faces", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    shared, fixed = Sweep(options), read_list("test")
    maps = photos(options.run, options.tree, "test", shared.blocks, shared.folder)
    rows = json.loads(options.sweep.read_text(encoding="utf-8"))["rows"]
    chosen = pick(rows)
    base = chosen.baseline()
    tried = {
        "as it was": (Setting(steps=0), 1),
        "without unlabelled faces": (base, 3),
        "as the recipe": (recipe_like(rows), 3),
        "chosen on validation": (chosen, 3),
    }
    found = {
        name: [resampled(shared, setting, seed, maps, fixed) for seed in range(seeds)]
        for name, (setting, seeds) in tried.items()
    }
    report = {
        "people": len(fixed.halves),
        "chosen": {f.name: getattr(chosen, f.name) for f in fields(Setting)},
        "rows": {
            name: summary(values, found["without unlabelled faces"] if len(values) > 1 else None)
            for name, values in found.items()
        },
    }
    if options.json:
        write(options.json, report)
    else:
        print(json.dumps(report, indent=1))
    return 0


def setting_of(row: dict[str, Any]) -> Setting:
    """The setting of a published row."""
    return Setting(**{f.name: row[f.name] for f in fields(Setting)})


def fine_tuned(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of fine-tuning with many people and with unlabelled faces."""
    return [r for r in rows if r["known"] == MANY and r["start"] == "finetune" and r["weight"]]


def pick(rows: list[dict[str, Any]]) -> Setting:
    """The row that validation prefers."""
    best = min(fine_tuned(rows), key=lambda r: float(r["metrics"]["fnir_fpir_1e-2"]["value"]))
    return setting_of(best)


def recipe_like(rows: list[dict[str, Any]]) -> Setting:
    """The row with the form and weight of the paper's release."""
    found = [r for r in fine_tuned(rows) if (r["form"], r["weight"]) == ("released", 0.1)]
    return setting_of(found[0])


def resampled(
    shared: Sweep,
    setting: Setting,
    seed: int,
    maps: NDArray[np.float16],
    fixed: EvaluationList,
) -> Floats:
    """(1 + draws, metrics) of the test people, as they are and drawn again."""
    tail = shared.tail()
    tail.load_state_dict(torch.load(shared.trained_tail(setting, seed), weights_only=True))
    vectors = embedded(tail, Kept([], maps[None]), np.arange(len(maps)))
    pairs = zip(fixed.entries, vectors, strict=True)
    seen = Seen({("tail", CLEAN, entry.file): vector for entry, vector in pairs})
    unions = fixed.unions()
    both, london, portraits = (
        PhotoSearches.of(fixed, seen, unions[name]) for name in ("both", "london", "pairs")
    )
    return np.array(
        [
            [
                both.halves.fnir(1e-2, b),
                london.tar(1e-3, a),
                portraits.tar(1e-2, p),
                both.tar(1e-3, b),
            ]
            for b, a, p in zip(
                weights(both.trials.people, 1),
                weights(london.trials.people, 2),
                weights(portraits.trials.people, 3),
                strict=True,
            )
        ]
    )


def summary(found: list[Floats], base: list[Floats] | None) -> dict[str, Any]:
    """Means over seeds with intervals, and differences to the training without UIR."""
    values = np.stack(found)
    report: dict[str, Any] = {}
    for m, name in enumerate(METRICS):
        report[name] = spread(values[:, :, m])
        report[name]["by_seed"] = [round(float(v), 4) for v in values[:, 0, m]]
        if base is not None:
            report[name]["gain"] = spread((values - np.stack(base))[:, :, m])
    return report


if __name__ == "__main__":
    sys.exit(main())
