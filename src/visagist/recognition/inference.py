"""Recognition as users hold it: photos in, templates and decisions out, ONNX Runtime."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.errors import FaceChoiceError, InputError, ModelDamagedError, NoFaceError
from visagist.face.align import crop
from visagist.face.detect import Detector
from visagist.face.find import Mesher, choose, find_faces
from visagist.face.parser.inference import Parser, default_parser
from visagist.face.types import Face
from visagist.photo import Photo
from visagist.recognition.calibration import Calibration, Method
from visagist.recognition.calibration_store import find_calibration, require_model
from visagist.recognition.crop import CENTRE, FIELD, INPUT_SIZE, recognition_crop
from visagist.recognition.quality import FaceQuality, QualityGate, measure
from visagist.runtime.session import make_session
from visagist.runtime.store import ModelFiles, open_model

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """One face, ready to be compared.

    Attributes:
        vector: (dimension,) float32 of unit length. It is biometric data: faces can be rebuilt
            from it.
        quality: what the picture of the face is like.
        face: where it is in its photo.
        model_id: the model that made the vector; vectors of different models are not comparable.
    """

    vector: Vector
    quality: FaceQuality
    face: Face
    model_id: str


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether two faces are of one person.

    Attributes:
        same: the score is at or above the threshold.
        score: cosine of both vectors, -1..1.
        threshold: least score of a match.
        far: the false accept rate that the threshold was calibrated for: the share of pairs of
            different people that would be called the same.
        far_interval: 95 % interval of the rate that the threshold has.
        tar: share of pairs of one person's pictures that the threshold accepts, in the
            calibration's pictures; ``None`` where it had none.
        method: how the threshold is known; see the calibration's ``Threshold``.
        data: what the calibration was made on.
    """

    same: bool
    score: float
    threshold: float
    far: float
    far_interval: tuple[float, float]
    tar: float | None
    method: Method
    data: str


class Recognizer:
    """Turns faces into vectors that are close for one person and far for two.

    Args:
        model: an opened recognition model.
        threads: of ONNX Runtime.
        flip: average each vector with that of the mirrored view: twice the time for a little
            accuracy. Its vectors and thresholds are their own, and so is its ``model_id``.
        gate: what pictures are refused; the default limits when ``None``.
        detector: finds faces; the default detector when ``None``.
        mesher: fits meshes; the bundled network when ``None``.
        parser: sees what covers a face; the bundled network when ``None``.
        calibration: gives the thresholds; the user's own, or the model's, when ``None``.

    Example:
        >>> recognizer = Recognizer.from_pretrained()  # doctest: +SKIP
        >>> answer = recognizer.verify(Photo.open("a.jpg"), Photo.open("b.jpg"))  # doctest: +SKIP
        >>> answer.same, answer.score, answer.threshold  # doctest: +SKIP
    """

    def __init__(
        self,
        model: ModelFiles,
        *,
        threads: int = 1,
        flip: bool = False,
        gate: QualityGate | None = None,
        detector: Detector | None = None,
        mesher: Mesher | None = None,
        parser: Parser | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        self._session: Any = make_session(model.onnx, threads=threads)
        self.dimension = self._check_network(model)
        self.flip = flip
        self.gate = QualityGate() if gate is None else gate
        self.model_id = self._identify(model)
        self._model = model
        self._detector, self._mesher, self._parser = detector, mesher, parser
        self._calibration = calibration
        if calibration is not None:
            require_model(calibration, self.model_id, "the calibration")

    @classmethod
    def from_pretrained(
        cls,
        name_or_dir: str | os.PathLike[str] = "recognizer",
        *,
        threads: int = 1,
        flip: bool = False,
    ) -> Recognizer:
        """Open the bundled model, or any model folder.

        Raises:
            ModelMissingError: there is no such model.
            ModelDamagedError: a file does not match its manifest, or it is no recognition model.
        """
        return cls(open_model(name_or_dir), threads=threads, flip=flip)

    @cached_property
    def parser(self) -> Parser:
        """What sees covers; opened when the first picture is measured."""
        return default_parser() if self._parser is None else self._parser

    @cached_property
    def calibration(self) -> Calibration:
        """The one given, else the user's own of this model, else the one in the model's folder.

        Raises:
            CalibrationError: there is none, or it is of another model.
        """
        if self._calibration is not None:
            return self._calibration
        return find_calibration(self._model, self.model_id)

    def embed(self, pixels: NDArray[np.uint8], face: Face) -> Vector:
        """The vector of a face, however poor its picture.

        Args:
            pixels: (H, W, 3) uint8 photo.
            face: one of its faces.

        Returns:
            (dimension,) float32 of unit length.

        Raises:
            FaceError: the face lies outside the photo.
        """
        return self.embed_view(crop(pixels, recognition_crop(face.alignment())))

    def embed_view(self, view: NDArray[np.uint8]) -> Vector:
        """The vector of a face that is aligned already.

        Args:
            view: (112, 112, 3) uint8, as :func:`~visagist.recognition.crop.recognition_crop` shows
                a face.

        Raises:
            InputError: the view has another shape or type.
        """
        if view.shape != (INPUT_SIZE, INPUT_SIZE, 3) or view.dtype != np.uint8:
            raise InputError(
                f"the recogniser reads ({INPUT_SIZE}, {INPUT_SIZE}, 3) uint8, got {view.shape} of "
                f"type {view.dtype}."
            )
        vector = self._run(view)
        if self.flip:
            vector = _unit(vector + self._run(view[:, ::-1]))
        return vector

    def template(
        self, photo: Photo | NDArray[np.uint8], *, pick: int | None = None, gate: bool = True
    ) -> Template:
        """The face of a photo, measured and turned into a vector.

        Args:
            photo: a photo or its (H, W, 3) uint8 pixels.
            pick: which face, counted from 0 for the largest; needed where there are several.
            gate: whether a poor picture is refused; its quality is measured in any case.

        Raises:
            NoFaceError: the photo shows no face.
            FaceChoiceError: it shows several and none was picked, or not the one that was.
            PoorPictureError: the face is too small, blurred, dark, bright, turned, cut off or
                covered.
        """
        pixels = photo.pixels if isinstance(photo, Photo) else photo
        faces = find_faces(pixels, detector=self._detector, mesher=self._mesher)
        return self.template_of(pixels, pick_face(faces, pick), gate=gate)

    def template_of(self, pixels: NDArray[np.uint8], face: Face, *, gate: bool = True) -> Template:
        """The same for a face that was found already.

        Raises:
            PoorPictureError: as :meth:`template`.
        """
        quality = measure(pixels, face, self.parser)
        if gate:
            self.gate.check(quality)
        return Template(self.embed(pixels, face), quality, face, self.model_id)

    def verify(
        self,
        a: Photo | NDArray[np.uint8] | Template,
        b: Photo | NDArray[np.uint8] | Template,
        *,
        far: float = 1e-3,
        extrapolate: bool = False,
    ) -> Verification:
        """Compare two faces.

        Args:
            a: a photo with one face, its pixels, or the template of a face.
            b: the same.
            far: false accept rate that the decision is made for.
            extrapolate: also for rates that the calibration's data do not show; the answer's
                ``method`` says so.

        Raises:
            CalibrationError: no threshold is known for this rate.
            InputError: a template is of another model.
            FaceError: as :meth:`template`.
        """
        threshold = self.calibration.threshold(far=far, extrapolate=extrapolate)
        one, other = (self._as_template(face) for face in (a, b))
        score = float(one.vector @ other.vector)
        return Verification(
            same=score >= threshold.value,
            score=score,
            threshold=threshold.value,
            far=far,
            far_interval=threshold.interval,
            tar=threshold.tar,
            method=threshold.method,
            data=self.calibration.data,
        )

    def _as_template(self, face: Photo | NDArray[np.uint8] | Template) -> Template:
        if not isinstance(face, Template):
            return self.template(face)
        if face.model_id != self.model_id:
            raise InputError(
                f"the template is of the model {face.model_id}, this is {self.model_id}: make it "
                "anew from its picture"
            )
        return face

    def _run(self, view: NDArray[np.uint8]) -> Vector:
        image = (view.transpose(2, 0, 1)[None].astype(np.float32) - 127.5) / np.float32(127.5)
        return _unit(self._session.run(None, {"image": image})[0][0])

    def _check_network(self, model: ModelFiles) -> int:
        """Length of the vectors of a network that reads what we give and returns what we expect.

        Raises:
            ModelDamagedError: it does not.
        """
        where = model.path / "config.json"
        if model.config.get("kind") != "recognizer":
            raise ModelDamagedError(f"{where}: this is no recognition model; give another --model")
        dimension = model.config.get("embedding")
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        wanted = [3, INPUT_SIZE, INPUT_SIZE]
        if [i.name for i in inputs] != ["image"] or list(inputs[0].shape)[1:] != wanted:
            raise ModelDamagedError(f"{model.path}: its network does not read 112x112 views")
        if not isinstance(dimension, int) or list(outputs[0].shape)[1:] != [dimension]:
            raise ModelDamagedError(
                f"{where}: embedding is {dimension!r}, the network returns {outputs[0].shape}"
            )
        return dimension

    def _identify(self, model: ModelFiles) -> str:
        """Name, version and a digest of all that a vector depends on.

        The networks that find the face and its mesh are left out: another release of them moves
        the view by a fraction of a pixel, which the network is trained to bear.
        """
        settings = {"size": INPUT_SIZE, "field": FIELD, "centre": CENTRE, "range": [-1, 1]}
        digest = hashlib.sha256(model.manifest.files["model.onnx"].sha256.encode())
        digest.update(json.dumps(settings | {"flip": self.flip}, sort_keys=True).encode())
        return f"{model.manifest.name}-{model.manifest.version}-{digest.hexdigest()[:12]}"


def pick_face(faces: list[Face], pick: int | None = None) -> Face:
    """The one face that is meant.

    Args:
        faces: as :func:`~visagist.face.find.find_faces` returns them, largest first.
        pick: number of the face; ``None`` when there can be no doubt.

    Raises:
        NoFaceError: there is none.
        FaceChoiceError: there are several and none was picked, or not the one that was.
    """
    if not faces:
        raise NoFaceError(
            "no face was found; try a photo where a face is at least 40 pixels wide and upright"
        )
    if pick is not None:
        return choose(faces, pick)[0]
    if len(faces) > 1:
        raise FaceChoiceError(
            f"the photo shows {len(faces)} faces; pick one by its number. {_listed(faces)}"
        )
    return faces[0]


def _listed(faces: list[Face]) -> str:
    """Faces from left to right with the numbers that pick them."""
    boxes = [(face.mesh[:, :2].min(0), face.mesh[:, :2].max(0)) for face in faces]
    order = sorted(range(len(faces)), key=lambda i: float(boxes[i][0][0]))
    told = [f"{i} ({boxes[i][1][0] - boxes[i][0][0]:.0f} pixels wide)" for i in order]
    return f"From left to right: {', '.join(told)}"


def _unit(vector: NDArray[np.floating]) -> Vector:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)
