"""The tables of docs/synthetic-heads.md."""

from __future__ import annotations

from collections.abc import Callable

from table import load, table


def heads() -> str:
    """How fast heads are drawn."""
    r = load("heads", "0.2.0")
    rows = [
        (name, f"{s['per_second']:.1f}", f"{s['median_per_second']:.1f}", f"{s['cpu_ms']:.0f}")
        for name, s in r["rates"].items()
    ]
    m = r["machine"]
    note = (
        f"{r['size']}x{r['size']} pixels with labels and depth; zoom is the field of view in "
        f"canonical crops. {m['cpu']}, {m['cores']} cores, {m['opengl']}; load of the machine "
        f"{r['load']['before']}; `python benchmarks/heads.py --assets DIR`."
    )
    head = ("", "heads a second, best window", "median", "processor ms a head")
    return f"{table(head, rows)}\n\n{note}"


TABLES: dict[str, Callable[[], str]] = {"heads": heads}
