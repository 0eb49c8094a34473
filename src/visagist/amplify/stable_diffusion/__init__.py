"""The amplifier of the paper: Stable Diffusion with LoRA, in latents, through ``diffusers``."""
