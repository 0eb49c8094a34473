"""What a corpus holds: counts, splits, what was dropped and why, labels, pose, light, quality."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.corpus import REPORT, Corpus
from visagist.corpus.feed.selection import GREY
from visagist.corpus.sample import SPLITS, USES, Quality
from visagist.errors import DataError

QUALITY = tuple(field.name for field in fields(Quality))
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
_EDGES: dict[str, tuple[float, ...]] = {
    "face_width": (0, 50, 75, 100, 150, 200, 300, 400, 600, 1000, 2000),
    "sharpness": (0, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000),
    "luminance": tuple(range(0, 101, 10)),
    "contrast": (0, 2, 4, 6, 8, 10, 12, 15, 20, 30),
    "clipped": (0, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1),
    "light_x": (-40, -30, -20, -10, -5, 0, 5, 10, 20, 30, 40),
    "light_y": (-40, -30, -20, -10, -5, 0, 5, 10, 20, 30, 40),
    "skin_a": (-10, 0, 5, 10, 15, 20, 25, 30, 40),
    "skin_b": (-10, 0, 5, 10, 15, 20, 25, 30, 40),
    "tone": (-90, -30, 10, 28, 41, 55, 90),
    "yaw": tuple(range(-90, 91, 15)),
    "pitch": tuple(range(-90, 91, 15)),
    "roll": tuple(range(-180, 181, 30)),
    "mouth_open": (0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1),
    "occluded": (0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1),
}
"""Edges of the histograms; what lies outside counts in the first or last bin."""

TONES = (("dark", -30.0), ("brown", 10.0), ("tan", 28.0), ("intermediate", 41.0), ("light", 55.0))
"""Upper ends in degrees of the typology angle (Chardon et al. 1991; Del Bino et al. 2013)."""
_COLUMNS = (
    "key", "source", "identity", "kind", "licence", "generator", "may_show", "uses", "split",
    "zoom", "size", "confidence", "labels_from", "extras", "facts", "shard", "length", *QUALITY,
)  # fmt: skip


def corpus_stats(corpus: Corpus) -> dict[str, Any]:
    """Everything that ``visagist corpus stats --json`` prints.

    Fields: ``images``; ``identities`` (a picture without a known identity is its own person);
    ``splits`` (images and identities of each); ``dropped`` and ``dropped_by_source`` (pictures
    by reason); ``labels`` (how many samples have each label: the mesh by its origin, identity,
    licence, expression and every extra member); ``sources``, ``kinds``, ``uses``;
    ``skin_tones``; ``quality`` (percentiles and a histogram of each figure), ``per_source`` (the
    median and both ends of each figure), ``crops`` (size, zoom, bytes).

    Raises:
        DataError: the index or the report cannot be read.
    """
    table = corpus.table(_COLUMNS)
    column = {name: table.column(name).to_pylist() for name in _COLUMNS if name not in QUALITY}
    figures = {name: table.column(name).to_numpy().astype(np.float64) for name in QUALITY}
    n, left_out = table.num_rows, dropped(corpus)
    people = [i or k for i, k in zip(column["identity"], column["key"], strict=True)]
    sources = np.array(column["source"], object)
    return {
        "images": n,
        "identities": len(set(people)),
        "splits": _per(column["split"], people, SPLITS),
        "dropped": _ordered(sum(map(Counter, left_out.values()), Counter())),
        "dropped_by_source": left_out,
        "labels": _labels(column),
        "sources": _per(column["source"], people, sorted(set(column["source"]))),
        "kinds": _counted(column["kind"]),
        "uses": {use: sum(use in allowed for allowed in column["uses"]) for use in USES},
        "generators": _counted(g for g in column["generator"] if g),
        "licences": _counted(v or "unknown" for v in column["licence"]),
        "may_show": sum(column["may_show"]),
        "skin_tones": _counted(skin_tones(figures)),
        "quality": {name: _spread(figures[name], _EDGES[name]) for name in QUALITY},
        "per_source": {
            source: {name: _ends(values[sources == source]) for name, values in figures.items()}
            for source in sorted(set(column["source"]))
        },
        "crops": {
            "sizes": _counted(column["size"]),
            "zooms": _counted(round(zoom, 4) for zoom in column["zoom"]),
            "shards": len(set(column["shard"])),
            "picture_bytes": sum(column["length"]),
        },
    }


def dropped(corpus: Corpus) -> dict[str, dict[str, int]]:
    """Pictures that were left out, by source and reason, the most frequent first.

    Raises:
        DataError: the report cannot be read.
    """
    path = corpus.path / REPORT
    counts: dict[str, Counter[str]] = {}
    try:
        with path.open(encoding="utf-8") as stream:
            for line in stream:
                row = json.loads(line)
                counts.setdefault(str(row["source"]), Counter())[str(row["reason"])] += 1
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: cannot read the report ({error})") from error
    return {source: _ordered(reasons) for source, reasons in sorted(counts.items())}


def _per(group: list[str], people: list[str], names: Iterable[str]) -> dict[str, dict[str, int]]:
    images = Counter(group)
    distinct = Counter(name for name, _ in set(zip(group, people, strict=True)))
    return {name: {"images": images[name], "identities": distinct[name]} for name in names}


def _labels(column: Mapping[str, list[Any]]) -> dict[str, Any]:
    extras = Counter(name for names in column["extras"] for name in names)
    facts = Counter(name for text in column["facts"] for name in json.loads(text))
    return {
        "mesh": _counted(column["labels_from"]),
        "identity": sum(bool(v) for v in column["identity"]),
        "licence": sum(bool(v) for v in column["licence"]),
        "expression": facts["expression"],
        "parts": extras["parts.png"],
        "depth": extras["depth.png"],
        "extras": dict(sorted(extras.items())),
        "facts": dict(sorted(facts.items())),
    }


def _counted(values: Iterable[Any]) -> dict[str, int]:
    return _ordered(Counter(str(value) for value in values))


def _ordered(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def skin_tones(figures: Mapping[str, NDArray[np.float64]]) -> list[str]:
    """The class of skin tone of each face.

    Args:
        figures: (n,) ``tone``, ``skin_a`` and ``skin_b`` of :class:`Quality`.

    Returns:
        ``n`` names: those of :data:`TONES`, ``very light``, or ``without colour``.
    """
    names = np.array([name for name, _ in TONES] + ["very light"], object)
    groups = names[np.searchsorted([end for _, end in TONES], figures["tone"], side="right")]
    # the angle of a picture without colour means nothing
    grey = np.maximum(np.abs(figures["skin_a"]), np.abs(figures["skin_b"])) < GREY
    groups[grey] = "without colour"
    return [str(group) for group in groups]


def _spread(values: NDArray[np.float64], edges: tuple[float, ...]) -> dict[str, Any]:
    if not values.size:
        return {"percentiles": {}, "histogram": {"edges": list(edges), "counts": []}}
    inside = np.clip(values, edges[0], edges[-1])
    counts, _ = np.histogram(inside, edges)
    return {
        "mean": round(float(values.mean()), 4),
        "min": round(float(values.min()), 4),
        "max": round(float(values.max()), 4),
        "percentiles": {
            f"p{p}": round(float(v), 4)
            for p, v in zip(PERCENTILES, np.percentile(values, PERCENTILES), strict=True)
        },
        "histogram": {"edges": list(edges), "counts": counts.tolist()},
    }


def _ends(values: NDArray[np.float64]) -> dict[str, float]:
    ends = np.percentile(values, (5, 50, 95))
    return {name: round(float(v), 4) for name, v in zip(("p5", "p50", "p95"), ends, strict=True)}
