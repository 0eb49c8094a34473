"""ImageNet (ILSVRC 2012): class folders of pictures, some of which show people.

Layouts::

    ROOT/train/n01440764/n01440764_10026.JPEG
    ROOT/val/n01440764/ILSVRC2012_val_00000293.JPEG      or val/ILSVRC2012_val_00000293.JPEG
    ROOT/n01440764/...                                   class folders alone
    ROOT/ILSVRC/Data/CLS-LOC/train/...                   as the Kaggle archive unpacks

The class goes into the facts of a picture; nothing is known about who is pictured. Pictures of
``val`` stay in the validation split and those of ``test`` in the test split.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from visagist.corpus.sources.layout import Layout, Picture
from visagist.corpus.sources.terms import Terms
from visagist.corpus.sources.walk import sorted_names, walk_pictures

TERMS = Terms(
    title="ImageNet, ILSVRC 2012",
    page="https://www.image-net.org/download.php",
    licence="ImageNet terms of access (non-commercial research and education)",
    commercial="no",
    note="Non-commercial research and educational purposes only; ImageNet does not own the "
    "pictures. The edition with blurred faces teaches nothing about faces.",
    identity="None: every picture counts as its own person.",
    provenance="The class (WordNet number) from the folder.",
)
_CLASS = re.compile(r"n\d{8}")
_VALIDATION = re.compile(r"ILSVRC2012_(?:val|test)_\d{8}\.JPEG", re.IGNORECASE)
_PARTS = {"train": "train", "val": "validation", "test": "test"}
_FEW = 20


def recognise(root: Path, names: Sequence[str]) -> str:
    """Class folders, or the names of validation pictures."""
    for part in ("", "train", "val", "test", "ILSVRC/Data/CLS-LOC/train"):
        for name in (sorted_names(root / part) if part else names)[:_FEW]:
            if _CLASS.fullmatch(name) or _VALIDATION.fullmatch(name):
                return f"{part}/{name}".lstrip("/")
    return ""


def read(root: Path, folders: Sequence[str] = ()) -> Iterator[Picture]:
    """Every picture with its class and its part."""
    for picture in walk_pictures(root, folders):
        above = picture.name.split("/")[:-1]
        classes = [name for name in above if _CLASS.fullmatch(name)]
        split = next((_PARTS[name] for name in above if name in _PARTS), "")
        facts = {"class": classes[-1]} if classes else {}
        yield replace(picture, split=split, facts=facts)


LAYOUT = Layout("imagenet", TERMS, recognise, read)
