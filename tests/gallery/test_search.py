from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from visagist.gallery import search
from visagist.gallery.search import ExactIndex, best_of_each


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def brute(owners, vectors, gone, last_days, query, threshold, today, limit):
    best: dict[bytes, float] = {}
    for owner, row in zip(owners, vectors, strict=True):
        score = float(np.dot(row, query))
        if owner in gone or last_days[owner] < today or score < np.float32(threshold):
            continue
        best[owner] = max(best.get(owner, -2.0), score)
    return sorted(best.items(), key=lambda item: -item[1])[:limit]


@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 60),
    people=st.integers(1, 12),
    threshold=st.floats(-1, 1),
    limit=st.integers(1, 5),
    gone=st.sets(st.integers(0, 11)),
)
def test_it_finds_what_looking_at_everything_finds(seed, rows, people, threshold, limit, gone):
    rng = np.random.default_rng(seed)
    block = search.BLOCK
    search.BLOCK = 8  # so that a few rows fill several blocks
    try:
        index = ExactIndex(5)
        ids = [bytes([k]) * 16 for k in range(people)]
        last_days = {id: int(rng.integers(90, 130)) for id in ids}
        for id in ids:
            index.set_person(id, last_days[id])
        owners = [ids[k] for k in rng.integers(0, people, rows)]
        vectors = unit(rng.normal(size=(rows, 5)))
        for owner, row in zip(owners, vectors, strict=True):
            index.add(owner, row)
        left = {ids[k] for k in gone if k < people}
        for id in left:
            index.remove(id)
        query = unit(rng.normal(size=(1, 5)))[0]
        hits = index.search(query, threshold=threshold, limit=limit, today=100)
        expected = brute(owners, vectors, left, last_days, query, threshold, 100, limit)
    finally:
        search.BLOCK = block
    # the best may tie to the last bit; scores decide, and every name has its own score
    assert np.allclose([h.score for h in hits], [s for _, s in expected], atol=1e-6)
    assert len({h.person for h in hits}) == len(hits)
    assert {h.person for h in hits} == {p for p, _ in expected}
    matchable = {o for o in owners if o not in left and last_days[o] >= 100}
    assert index.matchable(100) == len(matchable)
    assert len(index) == sum(owner not in left for owner in owners)


def test_a_removed_vector_is_overwritten():
    index = ExactIndex(4)
    for k in range(3):
        index.set_person(bytes([k]) * 16, None)
        index.add(bytes([k]) * 16, np.full(4, 0.5, np.float32) * (-1) ** k)
    index.remove(bytes(16))
    kept = np.concatenate(index._blocks)
    assert np.count_nonzero(kept.any(1)) == 2
    assert len(index) == 2


def test_a_freed_place_is_another_person():
    index = ExactIndex(2)
    here = np.float32([1, 0])
    for name in (b"a", b"b"):
        index.set_person(name * 16, None)
        index.add(name * 16, here)
        index.remove(name * 16)
        assert index.search(here, threshold=0, limit=9, today=1) == []
    index.set_person(b"c" * 16, None)
    index.add(b"c" * 16, here)
    assert [h.person for h in index.search(here, threshold=0, limit=9, today=1)] == [b"c" * 16]


def test_growing_past_the_first_arrays():
    index = ExactIndex(2)
    count = search.BLOCK * 2 + 5
    angles = np.linspace(0, np.pi, count)
    rows = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    for k, row in enumerate(rows):
        index.set_person(k.to_bytes(16, "big"), None)
        index.add(k.to_bytes(16, "big"), row)
    for k in (0, search.BLOCK, count - 1):
        hits = index.search(rows[k], threshold=0.9999999, limit=1, today=1)
        assert int.from_bytes(hits[0].person, "big") in range(k - 3, k + 4)
    assert index.matchable(1) == count


def test_ties_keep_the_order_of_the_rows():
    owners = np.int32([3, 1, 3, 2])
    assert best_of_each(owners, np.float32([0.5, 0.5, 0.9, 0.5]), 9) == [
        (3, np.float32(0.9)),
        (1, 0.5),
        (2, 0.5),
    ]
    assert best_of_each(np.int32([]), np.float32([]), 3) == []
