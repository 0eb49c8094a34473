"""A tiny tree of every layout, from drawn faces, and what is to be read from it."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from tests.corpus.labelled_tree import write_tree
from tests.face.drawn import drawn_face

MESH = np.arange(478 * 3, dtype=np.float32).reshape(478, 3) / 8


@dataclass(frozen=True)
class Tree:
    """A built tree.

    Attributes:
        path: what is given to ``open_source``.
        expected: name -> (identity, split) of every picture; identities without their first part.
        people: the first part of identities, empty for the name of the source.
    """

    path: Path
    expected: dict[str, tuple[str, str]]
    people: str = ""


@cache
def picture(number: int, kind: str = "JPEG") -> bytes:
    """A small drawn face; each number gives other bytes."""
    pixels = drawn_face(48, canvas=(64, 56), at=(4 + number % 9, 3 + number // 9 % 5))
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def put(path: Path, number: int = 0) -> None:
    """Write a picture; the format follows the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture(number, "PNG" if path.suffix.lower() == ".png" else "JPEG"))


def put_all(root: Path, names: list[str]) -> None:
    for number, name in enumerate(names):
        put(root / name, number)


def put_mask(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint8)).save(path)


def folder(root: Path) -> Tree:
    names = ["z.jpg", "a.png", "trip/b.JPG", "trip/день 1/ü.jpeg"]
    put_all(root, names)
    (root / "notes.txt").write_text("no picture")
    put(root / "._z.jpg")
    put(root / ".thumbnails" / "z.jpg")
    return Tree(root, dict.fromkeys(names, ("", "")))


def identities(root: Path) -> Tree:
    expected = {
        "train/n000002/0001_01.jpg": ("n000002", ""),
        "train/n000002/0002_01.jpg": ("n000002", ""),
        "train/n000003/0001_01.jpg": ("n000003", ""),
        "test/n000001/0001_01.jpg": ("n000001", "test"),
    }
    put_all(root, list(expected))
    (root / "identity_meta.csv").write_text("Class_ID, Name, Sample_Num, Flag, Gender\n")
    return Tree(root, expected)


def pairs(root: Path) -> Tree:
    expected = {
        "before/1.jpg": ("before/1.jpg", "train"),
        "after/1.jpg": ("before/1.jpg", "train"),
        "after/1 b.jpg": ("before/1.jpg", "train"),
        "before/2.jpg": ("ann", ""),
        "after/2.jpg": ("ann", ""),
    }
    put_all(root, list(expected))
    rows = [
        ["before", "after", "identity", "split"],
        ["before/1.jpg", "after/1.jpg", "", "train"],
        ["./before/1.jpg", "after/1 b.jpg", "", ""],
        ["before/2.jpg", "after/2.jpg", "ann", ""],
    ]
    with (root / "pairs.csv").open("w", newline="", encoding="utf-8-sig") as stream:
        csv.writer(stream).writerows(rows)
    return Tree(root, expected)


def labelled(root: Path) -> Tree:
    write_tree(root, {"b.png": "train", "a.png": "test"}, folder="portraits")
    write_tree(root, {"g.png": "validation"}, folder="generated", generator="acme")
    return Tree(
        root,
        {
            "portraits/b.png": ("portraits-0", "train"),
            "portraits/a.png": ("portraits-1", "test"),
            "generated/g.png": ("generated-0", "validation"),
        },
    )


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def write_tar(path: Path, members: list[tuple[str, bytes]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def webdataset(root: Path) -> Tree:
    about = {"identity": "ann", "licence": "CC0-1.0", "split": "test", "uses": ["mesh"]}
    write_tar(
        root / "set-00000.tar",
        [
            ("0001.jpg", picture(1)),
            ("0001.json", json.dumps(about).encode()),
            ("0001.mesh.npy", npy(MESH)),
            ("sub/0002.cls", b"7"),
            ("sub/0002.png", picture(2, "PNG")),
            ("sub/0002.txt", b"a drawn face"),
        ],
    )
    nested = {"key": "x", "origin": {"identity": 5, "generator": "acme"}}
    write_tar(
        root / "more" / "set-00001.tar",
        [("0001.json", json.dumps(nested).encode()), ("0001.jpg", picture(3))],
    )
    return Tree(
        root,
        {
            "set-00000.tar/0001.jpg": ("ann", "test"),
            "set-00000.tar/sub/0002.png": ("", ""),
            "more/set-00001.tar/0001.jpg": ("5", ""),
        },
    )


def ffhq(root: Path) -> Tree:
    licences = ["Attribution License", "Public Domain Mark", "A licence of tomorrow"]
    document = {}
    for number, licence in enumerate(licences):
        path = f"images1024x1024/00000/{number:05d}.png"
        put(root / path, number)
        document[str(number)] = {
            "category": "validation" if number == 2 else "training",
            "metadata": {"author": f"author {number}", "license": licence, "photo_url": "u"},
            "image": {"file_path": path, "face_landmarks": [[1, 2]]},
        }
    put(root / "thumbnails128x128" / "00000" / "00000.png")
    (root / "ffhq-dataset-v2.json").write_text(json.dumps(document))
    splits = ["", "", "validation"]
    return Tree(root, {f"images1024x1024/00000/{n:05d}.png": ("", s) for n, s in enumerate(splits)})


def celeba(root: Path) -> Tree:
    rows = [("000001.jpg", "2880", 0), ("000002.jpg", "2937", 0), ("182637.jpg", "8692", 1)]
    rows.append(("202599.jpg", "2880", 2))
    put_all(root / "img_align_celeba", [name for name, _, _ in rows])
    (root / "identity_CelebA.txt").write_text("".join(f"{n} {i}\n" for n, i, _ in rows))
    (root / "list_eval_partition.txt").write_text("".join(f"{n} {p}\n" for n, _, p in rows))
    splits = ("train", "validation", "test")
    return Tree(root, {f"img_align_celeba/{n}": (i, splits[p]) for n, i, p in rows}, "celeba")


def celeba_hq(root: Path) -> Tree:
    put_all(root / "CelebA-HQ-img", ["0.jpg", "2000.jpg"])
    (root / "CelebA-HQ-to-CelebA-mapping.txt").write_text(
        "idx         orig_idx    orig_file \n"
        "0           119613      119614.jpg\n"
        "2000        182640      182641.jpg\n"
    )
    (root / "identity_CelebA.txt").write_text("119614.jpg 2880\n182641.jpg 17\n")
    mask = np.zeros((8, 8))
    for name, rows in (("skin", slice(1, 7)), ("eye_g", slice(2, 4)), ("l_eye", slice(3, 4))):
        put_mask(root / "CelebAMask-HQ-mask-anno" / "1" / f"02000_{name}.png", _rows(mask, rows))
    expected = {
        "CelebA-HQ-img/0.jpg": ("2880", "train"),
        "CelebA-HQ-img/2000.jpg": ("17", "test"),
    }
    return Tree(root, expected, "celeba")


def _rows(mask: np.ndarray, rows: slice) -> np.ndarray:
    out = mask.copy()
    out[rows] = 255
    return out


def mt(root: Path) -> Tree:
    names = ["all/images/makeup/vFG1.png", "all/images/non-makeup/vSYYZ1.png"]
    put_all(root, names)
    put_mask(root / "all" / "segs" / "makeup" / "vFG1.png", np.arange(16).reshape(4, 4))
    return Tree(root, dict.fromkeys(names, ("", "")))


def lfw(root: Path) -> Tree:
    expected = {
        "lfw/Ann_Lee/Ann_Lee_0001.jpg": ("Ann_Lee", "test"),
        "lfw/Ann_Lee/Ann_Lee_0002.jpg": ("Ann_Lee", "test"),
        "lfw/Bo_Im/Bo_Im_0001.jpg": ("Bo_Im", "test"),
        "lfw/Cy_Oz/Cy_Oz_0001.jpg": ("Cy_Oz", ""),
    }
    put_all(root, list(expected))
    (root / "pairs.txt").write_text("1\t1\nAnn_Lee\t1\t2\nAnn_Lee\t1\tBo_Im\t1\n")
    return Tree(root, expected, "lfw")


def imagenet(root: Path) -> Tree:
    expected = {
        "train/n01440764/n01440764_10026.JPEG": ("", "train"),
        "val/n01440764/ILSVRC2012_val_00000293.JPEG": ("", "validation"),
    }
    put_all(root, list(expected))
    return Tree(root, expected)


TREES: dict[str, Callable[[Path], Tree]] = {
    "folder": folder,
    "identities": identities,
    "pairs": pairs,
    "labelled": labelled,
    "webdataset": webdataset,
    "ffhq": ffhq,
    "celeba": celeba,
    "celeba-hq": celeba_hq,
    "mt": mt,
    "lfw": lfw,
    "imagenet": imagenet,
}
