"""Rendering a style: DDIM inversion, two passes from one start, residuals in the picture (RDM)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from visagist.amplify.backend import CropFace, Floats
from visagist.amplify.masks import changed_mask, makeup_masks
from visagist.amplify.residual import makeup_change
from visagist.amplify.stable_diffusion import ddim
from visagist.amplify.stable_diffusion.conditioning import (
    Projection,
    encode_pictures,
    mask_tensor,
    picture_tensor,
)
from visagist.amplify.stable_diffusion.config import DiffusionSettings
from visagist.amplify.stable_diffusion.latents import from_latents, latent_masks, to_latents
from visagist.amplify.stable_diffusion.weights import Networks
from visagist.face.align import CROP_SIZE


def regional_noise(parts: Sequence[Tensor], masks: Sequence[Tensor]) -> Tensor:
    """Noise predicted under several styles, each in its own regions.

    Args:
        parts: (B, C, h, w) for each style.
        masks: (B, 1, h, w) for each style, in the same order.

    Returns:
        The mean of the parts, weighted by the masks; where no mask is, their plain mean, which the
        composite drops.
    """
    weights = torch.stack(list(masks)) + 1e-6
    blended: Tensor = (torch.stack(list(parts)) * weights).sum(0) / weights.sum(0)
    return blended


class Renderer:
    """Changes that styles make to faces.

    Args:
        networks: with the LoRA of the styles in their UNet.
        projection: trained with it.
        settings: of the rendering.
    """

    def __init__(
        self, networks: Networks, projection: Projection, settings: DiffusionSettings
    ) -> None:
        self.networks, self.projection, self.settings = networks, projection, settings
        self.path = ddim.times(len(networks.kept), settings.depth, settings.steps)

    @torch.no_grad()
    def changes(
        self, faces: Sequence[CropFace], styles: Mapping[str, Tensor], *, seed: int = 0
    ) -> Floats:
        """(N, 256, 256, 3) changes in levels, exactly 0 outside the regions.

        Args:
            faces: to be made up.
            styles: for each region the vector (D,) of the makeup that it gets; a region that is
                left out stays bare.
            seed: of the noise, where ``eta`` asks for some.
        """
        networks, settings = self.networks, self.settings
        crops = picture_tensor([face.crop for face in faces], networks.device)
        source = np.stack([face.crop for face in faces]).astype(np.float32)
        small = self._masks(faces, styles)
        changed = torch.stack(list(small.values())).sum(0).clamp(max=1)
        empty = self.projection.empty(len(faces))
        trajectory = ddim.invert(
            to_latents(networks, crops, settings.side),
            self._predictor(empty),
            self.path,
            networks.kept,
        )
        fresh = self._fresh(faces, trajectory[0], seed) if settings.eta else []

        def finish(predict: ddim.Predict) -> Floats:
            latents = ddim.denoise(
                trajectory,
                predict,
                self.path,
                networks.kept,
                changed,
                eta=settings.eta,
                fresh=fresh,
            )
            return from_latents(networks, latents)

        bare_pass = finish(self._predictor(empty))
        identity = encode_pictures(networks.encoder, crops)
        styled_pass = finish(self._styled(identity, styles, small, empty))
        full = [makeup_masks(face.mesh, CROP_SIZE) for face in faces]
        mask = np.stack([changed_mask({r: of_face[r] for r in styles}) for of_face in full])
        return makeup_change(
            bare_pass, styled_pass, source, mask, shade=settings.shade, detail=settings.detail
        )

    def _masks(self, faces: Sequence[CropFace], regions: Iterable[str]) -> dict[str, Tensor]:
        """(N, 1, h, w) masks of the regions at the size of latents."""
        small = [latent_masks(self.networks, face.mesh, self.settings.side) for face in faces]
        return {r: mask_tensor([of[r] for of in small], self.networks.device) for r in regions}

    def _predictor(self, condition: Tensor) -> ddim.Predict:
        """Noise under one condition (N, 2 tokens, width)."""
        networks = self.networks

        def predict(latent: Tensor, time: int) -> Tensor:
            on_gpu = networks.device.type == "cuda"
            with torch.autocast(networks.device.type, torch.bfloat16, enabled=on_gpu):
                noise = networks.unet(latent, time, encoder_hidden_states=condition).sample
            single: Tensor = noise.float()
            return single

        return predict

    def _styled(
        self,
        identity: Tensor,
        styles: Mapping[str, Tensor],
        masks: Mapping[str, Tensor],
        empty: Tensor,
    ) -> ddim.Predict:
        """Noise under the style of each region, pushed away from the bare pass by the guidance."""
        # One call for each different style, not for each region.
        different: dict[bytes, tuple[Tensor, Tensor]] = {}
        for region, vector in styles.items():
            key = vector.cpu().numpy().tobytes()
            mask = masks[region] + different[key][1] if key in different else masks[region]
            different[key] = (vector.to(identity), mask)
        predictors = [
            self._predictor(self.projection.condition(identity, vector.expand(len(identity), -1)))
            for vector, _ in different.values()
        ]
        shares = [mask for _, mask in different.values()]
        bare, guidance = self._predictor(empty), self.settings.guidance

        def predict(latent: Tensor, time: int) -> Tensor:
            parts = [of_style(latent, time) for of_style in predictors]
            noise = parts[0] if len(parts) == 1 else regional_noise(parts, shares)
            return noise if guidance == 1 else torch.lerp(bare(latent, time), noise, guidance)

        return predict

    def _fresh(self, faces: Sequence[CropFace], like: Tensor, seed: int) -> list[Tensor]:
        """Noise for every step, of each face's own seed: both passes get the same."""
        steps = len(self.path) - 1
        drawn = []
        for face in faces:
            digest = hashlib.sha256(f"{seed} {face.key}".encode()).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
            drawn.append(torch.randn((steps, *like.shape[1:]), generator=generator))
        return list(torch.stack(drawn, 1).to(like))
