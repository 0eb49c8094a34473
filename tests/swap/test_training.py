from __future__ import annotations

import json

import pytest
import torch
import yaml
from torch import nn

from tests.swap.small import PAPER, Squares, config, encoder, recipe
from visagist.errors import ConfigError, DataError
from visagist.swap import training
from visagist.swap.config import IdentityConfig, MaskConfig, NetworkConfig, PixelConfig
from visagist.swap.modulation import blend
from visagist.swap.network import make_network
from visagist.swap.training import SwapTask, load_swap
from visagist.training.checkpoint import load_latest
from visagist.training.loop import train
from visagist.training.run import write_run

CPU = torch.device("cpu")
CLOCK = ("steps_per_second", "triplets_per_second")


def task_of(settings, triplets=None, *, workers=0) -> SwapTask:
    torch.manual_seed(0)
    network = make_network(settings.network)
    return SwapTask(
        settings, network, encoder(), triplets or Squares(), device=CPU, workers=workers
    )


def lines(folder):
    text = (folder / "log.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(x).items() if k not in CLOCK} for x in text]


@pytest.mark.parametrize(
    "network",
    [config(), config(guide=True), config(mask=False), NetworkConfig.model_validate(PAPER)],
)
def test_every_term_is_there(network):
    settings = recipe(network=network, adversarial=1)
    task = task_of(settings)
    generator = torch.Generator().manual_seed(0)
    resting = task.losses(task.model, 0, generator)
    assert task.opponent_losses(0) == {}
    losses = task.losses(task.model, 1, generator)
    assert set(losses) - set(resting) == {"adversarial", "matching"}
    assert {"pixel", "identity", "perceptual"} <= set(resting)
    assert ("mask_area" in resting) == network.masked
    assert all(value.ndim == 0 and bool(value.isfinite()) for value in losses.values())
    sum(losses.values()).backward()
    assert all(p.grad is None for p in task.opponent.parameters())
    assert set(task.opponent_losses(1)) == {"discriminator"}
    assert task.opponent_losses(1) == {}  # judged once
    told = task.rates(2.0)
    assert told["triplets_per_second"] == 8
    assert -1 <= told["cosine"] <= 1


def test_the_opponent_judges_what_was_drawn_and_changes_nothing_else():
    task = task_of(recipe(adversarial=0))
    task.losses(task.model, 0, torch.Generator())
    task.network.zero_grad()
    task.opponent_losses(0)["discriminator"].backward()
    assert all(p.grad is None or not p.grad.any() for p in task.network.parameters())
    assert all(p.grad is not None for p in task.opponent.parameters())


def test_it_learns_to_put_in_the_sources_colour(tmp_path):
    settings = recipe(
        steps=80,
        adversarial=1000,
        identity=IdentityConfig(weights=(2.0, 1.0, 1.0)),
        mask=MaskConfig(start=10, core=0.5),
        pixel=PixelConfig(weight=40.0),
        perceptual=0.0,
    )
    loop = settings.loop.model_copy(update={"validate_every": 20, "log_every": 20, "lr": 1e-2})
    small = settings.data.model_copy(update={"size": 32, "batch": 8})
    settings = settings.model_copy(update={"loop": loop, "data": small})
    task = task_of(settings)
    train(task, settings.loop, tmp_path)
    found = [line for line in lines(tmp_path) if "val_psnr" in line]
    held_out = task.prepared(Squares().draw(0, 8, 1))
    error = ((held_out.target - held_out.truth) / 2).square().mean((1, 2, 3))
    copied = float((-10 * torch.log10(error[held_out.weight > 0])).mean())
    assert found[-1]["val_psnr"] > copied + 1
    assert found[-1]["val_cosine"] > found[0]["val_cosine"] + 0.02
    assert found[-1]["val_mask_mean"] > 0.2


def test_a_run_that_was_stopped_goes_on_bit_for_bit(tmp_path):
    settings = recipe(steps=6, adversarial=1)
    whole = train(task_of(settings), settings.loop, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(task_of(settings, Squares(fails_at=5)), settings.loop, tmp_path / "cut")
    assert load_latest(tmp_path / "cut" / "checkpoints")[0] == 4
    resumed = train(task_of(settings), settings.loop, tmp_path / "cut", resume=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    one, other = (load_latest(tmp_path / name / "checkpoints")[1] for name in ("whole", "cut"))
    for name, value in one["opponent"].items():
        assert torch.equal(value, other["opponent"][name]), name
    assert (
        lines(tmp_path / "whole")[4:]
        == lines(tmp_path / "cut")[-len(lines(tmp_path / "whole")[4:]) :]
    )


def test_batches_made_ahead_change_nothing(tmp_path):
    settings = recipe(steps=3)
    a, b = (
        train(task_of(settings, workers=n), settings.loop, tmp_path / str(n)).state_dict()
        for n in (0, 1)
    )
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_pictures_are_reduced_to_the_side_of_the_training():
    settings = recipe()
    half = settings.model_copy(update={"data": settings.data.model_copy(update={"size": 32})})
    task = task_of(half)
    batch = Squares().draw(0, 4, 3)
    got = task.prepared(batch)
    expected = nn.functional.avg_pool2d(batch.target.float() / 127.5 - 1, 2)
    assert torch.allclose(got.target, expected)
    assert torch.equal(got.truth[3], got.target[3])  # no truth
    odd = settings.model_copy(update={"data": settings.data.model_copy(update={"size": 96})})
    with pytest.raises(ConfigError, match="no whole part"):
        task_of(odd).prepared(batch)


def test_a_share_of_the_batch_can_be_judged(monkeypatch):
    settings = recipe(identity=IdentityConfig(share=0.5, weights=(1.0, 0.0, 1.0)))
    task = task_of(settings)
    seen = []
    hook = task.encoder.register_forward_hook(lambda m, given, out: seen.append(len(given[0])))
    task.losses(task.model, 0, torch.Generator())
    hook.remove()
    assert seen == [4, 2, 2, 2]  # sources, full side, a quarter, labels


@pytest.mark.parametrize("start", [0, 5])
def test_pictures_teach_the_mask_from_a_step_on(start):
    task = task_of(recipe(mask=MaskConfig(start=start), adversarial=9))
    sum(task.losses(task.model, 3, torch.Generator()).values()).backward()
    taught = [
        p.grad is not None and bool(p.grad.any()) for p in task.network.mask_head.parameters()
    ]
    assert any(taught) == (start == 0)


def test_a_finished_run_is_read_back(tmp_path):
    settings = recipe()
    task = task_of(settings)
    write_run(tmp_path, task.model, settings)
    got, network = load_swap(tmp_path)
    assert got == settings
    assert not network.training
    target = torch.rand(1, 3, 64, 64) * 2 - 1
    identity = nn.functional.normalize(torch.randn(1, 8))
    with torch.no_grad():
        a = network(target, identity)
        b = task.network.eval()(target, identity)
    # another memory layout, so not the last bit
    result, again = (blend(x.images[0], x.mask, target) for x in (a, b))
    assert torch.allclose(result, again, atol=1e-5)
    with pytest.raises(DataError, match="no finished run"):
        load_swap(tmp_path / "nothing")


def test_a_validation_may_have_a_mix_of_its_own(tmp_path, monkeypatch):
    class Opened(Squares):
        splits = ("train",)

    asked = []

    def opened(folders, *, mix, augment, **how):
        asked.append((mix, augment is None))
        return Opened()

    monkeypatch.setattr(training, "open_triplets", opened)
    settings = recipe(steps=2).model_dump(mode="json")
    settings["data"] |= {"mix": {"free": 1.0}, "held_out_mix": {"proxy": 1.0}}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    training.train(path, data=[tmp_path], output=tmp_path / "run", encoder=encoder())
    assert asked == [({"free": 1.0}, False), ({"proxy": 1.0}, True)]
