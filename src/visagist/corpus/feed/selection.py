"""Which faces of a corpus a training sees: the ``data`` section of its recipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from visagist.corpus.corpus import Corpus
from visagist.corpus.index import Record
from visagist.corpus.sample import SPLITS, Kind
from visagist.errors import DataError

GREY = 2.0
"""CIE a* and b* of skin within this of 0: a picture without colour."""

Use = Literal["detection", "mesh", "parser", "makeup", "swap", "recognition", "generation"]


class FeedConfig(BaseModel):
    """Which faces of a corpus a training sees, and how they are cropped."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    use: Use = Field(description="what the picture is to teach; its source must allow it")
    sources: tuple[str, ...] = Field((), description="only these sources; empty for all")
    without_sources: tuple[str, ...] = Field((), description="sources to leave out")
    kinds: tuple[Kind, ...] = Field((), description="only these kinds; empty for all")
    without_generators: tuple[str, ...] = Field(
        (), description="generators whose terms forbid training on their pictures"
    )
    grey: bool = Field(True, description="false leaves out pictures without colour")
    min_face_width: float = Field(0.0, description="narrowest face, in pixels of the photo", ge=0)
    min_confidence: float = Field(0.0, description="least confidence of the mesh", ge=0, le=1)
    size: int = Field(256, description="side of a crop in pixels", ge=16, le=2048)
    zoom: float = Field(1.25, description="field of view in canonical crops", gt=0)
    shuffle_buffer: int = Field(
        0,
        description="0: faces are decoded once, into a cache on disk; else they are read from the "
        "shards again in every pass, mixed by a buffer of so many encoded pictures",
        ge=0,
    )
    enlarge: float = Field(
        1.0, description="largest enlargement of the corpus' crops; 1 refuses every loss", ge=1
    )


def select_faces(
    corpus: Corpus, config: FeedConfig, splits: Iterable[str] = ("train", "validation")
) -> list[Record]:
    """The samples that a recipe asks for, by split and then by key.

    Raises:
        DataError: none fits in one of the splits, a named source is not in the corpus, or the
            crops of the corpus are too narrow or too small for the recipe.
    """
    splits = tuple(splits)
    known = {record.origin.source for record in corpus.records}
    if missing := {*config.sources, *config.without_sources} - known:
        raise DataError(
            f"{corpus.path}: no source {', '.join(sorted(missing))}; it holds "
            f"{', '.join(sorted(known))}"
        )
    chosen = [
        record
        for record in corpus.select(splits=splits, kinds=config.kinds or None, use=config.use)
        if _fits(record, config)
    ]
    if empty := set(splits) - {record.split for record in chosen}:
        raise DataError(
            f"{corpus.path}: no face for {' and '.join(sorted(empty))} fits the recipe's data "
            f"section ({config})"
        )
    _check_resolution(corpus, config, chosen)
    return sorted(chosen, key=lambda record: (SPLITS.index(record.split), record.key))


def _fits(record: Record, config: FeedConfig) -> bool:
    origin = record.origin
    return (
        (not config.sources or origin.source in config.sources)
        and origin.source not in config.without_sources
        and origin.generator not in config.without_generators
        and (config.grey or not _is_grey(record))
        and record.quality.face_width >= config.min_face_width
        and record.confidence >= config.min_confidence
    )


def _is_grey(record: Record) -> bool:
    return max(abs(record.quality.skin_a), abs(record.quality.skin_b)) < GREY


def _check_resolution(corpus: Corpus, config: FeedConfig, records: Sequence[Record]) -> None:
    narrow = min(record.zoom for record in records)
    if narrow < config.zoom * (1 - 1e-6):
        raise DataError(
            f"{corpus.path}: its crops show {narrow:.4g} canonical crops, the recipe needs "
            f"{config.zoom:.4g}; build the corpus with --zoom {config.zoom:.4g} or more"
        )
    factor = max(enlargement(record.size, record.zoom, config) for record in records)
    if factor > config.enlarge * (1 + 1e-6):
        needed = ceil(config.size / config.zoom * max(record.zoom for record in records) - 1e-6)
        raise DataError(
            f"{corpus.path}: its crops would have to be enlarged {factor:.2f} times; build it with "
            f"--size {needed} or more, or allow the loss with enlarge: {factor:.2f} under data"
        )


def enlargement(size: int, zoom: float, config: FeedConfig) -> float:
    """Pixels wanted for each pixel that a crop of ``size`` and ``zoom`` has; above 1 is a loss."""
    return (config.size / config.zoom) / (size / zoom)
