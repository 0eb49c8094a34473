"""The pictures that triplets are made of, and the people in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from visagist.corpus.blends.parents import is_grey, person, wear
from visagist.corpus.corpus import Corpus
from visagist.corpus.feed.cache import crop_mesh, cut_crop
from visagist.corpus.feed.selection import FeedConfig, enlargement
from visagist.corpus.index import Record
from visagist.corpus.sample import Origin
from visagist.errors import DataError
from visagist.face.align import Alignment
from visagist.face.parser.classes import HAIR, OCCLUDER, SKIN
from visagist.face.parser.inference import default_parser
from visagist.face.regions import outline
from visagist.face.topology import FACE_OVAL
from visagist.swap.shape import eye_opening
from visagist.swap.triplets.config import PeopleConfig

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]

FIELD = 1.25
"""Field of view that is worked on, in canonical crops: edits may move what lies at the border."""

_LOOKS = 4  # faces that are examined before a search for a partner is given up
_TRIES = 50  # draws until a person with colours comes; where all are grey, a grey one does


@dataclass(frozen=True)
class Face:
    """A picture of somebody, wider than the triplet's own crop.

    Attributes:
        image: (W, W, 3) uint8, ``FIELD`` canonical crops wide.
        mesh: (478, 3) float32 in its pixels.
        key: of the corpus' sample.
        person: unique over all corpora.
        origin: where it comes from and what may be done with it.
        grey: it has no colours.
        edits: names of what was done to it; empty for the picture as it is.
    """

    image: Picture
    mesh: Floats
    key: str
    person: str
    origin: Origin
    grey: bool = False
    edits: tuple[str, ...] = field(default=())

    def edited(self, image: Picture, mesh: Floats, *names: str) -> Face:
        """The same person in a changed picture."""
        return replace(self, image=image, mesh=mesh, edits=(*self.edits, *names))

    @property
    def size(self) -> int:
        """Side of the wide picture."""
        return int(self.image.shape[0])

    @property
    def inside(self) -> slice:
        """Rows or columns of the canonical crop."""
        margin = round(self.size * (1 - 1 / FIELD) / 2)
        return slice(margin, self.size - margin)

    @property
    def crop(self) -> Picture:
        """The canonical crop."""
        return np.ascontiguousarray(self.image[self.inside, self.inside])

    @property
    def unit(self) -> float:
        """Pixels a pixel of the 256x256 canonical crop."""
        return self.size / (256 * FIELD)

    @cached_property
    def shares(self) -> dict[str, Floats]:
        """(W, W) probabilities of ``skin``, ``hair`` and ``occluder``, by the bundled parser.

        It looks at the picture only where it is canonical, whatever was done to the mesh.
        """
        size = self.size
        side = size / FIELD
        margin = (size - side) / 2
        canonical = Alignment(np.array([[1.0, 0, -margin], [0, 1.0, -margin]]), round(side))
        shares, ours = default_parser().shares(self.image, canonical)
        matrix = ours.matrix.copy()
        matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5  # cv2 counts pixel centres from 0
        return {
            name: np.asarray(
                cv2.warpAffine(
                    np.ascontiguousarray(shares[number]),
                    matrix,
                    (size, size),
                    flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                    borderMode=cv2.BORDER_REPLICATE,
                ),
                np.float32,
            )
            for name, number in (("skin", SKIN), ("hair", HAIR), ("occluder", OCCLUDER))
        }

    @cached_property
    def free(self) -> Floats:
        """(W, W) 0..1: no hair and nothing else lies in front of what is shown."""
        covered = self.shares["hair"] + self.shares["occluder"]
        return np.asarray(np.clip((0.5 - covered) / 0.3, 0, 1), np.float32)


class People:
    """Who may be in a triplet of one split, and how to get at their pictures.

    Args:
        corpora: folders of finished corpora.
        split: train, validation or test.
        config: which pictures.
        size: side of the canonical crop in pixels.

    Raises:
        DataError: a folder is no corpus, or fewer than two people are left.
    """

    def __init__(
        self, corpora: Sequence[Path], split: str, config: PeopleConfig, *, size: int = 256
    ) -> None:
        self.config, self.size = config, size
        self.feed = FeedConfig(use="swap", size=round(size * FIELD), zoom=FIELD)
        self._corpora = [Corpus.open(path) for path in corpora]
        self.records: dict[str, list[tuple[int, Record]]] = {}
        self.kinds: dict[str, list[str]] = {}
        for number, corpus in enumerate(self._corpora):
            for record in corpus.select(splits=(split,), use="swap"):
                if self._fits(record):
                    self.records.setdefault(person(record), []).append((number, record))
        for name, pictures in sorted(self.records.items()):
            self.kinds.setdefault(pictures[0][1].origin.kind, []).append(name)
        if len(self.records) < 2:
            raise DataError(
                f"{', '.join(map(str, corpora))}: {len(self.records)} people in {split} may be "
                "used for face swap and fit the recipe; two are needed"
            )

    def _fits(self, record: Record) -> bool:
        config, q, origin = self.config, record.quality, record.origin
        return (
            origin.generator not in config.without_generators
            and origin.source not in config.without_sources
            and q.face_width >= config.min_face_width
            and abs(q.yaw) <= config.max_yaw
            and abs(q.pitch) <= config.max_pitch
            and q.luminance >= config.min_luminance
            and record.zoom >= FIELD * (1 - 1e-6)
            and enlargement(record.size, record.zoom, self.feed) <= config.enlarge
        )

    def draw(self, random: np.random.Generator, *, pictures: int = 1) -> str:
        """A person with so many pictures or more, by the shares of the kinds of pictures.

        Raises:
            DataError: nobody has so many.
        """
        pools = self._pools(pictures)
        names = list(pools)
        config = self.config
        chosen = config.shares if pictures < 2 else config.pair_shares
        wanted = {str(kind): share for kind, share in chosen.items()}
        shares = np.array([wanted.get(name, 0.0) for name in names])
        if not names or shares.sum() <= 0:
            raise DataError(f"nobody in these corpora has {pictures} pictures that fit the recipe")
        for _ in range(_TRIES):
            pool = pools[names[int(random.choice(len(names), p=shares / shares.sum()))]]
            name = pool[int(random.integers(len(pool)))]
            grey = name in self._colourless and random.random() >= self.config.grey
            if not grey:
                break
        return name

    @cached_property
    def has_pairs(self) -> bool:
        """Whether there is anybody with two pictures to be drawn."""
        return any(
            share > 0 and kind in self._pools(2) for kind, share in self.config.pair_shares.items()
        )

    def _pools(self, pictures: int) -> dict[str, list[str]]:
        if pictures not in self._by_count:
            self._by_count[pictures] = {
                kind: chosen
                for kind, names in self.kinds.items()
                if (chosen := [n for n in names if len(self.records[n]) >= pictures])
            }
        return self._by_count[pictures]

    @cached_property
    def _colourless(self) -> frozenset[str]:
        """People without a picture in colour."""
        return frozenset(
            name
            for name, pictures in self.records.items()
            if all(is_grey(record.quality) for _, record in pictures)
        )

    @cached_property
    def _by_count(self) -> dict[int, dict[str, list[str]]]:
        return {}

    def pick(self, random: np.random.Generator, name: str, count: int = 1) -> list[Face]:
        """Different pictures of a person.

        Raises:
            DataError: a picture is damaged.
        """
        pictures = self.records[name]
        chosen = random.choice(len(pictures), size=count, replace=False)
        return [self.load(*pictures[int(k)]) for k in chosen]

    def load(self, corpus: int, record: Record) -> Face:
        """A picture of the index.

        Raises:
            DataError: it is damaged.
        """
        opened = self._corpora[corpus]
        image = cut_crop(opened.picture(record), record, self.feed)
        return Face(
            np.ascontiguousarray(image),
            crop_mesh(record, self.feed),
            record.key,
            person(record),
            record.origin,
            is_grey(record.quality),
        )

    def partner(self, random: np.random.Generator, face: Face, tries: int = 24) -> Face | None:
        """Somebody else whose face could be put on a picture: alike in pose and light, bare.

        Returns:
            a picture, or ``None`` where nobody that was drawn fits.

        Raises:
            DataError: a picture is damaged.
        """
        config = self.config
        like = next(r for _, r in self.records[face.person] if r.key == face.key).quality
        looked = 0
        for _ in range(tries):
            name = self.draw(random)
            number, record = self.records[name][int(random.integers(len(self.records[name])))]
            q = record.quality
            if (
                name == face.person
                or is_grey(q) != face.grey
                or abs(q.yaw - like.yaw) > config.yaw_difference
                or abs(q.pitch - like.pitch) > config.pitch_difference
                or abs(q.light_x - like.light_x) > config.light_difference
                or abs(q.light_y - like.light_y) > config.light_difference
                or min(eye_opening(record.mesh)) < 0.12
            ):
                continue
            looked += 1  # known or not: what is drawn must not depend on what was drawn before
            if record.key not in self._bare:
                self._bare[record.key] = self._is_bare(number, record)
            if self._bare[record.key]:
                return self.load(number, record)
            if looked >= _LOOKS:
                break
        return None

    def _is_bare(self, number: int, record: Record) -> bool:
        """Whether a face could be put on another: no hair over it, no glasses."""
        face = self.load(number, record)
        if covered_share(face) > self.config.max_covered:
            return False
        if record.origin.kind == "head":
            return not set(record.facts.get("worn", ())) & {"glasses", "sunglasses"}
        # blends are made of people without glasses
        of_people = record.origin.kind in {"photo", "generated"}
        return not of_people or wear(face.image, face.mesh).glasses <= self.config.max_glasses

    @cached_property
    def _bare(self) -> dict[str, bool]:
        return {}


def covered_share(face: Face) -> float:
    """Share of the face's oval that the parser calls hair or something in front."""
    oval = outline(face.mesh, FACE_OVAL, face.size, face.size)
    return float(((1 - face.free) * oval).sum() / max(float(oval.sum()), 1.0))
