"""Figures of an aligned crop: size, sharpness, exposure, light, skin colour, pose, what covers it.

Everything is measured on the crop resampled so that a canonical face has the size that it has in
the 256x256 canonical crop (colours: half that); so figures do not depend on the size and the zoom
of a corpus.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from visagist.corpus.sample import Quality
from visagist.errors import InputError
from visagist.face.parts import Part
from visagist.face.pose import pose
from visagist.face.regions import (
    RIGHT_BROW_OUTLINE,
    RIGHT_NOSTRIL,
    mirrored,
)
from visagist.face.topology import (
    FACE_OVAL,
    LEFT_EYE,
    LIPS_INNER,
    LIPS_OUTER,
    RIGHT_EYE,
)

_SIDE, _COLOUR_SIDE = 256, 128  # of the canonical crop that figures and colours are measured in
_BRIDGE, _CHIN, _TOP = 168, 152, 10
_MOUTH_CORNERS, _MOUTH_GAP = (61, 291), (13, 14)
# What counts as open in a label map; all else inside the oval covers the face.
_OPEN = (Part.SKIN, Part.LIPS, Part.MOUTH, Part.EYES, Part.BROWS)
# Spread of skin within one face: below these, noise and shading would count as something else.
_LEAST_SPREAD = np.array([14.0, 4.0, 4.5], np.float32)  # of L*, a*, b*
_OUTLIER = 16.27  # 99.9 % of a chi-square distribution of three degrees of freedom
_GREY_B = 1e-3


def measure(
    crop: NDArray[np.uint8],
    mesh: NDArray[np.float32],
    zoom: float,
    *,
    face_width: float,
    turn: float = 0.0,
    parts: NDArray[np.uint8] | None = None,
) -> Quality:
    """The figures of :class:`~visagist.corpus.sample.Quality`.

    Args:
        crop: (S, S, 3) uint8 RGB aligned crop.
        mesh: (478, 3) in crop pixels.
        zoom: field of view in canonical crops.
        face_width: width of the face in the photo, in photo pixels.
        turn: degrees by which the alignment turned the photo clockwise; the roll is the photo's.
        parts: (S, S) label map of :class:`~visagist.face.parts.Part`, from which the covered share
            is exact; estimated from colours without it.

    Raises:
        InputError: the crop or the mesh has the wrong shape.
    """
    if crop.ndim != 3 or crop.shape[0] != crop.shape[1] or crop.dtype != np.uint8:
        raise InputError(f"an aligned crop is (S, S, 3) uint8, got {crop.dtype} {crop.shape}")
    angles = pose(mesh)
    view, points = _canonical_scale(crop, mesh, zoom, _SIDE)
    oval = _filled([points[list(FACE_OVAL), :2]], view.shape[0])
    face = view[oval]
    colour, points = _canonical_scale(crop, mesh, zoom, _COLOUR_SIDE)
    lab = np.asarray(cv2.cvtColor(colour.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
    small_oval, skin = _masks(points, colour.shape[0])
    colours = lab[skin] if skin.any() else np.zeros((1, 3), np.float32)
    lightness, a, b = (float(v) for v in np.median(colours, axis=0))
    light_x, light_y = _light(lab[..., 0], skin, points)
    if parts is None:
        occluded = estimate_occlusion(lab, small_oval, skin, points)
    else:
        labels = cv2.resize(parts, view.shape[:2], interpolation=cv2.INTER_NEAREST)
        occluded = float(1 - np.isin(labels[oval], _OPEN).mean()) if oval.any() else 1.0
    gap = _distance(points, *_MOUTH_GAP) / max(_distance(points, *_MOUTH_CORNERS), 1e-6)
    return Quality(
        face_width=_rounded(face_width),
        sharpness=_rounded(_sharpness(view, oval)),
        luminance=_rounded(colours[:, 0].mean()),
        contrast=_rounded(colours[:, 0].std()),
        clipped=_rounded(((face == 0) | (face == 255)).any(-1).mean() if face.size else 0.0),
        light_x=_rounded(light_x),
        light_y=_rounded(light_y),
        skin_a=_rounded(a),
        skin_b=_rounded(b),
        # yellow is what grey pictures lack: their angle says light or dark, no more
        tone=_rounded(np.degrees(np.arctan2(lightness - 50, max(b, _GREY_B)))),
        yaw=_rounded(angles.yaw),
        pitch=_rounded(angles.pitch),
        roll=_rounded((angles.roll - turn + 180) % 360 - 180),
        mouth_open=_rounded(gap),
        occluded=_rounded(occluded),
    )


def estimate_occlusion(
    lab: NDArray[np.float32],
    oval: NDArray[np.bool_],
    skin: NDArray[np.bool_],
    points: NDArray[np.float32],
) -> float:
    """Share of the face oval whose colour is not that of the middle of the face.

    The middle (cheeks and nose) gives a median and a robust spread in CIELAB; what lies further
    than 99.9 % of such skin would, counts as covering. This sees hair, glasses' frames, masks and
    microphones. It does not see hands, which are skin, nor what covers the cheeks and the nose
    themselves (then the rest counts), and it takes beards and hard shadows for covers.

    Args:
        lab: (S, S, 3) CIELAB.
        oval: (S, S) inside of the face oval.
        skin: (S, S) the same without eyes, brows, lips and nostrils.
        points: (478, 3) mesh in pixels of ``lab``.

    Returns:
        0..1.
    """
    if not skin.any():
        return 1.0
    ring = points[list(FACE_OVAL), :2]
    centre = points[[1, _BRIDGE], :2].mean(0) + np.array([0, 0.12 * np.ptp(ring[:, 1])])
    inner = _filled([centre + 0.55 * (ring - centre)], lab.shape[0]) & skin
    reference = lab[inner] if inner.any() else lab[skin]
    middle = np.median(reference, axis=0)
    spread = np.maximum(1.4826 * np.median(np.abs(reference - middle), axis=0), _LEAST_SPREAD)
    far = (((lab - middle) / spread) ** 2).sum(-1) > _OUTLIER
    far = cv2.medianBlur((far & skin).astype(np.uint8), 3).astype(bool)
    return float((far & skin).sum() / max(int(oval.sum()), 1))


def _canonical_scale(
    crop: NDArray[np.uint8], mesh: NDArray[np.float32], zoom: float, canonical: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Crop and mesh at the scale at which the canonical crop has a side of ``canonical``."""
    size = crop.shape[0]
    side = max(16, round(canonical * zoom))
    if side == size:
        return crop, mesh
    how = cv2.INTER_AREA if side < size else cv2.INTER_CUBIC
    view = np.asarray(cv2.resize(crop, (side, side), interpolation=how), np.uint8)
    return view, mesh * np.float32(side / size)


def _masks(points: NDArray[np.float32], side: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Inside of the oval, and the skin in it."""
    nostril, brow = RIGHT_NOSTRIL, RIGHT_BROW_OUTLINE
    features = [LIPS_OUTER, LIPS_INNER, RIGHT_EYE, LEFT_EYE, nostril, mirrored(nostril)]
    features += [brow, mirrored(brow)]
    oval = _filled([points[list(FACE_OVAL), :2]], side)
    other = _filled([points[list(f), :2] for f in features], side)
    # lashes, lip edges and the brows' fringe lie just outside their outlines
    other = cv2.dilate(other.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    return oval, oval & ~other


def _filled(rings: list[NDArray[np.floating]], side: int) -> NDArray[np.bool_]:
    mask = np.zeros((side, side), np.uint8)
    for ring in rings:
        cv2.fillPoly(mask, [np.rint((ring - 0.5) * 16).astype(np.int32)], (1,), shift=4)
    return mask.astype(bool)


def _sharpness(view: NDArray[np.uint8], oval: NDArray[np.bool_]) -> float:
    luma = cv2.cvtColor(view, cv2.COLOR_RGB2GRAY).astype(np.float32)
    edges = cv2.Laplacian(luma, cv2.CV_32F, ksize=1)
    return float(edges[oval].var()) if oval.any() else 0.0


def _light(
    lightness: NDArray[np.float32], skin: NDArray[np.bool_], points: NDArray[np.float32]
) -> tuple[float, float]:
    """L* right minus left of the line from forehead to chin, and above minus below its middle."""
    top, chin = points[_TOP, :2], points[_CHIN, :2]
    down = (chin - top) / max(float(np.hypot(*(chin - top))), 1e-6)
    rows, columns = np.nonzero(skin)
    values = lightness[rows, columns]
    from_middle = np.stack([columns + 0.5, rows + 0.5], 1) - (top + chin) / 2
    across = from_middle @ np.array([down[1], -down[0]])
    along = from_middle @ down
    return (
        _mean(values[across > 0]) - _mean(values[across <= 0]),
        _mean(values[along < 0]) - _mean(values[along >= 0]),
    )


def _mean(values: NDArray[np.float32]) -> float:
    return float(values.mean()) if values.size else 0.0


def _distance(points: NDArray[np.float32], one: int, other: int) -> float:
    return float(np.hypot(*(points[one, :2] - points[other, :2])))


def _rounded(value: float | np.floating) -> float:
    """Four decimals: further digits depend on the processor, and two builds must be equal."""
    return round(float(value), 4) + 0.0
