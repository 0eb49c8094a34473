"""A folder for each person, as VGGFace2 and most sets for recognition are laid out.

Layouts::

    ROOT/PERSON/NAME.jpg
    ROOT/train/n000002/0001_01.jpg      VGGFace2: parts train and test (or val)
    ROOT/test/n000001/0001_01.jpg
    ROOT/identity_meta.csv              VGGFace2: not needed; it holds the names of the people

A person's folder may have folders of its own. The people of a part called test stay in the test
split; those of ``train`` are split by their identity, since the set publishes no validation part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from visagist.corpus.sources.layout import Layout, Picture
from visagist.corpus.sources.terms import Terms
from visagist.corpus.sources.walk import sorted_names, subfolders, walk_pictures

TERMS = Terms(
    title="A folder for each person (VGGFace2 and the like)",
    page="",
    licence="",
    commercial="ask",
    note="Whatever the set says. VGGFace2 was published for research, its copies state CC BY-NC "
    "4.0, and its pictures come from an image search: the rights stay with many photographers.",
    identity="The name of the folder.",
    provenance="The path of the file.",
)
_PARTS = {"train": "", "test": "test", "val": "validation", "validation": "validation"}
_VGG = re.compile(r"n\d{6}")
_FEW = 20


def recognise(root: Path, names: Sequence[str]) -> str:
    """VGGFace2's folder names or its table; other folders may be albums."""
    if "identity_meta.csv" in names:
        return "identity_meta.csv"
    for part in ("", "train", "test"):
        few = (sorted_names(root / part) if part else names)[:_FEW]
        found = next((name for name in few if _VGG.fullmatch(name)), None)
        if found:
            return f"folder {part}/{found}".replace(" /", " ")
    return ""


def read(root: Path, folders: Sequence[str] = ()) -> Iterator[Picture]:
    """Pictures of every person; those outside of a person's folder are left out and reported."""
    for start in subfolders(root, folders):
        for picture in walk_pictures(root, [start] if start else []):
            *above, _ = picture.name.split("/")
            part = above[0] if above and above[0] in _PARTS else ""
            people = above[1:] if part else above
            if not people and picture.problem is None:
                where = f"{picture.name} lies in no person's folder"
                yield replace(picture, problem=("no_identity", where))
            else:
                yield replace(
                    picture, identity=people[0] if people else "", split=_PARTS.get(part, "")
                )


LAYOUT = Layout("identities", TERMS, recognise, read)
