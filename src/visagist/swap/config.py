"""Every knob of the swap networks and of their training."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from visagist.swap.data import TripletAugment
from visagist.training.loop import LoopConfig

__all__ = [
    "AdversarialConfig",
    "DataConfig",
    "IdentityConfig",
    "MaskConfig",
    "NetworkConfig",
    "PixelConfig",
    "SwapLossConfig",
    "SwapRecipe",
]


class NetworkConfig(BaseModel):
    """Shape of a swap network."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["patch", "paper"] = Field(
        "patch",
        description="patch: ours, work at a quarter and an eighth of the picture's side, with a "
        "blend mask; paper: MobileFSGAN as published, which uses width and embedding alone",
    )
    image_size: int = Field(
        256, description="side of the canonical crop in pixels that the export is made for", ge=64
    )
    embedding: int = Field(128, description="length of the identity vector", ge=8)
    width: int = Field(64, description="channels at a quarter of the side; paper: all channels")
    body: int = Field(128, description="channels at an eighth of the side", ge=16)
    encoder_blocks: int = Field(1, description="residual blocks before the halving", ge=0)
    body_blocks: int = Field(5, description="modulated residual blocks at an eighth", ge=1)
    decoder_blocks: int = Field(2, description="modulated residual blocks after the fusion", ge=2)
    head: int = Field(3, description="kernel of the last convolution", ge=1)
    mask: bool = Field(
        True, description="a blend mask as second output; without it every pixel is redrawn"
    )
    residual: bool = Field(
        True, description="the picture is the target plus what is drawn; else it is drawn alone"
    )
    guide: bool = Field(
        True,
        description="the source's face on the target's mesh comes in beside the target, and the "
        "picture is that plus what is drawn; without, the identity's vector is all there is of it",
    )
    shape: float = Field(
        0.6, description="share of the source's build that the guide takes on", ge=0, le=1
    )
    released: bool = Field(
        False,
        description="paper: fusion maps without bounds, reflected rims and corner-aligned "
        "resampling as in the released code, instead of sigmoid, zeros and pixel centres",
    )

    @property
    def masked(self) -> bool:
        """Whether the network draws a mask; the paper's has none."""
        return self.mask and self.kind == "patch"

    @property
    def guided(self) -> bool:
        """Whether the network starts from the source's warped face; the paper's does not."""
        return self.guide and self.kind == "patch"

    @model_validator(mode="after")
    def _whole_patches(self) -> NetworkConfig:
        if self.image_size % 32:
            raise ValueError(f"image_size must be a multiple of 32, not {self.image_size}")
        return self


class PixelConfig(BaseModel):
    """Squared error against the truth, and against the target where there is none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weight: float = Field(
        15.0,
        description="of the mean squared error to the truth; the release's 10 acts as 15",
        ge=0,
    )
    raw: float = Field(
        0.5, description="the same for the picture before blending, as a share of weight", ge=0
    )
    coarse: float = Field(
        0.0, description="the same at the smaller scales, as a share of weight", ge=0
    )
    guide: float = Field(
        0.1,
        description="share of weight for pixels of the face where there is no truth: they stay "
        "near the guide's",
        ge=0,
    )
    background: float = Field(
        0.5,
        description="share of weight for pixels outside the face where there is no truth: they "
        "are the target's",
        ge=0,
    )


class IdentityConfig(BaseModel):
    """Cosine to the source by the frozen encoder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: tuple[float, float, float] = Field(
        (20.0, 20.0, 20.0), description="at the full side, a half and a quarter of it"
    )
    margin: float = Field(0.02, description="distance that costs nothing", ge=0)
    share: float = Field(
        1.0, description="share of each batch whose identity is judged, to save time", gt=0, le=1
    )


class AdversarialConfig(BaseModel):
    """Hinge losses of three patch discriminators."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: tuple[float, float, float] = Field(
        (1.0, 0.02, 0.02), description="at the full side, a half and a quarter; means, not sums"
    )
    start: int = Field(0, description="first step with discriminators", ge=0)
    width: int = Field(16, description="channels of their first convolution", ge=4)
    levels: int = Field(4, description="convolutions with stride 2", ge=2)
    rate: float = Field(1.0, description="their learning rate as a share of the network's", gt=0)
    matching: float = Field(
        0.0,
        description="weight of the L1 distance between a discriminator's deep maps of result and "
        "truth, or target where there is none (weak feature matching, Chen et al. 2020)",
        ge=0,
    )


class MaskConfig(BaseModel):
    """Guards of the blend mask against copying the target and against redrawing everything."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: int = Field(
        1000,
        description="first step whose pictures teach the mask; before, every drawn pixel is worse "
        "than a copied one, and the mask would learn to copy",
        ge=0,
    )
    area: float = Field(20.0, description="weight of the squared excess over the area's limits")
    least: float = Field(0.25, description="least mean of the mask", ge=0, le=1)
    most: float = Field(0.60, description="largest mean of the mask", ge=0, le=1)
    core: float = Field(
        1.0, description="weight of 1 - mask in the middle of the face, against copying", ge=0
    )
    smooth: float = Field(0.05, description="weight of the mask's total variation", ge=0)


class SwapLossConfig(BaseModel):
    """What the network is asked for; the published weights are the defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pixel: PixelConfig = PixelConfig()
    perceptual: float = Field(
        4.0, description="weight of L1 on the frozen encoder's early maps, at the full side", ge=0
    )
    perceptual_untrue: float = Field(
        0.1, description="its share inside the face where there is no truth, only the target", ge=0
    )
    identity: IdentityConfig = IdentityConfig()
    adversarial: AdversarialConfig = AdversarialConfig()
    mask: MaskConfig = MaskConfig()


class DataConfig(BaseModel):
    """How triplets become batches."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch: int = Field(16, description="triplets a step", ge=2)
    size: int = Field(256, description="side to train at: 256, or 128 for a first stage", ge=64)
    mix: dict[str, float] | None = Field(
        None, description="share of each kind of triplet; that of the first set's recipe without"
    )
    held_out_mix: dict[str, float] | None = Field(
        None, description="share of each kind in a validation; that of the training without"
    )
    augment: TripletAugment = TripletAugment()
    held_out: int = Field(64, description="triplets that a validation looks at", ge=1)

    @model_validator(mode="after")
    def _whole_patches(self) -> DataConfig:
        if self.size % 32:
            raise ValueError(f"size must be a multiple of 32, not {self.size}")
        return self


class SwapRecipe(BaseModel):
    """One trained artefact: ``recipes/swap.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: DataConfig = DataConfig()
    network: NetworkConfig = NetworkConfig()
    losses: SwapLossConfig = SwapLossConfig()
    loop: LoopConfig = LoopConfig(lr=4e-4, betas=(0.0, 0.999), weight_decay=0.0)
