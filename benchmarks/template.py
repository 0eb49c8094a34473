"""A style from one photo without its before, against one pair and five: who is nearer the truth.

    python benchmarks/template.py --data CORPUS --release 0.4.0

The retoucher plays the editor: it makes up training people (seeds) and validation people (truth)
on labelled meshes; everything else sees the meshes of our network. Layers alone, no network.
Writes benchmarks/results/RELEASE/template.json; the table is in docs/real-seeds.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from table import RESULTS

from visagist.amplify.backend import CropFace, Look
from visagist.amplify.layers import Canvas, evidence, lift_layers
from visagist.amplify.pixels.examples import Sitters, sitters
from visagist.amplify.template import template_look
from visagist.corpus.corpus import Corpus
from visagist.corpus.feed.cache import load_faces
from visagist.corpus.feed.selection import FeedConfig, select_faces
from visagist.makeup.retoucher import retouch
from visagist.makeup.style import load_style

FACES = FeedConfig(
    use="makeup",
    kinds=("photo", "generated"),
    grey=False,
    without_generators=("FLUX1_dev", "FLUX1_pro", "DALLE3"),
    size=288,
    zoom=1.125,
)
STYLES = ("classic", "bronze", "smoky", "electric", "plum")
SEEDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="corpus with labelled meshes")
    parser.add_argument("--people", type=int, default=30, help="validation people")
    parser.add_argument("--draws", type=int, default=1, help="of five seeds")
    parser.add_argument("--release", help="write benchmarks/results/RELEASE/template.json")
    asked = parser.parse_args()
    corpus = Corpus.open(asked.data)
    train = people(corpus, "train", SEEDS * asked.draws)
    judged = people(corpus, "validation", asked.people)
    canvases = [Canvas(c, m) for c, m in zip(judged.crops, judged.found, strict=True)]
    rows = {name: score_style(name, train, judged, canvases) for name in STYLES}
    kinds = list(rows[STYLES[0]])
    mean = {k: np.mean([rows[s][k] for s in STYLES], 0).round(2).tolist() for k in kinds}
    report = {
        "people": len(judged.crops),
        "draws": asked.draws,
        "columns": ["psnr", "psnr_in_mask"],
        "mean": mean,
        "styles": rows,
    }
    text = json.dumps(report, indent=2) + "\n"
    if asked.release:
        folder = RESULTS / asked.release
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "template.json").write_text(text, encoding="utf-8")
    print(text)


def people(corpus: Corpus, split: str, count: int) -> Sitters:
    records = select_faces(corpus, FACES, (split,))
    order = np.random.default_rng(0).permutation(len(records))[:count]
    return sitters(load_faces(corpus, [records[i] for i in order], FACES))


def score_style(
    name: str, train: Sitters, judged: Sitters, canvases: Sequence[Canvas]
) -> dict[str, list[float]]:
    """Decibels, whole and in the mask, of each way to the style; means over draws and people."""
    style, full = load_style(name), np.ones(train.crops.shape[1:3], np.float32)
    made = [retouch(c, m, style) for c, m in zip(train.crops, train.labelled, strict=True)]
    truth = [retouch(c, m, style) for c, m in zip(judged.crops, judged.labelled, strict=True)]
    looks = [
        Look(str(i), train.crops[i], after, train.found[i], full) for i, after in enumerate(made)
    ]
    photos = [template_look(CropFace(x.name, x.after, x.mesh)) for x in looks]
    plain = [template_look(CropFace(x.name, x.before, x.mesh)) for x in looks]
    groups = [looks[i : i + SEEDS] for i in range(0, len(looks), SEEDS)]
    ways = {
        "bare": [None],
        "bare_photo": [lift_layers([x]) for x in plain],
        "one_photo": [lift_layers([x]) for x in photos],
        "five_photos": [lift_layers(photos[i : i + SEEDS]) for i in range(0, len(photos), SEEDS)],
        "one_pair": [lift_layers([x]) for x in looks],
        "one_pair_before": [evidence(x).layers(mirror=0, cover=0, ridge=100) for x in looks],
        "five_pairs": [lift_layers(group) for group in groups],
    }
    out = {}
    for way, found in ways.items():
        scores = [
            decibels(canvas.crop, 0 if layers is None else canvas.lay(layers), wanted)
            for layers in found
            for canvas, wanted in zip(canvases, truth, strict=True)
        ]
        out[way] = np.mean(scores, 0).round(2).tolist()
    return out


def decibels(crop: np.ndarray, change: np.ndarray | int, wanted: np.ndarray) -> tuple[float, float]:
    """PSNR of the whole crop and where the truth differs from it by more than 2 levels."""
    bare, target = crop.astype(np.float64), wanted.astype(np.float64)
    error = (np.clip(np.rint(bare + change), 0, 255) - target) ** 2
    inside = np.abs(target - bare).max(-1) > 2
    return tuple(float(10 * np.log10(255**2 / max(e.mean(), 1e-9))) for e in (error, error[inside]))


if __name__ == "__main__":
    main()
