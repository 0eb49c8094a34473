"""Every knob of blending. Unknown fields are refused."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from visagist.corpus.sample import USES
from visagist.errors import ConfigError

Split = Literal["train", "validation", "test"]


class ParentConfig(BaseModel):
    """Which faces become parents, and which go together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_yaw: float = Field(20, description="degrees; beyond, one cheek is not seen", ge=0)
    max_pitch: float = Field(20, description="degrees", ge=0)
    max_occluded: float = Field(
        0.12, description="estimated share of the face that is covered", ge=0, le=1
    )
    max_side_light: float = Field(16, description="L* of one half less the other's", ge=0)
    min_luminance: float = Field(28, description="mean L* of the skin", ge=0, le=100)
    max_clipped: float = Field(0.15, description="share of the face at 0 or 255", ge=0, le=1)
    min_face_width: float = Field(90, description="width of the face in the photo, pixels", ge=0)
    min_sharpness: float = Field(20, description="variance of the Laplacian at 256 pixels", ge=0)
    max_glasses: float = Field(
        1.0, description="figure of :func:`~visagist.corpus.blends.parents.wear`", ge=0
    )
    beard_difference: float = Field(
        0.17, description="of how much darker chin and upper lip are than the cheeks", ge=0
    )
    grey: bool = Field(
        False, description="grey pictures become parents, too; of grey blends, never of others"
    )
    pose_difference: float = Field(12, description="degrees between two parents", ge=0)
    light_difference: float = Field(14, description="of light_x and light_y, L*", ge=0)
    tone_difference: float = Field(
        30, description="degrees of typology angle; the tone itself is the host's", ge=0
    )
    eyes_difference: float = Field(
        0.1,
        description="of the lids' opening over the width: open lids do not fit closed eyes",
        ge=0,
    )
    sharpness_ratio: float = Field(2.5, description="between two parents", ge=1)
    mouth_difference: float = Field(
        0.05, description="of mouth_open: lips that are closed do not go with teeth", ge=0
    )


class BlendConfig(BaseModel):
    """How blends are made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int = Field(description="blended people", ge=1)
    seed: int = Field(0, description="another seed gives other people", ge=0)
    source: str = Field("blends", description="name of the source in the new corpus", min_length=1)
    splits: tuple[Split, ...] = Field(
        ("train", "validation", "test"), description="whose people become parents"
    )
    use: Literal[USES] = Field(  # type: ignore[valid-type]
        "generation", description="parents must allow it; a blend allows what all parents allow"
    )
    parents: int = Field(3, description="people in a blend", ge=2, le=3)
    pictures: int = Field(
        2,
        description="of each blend; the second has another expression, pose and light",
        ge=1,
        le=8,
    )
    host_share: float = Field(
        0.2,
        description="mean weight of the parent that gives hair, ears and light; the others share "
        "the rest",
        ge=0,
        le=1,
    )
    spread: float = Field(
        0.1, description="weights are drawn so far around their means", ge=0, le=1
    )
    inherit: float = Field(
        0.1,
        description="share of what makes the shape of the parents' mean differ from the mean of "
        "all people that the blend keeps; 1 keeps all",
        ge=0,
        le=1,
    )
    inherit_skin: float = Field(
        0.6,
        description="the same for the skin's shading; lower, folds leave bright lines behind",
        ge=0,
        le=1,
    )
    variation: float = Field(
        1.4,
        description="standard deviations of shape that no parent gave, over 24 principal "
        "directions of the people of the split",
        ge=0,
        le=3,
    )
    complexion: float = Field(
        0.9,
        description="the same for the skin's shading and colour, over 40 directions",
        ge=0,
        le=3,
    )
    window: float = Field(
        1.5, description="field of view that is worked on; the border beyond is the host's", ge=1
    )
    max_turn: float = Field(
        9, description="degrees of yaw and pitch of a second picture", ge=0, le=12
    )
    max_light: float = Field(
        0.45,
        description="relative change of light across the face in a second picture",
        ge=0,
        le=0.8,
    )
    max_cosine: float = Field(
        0.3,
        description="with an embedder: a blend that is nearer to a parent is drawn again, and left "
        "out when it stays so",
        ge=-1,
        le=1,
    )
    rules: ParentConfig = Field(ParentConfig(), description="which faces become parents")

    @model_validator(mode="after")
    def _some_split(self) -> BlendConfig:
        if not self.splits:
            raise ValueError("name at least one split")
        return self


def make_config(**fields: object) -> BlendConfig:
    """A config from single fields.

    Raises:
        ConfigError: a field is unknown or wrong (named in the message).
    """
    try:
        return BlendConfig.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "the blends"
        raise ConfigError(f"{name}: {first['msg']}") from error
