"""What tells the UNet whom and what to paint: tokens of the identity and of the style (FGMM).

One frozen image encoder sees the bare photo and a picture of the makeup alone, one shared
projection turns each vector into tokens, and both together take the place of the text. A picture of
the makeup alone is the made-up crop with everything masked out that the makeup did not change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

# Of OpenAI's CLIP, which OpenCLIP kept: mean and deviation of R, G and B in 0..1.
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_DEVIATION = (0.26862954, 0.26130258, 0.27577711)


class Projection(nn.Module):
    """One linear layer from a picture's vector to tokens, then LayerNorm, as in the release.

    From 1,024 values to 32 tokens of 768 these are 25,191,936 weights.

    Args:
        features: values of the encoder's vector.
        tokens: made of each vector.
        width: of a token, the UNet's ``cross_attention_dim``.
    """

    def __init__(self, features: int, tokens: int, width: int) -> None:
        super().__init__()
        self.tokens, self.width = tokens, width
        self.linear = nn.Linear(features, tokens * width)
        self.norm = nn.LayerNorm(width)

    def forward(self, vectors: Tensor) -> Tensor:
        """(B, features) to (B, tokens, width)."""
        made: Tensor = self.norm(self.linear(vectors).unflatten(1, (self.tokens, self.width)))
        return made

    def condition(self, identity: Tensor, style: Tensor) -> Tensor:
        """``c_con`` and ``c_sty``, one behind the other: (B, 2 tokens, width)."""
        return torch.cat([self(identity), self(style)], dim=1)

    def empty(self, count: int) -> Tensor:
        """The condition of the bare pass: the tokens of vectors of zeros."""
        nothing = self.linear.weight.new_zeros(count, self.linear.in_features)
        return self.condition(nothing, nothing)


def picture_tensor(pictures: Sequence[NDArray[np.uint8]], device: torch.device) -> Tensor:
    """(N, 3, H, W) in 0..1 of pictures (H, W, 3)."""
    stacked = torch.from_numpy(np.ascontiguousarray(np.stack(pictures)))
    return stacked.to(device).permute(0, 3, 1, 2).float() / 255


def mask_tensor(masks: Sequence[NDArray[np.float32]], device: torch.device) -> Tensor:
    """(N, 1, H, W) of masks (H, W)."""
    return torch.from_numpy(np.ascontiguousarray(np.stack(masks)))[:, None].to(device)


@torch.no_grad()
def encode_pictures(encoder: Any, pictures: Tensor, masks: Tensor | None = None) -> Tensor:  # noqa: ANN401
    """Vectors of the frozen image encoder.

    Args:
        encoder: ``CLIPVisionModelWithProjection``.
        pictures: (N, 3, H, W) in 0..1, square.
        masks: (N, 1, H, W) of what the encoder is to see; the rest becomes its mean colour.

    Returns:
        (N, D) float32.
    """
    mean, deviation = (
        torch.tensor(values, device=pictures.device).view(1, 3, 1, 1)
        for values in (_MEAN, _DEVIATION)
    )
    seen = (pictures - mean) / deviation
    if masks is not None:
        seen = seen * masks
    side = encoder.config.image_size
    seen = F.interpolate(seen, size=(side, side), mode="bicubic", antialias=True)
    vectors: Tensor = encoder(seen).image_embeds
    return vectors.float()
