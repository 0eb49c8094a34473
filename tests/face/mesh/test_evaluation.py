"""The protocol of the mesh network on drawn faces."""

from __future__ import annotations

import numpy as np
import pytest

from tests.corpus.labelled_tree import write_tree
from visagist.errors import DataError, ModelMissingError
from visagist.face.mesh import evaluation
from visagist.face.mesh.evaluation import evaluate, relative_error
from visagist.face.topology import canonical_points
from visagist.face.types import Detection

VIEWS = ("upright", "roll30", "occluded")
FIELDS = {
    "model", "version", "split", "n", "params", "gflops", "wrong_crop_confidence",
    "confidence_auc", "wrong_accepted", "right_refused", "skipped",
    *(f"{v}{p}{f}" for v in VIEWS
      for p in ("", "_whole", "_fine", "_fine_whole", "_one_pass")
      for f in ("_percent", "_p90_percent", "_missed")),
    *(f"{v}_confidence" for v in VIEWS),
}  # fmt: skip


class Centre:
    """A detector that answers every picture with the box where the protocol puts the face."""

    name = "centre"

    def __init__(self) -> None:
        self.calls, self.box = 0, (138.0, 145.0, 240.0, 260.0)

    def detect(self, pixels: np.ndarray) -> list[Detection]:
        self.calls += 1
        return [Detection(self.box, 0.9)]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    splits = {f"{n}.png": "test" for n in range(4)} | {"t.png": "train"}
    root = write_tree(tmp_path_factory.mktemp("mesh") / "tree", splits)
    (root / "portraits" / "2.png").write_bytes(b"not a picture")
    return root


def test_every_field_through_the_default_detector(tree):
    seen = []
    report = evaluate(tree, progress=lambda done, total: seen.append((done, total)))
    assert set(report) == FIELDS
    assert (report["model"], report["split"], report["n"]) == ("face-mesh", "test", 3)
    assert report["params"] > 0
    assert list(report["skipped"]) == ["portraits/2.png"]
    assert seen == [(n, 4) for n in (1, 2, 3, 4)]
    for view in VIEWS:
        assert 0 <= report[f"{view}_missed"] == report[f"{view}_one_pass_missed"] <= 3


def test_the_bundled_network_fits_drawn_faces(tree, monkeypatch):
    monkeypatch.setattr(evaluation, "default_detector", Centre)
    report = evaluate(tree)
    for view in VIEWS:
        assert report[f"{view}_missed"] == 0
        assert 0 < report[f"{view}_percent"] <= report[f"{view}_p90_percent"] < 25
    assert 0.9 < report["confidence_auc"] <= 1
    assert report["wrong_crop_confidence"] < 0.1 < report["upright_confidence"]
    assert report["wrong_accepted"] < 0.5
    assert report["right_refused"] < 0.5


def test_what_the_detector_misses_is_counted(tree, monkeypatch):
    whole = Centre()
    monkeypatch.setattr(evaluation, "default_detector", lambda: whole)
    wanted = evaluate(tree, limit=2)
    # The third of four faces is broken; it never reaches the detector.
    assert (wanted["n"], whole.calls) == (2, 6)
    monkeypatch.setattr(evaluation, "default_detector", lambda: OnceBlind(view=1))
    report = evaluate(tree, limit=2)
    assert [report[f"{v}_missed"] for v in VIEWS] == [0, 1, 0]
    assert np.isfinite(report["roll30_percent"])
    for view in ("upright", "occluded"):
        assert report[f"{view}_percent"] == wanted[f"{view}_percent"]


class OnceBlind(Centre):
    """Misses one view of the first face, and sees a thing in its corner instead."""

    def __init__(self, *, view: int) -> None:
        super().__init__()
        self.view = view

    def detect(self, pixels: np.ndarray) -> list[Detection]:
        self.calls += 1
        far = Detection((2.0, 2.0, 60.0, 60.0), 0.99)
        return [far] if self.calls == self.view + 1 else [far, Detection(self.box, 0.5)]


def test_nothing_to_measure(tree, tmp_path):
    with pytest.raises(DataError, match="no labelled face"):
        evaluate(tree, split="validation")
    with pytest.raises(ModelMissingError):
        evaluate(tree, model=str(tmp_path / "nowhere"))
    alone = write_tree(tmp_path / "alone", {"a.png": "test"})
    (alone / "portraits" / "a.png").unlink()
    with pytest.raises(DataError, match="could be read"):
        evaluate(alone)


def test_relative_error_in_closed_form():
    """A shift by a tenth of the distance between the eyes is an error of a tenth."""
    mesh = canonical_points().astype(np.float32)
    eyes = np.linalg.norm(mesh[[33, 133], :2].mean(0) - mesh[[362, 263], :2].mean(0))
    assert relative_error(mesh, mesh) == 0
    moved = mesh + np.float32([0.06, 0.08, 5.0]) * np.float32([eyes, eyes, 1])  # depth is not asked
    assert relative_error(moved, mesh) == pytest.approx(0.1, rel=1e-4)
    assert relative_error(3 * moved, 3 * mesh) == pytest.approx(0.1, rel=1e-4)
    few = mesh.copy()
    few[:200] += 50  # a median does not see the smaller half
    assert relative_error(few, mesh) == 0
