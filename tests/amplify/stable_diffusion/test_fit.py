from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("diffusers", reason="needs the extra stable-diffusion")
pytest.importorskip("transformers", reason="needs the extra stable-diffusion")
pytest.importorskip("peft", reason="needs the extra stable-diffusion")

import torch
from torch import nn

from tests.amplify.stable_diffusion.tiny import SETTINGS, made_look, write_weights
from visagist.amplify.backend import silent
from visagist.amplify.stable_diffusion.adapter import Adapter
from visagist.amplify.stable_diffusion.conditioning import Projection, encode_pictures
from visagist.amplify.stable_diffusion.fit import FitTask, fit_adapter, masked_loss, prepare
from visagist.amplify.stable_diffusion.latents import latent_masks
from visagist.amplify.stable_diffusion.render import regional_noise
from visagist.amplify.stable_diffusion.weights import Networks, load_networks
from visagist.face.regions import region_masks

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def networks(weights: Path) -> Networks:
    return load_networks(weights, CPU)


@torch.no_grad()
def mean_loss(task: FitTask, draws: int = 40) -> float:
    """Of the same looks, times and noise whenever it is asked."""
    losses = [
        task.losses(task.model, k, torch.Generator().manual_seed(1000 + k))["noise"]
        for k in range(draws)
    ]
    return float(torch.stack(losses).mean())


def test_fitting_lowers_the_masked_loss(networks: Networks, tmp_path: Path) -> None:
    styles = {"berry": [made_look("light"), made_look("medium")]}
    settings = SETTINGS.model_copy(update={"epochs": 25, "lr": 1e-2, "checkpoint_every": 1000})
    frozen = {n: v.clone() for n, v in networks.unet.state_dict().items()}
    adapter, vectors = fit_adapter(networks, styles, settings, tmp_path, seed=0, progress=silent)
    task = FitTask(networks, adapter, prepare(networks, styles, settings), settings)
    after = mean_loss(task)
    assert vectors["berry"].shape == (12,)
    for name, value in networks.unet.state_dict().items():
        if "lora" not in name:
            torch.testing.assert_close(value, frozen[name.replace(".base_layer", "")])
    with torch.no_grad():
        for name, value in zip(adapter.names, adapter.lora, strict=True):
            if "lora_B" in name:
                assert value.abs().max() > 0
                value.zero_()  # takes LoRA out again
    assert after < 0.96 * mean_loss(task)


def test_lora_adds_nothing_at_first(networks: Networks) -> None:
    latent, condition = torch.randn(1, 4, 16, 16), torch.randn(1, 8, 16)
    with torch.no_grad():
        before = networks.unet(latent, 10, encoder_hidden_states=condition).sample
        Adapter(networks, SETTINGS)
        after = networks.unet(latent, 10, encoder_hidden_states=condition).sample
    torch.testing.assert_close(after, before)


def test_only_lora_and_projection_are_trained(networks: Networks) -> None:
    adapter = Adapter(networks, SETTINGS)
    trained = {id(p) for p in networks.unet.parameters() if p.requires_grad}
    assert trained == {id(p) for p in adapter.lora}
    assert not any(p.requires_grad for p in networks.vae.parameters())
    assert not any(p.requires_grad for p in networks.encoder.parameters())


def test_the_sizes_are_those_of_stable_diffusion() -> None:
    """Counts published for the UNet and for LoRA of rank 4 on it, and for the projection."""
    from diffusers import UNet2DConditionModel
    from peft import LoraConfig

    with torch.device("meta"):
        unet = UNet2DConditionModel(cross_attention_dim=768)
        projection = Projection(1024, 32, 768)
    assert sum(p.numel() for p in unet.parameters()) == 859_520_964
    unet.requires_grad_(False)
    unet.add_adapter(
        LoraConfig(r=4, lora_alpha=4, target_modules=["to_q", "to_k", "to_v", "to_out.0"])
    )
    assert sum(p.numel() for p in unet.parameters() if p.requires_grad) == 797_184
    assert sum(p.numel() for p in projection.parameters()) == 25_191_936


def test_the_masked_loss_is_the_mean_where_the_mask_is_one() -> None:
    rng = np.random.default_rng(0)
    noise, predicted = (torch.from_numpy(rng.normal(size=(2, 4, 6, 6))) for _ in range(2))
    mask = torch.zeros(2, 1, 6, 6, dtype=torch.float64)
    mask[..., 2:5] = 1
    inside = (noise - predicted)[..., 2:5]
    assert float(masked_loss(noise, predicted, mask)) == pytest.approx(
        float(inside.square().mean())
    )
    elsewhere = predicted + (1 - mask) * 100
    assert float(masked_loss(noise, elsewhere, mask)) == pytest.approx(
        float(masked_loss(noise, predicted, mask))
    )
    assert float(masked_loss(noise, predicted, torch.zeros_like(mask))) == 0


def test_identity_comes_first_and_both_share_one_projection() -> None:
    projection = Projection(5, 3, 4)
    identity, style = torch.randn(2, 5), torch.randn(2, 5)
    condition = projection.condition(identity, style)
    assert condition.shape == (2, 6, 4)
    torch.testing.assert_close(condition[:, :3], projection(identity))
    torch.testing.assert_close(condition[:, 3:], projection(style))
    empty = projection.empty(2)
    torch.testing.assert_close(empty, projection.condition(torch.zeros(2, 5), torch.zeros(2, 5)))


def test_the_encoder_sees_what_transformers_would_show_it(networks: Networks) -> None:
    """Against CLIP's own preparation: the mean colour becomes 0, one deviation above it 1."""
    seen: list[torch.Tensor] = []

    class Recorder(nn.Module):
        config = networks.encoder.config

        def forward(self, pictures: torch.Tensor) -> object:
            seen.append(pictures)
            return networks.encoder(pictures)

    mean, deviation = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    picture = torch.tensor(mean).view(1, 3, 1, 1) + torch.tensor(deviation).view(1, 3, 1, 1)
    picture = picture.expand(1, 3, 64, 64)
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 32:] = 1
    encode_pictures(Recorder(), picture, mask)
    assert seen[0].shape == (1, 3, 32, 32)
    torch.testing.assert_close(seen[0][..., 20:], torch.ones(1, 3, 32, 12), atol=1e-4, rtol=0)
    torch.testing.assert_close(seen[0][..., :12], torch.zeros(1, 3, 32, 12), atol=1e-4, rtol=0)


def test_latent_masks_leave_eyeballs_out(networks: Networks) -> None:
    look = made_look()
    masks = latent_masks(networks, look.mesh, 512)  # reduced by this autoencoder to 256
    eyes = region_masks(look.mesh, 256).eyes
    total = sum(masks.values())
    assert total.shape == (256, 256)
    assert total[eyes == 1].mean() < 0.05


def test_the_style_comes_from_another_look_where_there_is_one(networks: Networks) -> None:
    looks = [made_look("light"), made_look("medium"), made_look("deep")]
    lessons = prepare(networks, {"berry": looks[:2], "rose": looks[2:]}, SETTINGS)
    assert lessons.fellows == [[1], [0], [2]]
    assert set(lessons.front) == {"berry", "rose"}
    assert lessons.front["rose"] == 2


def test_what_was_not_matched_is_neither_seen_nor_paid_for(networks: Networks) -> None:
    look = made_look()
    unmatched = type(look)(
        look.name, look.before, look.after, look.mesh, np.zeros((256, 256), np.float32)
    )
    lessons = prepare(networks, {"berry": [unmatched]}, SETTINGS)
    assert lessons.mask.abs().max() == 0
    torch.testing.assert_close(lessons.made, lessons.bare)


def test_regional_noise_takes_each_style_in_its_region() -> None:
    parts = [torch.full((1, 4, 2, 4), float(k)) for k in (1, 3)]
    left, right = torch.zeros(1, 1, 2, 4), torch.zeros(1, 1, 2, 4)
    left[..., :1], right[..., 1:2] = 1, 1
    left[..., 2], right[..., 2] = 0.5, 0.5
    mixed = regional_noise(parts, [left, right])[0, 0, 0]
    torch.testing.assert_close(mixed, torch.tensor([1.0, 3.0, 2.0, 2.0]), atol=1e-4, rtol=0)
