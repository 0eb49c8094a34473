"""What all rows of the experiment share: people, styles, the five pairs and the truth.

The retoucher plays the app and draws on the labelled meshes of the corpus. Everything that an
amplifier is given (pairs and faces to be made up) comes with the mesh that our own network finds,
so that nobody profits from sharing the landmarks of the truth.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from visagist.amplify.backend import DEFAULT, CropFace, Look
from visagist.amplify.pixels.examples import Sitters, sitters
from visagist.corpus.corpus import Corpus
from visagist.corpus.feed.cache import FaceCache, cached_faces
from visagist.corpus.feed.selection import FeedConfig
from visagist.corpus.index import Record
from visagist.errors import InputError
from visagist.face.align import CROP_SIZE
from visagist.makeup.data import render_targets
from visagist.makeup.style import Style, load_style

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Report = Callable[[str, int, int], None]

ZOOM, SIDE = 1.125, 288
"""Of targets: the canonical crop with the room that a training's misplacements need."""
MARGIN = (SIDE - CROP_SIZE) // 2
_WIDE = 384
"""Side of the crops that our mesh network looks at, at the same scale."""
_LOGGED = 24
"""Validation people of a training's log."""


class DalConfig(BaseModel):
    """Everything that decides a row of the experiment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    split: Literal["validation", "test"] = Field("validation", description="who is judged")
    pairs: int = Field(5, ge=1, le=200, description="before/after pairs of each style")
    draw: int = Field(0, ge=0, description="which draw of the people of the pairs")
    people: int | None = Field(
        None, ge=2, description="training people, evenly spread; all by default"
    )
    faces: int | None = Field(
        None, ge=1, description="amplified faces; every training person once by default"
    )
    limit: int | None = Field(
        None, ge=1, description="judged people, evenly spread; all by default"
    )
    steps: int = Field(1000, ge=1, description="of every student")
    start: Literal["known", "scratch"] = Field(
        "known",
        description="what students start from: the trunk of the bundled network, which has learned "
        "makeup from other styles, as `learn` does it; or random weights, as in the paper",
    )
    seed: int = Field(0, ge=0, description="of trainings and of what backends draw at random")
    backend: str = Field(DEFAULT, description="the amplifier of the DAL rows")


@dataclass(frozen=True)
class People:
    """Faces of one split.

    Attributes:
        faces: crops of 288 pixels with labelled meshes.
        sitters: canonical crops with both meshes.
        truth: (N, 1 + styles, 288, 288, 3) bare and as the retoucher draws it.
        names: of the pictures.
        persons: who is in them.
    """

    faces: FaceCache
    sitters: Sitters
    truth: Bytes
    names: tuple[str, ...]
    persons: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.faces)

    def crop_face(self, i: int) -> CropFace:
        """A face with the mesh that our network finds."""
        return CropFace(self.faces.keys[i], self.sitters.crops[i], self.sitters.found[i])

    def change(self, i: int) -> NDArray[np.int16]:
        """(styles, 256, 256, 3) what the retoucher changes in the canonical crop, in levels."""
        inner = self.truth[i, :, MARGIN:-MARGIN, MARGIN:-MARGIN].astype(np.int16)
        return np.asarray(inner[1:] - inner[:1])


@dataclass(frozen=True)
class Bench:
    """The experiment's people and styles.

    Attributes:
        config: the settings.
        styles: that nobody was trained with.
        train: people to learn from.
        judged: people of the judged split.
        logged: a few validation people for the logs of trainings.
        seeds: numbers of the training people whose pairs are given away.
        folder: for everything that rows leave.
    """

    config: DalConfig
    styles: tuple[Style, ...]
    train: People
    judged: People
    logged: People
    seeds: tuple[int, ...]
    folder: Path

    def looks(self, style: int) -> list[Look]:
        """The pairs of a style, with the meshes that our network finds."""
        whole = np.ones((CROP_SIZE, CROP_SIZE), np.float32)
        return [
            Look(
                self.train.faces.keys[i],
                self.train.sitters.crops[i],
                np.asarray(self.train.sitters.crops[i] + self.train.change(i)[style], np.uint8),
                self.train.sitters.found[i],
                whole,
            )
            for i in self.seeds
        ]

    def amplified(self) -> Iterator[tuple[int, int]]:
        """Number of a training person and seed, for each amplified face; never a seed's person."""
        given = {self.train.persons[i] for i in self.seeds}
        others = [i for i, person in enumerate(self.train.persons) if person not in given]
        order = np.random.default_rng(self.config.seed).permutation(others)
        count = self.config.faces or len(order)
        for i in range(count):
            yield int(order[i % len(order)]), i // len(order)


def open_bench(
    corpus: Path,
    styles: Sequence[Path],
    folder: Path,
    config: DalConfig,
    *,
    workers: int = 1,
    report: Report = lambda what, done, total: None,
) -> Bench:
    """Decode faces, find meshes and draw the truth; what is there already is used again.

    Args:
        corpus: folder of a corpus whose meshes are labels from another network than ours.
        styles: YAML files of styles that no network of ours was trained with.
        folder: for all of it.
        config: the settings.
        workers: processes and threads.
        report: called with what is done, how much of it, and in all.

    Raises:
        InputError: there is no style, or fewer training people than pairs.
        DataError: the corpus cannot be used.
    """
    if not styles:
        raise InputError("the experiment needs at least one style file")
    drawn = tuple(load_style(path) for path in styles)
    source = Corpus.open(corpus)
    records = {record.key: record for record in source.records}
    feed = FeedConfig(
        use="makeup",
        kinds=("photo", "generated"),
        grey=False,
        without_generators=("FLUX1_dev", "FLUX1_pro", "DALLE3"),
        size=_WIDE,
        zoom=ZOOM * _WIDE / SIDE,
    )
    splits = tuple(dict.fromkeys(("train", "validation", config.split)))
    wide = cached_faces(
        source,
        feed,
        folder / "cache",
        splits=splits,
        workers=max(1, workers),
        progress=partial(report, "decode"),
    )
    people = partial(
        _people,
        wide=wide,
        records=records,
        styles=drawn,
        folder=folder,
        workers=workers,
        report=report,
    )
    train = people("train", limit=config.people)
    if len(train) < config.pairs + 1:
        raise InputError(f"{corpus}: {len(train)} training people are too few")
    return Bench(
        config,
        drawn,
        train,
        people(config.split, limit=config.limit),
        people("validation", limit=_LOGGED),
        _drawn_seeds(train, records, config),
        folder,
    )


def _people(
    split: str,
    *,
    wide: FaceCache,
    records: dict[str, Record],
    styles: Sequence[Style],
    folder: Path,
    limit: int | None = None,
    workers: int,
    report: Report,
) -> People:
    faces = wide.subset(split)
    if limit is not None and limit < len(faces):
        faces = _some(faces, np.linspace(0, len(faces) - 1, limit).astype(int))
    name = split if limit is None else f"{split}-{limit}"
    found = _found(faces, folder / f"found-{name}.npz", partial(report, f"meshes ({name})"))
    edge = (_WIDE - SIDE) // 2
    narrow = replace(
        faces,
        crops=faces.crops[:, edge:-edge, edge:-edge],
        meshes=np.asarray(faces.meshes - np.array([edge, edge, 0], np.float32)),
        zoom=ZOOM,
    )
    count = len(faces)
    truth = render_targets(
        narrow,
        styles,
        folder / f"truth-{name}.npy",
        workers=max(1, workers),
        progress=lambda done: report(f"make up ({name})", done, count),
    )
    origins = [records[key].origin for key in faces.keys]
    names, persons = zip(*((o.item, o.person) for o in origins), strict=True)
    return People(narrow, found, truth, names, persons)


def _some(faces: FaceCache, which: NDArray[np.int64]) -> FaceCache:
    return replace(
        faces,
        crops=faces.crops[which],
        meshes=faces.meshes[which],
        keys=tuple(faces.keys[i] for i in which),
        splits=tuple(faces.splits[i] for i in which),
    )


def _found(faces: FaceCache, path: Path, report: Callable[[int, int], None]) -> Sitters:
    """The meshes that our network finds, kept because they take a while."""
    key = hashlib.sha256("\n".join(faces.keys).encode() + faces.meshes.tobytes()).hexdigest()
    if path.is_file():
        with np.load(path, allow_pickle=False) as stored:
            if str(stored["key"]) == key:
                return Sitters(stored["crops"], stored["labelled"], stored["found"])
    made = sitters(faces, report)
    temporary = path.with_name(f".{path.name}.part.npz")
    np.savez(
        temporary,
        key=np.array(key),
        crops=made.crops,
        labelled=made.labelled,
        found=made.found,
    )
    temporary.replace(path)
    return made


def _drawn_seeds(train: People, records: dict[str, Record], config: DalConfig) -> tuple[int, ...]:
    """People for the pairs: well visible, and one from each part of the range of skin tones."""
    fit = []
    for i, key in enumerate(train.faces.keys):
        q = records[key].quality
        if abs(q.yaw) <= 25 and q.occluded <= 0.2 and q.face_width >= 100:
            fit.append((q.tone, i))
    if len(fit) < config.pairs:
        fit = [(records[key].quality.tone, i) for i, key in enumerate(train.faces.keys)]
    rng = np.random.default_rng((config.draw, config.pairs))
    parts = np.array_split(np.array([i for _, i in sorted(fit)]), config.pairs)
    return tuple(int(rng.choice(part)) for part in parts)


METHOD = 2
"""Part of every key: one higher when amplifiers, rivals or judges compute something else."""


def settings_key(bench: Bench, *more: object) -> str:
    """Digest of what decides an intermediate result, for folders and for going on with it."""
    about = [
        METHOD,
        [style.model_dump_json() for style in bench.styles],
        bench.config.model_dump(include={"pairs", "draw", "seed", "people"}),
        list(bench.seeds),
        *more,
    ]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]
