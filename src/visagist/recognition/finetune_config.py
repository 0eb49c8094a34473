"""Every knob of the training with known people and unlabelled faces."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from visagist.corpus.feed.selection import FeedConfig
from visagist.corpus.sample import Kind
from visagist.recognition.config import NetworkConfig
from visagist.recognition.losses.uir import UirForm
from visagist.training.augmentation import AugmentConfig
from visagist.training.loop import LoopConfig

MarginKind = Literal["arcface", "cosface", "adaface", "none"]


class PeopleConfig(BaseModel):
    """Who is known and who is not. The order of people is a hash of their names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pictures: int = Field(2, description="fewest pictures of a known person", ge=1)
    known: int = Field(0, description="the first so many people with enough pictures; 0: all", ge=0)
    known_kinds: tuple[Kind, ...] = Field((), description="kinds of known people; empty for all")
    unlabelled: int = Field(
        0, description="so many faces of all others are used, unlabelled; 0: all", ge=0
    )
    unlabelled_kinds: tuple[Kind, ...] = Field((), description="their kinds; empty for all")


class MarginConfig(BaseModel):
    """The loss on faces of known people."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: MarginKind = Field("arcface", description="none is a plain softmax over cosines")
    size: float | None = Field(
        None, description="margin m; by default 0.5 radians, 0.35 for cosface, 0.4 for adaface"
    )
    scale: float = Field(
        32.0,
        description="s; at most 2.8 times the root of the embedding's length, or random strangers "
        "win classes, and less for few people",
        gt=0,
    )
    share: float = Field(
        1.0, description="share of the centres that a step uses (partial FC)", gt=0, le=1
    )


class RejectionConfig(BaseModel):
    """The loss on unlabelled faces."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    form: UirForm = Field("released", description="see visagist.recognition.losses.uir")
    weight: float = Field(
        0.1, description="0 switches the loss off; about 0.1 / people for the paper's form", ge=0
    )
    share: float = Field(0.25, description="of a batch that is unlabelled", ge=0, lt=1)
    top: int = Field(0, description="only the so many highest classes of a face; 0: all", ge=0)
    in_norm: bool = Field(
        True, description="unlabelled faces count in the statistics of batch normalisation"
    )
    overlap_fpir: float = Field(
        0.01,
        description="unlabelled faces nearer to a known person than all but this share of known "
        "people's faces are to another's are left out; 0 keeps all",
        ge=0,
        lt=1,
    )


class CentresConfig(BaseModel):
    """Training of the centres alone, before the network is touched."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: Literal["means", "random"] = Field(
        "means", description="first centres: the mean face of each person, or noise"
    )
    views: int = Field(2, description="differently disturbed views of each face", ge=1)
    steps: int = Field(500, description="steps; 0 keeps the first centres", ge=0)
    batch: int = Field(256, description="faces a step", ge=1)
    lr: float = Field(1e-3, description="learning rate of AdamW", gt=0)


class FinetuneTrainingConfig(BaseModel):
    """How the network is trained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch: int = Field(128, description="faces a step, unlabelled ones among them", ge=2)
    margin: MarginConfig = MarginConfig()
    rejection: RejectionConfig = RejectionConfig()
    centres: CentresConfig = CentresConfig()
    measured: int = Field(
        1000, description="at most so many faces of each kind are measured in a validation", ge=2
    )


class FinetuneRecipe(BaseModel):
    """One trained artefact: ``recipes/recognizer-uir.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: FeedConfig = FeedConfig(use="recognition", size=180, zoom=1.06)
    people: PeopleConfig = PeopleConfig()
    network: NetworkConfig = Field(
        NetworkConfig(), description="taken from the run that is started from, if there is one"
    )
    training: FinetuneTrainingConfig = FinetuneTrainingConfig()
    augment: AugmentConfig = AugmentConfig()
    loop: LoopConfig = LoopConfig(steps=2000, lr=1e-4)
