"""Every knob of the makeup network and its training."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class MakeupNetworkConfig(BaseModel):
    """Architecture of the bundled network: a 4-pixel patch stem, a pyramid, a head per style."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    styles: tuple[str, ...] = Field(description="order of the style code")
    input_size: int = Field(256, description="side of the canonical crop in pixels")
    width: int = Field(32, description="channels everywhere; multiples of 16 run fast")
    patch: int = Field(4, description="stride of the stem; the residual leaves in such patches")
    stem: int = Field(8, description="kernel of the stem: twice the stride, so patches overlap")
    mixers: int = Field(2, description="depthwise 5x5 blocks at 1/16, where the face is in view")
    expansion: int = Field(2, description="widening inside a depthwise block")


class MakeupTrainingConfig(BaseModel):
    """How the makeup network is trained; the recipe's ``augment`` section has the disturbances."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch: int = Field(16, description="faces a step", ge=1)
    styles_per_face: int = Field(3, description="styles each face is shown with; one trunk pass")
    patches: int = Field(768, description="of the 4096 patches of a face that a step looks at")
    plain_share: float = Field(
        0.4, description="chance of a patch without makeup to be looked at, against one with"
    )
    l1: float = Field(1.0, description="weight of |residual error|, in levels / 255")
    l2: float = Field(10.0, description="weight of the squared error, which is what PSNR measures")
    protect: float = Field(
        2.0, description="added weight of untouched pixels in patches with strong makeup"
    )
    sobel: float = Field(0.5, description="weight of the edge term in the eye strip")
    shift_consistency: float = Field(0.0, description="weight of the equivariance term")
    consistency_share: float = Field(0.25, description="share of the batch that pays for it")
