from __future__ import annotations

import threading
from itertools import islice

import pytest
import torch

from tests.corpus.small_corpus import drawn_corpus
from visagist.corpus.corpus import Corpus
from visagist.corpus.feed.batches import Ahead, StreamBatches
from visagist.corpus.feed.selection import FeedConfig, select_faces
from visagist.corpus.feed.stream import ShardStream

CONFIG = FeedConfig(use="mesh", size=48, zoom=2.0)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_batches_come_by_step(workers):
    ahead = Ahead(lambda step: step * step, steps=10, workers=workers)
    assert [ahead[step] for step in range(10)] == [n * n for n in range(10)]
    assert [ahead[step] for step in (4, 5, 2, 9, 9)] == [16, 25, 4, 81, 81]
    ahead.close()


def test_the_next_ones_are_made_while_this_one_is_used():
    made, asked = [], threading.Event()

    def make(step: int) -> int:
        made.append(step)
        if step == 3:
            asked.set()
        return step

    ahead = Ahead(make, steps=100, workers=1, depth=3)
    assert ahead[0] == 0
    assert asked.wait(10)
    assert made == [0, 1, 2, 3]  # no more than the depth
    ahead.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_worker_computes_on_one_core_and_the_trainer_on_its_own(workers):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        ahead = Ahead(lambda step: torch.get_num_threads(), steps=4, workers=workers)
        assert [ahead[step] for step in range(4)] == [1] * 4
        assert torch.get_num_threads() == 2
        ahead.close()
    finally:
        torch.set_num_threads(before)


def test_none_is_made_beyond_the_last_step():
    made = []
    ahead = Ahead(made.append, steps=3, workers=2)
    for step in range(3):
        assert ahead[step] is None
    ahead.close()
    assert sorted(made) == [0, 1, 2]


def test_an_error_reaches_the_trainer():
    def make(step: int) -> int:
        if step == 2:
            raise ValueError("step two")
        return step

    ahead = Ahead(make, steps=5, workers=1)
    assert (ahead[0], ahead[1]) == (0, 1)
    with pytest.raises(ValueError, match="step two"):
        ahead[2]
    ahead.close()


def test_a_stream_gives_a_step_its_faces_wherever_it_starts(tmp_path):
    corpus = Corpus.open(drawn_corpus(tmp_path / "corpus", train=7, validation=0, test=0, size=64))
    records = select_faces(corpus, CONFIG, ("train",))
    stream = ShardStream(corpus, records, CONFIG, buffer=3)
    numbers = list(islice(stream.order(), 20))
    batches = StreamBatches(stream, 4, workers=2)
    crops, meshes = batches(0)
    assert crops.shape == (4, 48, 48, 3)
    assert crops.dtype == torch.uint8
    want = torch.tensor(records[numbers[0]].mesh * 48 / 64)
    assert torch.allclose(meshes[0], want, atol=1e-4)
    second, third = batches(1)[0], batches(2)[0]
    again = StreamBatches(stream, 4)
    assert torch.equal(again(2)[0], third)
    assert torch.equal(again(1)[0], second)
