"""Measure blends with a judge of identity: are they new people, and is each one person?

    python benchmarks/blends.py --corpus DIR --judge FILE [--split validation] [-n 100] [--json OUT]

``--corpus`` is a corpus of photos (``visagist corpus build``), ``--judge`` an ONNX embedder of
faces that is used for nothing else. Two faces match when the cosine of their embeddings exceeds the
threshold at which one in a thousand pairs of strangers does (``--threshold``, of the judge's own
data sheet). Each row blends people of one split with one setting changed; with ``--gate MODEL``
the default setting, with that recognition model refusing blends nearer to a parent than each of
``--max-cosine``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from contextlib import suppress
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from visagist.corpus.blends.config import BlendConfig
from visagist.corpus.blends.gate import Gate
from visagist.corpus.blends.task import BlendTask
from visagist.corpus.corpus import Corpus
from visagist.corpus.sample import Sample
from visagist.corpus.task import SkippedItemError
from visagist.deploy.machine import machine
from visagist.face.identity import Judge, load_judge
from visagist.recognition.inference import Recognizer
from visagist.recognition.judge import recognition_judge

FAR_THRESHOLD = 0.36
# Setting name -> changed fields. The first is the default.
_PURE = {"inherit": 1.0, "inherit_skin": 1.0, "variation": 0.0, "complexion": 0.0}
SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "nearer": {"inherit": 0.5, "variation": 1.0, "complexion": 0.7},
    "further away": {
        "inherit": 0.0,
        "inherit_skin": 0.3,
        "variation": 2.0,
        "complexion": 1.5,
    },
    "parents alone": _PURE,
    "parents alone, host 0.33": {**_PURE, "host_share": 0.33},
    "parents alone, host 0.5": {**_PURE, "host_share": 0.5},
    "2 parents": {"parents": 2},
    "2 parents alone, host 0.2": {**_PURE, "parents": 2, "host_share": 0.2},
    "2 parents alone, host 0.35": {**_PURE, "parents": 2, "host_share": 0.35},
    "2 parents alone, host 0.5": {**_PURE, "parents": 2, "host_share": 0.5},
    "2 parents alone, host 0.65": {**_PURE, "parents": 2, "host_share": 0.65},
}


def make(task: BlendTask) -> tuple[list[list[Sample]], float, int]:
    """The blends, CPU seconds a picture, and how many were skipped."""
    items = list(task.items())
    with suppress(SkippedItemError):
        task.prepare(items[0])  # loads what is loaded once
    made, skipped, start = [], 0, time.process_time()
    for item in items:
        try:
            made.append(task.prepare(item))
        except SkippedItemError:
            skipped += 1
    seconds = time.process_time() - start
    return made, seconds / max(sum(len(one) for one in made), 1), skipped


class Parents:
    """Embeddings of the people of a split: every picture of each."""

    def __init__(self, corpus: Corpus, split: str, judge: Judge) -> None:
        self.vectors: dict[str, list[NDArray[np.float32]]] = defaultdict(list)
        for record in corpus.select(splits=(split,), use="generation"):
            sample = corpus.load(record)
            person = record.origin.identity or f"{record.origin.source}/{record.origin.item}"
            self.vectors[person].append(judge(sample.image, sample.mesh))

    def nearest(self, vector: NDArray[np.float32]) -> dict[str, float]:
        """The best cosine over the pictures of each person."""
        return {who: float((np.stack(all_) @ vector).max()) for who, all_ in self.vectors.items()}


def measure(
    blends: list[list[Sample]], parents: Parents, judge: Judge, threshold: float
) -> dict[str, Any]:
    """Figures of one setting."""
    vectors = [[judge(s.image, s.mesh) for s in one] for one in blends]
    host, other, best, strangers = [], [], [], []
    for one, v in zip(blends, vectors, strict=True):
        near = parents.nearest(v[0])
        mine = [near[who] for who in one[0].origin.parents]
        host.append(mine[0])
        other.append(max(mine[1:]))
        best.append(max(mine))
        strangers.append(max(c for who, c in near.items() if who not in one[0].origin.parents))
    pairs = np.array([float(v[0] @ v[1]) for v in vectors if len(v) > 1])
    siblings, unrelated = [], []
    for i, j in combinations(range(len(blends)), 2):
        shared = set(blends[i][0].origin.parents) & set(blends[j][0].origin.parents)
        cosine = float(vectors[i][0] @ vectors[j][0])
        (siblings if len(shared) == 1 else unrelated if not shared else []).append(cosine)

    def share(values: Any) -> float:  # noqa: ANN401  (a list or an array)
        return round(float((np.asarray(values) > threshold).mean()), 4) if len(values) else 0.0

    def mean(values: Any) -> float:  # noqa: ANN401
        return round(float(np.mean(values)), 4) if len(values) else 0.0

    return {
        "blends": len(blends),
        "match_host": share(host),
        "match_other_parent": share(other),
        "match_any_parent": share(best),
        "match_any_stranger": share(strangers),
        "cosine_host": mean(host),
        "cosine_other_parent": mean(other),
        "cosine_nearest_parent": mean(best),
        "second_picture_matches": share(pairs),
        "second_picture_cosine": mean(pairs),
        "second_picture_least": round(float(pairs.min()), 4) if len(pairs) else 0.0,
        "siblings": {"pairs": len(siblings), "cosine": mean(siblings), "match": share(siblings)},
        "unrelated": {
            "pairs": len(unrelated),
            "cosine": mean(unrelated),
            "match": share(unrelated),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--judge", type=Path, required=True)
    parser.add_argument("--split", default="validation")
    parser.add_argument("-n", type=int, default=100, help="blends a setting")
    parser.add_argument("--threshold", type=float, default=FAR_THRESHOLD)
    parser.add_argument("--settings", nargs="*", default=list(SETTINGS))
    parser.add_argument("--gate", help="name or folder of a recognition model")
    parser.add_argument("--max-cosine", type=float, nargs="*", default=[1.0, 0.5, 0.4, 0.3])
    parser.add_argument("--json", type=Path, help="write the results here")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    judge = load_judge(args.judge)
    parents = Parents(Corpus.open(args.corpus), args.split, judge)
    rows: dict[str, Any] = {}
    settings, gate = {name: SETTINGS[name] for name in args.settings}, None
    if args.gate:
        model = Recognizer.from_pretrained(args.gate).model_id
        gate = Gate(model, partial(recognition_judge, args.gate))
        settings = {f"at most {c:g}": {"max_cosine": c} for c in args.max_cosine}
    for name, changed in settings.items():
        config = BlendConfig(count=args.n, splits=(args.split,), **changed)
        blends, seconds, skipped = make(BlendTask(args.corpus, config, gate))
        figures = measure(blends, parents, judge, args.threshold)
        rows[name] = {**figures, "skipped": skipped, "cpu_seconds_a_picture": round(seconds, 4)}
        print(name, json.dumps(rows[name]), file=sys.stderr)
    result = {
        "machine": machine(),
        "split": args.split,
        "people": len(parents.vectors),
        "threshold": args.threshold,
        "gate": None if gate is None else gate.name,
        "settings": rows,
    }
    text = json.dumps(result, indent=2) + "\n"
    if args.json:
        args.json.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
