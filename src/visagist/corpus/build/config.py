"""Every knob of a build. Unknown fields are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from visagist.corpus.prepare import PhotoConfig
from visagist.corpus.sample import Kind
from visagist.corpus.sources.config import SourceConfig
from visagist.errors import ConfigError


class SplitConfig(BaseModel):
    """How identities that have no given split are dealt out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    validation: float = Field(0.1, description="share of identities for validation", ge=0, le=1)
    test: float = Field(0.1, description="share of identities for testing", ge=0, le=1)
    salt: str = Field(
        "visagist",
        description="hashed with the identity; another salt deals the same people differently",
    )

    @model_validator(mode="after")
    def _leave_some(self) -> SplitConfig:
        if self.validation + self.test > 1:
            raise ValueError("validation and test are more than everything together")
        return self


class DuplicateConfig(BaseModel):
    """When two crops are the same picture."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kinds: tuple[Kind, ...] = Field(
        ("photo", "generated"),
        description="kinds that are compared; renders and blends come in near-equal pairs on "
        "purpose. Empty to keep everything",
    )
    bits: int = Field(
        7,
        description="fingerprints (64 bits) that differ in at most so many are compared further; "
        "3 is much faster on many millions and still finds re-encoded and mirrored copies",
        ge=0,
        le=7,
    )
    same: float = Field(
        0.93,
        description="crops are one picture when they, their eyes and their mouths correlate so "
        "much; one of them is kept",
        ge=0,
        le=1,
    )
    alike: float = Field(
        0.9,
        description="crops that correlate so much show one person in one sitting: both are kept, "
        "in one split",
        ge=0,
        le=1,
    )


class BuildConfig(BaseModel):
    """How samples are written, whatever task makes them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    picture: Literal["jpg", "png"] = Field("jpg", description="format of the crops; JPEG is 4:4:4")
    quality: int = Field(95, description="of JPEG crops", ge=1, le=100)
    chunk: int = Field(
        64,
        description="items that are done or not done as one; a kill loses less than so many",
        ge=1,
    )
    shard_size: int = Field(1000, description="samples in a shard", ge=1)
    splits: SplitConfig = Field(SplitConfig(), description="how people are dealt out")
    duplicates: DuplicateConfig = Field(DuplicateConfig(), description="what counts as one picture")


class CorpusRecipe(BaseModel):
    """A recipe file of ``visagist corpus build``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: tuple[SourceConfig, ...] = Field(
        (), description="sources by path, with their rules; those of the command line are added"
    )
    photos: PhotoConfig = Field(PhotoConfig(), description="how photos become crops")
    build: BuildConfig = Field(BuildConfig(), description="how samples are written")

    @classmethod
    def read(cls, path: Path) -> CorpusRecipe:
        """Read a YAML recipe.

        Raises:
            ConfigError: unreadable, or a field is missing, unknown or wrong (named in the message).
        """
        try:
            return cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: not a text file") from error
        except yaml.YAMLError as error:
            raise ConfigError(f"{path}: not YAML: {str(error).splitlines()[0]}") from error
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "the recipe"
            raise ConfigError(f"{path}: {field}: {first['msg']}") from error
