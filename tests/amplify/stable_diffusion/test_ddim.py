from __future__ import annotations

from itertools import pairwise

import pytest

pytest.importorskip("torch")
pytest.importorskip("diffusers", reason="needs the extra stable-diffusion")
pytest.importorskip("transformers", reason="needs the extra stable-diffusion")
pytest.importorskip("peft", reason="needs the extra stable-diffusion")

import torch
from diffusers import DDIMScheduler
from hypothesis import given
from hypothesis import strategies as st

from visagist.amplify.stable_diffusion import ddim

SCHEDULER = DDIMScheduler(
    beta_start=0.00085,
    beta_end=0.012,
    beta_schedule="scaled_linear",
    clip_sample=False,
    set_alpha_to_one=False,
)
KEPT = SCHEDULER.alphas_cumprod.double()


def latents(seed: int = 0, count: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((count, 4, 8, 8), generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("time", [19, 499, 979])
def test_a_step_is_that_of_diffusers(eta: float, time: int) -> None:
    SCHEDULER.set_timesteps(50)
    latent, noise, fresh = latents(0), latents(1), latents(2)
    theirs = SCHEDULER.step(noise, time, latent, eta=eta, variance_noise=fresh).prev_sample
    before = KEPT[time - 20] if time >= 20 else KEPT[0]  # the schedule ends at its first time
    ours = ddim.step(latent, noise, float(KEPT[time]), float(before), eta=eta, fresh=fresh)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@given(st.integers(1, 60), st.floats(0.05, 1.0), st.integers(0, 5))
def test_inversion_is_undone_where_the_noise_is_known(steps: int, depth: float, seed: int) -> None:
    """With a prediction that does not depend on the latent both ways cancel."""
    path = ddim.times(1000, depth, steps)
    clean, noise = latents(seed), latents(seed + 10)
    trajectory = ddim.invert(clean, lambda latent, time: noise, path, KEPT)
    assert len(trajectory) == len(path)
    everywhere = torch.ones(2, 1, 8, 8, dtype=torch.float64)
    back = ddim.denoise(trajectory, lambda latent, time: noise, path, KEPT, everywhere)
    torch.testing.assert_close(back, clean, rtol=1e-8, atol=1e-8)


@given(st.integers(1, 1200), st.floats(0.001, 1.0))
def test_a_path_rises_from_clean_to_its_depth(steps: int, depth: float) -> None:
    path = ddim.times(1000, depth, steps)
    assert path[0] == 0
    assert path[-1] == max(1, round(depth * 999))
    assert all(a < b for a, b in pairwise(path))
    assert len(path) <= steps + 1


def test_outside_the_mask_the_photo_s_latent_comes_back_to_the_bit() -> None:
    path = ddim.times(1000, 0.6, 7)
    clean = latents(0)
    trajectory = ddim.invert(clean, lambda latent, time: 0.1 * latent, path, KEPT)
    mask = torch.zeros(2, 1, 8, 8, dtype=torch.float64)
    mask[..., :4] = 1
    back = ddim.denoise(trajectory, lambda latent, time: latent + time, path, KEPT, mask)
    torch.testing.assert_close(back[..., 4:], clean[..., 4:], rtol=0, atol=0)
    assert (back[..., :4] - clean[..., :4]).abs().min() > 0
