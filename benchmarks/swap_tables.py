"""The tables of docs/swap.md, from the committed results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
        alone(f"{timed['best_engine']}, ms", timed["best_ms"], 1, "<= 15", timed["best_ms"] <= 15),
        alone("times as fast as the paper's layout", timed["speedup"], 0, ">= 8", True),
    ]
    live = timed.get("live_ms")
    if live is not None:
        best = timed["live_best_ms"]
        rows.append(alone("live network, ms", live, 1, "<= 9", live <= 9))
        rows.append(alone("live network, best engine, ms", best, 1, "<= 9", best <= 9))
    head = ["", "visagist", "guide alone", "mesh warp", "target", "met"]
    told = (
        f"{ours['pairs']} pairs of {split} people; the judge of identity taught nothing. "
        "One thread; all numbers and intervals are in docs/swap.md."
    )
    return table(head, rows) + "\n\n" + told


def _trained(name: str) -> dict[str, list[Row]]:
    """What was found of each training, by row, over the seeds."""
    found: dict[str, list[Row]] = {}
    for seed in load("swap_ablation", RELEASE)["seeds"]:
        for row in seed[name] if name == "trained" else ():
            found.setdefault(row["name"], []).append(row)
        for label, figures in (seed[name] if name == "judged" else {}).items():
            if label not in ("pairs", "untouched target", "mesh warp"):
                found.setdefault(label, []).append(figures)
    return found


def _over(rows: Sequence[Row], key: str, digits: int) -> str:
    values = [row[key] for row in rows if row.get(key) is not None]
    if not values:
        return ""
    mean = sum(values) / len(values)
    spread = f" ± {(max(values) - min(values)) / 2:.{digits}f}" if len(values) > 1 else ""
    return f"{mean:.{digits}f}{spread}"


def ablation() -> str:
    """One thing changed at a time, at equal processor time."""
    r = load("swap_ablation", RELEASE)
    trained = _trained("trained")
    rows = [
        [
            name,
            trained[name][0]["steps"] if name in trained else "",
            *(
                _over(found, key, digits)
                for key, digits in (
                    ("id_top1", 2), ("id_cosine", 3), ("id_leak", 3), ("pose_error", 2),
                    ("expression_error", 3), ("background_share", 3), ("occlusion_kept", 2),
                )
            ),
        ]
        for name, found in _trained("judged").items()
    ]  # fmt: skip
    head = [
        "", "steps", "identity top-1", "cosine to the source", "to the target", "pose error",
        "expression error", "background changed", "covers kept",
    ]  # fmt: skip
    told = (
        f"`recipes/{r['recipe']}` with one thing changed, {r['seconds']:g} seconds of one core a "
        f"row, {len(r['seeds'])} seed(s), all of the network's correction used; "
        f"{r['seeds'][0]['judged']['pairs']} pairs of validation people. "
        "`python benchmarks/swap_ablation.py --triplets DIR --held-out DIR --data DIR --work DIR`."
    )
    return table(head, rows) + "\n\n" + told


def curves() -> str:
    """The same trainings over their steps, on triplets of held-out people."""
    trained = {name: found[0] for name, found in _trained("trained").items()}
    shares = range(1, 1 + min(len(row["curve"]) for row in trained.values()))
    rows = [
        [name, what, *(_number(row["curve"][k - 1][key], digits) for k in shares)]
        for name, row in trained.items()
        for what, key, digits in (("PSNR, dB", "psnr", 1), ("cosine", "cosine_untrue", 2))
    ]
    head = ["", "of held-out triplets", *(str(k) for k in shares)]
    told = (
        "Validations at every eighth of a row's steps, first seed. PSNR to the truth where there "
        "is one; cosine of the result to the source by the network's own recogniser where there is "
        "none."
    )
    return table(head, rows) + "\n\n" + told


TABLES: dict[str, Callable[[], str]] = {
    "swap-short": short,
    "swap-methods": lambda: methods("test"),
    "swap-validation": lambda: methods("validation"),
    "swap-groups": lambda: groups("test"),
    "swap-validation-groups": lambda: groups("validation"),
    "swap-speed": speed,
    "swap-ablation": ablation,
    "swap-curves": curves,
}
