"""Every knob of the Stable Diffusion backend."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from visagist.amplify.residual import DETAIL, SHADE


class DiffusionSettings(BaseModel):
    """Fitting and rendering; the paper (arXiv 2403.15033) where it says, else as described."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    side: int = Field(
        512, description="pixels at which crops are encoded; the paper's, 64 in latents", ge=8
    )
    tokens: int = Field(32, description="of the style, and as many of the identity", ge=1)
    rank: int = Field(4, description="of LoRA in every attention projection of the UNet", ge=1)

    lr: float = Field(1e-4, description="learning rate of AdamW, constant", gt=0)
    weight_decay: float = Field(1e-2, description="decoupled; not on biases and gains", ge=0)
    clip: float = Field(1.0, description="largest norm of a gradient", gt=0)
    epochs: int = Field(500, description="times each look is shown, one a step", ge=1)
    bare_share: float = Field(
        0.2,
        description="share of steps that show the bare photo without a condition, so that the bare "
        "pass does not learn makeup; the paper is silent, 0 turns it off",
        ge=0,
        lt=1,
    )
    checkpointing: bool = Field(
        False, description="compute activations twice instead of keeping them: a third more time"
    )
    checkpoint_every: int = Field(250, description="steps between checkpoints", ge=1)

    depth: float = Field(
        0.5,
        description="how far a photo is inverted into noise, as a share of the schedule; the paper "
        "is silent, the release adds noise up to 0.3",
        gt=0,
        le=1,
    )
    steps: int = Field(20, description="of DDIM, down and up again", ge=1)
    eta: float = Field(0.0, description="noise added on the way back, 0 for none (DDIM)", ge=0)
    guidance: float = Field(
        1.0,
        description="how far the styled pass is pushed from the bare one, 1 for not at all and "
        "half the time; the paper is silent, the release has 2.5 on a style that was fitted weaker",
        ge=0,
    )
    shade: float = Field(SHADE, description="lambda_m: factor on the makeup residual", ge=0)
    detail: float = Field(
        DETAIL, description="lambda_d: how much of what the model lost is given back", ge=0, le=1
    )
    batch: int = Field(4, description="faces rendered at once", ge=1)
