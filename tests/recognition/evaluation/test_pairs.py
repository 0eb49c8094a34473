from __future__ import annotations

import io
import json
import pickle

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.recognition.made_people import person, write_model
from visagist.cli.app import app
from visagist.errors import DataError
from visagist.recognition.evaluation.embedders import model_embedder
from visagist.recognition.evaluation.layouts import Pair
from visagist.recognition.evaluation.pairs import evaluate_pairs, open_pairs


def png(number: int, shot: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(person(number, shot)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Four pairs as ``.bin`` and as LFW: same, different, same, different."""
    root = tmp_path_factory.mktemp("pairs")
    shots = [(0, 0), (0, 1), (0, 0), (1, 1), (1, 0), (1, 1), (2, 0), (3, 1)]
    pictures = [png(*shot) for shot in shots]
    (root / "set.bin").write_bytes(pickle.dumps((pictures, [True, False] * 2)))
    lfw = root / "lfw_set"
    for number in range(4):
        (lfw / "lfw" / f"P{number}").mkdir(parents=True)
        for shot in range(2):
            pixels = Image.fromarray(person(number, shot))
            pixels.save(lfw / "lfw" / f"P{number}" / f"P{number}_{shot + 1:04d}.jpg", quality=95)
    (lfw / "pairs.txt").write_text("2\t1\nP0\t1\t2\nP0\t1\tP1\t2\nP1\t1\t2\nP2\t1\tP3\t2\n")
    write_model(root / "ours")
    return root


@pytest.mark.parametrize("name", ["set.bin", "lfw_set"])
def test_drawn_people_are_told_apart_in_both_layouts(place, name):
    pairs = open_pairs(place / name)
    assert [p.same for p in pairs] == [True, False, True, False]
    report = evaluate_pairs(pairs, [model_embedder(place / "ours")])
    assert (report["pairs"], report["failures"]) == (4, 0)
    assert report["embedders"]["ours"]["accuracy"] == 1
    assert report["embedders"]["ours"]["tar_far_1e-2"] is None


def test_a_pair_that_cannot_be_compared_is_a_rejection(place):
    pairs = open_pairs(place / "set.bin")
    nobody = np.full((200, 200, 3), 90, np.uint8)
    stream = io.BytesIO()
    Image.fromarray(nobody).save(stream, "PNG")
    broken = [
        Pair(pairs[0].first, b"no picture", True, 0),
        Pair(pairs[0].first, stream.getvalue(), False, 1),
        *pairs,
    ]
    report = evaluate_pairs(broken, [model_embedder(place / "ours")])
    assert report["failures"] == 2
    assert report["embedders"]["ours"]["accuracy"] < 1
    with pytest.raises(DataError, match="no pair"):
        evaluate_pairs(broken[:2], [model_embedder(place / "ours")])


def test_a_tight_crop_gets_surroundings(place):
    def tight(number: int, shot: int) -> bytes:
        picture = Image.open(io.BytesIO(png(number, shot)))
        stream = io.BytesIO()
        picture.crop((60, 60, 340, 340)).resize((112, 112)).save(stream, "PNG")
        return stream.getvalue()

    pairs = [Pair(tight(0, 0), tight(0, 1), True, 0), Pair(tight(0, 0), tight(1, 1), False, 1)]
    assert evaluate_pairs(pairs, [model_embedder(place / "ours")])["failures"] == 0


def test_an_unknown_layout_is_refused(tmp_path):
    with pytest.raises(DataError, match="neither"):
        open_pairs(tmp_path)


def test_the_command_prints_accuracy(place):
    arguments = ["evaluate", "verification", str(place / "set.bin"), "--json"]
    done = CliRunner().invoke(app, [*arguments, "--model", str(place / "ours")])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["embedders"]["ours"]["accuracy"] == 1
