"""Pictures to latents and back, and masks at the size of latents."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from visagist.amplify.backend import Floats
from visagist.amplify.masks import makeup_masks, reduced
from visagist.amplify.stable_diffusion.weights import Networks
from visagist.face.align import CROP_SIZE


@torch.no_grad()
def to_latents(networks: Networks, pictures: Tensor, side: int) -> Tensor:
    """Latents of crops: the mode of the encoder's posterior, so that nothing is drawn.

    Args:
        networks: with the autoencoder.
        pictures: (N, 3, H, W) in 0..1.
        side: pixels at which they are encoded.

    Returns:
        (N, 4, side / 8, side / 8) for Stable Diffusion.
    """
    sized = F.interpolate(pictures, size=(side, side), mode="bicubic", antialias=True)
    posterior = networks.vae.encode(sized.clamp(0, 1) * 2 - 1).latent_dist
    latents: Tensor = posterior.mode() * networks.vae.config.scaling_factor
    return latents


@torch.no_grad()
def from_latents(networks: Networks, latents: Tensor) -> Floats:
    """(N, 256, 256, 3) crops in levels, 0..255, decoded from latents."""
    decoded = networks.vae.decode(latents / networks.vae.config.scaling_factor).sample
    sized = F.interpolate(
        decoded.clamp(-1, 1), size=(CROP_SIZE, CROP_SIZE), mode="bilinear", antialias=True
    )
    levels: Floats = ((sized + 1) * 127.5).permute(0, 2, 3, 1).float().cpu().numpy()
    return levels


def latent_masks(
    networks: Networks, mesh: NDArray[np.float32], side: int
) -> dict[str, NDArray[np.float32]]:
    """Region masks at the size of latents: each drawn, softened and reduced by itself.

    Args:
        networks: with the autoencoder.
        mesh: (478, 3) points in pixels of the canonical crop.
        side: pixels at which crops are encoded.

    Raises:
        InputError: the autoencoder cannot reduce that side evenly.
    """
    masks = makeup_masks(mesh * np.float32(side / CROP_SIZE), side)
    return {region: reduced(mask, side // networks.reduction) for region, mask in masks.items()}
