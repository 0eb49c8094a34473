"""Measure what bare faces look like, by place, for styles from one photo (docs/real-seeds.md).

    python benchmarks/bare_faces.py --data CORPUS

CORPUS is one that `visagist corpus build` made. Only generated faces and rendered heads of the
training split count, without the generators whose terms forbid training. Writes
src/visagist/amplify/bare_faces.npz.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import visagist.amplify
from visagist.amplify.backend import CropFace
from visagist.amplify.template import FILE, measure_bare_faces, save_bare_faces
from visagist.corpus.corpus import Corpus
from visagist.corpus.feed.cache import crop_mesh, cut_crop
from visagist.corpus.feed.selection import FeedConfig, select_faces
from visagist.face.align import CROP_SIZE

FACES = FeedConfig(
    use="makeup",
    kinds=("generated", "head"),
    grey=False,
    without_generators=("FLUX1_dev", "FLUX1_pro", "DALLE3"),
    size=CROP_SIZE,
    zoom=1.0,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="corpus")
    parser.add_argument("--people", type=int, help="drawn from it; by default all")
    parser.add_argument("--output", type=Path, default=Path(visagist.amplify.__path__[0]) / FILE)
    asked = parser.parse_args()
    corpus = Corpus.open(asked.data)
    records = select_faces(corpus, FACES, ("train",))
    if asked.people is not None:
        order = np.random.default_rng(0).permutation(len(records))[: asked.people]
        records = [records[i] for i in order]

    def faces() -> Iterator[CropFace]:
        for record in records:
            pixels = cut_crop(corpus.picture(record), record, FACES)
            yield CropFace(record.key, pixels, crop_mesh(record, FACES))

    def told(done: int) -> None:
        if done % 25 == 0:
            print(f"{done}/{len(records)}", file=sys.stderr, flush=True)

    save_bare_faces(measure_bare_faces(faces(), told), asked.output)
    print(f"{asked.output}: {len(records)} faces, {asked.output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
