"""The tables of docs/papers/uir.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from table import load, table

RELEASE = "0.3.0"
METRICS = {
    "fnir_fpir_1e-2": "FNIR, FPIR 1 %",
    "fnir_fpir_3e-3": "FNIR, FPIR 0.3 %",
    "tar_far_1e-5": "TAR, FAR 1e-5",
    "photos_fnir_fpir_1e-2": "photos: FNIR, FPIR 1 %",
}
TESTED = {
    "fnir_fpir_1e-2": "FNIR, FPIR 1 %",
    "london_tar_far_1e-3": "London: TAR, FAR 1e-3",
    "pairs_tar_far_1e-2": "portraits: TAR, FAR 1e-2",
    "both_tar_far_1e-3": "both: TAR, FAR 1e-3",
}


def _rows(**wanted: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    rows = load("uir", RELEASE)["rows"]
    return [r for r in rows if all(r[name] == value for name, value in wanted.items())]


def _name(row: dict[str, Any]) -> str:
    if not row["steps"]:
        return "as it was"
    if not row["weight"]:
        margin = "" if row["margin"] == "arcface" else ", plain softmax"
        return f"without unlabelled faces{margin}"
    weight = f"{row['weight'] * row['known']:g} / {row['known']}"
    name = f"{row['form']}, {weight if row['form'] == 'paper' else format(row['weight'], 'g')}"
    name += "" if row["overlap"] else ", overlap kept"
    return name + (f", {row['top']} highest classes" if row["top"] else "")


def _cell(found: dict[str, Any]) -> str:
    """The value with its interval, and the gain where it is told from zero."""
    low, high = found["interval"]
    text = f"{found['value']:.3f} ({low:.3f} to {high:.3f})"
    gain = found.get("gain")
    if gain is None or not any((gain["value"], *gain["interval"])):
        return text  # nothing to compare with, or itself
    low, high = gain["interval"]
    sure = "**" if low > 0 or high < 0 else ""
    return f"{text}<br>{sure}{gain['value']:+.3f} ({low:+.3f} to {high:+.3f}){sure}"


def _table(rows: list[dict[str, Any]], *, amount: bool = False) -> str:
    head = ["training", *(["unlabelled"] if amount else []), *METRICS.values()]
    body = [
        [
            _name(row),
            *([f"{row['told'].get('used', 0):,}"] if amount else []),
            *(_cell(row["metrics"][name]) for name in METRICS),
        ]
        for row in rows
    ]
    return table(head, body)


def uir_weights() -> str:
    """Forms and weights, fine-tuning with many people."""
    report = load("uir", RELEASE)
    many = max(row["known"] for row in report["rows"])
    rows = _rows(known=many, start="finetune", overlap=True, top=0, margin="arcface")
    rows = [row for row in rows if row["form"] != "paper"]
    used = max(row["told"].get("used", 0) for row in rows)
    judged = report["validation"]
    note = (
        f"{many:,} known people, {used:,} unlabelled faces, {max(r['seeds'] for r in rows)} seeds. "
        f"Judged on {judged['blends']} blended people of validation parents, with "
        f"{sum(judged['strangers'].values())} faces of others as strangers, and on the "
        f"{judged['photos']} photos of the protocol's validation list. Second lines: change "
        "against the training without unlabelled faces, bold where its 95 % interval leaves out "
        "zero."
    )
    return f"{_table(rows)}\n\n{note}"


def uir_amounts() -> str:
    """From as many unlabelled faces as known ones to ten times as many."""
    few = min(row["known"] for row in load("uir", RELEASE)["rows"])
    return f"{_table(_rows(known=few), amount=True)}\n\n{few} known people, two pictures each."


def uir_variants() -> str:
    """From noise, and what else can be changed."""
    scratch = _rows(start="scratch")
    others = [
        row
        for row in _rows(start="finetune")
        if not row["overlap"] or row["top"] or row["form"] == "paper" or row["margin"] == "none"
    ]
    return (
        f"Last block, head and centres from noise:\n\n{_table(scratch)}\n\n"
        f"Fine-tuning, other choices:\n\n{_table(others)}"
    )


def uir_sureness() -> str:
    """How sure the classifier is of strangers."""
    rows = [
        (
            _name(row),
            *(f"{row['told'][f'{who}_p']:.3f}" for who in ("known", "unlabelled", "held_out")),
            f"{row['told']['held_out_p99']:.3f}",
            f"{row['told']['held_out_auc']:.4f}",
        )
        for row in _rows(known=max(r["known"] for r in load("uir", RELEASE)["rows"]))
        if "held_out_p" in row["told"] and row["start"] == "finetune"
    ]
    head = (
        "training",
        "known people",
        "unlabelled",
        "people never seen",
        "the surest 1 % of these",
        "AUC known / never seen",
    )
    return table(head, rows)


def uir_test() -> str:
    """The test people, once."""
    report = load("uir_test", RELEASE)
    rows = [
        [name, *(_cell(row[metric]) for metric in TESTED)] for name, row in report["rows"].items()
    ]
    chosen = report["chosen"]
    note = (
        f"{report['people']} people. Chosen on validation: {chosen['form']}, weight "
        f"{chosen['weight']:g}."
    )
    return f"{table(['training', *TESTED.values()], rows)}\n\n{note}"


TABLES: dict[str, Callable[[], str]] = {
    "uir-weights": uir_weights,
    "uir-amounts": uir_amounts,
    "uir-variants": uir_variants,
    "uir-sureness": uir_sureness,
    "uir-test": uir_test,
}
