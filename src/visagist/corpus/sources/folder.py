"""A folder of pictures with sub-folders, nothing known about them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from visagist.corpus.sources.layout import Layout
from visagist.corpus.sources.terms import Terms
from visagist.corpus.sources.walk import is_picture, walk_pictures

TERMS = Terms(
    title="Your own pictures",
    page="",
    licence="",
    commercial="ask",
    note="Whatever you have agreed with the people pictured and with the photographers.",
    identity="None: every picture counts as its own person, so several pictures of one person may "
    "end up in different splits. Use `identities` where the people are known.",
    provenance="The path of the file.",
)


def recognise(root: Path, names: Sequence[str]) -> str:
    """Pictures directly in the folder; pictures only in sub-folders may be people or albums."""
    return "pictures" if any(map(is_picture, names)) else ""


LAYOUT = Layout("folder", TERMS, recognise, walk_pictures)
