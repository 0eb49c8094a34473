from __future__ import annotations

import pytest

from tests.generation.made_generator import write_generator
from visagist.deploy.benchmark_generation import benchmark_generation


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return (
        write_generator(root, "consistency", "tiny"),
        write_generator(root, "diffusion", "tiny-diffusion"),
    )


def test_each_number_of_steps_is_timed_with_the_model_made_for_it(models):
    one, many = models
    seen = []
    report = benchmark_generation(
        model=f"{one}/", many=f"{many}/", seconds=0, progress=lambda *place: seen.append(place)
    )
    table = report["table"]
    assert set(table) == {
        f"{steps}, {threads}, batch {batch}"
        for steps, batches in [
            ("1 step", (1, 8, 32)), ("2 steps", (1, 8, 32)), ("8 steps", (8,)), ("32 steps", (8,)),
        ]
        for threads in ("1 thread", "2 threads")
        for batch in batches
    }  # fmt: skip
    assert all(rate > 0 for rate in table.values())
    two = [rate for name, rate in table.items() if name.startswith("1 step, 2 threads")]
    assert report["one_step_per_second"] == max(two)
    alone = [rate for name, rate in table.items() if name.startswith("1 step, 1 thread,")]
    assert report["one_step_per_second_1_thread"] == max(alone)
    assert len(report["models"]) == 2
    assert report["params"] > 0
    assert report["side"] == 16
    assert seen[-1] == (len(table), len(table))


def test_a_model_with_many_steps_alone_has_no_figure_for_one(models):
    report = benchmark_generation(model=f"{models[1]}/", seconds=0, threads=(1,))
    assert "one_step_per_second" not in report
    assert not any(name.startswith("1 step,") for name in report["table"])
