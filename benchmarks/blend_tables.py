"""The tables of docs/blends.md."""

from __future__ import annotations

from collections.abc import Callable

from table import load, table


def blend_identity() -> str:
    """Whether blends are new people."""
    r = load("blends", "0.2.0")
    rows = [
        (
            name,
            f"{s['match_host']:.0%}",
            f"{s['match_other_parent']:.0%}",
            f"{s['match_any_parent']:.0%}",
            f"{s['cosine_nearest_parent']:.2f}",
            f"{s['match_any_stranger']:.0%}",
        )
        for name, s in r["settings"].items()
    ]
    head = (
        "setting",
        "host",
        "another parent",
        "any parent",
        "cosine to the nearest",
        "a stranger",
    )
    note = (
        f"{next(iter(r['settings'].values()))['blends']} blends a row of {r['people']} "
        f"{r['split']} people; a match is a cosine above {r['threshold']}. "
        "`python benchmarks/blends.py --corpus DIR --judge FILE -n 60`."
    )
    return f"{table(head, rows)}\n\n{note}"


def blend_pictures() -> str:
    """Whether a blend stays one person, and how alike blends are."""
    r = load("blends", "0.2.0")
    rows = [
        (
            name,
            f"{s['second_picture_matches']:.0%}",
            f"{s['second_picture_cosine']:.2f} ({s['second_picture_least']:.2f})",
            f"{s['siblings']['match']:.1%}",
            f"{s['unrelated']['match']:.1%}",
            f"{1 / s['cpu_seconds_a_picture']:.1f}",
        )
        for name, s in r["settings"].items()
    ]
    head = (
        "setting",
        "its two pictures match",
        "cosine (least)",
        "pairs with one parent in common match",
        "pairs with none match",
        "pictures a second of one core",
    )
    cpu = r["machine"].get("cpu", "")
    return f"{table(head, rows)}\n\nMeasured on: {cpu}, other work on the machine."


def blend_gate() -> str:
    """What the recogniser's refusal changes, by the judge's word."""
    r = load("blends_gate", "0.3.0")
    rows = [
        (
            name,
            f"{s['match_any_parent']:.0%}",
            f"{s['cosine_nearest_parent']:.2f}",
            f"{s['second_picture_matches']:.0%}",
            f"{s['skipped']} of {s['blends'] + s['skipped']}",
            f"{1 / s['cpu_seconds_a_picture']:.1f}",
        )
        for name, s in r["settings"].items()
    ]
    head = (
        "cosine to a parent, by the recogniser",
        "any parent matches, by the judge",
        "cosine to the nearest, by the judge",
        "its two pictures match",
        "left out",
        "pictures a second of one core",
    )
    note = (
        f"{r['people']} {r['split']} people; a match is a judge's cosine above {r['threshold']}. "
        "`python benchmarks/blends.py --corpus DIR --judge FILE --gate recognizer -n 60`."
    )
    return f"{table(head, rows)}\n\n{note}"


TABLES: dict[str, Callable[[], str]] = {
    "blend-identity": blend_identity,
    "blend-pictures": blend_pictures,
    "blend-gate": blend_gate,
}
