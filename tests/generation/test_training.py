from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
import yaml

from tests.corpus.small_corpus import drawn_corpus
from tests.generation.pictures import FACES, LOOP, NETWORK, class_folders, discs, recipe, stored
from tests.generation.several import run
from tests.training.test_parallel import log_of, torchrun
from visagist.errors import ConfigError, DataError
from visagist.generation.config import PretrainRecipe
from visagist.generation.denoise import clean_estimate, consistent_estimate
from visagist.generation.noise import interval_weight, karras_levels
from visagist.generation.one_step import LOWEST
from visagist.generation.training import load_generator, make_task, stage_of, train
from visagist.training.averages import average_afterwards
from visagist.training.loop import train as run_loop
from visagist.training.parallel import Part
from visagist.training.run import read_run, write_run

CPU = torch.device("cpu")


def task_of(made, **more):
    pictures = stored()
    return make_task(made, pictures=pictures, held_out=pictures, device=CPU, **more)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A finished run of stage 1."""
    folder = tmp_path_factory.mktemp("first") / "pretrain"
    run("pretrain", folder)
    return folder


@pytest.mark.skipif(sys.platform == "win32", reason="torchrun with gloo is for POSIX")
def test_two_processes_train_what_one_does(tmp_path, first):
    torchrun("tests.generation.several", str(tmp_path), str(first))
    for stage in ("pretrain", "diffusion", "consistency"):
        if stage == "pretrain":
            one = first
        else:
            one = tmp_path / stage
            run(stage, one, start=first)
        for way in ("ddp", "fsdp"):
            both = tmp_path / way / stage
            for ours, theirs in zip(log_of(both), log_of(one), strict=True):
                for name in ("tflops", "utilisation"):
                    ours.pop(name, None), theirs.pop(name, None)
                assert ours == pytest.approx(theirs, rel=2e-3, abs=2e-5)
            weights = [read_run(f, type(recipe(stage)))[1] for f in (both, one)]
            assert weights[0].keys() == weights[1].keys()
            for name, value in weights[0].items():
                assert torch.allclose(value, weights[1][name], atol=2e-3), name


def test_a_batch_in_parts_has_the_same_loss():
    for stage in ("diffusion", "consistency"):
        made = recipe(stage, auxiliary=0) if stage == "consistency" else recipe(stage)
        task = task_of(made)
        whole = task.part_losses(task.model, 1, Part())
        halves = [task.part_losses(task.model, 1, Part(i, 2)) for i in range(2)]
        for name, value in whole.items():
            mean = sum(float(h[name].detach()) for h in halves) / 2
            assert mean == pytest.approx(float(value.detach()), rel=1e-5)


def test_diffusion_learns_and_its_samples_come_near_the_pictures(tmp_path):
    made = recipe(
        "diffusion",
        loop={"steps": 120, "lr": 4e-3, "log_every": 40, "validate_every": 120, "ema_gamma": 6.0,
              "checkpoint_every": 120, "ema_second": 16.97, "average_every": 20, "warmup": 10},
        log_mean=0.3, log_std=1.3, weight="velocity", velocity_cap=4, uniform=0.5,
    )  # fmt: skip
    task = task_of(made)
    before = task.validate(task.model)
    run_loop(task, made.loop, tmp_path)
    line = log_of(tmp_path)[-1]
    # the mean picture has the variance of the pictures as its error
    variance = float((stored().get(np.arange(64))[0] / 127.5 - 1).var(0).mean())
    assert line["val_mse_80"] < 0.75 * before["mse_80"]
    assert line["val_mse_0.5"] < 0.4 * variance
    write_run(tmp_path, task.model, made)
    found = average_afterwards(tmp_path, 0.1)
    exact = task.model.state_dict()
    assert found.keys() == exact.keys()
    _, averaged = load_generator(tmp_path, found)
    assert task.validate(averaged)["mse_0.5"] < 0.4 * variance


def test_a_handful_of_pictures_is_refused():
    with pytest.raises(DataError, match="at least 16"):
        make_task(recipe("diffusion"), pictures=stored(15), held_out=None, device=CPU)


def test_pretraining_tells_pictures_apart_and_its_teacher_follows(tmp_path):
    made = recipe("pretrain", loop={"steps": 40, "validate_every": 40, "lr": 3e-3}, teacher=0.9)
    task = task_of(made)
    before = task.validate(task.model)
    start = [p.clone() for p in task.teacher.parameters()]
    run_loop(task, made.loop, tmp_path / "a")
    after = log_of(tmp_path / "a")[-1]
    assert after["val_found_5"] > before["found_5"]
    assert after["val_spread"] > 0.2
    assert any(not torch.equal(a, b) for a, b in zip(start, task.teacher.parameters(), strict=True))
    # the teacher is in the checkpoint: a resumed run is the unbroken one
    broken = task_of(made)
    stairs = made.loop.model_copy(update={"lr_stairs": ((0, 1e-3),)})
    run_loop(broken, stairs.model_copy(update={"steps": 4}), tmp_path / "b")
    resumed = task_of(made)
    run_loop(resumed, stairs.model_copy(update={"steps": 8}), tmp_path / "b", resume=True)
    whole = task_of(made)
    run_loop(whole, stairs.model_copy(update={"steps": 8}), tmp_path / "c")
    for a, b in zip(resumed.teacher.parameters(), whole.teacher.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_the_teacher_is_a_moving_average():
    task = task_of(recipe("pretrain", teacher=0.75))
    before = [p.clone() for p in task.teacher.parameters()]
    with torch.no_grad():
        for parameter in task.network.parameters():
            parameter.add_(1)
    task.after_step(1)
    for old, new in zip(before, task.teacher.parameters(), strict=True):
        assert torch.allclose(new, old + 0.25, atol=1e-6)


def test_one_level_for_all_parts_and_a_growing_choice():
    made = recipe("pretrain", loop={"steps": 1000}, levels=(4, 64))
    task = task_of(made)
    again = task_of(made)
    pairs = {step: task.levels_of(step) for step in range(0, 1000, 23)}
    assert pairs == {step: again.levels_of(step) for step in pairs}
    coarse = set(karras_levels(5))
    assert set(pairs[0]) <= coarse
    assert all(high > low for high, low in pairs.values())
    late = [high for step, (high, _) in pairs.items() if step > 800]
    assert not set(late) <= coarse


@pytest.mark.parametrize("weight", ["interval", "velocity"])
def test_diffusion_levels_and_weights(weight):
    task = task_of(recipe("diffusion", weight=weight, levels=1280))
    draws = task.batches.draw(0, Part()).draws
    sigma, found = task.levels_of(draws)
    assert set(sigma) <= set(karras_levels(1280))
    wanted = (
        interval_weight(sigma) if weight == "interval" else np.minimum((1 + 1 / sigma) ** 2, 50)
    )
    assert found == pytest.approx(wanted)
    many = recipe("diffusion", levels=0, batch=4096)
    free, _ = task_of(many).levels_of(task_of(many).batches.draw(0, Part()).draws)
    assert not set(free) <= set(karras_levels(1280))
    assert np.log(free).mean() == pytest.approx(-1.2, abs=0.1)
    assert np.log(free).std() == pytest.approx(1.6, abs=0.1)
    even = recipe("diffusion", levels=0, batch=4096, uniform=1.0)
    free, _ = task_of(even).levels_of(task_of(even).batches.draw(0, Part()).draws)
    assert np.mean(free > karras_levels(3)[1]) == pytest.approx(0.5, abs=0.03)


def test_consistency_levels_come_closer_by_stages():
    task = task_of(recipe("consistency", auxiliary=0, stage_steps=10, last_stage=3))
    draws = np.linspace(-5, 5, 101)
    gaps = []
    for step in (0, 9, 10, 25, 1000):
        t, r = task.levels_of(draws, step)
        assert (t > r).all()
        assert t.min() == LOWEST
        gaps.append((t - r).sum())
    assert gaps[0] == gaps[1] > gaps[2] > gaps[3] == gaps[4]


def test_the_consistency_function_is_the_identity_at_the_lowest_level():
    task = task_of(recipe("consistency", auxiliary=0))
    x = torch.randn(3, 3, 16, 16)
    least = np.full(3, 0.002 * 16 / 64)
    assert torch.equal(consistent_estimate(task.model, task.config, x, least), x)


def test_an_untrained_estimate_is_zero():
    task = task_of(recipe("diffusion"))
    x = torch.randn(3, 3, 16, 16)
    assert not clean_estimate(task.model, task.config, x, np.ones(3)).any()


def test_consistency_learns_to_jump(tmp_path, first):
    made = recipe(
        "consistency",
        loop={"steps": 80, "lr": 3e-3, "log_every": 40, "validate_every": 80, "ema_gamma": 6.0},
        stage_steps=40, auxiliary=0.1, log_mean=0.5,
    )  # fmt: skip
    task = task_of(made, start=first)
    kept = {k: v.clone() for k, v in task.pretrained.state_dict().items()}
    before = task.validate(task.model)
    run_loop(task, made.loop, tmp_path)
    after = log_of(tmp_path)[-1]
    assert after["val_mse_80"] < 0.9 * before["mse_80"]
    assert after["val_mse_5"] < 0.85 * before["mse_5"]
    for name, value in task.pretrained.state_dict().items():
        assert torch.equal(value, kept[name])


@pytest.mark.parametrize("projector", [False, True])
def test_the_auxiliary_loss_moves_the_generator_alone(first, projector):
    task = task_of(recipe("consistency", auxiliary_projector=projector), start=first)
    losses = task.part_losses(task.model, 0, Part())
    losses["auxiliary"].backward()
    assert any(p.grad is not None and p.grad.any() for p in task.network.parameters())
    assert all(p.grad is None for p in task.pretrained.parameters())


def test_both_passes_of_consistency_drop_the_same_units():
    """With t = r the two estimates are one, so their distance is 0 whatever is dropped."""
    made = recipe("consistency", auxiliary=0, network={"dropout": 0.5})
    task = task_of(made)
    with torch.no_grad():
        for parameter in task.network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    task.levels_of = lambda draws, step: (np.full(16, 1.0), np.full(16, 1.0 - 1e-9))
    task.model.train()
    loss = task.part_losses(task.model, 0, Part())["consistency"]
    assert float(loss.detach()) * 1e-9 < 1e-3


def test_labels_and_sources_are_left_out_at_random():
    classes = recipe("diffusion", network={"classes": 3}, label_drop=0.5)
    pictures = stored(labels=np.arange(64) % 3)
    task = make_task(classes, pictures=pictures, held_out=pictures, device=CPU)
    batches = [task.batches.draw(step, Part()) for step in range(20)]
    labels = torch.cat([task.given(b, label_drop=0.5).label for b in batches])
    assert 0.4 < float((labels == 3).float().mean()) < 0.6
    assert set(labels.tolist()) == {0, 1, 2, 3}
    assert torch.equal(task.given(batches[0]).label, batches[0].label)
    assert task.part_losses(task.model, 0, Part())["denoise"] > 0
    assert "mse_80" in task.validate(task.model)
    sources = recipe("diffusion", network={"source": True, "masks": 1, "residual": True})
    with pytest.raises(ConfigError, match="no sources"):
        task_of(sources).part_losses(None, 0, Part())
    with pytest.raises(ConfigError, match="no classes"):
        task_of(classes).part_losses(None, 0, Part())
    with pytest.raises(ConfigError, match="3 classes"):
        make_task(recipe("diffusion", network={"classes": 2}), pictures=pictures, held_out=None,
                  device=CPU)  # fmt: skip


def test_editing_learns_from_pairs(tmp_path):
    """Discs turned dark: a residual network starts at the source's error and falls below it."""
    pictures = discs(64)
    changed = pictures.copy()
    inside = pictures[..., :1] > 125
    changed[..., 0] = np.where(inside[..., 0], pictures[..., 0] // 2, pictures[..., 0])
    pairs = stored(64, sources=changed, masks=(inside * 255).astype(np.uint8))
    made = recipe(
        "diffusion", network={"source": True, "masks": 1, "residual": True},
        loop={"steps": 60, "lr": 3e-3, "validate_every": 60}, source_drop=0.0,
    )  # fmt: skip
    task = make_task(made, pictures=pairs, held_out=pairs, device=CPU)
    before = task.validate(task.model)["mse_80"]
    run_loop(task, made.loop, tmp_path)
    assert log_of(tmp_path)[-1]["val_mse_80"] < 0.5 * before


def test_from_recipe_and_corpus_to_weights(tmp_path, first):
    corpus = drawn_corpus(tmp_path / "corpus", train=16, validation=4, test=0, size=64)
    paths = {}
    for stage in ("diffusion", "consistency"):
        text = {"stage": stage, "data": {"faces": FACES, "block": 4}, "network": NETWORK,
                "loop": LOOP | {"bf16": True}, stage: {"batch": 8}}  # fmt: skip
        paths[stage] = tmp_path / f"{stage}.yaml"
        paths[stage].write_text(yaml.safe_dump(text))
    built, seen = [], []
    out = train(
        paths["diffusion"], data=[corpus], output=tmp_path / "diffusion", start=first,
        building=lambda done, total: built.append((done, total)),
        progress=lambda step, numbers: seen.append(numbers),
    )  # fmt: skip
    assert stage_of(out) == "diffusion"
    assert stage_of(first) == "pretrain"
    assert built
    assert seen[0]["pictures_per_second"] > 0
    assert 0 < seen[0]["utilisation"] < 1
    # stage 2 for one step, from stage 2 for many, judged by stage 1
    last = train(
        paths["consistency"], data=[corpus], output=tmp_path / "one", start=out, encoder=first,
        cache=tmp_path / "diffusion" / "cache",
    )  # fmt: skip
    settings, network = load_generator(last)
    assert settings.stage == "consistency"
    assert not network.training
    with pytest.raises(ConfigError, match="auxiliary needs"):
        train(paths["consistency"], data=[corpus], output=tmp_path / "two")
    with pytest.raises(DataError, match="makes no pictures"):
        load_generator(first)
    with pytest.raises(DataError, match="do not fit"):
        wider = recipe("diffusion", network={"encoder_width": 64})
        task_of(wider, start=first)
    with pytest.raises(DataError, match="no finished run"):
        stage_of(tmp_path)


def test_class_folders_train_with_labels(tmp_path):
    root = class_folders(tmp_path / "root")
    text = {"stage": "diffusion", "data": {"folder": "imagenet", "block": 4, "workers": 1},
            "network": NETWORK | {"classes": 2}, "loop": LOOP,
            "diffusion": {"batch": 8}}  # fmt: skip
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(text))
    out = train(path, data=[root], output=tmp_path / "out")
    _, network = load_generator(out)
    assert network.label.weight.shape == (3, 32)


def test_a_source_can_be_added_to_a_trained_network(tmp_path, first):
    run("diffusion", tmp_path / "plain", start=first)
    more = recipe("diffusion", network={"source": True})
    pictures = stored(sources=discs(64))
    task = make_task(more, pictures=pictures, held_out=None, device=CPU, start=tmp_path / "plain")
    _, plain = load_generator(tmp_path / "plain")
    for name, value in plain.state_dict().items():
        assert torch.equal(task.network.state_dict()[name], value)


def test_stage_one_can_start_from_stage_one(first):
    task = task_of(recipe("pretrain"), start=first)
    _, weights = read_run(first, PretrainRecipe)
    for network in (task.network, task.teacher):
        for name, value in network.state_dict().items():
            assert torch.equal(value, weights[name])


@pytest.mark.parametrize("cap", [0.0, 5.0])
def test_weights_of_consistency_end_at_the_cap(cap):
    made = recipe("consistency", auxiliary=0, weight_cap=cap)
    task = task_of(made)
    t = np.array([0.01, 0.5, 3.0, 50.0])
    r = t * np.array([0.8, 0.5, 0.9, 0.99])
    wanted = np.array([500.0, 4.0, 1 / 0.3, 2.0])
    found = task.weights(t, r)
    np.testing.assert_allclose(found, np.minimum(wanted, cap) if cap else wanted, rtol=1e-9)
