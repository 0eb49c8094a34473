"""The recognition protocol: a labelled tree and embedders in, one report out."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from visagist.errors import DataError, InputError
from visagist.face.find import find_faces
from visagist.recognition.evaluation.conditions import CONDITIONS
from visagist.recognition.evaluation.embedders import Embedder, model_embedder
from visagist.recognition.evaluation.figures import by_group, verification
from visagist.recognition.evaluation.lists import EvaluationList, read_list
from visagist.recognition.evaluation.open_set import HalfSplits, fixed_list
from visagist.recognition.evaluation.pictures import (
    CLEAN,
    Aligned,
    Finder,
    Progress,
    Seen,
    people,
    see,
    trials,
)
from visagist.recognition.evaluation.worst import worst

WITHOUT_UIR = "without UIR"
_GROUP_FAR = "tar_far_1e-3"
_FEWER = 5
"""Harder conditions get so many times fewer resamples, for the sake of time."""


def evaluate(
    data: Path,
    *,
    model: str = "recognizer",
    without_uir: str | None = None,
    split: str = "test",
    lists: Path | None = None,
    embedders: Sequence[Embedder] = (),
    conditions: Iterable[str] = (),
    aligned: Aligned = "labels",
    find: Finder = find_faces,
    resamples: int = 1000,
    progress: Progress = lambda done, total: None,
) -> dict[str, Any]:
    """Measure a recogniser on people it has never seen.

    Args:
        data: labelled tree.
        model: name or folder of the model.
        without_uir: the same network trained without UIR, for
            ``fnir_fpir_1e-2_without_uir``; that field is ``None`` without it.
        split: test or validation. Test is for the figures of a release; validation picks models:
            its portrait pairs are those of the validation and of the train people, so they are
            unseen only by a network that was not trained on the labels of the train pairs
            (``pairs_unseen`` are the validation people alone).
        lists: a folder with own lists; those of the package when ``None``.
        embedders: others to measure in the same run.
        conditions: names of :data:`~visagist.recognition.evaluation.conditions.CONDITIONS`.
        aligned: by the labelled meshes, or as users get it, by the largest face that is found in
            the picture as it then is; a picture without one counts as a failure to enrol.
        find: finds the faces of a picture, largest first.
        resamples: of the people, for the intervals; 0 leaves them out.
        progress: called with pictures done and in all.

    Returns:
        ``london_tar_far_1e-3``, ``pairs_tar_far_1e-2``, ``rank1`` and ``fnir_fpir_1e-2`` (over
        both sets, mean over 200 half-splits, the threshold set for each gallery), each ``None``
        where the list cannot show it; ``params``, ``megabytes``, ``n_identities``; ``sets`` with
        the full tables; ``strangers``, ``groups``, ``failures``, ``conditions``, ``embedders``
        with the same for the others, ``worst`` mated searches and ``skipped`` pictures.

    Raises:
        InputError: an unknown split or condition.
        DataError: the tree or a list cannot be read, or no picture of it can.
        ModelError: the model cannot be opened.
    """
    fixed = read_list(split, lists)
    wanted = list(dict.fromkeys(conditions))
    if unknown := [name for name in wanted if name not in CONDITIONS]:
        raise InputError(f"no condition {unknown[0]!r}; there is {', '.join(CONDITIONS)}")
    ours = model_embedder(model)
    everybody = [ours, *embedders]
    if without_uir is not None:
        everybody.append(model_embedder(without_uir, name=WITHOUT_UIR))
    if len({e.name for e in everybody}) < len(everybody):
        raise InputError("two embedders have one name; put their files into folders of other names")
    seen = see(data, fixed, everybody, conditions=wanted, aligned=aligned, progress=progress)
    groups = london_groups(data)
    reports = {e.name: _report(e, fixed, seen, groups, resamples) for e in everybody}
    main = reports.pop(ours.name)
    plain = reports.get(WITHOUT_UIR)
    main["fnir_fpir_1e-2_without_uir"] = plain and plain["fnir_fpir_1e-2"]
    return {
        "model": ours.name,
        "split": split,
        "aligned": aligned,
        "params": ours.params,
        "megabytes": ours.megabytes,
        "n_identities": len(fixed.halves),
        **main,
        "failures": seen.failures(fixed),
        "embedders": reports,
        "worst": worst(ours, fixed, seen),
        "skipped": seen.skipped,
    }


def _report(
    embedder: Embedder,
    fixed: EvaluationList,
    seen: Seen,
    groups: Mapping[str, set[str]],
    resamples: int,
) -> dict[str, Any]:
    """The fields of one embedder."""
    clean = _condition(embedder, fixed, seen, CLEAN, resamples)
    everybody = trials(embedder, fixed, seen, fixed.unions()["both"], CLEAN)
    threshold = clean["sets"]["both"][_GROUP_FAR]["threshold"]
    identities = people(fixed, fixed.unions()["both"])
    members = {name: np.array([i in who for i in identities]) for name, who in groups.items()}
    members = {name: who for name, who in members.items() if who.any()}
    harder = [name for name in seen.failed if name != CLEAN]
    return {
        **clean,
        "groups": by_group(everybody, members, threshold) if threshold is not None else {},
        "conditions": {name: _condition(embedder, fixed, seen, name, resamples) for name in harder},
    }


def _condition(
    embedder: Embedder, fixed: EvaluationList, seen: Seen, condition: str, resamples: int
) -> dict[str, Any]:
    sets: dict[str, Any] = {}
    for name, members in fixed.unions().items():
        searched = trials(embedder, fixed, seen, members, condition)
        halves = np.array([fixed.halves[i] for i in people(fixed, members)]).T
        sets[name] = {
            **verification(searched, resamples=resamples),
            "half_splits": HalfSplits.of(searched, halves).report(resamples=resamples),
        }
    strangers, both = fixed.pictures("stranger"), fixed.unions()["both"]
    enrolled = seen.rows(embedder.name, CLEAN, fixed.pictures("enrolled", both))
    against = embedder.compare(seen.rows(embedder.name, condition, strangers), enrolled)
    everybody = trials(embedder, fixed, seen, both, condition)

    def value(union: str, name: str) -> float | None:
        found: float | None = sets[union][name]["value"] if union in sets else None
        return found

    return {
        "london_tar_far_1e-3": value("london", "tar_far_1e-3"),
        "pairs_tar_far_1e-2": value("pairs", "tar_far_1e-2"),
        "rank1": value("both", "rank1"),
        "fnir_fpir_1e-2": sets["both"]["half_splits"]["fnir_fpir_1e-2"]["value"],
        "sets": sets,
        "strangers": fixed_list(
            everybody,
            against,
            [e.identity for e in strangers],
            resamples=resamples,
            # enrolled pictures are never made harder, so they search only as they are
            among_enrolled=embedder.compare(enrolled, enrolled) if condition == CLEAN else None,
        ),
    }


def london_groups(data: Path) -> dict[str, set[str]]:
    """Group -> identities, where the tree says them: London's age, gender and ethnicity.

    Raises:
        DataError: the table lacks a column.
    """
    path = data / "london" / "london_info.csv"
    groups: dict[str, set[str]] = {}
    if not path.is_file():
        return groups
    with path.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            try:
                identity, age = f"london:{row['face_id']}", row["face_age"]
                named = [f"gender {row['face_gender']}", f"ethnicity {row['face_eth']}"]
            except KeyError as error:
                raise DataError(f"{path}: column {error} is missing") from error
            named.append(f"age {_decade(age)}")
            for name in named:
                groups.setdefault(name, set()).add(identity)
    return dict(sorted(groups.items()))


def _decade(age: str) -> str:
    try:
        years = float(age)
    except ValueError:
        return "unknown"
    return "under 30" if years < 30 else "30 to 39" if years < 40 else "40 and over"
