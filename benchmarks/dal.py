"""Data Amplify Learning against its rivals, row by row, with ablations; all of it can be resumed.

    python benchmarks/dal.py --data CORPUS --work DIR --split validation
    python benchmarks/dal.py --data CORPUS --work DIR --split test --judge FILE --release 0.4.0
    python benchmarks/dal.py --data CORPUS --work DIR --ablation pairs --ablation amplified

The same command goes on where it was stopped, row by row and inside a row. CORPUS is one that
`visagist corpus build` made from labelled pictures, so that the truth is drawn on other landmarks
than the amplifier has. Writes benchmarks/results/RELEASE/dal.json, where settings that were run
before are kept; `python benchmarks/tables.py` puts the table into docs/papers/dal.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from table import RESULTS

from visagist.amplify.backend import DEFAULT
from visagist.amplify.evaluation.bench import DalConfig
from visagist.amplify.evaluation.perceptual import perceptual_distance
from visagist.amplify.evaluation.protocol import evaluate_dal
from visagist.amplify.evaluation.rows import ROWS, VARIANTS
from visagist.amplify.evaluation.scores import Judges
from visagist.cli.output import stages
from visagist.deploy.machine import machine
from visagist.errors import MissingExtraError
from visagist.face.identity import load_judge

STYLES = Path(__file__).parent / "dal-styles"
ABLATIONS: dict[str, list[dict[str, Any]]] = {
    "pairs": [{"pairs": n} for n in (1, 2, 5, 20)],
    "amplified": [{"faces": n} for n in (500, 1000, 4000)],
    "draws": [{"draw": n} for n in (0, 1, 2)],
    "parts": [{"backend": name} for name in ("pixels", *VARIANTS)],
    "start": [{"start": "scratch", "steps": 2400, "backend": "mesh"}],  # it takes longer
    "steps": [{"steps": 2400}],  # what `visagist learn` trains
}
"""What is changed; only the rows that it touches are run again."""
AMPLIFIER_ROWS = ("teacher", "dal")
TOUCHED = {
    "start": ("dal", "five_pairs_augmented", "five_pairs", "ceiling"),
    "steps": ("dal", "five_pairs_augmented", "ceiling"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="corpus with labelled meshes")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is kept")
    parser.add_argument("--styles", type=Path, default=STYLES)
    parser.add_argument(
        "--only", action="append", choices=list(ROWS), help="a row, also of ablations; repeatable"
    )
    parser.add_argument("--ablation", action="append", choices=list(ABLATIONS), default=[])
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    parser.add_argument("--steps", type=int, default=1000, help="of every student")
    parser.add_argument("--faces", type=int, help="amplified; by default all that there are")
    parser.add_argument("--people", type=int, help="training people; by default all")
    parser.add_argument("--limit", type=int, help="judged people; by default all")
    parser.add_argument("--draw", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backend", default=DEFAULT)
    parser.add_argument("--judge", type=Path, help="ONNX face embedder")
    parser.add_argument("--features", type=Path, help="EfficientNet-Lite0's .pth")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--release",
        help="write benchmarks/results/RELEASE/dal.json, or dal-test.json of test people",
    )
    asked = parser.parse_args()
    base = DalConfig(
        split=asked.split,
        steps=asked.steps,
        faces=asked.faces,
        people=asked.people,
        limit=asked.limit,
        draw=asked.draw,
        seed=asked.seed,
        backend=asked.backend,
    )
    report = run(asked, base, asked.only or ())
    report["ablations"] = {
        name: [
            {
                "changed": change,
                **without_rows(run(asked, changed(base, change), touched(name, asked.only))),
            }
            for change in ABLATIONS[name]
        ]
        for name in asked.ablation
    }
    report["machine"] = machine()
    print(json.dumps(without_rows(report), indent=2))
    if asked.release:
        name = "dal.json" if asked.split == "validation" else "dal-test.json"
        write(RESULTS / asked.release / name, report)


def touched(ablation: str, only: list[str] | None) -> tuple[str, ...]:
    rows = TOUCHED.get(ablation, AMPLIFIER_ROWS)
    return tuple(row for row in rows if not only or row in only)


def changed(base: DalConfig, change: dict[str, Any]) -> DalConfig:
    return DalConfig.model_validate({**base.model_dump(), **change})


def run(asked: argparse.Namespace, config: DalConfig, only: tuple[str, ...]) -> dict[str, Any]:
    def judges() -> Judges:
        try:
            distance = perceptual_distance(asked.features)
        except MissingExtraError as error:
            print(error, file=sys.stderr)
            distance = None
        return Judges(load_judge(asked.judge) if asked.judge else None, distance)

    with stages() as told:
        return evaluate_dal(
            asked.data,
            sorted(asked.styles.glob("*.yaml")),
            asked.work,
            config,
            only=only,
            judges=judges,
            workers=asked.workers,
            report=told,
        )


def without_rows(report: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in report.items() if name != "rows"}


def write(path: Path, report: dict[str, Any]) -> None:
    """Ablations that were run before and not now are kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        same = before.get("config") == report["config"]
        report["ablations"] = {
            **(before.get("ablations", {}) if same else {}),
            **report["ablations"],
        }
    # Names of pictures of real people stay where the pictures are.
    for row in report["rows"].values():
        row.pop("worst", None)
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
