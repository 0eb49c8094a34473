from __future__ import annotations

import numpy as np
import pytest

from tests.corpus.small_corpus import drawn_corpus, drawn_sample, write_corpus
from visagist.corpus.corpus import Corpus
from visagist.corpus.show import COLOURS, choose, draw_mesh, draw_parts, drawn, sheet
from visagist.errors import DataError, InputError
from visagist.face.parts import Part


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    return Corpus.open(drawn_corpus(tmp_path_factory.mktemp("show") / "corpus", train=6))


def test_choosing(corpus):
    everyone = choose(corpus, 99)
    assert len(everyone) == 11
    assert [r.key for r in choose(corpus, 4)] == [r.key for r in choose(corpus, 4)]
    assert [r.key for r in choose(corpus, 4)] != [r.key for r in choose(corpus, 4, seed=1)]
    assert {r.split for r in choose(corpus, 99, splits=["test"])} == {"test"}
    spread = [r.quality.luminance for r in choose(corpus, 3, sort="luminance")]
    assert spread == sorted(spread)
    assert spread[0] == min(r.quality.luminance for r in everyone)
    assert spread[-1] == max(r.quality.luminance for r in everyone)


def test_the_worst_come_first(corpus):
    everyone = choose(corpus, 99)
    blurred = choose(corpus, 3, worst="sharpness")
    assert [r.quality.sharpness for r in blurred] == sorted(r.quality.sharpness for r in everyone)[
        :3
    ]
    open_mouths = choose(corpus, 2, worst="mouth_open")
    assert open_mouths[0].quality.mouth_open == max(r.quality.mouth_open for r in everyone)
    turned = choose(corpus, 1, worst="yaw")[0].quality.yaw
    middle = np.median([r.quality.yaw for r in everyone])
    assert abs(turned - middle) == max(abs(r.quality.yaw - middle) for r in everyone)


def test_what_does_not_fit(corpus):
    with pytest.raises(InputError, match="beauty"):
        choose(corpus, 3, sort="beauty")
    with pytest.raises(InputError, match="splits are"):
        choose(corpus, 3, splits=["tset"])
    with pytest.raises(DataError, match="no sample"):
        choose(corpus, 3, sources=["elsewhere"])
    with pytest.raises(InputError, match="drawings are"):
        sheet(corpus, choose(corpus, 1), draw=["beard"])


def test_lines_and_colours_lie_where_the_mesh_is(corpus):
    sample = corpus.load(choose(corpus, 1)[0])
    bare, with_mesh, with_parts = np.split(drawn(sample, ["mesh", "parts"], 128), 3, axis=1)
    changed = (np.abs(with_mesh.astype(int) - bare) > 24).any(-1)
    rows, columns = np.nonzero(changed)
    low, high = sample.mesh[:, :2].min(0), sample.mesh[:, :2].max(0)
    assert np.abs([columns.min() - low[0], columns.max() - high[0]]).max() < 3
    assert np.abs([rows.min() - low[1], rows.max() - high[1]]).max() < 3
    x, y = sample.mesh[[13, 14]].mean(0)[:2].astype(int)  # between the lips
    red = with_parts[y, x].astype(int)
    assert red[0] > red[1] + 40
    closer = drawn(sample, [], 128, zoom=1.0)
    assert closer.shape == (128, 128, 3)
    assert (np.abs(closer.astype(int) - bare) > 24).mean() > 0.1


def test_label_maps_in_their_colours():
    labels = np.array([[p.value for p in Part] + [200]], np.uint8)
    black = np.zeros((*labels.shape, 3), np.uint8)
    painted = draw_parts(black, labels)[0].astype(int)
    assert len(np.unique(painted, axis=0)) == len(labels[0])
    assert np.abs(painted[Part.HAIR] - 0.55 * np.array(COLOURS[Part.HAIR])).max() <= 1


def test_a_mesh_outside_the_picture_is_drawn_as_far_as_it_is_inside():
    mesh = np.zeros((478, 3), np.float32) + np.linspace(-50, 150, 478)[:, None]
    assert draw_mesh(np.zeros((64, 64, 3), np.uint8), mesh).shape == (64, 64, 3)


def test_the_sheet_says_when_it_must_not_be_shown(tmp_path):
    faces = [(drawn_sample(0), "train"), (drawn_sample(1, may_show=False), "train")]
    corpus = Corpus.open(write_corpus(tmp_path / "corpus", faces))
    shown, hidden = sorted(corpus.records, key=lambda r: not r.origin.may_show)
    free = sheet(corpus, [shown], cell=64)
    mixed = sheet(corpus, [shown, hidden], cell=64, columns=2)
    assert mixed.shape[0] == free.shape[0] + 28
    red, green, _ = mixed[-3, -3].astype(int)  # the line at the bottom
    assert red > 2 * green
    assert np.ptp(free[-3, -3].astype(int)) < 10
