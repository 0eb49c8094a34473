"""The tables of docs/swap.md, from the committed results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from table import load, table

RELEASE = "0.4.0"
Row = Mapping[str, Any]


def _number(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _interval(row: Row, name: str, digits: int) -> str:
    told = _number(row[name], digits)
    if name not in row["intervals"] or row["pairs"] == 0:
        return told
    low, high = row["intervals"][name]
    return f"{told} [{low:.{digits}f}, {high:.{digits}f}]"


def methods(split: str) -> str:
    """Every row side by side."""
    r = load("swap", RELEASE)[split]
    rows = [
        [
            label,
            _interval(row, "id_top1", 2),
            _interval(row, "id_cosine", 3),
            _number(row["id_leak"]),
            _interval(row, "pose_error", 2),
            _interval(row, "expression_error", 3),
            _number(row["fd"], 0),
            f"{row['background_share']:.1%}",
            _number(row["occlusion_kept"], 2),
            _number(row.get("gmac"), 2),
            _number(row.get("megabytes"), 2),
        ]
        for label, row in r["table"].items()
    ]
    head = [
        "", "identity top-1", "cosine to the source", "to the target", "pose error, degrees",
        "expression error", "FD", "background changed", "covers kept", "GMAC", "MB",
    ]  # fmt: skip
    own = next(iter(r["table"].values()))
    told = (
        f"{own['pairs']} pairs of {split} people ({', '.join(own['per_folder'])}), a source looked "
        f"for among {r['enrolled']} people by a judge that no swap network was trained with. "
        "Brackets: 95 %, source people resampled. Pose error: length of the difference of yaw, "
        "pitch and roll; expression error: mean difference of nine mesh ratios in standard "
        "deviations over the targets; both by our mesh network. FD: squared Frechet distance of "
        "crops to the targets in EfficientNet-Lite0's features (not FID); one half of the targets "
        f"to the other: {_number(r['fd_floor'], 0)}. Background: pixels of the crop outside the "
        "face that change by more than two levels. Covers: 1 where what is drawn in front of a "
        "face is left alone, 0 where as much changes as the cover itself had changed. `python "
        f"benchmarks/swap.py --data DIR --split {split} --rounds {r['rounds']}`."
    )
    return table(head, rows) + "\n\n" + told


def groups(split: str) -> str:
    """The first model by skin tone and by kind of picture."""
    r = load("swap", RELEASE)[split]
    row = r["table"][r["row"]]
    rows = [
        [
            f"{what} {name}",
            g["pairs"],
            _number(g["id_top1"], 2),
            _number(g["id_cosine"]),
            _number(g["pose_error"], 2),
            _number(g["expression_error"]),
        ]
        for what, key in (
            ("pictures:", "per_folder"),
            ("source's skin:", "per_source_tone"),
            ("target's skin:", "per_target_tone"),
        )
        for name, g in row[key].items()
    ]
    head = [r["row"], "pairs", "identity top-1", "cosine", "pose error", "expression error"]
    told = (
        "Skin tone by the typology angle in the picture (above 41 degrees light, to 10 medium), "
        "which light moves, too: a lit dark skin can count as medium and a light one in shade as "
        "dark."
    )
    return table(head, rows) + "\n\n" + told


def speed() -> str:
    """Milliseconds of everything that was timed."""
    r = load("swap", RELEASE)["speed"]
    rows = [
        [name, f"{t['median_ms']:.2f}", f"{t['p95_ms']:.2f}", f"{t['min_ms']:.2f}"]
        for name, t in r["table"].items()
    ]
    m = r["machine"]
    told = (
        f"One thread, in turns, ONNX Runtime {m['onnxruntime']}, {m['cpu']}; a 1024x1024 photo. "
        f"The network is {r['speedup']:.1f} times as fast as the paper's layout "
        f"({r['paper']['gmac']:.1f} GMAC). `visagist benchmark swap`."
    )
    return table(["milliseconds", "median", "95 %", "least"], rows) + "\n\n" + told


def short() -> str:
    """What was asked for, and whether it was reached."""
    results = load("swap", RELEASE)
    split = "test" if "test" in results else "validation"
    r, timed = results[split], results["speed"]
    ours, warp, bare = (r["table"][name] for name in (r["row"], "mesh warp", "guide alone"))

    def line(what: str, key: str, digits: int, wanted: str, good: bool) -> list[str]:
        told = [_number(row[key], digits) for row in (ours, bare, warp)]
        return [what, *told, wanted, "yes" if good else "**no**"]

    def alone(what: str, value: float, digits: int, wanted: str, good: bool) -> list[str]:
        return [what, _number(value, digits), "", "", wanted, "yes" if good else "**no**"]

    rows = [
        line("identity top-1", "id_top1", 3, ">= 0.90", ours["id_top1"] >= 0.9),
        [*line("cosine to the source", "id_cosine", 2, "", True)[:4], "", ""],
        *(
            line(what, key, digits, "<= mesh warp", ours[key] <= warp[key])
            for what, key, digits in (
                ("pose error, degrees", "pose_error", 2),
                ("expression error", "expression_error", 2),
            )
        ),
        [*line("covers kept", "occlusion_kept", 2, "", True)[:4], "", ""],
        alone("size, MB", timed["megabytes"], 1, "<= 10.2", timed["megabytes"] <= 10.2),
        alone("work, GMAC", timed["gmac"], 2, "<= 3", timed["gmac"] <= 3),
        alone("network, ms", timed["network_ms"], 1, "<= 40", timed["network_ms"] <= 40),
        alone("times as fast as the paper's layout", timed["speedup"], 0, ">= 8", True),
    ]
    head = ["", "visagist", "guide alone", "mesh warp", "target", "met"]
    told = (
        f"{ours['pairs']} pairs of {split} people; the judge of identity taught nothing. "
        "One thread; all numbers and intervals are in docs/swap.md."
    )
    return table(head, rows) + "\n\n" + told


TABLES: dict[str, Callable[[], str]] = {
    "swap-short": short,
    "swap-methods": lambda: methods("test"),
    "swap-validation": lambda: methods("validation"),
    "swap-groups": lambda: groups("test"),
    "swap-validation-groups": lambda: groups("validation"),
    "swap-speed": speed,
}
