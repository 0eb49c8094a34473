"""Write the tables of the README, the docs and the model cards from the committed results.

    python benchmarks/tables.py            # rewrite what stands between the markers
    python benchmarks/tables.py --check    # exit 1 when a table is out of date

A table stands between ``<!-- NAME -->`` and ``<!-- /NAME -->``.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

import blend_tables
import corpus_tables
import dal_tables
import gallery_tables
import generation_tables
import head_tables
import marks_tables
import parser_tables
import recognition_tables
import swap_tables
import uir_tables
from table import load as _load
from table import table as _table

ROOT = Path(__file__).resolve().parents[1]
FILES = (
    "README.md",
    "docs/papers/tinybeauty.md",
    "docs/papers/dal.md",
    "docs/papers/mobilefsgan.md",
    "docs/learn.md",
    "docs/face-mesh.md",
    "docs/blends.md",
    "docs/corpus.md",
    "docs/face-parser.md",
    "docs/feeding.md",
    "docs/gallery.md",
    "docs/marks.md",
    "docs/generation.md",
    "docs/recognition.md",
    "docs/scale.md",
    "docs/swap.md",
    "docs/synthetic-heads.md",
    "docs/papers/epg.md",
    "docs/papers/uir.md",
    "src/visagist/models/makeup-tiny/card.md",
    "src/visagist/models/face-mesh/card.md",
    "src/visagist/models/mesh-closeups/card.md",
    "src/visagist/models/face-parser/card.md",
    "src/visagist/models/recognizer/card.md",
    "src/visagist/models/swap/card.md",
    "src/visagist/models/generator-64/card.md",
    "src/visagist/models/generator-64-diffusion/card.md",
)


def makeup_numbers() -> str:
    """The network against the retoucher on the test people, with targets."""
    r = _load("makeup")
    p = r["pipeline"]
    met = lambda ok: "yes" if ok else "**no**"  # noqa: E731
    rows = [
        (
            "PSNR, bare picture (floor)",
            f"{r['psnr_bare']:.2f} dB",
            f"{r['psnr_bare']:.2f} dB",
            "",
            "",
        ),
        ("PSNR", f"{r['psnr']:.2f} dB", f"{p['psnr']:.2f} dB", "", ""),
        (
            "gain over bare",
            f"{r['gain']:+.2f} dB",
            f"{p['gain']:+.2f} dB",
            ">= 6.0",
            met(r["gain"] >= 6),
        ),
        (
            "gain where makeup is",
            f"{r['gain_in_mask']:+.2f} dB",
            f"{p['gain_in_mask']:+.2f} dB",
            ">= 7.5",
            met(r["gain_in_mask"] >= 7.5),
        ),
        ("SSIM (bare)", f"{r['ssim']:.4f} ({r['ssim_bare']:.4f})", "", "", ""),
        (
            "leakage",
            f"{r['leakage']:.1%}",
            f"{p['leakage']:.1%}",
            "<= 5 %",
            met(r["leakage"] <= 0.05),
        ),
        (
            "eyeballs, levels of 255",
            f"{r['eyeball_level']:.2f}",
            "0",
            "<= 1.5",
            met(r["eyeball_level"] <= 1.5),
        ),
        (
            "open mouths, levels of 255",
            f"{r['mouth_level']:.2f}",
            "0",
            "<= 1.5",
            met(r["mouth_level"] <= 1.5),
        ),
        (
            "change for a shift by 1 px",
            f"{r['shift_sensitivity']:.1%}",
            "",
            "<= 15 %",
            met(r["shift_sensitivity"] <= 0.15),
        ),
    ]
    if "identity_cosine_drop" in r:
        rows.append(
            (
                "identity, 1 - cosine (retoucher's own)",
                f"{r['identity_cosine_drop']:.3f} ({r['identity_cosine_drop_truth']:.3f})",
                "",
                "",
                "",
            )
        )
    head = ("", "network alone", "as users get it", "target (network)", "met")
    sources = ", ".join(f"{name} {g['gain']:+.2f} dB" for name, g in r["per_folder"].items())
    others = [g for name, g in r["per_folder"].items() if name != "london"]
    without = sum(g["gain"] * g["rows"] for g in others) / sum(g["rows"] for g in others)
    note = (
        f"{r['n']} test faces, {r['styles']} styles; `visagist evaluate makeup --data DIR --json`. "
        "The mean leans on the frontal studio portraits of the London set. Gain by source: "
        f"{sources}; all without London {without:+.2f} dB"
    )
    return f"{_table(head, rows)}\n\n{note}."


def makeup_styles() -> str:
    """Per style and per skin tone."""
    r = _load("makeup")
    rows = []
    for group in ("per_style", "per_skin_tone", "per_folder"):
        for name, g in r[group].items():
            rows.append(
                (
                    name,
                    g["rows"],
                    f"{g['psnr_bare']:.2f}",
                    f"{g['gain']:+.2f}",
                    f"{g['gain_in_mask']:+.2f}",
                    f"{g['leakage']:.1%}",
                    f"{g['shift_sensitivity']:.1%}",
                )
            )
    return _table(("", "rows", "bare dB", "gain", "gain in mask", "leakage", "shift"), rows)


def speed() -> str:
    """Times of the network and of the pipeline."""
    r = _load("speed", "0.4.0")
    rows = [
        ("network, 256x256", f"{r['network_ms']:.2f} ms", "<= 2.2"),
        ("released layer table, same run", f"{r['released_ms']:.1f} ms", ""),
        ("speed-up", f"{r['speedup']:.1f} x", ">= 20"),
        ("floor: a call with one pointwise layer", f"{r['floor_ms']:.2f} ms", ""),
        ("parser, 256x256", f"{r['parser_ms']:.2f} ms", "<= 3"),
        ("all steps, 1024x1024 photo with one face", f"{r['pipeline_ms']:.1f} ms", "< 60"),
        (
            "the same without the parser",
            f"{r['table']['1024x1024: all steps without the parser']['median_ms']:.1f} ms",
            "",
        ),
        (
            "all steps, 12-megapixel photo",
            f"{r['table']['12 MP: all steps']['median_ms']:.0f} ms",
            "",
        ),
    ]
    m = r["machine"]
    note = (
        f"Medians, one thread, {m['cpu']}, {m['system']}, Python {m['python']}, "
        f"ONNX Runtime {m['onnxruntime']}; `visagist benchmark makeup --photo astronaut.png`, "
        "on the public-domain portrait that scikit-image ships."
    )
    return f"{_table(('', 'time', 'target'), rows)}\n\n{note}"


def steps() -> str:
    """Every row of the speed table."""
    r = _load("speed", "0.4.0")
    rows = [
        (name, f"{t['median_ms']:.2f}", f"{t['p95_ms']:.2f}", f"{t['min_ms']:.2f}")
        for name, t in r["table"].items()
    ]
    return _table(("", "median ms", "p95 ms", "min ms"), rows)


def mesh_numbers() -> str:
    """The mesh network on the test people."""
    r = _load("mesh", "0.4.0")
    rows = [
        (
            label,
            f"{r[f'{key}_percent']:.2f} %",
            f"{r[f'{key}_p90_percent']:.2f} %",
            f"{r[f'{key}_one_pass_percent']:.2f} %",
            r[f"{key}_missed"],
            target,
            "yes" if r[f"{key}_percent"] <= limit else "**no**",
        )
        for label, key, target, limit in (
            ("upright", "upright", "<= 2 %", 2.0),
            ("rolled by 30 degrees", "roll30", "< 4 %", 4.0),
            ("partly covered", "occluded", "< 4 %", 4.0),
        )
    ]
    head = ("", "median", "90th percentile", "one pass", "not detected", "target", "met")
    note = (
        f"{r['n']} test faces through the default detector, errors in percent of the distance "
        f"between the eyes; one pass is without close-ups. A crop beside the face, or upside down, "
        f"has a lower confidence than a face in {r['confidence_auc']:.2%} of pairs; "
        f"`visagist evaluate mesh --data DIR --json`."
    )
    return f"{_table(head, rows)}\n\n{note}"


def closeup_numbers() -> str:
    """The mesh with and without its second look at eyes and lips, on the test people."""
    r = _load("mesh", "0.4.0")
    rows = [
        (
            label,
            f"{r[f'{key}_fine_whole_percent']:.2f} %",
            f"{r[f'{key}_fine_percent']:.2f} %",
            f"{r[f'{key}_whole_percent']:.2f} %",
            f"{r[f'{key}_percent']:.2f} %",
        )
        for label, key in (
            ("upright", "upright"),
            ("rolled by 30 degrees", "roll30"),
            ("partly covered", "occluded"),
        )
    ]
    head = (
        "",
        "lids, irises, lips",
        "the same with close-ups",
        "all points",
        "all points with close-ups",
    )
    note = (
        f"{r['n']} test faces, medians over faces of the median over points, in percent of the "
        "distance between the eyes; `visagist evaluate mesh --data DIR --json`."
    )
    return f"{_table(head, rows)}\n\n{note}"


def feeding() -> str:
    """How fast a corpus becomes batches."""
    r = _load("feeding", "0.2.0")
    labels = {
        "copy": "floor: the batch copied within memory",
        "mapped": "from the cache, when it is asked for",
        "mapped, ahead": "from the cache, a thread ahead",
        "stream, 1 decoder": "from the shards, 1 thread decodes",
        "stream, 2 decoders": "from the shards, 2 threads decode",
        "mesh batches": "mesh training's batches, every disturbance",
        "makeup batches, 1 worker": "makeup training's batches, 1 thread",
        "makeup batches, 2 workers": "makeup training's batches, 2 threads",
    }
    rows = []
    for key, label in labels.items():
        rate = r["rates"][key]
        core = f"{1000 / rate['cpu_ms']:,.0f}"
        rows.append((label, f"{rate['cpu_ms']:.2f}", core, f"{rate['per_second']:,.0f}"))
    for name, need in r["needs"].items():
        taken = f"{need['median_per_second']:.0f}"
        rows.append((f"what the {name} training takes", "", taken, ""))
    m, c, b, load = r["machine"], r["corpus"], r["batch"], r["load"]
    note = (
        f"{c['faces']:,} faces, crops of {c['side']} pixels ({c['picture_kb']:.0f} kB); batches "
        f"of {b['faces']} at {b['side']} pixels, those of makeup at their own size. The third "
        "column is 1000 by the second, and what a free core would give; the last is the best of "
        f"{r['windows']} windows of {r['seconds']:.0f} seconds on {m['cores']} cores, {m['cpu']}, "
        f"{m['system']}, Python {m['python']}, torch {m['torch']} on one thread; the load was "
        f"{load['before']} before and {load['after']} after. Writing the cache takes "
        f"{r['cache_ms_per_face']:.0f} ms of processor time and "
        f"{r['cache_mb'] / c['faces'] * 1000:.0f} kB a face; "
        "`python benchmarks/feeding.py --corpus CORPUS`."
    )
    head = ("", "processor ms a face", "faces a second and core", "measured in all")
    return f"{_table(head, rows)}\n\n{note}"


def wide_crop() -> str:
    """What one wide crop for all trainings costs."""
    r = _load("wide_crop", "0.2.0")
    rows = [
        (
            f"{k['side']} pixels at {k['zoom']}, quality {k['quality']}",
            f"{k['kb']:.0f}",
            *(
                cell
                for name in ("makeup", "mesh")
                for cell in (
                    (f"{k[f'{name}_psnr']:.1f} dB", f"{k[f'{name}_sharpness']:.0%}")
                    if f"{name}_psnr" in k
                    else ("", "")
                )
            ),
        )
        for k in r["kept"]
    ]
    head = ("the corpus keeps", "kB a face", "makeup: PSNR", "sharpness", "mesh: PSNR", "sharpness")
    note = f"Medians over {r['faces']} photos; `python benchmarks/wide_crop.py --data DIR`."
    return f"{_table(head, rows)}\n\n{note}"


TABLES: dict[str, Callable[[], str]] = {
    "feeding": feeding,
    "wide-crop": wide_crop,
    "makeup-numbers": makeup_numbers,
    "makeup-styles": makeup_styles,
    "speed": speed,
    "steps": steps,
    "mesh-numbers": mesh_numbers,
    "closeup-numbers": closeup_numbers,
    **blend_tables.TABLES,
    **corpus_tables.TABLES,
    **dal_tables.TABLES,
    **gallery_tables.TABLES,
    **generation_tables.TABLES,
    **head_tables.TABLES,
    **marks_tables.TABLES,
    **parser_tables.TABLES,
    **uir_tables.TABLES,
    **recognition_tables.TABLES,
    **swap_tables.TABLES,
}


def filled(text: str) -> str:
    """The text with every marked table replaced by today's."""
    for name, make in TABLES.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if pattern.search(text):
            body = make()
            text = pattern.sub(lambda m, body=body: f"{m[1]}{body}\n{m[2]}", text)
    return text


def main() -> int:
    """Rewrite or check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = []
    for name in FILES:
        path = ROOT / name
        if not path.is_file():
            continue
        before = path.read_text(encoding="utf-8")
        after = filled(before)
        if after != before:
            stale.append(name)
            if not check:
                path.write_text(after, encoding="utf-8")
    for name in stale:
        print(f"{name}: {'out of date' if check else 'rewritten'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
