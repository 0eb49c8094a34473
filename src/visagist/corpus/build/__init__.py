"""From a task to a corpus on disk: chunks that are done or not done, then one deterministic end."""

from __future__ import annotations

from visagist.corpus.build.config import BuildConfig, CorpusRecipe, DuplicateConfig, SplitConfig
from visagist.corpus.build.driver import Built, build

__all__ = ["BuildConfig", "Built", "CorpusRecipe", "DuplicateConfig", "SplitConfig", "build"]
