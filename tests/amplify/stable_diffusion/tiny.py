"""A pipeline of the real classes with few, random weights, laid out on disk as the real one is."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from tests.makeup.made_face import drawn_face, drawn_mesh
from visagist.amplify.backend import CropFace, Look
from visagist.amplify.masks import makeup_masks
from visagist.amplify.stable_diffusion.config import DiffusionSettings

SETTINGS = DiffusionSettings(
    side=32, tokens=4, epochs=3, lr=1e-3, steps=3, depth=0.5, batch=2, checkpoint_every=5
)
CROP = 256


def write_weights(folder: Path, *, seed: int = 0) -> Path:
    """Latents are half as wide as the 32 pixels that :data:`SETTINGS` encodes."""
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=2,
        norm_num_groups=4,
    )
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        layers_per_block=1,
        norm_num_groups=4,
        sample_size=32,
    )
    encoder = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=32,
            patch_size=8,
            projection_dim=12,
        )
    )
    unet.save_pretrained(folder / "unet")
    vae.save_pretrained(folder / "vae")
    encoder.save_pretrained(folder / "image_encoder")
    # The noise schedule of Stable Diffusion 1.5.
    DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    ).save_pretrained(folder / "scheduler")
    return folder


class PlainAutoencoder:
    """Means of 2 x 2 pixels: unlike the random one it lets no cell see another."""

    config = SimpleNamespace(block_out_channels=(8, 8), scaling_factor=1.0, latent_channels=4)

    def encode(self, pictures: torch.Tensor) -> SimpleNamespace:
        means = F.avg_pool2d(pictures, 2)
        latents = torch.cat([means, means.mean(1, keepdim=True)], dim=1)
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: latents))

    def decode(self, latents: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(sample=F.interpolate(latents[:, :3], scale_factor=2))


def made_look(
    skin: str = "medium", *, colour: tuple[int, int, int] = (70, -60, -30), region: str = "lips"
) -> Look:
    """A drawn face and the same with one region recoloured."""
    mesh = drawn_mesh()
    before = drawn_face(mesh, CROP, skin)
    mask = makeup_masks(mesh)[region][..., None]
    after = np.clip(before + mask * np.float32(colour), 0, 255).astype(np.uint8)
    return Look(skin, before, after, mesh, np.ones((CROP, CROP), np.float32))


def made_faces(*skins: str, turn: float = 8.0) -> list[CropFace]:
    mesh = drawn_mesh(gape=8.0, turn=turn)
    return [CropFace(skin, drawn_face(mesh, CROP, skin), mesh) for skin in skins]
