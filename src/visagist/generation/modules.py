"""Building blocks of the generator: attention, and the blocks of encoder and decoder."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head self-attention; no bias on queries, keys and values (EPG, section 4)."""

    def __init__(self, width: int, heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, width) -> (B, T, width)."""
        n, tokens, width = x.shape
        qkv = self.qkv(x).reshape(n, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(query, key, value)
        mixed = self.out(mixed.transpose(1, 2).reshape(n, tokens, width))
        result: Tensor = self.dropout(mixed)
        return result


def mlp(width: int) -> nn.Sequential:
    """Two linear layers, four times as wide between them."""
    return nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))


class EncoderBlock(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2, self.mlp = nn.LayerNorm(width), mlp(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, width) -> (B, T, width)."""
        x = x + self.attention(self.norm1(x))
        result: Tensor = x + self.mlp(self.norm2(x))
        return result


class DecoderBlock(nn.Module):
    """A long skip with a norm behind it, then an adaLN-Zero block (DiT, section 3.2).

    The six modulations start at zero, so the block starts as the identity on what the skip gives.
    """

    def __init__(
        self, width: int, heads: int, *, skip: int, condition: int, dropout: float
    ) -> None:
        super().__init__()
        self.join = nn.Linear(width + skip, width)
        self.join_norm = nn.LayerNorm(width)
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False)
        self.attention = Attention(width, heads, dropout=dropout)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False)
        self.mlp = mlp(width)
        self.modulation = nn.Linear(condition, 6 * width)

    def forward(self, x: Tensor, skip: Tensor, condition: Tensor) -> Tensor:
        """(B, T, width), the encoder's (B, T, skip) and (B, condition) -> (B, T, width)."""
        x = self.join_norm(self.join(torch.cat([x, skip], -1)))
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(condition)[:, None].chunk(
            6, -1
        )
        x = x + gate1 * self.attention(self.norm1(x) * (1 + scale1) + shift1)
        result: Tensor = x + gate2 * self.mlp(self.norm2(x) * (1 + scale2) + shift2)
        return result


class PatchEmbedding(nn.Module):
    """Pixels to tokens; patches may reach over their neighbours by ``overlap`` pixels."""

    def __init__(
        self, channels: int, width: int, *, patch: int, overlap: int, bottleneck: int
    ) -> None:
        super().__init__()
        kernel = patch + 2 * overlap
        first = bottleneck or width
        self.read = nn.Conv2d(channels, first, kernel, stride=patch, padding=overlap)
        self.widen = nn.Linear(bottleneck, width) if bottleneck else nn.Identity()

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, S, S) -> (B, (S/patch)^2, width), row by row."""
        result: Tensor = self.widen(self.read(image).flatten(2).transpose(1, 2))
        return result


class PatchHead(nn.Module):
    """Tokens to pixels; where patches overlap they add up. Starts at zero."""

    def __init__(self, width: int, *, side: int, patch: int, overlap: int) -> None:
        super().__init__()
        self.side, self.patch, self.overlap = side, patch, overlap
        self.norm = nn.LayerNorm(width)
        self.write = nn.Linear(width, 3 * (patch + 2 * overlap) ** 2)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, (S/patch)^2, width) -> (B, 3, S, S)."""
        x = self.write(self.norm(tokens)).transpose(1, 2)
        n, side, patch = x.shape[0], self.side, self.patch
        if self.overlap:
            whole = side * patch
            image = F.fold(
                x, (whole, whole), patch + 2 * self.overlap, padding=self.overlap, stride=patch
            )
        else:  # the same as fold, without adding
            x = x.reshape(n, 3, patch, patch, side, side)
            image = x.permute(0, 1, 4, 2, 5, 3).reshape(n, 3, side * patch, side * patch)
        return image


class Refinement(nn.Module):
    """Convolutions behind the head: they see every pixel that goes in, so that edges fall exactly.

    A patch's token has to remember where in the patch an edge lies; here the edge is at hand. What
    the tokens know comes along as a few channels for each patch. Works on blocks of 2 x 2 pixels,
    which processors are faster at than on single ones. Starts at zero.

    Args:
        channels: of the pictures that are read, the head's own included.
        width: of the tokens.
        inner: channels between the convolutions.
        side: patches along a side of the picture.
        patch: side of a patch in pixels, an even number.
    """

    LAYERS = 4
    BLOCK = 2

    def __init__(self, channels: int, width: int, *, inner: int, side: int, patch: int) -> None:
        super().__init__()
        self.side, self.patch = side, patch
        cells = self.BLOCK**2
        self.context = nn.Linear(width, inner)
        self.read = nn.Conv2d(channels * cells, inner, 3, padding=1)
        self.layers = nn.ModuleList(
            nn.Conv2d(inner, inner, 3, padding=1) for _ in range(self.LAYERS)
        )
        self.write = nn.Conv2d(inner, 3 * cells, 3, padding=1)

    def forward(self, pictures: Tensor, tokens: Tensor) -> Tensor:
        """(B, C, S, S) and (B, (S/patch)^2, width) -> (B, 3, S, S)."""
        n, side, times = len(pictures), self.side, self.patch // self.BLOCK
        known = self.context(tokens).transpose(1, 2).reshape(n, -1, side, 1, side, 1)
        known = known.expand(-1, -1, -1, times, -1, times)
        known = known.reshape(n, -1, side * times, side * times)
        x = self.read(F.pixel_unshuffle(pictures, self.BLOCK)) + known
        for layer in self.layers:
            x = x + layer(F.silu(x))
        result: Tensor = F.pixel_shuffle(self.write(F.silu(x)), self.BLOCK)
        return result
