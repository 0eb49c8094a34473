"""Flickr-Faces-HQ: ``images1024x1024/00000/00000.png`` with ``ffhq-dataset-v2.json`` beside it.

The JSON gives each picture's licence, author and part; without it all pictures count under the
set's own licence, which costs one line of the report. Where both sizes are there, the large
pictures are read; ``folders: [thumbnails128x128]`` asks for the small ones, and
``in-the-wild-images`` for the photos before cropping. Pictures that the set appoints for validation
stay in that split; those for training are split by hash, since the set has no test part.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from visagist.corpus.sample import USES
from visagist.corpus.sources.layout import Layout, Picture, missing
from visagist.corpus.sources.source import printable
from visagist.corpus.sources.tables import read_text
from visagist.corpus.sources.terms import Terms
from visagist.corpus.sources.walk import walk_pictures
from visagist.errors import DataError

METADATA = "ffhq-dataset-v2.json"
SIZES = ("images1024x1024", "thumbnails128x128", "in-the-wild-images")
TERMS = Terms(
    title="FFHQ, Flickr-Faces-HQ",
    page="https://github.com/NVlabs/ffhq-dataset",
    licence="CC BY-NC-SA 4.0 (the set); each picture has its own",
    commercial="no",
    note="The set with its metadata is CC BY-NC-SA 4.0; the pictures are CC BY 2.0, CC BY-NC 2.0, "
    "Public Domain Mark, CC0 or US government works, and some ask for credit to the author. The "
    "page says that the set should not be used for facial recognition.",
    identity="None: every picture counts as its own person.",
    provenance="Licence, author, Flickr address and part of each picture, from the JSON.",
    uses=tuple(use for use in USES if use != "recognition"),
)
_LICENCES = {
    "Attribution License": "CC-BY-2.0",
    "Attribution-NonCommercial License": "CC-BY-NC-2.0",
    "Public Domain Mark": "Public Domain Mark 1.0",
    "Public Domain Dedication (CC0)": "CC0-1.0",
    "United States Government Work": "US government work",
}
_SPLITS = {"training": "", "validation": "validation"}


def recognise(root: Path, names: Sequence[str]) -> str:
    """One of the set's folders, or its JSON."""
    return next((name for name in (*SIZES, METADATA) if name in names), "")


def read(root: Path, folders: Sequence[str] = ()) -> Iterator[Picture]:
    """Every picture of the largest size there is.

    Raises:
        DataError: none of the set's folders is there, or the JSON is broken.
    """
    chosen = folders or [next((size for size in SIZES if (root / size).is_dir()), "")]
    if chosen == [""]:
        raise DataError(f"{printable(str(root))}: no folder {' or '.join(SIZES)}")
    known = _metadata(root / METADATA)
    if known is None:
        yield missing(METADATA, f"{METADATA} is missing: licence, author and part are not known")
    for picture in walk_pictures(root, chosen):
        entry = (known or {}).get(Path(picture.name).stem)
        yield (
            picture
            if entry is None
            else replace(picture, licence=entry[0], split=entry[1], facts=entry[2])
        )


def _metadata(path: Path) -> Mapping[str, tuple[str, str, dict[str, object]]] | None:
    """Licence, split and facts by the five digits of a picture; None without the file."""
    if not path.is_file():
        return None
    try:
        text = read_text(path, without="licences are not known")
        document = json.loads(text, object_hook=_without_landmarks)
        return {
            f"{int(number):05d}": _entry(fields["category"], fields["metadata"])
            for number, fields in document.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{printable(str(path))} is not the set's metadata ({type(error).__name__}: {error}); "
            "without it licences are not known: copy it again or move it away"
        ) from error


def _without_landmarks(fields: dict[str, object]) -> dict[str, object]:
    """Drop what the set says about its files while it is parsed: most of 255 MB, and unused."""
    return {} if "file_path" in fields else fields


def _entry(category: str, about: Mapping[str, str]) -> tuple[str, str, dict[str, object]]:
    name = about.get("license", "")
    facts = {key: about[key] for key in ("author", "photo_url") if about.get(key)}
    return _LICENCES.get(name, name), _SPLITS.get(category, ""), dict(facts)


LAYOUT = Layout("ffhq", TERMS, recognise, read)
