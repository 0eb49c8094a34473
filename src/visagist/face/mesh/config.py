"""Every knob of the mesh network and its training."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class MeshNetworkConfig(BaseModel):
    """Architecture: a small residual network that regresses 478 points from a loose crop."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input_size: int = Field(128, description="side of the square input in pixels", ge=64, le=256)
    widths: tuple[int, int, int, int] = Field(
        (16, 32, 64, 128), description="channels at 1/2, 1/4, 1/8, 1/16; multiples of 16 run fast"
    )
    depths: tuple[int, int, int, int] = Field(
        (0, 1, 2, 2), description="residual blocks at each resolution"
    )
    squeeze: int = Field(24, description="channels kept at 1/16 before the points are read off")
    hidden: int = Field(128, description="width of the layer between features and points")
    field: float = Field(
        1.25, description="side of the network's crop in canonical crops: 1.25 leaves a margin"
    )


class MeshTrainingConfig(BaseModel):
    """How the mesh network is trained. Lengths are fractions of the crop's side.

    The recipe's ``augment`` section has the disturbances; ``calm`` faces are placed more narrowly.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch: int = Field(256, description="faces a step", ge=1)
    negatives: float = Field(0.12, description="share of the batch without a face", ge=0, le=0.5)
    calm: float = Field(0.8, description="share of calm faces, which is what a second pass sees")
    calm_roll: float = Field(8.0, description="degrees, largest roll of the calm faces")
    calm_scale: float = Field(0.06, description="largest relative change of scale of calm faces")
    calm_shift: float = Field(0.03, description="largest shift of calm faces")
    eye_weight: float = Field(2.0, description="weight of eye, iris and lip points in the loss")
    good_error: float = Field(
        0.10, description="mean error, in inter-ocular distances, at which confidence reaches 0"
    )
