"""The tables of docs/generation.md, docs/papers/epg.md and the generators' cards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from table import RESULTS, load, table

RELEASE = "0.4.0"
SPACES = {"efficientnet-lite0": "EfficientNet-Lite0", "recognizer": "face vectors"}
ROWS = {"floor": "real faces (floor)", "ruined": "blurred real faces (ruined)"}
FIGURES = ("fd", "kid", "precision", "recall", "high_frequencies", "eye_sharpness")


def _found(name: str) -> dict[str, Any] | None:
    """A results file, or nothing as long as nobody has measured."""
    return load(name, RELEASE) if (RESULTS / RELEASE / f"{name}.json").is_file() else None


def _missing(command: str) -> str:
    return f"Not measured yet: `{command}`."


def _with(value: float, interval: list[float] | None, digits: int) -> str:
    text = f"{value:.{digits}f}"
    if interval is None:
        return text
    return f"{text} ({interval[0]:.{digits}f} to {interval[1]:.{digits}f})"


def numbers() -> str:
    """Distances of the bundled models by steps, with floors."""
    command = "visagist evaluate generation --data CORPUS --data BLENDS --data HEADS --json"
    r = _found("generation")
    if r is None:
        return _missing(command)
    rows = []
    for name in r["table"]["efficientnet-lite0"]:
        label = ROWS.get(name) or f"{name} step{'s' * (name != '1')}"
        row = [label]
        for space in SPACES:
            found = r["table"].get(space, {}).get(name)
            if found is None:
                row += [""] * 4
                continue
            digits = 1 if space == "efficientnet-lite0" else 3
            row += [
                _with(found["fd"], found.get("fd_interval"), digits),
                _with(found["kid"], found.get("kid_interval"), 4),
                f"{found['precision']:.2f}",
                f"{found['recall']:.2f}",
            ]
        rows.append([*row, f"{r['high_frequencies'][name] / r['high_frequencies']['floor']:.0%}"])
    head = ["set"]
    for space in SPACES.values():
        head += [f"FD, {space}", "KID", "precision", "recall"]
    note = (
        f"{r['pictures']} pictures a set, seed {r['seed']}, {r['params']:,} parameters; "
        f"`{command}`. 95 % bootstrap intervals (basic, which lie below the value where few "
        "pictures bias it upwards). Detail is spectral energy above half the Nyquist rate, as a "
        "share of real faces'."
    )
    return f"{table([*head, 'detail'], rows)}\n\n{note}"


def memorisation() -> str:
    """How near samples come to training pictures."""
    r = _found("generation")
    if r is None:
        return _missing("visagist evaluate generation --json")
    rows = []
    for name, found in r["memorisation"].items():
        row = [f"{name} step{'s' * (name != '1')}", f"{found['share']:.1%}"]
        row += [f"{found['nearest']:.1f} ({found['usual']:.1f})"]
        if "share_by_face" in found:
            row += [
                f"{found['share_by_face']:.1%}",
                f"{found['nearest_by_face']:.2f} ({found['usual_by_face']:.2f})",
            ]
        rows.append(row)
    head = (
        "samples", "too near, by pixels", "nearest (usual), levels", "too near, by face",
        "nearest (usual), vectors",
    )  # fmt: skip
    note = (
        "Too near: nearer to a training picture than 99 % of held-out pictures are; 1 % is what "
        "chance gives. Usual: the median of held-out pictures. Smooth pictures are near to others "
        "by pixels without being copies."
    )
    return f"{table(head[: len(rows[0])], rows)}\n\n{note}"


def speed() -> str:
    """Pictures a second."""
    r = _found("generation_speed")
    if r is None:
        return _missing("visagist benchmark generation --json")
    best: dict[tuple[str, str], float] = {}
    for name, rate in r["table"].items():
        steps, threads, _ = name.split(", ")
        best[steps, threads] = max(rate, best.get((steps, threads), 0.0))
    steps = list(dict.fromkeys(s for s, _ in best))
    rows = [(s, *(f"{best[s, t]:.1f}" for t in ("1 thread", "2 threads"))) for s in steps]
    note = (
        f"{r['side']} pixels, the best of batches of 1, 8 and 32; {r['machine']['cpu']}, ONNX "
        f"Runtime {r['machine']['onnxruntime']}; `visagist benchmark generation --json`. Target: "
        f"{r['target']:g} one-step pictures a second on two cores."
    )
    return f"{table(('pictures a second', '1 thread', '2 threads'), rows)}\n\n{note}"


def _mean(rows: list[dict[str, Any]], figure: str, digits: int) -> str:
    values = [row[figure] for row in rows if figure in row]
    if not values:
        return ""
    spread = f" ± {np.ptp(values) / 2:.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{spread}"


def _settings(r: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    grouped: dict[str, list[dict[str, Any]]] = {}
    for row in r["rows"]:
        grouped.setdefault(row["name"], []).append(row)
    return grouped


_ABLATION = "python benchmarks/generation_ablation.py --data CORPUS --data BLENDS --data HEADS ..."


def ablation() -> str:
    """Pre-training and auxiliary loss at equal processor time."""
    r = _found("generation_ablation")
    if r is None:
        return _missing(_ABLATION)
    rows = []
    for name, found in _settings(r).items():
        if "64 px" in name or name == "stage 1":
            continue
        first = found[0]
        low, high = ("val_mse_0.5", "val_mse_80")
        rows.append(
            (
                name, len(found), f"{first['pictures']:,}", _mean(found, "fd", 0),
                _mean(found, "kid", 3), _mean(found, low, 4), _mean(found, high, 3),
            )
        )  # fmt: skip
    for name, label in (("32 floor", "real faces (floor)"), ("32 ruined", "blurred real faces")):
        if name in r["floors"]:
            f = r["floors"][name]
            rows.append((label, "", "", f"{f['fd']:.0f}", f"{f['kid']:.3f}", "", ""))
    head = (
        "training", "seeds", "pictures shown", "FD", "KID", "error at sigma 0.5", "at sigma 80",
    )  # fmt: skip
    note = (
        f"{r['params']:,} parameters, 32 pixels, {r['seconds']:g} seconds of one core for a row, "
        f"of which stage 1 takes {r['pretrain_share']:.0%} where all is counted; "
        f"{r['judged']} samples, one step or {r['sampling_steps']}. ±: half of the range over "
        f"seeds. Errors are mean squares on held-out people. `{_ABLATION}`"
    )
    return f"{table(head, rows)}\n\n{note}"


def latents() -> str:
    """Pixels against latents of equal cost."""
    r = _found("generation_ablation")
    if r is None:
        return _missing(f"{_ABLATION} --autoencoder DIR")
    rows: list[tuple[object, ...]] = []
    for name, found in _settings(r).items():
        if "64 px" in name:
            cells = [_mean(found, figure, 3 if figure != "fd" else 0) for figure in FIGURES]
            rows.append((name.removesuffix(", 64 px"), len(found), *cells))
    for key, label in (
        ("64 through the autoencoder", "real faces through the autoencoder"),
        ("64 floor", "real faces (floor)"),
        ("64 ruined", "blurred real faces"),
    ):
        if key in r["floors"]:
            f = r["floors"][key]
            rows.append((label, "", *(f"{f[k]:.{0 if k == 'fd' else 3}f}" for k in FIGURES)))
    head = ("", "seeds", "FD", "KID", "precision", "recall", "detail", "sharpness, eyes and brows")
    encoded = r["floors"].get("seconds latents.npy")
    note = (
        f"64 pixels, the same network on 64 tokens, the same {r['pictures_with_latents']} pictures "
        f"and {r['seconds']:g} seconds of one core; detail and sharpness as shares of real faces'."
    )
    if encoded is not None:
        note += f" Encoding the pictures took {encoded:g} seconds more, which are not counted."
    return f"{table(head, rows)}\n\n{note}"


TABLES: dict[str, Callable[[], str]] = {
    "generation-numbers": numbers,
    "generation-memorisation": memorisation,
    "generation-speed": speed,
    "generation-ablation": ablation,
    "generation-latents": latents,
}
