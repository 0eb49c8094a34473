"""What a source holds, counted by listing it: no picture is opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from visagist.corpus.sources.layout import Layout
from visagist.corpus.sources.source import Source

_EXAMPLES = 3


def summarise(
    source: Source, *, progress: Callable[[int], None] = lambda done: None
) -> dict[str, object]:
    """Counts of a source as JSON.

    Args:
        source: an opened source; it is listed once.
        progress: called with the number of items listed so far.

    Returns:
        ``name``, ``layout``, ``pictures``, ``identities`` (known people), ``without_identity``
        (pictures), ``splits`` (``by identity`` where the source fixes none), ``licences``,
        ``kinds``, ``uses``, ``with_labels``, and ``left_out`` by reason with ``count`` and a few
        ``examples``.

    Raises:
        DataError: the source cannot be listed.
    """
    people: set[str] = set()
    counts: dict[str, Counter[str]] = {
        name: Counter() for name in ("splits", "licences", "kinds", "uses", "left_out")
    }
    examples: dict[str, list[str]] = {}
    pictures = unknown = labelled = 0
    for done, item in enumerate(source.items(), 1):
        progress(done)
        if item.problem is not None:
            reason, detail = item.problem
            counts["left_out"][reason] += 1
            shown = examples.setdefault(reason, [])
            if len(shown) < _EXAMPLES and detail not in shown:
                shown.append(detail)
            continue
        origin = item.origin
        pictures += 1
        labelled += item.given is not None
        unknown += not origin.identity
        people.add(origin.identity)
        counts["splits"][origin.split or "by identity"] += 1
        counts["licences"][origin.licence or "not stated"] += 1
        counts["kinds"][origin.kind] += 1
        counts["uses"].update(origin.uses)
    left_out = {
        reason: {"count": count, "examples": examples[reason]}
        for reason, count in sorted(counts.pop("left_out").items())
    }
    return {
        "name": source.name,
        "layout": source.layout,
        "pictures": pictures,
        "identities": len(people - {""}),
        "without_identity": unknown,
        **{name: dict(sorted(counter.items())) for name, counter in counts.items()},
        "with_labels": labelled,
        "left_out": left_out,
    }


def terms_of(layout: Layout) -> dict[str, object]:
    """What is known about a layout's set, as JSON."""
    terms = layout.terms
    return {
        "layout": layout.name,
        "set": terms.title,
        "page": terms.page,
        "licence": terms.licence,
        "sold_or_shipped": terms.commercial,
        "terms": terms.note,
        "identity": terms.identity,
        "provenance": terms.provenance,
        "uses": list(terms.uses),
    }
