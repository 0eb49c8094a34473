"""Where faces come from: folders and the published layouts of common sets; no downloads."""

from __future__ import annotations

from visagist.corpus.sources.config import SourceConfig
from visagist.corpus.sources.layout import Layout
from visagist.corpus.sources.registry import LAYOUTS, open_source, open_sources, parse_spec
from visagist.corpus.sources.source import GivenLabels, LabelReference, Source, SourceItem

__all__ = [
    "LAYOUTS",
    "GivenLabels",
    "LabelReference",
    "Layout",
    "Source",
    "SourceConfig",
    "SourceItem",
    "open_source",
    "open_sources",
    "parse_spec",
]
