"""IJB-B and IJB-C: lists of templates, which are people as several stills and videos show them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visagist.errors import DataError
from visagist.recognition import rates
from visagist.recognition.evaluation.layouts import read_lines

__all__ = [
    "IdentificationTemplates",
    "VerificationTemplates",
    "fuse",
    "identify",
    "read_ijb_identification",
    "read_ijb_verification",
    "verify",
]


@dataclass(frozen=True, slots=True)
class VerificationTemplates:
    """IJB 1:1: templates of several pictures, compared in pairs.

    Attributes:
        files: (n,) picture of each row.
        templates: (n,) template of each row; a picture may be in several.
        media: (n,) the still or the video that a row is from.
        pairs: (m, 2) templates that are compared.
        same: (m,) whether they show one person.
    """

    files: tuple[str, ...]
    templates: NDArray[np.int64]
    media: NDArray[np.int64]
    pairs: NDArray[np.int64]
    same: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class IdentificationTemplates:
    """IJB 1:N: two galleries with different people, and probes that search each.

    Attributes:
        galleries: for each gallery, template -> subject.
        probes: template -> subject; mated in one gallery, a stranger to the other.
    """

    galleries: tuple[dict[int, int], ...]
    probes: dict[int, int]


def read_ijb_verification(meta: Path, name: str) -> VerificationTemplates:
    """IJB 1:1 lists: ``NAME_face_tid_mid.txt`` and ``NAME_template_pair_label.txt``.

    Args:
        meta: folder of the lists.
        name: ijbb or ijbc.

    Raises:
        DataError: a list cannot be read, a line is wrong, or a pair names an unknown template.
    """
    path = meta / f"{name}_face_tid_mid.txt"
    rows = [line.rsplit(maxsplit=2) for line in read_lines(path)]
    if not rows or any(len(row) != 3 for row in rows):
        raise DataError(f"{path}: a line is not `picture template medium`")
    where = meta / f"{name}_template_pair_label.txt"
    numbers = _numbers(where, 3)
    templates = _integers(path, [row[1] for row in rows])
    if not np.isin(numbers[:, :2], templates).all():
        raise DataError(f"{where}: a pair names a template that {path.name} lacks")
    return VerificationTemplates(
        tuple(row[0] for row in rows),
        templates,
        _integers(path, [row[2] for row in rows]),
        numbers[:, :2],
        numbers[:, 2] != 0,
    )


def read_ijb_identification(meta: Path, name: str) -> IdentificationTemplates:
    """IJB 1:N lists: two ``NAME_1N_gallery_*.csv`` and ``NAME_1N_probe_mixed.csv``.

    IJB-B calls its galleries S1 and S2, IJB-C G1 and G2. The columns TEMPLATE_ID and SUBJECT_ID are
    read.

    Raises:
        DataError: a list is missing or a column is.
    """
    galleries = sorted(meta.glob(f"{name}_1N_gallery_*.csv"))
    if len(galleries) != 2:
        raise DataError(f"{meta}: {len(galleries)} galleries {name}_1N_gallery_*.csv instead of 2")
    return IdentificationTemplates(
        tuple(_subjects(path) for path in galleries),
        _subjects(meta / f"{name}_1N_probe_mixed.csv"),
    )


def fuse(
    vectors: NDArray[np.floating], templates: NDArray[np.int64], media: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """One vector a template: first the mean of each medium, then the mean of the media.

    A video would otherwise outvote the stills (IJB-C protocol).

    Args:
        vectors: (n, d) of unit length.
        templates: (n,) template of each row.
        media: (n,) medium of each row.

    Returns:
        (k, d) vectors of unit length and (k,) their templates, rising.
    """
    rows = np.asarray(vectors, np.float64)
    names = np.unique(templates)
    fused = np.empty((len(names), rows.shape[1]))
    for i, name in enumerate(names):
        inside = templates == name
        parts = [rows[inside & (media == m)].mean(0) for m in np.unique(media[inside])]
        fused[i] = np.mean(parts, axis=0)
    length = np.linalg.norm(fused, axis=1, keepdims=True)
    return fused / np.maximum(length, 1e-12), names


def verify(
    fused: NDArray[np.float64], names: NDArray[np.int64], lists: VerificationTemplates
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Cosines of the 1:1 pairs, and whether each shows one person; for the rates of ``rates``.

    Args:
        fused: (k, d) unit vectors of :func:`fuse`.
        names: (k,) their templates, rising.
        lists: who is compared.
    """
    rows = np.searchsorted(names, lists.pairs)
    return np.einsum("nd,nd->n", fused[rows[:, 0]], fused[rows[:, 1]]), lists.same


def identify(
    fused: NDArray[np.float64], names: NDArray[np.int64], lists: IdentificationTemplates
) -> list[tuple[NDArray[np.float64], NDArray[np.float64], float]]:
    """What the probes find in each gallery.

    Args:
        fused: (k, d) unit vectors of :func:`fuse`.
        names: (k,) their templates, rising.
        lists: galleries and probes.

    Returns:
        For each gallery the mated searches' scores of the right subject, the best scores of the
        non-mated searches (both for :func:`~visagist.recognition.rates.fnir_at_fpir`), and rank-1.

    Raises:
        InputError: no probe has a mate in a gallery.
    """
    probes = np.array(list(lists.probes))
    subjects = np.array(list(lists.probes.values()))
    results = []
    for gallery in lists.galleries:
        enrolled, who = np.array(list(gallery)), np.array(list(gallery.values()))
        scores = fused[np.searchsorted(names, probes)] @ fused[np.searchsorted(names, enrolled)].T
        mate, other, mated = rates.search(scores, subjects, who)
        results.append((mate[mated], other[~mated], rates.rank1(scores, subjects, who)))
    return results


def _subjects(path: Path) -> dict[int, int]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = csv.DictReader(stream)
            return {int(row["TEMPLATE_ID"]): int(row["SUBJECT_ID"]) for row in rows}
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: wants columns TEMPLATE_ID and SUBJECT_ID ({error})") from error


def _numbers(path: Path, columns: int) -> NDArray[np.int64]:
    rows = [line.split() for line in read_lines(path)]
    if not rows or any(len(row) != columns for row in rows):
        raise DataError(f"{path}: a line does not have {columns} numbers")
    return _integers(path, [word for row in rows for word in row]).reshape(-1, columns)


def _integers(path: Path, words: list[str]) -> NDArray[np.int64]:
    try:
        return np.array([int(word) for word in words], np.int64)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
