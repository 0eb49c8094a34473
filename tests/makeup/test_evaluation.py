from __future__ import annotations

import onnx
import pytest

from tests.corpus.labelled_tree import write_tree
from tests.face.test_identity import tiny_embedder
from tests.makeup.model_folder import STYLES, write_makeup_model
from visagist.errors import DataError
from visagist.makeup.evaluation import evaluate, worst_sheet

FIELDS = {
    "model", "split", "n", "params", "gflops", "psnr", "psnr_bare", "psnr_in_mask",
    "psnr_in_mask_bare", "ssim", "ssim_bare", "leakage", "gain", "gain_in_mask", "eyeball_level",
    "shift_sensitivity", "pipeline", "per_style", "per_skin_tone", "per_folder", "worst", "skipped",
}  # fmt: skip


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    splits = {"a.png": "test", "b.png": "test", "c.png": "test", "d.png": "train"}
    root = write_tree(tmp_path_factory.mktemp("tree") / "tree", splits)
    (root / "portraits" / "c.png").write_bytes(b"not a picture")
    return root


def test_a_network_that_does_nothing_gains_nothing(tree, tmp_path):
    model = write_makeup_model(tmp_path, idle=True)
    report = evaluate(tree, model=str(model))
    assert report.keys() >= FIELDS
    assert report["gain"] == report["gain_in_mask"] == report["pipeline"]["gain"] == 0
    assert report["psnr"] == report["psnr_bare"]
    assert report["leakage"] == report["eyeball_level"] == report["shift_sensitivity"] == 0
    assert (report["n"], report["split"]) == (2, "test")
    assert list(report["skipped"]) == ["portraits/c.png"]
    assert set(report["per_style"]) == set(STYLES)
    assert report["per_style"]["smoky"]["rows"] == 2
    assert len(report["worst"]) == 2 * len(STYLES)
    sheet = worst_sheet(tree, report, model=str(model))
    assert sheet.shape == (2 * len(STYLES) * 256, 5 * 256, 3)
    bare, ours = sheet[:256, :256], sheet[:256, 512:768]
    assert (bare == ours).all()


def test_a_network_of_random_weights_is_worse_than_nothing(tree, tmp_path):
    seen = []
    report = evaluate(
        tree,
        model=str(write_makeup_model(tmp_path)),
        limit=1,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 1)]
    assert report["gain"] < -3
    assert report["leakage"] > 0.2
    assert report["eyeball_level"] > 1
    assert report["pipeline"]["leakage"] < report["leakage"]


def test_nothing_to_measure(tree, tmp_path):
    model = str(write_makeup_model(tmp_path, idle=True))
    with pytest.raises(DataError, match="no labelled face"):
        evaluate(tree, model=model, split="validation")
    alone = write_tree(tmp_path / "alone", {"a.png": "test"})
    (alone / "portraits" / "a.png").unlink()
    with pytest.raises(DataError, match="could be read"):
        evaluate(alone, model=model)


def test_processes_and_a_judge(tree, tmp_path):
    """Two workers report what one does; makeup moves the judge's embedding a little."""
    onnx.save(tiny_embedder(), tmp_path / "judge.onnx")
    options = {"model": str(write_makeup_model(tmp_path)), "judge": tmp_path / "judge.onnx"}
    alone = evaluate(tree, **options)
    assert evaluate(tree, workers=2, **options) == alone
    assert 0 < alone["identity_cosine_drop"] < 0.2
    assert 0 < alone["identity_cosine_drop_truth"] < 0.2
    assert "identity_cosine_drop" in alone["per_style"]["smoky"]
