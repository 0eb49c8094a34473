"""Makeup Transfer (BeautyGAN): faces with and without makeup, unpaired, with label maps.

Layout (``all`` may be left out)::

    ROOT/all/images/makeup/vFG112.png
    ROOT/all/images/non-makeup/vSYYZ429.png
    ROOT/all/segs/makeup/vFG112.png        label maps, one value a class
    ROOT/all/segs/non-makeup/...
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from visagist.corpus.sources.layout import Layout, Picture, missing
from visagist.corpus.sources.masks import PartsMap
from visagist.corpus.sources.source import printable
from visagist.corpus.sources.terms import Terms
from visagist.corpus.sources.walk import walk_pictures
from visagist.errors import DataError
from visagist.face.parts import Part

TERMS = Terms(
    title="MT, Makeup Transfer (BeautyGAN)",
    page="https://doi.org/10.1145/3240508.3240618",
    licence="none stated (pictures from the web)",
    commercial="ask",
    note="Published with the paper; the page that offered it is gone, and copies state no licence. "
    "Collected from the web: the rights stay with many photographers.",
    identity="None: every picture counts as its own person.",
    provenance="Whether makeup is worn, from the folder.",
)
# Values of the label maps; the two eyes, brows, ears and lips have one each.
TABLE = (
    Part.BACKGROUND,  # 0
    Part.EYES,  # 1
    Part.BROWS,  # 2
    Part.SKIN,  # 3 ear
    Part.SKIN,  # 4 face
    Part.SKIN,  # 5 ear
    Part.EYES,  # 6
    Part.BROWS,  # 7
    Part.SKIN,  # 8 nose
    Part.LIPS,  # 9 upper
    Part.SKIN,  # 10 neck
    Part.MOUTH,  # 11
    Part.HAIR,  # 12
    Part.LIPS,  # 13 lower
)
_MAKEUP = {"makeup": True, "non-makeup": False}


def recognise(root: Path, names: Sequence[str]) -> str:
    """The two folders of pictures."""
    base = _base(root)
    found = all((base / "images" / name).is_dir() for name in _MAKEUP)
    return "images/makeup and images/non-makeup" if found else ""


def read(root: Path, folders: Sequence[str] = ()) -> Iterator[Picture]:
    """Every picture with whether makeup is worn, and its label map.

    Raises:
        DataError: neither folder of pictures is there.
    """
    base = _base(root)
    prefix = "all/" if base != root else ""
    chosen = list(folders) or [
        f"{prefix}images/{name}" for name in _MAKEUP if (base / "images" / name).is_dir()
    ]
    if not chosen:
        raise DataError(f"{printable(str(root))}: no folder images/makeup or images/non-makeup")
    if not (base / "segs").is_dir():
        yield missing("segs", "segs is missing: the pictures come without label maps")
    for picture in walk_pictures(root, chosen):
        above = picture.name.split("/")[:-1]
        worn = _MAKEUP.get(above[-1]) if above else None
        if worn is None:
            yield picture
            continue
        segs = base / "segs" / above[-1] / f"{Path(picture.path).stem}.png"
        given = PartsMap(str(segs), TABLE) if segs.is_file() else None
        yield replace(picture, facts={"makeup": worn}, given=given)


def _base(root: Path) -> Path:
    return root / "all" if (root / "all" / "images").is_dir() else root


LAYOUT = Layout("mt", TERMS, recognise, read)
