"""A before/after pair as people have it, made into a look: pixel on pixel, colours matched.

The two pictures come at different sizes, cropped, turned a little, saved again and with other
colours. The mesh lays them roughly over each other, structure that makeup does not touch does the
rest (:mod:`visagist.amplify.matching`), and a change of colour or sharpness of the whole picture is
estimated outside the face and taken back (:mod:`visagist.amplify.cast`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from visagist.amplify.backend import Look
from visagist.amplify.cast import Cast, fit_cast, match_sharpness, no_cast
from visagist.amplify.masks import changed_mask, makeup_masks
from visagist.amplify.matching import Match, match, sample
from visagist.errors import NoChangeError, NotSamePhotoError, PairFaceError
from visagist.face.align import CROP_SIZE, Alignment, align, crop, transform_points
from visagist.face.find import find_faces
from visagist.face.raster import smoothstep
from visagist.face.topology import N_SKIN_POINTS
from visagist.face.types import Face
from visagist.photo.colour import rgb_to_lab

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Find = Callable[[Bytes], list[Face]]
SamePerson = Callable[[Bytes, Face, Bytes, Face], bool]

FIELD = 1.5
"""Canonical crops that are looked at: hair, neck and background tell about motion and colour."""
VIEW = 384
"""Side of that view in pixels: as large as those of the canonical crop."""
_MARGIN = (VIEW - CROP_SIZE) // 2
_FINE = 2  # pixels a side of the view's pixels while the picture is resampled

_SEARCH = 2048  # longer side in pixels at which faces are searched for
_SMALL_FACE = 160  # narrower there: searched for again at full size
_FEW = 1500.0  # pixels of weight below which no cast is estimated
_STRANGE = (10.0, 28.0)  # levels of difference, not made up: from unchanged to not matched


class RegisterConfig(BaseModel):
    """What is refused; where the limits come from stands in docs/pairs.md."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_likeness: float = Field(
        0.68, description="how well structure agrees: one photo before and after", ge=0, le=1
    )
    min_inside: float = Field(
        0.97, description="share of the face that lies inside each photo", ge=0, le=1
    )
    other_face: float = Field(
        0.2, description="area over the largest face's that makes another person of a face", ge=0
    )
    min_change: float = Field(
        2.5, description="CIE Lab difference that the strongest twentieth of a region reaches", ge=0
    )
    over_noise: float = Field(
        1.65, description="by what factor that exceeds the same where nothing is made up", ge=0
    )


@dataclass(frozen=True, slots=True)
class RegistrationReport:
    """How a pair was registered and how well.

    Attributes:
        shift: x, y in pixels of the after-picture, from where the face's middle is in the picture
            before to where it is there.
        scale: pixels of the after-picture for one of the picture before.
        turn: degrees, clockwise.
        mirrored: the after-picture was flipped.
        bend: largest deviation from an affine map on the face, in crop pixels.
        error: median motion that is left outside the makeup, in crop pixels.
        likeness: 0..1, how well structure outside the makeup agrees.
        matched: 0..1, share of the canonical crop that could be matched.
        cast: mean change of colour of the whole picture that was taken back, in levels.
        cast_error: mean difference in levels that is left outside the makeup.
        blur: pixels by which the after-picture was duller (negative: sharper), made up for.
        change: CIE Lab difference of the strongest twentieth of the most changed region.
        noise: the same outside the makeup.
        warnings: a sentence for each thing a person should know.
    """

    shift: tuple[float, float]
    scale: float
    turn: float
    mirrored: bool
    bend: float
    error: float
    likeness: float
    matched: float
    cast: float
    cast_error: float
    blur: float
    change: float
    noise: float
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Registration:
    """A registered pair.

    Attributes:
        look: the crops, pixel on pixel.
        report: how it went.
        places: (256, 256, 2) where each crop pixel lies in the after-photo, x, y with pixel
            centres at .5.
    """

    look: Look
    report: RegistrationReport
    places: Floats


@dataclass(frozen=True, slots=True)
class _Seen:
    """The one face of a photo and the view around it."""

    pixels: Bytes
    face: Face
    alignment: Alignment  # of the view
    fine: Bytes  # (768, 768, 3)
    view: Bytes  # (384, 384, 3)
    inside: Floats  # (384, 384) 1 where the photo reaches
    warnings: tuple[str, ...]


def register_pair(
    before: Bytes,
    after: Bytes,
    *,
    name: str = "pair",
    config: RegisterConfig | None = None,
    find: Find = find_faces,
    same_person: SamePerson | None = None,
) -> Registration:
    """Lay the photo with makeup over the one without.

    Args:
        before: (H, W, 3) uint8 bare photo.
        after: (H', W', 3) uint8, the same photo made up: cropped, scaled, turned by a few degrees,
            mirrored, bent a little, re-encoded and with other colours as the case may be.
        name: of the pair, for messages.
        config: what is refused.
        find: gives the faces of a photo.
        same_person: tells whether two faces are of one person, for the message to pairs that are
            not one photo; the bundled recogniser when ``None``.

    Raises:
        PairFaceError: a photo shows nobody, several people, or a face that its edge cuts.
        NotSamePhotoError: the two are not one photo.
        NoChangeError: nothing was made up.
    """
    config = RegisterConfig() if config is None else config
    one = _look_at(before, f"{name}: the photo before", find, config)
    other, found, masks, mirrored = _matched(one, after, name, find, config)
    if found.likeness < config.min_likeness:
        recognised = same_person or _recognised
        raise _not_the_same(name, one, other, found.likeness, config.min_likeness, recognised)
    changed = changed_mask(masks)
    inside = one.inside * sample(other.inside, found.places)
    share = float((inside * changed).sum() / max(float(changed.sum()), 1e-6))
    if share < config.min_inside:
        raise _cut(f"{name}: the photo after", share)
    laid = _laid_over(other, found)
    bare = one.view.astype(np.float32)
    cast, corrected, blur = _equalised(bare, laid, found, changed, inside)
    corrected = bare + inside[..., None] * (corrected - bare)
    valid = _valid(bare, corrected, changed, inside)
    change, noise = _amount(bare, corrected, masks, valid, found)
    if change < max(config.min_change, config.over_noise * noise):
        raise NoChangeError(
            f"{name}: the after-picture shows no makeup that the other lacks (a colour difference "
            f"of {change:.1f}, and {noise:.1f} where nothing is made up); give the made-up photo",
            reason="no_change",
        )
    middle = slice(_MARGIN, _MARGIN + CROP_SIZE)
    mesh = transform_points(_shift(-_MARGIN), one.alignment.to_crop(one.face.mesh))
    look = Look(
        name=name,
        before=np.ascontiguousarray(one.view[middle, middle]),
        after=np.rint(np.clip(corrected[middle, middle], 0, 255)).astype(np.uint8),
        mesh=mesh,
        valid=np.ascontiguousarray(valid[middle, middle]),
    )
    places = other.alignment.to_photo(found.places[middle, middle].reshape(-1, 2) + 0.5)
    if mirrored:
        places[:, 0] = after.shape[1] - places[:, 0]
    finish = _report(one, other, found, cast, look, mirrored=mirrored)
    report = finish(blur=blur, change=change, noise=noise)
    return Registration(look, report, places.reshape(CROP_SIZE, CROP_SIZE, 2))


def only_face(
    pixels: Bytes, what: str, *, config: RegisterConfig | None = None, find: Find = find_faces
) -> tuple[Face, bool]:
    """The one person in a photo.

    Args:
        pixels: (H, W, 3) uint8.
        what: the photo, for messages.
        config: how large another face may be, and how much of the face must be there.
        find: gives the faces of a photo.

    Returns:
        The face, and whether there are small ones besides.

    Raises:
        PairFaceError: there is none, several, or it is cut off.
    """
    config = RegisterConfig() if config is None else config
    step = -(-max(pixels.shape[:2]) // _SEARCH)
    small = pixels if step == 1 else np.asarray(Image.fromarray(pixels).reduce(step))
    faces = find(small)
    if step > 1 and (not faces or np.ptp(faces[0].mesh[:N_SKIN_POINTS, 0]) < _SMALL_FACE):
        step, faces = 1, find(pixels)
    if not faces:
        raise PairFaceError(f"{what} shows no face; give one where it can be seen", reason="nobody")
    others = sum(face.area > config.other_face * faces[0].area for face in faces[1:])
    if others:
        raise PairFaceError(
            f"{what} shows {others + 1} people; cut it so that only one is in it", reason="several"
        )
    face = Face(faces[0].detection, faces[0].mesh * np.float32(step), faces[0].confidence)
    skin = face.mesh[:N_SKIN_POINTS, :2]
    share = float(((skin >= 0) & (skin <= np.array(pixels.shape[1::-1]))).all(1).mean())
    if share < config.min_inside:
        raise _cut(what, share)
    return face, len(faces) > 1


def _look_at(pixels: Bytes, what: str, find: Find, config: RegisterConfig) -> _Seen:
    """The face of a photo, and what is around it.

    Raises:
        PairFaceError: there is none, several, or it is cut off.
    """
    face, besides = only_face(pixels, what, config=config, find=find)
    extent = np.array([pixels.shape[1], pixels.shape[0]])
    alignment = align(face.mesh).widened(FIELD).resized(VIEW)
    fine = crop(pixels, alignment.resized(VIEW * _FINE))
    view = np.asarray(cv2.resize(fine, (VIEW, VIEW), interpolation=cv2.INTER_AREA), np.uint8)
    notes = [f"{what} shows small faces besides; they are ignored"] if besides else []
    if alignment.scale > 2:
        notes.append(f"{what}: the face is small; at least 200 pixels across are better")
    return _Seen(pixels, face, alignment, fine, view, _inside(alignment, extent), tuple(notes))


def _inside(alignment: Alignment, extent: NDArray[np.int_]) -> Floats:
    y, x = np.mgrid[:VIEW, :VIEW] + 0.5
    places = alignment.to_photo(np.column_stack([x.ravel(), y.ravel()]))
    # half a pixel in: at the very edge resampling invents
    within = ((places >= 0.5) & (places <= extent - 0.5)).all(1)
    return within.reshape(VIEW, VIEW).astype(np.float32)


def _matched(
    one: _Seen, after: Bytes, name: str, find: Find, config: RegisterConfig
) -> tuple[_Seen, Match, dict[str, Floats], bool]:
    """The after-picture matched as it is, or mirrored where only that fits."""
    masks = makeup_masks(one.alignment.to_crop(one.face.mesh), VIEW)
    telling = 1 - np.clip(0.95 * (masks["lips"] + masks["eyes"]) + 0.4 * masks["skin"], 0, 1)
    weight = telling.astype(np.float32) * one.inside
    what = f"{name}: the photo after"
    other = _look_at(after, what, find, config)
    found = match(one.view, other.view, weight, other.inside)
    if found.likeness < config.min_likeness:
        with suppress(PairFaceError):  # a face that is only seen one way round is no mirror image
            turned = _look_at(np.ascontiguousarray(after[:, ::-1]), what, find, config)
            again = match(one.view, turned.view, weight, turned.inside)
            if again.likeness >= config.min_likeness:
                return turned, again, masks, True
    return other, found, masks, False


def _not_the_same(  # noqa: PLR0917  (what the message says)
    name: str, one: _Seen, other: _Seen, likeness: float, least: float, same_person: SamePerson
) -> NotSamePhotoError:
    figures = f"structure agrees by {likeness:.2f}, and {least:.2f} is needed"
    if same_person(one.pixels, one.face, other.pixels, other.face):
        return NotSamePhotoError(
            f"{name}: two different photos of one person ({figures}); make up the very photo that "
            "is the before-picture, and leave its background alone",
            reason="another_photo",
        )
    return NotSamePhotoError(
        f"{name}: two different people ({figures}); give one photo before and after its makeup",
        reason="two_people",
    )


def _recognised(one: Bytes, face: Face, other: Bytes, face_there: Face) -> bool:
    """The bundled recogniser's answer at its threshold for one false match in a hundred."""
    # only for a message, so that registering does not wait for it
    from visagist.recognition.inference import Recognizer  # noqa: PLC0415

    recognizer = Recognizer.from_pretrained()
    cosine = float(recognizer.embed(one, face) @ recognizer.embed(other, face_there))
    return cosine >= recognizer.calibration.threshold(far=1e-2).value


def _cut(what: str, share: float) -> PairFaceError:
    return PairFaceError(
        f"{what} shows only {share:.0%} of the face; give one that holds it from hairline to chin",
        reason="cut_off",
    )


def _laid_over(other: _Seen, found: Match) -> Floats:
    """(384, 384, 3) the after-picture on the pixels of the one before, resampled once."""
    side = VIEW * _FINE
    places = cv2.resize(found.places, (side, side), interpolation=cv2.INTER_LINEAR)
    places = places * _FINE + (_FINE - 1) / 2
    fine = sample(other.fine.astype(np.float32), np.asarray(places, np.float32), cubic=True)
    return np.asarray(cv2.resize(fine, (VIEW, VIEW), interpolation=cv2.INTER_AREA), np.float32)


def _equalised(
    bare: Floats, laid: Floats, found: Match, changed: Floats, inside: Floats
) -> tuple[Cast, Floats, float]:
    """Colour and sharpness of the whole picture taken back; the blur that was found."""
    safe = _outside(changed) * inside * smoothstep(0.3, 0.7, found.agreement + 0.4)
    cast = fit_cast(bare, laid, safe) if float(safe.sum()) >= _FEW else no_cast()
    corrected = cast.undo(laid)
    sharp = _outside(changed) * inside * smoothstep(0.3, 0.7, found.agreement)
    corrected, blur = match_sharpness(bare, corrected, np.asarray(sharp, np.float32))
    return cast, corrected, blur


def _outside(changed: Floats) -> Floats:
    """1 well outside the makeup regions, eyes and mouth included in them."""
    reach = cv2.dilate(changed, np.ones((15, 15), np.uint8))
    closed = cv2.morphologyEx(reach, cv2.MORPH_CLOSE, np.ones((41, 41), np.uint8))
    return np.asarray(1 - cv2.GaussianBlur(closed, (0, 0), 2.0), np.float32)


def _valid(bare: Floats, corrected: Floats, changed: Floats, inside: Floats) -> Floats:
    """0..1: outside either photo nothing is known, and elsewhere what changed besides makeup."""
    off = cv2.GaussianBlur(np.abs(corrected - bare).mean(2), (0, 0), 2.0)
    strange = smoothstep(*_STRANGE, np.asarray(off, np.float32)) * (1 - changed)
    known = cv2.GaussianBlur(cv2.erode(inside, np.ones((3, 3), np.uint8)), (0, 0), 1.0)
    return np.clip(known * inside * (1 - strange), 0, 1).astype(np.float32)


def _amount(
    bare: Floats, corrected: Floats, masks: dict[str, Floats], valid: Floats, found: Match
) -> tuple[float, float]:
    """Colour difference of the strongest twentieth of the regions, and of what has none.

    The middle of each part's differences is no makeup but what is left of a change of the whole
    picture; of the skin's it counts half, since foundation changes all of it.
    """
    one, other = (rgb_to_lab(np.clip(p, 0, 255) / np.float32(255)) for p in (bare, corrected))
    change = np.asarray(cv2.GaussianBlur(other - one, (0, 0), 2.5), np.float32)
    common = np.median(change[(masks["skin"] > 0.5) & (valid > 0.5)], axis=0)
    uneven = np.linalg.norm(change - common, axis=2)
    regions = [uneven[(mask > 0.5) & (valid > 0.5)] for mask in masks.values()]
    most = max((float(np.percentile(r, 95)) for r in regions if r.size), default=0.0)
    still = (_outside(changed_mask(masks)) > 0.9) & (valid > 0.9) & (found.agreement > 0.3)
    rest = change[still]
    if len(rest) < 200:
        return most, 0.0
    noise = np.linalg.norm(rest - np.median(rest, axis=0), axis=1)
    return max(most, float(np.linalg.norm(common)) / 2), float(np.percentile(noise, 95))


def _report(
    one: _Seen,
    other: _Seen,
    found: Match,
    cast: Cast,
    look: Look,
    *,
    mirrored: bool,
) -> Callable[..., RegistrationReport]:
    """The report, but for its last figures."""
    centred = found.affine.copy()  # between pixel centres at .5
    centred[:, 2] += 0.5 - centred[:, :2].sum(1) * 0.5
    there, here = other.alignment.inverse, one.alignment.matrix
    linear = there[:, :2] @ centred[:, :2] @ here[:, :2]
    middle = one.face.mesh[:N_SKIN_POINTS, :2].mean(0)
    seen = transform_points(here, middle[None])
    moved = transform_points(there, transform_points(centred, seen))[0]
    inner = slice(_MARGIN, _MARGIN + CROP_SIZE)
    face = changed_mask(makeup_masks(look.mesh)) > 0.05
    matched = float(look.valid.mean())
    notes = [*one.warnings, *other.warnings]
    if cast.pixels < _FEW:
        notes.append(
            "too little besides the face is in both photos: a change of colour of the whole "
            "picture would be taken for makeup"
        )
    if matched < 0.8:
        notes.append(
            f"only {matched:.0%} of the crop could be matched; the rest counts for nothing"
        )
    return partial(
        RegistrationReport,
        shift=(float(moved[0] - middle[0]), float(moved[1] - middle[1])),
        scale=float(np.sqrt(abs(np.linalg.det(linear)))),
        turn=float(np.degrees(np.arctan2(linear[1, 0], linear[0, 0]))),
        mirrored=mirrored,
        bend=float(np.hypot(*found.residual[inner, inner][face].T).max(initial=0.0)),
        error=found.error,
        likeness=found.likeness,
        matched=matched,
        cast=cast.shift,
        cast_error=cast.error,
        warnings=tuple(notes),
    )


def _shift(by: float) -> NDArray[np.float64]:
    return np.array([[1.0, 0.0, by], [0.0, 1.0, by]])
