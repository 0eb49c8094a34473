"""Draw the picture of docs/synthetic-heads.md: heads at random, and one with its truth.

python benchmarks/heads_picture.py --assets DIR [--seed 0]
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.cli.corpus.heads import RandomStyle
from visagist.corpus.heads.scene import HeadsConfig
from visagist.corpus.heads.task import HeadTask
from visagist.corpus.sample import Sample

TARGET = Path(__file__).resolve().parents[1] / "docs" / "images" / "heads.jpg"
COLUMNS, ROWS, SIDE = 8, 4, 152
COLOURS = np.array(
    [
        (30, 30, 34), (240, 190, 150), (205, 40, 75), (110, 0, 50), (70, 150, 240),
        (130, 85, 30), (75, 45, 25), (0, 220, 220), (230, 60, 220), (40, 150, 90),
    ],
    np.uint8,
)  # fmt: skip


def main() -> int:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    many = HeadsConfig(count=COLUMNS * ROWS, zoom=1.3, seed=options.seed)
    task = HeadTask(many, options.assets)
    tiles = [small(task.prepare(item)[0].image) for item in task.items()]
    rows = [np.hstack(tiles[k : k + COLUMNS]) for k in range(0, len(tiles), COLUMNS)]
    pair = HeadsConfig(
        count=2,
        per_identity=2,
        zoom=1.3,
        seed=options.seed + 3,
        worn=0,
        counterfactuals=("makeup", "other"),
    )
    task = HeadTask(pair, options.assets, RandomStyle())
    first, second = (task.prepare(item)[0] for item in task.items())
    rows.append(np.hstack([small(view) for view in truth(first, second)]))
    Image.fromarray(np.vstack(rows)).save(TARGET, quality=84, optimize=True)
    return 0


def truth(one: Sample, again: Sample) -> list[NDArray[np.uint8]]:
    """The picture, its labels, depth, mesh, makeup, other person, and the person's next picture."""
    depth = member(one, "depth.png").astype(np.float32)
    there = depth > 0
    near, far = np.percentile(depth[there], (1, 90))
    shade = np.where(there, 255 - 200 * np.clip((depth - near) / (far - near), 0, 1), 0)
    points = one.image // 2 + 110
    for x, y in np.floor(one.mesh[:, :2]).astype(int):
        points[max(y, 0) : y + 2, max(x, 0) : x + 2] = (20, 110, 40)
    return [
        one.image,
        COLOURS[member(one, "parts.png")],
        np.repeat(shade.astype(np.uint8)[..., None], 3, axis=2),
        points,
        member(one, "makeup.png"),
        member(one, "other.png"),
        COLOURS[member(one, "other.parts.png")],
        again.image,
    ]


def member(sample: Sample, name: str) -> NDArray[np.uint16]:
    """A picture among a sample's extras."""
    return np.asarray(Image.open(io.BytesIO(sample.extras[name])))


def small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A tile."""
    picture = Image.fromarray(image.astype(np.uint8))
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


if __name__ == "__main__":
    sys.exit(main())
