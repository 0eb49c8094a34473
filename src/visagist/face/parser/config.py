"""Every knob of the parser and its training."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from visagist.training.augmentation import AugmentConfig
from visagist.training.loop import LoopConfig


class ParserNetworkConfig(BaseModel):
    """Architecture: a small U-shaped network that works at a quarter of the input's resolution."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input_size: int = Field(256, description="side of the square input in pixels", ge=64, le=512)
    field: float = Field(
        1.5,
        description="side of the network's crop in canonical crops: 1.5 shows the hair and the "
        "ears of most heads, which is how hair over a cheek is told from a shadow",
        gt=0,
    )
    widths: tuple[int, ...] = Field(
        (32, 48, 64, 96),
        description="channels at 1/4, 1/8, 1/16 and so on; multiples of 16 run fast",
        min_length=2,
    )
    depths: tuple[int, ...] = Field(
        (0, 0, 1, 1), description="residual blocks at each resolution", min_length=2
    )
    upsample: int = Field(2, description="the logits are so much finer than 1/4 of the input", ge=1)


class ParserDataConfig(BaseModel):
    """Which pictures teach the parser, and how many variants of each."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folders: tuple[str, ...] = Field(
        ("portraits", "generated", "faces_easy"), description="folders of the labelled tree"
    )
    without_generators: tuple[str, ...] = Field(
        (), description="generators whose terms forbid training on their pictures"
    )
    size: int = Field(320, description="side of a stored crop in pixels", ge=64, le=1024)
    field: float = Field(1.875, description="side of a stored crop in canonical crops", gt=0)
    variants: int = Field(
        3, description="copies of each photo with something in front of the face", ge=0
    )
    covered: float = Field(
        0.85, description="share of those copies that carry at least one object", ge=0, le=1
    )
    heads: int = Field(4000, description="at most so many rendered heads", ge=0)
    teacher: str = Field(
        "",
        description="name or folder of an earlier parser that fills in what the colour model "
        "left unknown on the photos; empty for none",
    )
    seed: int = Field(0, description="of what is drawn over the photos")


class ParserTrainingConfig(BaseModel):
    """How the parser is trained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch: int = Field(16, description="pictures a step", ge=1)
    head_share: float = Field(
        0.4, description="share of a batch that is rendered heads, where there are any", ge=0, le=1
    )
    transplant: float = Field(
        0.25,
        description="share of photos that take over hair, glasses and covers of a render",
        ge=0,
        le=1,
    )
    weights: tuple[float, ...] = Field(
        (0.6, 0.8, 2.0, 2.0, 2.0, 1.6, 1.0, 1.4),
        description="weight of each class in the cross-entropy",
        min_length=8,
        max_length=8,
    )
    dice: float = Field(0.5, description="weight of the Dice loss beside the cross-entropy", ge=0)


class ParserRecipe(BaseModel):
    """One trained artefact: ``recipes/face-parser.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: ParserDataConfig = ParserDataConfig()
    network: ParserNetworkConfig = ParserNetworkConfig()
    training: ParserTrainingConfig = ParserTrainingConfig()
    augment: AugmentConfig = AugmentConfig()
    loop: LoopConfig = LoopConfig()
