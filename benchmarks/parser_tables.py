"""The tables of docs/face-parser.md and of the parser's card, from the committed results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from table import load, table

_WHO = {"parser": "parser", "mesh": "mesh alone", "colour": "mesh and skin colour"}
_CLASSES = ("background", "skin", "lips", "mouth", "eyes", "brows", "hair", "occluder", "miou")


def _of(report: Mapping[str, Any], who: str) -> Mapping[str, Any]:
    return report if who == "parser" else report[who]


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def heads() -> str:
    """IoU on rendered people with exact labels."""
    r = load("parser", "0.2.0")["heads"]
    rows = [[name, *(_share(_of(r, w).get(c)) for c in _CLASSES)] for w, name in _WHO.items()]
    told = f"{r['n']} rendered test people; `visagist evaluate parser --heads CORPUS --json`."
    return table(["IoU", *_CLASSES[:-1], "mean"], rows) + "\n\n" + told


def photos() -> str:
    """Agreement with the mesh on photos, and what is seen of drawn covers."""
    r = load("parser", "0.2.0")
    inner = ("skin", "lips", "mouth", "eyes", "brows", "miou")
    rows = []
    for who, name in _WHO.items():
        inside, hidden = _of(r["photos"], who), _of(r["covered"], who)
        rows.append(
            [
                name,
                *(_share(inside.get(c)) for c in inner),
                _share(hidden["recall"]),
                _share(hidden["false"]),
            ]
        )
    head = ["", *(f"IoU {c}" for c in inner[:-1]), "mean", "covers seen", "bare face called cover"]
    told = (
        f"{r['photos']['n']} test photos; the truth inside the face is the labelled mesh, so the "
        "mesh alone has the answers by construction there, and sees no cover at all. Covers are "
        "drawn (hair, glasses, hands, hats, masks, things); seen means called hair or occluder. "
        "`visagist evaluate parser --data DIR --json`."
    )
    return table(head, rows) + "\n\n" + told


def makeup() -> str:
    """Makeup on known covers with and without the parser."""
    r = load("parser", "0.2.0")["makeup_covered"]
    rows = [
        [f"change of {what}", f"{r[key]:.2f}", f"{r[key + '_protected']:.2f}"]
        for what, key in (("glasses, hands, things", "occluder"), ("hair over the face", "hair"))
    ]
    rows.append(["makeup kept on the rest of these faces", "100 %", _share(r["kept"])])
    rows.append(["makeup kept where nothing was drawn", "100 %", _share(r["kept_bare"])])
    told = (
        f"{r['faces']} test photos, means over styles in levels of 0..255 where the mesh would "
        "paint; `visagist evaluate makeup --data DIR --limit 120 --covered --json`, field "
        "`covered`."
    )
    m = load("parser", "0.2.0")["makeup"]
    before, after = m["pipeline"], m["protected"]
    rows += [
        ["gain over the bare picture", f"{before['gain']:+.2f} dB", f"{after['gain']:+.2f} dB"],
        ["leakage", _share(before["leakage"]), _share(after["leakage"])],
    ]
    told += (
        " Gain and leakage are those of the same command's `pipeline` and `protected`, on the "
        "photos as they are; the retoucher, which is the truth there, paints over hair and hands."
    )
    return table(["", "mesh alone", "with the parser"], rows) + "\n\n" + told


def eyes() -> str:
    """What a person saw on sheets of generated pictures."""
    r = load("parser", "0.2.0")["by_eye"]
    rows = [
        [what, r[key]["good"], r[key]["partly"], r[key]["wrong"]]
        for what, key in (("hair", "hair"), ("glasses, hats, hands, other covers", "covers"))
    ]
    told = (
        f"{r['pictures']} generated pictures that were not trained on ({r['split']}), looked at "
        f"one by one; {r['with_covers']} of them show a cover that is no hair. Good: nothing to "
        "correct but edges. Partly: a visible part is missing or too much. Wrong: most of it is."
    )
    return table(["", "good", "partly", "wrong"], rows) + "\n\n" + told


def speed() -> str:
    """Milliseconds of the network and of makeup around it."""
    r = load("parser", "0.2.0")["speed"]
    photo = f"makeup of a {r['photo']} photo, JPEG to JPEG,"
    rows = [
        [what, f"{r[key]['median_ms']:.2f}", f"{r[key]['min_ms']:.2f}"]
        for what, key in (
            ("the network", "network"),
            ("crop, network, softmax, back to the makeup's crop", "uncovered"),
            (f"{photo} without the parser", "without"),
            (f"{photo} with the parser", "with"),
        )
    ]
    who = r["machine"]
    told = (
        f"Milliseconds, one thread, ONNX Runtime {who['onnxruntime']}, {who['cpu']}, "
        f"{who['cores']} cores, other work on the machine; `python benchmarks/parser.py`."
    )
    return table(["", "median", "minimum"], rows) + "\n\n" + told


def layouts() -> str:
    """Time of layouts near the bundled one."""
    rows = [
        [r["layout"], r["gflops"], f"{r['median_ms']:.2f}", f"{r['min_ms']:.2f}"]
        for r in load("parser", "0.2.0")["layouts"]
    ]
    return table(["layout", "GFLOP", "median ms", "minimum ms"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "parser-heads": heads,
    "parser-photos": photos,
    "parser-makeup": makeup,
    "parser-eyes": eyes,
    "parser-speed": speed,
    "parser-layouts": layouts,
}
