"""The tables of docs/recognition.md that compare recognisers, from the committed results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from table import load, table

from visagist.recognition.calibration import Calibration

RELEASE = "0.4.0"
MODEL = Path(__file__).resolve().parents[1] / "src" / "visagist" / "models" / "recognizer"
_CONDITIONS = {
    "face_48px": "face 48 pixels wide",
    "face_32px": "face 32 pixels wide",
    "face_24px": "face 24 pixels wide",
    "blur": "blur, 2.5 % of the face's width",
    "roll_30": "roll of 30 degrees",
    "mask": "mask over nose, mouth and chin",
    "sunglasses": "sunglasses",
    "grey": "grey",
    "jpeg_15": "JPEG quality 15, face 96 pixels wide",
}


def _number(value: float | None, digits: int = 3) -> str:
    return "not measurable" if value is None else f"{value:.{digits}f}"


def _interval(entry: Mapping[str, Any], value: str = "value", interval: str = "interval") -> str:
    if entry[value] is None:
        return "not measurable"
    if entry[interval] is None:
        return f"{entry[value]:.3f}"
    low, high = entry[interval]
    return f"{entry[value]:.3f} [{low:.3f}, {high:.3f}]"


def models() -> str:
    """Everything side by side: size, time and the four figures."""
    r = load("recognition", RELEASE)
    rows = []
    for e in r["embedders"]:
        both = e["sets"]["both"]
        rows.append(
            [
                e["label"] + (f" ({len(e['seeds'])} seeds)" if len(e["seeds"]) > 1 else ""),
                f"{e['params'] / 1e6:.2f} M",
                f"{e['megabytes']:.1f}",
                f"{r['speed'][e['label']]['median_ms']:.2f}",
                _number(e["london_tar_far_1e-3"]),
                _number(e["pairs_tar_far_1e-2"]),
                _interval(both["tar_far_1e-3"]),
                _number(e["rank1"]),
                _number(e["fnir_fpir_1e-2"]),
                _interval(both["half_splits"]["fnir_fpir_1e-2"]),
            ]
        )
    head = [
        "",
        "parameters",
        "MB",
        "ms",
        "London TAR at FAR 1e-3",
        "pairs TAR at FAR 1e-2",
        "both: TAR at FAR 1e-3",
        "both: rank-1",
        "both: FNIR at FPIR 1 %",
        "its interval (first seed)",
    ]
    m = r["machine"]
    floor = r["speed"]["floor (one pointwise layer)"]["median_ms"]
    told = (
        "London: 102 people, neutral enrolled, smiling searching. Pairs: 60 people, a colour "
        "portrait enrolled, a grey one searching. FNIR: mean over 200 half-splits, half of the "
        f"{r['n_identities']} people enrolled and half strangers, the threshold set for each "
        "gallery. Brackets: 95 %, people resampled. Milliseconds: median, the network alone, one "
        f"thread, ONNX Runtime {m['onnxruntime']}, {m['cpu']}; a network of one pointwise layer "
        f"takes {floor:.2f}. `python benchmarks/recognition.py --data DIR`."
    )
    return table(head, rows) + "\n\n" + told


def open_set() -> str:
    """FNIR at FPIR by both ways of making strangers."""
    r = load("recognition", RELEASE)
    rows = []
    for e in r["embedders"]:
        halves, listed = e["sets"]["both"]["half_splits"], e["strangers"]
        rows.append(
            [
                e["label"],
                *(
                    _interval(halves[f"fnir_fpir_{p}"], "pooled", "pooled_interval")
                    for p in ("1e-1", "1e-2", "3e-3")
                ),
                *(_interval(listed[f"fnir_fpir_{p}"]) for p in ("1e-1", "1e-2", "3e-3")),
            ]
        )
    first = r["embedders"][0]
    halves, listed = first["sets"]["both"]["half_splits"], first["strangers"]
    head = ["FNIR at FPIR", *(f"half-splits: {p}" for p in ("10 %", "1 %", "0.3 %"))]
    head += [f"listed strangers: {p}" for p in ("10 %", "1 %", "0.3 %")]
    told = (
        f"Half-splits: one threshold for all {halves['splits']} of them, set on their "
        f"{halves['splits'] * halves['strangers_a_gallery']:,} non-mated searches, which are of "
        f"{first['sets']['both']['people']} people and so far from independent. Listed strangers: "
        f"all {listed['enrolled']} people enrolled; {listed['non_mated_searches']} non-mated "
        f"searches, of {listed['strangers']} strangers and of every enrolled person taken out of "
        "the gallery once for each picture. 0.3 % would need 1,000."
    )
    return table(head, rows) + "\n\n" + told


def conditions() -> str:
    """Rank-1, TAR and FNIR under each condition."""
    r = load("recognition", RELEASE)

    def cell(part: Mapping[str, Any], tar: float | None) -> str:
        return f"{_number(tar, 2)} / {_number(part['fnir_fpir_1e-2'], 2)}"

    labels, found = [e["label"] for e in r["embedders"]], r["found"]
    rows = []
    for name, told in (("", "as they are"), *_CONDITIONS.items()):
        row = [told]
        for e in [*r["embedders"], *([found] if found else [])]:
            if name:
                part = e["conditions"][name]
                row.append(cell(part, part["tar_far_1e-3"]["value"]))
            else:
                seed = e["seeds"][0] if "seeds" in e else e
                row.append(cell(seed, e["sets"]["both"]["tar_far_1e-3"]["value"]))
        if found:
            row.append(found["failures"][name or "clean"]["pictures"])
        rows.append(row)
    head = ["TAR at FAR 1e-3 / FNIR at FPIR 1 %", *labels]
    told = (
        "Both sets; the searches under the condition against enrolled pictures as they are; first "
        "seeds. Faces are seen by the labelled mesh, which tells networks apart but makes roll "
        "easy."
    )
    if found:
        head += [f"{labels[0]}, faces found", "not found"]
        told += (
            " *Faces found* is what users get: found and aligned in the picture as it then is. "
            "*Not found*: pictures in which no face was found; they count as misses."
        )
    return table(head, rows) + "\n\n" + told


def groups() -> str:
    """Errors of the first model in each group at one threshold."""
    r = load("recognition", RELEASE)
    first = r["embedders"][0]
    rows = []
    for name, g in first["groups"].items():
        fmr = g["fmr"]
        rows.append(
            [
                name.replace("_", " "),
                g["people"],
                f"{g['fnmr']['count']} of {g['fnmr']['of']}",
                "{:.3f} to {:.3f}".format(*g["fnmr"]["interval"]),
                f"{fmr['count']} of {fmr['of']}" if fmr else "",
                "{:.4f} to {:.4f}".format(*fmr["interval"]) if fmr else "",
            ]
        )
    head = ["London", "people", "false non-matches", "95 %", "false matches inside", "95 %"]
    threshold = first["sets"]["both"]["tar_far_1e-3"]["threshold"]
    told = (
        f"{first['label']}, one threshold for all ({threshold}, FAR 1e-3 over both sets). False "
        "matches are counted between people of one group, where they are most likely; "
        "Clopper-Pearson, which takes pairs for independent: too narrow for false matches. "
        "Groups are those that the participants reported."
    )
    return table(head, rows) + "\n\n" + told


def short() -> str:
    """What the README tells: the targets, met or not, beside dlib and the judge."""
    r = load("recognition", RELEASE)
    ours, *others = r["embedders"]
    beside = [e for e in others if e["label"] in ("dlib", "judge")]
    both = "both sets: TAR at FAR 0.1 %, rank-1"

    def pair(e: Mapping[str, Any]) -> str:
        return f"{_number(e['sets']['both']['tar_far_1e-3']['value'])}, {_number(e['rank1'])}"

    def line(told: str, key: str, target: str, met: bool) -> list[str]:
        values = [_number(e[key]) for e in (ours, *beside)]
        return [told, *values, target, "yes" if met else "**no**"]

    london, pairs, fnir = (
        ours[key] for key in ("london_tar_far_1e-3", "pairs_tar_far_1e-2", "fnir_fpir_1e-2")
    )
    times = [r["speed"][e["label"]]["median_ms"] for e in (ours, *beside)]
    sizes = [e["megabytes"] for e in (ours, *beside)]
    rows = [
        line("studio portraits, TAR at FAR 0.1 %", "london_tar_far_1e-3", ">= 0.95",
             london >= 0.95),
        line("colour against old grey portraits, TAR at FAR 1 %", "pairs_tar_far_1e-2", ">= 0.92",
             pairs >= 0.92),
        [both, *(pair(e) for e in (ours, *beside)), "", ""],
        line("both sets: mates missed (FNIR) where 1 % of strangers get a name", "fnir_fpir_1e-2",
             "<= 0.15", fnir <= 0.15),
        ["size, MB", *(f"{s:.1f}" for s in sizes), "<= 4.3",
         "yes" if sizes[0] <= 4.3 else "**no**"],
        ["network alone, ms", *(f"{t:.2f}" for t in times), "<= 2.5",
         "yes" if times[0] <= 2.5 else "**no**"],
    ]  # fmt: skip
    head = ["", "visagist", *(e["label"] for e in beside), "target", "met"]
    told = (
        f"{r['n_identities']} people in two pictures each, half of them enrolled and half "
        "strangers for FNIR. Formal portraits of adults: easy pictures. `python "
        "benchmarks/recognition.py --data DIR`."
    )
    return table(head, rows) + "\n\n" + told


def stages() -> str:
    """How the recogniser got better, on validation people."""
    r = load("recognition_stages", RELEASE)

    def cell(part: Mapping[str, Any], tar: float | None) -> str:
        return f"{_number(tar, 2)} / {_number(part['fnir_fpir_1e-2'], 2)}"

    shown = ("face_24px", "mask", "sunglasses", "grey")
    rows = [
        [
            e["label"],
            cell(e, e["sets"]["both"]["tar_far_1e-3"]["value"]),
            *(
                cell(e["conditions"][name], e["conditions"][name]["tar_far_1e-3"]["value"])
                for name in shown
            ),
        ]
        for e in r["embedders"]
    ]
    head = ["TAR at FAR 1e-3 / FNIR at FPIR 1 %", "as they are", *(_CONDITIONS[n] for n in shown)]
    told = (
        "Validation people, which chose the weights. `python benchmarks/recognition.py --data DIR "
        "--split validation --model LABEL=FOLDER ...`."
    )
    return table(head, rows) + "\n\n" + told


def thresholds() -> str:
    """What the calibration in the model's folder promises, and where it does not hold."""
    text = (MODEL / "calibration.json").read_text(encoding="utf-8")
    calibration = Calibration.model_validate_json(text)
    wanted: list[tuple[str, dict[str, Any]]] = [
        *(
            (f"FAR {far:.0e}".replace("e-0", "e-"), {"far": far})
            for far in (1e-2, 1e-3, 1e-4, 1e-5)
        ),
        *(
            (f"FPIR 1 %, gallery of {size}", {"fpir": 0.01, "gallery_size": size})
            for size in (10, 100)
        ),
    ]
    rows = []
    for told, rate in wanted:
        t = calibration.threshold(**rate)
        low, high = t.interval
        rows.append([told, f"{t.value:.3f}", f"{low:.2g} to {high:.2g}", f"{t.tar:.1%}"])
    london = load("recognition", RELEASE)["embedders"][0]["sets"]["london"]
    note = (
        f"Measured on {calibration.data}. **It does not hold everywhere**: of the London "
        f"pictures, all of one studio and mostly of people under thirty, FAR 1e-2 asks for "
        f"{london['tar_far_1e-2']['threshold']:.3f} and FAR 1e-3 for "
        f"{london['tar_far_1e-3']['threshold']:.3f}. Calibrate on pictures like yours."
    )
    head = ["promise", "threshold", "95 % interval of the rate", "mates found"]
    return table(head, rows) + "\n\n" + note


TABLES: dict[str, Callable[[], str]] = {
    "recognition-thresholds": thresholds,
    "recognition-stages": stages,
    "recognition-short": short,
    "recognition-models": models,
    "recognition-open-set": open_set,
    "recognition-conditions": conditions,
    "recognition-groups": groups,
}
