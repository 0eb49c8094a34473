"""The worst mated searches: as a list in the report, and drawn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.labelled import read_faces
from visagist.errors import InputError
from visagist.face.align import align, crop
from visagist.photo import Photo
from visagist.photo.sheet import grid
from visagist.recognition.crop import recognition_crop
from visagist.recognition.evaluation.embedders import Embedder
from visagist.recognition.evaluation.lists import EvaluationList
from visagist.recognition.evaluation.pictures import CLEAN, Seen, trials

_WORST = 20


def worst(embedder: Embedder, fixed: EvaluationList, seen: Seen) -> list[dict[str, Any]]:
    """The mated searches whose person is the least ahead of everybody else, worst first."""
    members = fixed.unions()["both"]
    searched = trials(embedder, fixed, seen, members, CLEAN)
    enrolled, mates = fixed.pictures("enrolled", members), fixed.pictures("mate", members)
    right = np.where(searched.same, searched.scores, -np.inf)
    wrong = np.where(searched.same, -np.inf, searched.scores)
    usable = np.isfinite(right.max(1)) & np.isfinite(wrong.max(1))
    ahead = np.where(usable, right.max(1) - np.where(usable, wrong.max(1), 0), np.inf)
    return [
        {
            "file": mates[i].file,
            "enrolled": enrolled[int(right[i].argmax())].file,
            "score": round(float(right[i].max()), 4),
            "nearest_other": enrolled[int(wrong[i].argmax())].file,
            "nearest_score": round(float(wrong[i].max()), 4),
        }
        for i in np.argsort(ahead, kind="stable")[:_WORST]
        if usable[i]
    ]


def worst_sheet(data: Path, report: Mapping[str, Any]) -> NDArray[np.uint8]:
    """The worst searches of a report as rows of search, own enrolled picture, nearest other.

    Args:
        data: the tree the report was made on.
        report: from :func:`~visagist.recognition.evaluation.protocol.evaluate`.

    Returns:
        (H, W, 3) sheet. It shows the people of the tree: mind their consent.

    Raises:
        InputError: the report has no case.
    """
    cases = report["worst"]
    if not cases:
        raise InputError("no search could be made, so there is no worst one to draw")
    names = [case[key] for case in cases for key in ("file", "enrolled", "nearest_other")]
    folders = sorted({name.split("/")[0] for name in names})
    faces = {f.name: f for f in read_faces(data, folders=folders)}
    views = [
        crop(Photo.open(faces[name].path).pixels, recognition_crop(align(faces[name].mesh)))
        for name in names
    ]
    captions = [
        text
        for case in cases
        for text in ("search", f"own {case['score']:.3f}", f"other {case['nearest_score']:.3f}")
    ]
    return grid(views, captions, columns=6, cell=224)
