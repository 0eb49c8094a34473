from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from tests.corpus.labelled_tree import write_tree
from tests.swap.small_model import FakeEncoder, write_swap_model
from visagist.corpus.labelled import LabelledFace
from visagist.errors import DataError, InputError
from visagist.runtime.store import open_model
from visagist.swap.classical import classical_swap
from visagist.swap.covers import covered_target
from visagist.swap.evaluation import Compare, Stage, evaluate
from visagist.swap.methods import Method, Side, classical, model_method, untouched
from visagist.swap.pairs import pair_list
from visagist.swap.sheets import random_sheet, worst_sheet

PEOPLE = 5


def code(number: int) -> np.ndarray:
    """A colour for each person, far from the others as a direction from grey."""
    angle = 2 * np.pi * number / PEOPLE
    return np.array([127 + 100 * np.cos(angle), 127 + 100 * np.sin(angle), 127]).astype(np.uint8)


def nose(mesh: np.ndarray) -> tuple[slice, slice]:
    x, y = (int(v) for v in mesh[1, :2])
    return slice(y - 4, y + 5), slice(x - 4, x + 5)


def judge(pixels: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    """Identity is the colour of the tip of the nose."""
    direction = pixels[nose(mesh)].reshape(-1, 3).mean(0)[:2] - 127
    return (direction / max(np.linalg.norm(direction), 1e-6)).astype(np.float32)


def perfect(source: Side, pixels: np.ndarray, face) -> np.ndarray:
    out = pixels.copy()
    out[nose(face.mesh)] = source.pixels[nose(source.face.mesh)]
    return out


class LabelMesher:
    """Finds the label's mesh again by the width of the box, wherever the picture was cut."""

    def __init__(self, faces: list[LabelledFace]) -> None:
        self.faces = faces

    def predict(self, pixels, detection):
        def misfit(face: LabelledFace) -> float:
            points = face.points5 - face.points5[0]
            return float(np.abs(points - (detection.points - detection.points[0])).sum())

        face = min(self.faces, key=misfit)
        shift = detection.points[0] - face.points5[0]
        return (face.mesh + np.append(shift, 0)).astype(np.float32), 1.0


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    from PIL import Image

    names = {f"{n}.png": "test" for n in range(PEOPLE)}
    root = write_tree(tmp_path_factory.mktemp("tree") / "tree", names)
    for number, face in enumerate(pair_list(root).enrolled):
        pixels = np.asarray(Image.open(face.path)).copy()
        pixels[nose(face.mesh)] = code(number)
        Image.fromarray(pixels).save(face.path)
    return root


@pytest.fixture(scope="module")
def fixed(tree):
    return pair_list(tree, rounds=2)


@pytest.fixture(scope="module")
def stage(fixed):
    return Stage.of(fixed, judge, mesher=LabelMesher(list(fixed.enrolled)))


def test_the_list_is_a_rule(tree, fixed):
    again = pair_list(tree, rounds=2)
    assert again.sha256 == fixed.sha256
    assert pair_list(tree, rounds=1).sha256 != fixed.sha256
    assert len(fixed.pairs) == 2 * PEOPLE
    assert len(fixed.enrolled) == PEOPLE
    assert fixed.second == ()
    assert all(p.source.identity != p.target.identity for p in fixed.pairs)
    for shift in (1, 2):
        targets = [p.target.identity for p in fixed.pairs if p.shift == shift]
        sources = [p.source.identity for p in fixed.pairs if p.shift == shift]
        assert len(set(targets)) == len(set(sources)) == PEOPLE
    short = pair_list(tree, rounds=2, limit=3)
    assert len(short.pairs) == 3
    assert len(short.enrolled) == PEOPLE
    # a person with few others is never their own source
    assert all(p.source != p.target for p in pair_list(tree, rounds=50).pairs)
    with pytest.raises(InputError):
        pair_list(tree, rounds=0)
    with pytest.raises(DataError):
        pair_list(tree, split="train")


def test_one_picture_gives_the_identity_and_another_the_rest(tmp_path):
    root = write_tree(tmp_path, {f"{n}.png": "test" for n in range(4)}, folder="london")
    rows = [["file", "identity", "split"]]
    rows += [[f"london/{n}.png", f"london-{n // 2}", "test"] for n in range(4)]
    with (root / "splits.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    fixed = pair_list(root)
    assert {p.source.name for p in fixed.pairs} == {"london/0.png", "london/2.png"}
    assert {p.target.name for p in fixed.pairs} == {"london/1.png", "london/3.png"}
    assert {f.name for f in fixed.second} == {"london/1.png", "london/3.png"}


def test_poor_pictures_are_left_out_by_their_labels(tmp_path):
    root = write_tree(tmp_path, {f"{n}.png": "test" for n in range(4)})
    path = root / "labels" / "portraits.npz"
    with np.load(path) as data:
        labels = dict(data)
    labels["angles"][0, 0] = 60
    labels["mesh16"][1] //= 4
    np.savez(path, **labels)
    fixed = pair_list(root)
    assert fixed.left_out == {"turned": 1, "small": 1}
    assert len(fixed.enrolled) == 2


def test_an_untouched_target_is_the_floor_and_a_perfect_swap_the_ceiling(fixed, stage):
    compare = Compare(
        lambda pictures: pictures.reshape(len(pictures), -1).mean(1, keepdims=True),
        lambda real, made: float((real.mean(0) - made.mean(0)) @ (real.mean(0) - made.mean(0))),
    )
    seen = []
    report = evaluate(
        fixed,
        [untouched(), Method("perfect", perfect, {"params": 7})],
        stage,
        compare=compare,
        covered=0,
        resamples=50,
        progress=lambda done, total: seen.append((done, total)),
    )
    floor, ceiling = report["table"]["untouched target"], report["table"]["perfect"]
    assert seen == [(n + 1, 4 * PEOPLE) for n in range(4 * PEOPLE)]
    assert floor["id_top1"] == floor["pose_error"] == floor["expression_error"] == 0
    assert floor["background_level"] == floor["fd"] == 0
    assert floor["id_leak"] == pytest.approx(1)
    assert floor["refused"] == 1
    assert ceiling["id_top1"] == 1
    assert ceiling["intervals"]["id_top1"] == [1, 1]
    assert ceiling["id_cosine"] == pytest.approx(1, abs=1e-3)
    assert ceiling["id_margin"] == pytest.approx(1 - ceiling["id_leak"], abs=2e-3)
    assert ceiling["background_level"] == 0
    assert ceiling["changed_level"] > 0
    assert ceiling["refused"] == 0
    assert report["row"] == "perfect"
    assert report["id_top1"] == 1
    assert report["params"] == 7
    assert report["gmac"] is None
    assert report["list_sha256"] == fixed.sha256
    assert sum(g["pairs"] for g in ceiling["per_source_tone"].values()) == len(fixed.pairs)
    assert json.loads(json.dumps(report)) == report


def test_what_is_painted_outside_the_face_is_seen(fixed, stage):
    def wall(source: Side, pixels, face):
        out = pixels.copy()
        alignment = face.alignment()
        y, x = np.mgrid[: out.shape[0], : out.shape[1]] + 0.5
        where = alignment.to_crop(np.stack([x.ravel(), y.ravel()], 1))
        far = (np.hypot(*(where - 128).T) > 115).reshape(out.shape[:2])
        out[far] = 255 - out[far]
        return out

    row = evaluate(fixed, [Method("wall", wall)], stage, covered=0, resamples=0)
    assert row["background_level"] > 10
    assert 0.2 < row["background_share"] < 1
    assert row["id_leak"] == pytest.approx(1)
    assert row["pose_error"] == row["expression_error"] == 0


def test_covers_that_are_painted_over_are_seen(fixed, stage):
    def over(source: Side, pixels, face):
        return np.full_like(pixels, 128)

    made = {name: covered_target(side) for name, side in stage.sides.items()}
    plain = [scene.plain for scene in made.values()]

    def bare(source: Side, pixels, face):
        if pixels.shape != plain[0].shape:
            return pixels
        return min(plain, key=lambda p: np.abs(p.astype(float) - pixels).mean())

    def spares(source: Side, pixels, face):
        out = pixels.copy()
        out[nose(face.mesh)] = 255
        return out

    report = evaluate(
        fixed,
        [untouched(), Method("over", over), Method("spares", spares), Method("bare", bare)],
        stage,
        cover=lambda side: made[side.name],
        covered=2,
        resamples=0,
    )
    table = report["table"]
    assert table["untouched target"]["occlusion_level"] == 0
    assert table["untouched target"]["occlusion_kept"] == 1
    assert table["over"]["occlusion_level"] > 10
    assert table["bare"]["occlusion_kept"] == pytest.approx(0, abs=1e-3)
    assert table["spares"]["occlusion_kept"] > 0.7
    assert table["spares"]["occlusion_level"] < 0.2 * table["over"]["occlusion_level"]


def test_a_model_and_the_mesh_warp_run_in_the_protocol(tmp_path, tree):
    fixed = pair_list(tree, rounds=1, limit=2)
    stage = Stage.of(fixed, judge, mesher=LabelMesher(list(pair_list(tree).enrolled)))
    files = open_model(write_swap_model(tmp_path / "m", params=12, gmac=0.5))
    methods = [classical(classical_swap), model_method("tiny", files, FakeEncoder())]
    report = evaluate(fixed, methods, stage, covered=0, resamples=0)
    assert (report["params"], report["gmac"]) == (12, 0.5)
    assert report["megabytes"] == pytest.approx(
        sum((tmp_path / "m" / n).stat().st_size for n in ("model.onnx", "constants.onnx")) / 1e6,
        abs=1e-3,
    )
    assert report["table"]["mesh warp"]["changed_level"] > 1
    sheet = worst_sheet(stage, methods, report["table"]["tiny"], "pose_error")
    assert sheet.ndim == 3
    assert random_sheet(stage, methods, fixed.pairs, count=2).shape[1] > 8 * 128
    with pytest.raises(InputError, match="needs as many"):
        random_sheet(stage, methods, fixed.pairs, count=9)
    with pytest.raises(InputError, match="listed by"):
        worst_sheet(stage, methods, report["table"]["tiny"], "beauty")


def test_a_broken_picture_is_reported(tmp_path):
    root = write_tree(tmp_path, {f"{n}.png": "test" for n in range(3)})
    (root / "portraits" / "1.png").write_bytes(b"no picture")
    fixed = pair_list(root, rounds=1)
    stage = Stage.of(fixed, judge, mesher=LabelMesher(list(fixed.enrolled)))
    report = evaluate(fixed, [untouched()], stage, covered=0, resamples=0)
    assert list(report["skipped"]) == ["portraits/1.png"]
    assert report["pairs"] == 1
    with pytest.raises(InputError, match="own label"):
        evaluate(fixed, [untouched(), untouched()], stage)
