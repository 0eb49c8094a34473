"""All that is trained: LoRA in the UNet's attention, and the projection to tokens."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from peft import LoraConfig
from torch import Tensor, nn

from visagist.amplify.stable_diffusion.conditioning import Projection
from visagist.amplify.stable_diffusion.config import DiffusionSettings
from visagist.amplify.stable_diffusion.weights import Networks
from visagist.errors import ModelDamagedError

_ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
_LORA, _PROJECTION = "unet.", "projection."


class Adapter(nn.Module):
    """Puts LoRA into a UNet and holds what is to be trained, without the UNet itself.

    The LoRA matrices here are the very ones inside the UNet: changing them changes what it
    predicts. A copy of this module is only numbers. With rank 4 Stable Diffusion 1.5 gets 797,184
    of them. At the start LoRA adds nothing, since one of each two matrices is 0.

    Args:
        networks: whose UNet has no adapter yet.
        settings: rank and tokens.
        seed: of the first weights.
    """

    def __init__(self, networks: Networks, settings: DiffusionSettings, *, seed: int = 0) -> None:
        super().__init__()
        rank, unet = settings.rank, networks.unet
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            unet.add_adapter(
                LoraConfig(
                    r=rank,
                    lora_alpha=rank,  # factor 1 on what LoRA adds
                    init_lora_weights="gaussian",
                    target_modules=_ATTENTION,
                )
            )
            self.projection = Projection(
                networks.encoder.config.projection_dim,
                settings.tokens,
                unet.config.cross_attention_dim,
            ).to(networks.device)
        inserted = {n: p for n, p in unet.named_parameters() if p.requires_grad}
        self.names = sorted(inserted)
        self.lora = nn.ParameterList([inserted[name] for name in self.names])

    def portable(self) -> dict[str, Tensor]:
        """Weights by their names in files; those of LoRA are what diffusers calls them."""
        named = {
            _LORA + name.replace(".default.", "."): value.detach().cpu().contiguous()
            for name, value in zip(self.names, self.lora, strict=True)
        }
        for name, value in self.projection.state_dict().items():
            named[_PROJECTION + name] = value.detach().cpu().contiguous()
        return named

    @torch.no_grad()
    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Take over what :meth:`portable` gave.

        Raises:
            ModelDamagedError: a tensor is missing, unknown or of another shape.
        """
        own = {
            _LORA + name.replace(".default.", "."): value
            for name, value in zip(self.names, self.lora, strict=True)
        }
        own |= {_PROJECTION + n: value for n, value in self.projection.state_dict().items()}
        shapes = {name: value.shape for name, value in own.items()}
        if shapes != {name: value.shape for name, value in weights.items()}:
            raise ModelDamagedError(
                "the style's weights do not fit these networks: fit it again with these, or load "
                "the ones it was fitted on"
            )
        for name, value in own.items():
            value.copy_(weights[name])
