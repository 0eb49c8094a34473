"""Bend the base to one style: every pair is what the others are to be laid as.

With five pairs each one in turn is the target that the layers of the other four are laid on, many
times over with meshes moved a little; low-rank updates of all linear layers and the rows that tell
the network what it sees are trained on that. What is learned is this style's deviation from what
the base thinks a style does, and nothing of the five people is needed to be remembered.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from visagist.amplify.backend import Look, Progress, silent
from visagist.amplify.layers import Canvas, evidence
from visagist.amplify.pixels.config import AmplifierRecipe, FinetuneConfig
from visagist.amplify.pixels.examples import jittered, laid_on, stored_windows
from visagist.amplify.pixels.lora import add_low_rank, updates
from visagist.amplify.pixels.training import (
    MARGIN,
    WINDOW_KINDS,
    denoised,
    levels,
    relative_weight,
    relit,
    views,
    without_style,
)
from visagist.amplify.pixels.windows import KINDS
from visagist.generation.network import GeneratorNetwork

Bytes = NDArray[np.uint8]
LABELS = "label.weight"


def pair_examples(
    looks: Sequence[Look], config: FinetuneConfig, *, jitter: float, seed: int
) -> Bytes:
    """(looks x draws, 4, 64, 64, 11) uint8: each pair as a target of the others.

    Args:
        looks: at least two.
        config: how often.
        jitter: pixels by which meshes are moved.
        seed: of the jitter, and of which pairs are shown.
    """
    rng = np.random.default_rng((seed, 0xA3))
    out = []
    for draw in range(config.draws):
        moved = [look.mesh if not draw else jittered(look.mesh, rng, jitter) for look in looks]
        shown = [
            evidence(Look(look.name, look.before, look.after, mesh, look.valid))
            for look, mesh in zip(looks, moved, strict=True)
        ]
        for i, (look, mesh) in enumerate(zip(looks, moved, strict=True)):
            others = [s for j, s in enumerate(shown) if j != i]
            # All of the others, as when the style is used; now and then fewer.
            if draw % 3 == 2 and len(others) > 1:
                kept = rng.permutation(len(others))[: int(rng.integers(1, len(others)))]
                others = [others[k] for k in kept]
            canvas = Canvas(look.before, mesh)
            laid, known = laid_on(canvas, others)
            # What could not be matched is not taught: there the layers are left as they are.
            change = look.after.astype(np.float32) - look.before
            truth = laid + look.valid[..., None] * (change - laid)
            out.append(stored_windows(canvas, laid, known, truth, margin=MARGIN))
    return np.stack(out)


def finetune(
    network: GeneratorNetwork,
    recipe: AmplifierRecipe,
    looks: Sequence[Look],
    config: FinetuneConfig,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> dict[str, Tensor]:
    """Train the updates of one style.

    Args:
        network: the base; it is not changed.
        recipe: of the base.
        looks: pairs of the style.
        config: the knobs.
        seed: of everything drawn at random.
        progress: called with steps done and in all.

    Returns:
        Names and weights of the updates; none where there are too few pairs or no steps.
    """
    if len(looks) < config.least_pairs or not config.steps:
        return {}
    examples = pair_examples(looks, config, jitter=recipe.examples.jitter, seed=seed)
    tuned = with_updates(network, {}, config.rank, seed=seed)
    trained = dict(_trained(tuned))
    for parameter in trained.values():
        parameter.requires_grad_(True)
    optimiser = torch.optim.AdamW(list(trained.values()), lr=config.lr, weight_decay=0.0)
    rng = np.random.default_rng((seed, 0xB7))
    device = next(network.parameters()).device
    kinds = np.array(WINDOW_KINDS)
    tuned.train()
    for step in range(config.steps):
        for group in optimiser.param_groups:
            group["lr"] = config.lr * 0.5 * (1 + math.cos(math.pi * step / config.steps))
        window = rng.integers(len(kinds), size=config.batch)
        which = rng.integers(len(examples), size=config.batch)
        stored = examples[which, window]
        mirrored = (rng.random(config.batch) < 0.5) & (kinds[window] != KINDS.index("eye"))
        stored[mirrored] = stored[mirrored, :, ::-1]
        bare = rng.random(config.batch) < recipe.bare_share
        stored[bare] = without_style(stored[bare])
        seen = views(relit(stored, rng, recipe.light), kinds[window], device)
        sigma = levels(recipe.levels, rng, config.batch)
        generator = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
        eps = torch.randn(seen.truth.shape, generator=generator).to(device)
        wrong = (denoised(tuned, tuned, seen, sigma, eps) - seen.truth).square().mean((1, 2, 3))
        loss = (relative_weight(seen) * wrong).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(list(trained.values()), 1.0)
        optimiser.step()
        progress(step + 1, config.steps)
    return {name: value.detach().clone() for name, value in trained.items()}


def with_updates(
    network: GeneratorNetwork, weights: dict[str, Tensor], rank: int, *, seed: int = 0
) -> GeneratorNetwork:
    """A copy of the base, on its device, with low-rank updates from ``weights`` if there are any.

    Raises:
        KeyError: a weight is not among them.
        RuntimeError: a weight has another shape.
    """
    tuned, device = copy.deepcopy(network), next(network.parameters()).device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        add_low_rank(tuned, rank)
    tuned.to(device)  # drawn on the CPU, so that a seed means the same everywhere
    places = dict(_trained(tuned))
    with torch.no_grad():
        for name, value in weights.items():
            places[name].copy_(value)
    return tuned.eval()


def _trained(network: GeneratorNetwork) -> list[tuple[str, nn.Parameter]]:
    """Updates, and the rows that say what a window shows: the style's tokens."""
    found: list[tuple[str, nn.Parameter]] = list(updates(network))
    if network.label is not None:
        found.append((LABELS, cast(nn.Parameter, network.label.weight)))
    return found
