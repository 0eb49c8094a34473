"""How a triplet of each kind is made from one or two pictures.

The letters are those of the published figure: an identity edit leaves the truth with the source's
identity, an attribute edit leaves it equal to the target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.blends.change import changed, draw_change
from visagist.swap.triplets import attribute_edits, identity_edits
from visagist.swap.triplets.config import Kind, TripletConfig
from visagist.swap.triplets.faces import Face, People
from visagist.swap.triplets.gates import Gates, RejectedError
from visagist.swap.triplets.triplet import Triplet

_FAR = frozenset({"hat", "light", "hair", "hair_colour", "hand", "thing", "patch", "mask"})
"""Edits that may change what is around the head."""
_SECOND = 0.5  # of two-image triplets whose photo 1 is made from photo 2, where there is no other


class SwapFunction(Protocol):
    """Any swapper: a source's and a target's crop with meshes -> the target's with the new face."""

    def __call__(
        self,
        source: NDArray[np.uint8],
        source_mesh: NDArray[np.float32],
        target: NDArray[np.uint8],
        target_mesh: NDArray[np.float32],
    ) -> NDArray[np.uint8]:
        """(S, S, 3) uint8 canonical crops of one size; meshes in their pixels."""
        ...


@dataclass(frozen=True)
class Proxy:
    """A swapper that travels between processes: how to get it, not the thing itself.

    Attributes:
        name: what tells it from others; part of the set's settings.
        load: gives it; called in each process that works.
    """

    name: str
    load: Callable[[], SwapFunction]


@dataclass
class Maker:
    """Makes triplets of one split.

    Attributes:
        people: whose pictures are used.
        config: the recipe.
        gates: what is thrown away.
        proxy: swaps faces for ``cycle``.
    """

    people: People
    config: TripletConfig
    gates: Gates
    proxy: SwapFunction | None = None

    def make(self, kind: Kind, random: np.random.Generator, key: str) -> Triplet:
        """One triplet.

        Raises:
            RejectedError: this draw came to nothing; another may do.
            DataError: a picture is damaged, or nobody fits.
        """
        source, target, truth, gates = _MAKERS[kind](self, random)
        self.gates.source(source)
        weight = self.config.weights.get(kind, 1.0)
        return Triplet(key, kind, source, target, truth, weight, gates)

    def identity_edit(
        self, random: np.random.Generator, face: Face
    ) -> tuple[Face, dict[str, float]]:
        """One or two edits of who somebody is, checked."""
        result = face
        count = 1 + int(random.random() < self.config.second_edit)
        for name in _draw(random, self.config.identity_edits, count):
            edited = identity_edits.EDITS[name](random, result, self.people)
            if edited is None:
                raise RejectedError("nobody_fits")
            result = edited
        figures = {"folded": self.gates.geometry(face, result)}
        figures |= self.gates.change(face, result, around="tone" not in result.edits)
        return result, figures | self.gates.edited(face, result)

    def attribute_edit(
        self, random: np.random.Generator, face: Face, shares: Mapping[Any, float]
    ) -> tuple[Face, dict[str, float]]:
        """An edit of what somebody wears or does, checked."""
        (name,) = _draw(random, shares, 1)
        edited = attribute_edits.EDITS[name](random, face)
        if edited is None:
            raise RejectedError(f"no_{name}")
        label = edited.edits[-1]
        figures = {"folded": self.gates.geometry(face, edited)}
        if label == "gaze":
            return edited, figures | self.gates.kept(face, edited)
        if label == "hair_colour":
            return edited, figures
        figures |= self.gates.change(face, edited, around=label not in _FAR)
        if label in attribute_edits.SAME_PIXELS:
            figures |= self.gates.kept(face, edited)
        return edited, figures

    def two(self, random: np.random.Generator) -> tuple[Face, Face]:
        """Two pictures of one person: two of the corpus, or one and a changed copy of it."""
        pairs = random.random() >= _SECOND and self.people.has_pairs
        name = self.people.draw(random, pictures=2 if pairs else 1)
        if pairs:
            one, other = self.people.pick(random, name, 2)
            self.gates.pair(one, other)
            if one.grey == other.grey or random.random() < 0.3:
                return one, other
            return (one, other) if one.grey else (other, one)  # colour is the better target
        (only,) = self.people.pick(random, name)
        change = draw_change(random, only.mesh, max_turn=9, max_light=0.4, grey=only.grey)
        return only.edited(*changed(only.image, only.mesh, change), "changed"), only

    def replaced(self, random: np.random.Generator, face: Face) -> tuple[Face, dict[str, float]]:
        """Somebody else's face on a picture, by the classical swap, checked."""
        other = self._partner(random, face)
        result, _ = identity_edits.with_new_face(face, other, shape=self.config.shape)
        figures = {"folded": self.gates.geometry(face, result)}
        figures |= self.gates.change(face, result)
        return result, figures | self.gates.replaced(face, result, other)

    def cycled(self, random: np.random.Generator, face: Face) -> tuple[Face, dict[str, float]]:
        """Somebody else's face on a picture, by the swapper that was handed in, checked."""
        if self.proxy is None:
            raise RejectedError("no_proxy")
        other = self._partner(random, face)
        inside = face.inside
        corner = np.array([inside.start, inside.start, 0], np.float32)
        swapped = self.proxy(other.crop, other.mesh - corner, face.crop, face.mesh - corner)
        image = face.image.copy()
        image[inside, inside] = swapped
        result = face.edited(image, face.mesh, "cycle")
        figures = self.gates.change(face, result)
        return result, figures | self.gates.replaced(face, result, other)

    def _partner(self, random: np.random.Generator, face: Face) -> Face:
        other = self.people.partner(random, face)
        if other is None:
            raise RejectedError("nobody_fits")
        return other


Made = tuple[Face, Face, Face, dict[str, float]]


def _draw(random: np.random.Generator, shares: Mapping[Any, float], count: int) -> list[str]:
    names, weights = list(shares), np.array(list(shares.values()))
    count = min(count, int((weights > 0).sum()))
    return [str(n) for n in random.choice(names, count, replace=False, p=weights / weights.sum())]


def _one(maker: Maker, random: np.random.Generator) -> Face:
    return maker.people.pick(random, maker.people.draw(random))[0]


def _two_image(maker: Maker, random: np.random.Generator) -> Made:
    """(a-d) photo 1, identity edit of photo 2 -> photo 2."""
    one, other = maker.two(random)
    edited, figures = maker.identity_edit(random, other)
    return one, edited, other, figures


def _shape_on_target(maker: Maker, random: np.random.Generator) -> Made:
    """(e) original, identity edit -> original."""
    face = _one(maker, random)
    edited, figures = maker.identity_edit(random, face)
    return face, edited, face, figures


def _wear_on_target(maker: Maker, random: np.random.Generator) -> Made:
    """(f) original, attribute edit -> edited target."""
    face = _one(maker, random)
    edited, figures = maker.attribute_edit(random, face, maker.config.target_edits)
    return face, edited, edited, figures


def _shape_on_source(maker: Maker, random: np.random.Generator) -> Made:
    """(g) identity edit, original -> the edited source."""
    face = _one(maker, random)
    edited, figures = maker.identity_edit(random, face)
    return edited, face, edited, figures


def _wear_on_source(maker: Maker, random: np.random.Generator) -> Made:
    """(h) attribute edit, original -> original."""
    face = _one(maker, random)
    edited, figures = maker.attribute_edit(random, face, maker.config.source_edits)
    return edited, face, face, figures


def _proxy(maker: Maker, random: np.random.Generator) -> Made:
    """Photo 1, somebody else's face on photo 2 -> photo 2, which is real."""
    one, other = maker.two(random)
    fake, figures = maker.replaced(random, other)
    return one, fake, other, figures


def _cycle(maker: Maker, random: np.random.Generator) -> Made:
    """The same with the swapper that was handed in."""
    one, other = maker.two(random)
    fake, figures = maker.cycled(random, other)
    return one, fake, other, figures


_MAKERS: dict[Kind, Callable[[Maker, np.random.Generator], Made]] = {
    "two_image": _two_image,
    "shape_on_target": _shape_on_target,
    "wear_on_target": _wear_on_target,
    "shape_on_source": _shape_on_source,
    "wear_on_source": _wear_on_source,
    "proxy": _proxy,
    "cycle": _cycle,
}
