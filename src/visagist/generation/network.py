"""The networks of the generator: encoder, projector of stage 1, and encoder with decoder.

Every network sees a noised picture scaled to unit variance and the noise level as a sinusoid, both
from :mod:`visagist.generation.noise`; what its output means is the caller's affair.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from visagist.generation.config import NetworkConfig, PretrainConfig
from visagist.generation.modules import (
    DecoderBlock,
    EncoderBlock,
    PatchEmbedding,
    PatchHead,
    Refinement,
)
from visagist.training.parallel import sum_over_processes, world_size


class Encoder(nn.Module):
    """Tokens [class, noise level, patches] through pre-norm blocks (EPG, section 4).

    Attributes:
        checkpointing: compute activations again in the backward pass.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        width = config.encoder_width
        self.checkpointing = False
        self.patches = PatchEmbedding(
            3, width, patch=config.patch, overlap=config.overlap, bottleneck=config.bottleneck
        )
        self.cls = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, config.side**2 + 2, width))
        self.blocks = nn.ModuleList(
            EncoderBlock(width, config.encoder_heads) for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(width)
        _start(self)
        nn.init.normal_(self.cls, std=0.02)
        nn.init.normal_(self.positions, std=0.02)

    def forward(
        self, image: Tensor, time: Tensor, label: Tensor | None = None, extra: Tensor | None = None
    ) -> list[Tensor]:
        """The tokens after each block, and at last after the norm.

        Args:
            image: (B, 3, S, S) noised, unit variance.
            time: (B, E) sinusoid of the noise level; it becomes a token as it is.
            label: (B, E) to be added to the class token.
            extra: (B, P, E) to be added to the patches' tokens.

        Returns:
            ``depth + 1`` tensors (B, 2 + P, E).
        """
        patches = self.patches(image)
        if extra is not None:
            patches = patches + extra
        cls = self.cls.expand(image.shape[0], -1, -1)
        if label is not None:
            cls = cls + label[:, None]
        x = torch.cat([cls, time[:, None].to(patches.dtype), patches], 1) + self.positions
        outputs = []
        for block in self.blocks:
            x = _run(block, x, again=self.checkpointing)
            outputs.append(x)
        outputs.append(self.norm(x))
        return outputs


class GlobalBatchNorm(nn.Module):
    """Batch normalisation by the statistics of the batch of all processes.

    It keeps no running averages: the projector is thrown away after stage 1, and a teacher that
    normalised by stale or initial statistics would not be an average of its pupil.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, width) -> (B, width)."""
        full = x.float()
        n = len(full) * world_size()
        mean = sum_over_processes(full.sum(0)) / n
        variance = sum_over_processes((full - mean).square().sum(0)) / n
        result: Tensor = (full - mean) * torch.rsqrt(variance + 1e-5) * self.gain + self.bias
        return result


class Projector(nn.Module):
    """Three linear layers without bias, batch norm and ReLU after the first two (section 3)."""

    def __init__(self, width: int, config: PretrainConfig) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, config.hidden, bias=False),
            GlobalBatchNorm(config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, config.hidden, bias=False),
            GlobalBatchNorm(config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, config.projection, bias=False),
        )
        # torch's own initial weights: smaller ones would be undone by the norms behind them

    def forward(self, features: Tensor) -> Tensor:
        """(B, E) -> (B, projection)."""
        result: Tensor = self.layers(features)
        return result


class PretrainNetwork(nn.Module):
    """What stage 1 trains: encoder and projector."""

    def __init__(self, config: NetworkConfig, pretrain: PretrainConfig) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.projector = Projector(config.encoder_width, pretrain)

    def forward(self, image: Tensor, time: Tensor, pairs: int = 0) -> tuple[Tensor, Tensor]:
        """Features of every picture, and projections of the first ones.

        Args:
            image: (B, 3, S, S) noised, unit variance: ``pairs`` first views, as many second views
                of the same pictures, then others.
            time: (B, E) sinusoids.
            pairs: number of pairs of views; each half is projected by its own batch statistics.

        Returns:
            (B, E) class tokens behind the norm, and (2 pairs, projection) of the views.
        """
        features = self.encoder(image, time)[-1][:, 0].contiguous()
        if not pairs:
            return features, features.new_zeros(0)
        views = features[:pairs], features[pairs : 2 * pairs]
        return features, torch.cat([self.projector(view) for view in views])

    def sharded_parts(self) -> Iterator[nn.Module]:
        """What FSDP gathers one at a time."""
        yield from self.encoder.blocks
        yield self.projector


class GeneratorNetwork(nn.Module):
    """Encoder and decoder: what stage 2 trains, for many steps or for one."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        width, wide = config.encoder_width, config.decoder_width
        self.encoder = Encoder(config)
        # the last row stands for "no class"
        self.label = nn.Embedding(config.classes + 1, width) if config.classes else None
        self.condition = None
        if config.source:
            self.condition = PatchEmbedding(
                config.condition_channels,
                width,
                patch=config.patch,
                overlap=config.overlap,
                bottleneck=0,
            )
        self.link = nn.Linear(width, wide)
        blocks = [
            DecoderBlock(
                wide, config.decoder_heads, skip=width, condition=width, dropout=config.dropout
            )
            for _ in range(config.depth)
        ]
        self.decoder = nn.ModuleList(blocks)
        self.head = PatchHead(wide, side=config.side, patch=config.patch, overlap=config.overlap)
        self.refinement = None
        if config.refine:
            self.refinement = Refinement(
                6 + config.condition_channels,
                wide,
                inner=config.refine,
                side=config.side,
                patch=config.patch,
            )
        for part in (self.link, self.decoder):
            _start(part)
        _start_at_zero(self.head.write, *(block.modulation for block in blocks))
        if self.condition is not None:
            _start_at_zero(self.condition.read)
        if self.refinement is not None:
            _start_at_zero(self.refinement.write)
        if self.label is not None:
            nn.init.normal_(self.label.weight, std=0.02)

    def forward(
        self,
        image: Tensor,
        time: Tensor,
        label: Tensor | None = None,
        condition: Tensor | None = None,
    ) -> Tensor:
        """The network's output, in [-1, 1] or nearly so; 0 before training.

        Args:
            image: (B, 3, S, S) noised, unit variance.
            time: (B, E) sinusoid of the noise level.
            label: (B,) classes, ``classes`` for none; (B, classes + 1) weights in an export.
            condition: (B, 4 + masks + hints, S, S) from :func:`condition_input`.

        Returns:
            (B, 3, S, S): the clean picture, or the change where the network is residual.
        """
        given = None
        if self.label is not None and label is not None:
            table = self.label.weight
            given = self.label(label) if label.ndim == 1 else label @ table
        extra = None
        if self.condition is not None and condition is not None:
            extra = self.condition(condition)
        outputs = self.encoder(image, time, given, extra)
        steer = F.silu(time if given is None else time + given)
        x = self.link(outputs[-1])
        for block, skip in zip(self.decoder, reversed(outputs[:-1]), strict=True):
            x = _run(block, x, skip, steer, again=self.encoder.checkpointing)
        tokens = x[:, 2:]
        image_out: Tensor = self.head(tokens)
        if self.refinement is not None:
            pictures = [image, image_out]
            if self.config.source:
                shape = (len(image), self.config.condition_channels, *image.shape[2:])
                pictures.append(image.new_zeros(shape) if condition is None else condition)
            image_out = image_out + self.refinement(torch.cat(pictures, 1), tokens)
        return image_out

    def sharded_parts(self) -> Iterator[nn.Module]:
        """What FSDP gathers one at a time."""
        yield from self.encoder.blocks
        yield from self.decoder


def condition_input(
    source: Tensor,
    masks: Tensor | None,
    given: Tensor | None = None,
    hints: Tensor | None = None,
) -> Tensor:
    """(B, 4 + M + H, S, S): source, masks, hints and ones, all zero where there is no source.

    Args:
        source: (B, 3, S, S) in [-1, 1].
        masks: (B, M, S, S) in [0, 1], or nothing.
        given: (B,) 1 where the source is shown, 0 where it is left out.
        hints: (B, H, S, S) further channels, or nothing.
    """
    ones = torch.ones_like(source[:, :1])
    parts = [source, *(p for p in (masks, hints) if p is not None), ones]
    stacked = torch.cat(parts, 1)
    return stacked if given is None else stacked * given.reshape(-1, 1, 1, 1).to(stacked.dtype)


def apply_residual(output: Tensor, condition: Tensor, masks: int) -> Tensor:
    """Source + union of the masks * output: the clean picture of a residual network.

    Args:
        output: (B, 3, S, S) of the network.
        condition: from :func:`condition_input`.
        masks: how many of its channels are masks; without any the whole picture may change.
    """
    source, masks_in = condition[:, :3], condition[:, 3 : 3 + masks]
    where = masks_in.amax(1, keepdim=True) if masks else torch.ones_like(source[:, :1])
    return source + where * output


def parameter_count(config: NetworkConfig) -> int:
    """Parameters of encoder and decoder; nothing is allocated."""
    with torch.device("meta"):
        return sum(p.numel() for p in GeneratorNetwork(config).parameters())


def forward_macs(config: NetworkConfig, *, encoder_only: bool = False) -> int:
    """Multiply-adds of one forward pass of one picture, by counting."""
    tokens, depth = config.side**2 + 2, config.depth
    e, d = config.encoder_width, config.decoder_width
    patch = 3 * (config.patch + 2 * config.overlap) ** 2
    first = patch * config.bottleneck + config.bottleneck * e if config.bottleneck else patch * e
    total = (tokens - 2) * first + depth * tokens * (12 * e * e + 2 * tokens * e)
    if encoder_only:
        return total
    total += tokens * e * d + (tokens - 2) * d * patch
    total += depth * (tokens * ((d + e) * d + 12 * d * d + 2 * tokens * d) + 6 * e * d)
    if config.refine:
        inner, cells = config.refine, Refinement.BLOCK**2
        places = config.image_size**2 // cells
        wide = cells * (6 + config.condition_channels) + Refinement.LAYERS * inner + cells * 3
        total += (tokens - 2) * d * inner + places * 9 * inner * wide
    return total


def _start(module: nn.Module) -> None:
    """Xavier weights and zero biases in every linear layer and patch embedding."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            matrix = layer.weight.flatten(1)
            bound = math.sqrt(6 / sum(matrix.shape))
            nn.init.uniform_(layer.weight, -bound, bound)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _start_at_zero(*layers: nn.Linear | nn.Conv2d) -> None:
    for layer in layers:
        nn.init.zeros_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def _run(block: nn.Module, *inputs: Any, again: bool) -> Tensor:  # noqa: ANN401
    call: Callable[..., Tensor] = block
    if again and torch.is_grad_enabled():
        result: Tensor = checkpoint(call, *inputs, use_reentrant=False)
        return result
    return call(*inputs)
