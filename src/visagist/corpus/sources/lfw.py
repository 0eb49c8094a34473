"""Labeled Faces in the Wild: ``lfw/First_Last/First_Last_0001.jpg``.

The aligned editions ``lfw_funneled``, ``lfw-deepfunneled`` and ``lfw-a`` have the same layout, and
archives of them differ in how many folders lie above the people. With the published list
``pairs.txt`` (View 2) beside or above them, the people of its pairs stay in the test split, so that
the published protocol can be run on what was trained.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from visagist.corpus.sources.layout import Layout, Picture, missing
from visagist.corpus.sources.source import printable
from visagist.corpus.sources.tables import read_text
from visagist.corpus.sources.terms import Terms
from visagist.corpus.sources.walk import sorted_names, walk_pictures
from visagist.errors import DataError

TERMS = Terms(
    title="LFW, Labeled Faces in the Wild",
    page="https://vis-www.cs.umass.edu/lfw/",
    licence="none stated (news photographs)",
    commercial="ask",
    note="No licence is stated; the pictures are news photographs of public figures from the web. "
    "Published as a benchmark of verification; its authors ask not to conclude from it that "
    "something is fit for a commercial purpose.",
    identity="The folder: the person's name, unique in the set.",
    provenance="None a picture.",
)
_PICTURE = re.compile(r"(.+)_\d{4}\.(?:jpg|png)", re.IGNORECASE)
_FEW = 5
_PAIR_WORDS = {3: (0,), 4: (0, 2)}  # NAME a b: two of one person; NAME a OTHER b: two people


def recognise(root: Path, names: Sequence[str]) -> str:
    """Folders of people whose pictures repeat the person's name."""
    inner = [name for name in names if name.lower().startswith("lfw")][:_FEW]
    for base, people in [(root, names), *((root / n, sorted_names(root / n)) for n in inner)]:
        for person in people[:_FEW]:
            match = next(map(_PICTURE.fullmatch, sorted_names(base / person)), None)
            if match and match[1] == person:
                return f"{person}/{match[0]}"
    return ""


def read(root: Path, folders: Sequence[str] = ()) -> Iterator[Picture]:
    """Every picture; files that do not carry the name of their folder are left out and reported.

    Raises:
        DataError: ``pairs.txt`` has a broken line.
    """
    pairs = next((p for p in (root / "pairs.txt", root / "../pairs.txt") if p.is_file()), None)
    tested = _people_of(pairs) if pairs else frozenset[str]()
    if pairs is None:
        yield missing("pairs.txt", "pairs.txt is missing: nobody is kept for the published test")
    for picture in walk_pictures(root, folders):
        *above, name = picture.name.split("/")
        match = _PICTURE.fullmatch(name)
        if picture.problem is not None:
            yield picture
        elif not above or match is None or match[1] != above[-1]:
            where = f"{picture.name} is not named after its folder"
            yield replace(picture, problem=("no_identity", where))
        else:
            split = "test" if above[-1] in tested else ""
            yield replace(picture, identity=above[-1], split=split)


def _people_of(path: Path) -> frozenset[str]:
    people: set[str] = set()
    lines = read_text(path, without="nobody is kept for the published test").split("\n")
    for number, line in enumerate(lines[1:], 2):  # the first line counts folds and pairs
        words = line.split()
        if words and len(words) not in _PAIR_WORDS:
            raise DataError(f"{printable(str(path))}, line {number}: not a pair")
        people.update(words[i] for i in _PAIR_WORDS.get(len(words), ()))
    return frozenset(people)


LAYOUT = Layout("lfw", TERMS, recognise, read, people="lfw")
