"""The frozen networks, read from a local folder; nothing is ever downloaded.

The folder is laid out as diffusers lays out a pipeline (docs/stable-diffusion.md says which weights
fit, under which licences)::

    unet/            config.json, diffusion_pytorch_model.safetensors
    vae/             config.json, diffusion_pytorch_model.safetensors
    image_encoder/   config.json, model.safetensors
    scheduler/       scheduler_config.json
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors import SafetensorError
from torch import Tensor
from transformers import CLIPVisionModelWithProjection
from transformers.utils import logging as transformers_logging

from visagist.errors import ModelDamagedError, ModelMissingError
from visagist.runtime.store import user_data

VARIABLE = "VISAGIST_STABLE_DIFFUSION"
_PARTS: dict[str, tuple[Any, str]] = {
    "unet": (UNet2DConditionModel, "diffusion_pytorch_model"),
    "vae": (AutoencoderKL, "diffusion_pytorch_model"),
    "image_encoder": (CLIPVisionModelWithProjection, "model"),
}
_SCHEDULER = Path("scheduler", "scheduler_config.json")


@dataclass(frozen=True, slots=True)
class Networks:
    """What is trained by others and stays as it is.

    Attributes:
        unet: predicts the noise in a latent, ``UNet2DConditionModel``.
        vae: pictures to latents and back, ``AutoencoderKL``.
        encoder: pictures to vectors, ``CLIPVisionModelWithProjection``.
        kept: (T,) float64, the share of signal in a latent's variance at every time
            (``alphas_cumprod`` of the schedule); falls with time.
        base: digest of the UNet, by which a style knows the weights it was fitted on.
        device: where the networks are.
    """

    unet: Any
    vae: Any
    encoder: Any
    kept: Tensor
    base: str
    device: torch.device

    @property
    def reduction(self) -> int:
        """Pixels a side that one cell of a latent stands for."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))


def weights_folder(folder: Path | None = None) -> Path:
    """The folder asked for, else ``$VISAGIST_STABLE_DIFFUSION``, else the user's own.

    Raises:
        ModelMissingError: it is not there, or lacks a part; the message says what to put where.
    """
    named = folder or os.environ.get(VARIABLE)
    found = Path(named) if named else user_data() / "stable-diffusion"
    missing = [
        str(Path(part, name))
        for part, (_, stem) in _PARTS.items()
        for name in ("config.json", f"{stem}.safetensors")
        if not (found / part / name).is_file()
        and not (name != "config.json" and _half(found, part))
    ]
    if not (found / _SCHEDULER).is_file():
        missing.append(str(_SCHEDULER))
    if missing:
        raise ModelMissingError(
            f"no weights of Stable Diffusion in {found}: {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing. Download Stable Diffusion 1.5 (unet, "
            "vae, scheduler) and the CLIP ViT-H/14 image encoder of IP-Adapter (image_encoder) as "
            "docs/stable-diffusion.md describes, put them into one folder, and name it in "
            f"${VARIABLE}"
        )
    return found


def _half(folder: Path, part: str) -> bool:
    """Whether a part is there in half precision, as some people store it."""
    return (folder / part / f"{_PARTS[part][1]}.fp16.safetensors").is_file()


def load_networks(folder: Path, device: torch.device) -> Networks:
    """Read all parts, in single precision, frozen.

    Raises:
        ModelMissingError: a part is not there.
        ModelDamagedError: a file cannot be read, or the parts do not fit together.
    """
    folder = weights_folder(folder)
    parts = {part: _load_part(folder, part).to(device) for part in _PARTS}
    scheduler = _schedule(folder)
    unet, vae = parts["unet"], parts["vae"]
    if unet.config.in_channels != vae.config.latent_channels:
        raise ModelDamagedError(
            f"{folder}: the UNet takes {unet.config.in_channels} channels and the autoencoder has "
            f"{vae.config.latent_channels}; take both from one release, not one for inpainting"
        )
    if unet.config.addition_embed_type is not None:
        raise ModelDamagedError(
            f"{folder}: the UNet wants more than an image and tokens, as that of SDXL does; this "
            "needs one such as that of Stable Diffusion 1.5"
        )
    if scheduler.config.prediction_type != "epsilon":
        raise ModelDamagedError(
            f"{folder}: the UNet predicts {scheduler.config.prediction_type!r}; this needs one "
            "that predicts the noise, such as Stable Diffusion 1.5"
        )
    kept = scheduler.alphas_cumprod.double().to(device)
    return Networks(unet, vae, parts["image_encoder"], kept, _digest(unet), device)


def _load_part(folder: Path, part: str) -> Any:  # noqa: ANN401  diffusers' own classes
    kind, stem = _PARTS[part]
    plain = (folder / part / f"{stem}.safetensors").is_file()
    try:
        with _no_bars():
            network = kind.from_pretrained(
                folder / part,
                use_safetensors=True,  # pickles are never read
                local_files_only=True,
                variant=None if plain else "fp16",
            )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelDamagedError(
            f"{folder / part} cannot be read ({reason}); download it again"
        ) from error
    return network.float().eval().requires_grad_(False)


@contextmanager
def _no_bars() -> Iterator[None]:
    """Keep transformers from drawing bars of its own into the terminal."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()


def _schedule(folder: Path) -> Any:  # noqa: ANN401
    try:
        # Whatever sampler the folder names: only its noise schedule is used.
        config = DDIMScheduler.load_config(folder / _SCHEDULER.parent, local_files_only=True)
        return DDIMScheduler.from_config(config)
    except (OSError, ValueError, TypeError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelDamagedError(f"{folder / _SCHEDULER} cannot be read ({reason})") from error


def _digest(unet: Any) -> str:  # noqa: ANN401
    """SHA-256 over the first and last layers: it differs between fine-tunings of one layout."""
    sha = hashlib.sha256()
    for layer in (unet.conv_in, unet.conv_out):
        for value in layer.state_dict().values():
            sha.update(value.detach().cpu().float().numpy().tobytes())
    return sha.hexdigest()
