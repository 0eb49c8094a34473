from __future__ import annotations

import numpy as np
import torch

from tests.generation.pictures import discs
from visagist.generation.config import ViewsConfig
from visagist.generation.draws import Draws
from visagist.generation.views import _turned, augmented_view
from visagist.training.parallel import Part

STILL = {"crop": (1.0, 1.0), "jitter_share": 0.0, "grey": 0.0, "blur": (0, 0), "solarize": (0, 0)}


def images(n: int = 16) -> torch.Tensor:
    return torch.from_numpy(discs(n, 32)).permute(0, 3, 1, 2) / 127.5 - 1


def view(number: int = 0, n: int = 16, seed: int = 0, **changes) -> torch.Tensor:
    draws = Draws(seed, 0, batch=n, part=Part(), block=4, device=torch.device("cpu"))
    return augmented_view(images(n), ViewsConfig.model_validate(STILL | changes), draws, number)


def test_without_anything_a_view_is_the_picture_or_its_mirror():
    out, whole = view(n=64), images(64)
    square = (out - whole).abs().amax((1, 2, 3))
    # the aspect is still drawn, so a whole crop of another shape is cut; look at unmirrored ones
    assert float(out.min()) >= -1
    assert float(out.max()) <= 1
    assert (square > 0.05).any()
    assert np.allclose(out.mean(), whole.mean(), atol=0.1)


def test_each_operation_does_what_it_says():
    plain = view()
    grey = view(grey=1.0)
    assert torch.allclose(grey[:, 0], grey[:, 2], atol=1e-6)
    luma = torch.tensor([0.299, 0.587, 0.114])
    assert torch.allclose(
        grey[:, 0], torch.einsum("c,nchw->nhw", luma, (plain + 1) / 2) * 2 - 1, atol=1e-5
    )
    solar = view(1, solarize=(0.0, 1.0))
    bright = plain >= 0
    assert torch.allclose(solar[bright], -plain[bright], atol=1e-6)
    assert torch.allclose(solar[~bright], plain[~bright], atol=1e-6)
    assert torch.equal(view(0, solarize=(0.0, 1.0)), plain)
    blurred = view(blur=(1.0, 0.0), blur_sigma=(5.0, 5.0))
    assert blurred.diff(dim=3).abs().amax() < 0.8 * plain.diff(dim=3).abs().amax()
    jittered = view(jitter_share=1.0)
    assert ((jittered - plain).abs().amax((1, 2, 3)) > 0.02).float().mean() > 0.8


def test_shares_are_about_right():
    changed = (view(n=400, grey=0.25) - view(n=400)).abs().amax((1, 2, 3)) > 0.01
    assert 0.17 < float(changed.float().mean()) < 0.33


def test_smaller_crops_show_less():
    """A disc of radius r looks larger in a crop: its rim is steeper in the whole than in a part."""
    narrow, wide = view(n=64, crop=(0.1, 0.1)), view(n=64, crop=(1.0, 1.0))
    assert narrow.diff(dim=3).abs().mean() < wide.diff(dim=3).abs().mean()


def test_views_follow_from_the_draws():
    assert torch.equal(view(crop=(0.2, 1.0)), view(crop=(0.2, 1.0)))
    assert not torch.equal(view(crop=(0.2, 1.0)), view(seed=1, crop=(0.2, 1.0)))


def test_turning_the_hue():
    colours = torch.rand(6, 3, 1, 1) * 0.2 + 0.4
    third = torch.full((6,), 2 * torch.pi / 3)
    turned = _turned(colours, third)
    assert torch.allclose(turned, colours.roll(1, 1), atol=1e-6)
    assert torch.allclose(_turned(colours, third * 0), colours, atol=1e-6)
    some = _turned(colours, third * 0.13)
    assert torch.allclose(some.mean(1), colours.mean(1), atol=1e-6)
    assert torch.allclose(some.norm(dim=1), colours.norm(dim=1), atol=1e-6)
