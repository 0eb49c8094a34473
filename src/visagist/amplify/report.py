"""The page about an amplified set: what was kept, what was not and why, in figures and pictures."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from visagist.corpus.feed.recrop import decode_crop
from visagist.photo import Photo
from visagist.photo.files import write_atomically
from visagist.photo.sheet import grid

PAGE = "index.html"
_MOST = 24  # pictures on a sheet
_COLUMNS = 4
_CELL = (296, 148)
_WHY = {
    "": "Kept",
    "identity": "The identity moved",
    "outside": "Pixels outside the makeup regions changed",
    "colour": "The colour went another way than in the pairs",
    "no_makeup": "Hardly anything was painted",
    "copy": "Nearly a copy of another sample of the face",
}


def write_report(
    folder: Path,
    summary: Mapping[str, Any],
    chunks: Sequence[Mapping[str, Any]],
    *,
    speed: float,
    worker_seconds: float,
) -> None:
    """Write ``index.html`` and a sheet for what was kept and for each reason against a sample.

    Args:
        folder: is made where it is missing.
        summary: contents of ``set.json``.
        chunks: summaries of the chunks.
        speed: samples a second of this run; 0 where the last part of it did nothing.
        worker_seconds: that all workers took for all samples.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sections = []
    for reason, title in _WHY.items():
        shown = [e for chunk in chunks for e in chunk["examples"] if e["reason"] == reason]
        if not shown:
            continue
        chosen = [shown[int(i)] for i in np.linspace(0, len(shown) - 1, min(_MOST, len(shown)))]
        name = f"{reason or 'kept'}.png"
        pictures = [decode_crop(base64.b64decode(e["jpeg"])) for e in chosen]
        numbers = [str(i + 1) for i in range(len(chosen))]
        sheet = grid(pictures, numbers, columns=_COLUMNS, cell=_CELL)
        Photo.from_array(sheet).save(folder / name, overwrite=True)
        lines = "".join(f"<li>{html.escape(e['caption'])}</li>" for e in chosen)
        sections.append(
            f"<h2>{title}</h2><p>Bare and made up.</p>"
            f'<img src="{name}" alt="{html.escape(title)}"><ol>{lines}</ol>'
        )
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f"<title>Amplified pairs: {html.escape(str(summary['style']))}</title>"
        "<style>body{font:15px/1.5 sans-serif;max-width:1260px;margin:2em auto;padding:0 1em}"
        "img{max-width:100%}td,th{text-align:left;padding:.1em 1.5em .1em 0}"
        "ol{font-size:12px;columns:2}</style>"
        f"<h1>Amplified pairs: {html.escape(str(summary['style']))}</h1>"
        f"{_table(_counts(summary, speed, worker_seconds))}"
        f"<h2>Scores of what was kept</h2>{_table(_scores(chunks))}{''.join(sections)}</html>"
    )
    write_atomically(folder / PAGE, page.encode(), overwrite=True)


def _counts(
    summary: Mapping[str, Any], speed: float, worker_seconds: float
) -> list[tuple[str, ...]]:
    total = summary["samples"] + summary["rejected"]
    return [
        ("pairs learned from", str(summary["pairs"])),
        ("backend", str(summary["backend"])),
        ("samples kept", f"{summary['samples']} of {total}, on {summary['faces']} faces"),
        *((f"rejected: {_WHY[r]}", str(n)) for r, n in summary["reasons"].items()),
        ("faces that could not be read", str(summary["dropped"])),
        ("samples a second, last run", f"{speed:.2f}" if speed else "nothing was left to do"),
        ("samples a second of one worker", f"{total / max(worker_seconds, 1e-6):.2f}"),
    ]


def _scores(chunks: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    rows = [row for chunk in chunks for row in chunk["scores"]]
    table: list[tuple[str, ...]] = [("score", "5 %", "median", "95 %")]
    for name in sorted({name for row in rows for name in row}):
        values = [row[name] for row in rows if name in row]
        low, middle, high = np.percentile(values, (5, 50, 95))
        table.append((name, f"{low:.3g}", f"{middle:.3g}", f"{high:.3g}"))
    return table


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    cells = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows)
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"
