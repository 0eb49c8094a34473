"""Every knob of the pixel amplifier: its base's data and training, fine-tuning and sampling."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from visagist.amplify.pixels.windows import KINDS, SIDE
from visagist.corpus.feed.selection import FeedConfig
from visagist.generation.config import NetworkConfig
from visagist.training.loop import LoopConfig

HINTS = 4
"""Channels beside source and mask: the bare face, and how far the style is known there."""


class ExamplesConfig(BaseModel):
    """How faces are made up at random for the base."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    groups: int = Field(1000, description="random styles of the training split", ge=1)
    held_out: int = Field(40, description="random styles of the validation split", ge=1)
    faces: int = Field(
        6, description="faces that wear each style: one is the target, others the pairs", ge=2
    )
    most_pairs: int = Field(5, description="most pairs that a target sees its style on", ge=1)
    jitter: float = Field(
        1.0, description="pixels by which meshes are moved, as they are off on new faces", ge=0
    )
    weakest: float = Field(0.6, description="least intensity of a style", gt=0, le=1)
    seed: int = Field(0, description="of styles, faces and jitter")


class LevelsConfig(BaseModel):
    """Noise: the walk starts from the laid style with noise, not from noise alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: float = Field(
        1.0, description="highest level, where sampling starts; pictures have a spread of 0.5", gt=0
    )
    at_start: float = Field(
        0.5, description="share of the training at the highest level, where one step decides", ge=0
    )
    least: float = Field(0.02, description="lowest level", gt=0)


class FinetuneConfig(BaseModel):
    """How a few pairs bend the base to one style."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = Field(150, description="optimiser steps; 0 leaves the base as it is", ge=0)
    batch: int = Field(16, description="windows a step", ge=1)
    rank: int = Field(8, description="of the low-rank updates (LoRA) of all linear layers", ge=1)
    lr: float = Field(1e-3, description="learning rate of AdamW, falling as a cosine", gt=0)
    draws: int = Field(8, description="how often each pair is a target, with other meshes", ge=1)
    least_pairs: int = Field(
        2, description="with fewer nothing is tuned: a pair is a target for the others only", ge=2
    )


class SamplingConfig(BaseModel):
    """How a face is made up."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = Field(1, description="evaluations of the network", ge=1)
    shade: float = Field(1.0, description="lambda_m of the residual diffusion model", ge=0)
    detail: float = Field(1.0, description="lambda_d of the residual diffusion model", ge=0)
    bare_pass: bool = Field(
        True, description="subtract the pass without a style (RDM) instead of the photo itself"
    )
    margin: int = Field(
        3, description="pixels by which the network may leave the mesh's regions", ge=0
    )


def _network() -> NetworkConfig:
    return NetworkConfig.model_validate(
        {"size": "face-5m-64", "overlap": 2, "residual_scale": 0.1} | _FIXED
    )


_FIXED: dict[str, Any] = {
    "image_size": SIDE,
    "classes": len(KINDS),
    "source": True,
    "masks": 1,
    "hints": HINTS,
    "residual": True,
}


class AmplifierRecipe(BaseModel):
    """Everything that decides a base."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: FeedConfig = Field(description="which faces wear the random styles")
    examples: ExamplesConfig = Field(default_factory=ExamplesConfig)
    network: NetworkConfig = Field(default_factory=_network)
    levels: LevelsConfig = Field(default_factory=LevelsConfig)
    batch: int = Field(32, description="windows a step", ge=1)
    bare_share: float = Field(
        0.06, description="share of examples without a style, which are to stay as they are", ge=0
    )
    light: float = Field(
        0.15, description="largest change of a channel's brightness, drawn for each example", ge=0
    )
    loop: LoopConfig = Field(default_factory=LoopConfig)

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: Any) -> Any:  # noqa: ANN401  (whatever a recipe holds)
        if isinstance(values, dict) and isinstance(values.get("network"), dict):
            return values | {"network": _FIXED | values["network"]}
        return values

    @model_validator(mode="after")
    def _fits(self) -> AmplifierRecipe:
        wrong = [name for name, value in _FIXED.items() if getattr(self.network, name) != value]
        if wrong:
            raise ValueError(f"network.{wrong[0]} of an amplifier is {_FIXED[wrong[0]]}")
        return self
