"""A perceptual distance in the features of EfficientNet-Lite0.

Built as LPIPS is (Zhang et al. 2018), without its learned weights and on another network, so it is
no LPIPS and must not be compared with published ones: at the end of each of five stages the
features of both pictures are made unit vectors at every place; the distance is the sum over stages
of the mean squared difference over places.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from visagist.amplify.evaluation.scores import Distance
from visagist.generation.efficientnet import load_network

STAGES = ("_blocks.0", "_blocks.2", "_blocks.4", "_blocks.10", "_blocks.15")
"""Last blocks at 1/2, 1/4, 1/8, 1/16 and 1/32 of the side."""
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def perceptual_distance(weights: Path | None = None) -> Distance:
    """Open the network and measure with it.

    Args:
        weights: the published ``.pth``; by default that of the installed package.

    Raises:
        ModelError: the file is not there or another one.
        MissingExtraError: no file is given, and the package is not installed.
    """
    network = load_network(weights)
    seen: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:  # noqa: ANN401
        seen.append(output)

    blocks = dict(network.named_modules())
    for name in STAGES:
        blocks[name].register_forward_hook(keep)
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (_MEAN, _STD))

    @torch.inference_mode()
    def distance(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.floating]:
        both = torch.from_numpy(np.concatenate([first, second])).permute(0, 3, 1, 2).float() / 255
        seen.clear()
        network(((both - mean) / std).contiguous(memory_format=torch.channels_last))
        total = torch.zeros(len(first))
        for features in seen:
            unit = nn.functional.normalize(features, dim=1)
            difference = unit[: len(first)] - unit[len(first) :]
            total += difference.square().sum(1).mean((1, 2))
        return np.asarray(total.numpy())

    return distance
