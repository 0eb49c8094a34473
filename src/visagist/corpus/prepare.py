"""From one photo to its aligned faces: the pure function of a build over photos."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from visagist.corpus.make import make_sample
from visagist.corpus.sample import LabelSource, Quality, Sample
from visagist.corpus.sources.source import GivenLabels, Source, SourceItem
from visagist.corpus.task import Item, SkippedItemError
from visagist.errors import DataError, FaceError, InputError, MissingExtraError, PhotoError
from visagist.face.align import Alignment, align, crop
from visagist.face.find import default_mesher, find_faces
from visagist.face.topology import N_SKIN_POINTS
from visagist.face.types import Detection
from visagist.photo import Limits, Photo
from visagist.photo.decode import picture_size
from visagist.runtime.store import open_model

PARTS = "parts.png"


class PhotoConfig(BaseModel):
    """How photos become aligned crops, and which are not worth keeping."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int = Field(256, description="side of a crop in pixels", ge=32, le=2048)
    zoom: float = Field(
        1.125,
        description="field of view in canonical crops: 1 cuts at the chin and the hairline, "
        "1.125 leaves room to shift and turn, 1.5 shows hair and shoulders",
        ge=0.5,
        le=4,
    )
    labels: Literal["given", "network"] = Field(
        "given",
        description="given: meshes, or boxes and points, of the source where it has them, else our "
        "detector and mesh network; network: always ours",
    )
    faces: Literal["largest", "all"] = Field(
        "largest",
        description="of a photo without a given mesh. With all, only the largest has the identity "
        "that the source gives",
    )
    search_side: int = Field(
        2048,
        description="longer side in pixels at which faces are searched for; larger photos are "
        "decoded at a fraction first, and wholly only for small faces",
        ge=128,
    )
    min_face_width: float = Field(
        40, description="width of the face in photo pixels; smaller ones are left out", ge=0
    )
    min_confidence: float = Field(
        0.25, description="0..1, of our mesh; 0.25 keeps 99 % of real faces", ge=0, le=1
    )
    min_inside: float = Field(
        0.75,
        description="share of the canonical crop (zoom 1) that lies inside the photo; beyond the "
        "photo its edge is repeated",
        ge=0,
        le=1,
    )
    min_face_inside: float = Field(
        0.98, description="share of mesh points that lie inside the photo", ge=0, le=1
    )
    min_sharpness: float = Field(
        8, description="variance of the Laplacian of the luma on the face at 256 pixels", ge=0
    )
    min_luminance: float = Field(12, description="mean L* of the skin, 0..100", ge=0, le=100)
    max_luminance: float = Field(97, description="mean L* of the skin, 0..100", ge=0, le=100)
    min_contrast: float = Field(
        1.5, description="standard deviation of L* on the skin; drawings and blanks have less", ge=0
    )
    max_clipped: float = Field(0.5, description="share of face pixels at 0 or 255", ge=0, le=1)
    max_yaw: float = Field(60, description="degrees to either side", ge=0, le=180)
    max_pitch: float = Field(50, description="degrees up or down", ge=0, le=180)
    max_occluded: float = Field(0.6, description="estimated covered share of the face", ge=0, le=1)


@dataclass(frozen=True, slots=True)
class _Found:
    """A face in photo pixels, before it is cropped."""

    mesh: NDArray[np.float32]
    confidence: float
    labels_from: LabelSource
    parts: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True)
class _View:
    """Pixels of a photo and how many photo pixels one of them is."""

    pixels: NDArray[np.uint8]
    ratio: float


class PhotoTask:
    """Photos of one or several sources; see :class:`~visagist.corpus.task.CorpusTask`.

    Args:
        sources: opened sources, each with a name of its own.
        config: size, zoom, labels and thresholds.
        limits: on each photo, before it is decoded.

    Raises:
        DataError: two sources have one name.
    """

    def __init__(
        self, sources: Sequence[Source], config: PhotoConfig, limits: Limits | None = None
    ) -> None:
        twice = [name for name, n in Counter(s.name for s in sources).items() if n > 1]
        if twice:
            raise DataError(f"two sources are named {twice[0]!r}: give one of them another name")
        self.sources, self.config, self.limits = tuple(sources), config, limits or Limits()

    def items(self) -> Iterator[Item]:
        """Every photo of every source, listed lazily.

        Raises:
            DataError: a source holds no picture.
        """
        for source in self.sources:
            for item in source.items():
                yield Item(f"{source.name}/{item.name}", item)

    def describe(self) -> dict[str, object]:
        """Settings, sources and the digest of the mesh network."""
        network = open_model("face-mesh").manifest.files["model.onnx"].sha256
        return {
            "task": "photos",
            "photos": self.config.model_dump(mode="json"),
            "sources": [source.describe() for source in self.sources],
            "networks": {"face-mesh": network},
        }

    def prepare(self, item: Item) -> list[Sample]:
        """The faces of one photo.

        Raises:
            SkippedItemError: it cannot be read, or no face of it is worth keeping: the reason is
                that of the largest.
        """
        photo: SourceItem = item.payload
        data = photo.read(self.limits)
        given = photo.labels() if self.config.labels == "given" else None
        try:
            whole = max(picture_size(data, self.limits))
            samples, dropped = [], list[SkippedItemError]()
            for number, (found, view) in enumerate(self._faces(data, whole, given)):
                try:
                    samples.append(self._sample(photo, found, view, number))
                except SkippedItemError as error:
                    dropped.append(error)
        except (PhotoError, MissingExtraError) as error:  # HEIC without its extra is one picture's
            raise SkippedItemError("unreadable", str(error)) from error
        except (FaceError, InputError) as error:  # a given mesh of another size, or of one point
            raise SkippedItemError("bad_mesh", str(error)) from error
        if samples:
            return samples
        raise dropped[0] if dropped else SkippedItemError("no_face", "no face was found")

    def _faces(
        self, data: bytes, whole: int, given: GivenLabels | None
    ) -> Iterable[tuple[_Found, _View]]:
        if given is not None and given.mesh is not None:
            found = _Found(given.mesh, 1.0, "given", given.parts)
            return [(found, self._view(data, whole, self._enough(given.mesh, whole)))]
        search = self._view(data, whole, min(whole, self.config.search_side))
        meshes = self._search(search, given)
        if self.config.faces == "largest":
            meshes = meshes[:1]
        parts = None if given is None else given.parts
        # a label map shows one face: the largest
        founds = [
            _Found(mesh * search.ratio, confidence, "network", None if k else parts)
            for k, (mesh, confidence) in enumerate(meshes)
        ]
        views = {whole if search.ratio == 1 else self.config.search_side: search}
        return [(found, self._sharp_view(found, data, whole, views)) for found in founds]

    def _search(
        self, view: _View, given: GivenLabels | None
    ) -> list[tuple[NDArray[np.float32], float]]:
        """Meshes in pixels of the view with their confidences, the largest first."""
        if given is not None and given.box is not None:
            x0, y0, x1, y1 = (float(v) / view.ratio for v in given.box)
            points = None if given.points5 is None else given.points5 / np.float32(view.ratio)
            detection = Detection((x0, y0, x1, y1), 1.0, points)
            faces = [default_mesher().predict(view.pixels, detection)]
        else:
            faces = [
                (face.mesh, face.confidence)
                for face in find_faces(view.pixels, min_confidence=self.config.min_confidence)
            ]
        for mesh, confidence in faces:
            if confidence < self.config.min_confidence:
                raise SkippedItemError("uncertain", f"the mesh's confidence is {confidence:.2f}")
            if not np.isfinite(mesh).all():
                raise SkippedItemError("bad_mesh", "the mesh holds points that are no numbers")
        return faces

    def _sharp_view(self, found: _Found, data: bytes, whole: int, views: dict[int, _View]) -> _View:
        """The smallest decoding that the crop needs; each is decoded once."""
        enough = self._enough(found.mesh, whole)
        side = min((s for s in views if s >= enough), default=whole)
        if side not in views:
            views[side] = self._view(data, whole, side)
        return views[side]

    def _enough(self, mesh: NDArray[np.float32], whole: int) -> int:
        """Longer side of the photo at which it has twice the resolution of the crop."""
        scale = align(mesh, self.config.size).scale / self.config.zoom
        return min(whole, int(np.ceil(whole * scale * 2)))

    def _view(self, data: bytes, whole: int, side: int) -> _View:
        if side >= whole:
            return _View(Photo.open(data, self.limits).pixels, 1.0)
        pixels = Photo.preview(data, side, self.limits).pixels
        return _View(pixels, whole / max(pixels.shape[:2]))

    def _sample(self, photo: SourceItem, found: _Found, view: _View, number: int) -> Sample:
        """Crop and measure one face, or say why not.

        Raises:
            SkippedItemError: the face does not meet the config.
        """
        config = self.config
        mesh = found.mesh / np.float32(view.ratio)
        width = float(np.ptp(found.mesh[:N_SKIN_POINTS, 0]))
        if width < config.min_face_width:
            raise SkippedItemError("too_small", f"the face is {width:.0f} pixels wide")
        canonical = align(mesh, config.size)
        _check_inside(canonical, mesh, view.pixels.shape[:2], config)
        alignment = canonical.widened(config.zoom)
        image = crop(view.pixels, alignment)
        parts = None if found.parts is None else _cropped(found.parts, view, alignment)
        origin = photo.origin
        if number:
            origin = replace(origin, item=f"{origin.item}#{number}", identity="")
        sample = make_sample(
            image,
            alignment.to_crop(mesh),
            origin,
            zoom=config.zoom,
            matrix=np.column_stack([alignment.matrix[:, :2] / view.ratio, alignment.matrix[:, 2]]),
            confidence=found.confidence,
            labels_from=found.labels_from,
            face_width=width,
            parts=parts,
            extras={} if parts is None else {PARTS: _png(parts)},
            facts=photo.facts,
        )
        check_quality(sample.quality, config)
        return sample


def check_quality(quality: Quality, config: PhotoConfig) -> None:
    """Refuse what is too dark, too blurred, too far turned or too much covered.

    Raises:
        SkippedItemError: the first limit that is not kept.
    """
    q, c = quality, config
    checks = (
        ("too_dark", q.luminance < c.min_luminance, f"mean L* of the skin is {q.luminance:.1f}"),
        ("too_bright", q.luminance > c.max_luminance, f"mean L* of the skin is {q.luminance:.1f}"),
        ("too_flat", q.contrast < c.min_contrast, f"L* varies by {q.contrast:.2f} on the skin"),
        ("clipped", q.clipped > c.max_clipped, f"{q.clipped:.0%} of the face is black or white"),
        ("too_blurred", q.sharpness < c.min_sharpness, f"the sharpness is {q.sharpness:.1f}"),
        ("too_turned", abs(q.yaw) > c.max_yaw, f"the yaw is {q.yaw:.0f} degrees"),
        ("too_turned", abs(q.pitch) > c.max_pitch, f"the pitch is {q.pitch:.0f} degrees"),
        ("covered", q.occluded > c.max_occluded, f"about {q.occluded:.0%} of it is covered"),
    )
    for reason, failed, detail in checks:
        if failed:
            raise SkippedItemError(reason, detail)


def _check_inside(
    canonical: Alignment, mesh: NDArray[np.float32], shape: tuple[int, ...], config: PhotoConfig
) -> None:
    """Refuse a face that the photo's edge cuts; ``canonical`` is its alignment at zoom 1.

    Raises:
        SkippedItemError: too much of the face or of the crop lies outside the photo.
    """
    extent = np.array([shape[1], shape[0]], np.float64)
    points = mesh[:N_SKIN_POINTS, :2]
    face = float(((points >= 0) & (points <= extent)).all(1).mean())
    if face < config.min_face_inside:
        raise SkippedItemError("cut_off", f"{1 - face:.0%} of the face lies outside the photo")
    steps = (np.arange(16) + 0.5) * (canonical.size / 16)
    grid = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
    places = canonical.to_photo(grid)
    inside = float(((places >= 0) & (places <= extent)).all(1).mean())
    if inside < config.min_inside:
        raise SkippedItemError("cut_off", f"{1 - inside:.0%} of the canonical crop lies outside")


def _cropped(parts: NDArray[np.uint8], view: _View, alignment: Alignment) -> NDArray[np.uint8]:
    """A label map of the photo in the crop; what lies outside the photo is background."""
    height, width = view.pixels.shape[:2]
    fit = np.array([width / parts.shape[1], height / parts.shape[0]])
    linear = alignment.matrix[:, :2] * fit
    # OpenCV's pixel centres lie on whole numbers, ours on .5
    offset = alignment.matrix[:, 2] + 0.5 * linear.sum(1) - 0.5
    return np.asarray(
        cv2.warpAffine(
            parts,
            np.column_stack([linear, offset]),
            (alignment.size, alignment.size),
            flags=cv2.INTER_NEAREST,
        ),
        np.uint8,
    )


def _png(parts: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(parts).save(stream, "PNG")
    return stream.getvalue()
