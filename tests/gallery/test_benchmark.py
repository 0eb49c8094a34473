from __future__ import annotations

import numpy as np

from visagist.gallery.benchmark import benchmark_gallery, made_people, made_probes


def test_made_up_people_are_alike_in_families_and_like_themselves():
    people = made_people(400, 128)
    probes = made_probes(people)
    scores = people @ probes.T
    own = np.diag(scores)
    assert 0.75 < own.mean() < 0.85
    families = np.arange(400) % 20
    kin = (families[:, None] == families) & ~np.eye(400, dtype=bool)
    assert 0.15 < scores[kin].mean() < 0.35
    assert abs(scores[families[:, None] != families].mean()) < 0.05


def test_a_small_benchmark_measures_what_it_says(tmp_path):
    steps = []
    told = benchmark_gallery(
        300,
        queries=20,
        enrolments=10,
        folder=tmp_path,
        progress=lambda done, of: steps.append((done, of)),
    )
    assert steps[-1] == (300, 300)
    assert told["people"] == 300
    assert told["mated_found"] == 1.0
    assert told["strangers_named"] == 0.0
    for name in ("search", "floor", "ceiling"):
        assert 0 < told[f"{name}_min_ms"] <= told[f"{name}_p50_ms"] <= told[f"{name}_p95_ms"]
    for name in ("megabytes", "open_s", "enroll_per_s", "enroll_many_per_s", "file_megabytes"):
        assert told[name] > 0
    assert list(tmp_path.iterdir()) == []  # nothing is left behind
