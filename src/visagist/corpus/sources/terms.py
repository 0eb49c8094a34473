"""Where each set is had and under which terms; docs/data-sets.md shows the same table.

Read from the pages named in ``page`` and written down as facts, not as legal advice: whoever uses a
set reads its terms. ``commercial`` answers one question, whether the terms let somebody train what
is sold or shipped: ``yes``, ``no``, or ``ask`` where it depends on the single picture or the terms
say nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from visagist.corpus.sample import USES


@dataclass(frozen=True, slots=True)
class Terms:
    """What is known about a set before one picture is opened.

    Attributes:
        title: the set's name.
        page: where it is had; empty for one's own files.
        licence: default of ``Origin.licence``; empty where only the owner knows.
        commercial: whether the terms allow training something that is sold or shipped.
        note: the terms in a sentence or two.
        identity: what the set says about who is pictured.
        provenance: what it says about where a picture comes from.
        uses: default of ``Origin.uses``.
    """

    title: str
    page: str
    licence: str
    commercial: Literal["yes", "no", "ask"]
    note: str
    identity: str
    provenance: str
    uses: tuple[str, ...] = USES
