"""What makes a triplet worth learning from; what does not pass is counted by reason."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from visagist.face.identity import Judge
from visagist.face.regions import outline
from visagist.face.topology import FACE_OVAL, triangles
from visagist.swap.shape import eye_opening
from visagist.swap.triplets.config import GateConfig
from visagist.swap.triplets.faces import Face, Floats
from visagist.swap.triplets.triplet import change_of

_AROUND = 26.0
"""Pixels of the canonical crop around the oval that an edit may change: outline and hair."""


class RejectedError(Exception):
    """A draw that is thrown away.

    Attributes:
        reason: a few words that can be counted.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass
class Gates:
    """The gates of a recipe, with the embedder that measures identity.

    Attributes:
        config: the limits.
        embed: a picture and its mesh -> the unit vector of the face; never the network that
            evaluations are judged by.
    """

    config: GateConfig
    embed: Judge
    _known: dict[int, tuple[Face, Floats]] = field(default_factory=dict, repr=False)

    def source(self, face: Face) -> None:
        """A source shows its eyes.

        Raises:
            RejectedError: it does not.
        """
        if min(eye_opening(face.mesh)) < self.config.eyes_least:
            raise RejectedError("eyes_closed")

    def pair(self, one: Face, other: Face) -> None:
        """Two pictures of one person resemble each other.

        Raises:
            RejectedError: they do not; labels of identities are not always right.
        """
        if self.cosine(one, other) < self.config.pair_least:
            raise RejectedError("not_one_person")

    def geometry(self, before: Face, after: Face) -> float:
        """Share of the face's triangles turned over by an edit.

        Raises:
            RejectedError: too many.
        """
        areas = [_areas(face) for face in (before, after)]
        seen = areas[0] * np.sign(np.median(areas[0])) > 1.5 * before.unit**2
        folded = float((areas[0] * areas[1] < 0)[seen].mean()) if seen.any() else 1.0
        if not np.isfinite(after.mesh).all() or folded > self.config.folded_most:
            raise RejectedError("mesh_folded")
        return folded

    def change(self, before: Face, after: Face, *, around: bool = True) -> dict[str, float]:
        """Mean changes inside the face and around the head.

        Args:
            before: the picture as it was.
            after: edited.
            around: whether what is around the head must stay.

        Raises:
            RejectedError: nothing changed, or too much.
        """
        inside = outline(after.mesh, FACE_OVAL, after.size, after.size)
        window = (after.inside, after.inside)
        inner = change_of(before.image[window], after.image[window], inside[window])
        outer = change_of(before.image[window], after.image[window], _around(inside, after)[window])
        if inner < self.config.change_least:
            raise RejectedError("near_copy")
        if around and outer > self.config.outside_most:
            raise RejectedError("outside_changed")
        return {"change": inner, "outside": outer}

    def cosine(self, one: Face, other: Face) -> float:
        """Of two faces' vectors."""
        return float(self._vector(one) @ self._vector(other))

    def _vector(self, face: Face) -> Floats:
        """The unit vector of a face; a face is looked at once while it is being worked on."""
        known = self._known.get(id(face))
        if known is None or known[0] is not face:
            if len(self._known) > 8:
                self._known.clear()
            known = self._known[id(face)] = (face, self.embed(face.image, face.mesh))
        return known[1]

    def replaced(self, before: Face, after: Face, giver: Face) -> dict[str, float]:
        """A replaced face is no longer the one and nearly the other.

        Raises:
            RejectedError: it is not so.
        """
        mine, theirs = self.cosine(before, after), self.cosine(giver, after)
        if mine > self.config.replaced_most:
            raise RejectedError("identity_kept")
        if theirs < self.config.replaced_least:
            raise RejectedError("identity_not_given")
        return {"cosine": mine, "cosine_giver": theirs}

    def edited(self, before: Face, after: Face) -> dict[str, float]:
        """An identity edit moves the identity, and leaves a face.

        Raises:
            RejectedError: it does not.
        """
        cosine = self.cosine(before, after)
        if cosine > self.config.edited_most:
            raise RejectedError("identity_kept")
        if cosine < self.config.edited_least:
            raise RejectedError("face_broken")
        return {"cosine": cosine}

    def kept(self, before: Face, after: Face) -> dict[str, float]:
        """Expression, gaze and light leave a person who they are.

        Raises:
            RejectedError: they do not.
        """
        cosine = self.cosine(before, after)
        if cosine < self.config.kept_least:
            raise RejectedError("identity_lost")
        return {"cosine": cosine}


def _areas(face: Face) -> Floats:
    """Signed areas of the mesh's triangles."""
    a, b, c = (face.mesh[triangles()[:, k], :2] for k in range(3))
    one, other = b - a, c - a
    return np.asarray(one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0], np.float32)


def _around(inside: Floats, face: Face) -> Floats:
    """(W, W) 1 further from the face's oval than edits reach."""
    solid = (inside < 0.5).astype(np.uint8)
    distance = cv2.distanceTransform(solid, cv2.DIST_L2, 3)
    return np.asarray(distance > _AROUND * face.unit, np.float32)
