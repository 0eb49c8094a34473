"""The table of docs/gallery.md, from the committed results."""

from __future__ import annotations

from collections.abc import Callable

from table import load, table

RELEASE = "0.3.0"


def sizes() -> str:
    """Search, memory, enrolment and opening by size."""
    r = load("gallery", RELEASE)
    rows = [
        (
            f"{s['people']:,}",
            f"{s['search_p50_ms']:.2f} / {s['search_p95_ms']:.2f} / {s['search_min_ms']:.2f}",
            f"{s['floor_p50_ms']:.2f} / {s['floor_min_ms']:.2f}",
            f"{s['ceiling_p50_ms']:.1f} / {s['ceiling_min_ms']:.1f}",
            f"{s['megabytes']:.0f} ({s['index_megabytes']:.0f})",
            f"{s['open_s']:.2f}",
            f"{s['enroll_per_s']:.0f} / {s['enroll_many_per_s']:.0f}",
            f"{s['file_megabytes']:.1f}",
        )
        for s in r["sizes"]
    ]
    head = (
        "people",
        "search ms, p50 / p95 / least",
        "floor ms, p50 / least",
        "ceiling ms, p50 / least",
        "process MB (vectors)",
        "open s",
        "enrolled a second, singly / in thousands",
        "file MB",
    )
    m, (before, after) = r["machine"], r["load"]
    note = (
        f"`python benchmarks/gallery.py`; {r['queries']} searches, half of enrolled people and "
        f"half of strangers, 128 numbers, one thread of {m['cpu']} with {m['cores']} cores, which "
        f"other work kept busy meanwhile (load {before} at the start, {after} at the end)."
    )
    return f"{table(head, rows)}\n\n{note}"


TABLES: dict[str, Callable[[], str]] = {"gallery-sizes": sizes}
