"""Every knob of the embedding network and of its distillation."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from visagist.corpus.feed.selection import FeedConfig
from visagist.recognition.crop import INPUT_SIZE
from visagist.training.augmentation import AugmentConfig
from visagist.training.loop import LoopConfig

__all__ = ["DistillConfig", "EmbeddingRun", "NetworkConfig", "RecognizerRecipe"]


class NetworkConfig(BaseModel):
    """Shape of the embedding network."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["residual", "mobilefacenet"] = Field(
        "residual",
        description="residual: plain 3x3 convolutions, in factors where ranks say so; trains ten "
        "times faster on a CPU than mobilefacenet's depthwise convolutions, and runs faster too; "
        "mobilefacenet has one shape, and uses input_size and embedding alone",
    )
    input_size: int = Field(INPUT_SIZE, description="side of the face in pixels", ge=64)
    embedding: int = Field(128, description="length of the embedding", ge=8)
    stem: int = Field(48, description="filters of the first convolution, 8x8 at stride 3", ge=8)
    widths: tuple[int, ...] = Field(
        (32, 64, 128, 256), description="channels of each stage; each halves the map", min_length=1
    )
    blocks: tuple[int, ...] = Field(
        (3, 4, 3, 4), description="residual blocks of each stage; the last ends at one pixel"
    )
    ranks: tuple[int, ...] = Field(
        (0, 32, 64, 60),
        description="inner width of a stage's convolutions, each factored into 1x1, 3x3, 1x1; "
        "0: not factored",
    )
    norm: bool = Field(
        False,
        description="batch normalisation: needed to train from random weights; weights that were "
        "compressed from a teacher train a quarter faster without",
    )

    @model_validator(mode="after")
    def _one_of_each(self) -> NetworkConfig:
        if not len(self.widths) == len(self.blocks) == len(self.ranks):
            raise ValueError("widths, blocks and ranks need one number a stage each")
        return self


class DistillConfig(BaseModel):
    """How the network learns from its teacher."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch: int = Field(64, description="faces a step", ge=2)
    group: int = Field(
        1,
        description="faces of a batch that resemble each other: one and others of its nearest by "
        "the teacher; 1 draws all alike; divides batch",
        ge=1,
    )
    near: int = Field(200, description="how many nearest faces a group is drawn from", ge=1)
    even_tones: float = Field(
        0.0,
        description="share of the groups whose first face is drawn evenly from the classes of skin "
        "tone, whatever their number in the corpus",
        ge=0,
        le=1,
    )
    start: Literal["teacher", "random"] = Field(
        "teacher",
        description="first weights: computed from the teacher's, which needs a network of its "
        "blocks without norm, or random",
    )
    compress_faces: int = Field(
        1000, description="faces that the first weights are computed over", ge=1
    )
    stem_steps: int = Field(1500, description="steps of fitting the stem to the teacher's", ge=0)
    relation: float = Field(
        2.0,
        description="weight of the squared error of the cosines between the faces of a batch, "
        "beside one less the cosine to the teacher's own vector",
        ge=0,
    )

    @model_validator(mode="after")
    def _whole_groups(self) -> DistillConfig:
        if self.batch % self.group:
            raise ValueError(f"batch is {self.batch}, which groups of {self.group} do not fill")
        return self


class RecognizerRecipe(BaseModel):
    """One trained artefact: ``recipes/recognizer.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: FeedConfig = FeedConfig(use="recognition", size=180, zoom=1.06)
    network: NetworkConfig = NetworkConfig()
    distill: DistillConfig = DistillConfig()
    augment: AugmentConfig = AugmentConfig()
    loop: LoopConfig = LoopConfig()


class EmbeddingRun(BaseModel):
    """What the recipe of every run of an embedding network says, whichever training wrote it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    network: NetworkConfig
