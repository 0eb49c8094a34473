"""``visagist corpus stats``: what a corpus holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from visagist.cli.output import Json, needs_extra, print_json, table

__all__ = ["stats"]

# What the table for people shows of each source; JSON has every figure.
_SHOWN = (
    ("face_width", "width px"),
    ("sharpness", "sharpness"),
    ("luminance", "L*"),
    ("light_x", "light x"),
    ("yaw", "yaw"),
    ("pitch", "pitch"),
    ("tone", "tone"),
    ("mouth_open", "mouth"),
    ("occluded", "covered"),
)


def stats(
    corpus: Annotated[Path, typer.Argument(metavar="CORPUS", help="Folder of a finished corpus.")],
    as_json: Json = False,
) -> None:
    """Counts, splits, what was dropped and why, labels, pose, light, skin tone and quality."""
    with needs_extra("corpus"):
        from visagist.corpus.corpus import Corpus
        from visagist.corpus.stats import corpus_stats

        report = corpus_stats(Corpus.open(corpus))
    if as_json:
        print_json(report)
        return
    for title, rows in _tables(report):
        print(f"\n{title}" if title else "")
        table(rows)


def _tables(report: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    crops = report["crops"]
    yield (
        "corpus",
        [
            ("images", str(report["images"])),
            ("identities", str(report["identities"])),
            ("may be shown", str(report["may_show"])),
            ("shards", str(crops["shards"])),
            ("pictures", f"{crops['picture_bytes'] / 1e6:.1f} MB"),
            ("crop sizes", _list(crops["sizes"])),
            ("zooms", _list(crops["zooms"])),
        ],
    )
    for title in ("splits", "sources"):
        head = (title[:-1], "images", "identities")
        yield (
            title,
            [
                head,
                *(
                    (name, str(v["images"]), str(v["identities"]))
                    for name, v in report[title].items()
                ),
            ],
        )
    yield "dropped", _rows(report["dropped"]) or [("nothing", "")]
    labels = report["labels"]
    mesh = {f"mesh, {name}": n for name, n in labels["mesh"].items()}
    others = {name: labels[name] for name in ("identity", "licence", "expression")}
    yield "labels", _rows(mesh | others | labels["extras"])
    for name in ("kinds", "uses", "skin_tones"):
        yield name.replace("_", " "), _rows(report[name])
    yield (
        "figures, 5th percentile / median / 95th",
        [
            ("source", *(label for _, label in _SHOWN)),
            *(
                (source, *(_ends(figures[name]) for name, _ in _SHOWN))
                for source, figures in report["per_source"].items()
            ),
        ],
    )


def _rows(counts: Mapping[str, int]) -> list[tuple[str, ...]]:
    return [(name, str(n)) for name, n in counts.items()]


def _list(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({n})" for name, n in counts.items())


def _ends(figures: Mapping[str, float]) -> str:
    return " / ".join(f"{figures[name]:.3g}" for name in ("p5", "p50", "p95"))
