"""Where faces come from: folders and the published layouts of common sets; no downloads."""

from __future__ import annotations

from visagist.corpus.sources.source import GivenLabels, LabelReference, Source, SourceItem

__all__ = ["GivenLabels", "LabelReference", "Source", "SourceItem"]
