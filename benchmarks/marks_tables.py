"""The tables of docs/marks.md."""

from __future__ import annotations

from collections.abc import Callable

from table import load, table


def marks_survival() -> str:
    """What the watermark survives, by size."""
    r = load("marks", "0.4.0")
    rows = r["survival"]
    head = ["read after", *(f"{row['size']} px, {row['format']}" for row in rows)]
    body = [
        (attack, *(f"{row['read'][attack]} of {row['pictures']}" for row in rows))
        for attack in rows[0]["read"]
    ]
    note = (
        "Pixels on the shorter side; JPEG and WebP at quality 95. A reading counts where it gives "
        f"the very id; wrong ids: {sum(row['wrong'] for row in rows if row['format'] == 'jpeg')}. "
        "`python benchmarks/marks.py --data DIR`."
    )
    return f"{table(head, body)}\n\n{note}"


def marks_cost() -> str:
    """What the watermark costs, and how often it is seen where none is."""
    r = load("marks", "0.4.0")
    rows = [
        (
            f"{row['size']} px",
            f"{row['psnr_mean']:.1f} dB",
            f"{row['psnr_least']:.1f} dB",
            f"{row['embed_seconds']:.2f} s",
            f"{row['read_seconds']:.2f} s",
        )
        for row in r["survival"]
        if row["format"] == "jpeg"
    ]
    head = ("size", "PSNR", "least PSNR", "writing", "reading")
    u = r["unmarked"]
    bound = f" (95 %: at most {u['rate_at_most']:.1%})" if u["rate_at_most"] else ""
    note = (
        f"Processor time of one thread, median. Of {u['pictures']} pictures without a mark, "
        f"{u['found']} seemed to carry one{bound}. Measured on: {r['machine'].get('cpu', '')}, "
        "other work on the machine."
    )
    return f"{table(head, rows)}\n\n{note}"


TABLES: dict[str, Callable[[], str]] = {
    "marks-survival": marks_survival,
    "marks-cost": marks_cost,
}
