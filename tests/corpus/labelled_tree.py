"""A labelled tree of drawn faces, as ``visagist.corpus.labelled`` reads it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from tests.makeup.made_face import SKINS, drawn_face, drawn_mesh
from visagist.face.align import transform_points

SIDE = 300


def placed_face(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Picture (300, 300, 3) and mesh of a drawn face; each number has its skin, place and turn."""
    skins = sorted(SKINS)
    crop = drawn_mesh(256, gape=2.0 * (number % 3), turn=5.0 * (number % 4) - 7)
    shift = np.array([22.0 + 3 * (number % 5), 20.0 + 2 * (number % 7)])
    mesh = transform_points(np.array([[1, 0, shift[0]], [0, 1, shift[1]]]), crop)
    return drawn_face(mesh, SIDE, skins[number % len(skins)]), mesh


def write_tree(
    root: Path, splits: dict[str, str], *, folder: str = "portraits", generator: str = ""
) -> Path:
    """Write faces named by ``splits`` (NAME -> split) into ``root/folder``; each its own person."""
    (root / folder).mkdir(parents=True)
    (root / "labels").mkdir(exist_ok=True)
    meshes = []
    for number, name in enumerate(splits):
        picture, mesh = placed_face(number)
        Image.fromarray(picture).save(root / folder / name)
        meshes.append(mesh)
    low = np.stack([m[:468, :2].min(0) for m in meshes])
    high = np.stack([m[:468, :2].max(0) for m in meshes])
    np.savez(
        root / "labels" / f"{folder}.npz",
        image=np.array(list(splits)),
        box=np.concatenate([low, high - low], 1).astype(np.float32),
        points5=np.stack([m[[33, 263, 1, 61, 291], :2] for m in meshes]).astype(np.float32),
        mesh16=np.rint(np.stack(meshes) * 16).astype(np.int16),
        mesh_ok=np.ones(len(meshes), bool),
        angles=np.zeros((len(meshes), 3), np.float32),
    )
    new = not (root / "splits.csv").exists()
    with (root / "splits.csv").open("a", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        if new:
            rows.writerow(["file", "identity", "split"])
        rows.writerows(
            [f"{folder}/{name}", f"{folder}-{n}", split]
            for n, (name, split) in enumerate(splits.items())
        )
    if generator:
        with (root / folder / "index.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([["file", "generator"], [next(iter(splits)), generator]])
    return root
