"""CelebA-HQ as CelebAMask-HQ publishes it: pictures, label maps and the way back to CelebA.

Layout::

    ROOT/CelebA-HQ-img/0.jpg .. 29999.jpg
    ROOT/CelebA-HQ-to-CelebA-mapping.txt          idx orig_idx orig_file
    ROOT/CelebAMask-HQ-mask-anno/0/00000_skin.png one file a class, 2000 pictures a folder, 512x512
    ROOT/identity_CelebA.txt                      CelebA's list, given out by its authors

People and published parts are CelebA's, so both sets together still keep a person in one split.
Its glasses cover clear lenses too, where this project's glasses are frames and tinted lenses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from visagist.corpus.sources import celeba
from visagist.corpus.sources.layout import Layout, Picture, missing
from visagist.corpus.sources.masks import PartsLayers
from visagist.corpus.sources.source import printable
from visagist.corpus.sources.tables import read_words
from visagist.corpus.sources.terms import Terms
from visagist.corpus.sources.walk import walk_pictures
from visagist.errors import DataError
from visagist.face.parts import Part

PICTURES, MAPPING = "CelebA-HQ-img", "CelebA-HQ-to-CelebA-mapping.txt"
MASKS = "CelebAMask-HQ-mask-anno"
TERMS = Terms(
    title="CelebA-HQ with CelebAMask-HQ",
    page="https://github.com/switchablenorms/CelebAMask-HQ",
    licence="CelebAMask-HQ agreement (non-commercial research)",
    commercial="no",
    note="Non-commercial research only; neither pictures nor anything derived from them may be "
    "sold or exploited, and no part may be passed on.",
    identity="CelebA's numbers through the mapping; CelebA's list is given out on request.",
    provenance="Number of the picture in CelebA.",
)
# Order of painting of the authors' own script: what comes later lies in front.
LAYERS = (
    ("skin", Part.SKIN),
    ("nose", Part.SKIN),
    ("eye_g", Part.GLASSES),
    ("l_eye", Part.EYES),
    ("r_eye", Part.EYES),
    ("l_brow", Part.BROWS),
    ("r_brow", Part.BROWS),
    ("l_ear", Part.SKIN),
    ("r_ear", Part.SKIN),
    ("mouth", Part.MOUTH),
    ("u_lip", Part.LIPS),
    ("l_lip", Part.LIPS),
    ("hair", Part.HAIR),
    ("hat", Part.OCCLUDER),
    ("ear_r", Part.OCCLUDER),
    ("neck_l", Part.CLOTHES),
    ("neck", Part.SKIN),
    ("cloth", Part.CLOTHES),
)
_PER_FOLDER = 2000


def recognise(root: Path, names: Sequence[str]) -> str:
    """The set's folder of pictures, or its mapping."""
    return next((name for name in (PICTURES, MAPPING) if name in names), "")


def read(root: Path, folders: Sequence[str] = ()) -> Iterator[Picture]:
    """Every picture with its person, its part and its label map.

    Raises:
        DataError: pictures, mapping or identities are missing, or a list has a broken line.
    """
    chosen = folders or [PICTURES]
    if not folders and not (root / PICTURES).is_dir():
        raise DataError(f"{printable(str(root))}: no folder {PICTURES}")
    originals = _read_mapping(root / MAPPING)
    people, splits = celeba.read_identities(root), celeba.read_partition(root)
    if not (root / MASKS).is_dir():
        yield missing(MASKS, f"{MASKS} is missing: the pictures come without label maps")
    for picture in walk_pictures(root, chosen):
        original = originals.get(_number(picture.name), "")
        if picture.problem is None and original not in people:
            where = f"{picture.name} is in no row of {MAPPING} and {celeba.IDENTITIES}"
            yield replace(picture, problem=("no_identity", where))
            continue
        yield replace(
            picture,
            identity=people.get(original, ""),
            split=celeba.split_of(original, splits),
            given=_masks(root, _number(picture.name)),
            facts={"celeba": original},
        )


def _number(name: str) -> str:
    stem = Path(name).stem
    return str(int(stem)) if stem.isdecimal() else stem


def _read_mapping(path: Path) -> Mapping[str, str]:
    """File name in CelebA by number in CelebA-HQ."""
    rows = read_words(
        path, columns=3, header="idx", without="nobody is known; it comes with the set's archive"
    )
    return {_number(words[0]): words[2] for _, words in rows}


def _masks(root: Path, number: str) -> PartsLayers | None:
    if not number.isdecimal():
        return None
    folder = root / MASKS / str(int(number) // _PER_FOLDER)
    stem = folder / f"{int(number):05d}"
    return PartsLayers(str(stem), LAYERS) if Path(f"{stem}_skin.png").is_file() else None


LAYOUT = Layout("celeba-hq", TERMS, recognise, read, people="celeba")
