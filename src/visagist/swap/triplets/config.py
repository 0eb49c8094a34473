"""How triplets are drawn: the shares of their kinds, the edits, and what is thrown away."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from visagist.errors import ConfigError

Kind = Literal[
    "free", "same", "two_image", "shape_on_target", "wear_on_target", "shape_on_source",
    "wear_on_source", "proxy", "cycle", "exact",
]  # fmt: skip
IdentityEdit = Literal["shape", "other_shape", "features", "older", "younger", "beard", "tone"]
AttributeEdit = Literal[
    "glasses", "hair", "occluder", "hat", "smile", "mouth_open", "brows", "gaze", "light",
    "hair_colour",
]  # fmt: skip
DRAWN_LATER: tuple[Kind, ...] = ("free", "same")
"""Kinds that need no edit: they are put together when batches are drawn."""

PAPER_MIX: dict[Kind, float] = {
    "free": 0.600,
    "same": 0.112,
    "two_image": 0.060,
    "shape_on_target": 0.078,
    "wear_on_target": 0.063,
    "wear_on_source": 0.087,
}
"""Shares of the published training code (HoiM/MobileFSGAN at 478175b); glasses, fringe and
sunglasses, .126 together, are half (f), half (h), bald and grin, .024, are (h)."""
_FORBIDDEN = ("FLUX1_dev", "FLUX1_pro", "DALLE3")


class GateConfig(BaseModel):
    """What is thrown away; cosines are of the recogniser, levels of 0..255."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    replaced_most: float = Field(
        0.62, description="largest cosine of a face and itself after it was replaced", ge=-1, le=1
    )
    replaced_least: float = Field(
        0.35, description="least cosine of a replaced face and the person it was taken from", ge=-1
    )
    edited_most: float = Field(
        0.95, description="largest cosine of a face and itself after an identity edit", ge=-1, le=1
    )
    edited_least: float = Field(
        0.15, description="least cosine of the same: below, the face is broken", ge=-1, le=1
    )
    pair_least: float = Field(
        0.3, description="least cosine of two pictures of one person", ge=-1, le=1
    )
    kept_least: float = Field(
        0.55, description="least cosine of a face and itself after smile, gaze, light", ge=-1, le=1
    )
    change_least: float = Field(
        1.2, description="least mean change inside the face's oval; less is a copy", ge=0
    )
    outside_most: float = Field(
        8.0, description="largest mean change around the head, but for light and hats", ge=0
    )
    eyes_least: float = Field(
        0.1, description="least gap between the lids over their width, of sources", ge=0
    )
    folded_most: float = Field(
        0.02, description="largest share of the face's triangles that an edit turns over", ge=0
    )


class PeopleConfig(BaseModel):
    """Which pictures are used."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shares: dict[Literal["photo", "generated", "blend", "head"], float] = Field(
        default={"photo": 0.3, "generated": 0.3, "blend": 0.32, "head": 0.08},
        description="how often each kind of picture is drawn; kinds that are not there drop out",
    )
    pair_shares: dict[Literal["photo", "generated", "blend", "head"], float] = Field(
        default={"photo": 0.3, "blend": 0.6, "head": 0.1},
        description="the same for people with two pictures; in generated pictures they are "
        "look-alikes",
    )
    grey: float = Field(
        0.2, description="how often a person is kept whose pictures have no colour", ge=0, le=1
    )
    without_generators: tuple[str, ...] = Field(
        _FORBIDDEN, description="generators whose terms forbid training on their pictures"
    )
    without_sources: tuple[str, ...] = Field(
        ("london",), description="sources to leave out, whatever they allow"
    )
    min_face_width: float = Field(90, description="in pixels of the photo", ge=0)
    enlarge: float = Field(1.6, description="largest enlargement of the corpus' crops", ge=1)
    max_yaw: float = Field(38, description="degrees", ge=0)
    max_pitch: float = Field(25, description="degrees", ge=0)
    min_luminance: float = Field(25, description="mean L* of the skin", ge=0)
    yaw_difference: float = Field(14, description="of the two faces of a replacement", ge=0)
    pitch_difference: float = Field(14, description="of the two faces of a replacement", ge=0)
    light_difference: float = Field(22, description="of light_x and light_y, L*", ge=0)
    max_covered: float = Field(
        0.12, description="covered share of the face that replaces another's", ge=0, le=1
    )
    max_glasses: float = Field(
        1.2,
        description="figure of :func:`~visagist.corpus.blends.parents.wear`, of the same face; "
        "tinted lenses escape the parser",
        ge=0,
    )


class TripletConfig(BaseModel):
    """How triplets are drawn."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mix: dict[Kind, float] = Field(
        default=PAPER_MIX, description="share of each kind in training; the published one"
    )
    identity_edits: dict[IdentityEdit, float] = Field(
        default={
            "shape": 0.26,
            "other_shape": 0.22,
            "features": 0.2,
            "older": 0.1,
            "younger": 0.06,
            "beard": 0.1,
            "tone": 0.06,
        },
        description="how often each is drawn for the kinds with an identity edit",
    )
    second_edit: float = Field(
        0.4, description="share of identity edits that get a second one on top", ge=0, le=1
    )
    target_edits: dict[AttributeEdit, float] = Field(
        default={
            "glasses": 0.28,
            "hair": 0.22,
            "occluder": 0.16,
            "hat": 0.04,
            "smile": 0.08,
            "mouth_open": 0.06,
            "brows": 0.04,
            "gaze": 0.06,
            "light": 0.06,
        },
        description="attribute edits of a target, which the result keeps",
    )
    source_edits: dict[AttributeEdit, float] = Field(
        default={
            "glasses": 0.26,
            "hair": 0.16,
            "occluder": 0.06,
            "hat": 0.04,
            "smile": 0.14,
            "mouth_open": 0.08,
            "brows": 0.06,
            "gaze": 0.06,
            "light": 0.08,
            "hair_colour": 0.06,
        },
        description="attribute edits of a source, which the result has not",
    )
    weights: dict[Kind, float] = Field(
        default={}, description="weight of the loss against the truth by kind, where it is not 1"
    )
    people: PeopleConfig = PeopleConfig()
    gates: GateConfig = GateConfig()
    shape: float = Field(
        0.6, description="share of a person's build that a replaced face takes on", ge=0, le=1.5
    )
    size: int = Field(256, description="side of the pictures in pixels", ge=64, le=1024)
    quality: int = Field(95, description="of JPEG", ge=1, le=100)
    tries: int = Field(6, description="draws until one passes the gates", ge=1)

    @model_validator(mode="after")
    def _positive(self) -> TripletConfig:
        for name in ("mix", "identity_edits", "target_edits", "source_edits"):
            shares: Mapping[str, float] = getattr(self, name)
            if not shares or min(shares.values()) < 0 or sum(shares.values()) <= 0:
                raise ValueError(f"{name}: shares must not be negative, and one must be above 0")
        if not self.made:
            raise ValueError("mix: free and same need no pictures to be made; name another kind")
        return self

    @property
    def made(self) -> dict[Kind, float]:
        """The kinds that are made and written, their shares summing to 1."""
        kinds = {k: v for k, v in self.mix.items() if k not in DRAWN_LATER and v > 0}
        total = sum(kinds.values())
        return {kind: share / total for kind, share in kinds.items()}


def read_recipe(path: Path) -> TripletConfig:
    """A recipe from YAML.

    Raises:
        ConfigError: it cannot be read, or a field is unknown or wrong (named in the message).
    """
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from error
    if not isinstance(fields, dict):
        raise ConfigError(f"{path}: a recipe is a list of fields and values")
    try:
        return TripletConfig.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "the recipe"
        raise ConfigError(f"{path}: {name}: {first['msg']}") from error
