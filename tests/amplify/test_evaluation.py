from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.amplify.pairs import RED
from tests.amplify.quick import quick_recipe
from tests.corpus.small_corpus import drawn_corpus
from visagist.amplify.evaluation import bench as benches
from visagist.amplify.evaluation import perceptual, protocol, rows
from visagist.amplify.evaluation.bench import Bench, DalConfig, open_bench
from visagist.amplify.evaluation.protocol import evaluate_dal, targets
from visagist.amplify.evaluation.rows import ROWS, Untouched, amplify_all
from visagist.amplify.evaluation.scores import Judges, score
from visagist.amplify.pixels.examples import Sitters
from visagist.corpus.build.driver import only_builder
from visagist.corpus.feed.cache import FaceCache
from visagist.errors import InputError
from visagist.generation.efficientnet import EfficientNetLite0
from visagist.training.loop import LoopConfig

CONFIG = DalConfig(pairs=2, steps=2, backend="mesh")
LOOP = LoopConfig(steps=2, lr=1e-5)
OFF = 2.0
"""Pixels by which the landmarks that are found differ from the labelled ones."""


def found_elsewhere(faces: FaceCache, report: object) -> Sitters:
    """As the mesh network finds them, without running it."""
    edge = (faces.crops.shape[1] - 256) // 2
    inner = np.ascontiguousarray(faces.crops[:, edge:-edge, edge:-edge])
    labelled = np.array(faces.meshes) - np.array([edge, edge, 0], np.float32)
    return Sitters(inner, labelled, labelled + np.array([OFF, 0, 0], np.float32))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("dal") / "corpus"
    return drawn_corpus(root, train=5, validation=2, test=1, size=384, zoom=1.5)


@pytest.fixture(scope="module")
def styles(corpus) -> list[Path]:
    path = corpus.parent / "red.yaml"
    path.write_text(json.dumps(RED.model_dump()))
    return [path]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(benches, "sitters", found_elsewhere)
    monkeypatch.setattr(rows, "student_recipe", quick_recipe)


@pytest.fixture
def bench(corpus, styles) -> Bench:
    return open_bench(corpus, styles, corpus.parent / "work", CONFIG)


def test_amplifiers_get_other_landmarks_than_the_truth(bench):
    people = bench.judged
    assert np.allclose(people.crop_face(0).mesh - people.sitters.labelled[0], [OFF, 0, 0])
    look = bench.looks(0)[0]
    assert np.array_equal(look.mesh, bench.train.sitters.found[bench.seeds[0]])
    assert np.array_equal(look.after - look.before, bench.train.change(bench.seeds[0])[0] % 256)
    assert people.change(0).shape == (1, 256, 256, 3)
    assert np.abs(people.change(0)).max() > 10


def test_people_of_the_pairs_are_not_amplified(bench):
    given = {bench.train.persons[i] for i in bench.seeds}
    made = [bench.train.persons[i] for i, _ in bench.amplified()]
    assert len(bench.seeds) == 2
    assert len(made) == 3
    assert not given & set(made)


def test_more_faces_than_people_are_other_seeds_of_the_same(corpus, styles):
    config = CONFIG.model_copy(update={"faces": 7})
    drawn = list(open_bench(corpus, styles, corpus.parent / "work", config).amplified())
    assert len(set(drawn)) == 7
    assert {seed for _, seed in drawn} == {0, 1, 2}


def test_the_truth_scores_perfectly_and_nothing_scores_the_floor(bench):
    class Truth(Untouched):
        def __call__(self, i: int, crop: np.ndarray) -> np.ndarray:
            return bench.judged.change(i).astype(np.float32)

    judges = Judges(
        identity=lambda pixels, mesh: np.array([1.0, 0.0], np.float32),
        perceptual=lambda a, b: np.abs(a.astype(float) - b).mean((1, 2, 3)),
    )
    best = score(bench, Truth(1), judges)["mean"]
    assert best["psnr"] == 100
    assert best["leakage"] < 0.01
    assert best["perceptual"] == 0
    assert best["identity_cosine_drop"] == 0
    floor = score(bench, Untouched(1), judges)
    assert floor["mean"]["gain"] == 0
    assert floor["mean"]["leakage"] == 0
    assert floor["mean"]["perceptual"] > 0.1
    assert floor["mean"]["identity_cosine_drop_truth"] == 0
    assert floor["n"] == 2
    assert list(floor["per_style"]) == ["red"]


def test_every_row_runs_and_is_not_run_twice(corpus, styles, monkeypatch):
    folder = corpus.parent / "work"
    report = evaluate_dal(corpus, styles, folder, CONFIG)
    assert set(report["rows"]) == set(ROWS)
    for name in ROWS:
        assert report[f"psnr_{name}"] > 0
    assert report["psnr_mesh_transfer_teacher"] == report["psnr_teacher"]  # one backend here
    assert report["psnr_teacher"] > report["psnr_bare"] + 3
    assert report["psnr_colour_transfer"] > report["psnr_bare"]
    assert "shift_dal" in report
    assert "shift_teacher" not in report
    assert report["minutes_total"] >= 0
    assert report["leakage_teacher"] < 0.05  # the landmarks are two pixels off
    assert "teacher_leakage_2_percent" in report["targets"]
    monkeypatch.setattr(protocol, "score", None)
    assert evaluate_dal(corpus, styles, folder, CONFIG) == report


def test_a_judge_that_comes_later_judges_kept_rows(corpus, styles, monkeypatch):
    folder = corpus.parent / "later"
    only = ["bare", "five_pairs"]
    first = evaluate_dal(corpus, styles, folder, CONFIG, only=only)
    assert "identity_drop_five_pairs" not in first
    monkeypatch.setattr(rows, "train_student", None)  # what was trained is found again
    seen = Judges(identity=lambda pixels, mesh: np.array([1.0, 0.0], np.float32))
    later = evaluate_dal(corpus, styles, folder, CONFIG, only=only, judges=lambda: seen)
    assert later["identity_drop_five_pairs"] == 0
    assert later["psnr_five_pairs"] == first["psnr_five_pairs"]
    monkeypatch.setattr(protocol, "score", None)
    assert evaluate_dal(corpus, styles, folder, CONFIG, only=only, judges=lambda: seen) == later
    with only_builder(folder), pytest.raises(InputError, match="another"):
        evaluate_dal(corpus, styles, folder, CONFIG, only=only)


def test_a_row_of_another_training_is_another_row(bench, monkeypatch):
    trained = [row for row in ROWS if row in rows.STUDENTS]
    assert set(ROWS) - set(trained) == {
        "bare", "colour_transfer", "teacher", "mesh_transfer_teacher"
    }  # fmt: skip
    before = {row: protocol._row_file(bench, row) for row in ROWS}
    slower = lambda *a, **k: quick_recipe(*a, **k).model_copy(update={"loop": LOOP})  # noqa: E731
    monkeypatch.setattr(rows, "student_recipe", slower)
    after = {row: protocol._row_file(bench, row) for row in ROWS}
    assert [row for row in ROWS if before[row] != after[row]] == trained
    monkeypatch.setattr(benches, "METHOD", benches.METHOD + 1)
    assert all(protocol._row_file(bench, row) != after[row] for row in ROWS)


def test_amplifying_goes_on_where_it_was_stopped(bench):
    whole = np.array(amplify_all(bench, "mesh", lambda *_: None))
    path = next(bench.folder.glob("amplified-mesh-*.npy"))
    note = path.with_suffix(".json")
    stored = np.load(path, mmap_mode="r+")
    stored[1:] = 0
    stored.flush()
    note.write_text(json.dumps(json.loads(note.read_text()) | {"done": 1}))
    told = []
    again = amplify_all(bench, "mesh", lambda what, done, total: told.append((done, total)))
    assert told == [(3, 3)]
    assert np.array_equal(again, whole)
    rim = whole[:, :, :16]
    assert np.array_equal(rim[:, 0], rim[:, 1])


def test_another_row_is_refused(corpus, styles):
    with pytest.raises(InputError, match="there are bare, five_pairs"):
        evaluate_dal(corpus, styles, corpus.parent / "work", CONFIG, only=["best"])
    other = CONFIG.model_copy(update={"backend": "paint"})
    with pytest.raises(InputError, match="'paint'"):
        evaluate_dal(corpus, styles, corpus.parent / "work", other, only=["bare"])
    with pytest.raises(InputError, match="at least one style"):
        open_bench(corpus, [], corpus.parent / "work", CONFIG)


def test_targets_are_told_only_where_their_rows_are():
    assert targets({"psnr_dal": 38.0}) == {}
    found = targets({"psnr_dal": 38.0, "psnr_ceiling": 39.0, "psnr_mesh_transfer": 38.0})
    assert found == {"within_1_dB_of_ceiling": True, "above_mesh_transfer": False}


def test_the_perceptual_distance_is_a_distance(monkeypatch):
    torch.manual_seed(0)
    network = EfficientNetLite0().eval()
    monkeypatch.setattr(perceptual, "load_network", lambda path: network)
    distance = perceptual.perceptual_distance()
    rng = np.random.default_rng(0)
    one = rng.integers(0, 255, (2, 64, 64, 3), np.uint8)
    near = np.clip(one.astype(int) + rng.integers(-3, 4, one.shape), 0, 255).astype(np.uint8)
    far = rng.integers(0, 255, one.shape, np.uint8)
    assert np.allclose(distance(one, one), 0)
    assert np.allclose(distance(one, far), distance(far, one), rtol=1e-4)
    assert (distance(one, near) < distance(one, far)).all()
    assert np.allclose(distance(one[:1], far[:1]), distance(one, far)[:1], rtol=1e-4)
