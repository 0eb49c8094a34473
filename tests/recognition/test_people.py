from __future__ import annotations

import numpy as np
import pytest

from tests.recognition.small_people import people_corpus
from visagist.corpus.corpus import Corpus
from visagist.errors import DataError
from visagist.recognition.classifier import UNLABELLED
from visagist.recognition.finetune_config import PeopleConfig
from visagist.recognition.measure import auc, pair_rates
from visagist.recognition.people import (
    People,
    mean_faces,
    person_of,
    records_of,
    sort_people,
    without_overlap,
)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    corpus = Corpus.open(people_corpus(tmp_path_factory.mktemp("people") / "corpus"))
    return corpus.select(splits=("train",))


def test_two_pictures_make_a_person_known(records):
    people = sort_people(records, PeopleConfig())
    assert set(people.names) == {f"drawn/p{n}" for n in range(4)}
    assert len(people.known) == 8
    assert len(people.unlabelled) == 5
    for i in people.known:
        assert people.names[people.labels[i]] == person_of(records[i])
    assert (people.labels[people.unlabelled] == UNLABELLED).all()


def test_people_beyond_the_wanted_number_are_unlabelled(records):
    two = sort_people(records, PeopleConfig(known=2))
    three = sort_people(records, PeopleConfig(known=3))
    assert two.names == three.names[:2]
    assert len(two.unlabelled) == 5 + 4
    few = sort_people(records, PeopleConfig(known=2, unlabelled=3))
    more = sort_people(records, PeopleConfig(known=2, unlabelled=6))
    assert len(few.unlabelled) == 3
    assert set(few.unlabelled) < set(more.unlabelled) < set(two.unlabelled)


def test_kinds(records):
    people = sort_people(records, PeopleConfig(unlabelled_kinds=("generated",)))
    assert {records[i].origin.kind for i in people.unlabelled} == {"generated"}
    with pytest.raises(DataError, match="0 people have 2 pictures"):
        sort_people(records, PeopleConfig(known_kinds=("generated",)))
    with pytest.raises(DataError, match="0 people have 3 pictures"):
        sort_people(records, PeopleConfig(pictures=3))


def test_faces_find_their_records(tmp_path, records):
    path = people_corpus(tmp_path / "corpus")
    keys = [record.key for record in records[::-1]]
    assert [r.key for r in records_of([path], keys)] == keys
    with pytest.raises(DataError, match="in no corpus"):
        records_of([path], ["0" * 16])


def around(rng, centre, spread, count):
    vectors = centre + spread * rng.normal(size=(count, len(centre)))
    return (7 * vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_unlabelled_faces_of_known_people_are_left_out():
    rng = np.random.default_rng(0)
    centres = np.linalg.qr(rng.normal(size=(64, 64)))[0]
    vectors = [around(rng, centres[i], 0.03, 5) for i in range(40)]
    vectors += [around(rng, centres[i], 0.03, 1) for i in range(10)]  # known after all
    vectors += [around(rng, centres[50 + i], 0.03, 1) for i in range(10)]
    labels = np.array([*np.repeat(np.arange(40), 5), *[UNLABELLED] * 20], np.int64)
    names = tuple(str(n) for n in range(40))
    people = People(names, labels, np.arange(200), np.arange(200, 220))
    kept, overlap = without_overlap(people, np.concatenate(vectors), 0.01)
    left = set(kept.unlabelled.tolist())
    assert not left & set(range(200, 210))
    assert len(left & set(range(210, 220))) >= 9  # a stranger may be near somebody by chance
    assert (overlap.unlabelled, overlap.dropped) == (20, 20 - len(left))
    assert 0 < overlap.threshold < 0.9
    # that is what the threshold was set for: one in a hundred known faces is nearer to another
    means = mean_faces(np.concatenate(vectors), labels, 40)
    unit = np.concatenate(vectors)[:200] / 7
    cosines = unit @ means.T
    cosines[np.arange(200), labels[:200]] = -1
    assert (cosines.max(1) > overlap.threshold).mean() <= 0.01


def test_mean_faces():
    vectors = np.array([[3, 0], [0, 1], [5, 5], [0, -2]], np.float32)
    means = mean_faces(vectors, np.array([0, 0, UNLABELLED, 1]), 2)
    np.testing.assert_allclose(means, [[0.5**0.5, 0.5**0.5], [0, -1]], atol=1e-6)


def test_auc_counts_pairs():
    rng = np.random.default_rng(1)
    known, unknown = rng.integers(0, 6, 40) / 4, rng.integers(0, 5, 30) / 4
    pairs = (known[:, None] > unknown).mean() + (known[:, None] == unknown).mean() / 2
    assert auc(known, unknown) == pytest.approx(pairs, abs=1e-12)
    assert auc(np.ones(3), np.zeros(2)) == 1


def test_pair_rates_are_told_where_they_can_be_measured():
    rng = np.random.default_rng(2)
    vectors = np.repeat(np.linalg.qr(rng.normal(size=(40, 40)))[0], 2, 0).astype(np.float32)
    names = np.repeat(np.arange(40).astype(str), 2)
    rates = pair_rates(vectors, names)
    assert set(rates) == {"tar_far_1e-2", "tar_far_1e-3"}  # 3120 pairs of strangers
    assert rates["tar_far_1e-3"] == 1
    assert pair_rates(vectors[::2], names[::2]) == {}
