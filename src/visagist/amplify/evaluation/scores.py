"""How a row is judged: against the retoucher, on people that nobody has learned from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.amplify.evaluation.bench import MARGIN, Bench
from visagist.amplify.evaluation.rows import Predict
from visagist.face.align import CROP_SIZE
from visagist.face.identity import Judge
from visagist.face.regions import region_masks
from visagist.makeup import metrics
from visagist.makeup.evaluation import Row, compare, made_up, mean_rows
from visagist.makeup.retoucher import made_up_mask
from visagist.makeup.zones import PARTS, gain_map

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

Distance = Callable[[Bytes, Bytes], NDArray[np.floating]]
"""(N, H, W, 3) and (N, H, W, 3) pictures -> (N,) perceptual distances."""

JUDGED_EVERY = 3
"""Identity and perceptual distance, half of the time, are measured on every third person."""
_WORST = 20


@dataclass(frozen=True, slots=True)
class Judges:
    """What some numbers need; without them these numbers are absent.

    Attributes:
        identity: face embedder that nothing was trained with.
        perceptual: distance between pictures.
    """

    identity: Judge | None = None
    perceptual: Distance | None = None


def score(
    bench: Bench,
    predict: Predict,
    judges: Judges,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Judge a row on every judged person in every style.

    Args:
        bench: people and truth.
        predict: the row.
        judges: for identity and perceptual distance.
        progress: called with people done and in all.

    Returns:
        ``mean`` over styles and people, ``per_style``, and the ``worst`` cases by gain over bare.
    """
    people = bench.judged
    rows: list[tuple[str, str, Row]] = []
    for i in range(len(people)):
        rows += _of_person(bench, i, predict, judges if i % JUDGED_EVERY == 0 else Judges())
        progress(i + 1, len(people))
    worst = sorted(rows, key=lambda row: row[2]["gain"])[:_WORST]
    return {
        "n": len(people),
        "mean": mean_rows(row for *_, row in rows),
        "per_style": {
            style.name: mean_rows(row for _, name, row in rows if name == style.name)
            for style in bench.styles
        },
        "worst": [{"face": f, "style": s, "gain": round(r["gain"], 2)} for f, s, r in worst],
    }


def _of_person(
    bench: Bench, i: int, predict: Predict, judges: Judges
) -> list[tuple[str, str, Row]]:
    people = bench.judged
    view = people.sitters.crops[i]
    labelled = people.sitters.labelled[i]
    truths = people.change(i).astype(np.float32)
    predicted = predict(i, view)
    moved = predict(i, _moved(people.faces.crops[i])) if predict.student else None
    # As users get it: with the mesh that they have.
    gain = gain_map(people.sitters.found[i], CROP_SIZE, dict.fromkeys(PARTS, 1.0))
    regions = region_masks(labelled, CROP_SIZE)
    far = _perceptual(view, truths, predicted, judges)
    before = None if judges.identity is None else judges.identity(view, labelled)
    out = []
    for k, style in enumerate(bench.styles):
        allowed = np.minimum(made_up_mask(labelled, style, CROP_SIZE) * 20, 1)
        row = compare(view, truths[k], predicted[k], allowed)
        row["eyeball_level"] = metrics.level(predicted[k], regions.eyes)
        row["mouth_level"] = metrics.level(predicted[k], regions.mouth)
        if moved is not None:
            row["shift_sensitivity"] = metrics.shift_sensitivity(moved[k], predicted[k])
            piped = predicted[k] * gain[..., None]
            error = made_up(view, piped).astype(np.float32) - view - truths[k]
            row["pipeline_psnr"] = metrics.psnr(error)
            row["pipeline_leakage"] = metrics.leakage(piped, allowed)
        row |= {name: float(values[k]) for name, values in far.items()}
        if judges.identity is not None and before is not None:
            # The floor moves nothing; its row tells what the truth moves, once for all rows.
            floor = not predicted[k].any()
            after = judges.identity(made_up(view, truths[k] if floor else predicted[k]), labelled)
            moved_by = float(1 - before @ after)
            row["identity_cosine_drop"] = 0.0 if floor else moved_by
            if floor:
                row["identity_cosine_drop_truth"] = moved_by
        out.append((people.names[i], style.name, row))
    return out


def _moved(crop: Bytes) -> Bytes:
    """The canonical crop in which everything lies one pixel further right and down."""
    return np.ascontiguousarray(crop[MARGIN - 1 : -MARGIN - 1, MARGIN - 1 : -MARGIN - 1])


def _perceptual(
    view: Bytes, truths: Floats, predicted: Floats, judges: Judges
) -> Mapping[str, NDArray[np.floating]]:
    if judges.perceptual is None:
        return {}
    target = np.stack([made_up(view, t) for t in truths])
    result = np.stack([made_up(view, p) for p in predicted])
    return {"perceptual": judges.perceptual(result, target)}
