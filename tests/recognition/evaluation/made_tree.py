"""A labelled tree of drawn people, and the lists that compare them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from tests.recognition.made_people import person
from visagist.face.find import find_faces

PAIRS, STRANGERS = 6, 3


def write_tree(root: Path, *, folder: str = "portraits") -> Path:
    """``a0.png`` enrolled and ``b0.png`` searching of each person, and ``s0.png`` of strangers."""
    (root / folder).mkdir(parents=True)
    (root / "labels").mkdir()
    names = [f"{kind}{i}.png" for i in range(PAIRS) for kind in "ab"]
    names += [f"s{i}.png" for i in range(STRANGERS)]
    meshes, boxes = [], []
    for name in names:
        number = int(name[1]) + (100 if name[0] == "s" else 0)
        pixels = person(number, shot=int(name[0] == "b"))
        Image.fromarray(pixels).save(root / folder / name)
        face = find_faces(pixels)[0]
        meshes.append(face.mesh)
        x0, y0, x1, y1 = face.detection.box
        boxes.append((x0, y0, x1 - x0, y1 - y0))
    np.savez(
        root / "labels" / f"{folder}.npz",
        image=np.array(names),
        box=np.array(boxes, np.float32),
        points5=np.zeros((len(names), 5, 2), np.float32),
        mesh16=np.rint(np.stack(meshes) * 16).astype(np.int16),
        mesh_ok=np.ones(len(names), bool),
        angles=np.zeros((len(names), 3), np.float32),
    )
    with (root / "splits.csv").open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["file", "identity", "split"])
        rows.writerows(
            [f"{folder}/{name}", f"{folder}-{i}", "test"] for i, name in enumerate(names)
        )
    return root


def write_lists(root: Path, *, folder: str = "portraits") -> Path:
    """Lists of the tree: half of its pairs are the set london, half the set pairs."""
    root.mkdir(parents=True)
    rows = []
    for i in range(PAIRS):
        named = "london" if i < PAIRS // 2 else "pairs"
        who = f"{named}:{i:03d}"
        rows.append((named, who, "enrolled", f"{folder}/a{i}.png"))
        rows.append((named, who, "mate", f"{folder}/b{i}.png"))
    people = list(dict.fromkeys(row[1] for row in rows))
    rows += [("singles", f"s:{i}", "stranger", f"{folder}/s{i}.png") for i in range(STRANGERS)]
    with (root / "test.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("set", "identity", "role", "file"), *rows])
    halves = [(who, "10" if i % 2 else "01") for i, who in enumerate(people)]
    with (root / "test_halves.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("identity", "halves"), *halves])
    return root
