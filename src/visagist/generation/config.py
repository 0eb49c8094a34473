"""Every knob of the generator's network, its three trainings and their data.

The published values are those of EPG ("There is No VAE", arXiv 2510.12586, and its repository);
docstrings say where a default differs for short runs on faces.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from visagist.corpus.feed.selection import FeedConfig
from visagist.errors import ConfigError
from visagist.training.loop import LoopConfig


class NetworkConfig(BaseModel):
    """Architecture: a plain transformer encoder and a decoder with long skips (EPG, section 4)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: str = Field("", description="a name of SIZES that fills in what is not given here")
    image_size: int = Field(64, description="side of the square picture in pixels", ge=8)
    patch: int = Field(8, description="side of a patch in pixels; tokens = (image/patch)^2", ge=1)
    overlap: int = Field(
        0,
        description="pixels by which patches reach over their neighbours on every side, when read "
        "and when written; takes away seams that short runs leave between large patches",
        ge=0,
    )
    bottleneck: int = Field(
        0,
        description="width of a linear layer between patch and encoder, 0 for none; advisable "
        "where a patch has more numbers than the encoder is wide",
        ge=0,
    )
    depth: int = Field(4, description="blocks of the encoder, and as many of the decoder", ge=1)
    encoder_width: int = Field(192, description="channels of the encoder's tokens", ge=8)
    encoder_heads: int = Field(3, description="attention heads of the encoder", ge=1)
    decoder_width: int = Field(192, description="channels of the decoder's tokens", ge=8)
    decoder_heads: int = Field(3, description="attention heads of the decoder", ge=1)
    classes: int = Field(0, description="classes that can be asked for; 0: unconditional", ge=0)
    source: bool = Field(
        False, description="whether a source picture comes in through channels that start at zero"
    )
    masks: int = Field(0, description="masks that come in with the source picture", ge=0)
    hints: int = Field(
        0,
        description="further channels that come in with the source, such as makeup brought over "
        "from other faces; no masks: they do not say where the picture may change",
        ge=0,
    )
    refine: int = Field(
        0,
        description="channels of convolutions behind the head, which see the condition pixel by "
        "pixel; 0 for none. For pictures that follow their source's edges",
        ge=0,
    )
    residual: bool = Field(
        False,
        description="predict source + mask * change instead of the picture, so that an untrained "
        "network returns its source",
    )
    residual_scale: float = Field(
        1.0,
        description="size of a change that an output of 1 makes; below 1 where changes are small, "
        "so that a step of the optimiser is small beside them",
        gt=0,
    )
    dropout: float = Field(
        0.0,
        description="on the output of the decoder's attention; EPG uses 0.5 for consistency",
        ge=0,
        lt=1,
    )

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: Any) -> Any:  # noqa: ANN401  (whatever a recipe holds)
        if not isinstance(values, dict) or not values.get("size"):
            return values
        if values["size"] not in SIZES:
            raise ValueError(f"no size {values['size']!r}; there is {', '.join(SIZES)}")
        return SIZES[values["size"]] | values

    @model_validator(mode="after")
    def _fits(self) -> NetworkConfig:
        for part in ("encoder", "decoder"):
            width, heads = getattr(self, f"{part}_width"), getattr(self, f"{part}_heads")
            if width % heads:
                raise ValueError(f"{part}_heads {heads} does not divide {part}_width {width}")
        if self.encoder_width % 2:
            raise ValueError("encoder_width must be even: noise levels are sines and cosines")
        if self.refine and self.patch % 2:
            raise ValueError(f"refine works on blocks of 2 pixels, so patch {self.patch} is odd")
        if self.image_size % self.patch:
            raise ValueError(f"patch {self.patch} does not divide image_size {self.image_size}")
        if (self.masks or self.hints or self.residual) and not self.source:
            raise ValueError("masks, hints and residual need source: true")
        return self

    @property
    def side(self) -> int:
        """Patches along a side of the picture."""
        return self.image_size // self.patch

    @property
    def condition_channels(self) -> int:
        """Channels of the conditional input: source, masks, hints, and one of ones."""
        return 4 + self.masks + self.hints if self.source else 0


def _published(width: int, heads: int, **more: int) -> dict[str, int]:
    return {
        "encoder_width": 768,
        "encoder_heads": 12,
        "depth": 12,
        "decoder_width": width,
        "decoder_heads": heads,
    } | more


_LARGE = {
    "epg-l": _published(1024, 16, encoder_width=1024, encoder_heads=16, depth=16),
    "epg-xl": _published(1584, 22),
    "epg-xxl": _published(1920, 16),
    "epg-g": _published(2688, 21),
}
_FACES = {
    # (depth, encoder, decoder, patch at 64 px, patch at 128 px): attention heads are 64 wide
    "face-5m": (4, 192, 192, 8, 16),
    "face-8m": (4, 256, 256, 8, 16),
    "face-13m": (6, 256, 256, 4, 8),
    "face-38m": (8, 384, 384, 4, 8),
    "face-53m": (8, 384, 512, 4, 8),
    "face-84m": (10, 512, 512, 4, 8),
}
SIZES: dict[str, dict[str, int]] = {
    f"{name}-{side}": common | {"image_size": side, "patch": side // 16, "classes": 1000}
    for side in (256, 512)
    for name, common in _LARGE.items()
} | {
    f"{name}-{side}": {
        "image_size": side,
        "patch": small if side == 64 else large,
        "depth": depth,
        "encoder_width": encoder,
        "encoder_heads": encoder // 64,
        "decoder_width": decoder,
        "decoder_heads": decoder // 64,
    }
    for side in (64, 128)
    for name, (depth, encoder, decoder, small, large) in _FACES.items()
}
"""The published networks at 256 and 512 px, and small ones for faces at 64 and 128 px."""


class DataConfig(BaseModel):
    """Which pictures are learned, and how often each set is shown."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    faces: FeedConfig | None = Field(
        None, description="which faces of the corpora; its size must be the network's image_size"
    )
    shares: dict[str, float] = Field(
        {},
        description="share of the batches for each source of the corpora; those not named divide "
        "the rest by their number of pictures",
    )
    folder: Literal["", "imagenet"] = Field(
        "", description="layout of a folder of class folders, instead of corpora"
    )
    flip: bool = Field(True, description="show every second picture mirrored")
    resident: bool = Field(
        True,
        description="keep the faces as bytes in the device's memory; false reads them as needed "
        "from the mapped cache",
    )
    workers: int = Field(
        2, description="threads that make batches ahead where pictures are read as needed", ge=0
    )
    block: int = Field(
        8,
        description="so many pictures share a source of randomness; as batches are cut between "
        "blocks, they do not depend on the number of processes",
        ge=1,
    )

    @model_validator(mode="after")
    def _one_kind(self) -> DataConfig:
        if (self.faces is None) == (not self.folder):
            raise ValueError("name either faces (of corpora) or folder (class folders), not both")
        if any(share < 0 for share in self.shares.values()) or sum(self.shares.values()) > 1 + 1e-9:
            raise ValueError("shares must be at least 0 and add up to at most 1")
        return self


class ViewsConfig(BaseModel):
    """The two strongly augmented views of stage 1 (EPG, section 3).

    The published values teach invariance to colour; on faces, colour is what makeup is, so the
    recipes for faces keep it (strengths near 0) and crop less.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    crop: tuple[float, float] = Field(
        (0.08, 1.0), description="smallest and largest share of the area that a view shows"
    )
    jitter: tuple[float, float, float, float] = Field(
        (0.4, 0.4, 0.2, 0.1),
        description="largest relative change of brightness, contrast and saturation, and of hue "
        "as a share of the circle",
    )
    jitter_share: float = Field(0.8, description="share of views whose colours change", ge=0, le=1)
    grey: float = Field(0.2, description="share of views without colour", ge=0, le=1)
    blur: tuple[float, float] = Field((1.0, 0.1), description="share of blurred views, each view")
    blur_sigma: tuple[float, float] = Field(
        (0.1, 2.0), description="of the blur in pixels of a 224 px picture; smaller ones less"
    )
    solarize: tuple[float, float] = Field((0.0, 0.2), description="share of solarised views")

    @model_validator(mode="after")
    def _ordered(self) -> ViewsConfig:
        if not 0 < self.crop[0] <= self.crop[1] <= 1:
            raise ValueError("crop must be two shares, the smaller first, above 0 and at most 1")
        return self


class PretrainConfig(BaseModel):
    """Stage 1: the encoder alone (EPG, section 3)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch: int = Field(1024, description="pictures a step over all processes", ge=2)
    contrast: float = Field(0.2, description="temperature of the loss between views", gt=0)
    temperature: Literal["fixed", "linear", "cosine"] = Field(
        "fixed", description="of the loss along a trajectory: a number, by noise level, or by step"
    )
    consistency: float = Field(0.1, description="last, or fixed, temperature of that loss", gt=0)
    consistency_first: float = Field(0.2, description="first temperature where it changes", gt=0)
    levels: tuple[int, int] = Field(
        (20, 1280), description="noise intervals at the beginning and at the end"
    )
    teacher: float = Field(0.99, description="decay a step of the teacher's average", ge=0, lt=1)
    hidden: int = Field(4096, description="width of the projector's hidden layers", ge=8)
    projection: int = Field(256, description="width of the projector's output", ge=8)
    views: ViewsConfig = ViewsConfig()


class GuidanceConfig(BaseModel):
    """A student of a network that a poorer one guides (:mod:`visagist.generation.autoguidance`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scale: float = Field(2.0, description="1 is no guidance; 1.5 to 2.5 are usual", ge=1)
    above: float = Field(
        0.6, description="base level from which it guides; below it, detail only turns harsh", ge=0
    )


class DiffusionConfig(BaseModel):
    """Stage 2, diffusion: predict the clean picture at every noise level (EPG, section 5)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch: int = Field(1024, description="pictures a step over all processes", ge=1)
    log_mean: float = Field(-1.2, description="of ln sigma; 0.3 for short runs on faces")
    log_std: float = Field(1.6, description="of ln sigma; 1.3 for short runs on faces", gt=0)
    levels: int = Field(
        1280, description="noise levels that sigma is snapped to; 0: not snapped", ge=0
    )
    uniform: float = Field(
        0.0,
        description="share of levels drawn evenly from the grid instead, so that the highest, "
        "where sampling starts, do not starve; 0.1 for short runs on faces",
        ge=0,
        le=1,
    )
    weight: Literal["interval", "velocity"] = Field(
        "interval",
        description="of the squared error: 125.27 sigma^(-6/7), or ((1 + sigma) / sigma)^2 up to "
        "velocity_cap, which does not starve high noise in short runs",
    )
    velocity_cap: float = Field(50.0, description="largest weight of the second kind", gt=0)
    label_drop: float = Field(0.1, description="share of labels left out, for guidance", ge=0, le=1)
    source_drop: float = Field(
        0.1, description="share of source pictures left out where there are any", ge=0, le=1
    )
    guidance: GuidanceConfig | None = Field(
        None,
        description="learn not the pictures but what the start says of them when a poorer network "
        "guides it; needs --start and --poorer",
    )


class ConsistencyConfig(BaseModel):
    """Stage 2, consistency: from any noise level to the clean picture in one step (section 6)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch: int = Field(1024, description="pictures a step over all processes", ge=2)
    log_mean: float = Field(-0.4, description="of ln t")
    log_std: float = Field(1.6, description="of ln t", gt=0)
    stage_steps: int = Field(
        100_000, description="steps after which the two levels move closer", ge=1
    )
    first_stage: int = Field(1, description="stage that training begins with", ge=0)
    last_stage: int = Field(12, description="no stage after this one", ge=1)
    huber: float = Field(0.06, description="constant c of the pseudo-Huber loss", ge=0)
    weight_cap: float = Field(
        0.0,
        description="largest weight 1 / (t - r) of a pair of levels, 0 for any: a short training "
        "spends itself on the lowest levels otherwise, where weights are hundreds",
        ge=0,
    )
    distil: bool = Field(
        False,
        description="take the cleaner of the two points from the trajectory of --teacher, or of "
        "--start, a finished diffusion run, instead of from the picture: less noise in short "
        "trainings, and what guidance taught it stays",
    )
    auxiliary: float = Field(
        1.0, description="weight of the contrastive loss through the frozen encoder", ge=0
    )
    auxiliary_temperature: float = Field(0.1, description="of that loss", gt=0)
    auxiliary_projector: bool = Field(
        False,
        description="compare behind the projector, as the released code does; false: before it",
    )


class GeneratorRecipe(BaseModel):
    """What the recipes of the three trainings share; each adds the section of its stage."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: DataConfig
    network: NetworkConfig = NetworkConfig()
    checkpointing: bool = Field(
        False, description="compute activations again in the backward pass, to save memory"
    )
    loop: LoopConfig = LoopConfig()

    @model_validator(mode="after")
    def _sizes(self) -> GeneratorRecipe:
        faces = self.data.faces
        if faces is not None and faces.size != self.network.image_size:
            raise ValueError(
                f"data.faces.size {faces.size} is not network.image_size {self.network.image_size}"
            )
        if faces is not None and self.network.classes:
            raise ValueError("faces of corpora have no classes; set network.classes to 0")
        return self


class PretrainRecipe(GeneratorRecipe):
    """Stage 1: ``recipes/generator-*-pretrain.yaml``."""

    stage: Literal["pretrain"] = "pretrain"
    pretrain: PretrainConfig = PretrainConfig()


class DiffusionRecipe(GeneratorRecipe):
    """Stage 2, many steps: ``recipes/generator-*-diffusion.yaml``."""

    stage: Literal["diffusion"] = "diffusion"
    diffusion: DiffusionConfig = DiffusionConfig()


class ConsistencyRecipe(GeneratorRecipe):
    """Stage 2, one step: ``recipes/generator-*-consistency.yaml``."""

    stage: Literal["consistency"] = "consistency"
    consistency: ConsistencyConfig = ConsistencyConfig()


def size(name: str, **changes: int | float | bool) -> NetworkConfig:
    """A network of :data:`SIZES`, with changes.

    Raises:
        ConfigError: there is no such size.
    """
    if name not in SIZES:
        raise ConfigError(f"there is no size {name!r}; there is {', '.join(SIZES)}")
    return NetworkConfig.model_validate({"size": name} | changes)
