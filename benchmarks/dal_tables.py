"""The table of docs/papers/dal.md."""

from __future__ import annotations

from table import RESULTS, load, table

RELEASE = "0.4.0"
NAMES = {
    "bare": "bare input (floor)",
    "five_pairs": "student, five pairs alone",
    "five_pairs_augmented": "student, five pairs, strong augmentation",
    "colour_transfer": "colour transfer by region",
    "mesh_transfer_teacher": "mesh transfer itself",
    "mesh_transfer": "student of the mesh transfer",
    "teacher": "the amplifier itself",
    "dal": "**student of the amplifier (DAL)**",
    "ceiling": "student, all retoucher pairs (ceiling)",
}


def present(name: str = "dal") -> bool:
    return (RESULTS / RELEASE / f"{name}.json").is_file()


def dal_table(name: str = "dal") -> str:
    """Rows against the retoucher."""
    if not present(name):
        return "Not run yet."
    r = load(name, RELEASE)
    head = (
        "", "PSNR", "in the mask", "SSIM", "perceptual", "leakage", "identity", "shift by 1 px"
    )  # fmt: skip

    def cell(figure: str, row: str, shown: str) -> str:
        value = r.get(f"{figure}_{row}")
        return "" if value is None else format(value, shown)

    rows = [
        (
            text,
            cell("psnr", row, ".2f"),
            cell("psnr_in_mask", row, ".2f"),
            cell("ssim", row, ".4f"),
            cell("perceptual", row, ".4f"),
            cell("leakage", row, ".1%"),
            cell("identity_drop", row, ".3f"),
            cell("shift", row, ".1%"),
        )
        for row, text in NAMES.items()
        if f"psnr_{row}" in r
    ]
    c = r["config"]
    faces = c["faces"] or f"{r['training_people'] - c['pairs']}"
    note = (
        f"{r['judged_people']} people of the {c['split']} split, styles "
        f"{', '.join(r['styles'])}; {c['pairs']} pairs a style, {faces} amplified faces, "
        f"{c['steps']} steps for every student, backend {c['backend']}; "
        f"{r['minutes_total']:.0f} minutes on {r['machine']['cpu']}"
    )
    if "identity_drop_truth" in r:
        note += f". The retoucher itself moves the identity by {r['identity_drop_truth']:.3f}"
    met = [f"{name.replace('_', ' ')}: {'met' if ok else '**missed**'}"
           for name, ok in r["targets"].items()]  # fmt: skip
    return f"{table(head, rows)}\n\n{note}.\n\nTargets: {'; '.join(met)}."


def dal_test() -> str:
    """The same rows on test people."""
    return dal_table("dal-test")


def dal_scratch() -> str:
    """Students that start from random weights, as in the paper."""
    return students("start")


def dal_steps() -> str:
    """Students trained as long as `visagist learn` trains them."""
    return students("steps")


def students(ablation: str) -> str:
    """Rows of the trained networks of one run of an ablation."""
    runs = load("dal", RELEASE).get("ablations", {}).get(ablation) if present() else None
    if not runs:
        return "Not run yet."
    one = runs[0]
    fields = (
        ("psnr", ".2f"), ("psnr_in_mask", ".2f"), ("leakage", ".1%"), ("identity_drop", ".3f"),
        ("shift", ".1%"),
    )  # fmt: skip
    rows = [
        (text, *(format(one[f"{field}_{row}"], shown) for field, shown in fields))
        for row, text in NAMES.items()
        if f"psnr_{row}" in one and f"shift_{row}" in one
    ]
    head = ("", "PSNR", "in the mask", "leakage", "identity", "shift by 1 px")
    return f"{table(head, rows)}\n\n{one['config']['steps']:,} steps for every student."


def dal_ablations() -> str:
    """What changes when one thing is changed."""
    if not present() or not load("dal", RELEASE).get("ablations"):
        return "Not run yet."
    r = load("dal", RELEASE)
    rows = []
    for name, runs in r["ablations"].items():
        if name in ("start", "steps"):  # they have tables of their own
            continue
        for one in runs:
            what = ", ".join(f"{k} {v}" for k, v in one["changed"].items())
            numbers = [one.get(f) for f in ("psnr_teacher", "psnr_dal", "leakage_dal")]
            shown = ["" if v is None else f"{v:.2f}" for v in numbers[:2]]
            shown.append("" if numbers[2] is None else f"{numbers[2]:.1%}")
            rows.append((name, what, *shown))
    if not rows:
        return "Not run yet."
    return table(("", "changed", "teacher, PSNR", "DAL, PSNR", "DAL, leakage"), rows)


def learn_stages() -> str:
    """Minutes of each stage of `visagist learn`."""
    if not (RESULTS / RELEASE / "learn.json").is_file():
        return "Not run yet."
    r = load("learn", RELEASE)
    stages = [
        (name.removeprefix("minutes_").replace("_", " "), f"{value:.1f}")
        for name, value in r.items()
        if name.startswith("minutes_")
    ]
    note = (
        f"{r['pairs']} pairs, {r['samples']} amplified faces and {r['rejected']} rejected, "
        f"{r['steps']} steps, backend {r['backend']}; at most {r['peak_memory_gb']} GB; "
        f"{r['workers']} core{'s' * (r['workers'] > 1)} of {r['machine']['cpu']}"
    )
    return f"{table(('stage', 'minutes'), stages)}\n\n{note}."


TABLES = {
    "dal-table": dal_table,
    "dal-scratch": dal_scratch,
    "dal-steps": dal_steps,
    "dal-test": dal_test,
    "dal-ablations": dal_ablations,
    "learn-stages": learn_stages,
}
