"""Wall-clock and memory from five pairs to an installed style, by stage.

    python benchmarks/learning.py --faces CORPUS --work DIR --release 0.4.0

The pairs are pictures of training people that may be shown, made up by the retoucher and saved as
JPEG; from there on it is `visagist learn` as everybody has it, into a store below DIR. Stopped, the
same command goes on. Writes benchmarks/results/RELEASE/learn.json.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
from table import RESULTS

from visagist.amplify.backend import DEFAULT
from visagist.cli.learn import identity_gate
from visagist.cli.output import stages
from visagist.corpus.corpus import Corpus
from visagist.corpus.index import Record
from visagist.deploy.machine import machine
from visagist.makeup.retoucher import retouch
from visagist.makeup.style import load_style
from visagist.photo import Photo

NAME = "benchmark"
STYLE = Path(__file__).parent / "dal-styles" / "wine.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=Path, required=True, help="corpus")
    parser.add_argument("--work", type=Path, required=True, help="folder for pairs and all else")
    parser.add_argument("--style", type=Path, default=STYLE, help="YAML file")
    parser.add_argument("--backend", default=DEFAULT)
    parser.add_argument("-n", "--count", type=int, default=4000)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--release", help="write benchmarks/results/RELEASE/learn.json")
    asked = parser.parse_args()
    # before anything of visagist asks for the store
    os.environ["VISAGIST_HOME"] = str(asked.work / "home")
    from visagist.amplify.learn import LearnConfig, learn  # noqa: PLC0415

    pairs = asked.work / "pairs"
    if not pairs.is_dir():
        write_pairs(Corpus.open(asked.faces), asked.style, pairs)
    config = LearnConfig(backend=asked.backend, count=asked.count, steps=asked.steps)
    with stages() as told:
        report = learn(
            pairs,
            NAME,
            [asked.faces],
            asked.work / "learning",
            config,
            minutes=asked.minutes,
            replace=True,
            embedder=identity_gate("recognizer"),
            workers=asked.workers,
            report=told,
        )
    report |= {
        "model": NAME,
        "backend": asked.backend,
        "workers": asked.workers,
        "style": asked.style.stem,
        "machine": machine(),
    }
    print(json.dumps(report, indent=2))
    if asked.release:
        path = RESULTS / asked.release / "learn.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def write_pairs(corpus: Corpus, style: Path, folder: Path, count: int = 5) -> None:
    """Pictures of training people before and after, one from each part of the range of skins."""
    found = [record for record in corpus.select(splits=("train",), use="makeup") if fits(record)]
    found.sort(key=lambda record: record.quality.tone)
    rng = np.random.default_rng(0)
    look = load_style(style)
    for part in np.array_split(np.arange(len(found)), count):
        record = found[int(rng.choice(part))]
        bare = corpus.load(record).image
        for side, pixels in (("before", bare), ("after", retouch(bare, record.mesh, look))):
            (folder / side).mkdir(parents=True, exist_ok=True)
            Photo.from_array(pixels).save(folder / side / f"{record.key}.jpg", quality=92)


def fits(record: Record) -> bool:
    q = record.quality
    return (
        record.origin.may_show
        and abs(q.yaw) <= 25
        and q.occluded <= 0.2
        and q.face_width >= 150
    )  # fmt: skip


if __name__ == "__main__":
    main()
