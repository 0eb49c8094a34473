"""The amplifier of the paper: Stable Diffusion with LoRA, in latents, through ``diffusers``."""

from __future__ import annotations

from importlib.util import find_spec

from visagist.errors import MissingExtraError

# Said here, because verbs that open any amplifier would name the extra for training instead.
_MISSING = [name for name in ("diffusers", "transformers", "peft") if find_spec(name) is None]
if _MISSING:
    raise MissingExtraError(
        f"the amplifier stable-diffusion needs the package {_MISSING[0]}; "
        "install it with: pip install 'visagist[stable-diffusion]'"
    )
