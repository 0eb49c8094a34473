"""Face swap as users hold it: photos in, a photo out, ONNX Runtime."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from visagist.errors import (
    FaceChoiceError,
    InputError,
    ModelDamagedError,
    ModelMissingError,
    NoFaceError,
    PoorPictureError,
)
from visagist.face.align import crop
from visagist.face.detect import Detector
from visagist.face.find import Mesher, choose, find_faces
from visagist.face.parser.inference import Parser
from visagist.face.paste import paste_crop
from visagist.face.pose import pose
from visagist.face.raster import Floats, blur, grow, pooled, smoothstep
from visagist.face.regions import region_masks
from visagist.face.types import Face
from visagist.photo import Photo
from visagist.runtime.session import make_session
from visagist.runtime.store import ModelFiles, open_model
from visagist.swap.colour import match_light
from visagist.swap.guide import Guide, guide
from visagist.swap.types import Encoder, Identity, Limits, Look, Reference, Refused, SwapResult

__all__ = ["Swapper"]

Picture = Photo | NDArray[np.uint8]
Precision = Literal["single", "int8"]
CONSTANTS = "constants.onnx"
NETWORKS: dict[Precision, str] = {"single": "model.onnx", "int8": "model-int8.onnx"}
_FADE = 0.2
"""Strength below which the new face is also laid on more thinly, so that 0 is the photo itself."""
_DETAIL = 256
"""Least side of a crop in which a guided network's picture is put together."""
_RIM = 12
"""Pixels of a 256 crop over which the mask falls to zero at the crop's border."""


class Swapper:
    """Puts a person's face into photos.

    Args:
        model: an opened swap model.
        encoder: the recogniser that the network was trained with.
        threads: of ONNX Runtime.
        precision: which of the model's networks, see :meth:`from_pretrained`.
        detector: finds faces; the default detector when ``None``.
        mesher: fits meshes; the bundled network when ``None``.
        parser: keeps the new face off hair, glasses and hands, beside the network's own mask;
            ``None`` trusts the network.
        limits: which faces are refused.

    Example:
        >>> encoder = Recognizer.from_pretrained()  # doctest: +SKIP
        >>> swapper = Swapper.from_pretrained(encoder=encoder)  # doctest: +SKIP
        >>> ada = swapper.source(Photo.open("ada.jpg"), Photo.open("ada2.jpg"))  # doctest: +SKIP
        >>> result = swapper.swap(Photo.open("stage.jpg"), ada)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: ModelFiles,
        *,
        encoder: Encoder,
        threads: int = 1,
        precision: Precision = "single",
        detector: Detector | None = None,
        mesher: Mesher | None = None,
        parser: Parser | None = None,
        limits: Limits | None = None,
    ) -> None:
        if model.config.get("kind") != "swap":
            raise ModelDamagedError(
                f"{model.path / 'config.json'}: this is no face swap model; give another --model"
            )
        file = NETWORKS[precision]
        if file not in model.manifest.files:
            raise ModelMissingError(
                f"{model.path} holds no {file}; export the model with --int8, or run it in single"
            )
        self._network: Any = make_session(
            model.network(file), threads=threads, name="the swap network"
        )
        self._maker: Any = make_session(model.network(CONSTANTS), threads=threads, name=CONSTANTS)
        self.side, self.dimension = self._check_networks(model)
        self.guided = any(i.name == "guide" for i in self._network.get_inputs())
        # The guide carries detail that a network of a smaller side corrects without seeing it.
        self.size = self.side * max(1, -(-_DETAIL // self.side)) if self.guided else self.side
        try:
            self.shape = float(model.config.get("shape", 0.0))
            self.correction = float(model.config.get("correction", 1.0))
        except (TypeError, ValueError) as error:
            raise ModelDamagedError(
                f"{model.path / 'config.json'}: shape or correction: {error}; "
                "export the model again"
            ) from error
        self.limits = _limits(model) if limits is None else limits
        digest = hashlib.sha256()
        for name in (file, CONSTANTS):
            digest.update(model.manifest.files[name].sha256.encode())
        self.model_id = f"{model.manifest.name}-{model.manifest.version}-{digest.hexdigest()[:12]}"
        trained = model.config.get("encoder", encoder.model_id)
        if trained != encoder.model_id:
            raise InputError(
                f"{model.path}: this network reads the vectors of {trained}, not of "
                f"{encoder.model_id}; give the recogniser that it was trained with"
            )
        self._encoder = encoder
        self._detector, self._mesher, self._parser = detector, mesher, parser

    @classmethod
    def from_pretrained(
        cls,
        name_or_dir: str | os.PathLike[str] = "swap",
        *,
        encoder: Encoder,
        threads: int = 1,
        precision: Precision = "single",
        protect: bool = True,
    ) -> Swapper:
        """Open a bundled model by name, or any model folder.

        Args:
            name_or_dir: name of the model, or its folder.
            encoder: the recogniser that it was trained with.
            threads: of the networks.
            precision: ``int8`` runs the network's convolutions in eight bits, in half the time on
                processors with AVX-512 VNNI or the like, and draws a little differently.
            protect: use the bundled parser to keep the new face off what lies in front of the face,
                beside the network's own mask.

        Raises:
            ModelMissingError: there is no such model, or none of that precision.
            ModelDamagedError: a file does not match its manifest, or it is no swap model.
        """
        parser = Parser.from_pretrained(threads=threads) if protect else None
        files = open_model(name_or_dir)
        return cls(files, encoder=encoder, threads=threads, precision=precision, parser=parser)

    def source(self, *pictures: Picture, least_agreement: float | None = None) -> Identity:
        """The identity of one person from one or several pictures, averaged.

        Args:
            pictures: photos with one face each.
            least_agreement: cosine that any two pictures must reach to pass for one person;
                ``None`` does not ask.

        Raises:
            InputError: no picture, or two that do not look like one person.
            NoFaceError: a picture shows no face.
            FaceChoiceError: a picture shows several people.
            PoorPictureError: a face is too small or turned too far.
        """
        if not pictures:
            raise InputError("give at least one picture of the source person")
        seen = [self._encoded(p, n) for n, p in enumerate(pictures, 1)]
        vectors = np.stack([vector for vector, _ in seen])
        cosines = vectors @ vectors.T
        agreement = float(cosines.min()) if len(vectors) > 1 else 1.0
        if least_agreement is not None and agreement < least_agreement:
            a, b = sorted(int(i) + 1 for i in np.unravel_index(cosines.argmin(), cosines.shape))
            raise InputError(
                f"source pictures {a} and {b} do not look like one person (cosine {agreement:.2f}, "
                f"at least {least_agreement:.2f} expected); give pictures of one person"
            )
        return self.identity(
            _unit(vectors.mean(0)),
            looks=[look for _, look in seen],
            pictures=len(vectors),
            agreement=agreement,
        )

    def identity(
        self,
        vector: NDArray[np.float32],
        *,
        looks: Sequence[Look] = (),
        pictures: int = 1,
        agreement: float = 1.0,
    ) -> Identity:
        """The same from a vector of the encoder and pictures that are there already.

        Raises:
            InputError: it is not a vector of the encoder's length, or the network lays the source's
                pixels on the target and there is no picture.
        """
        if vector.shape != (self.dimension,):
            raise InputError(
                f"the identity has {vector.shape} numbers, the network reads ({self.dimension},): "
                "it was made by another recogniser"
            )
        if self.guided and not looks:
            raise InputError("this network needs a picture of the source, not its vector alone")
        constants = self._constants(vector)
        return Identity(
            vector,
            constants,
            self.model_id,
            self._encoder.model_id,
            pictures,
            agreement,
            tuple(looks),
        )

    def reference(self, picture: Picture, *, threshold: float) -> Reference:
        """The person to replace, from a picture with one face.

        Args:
            picture: a photo.
            threshold: least cosine of a match, from the recogniser's calibration.

        Raises:
            FaceError: as :meth:`source`.
        """
        return Reference(self._encoded(picture, 1, "reference")[0], threshold)

    def swap(
        self,
        photo: Picture,
        identity: Identity,
        *,
        face: Literal["all", "largest"] | int | Reference = "all",
        strength: float = 1.0,
        match_colour: bool = True,
        found: Sequence[Face] | None = None,
    ) -> SwapResult:
        """Replace faces of a photo.

        Args:
            photo: a photo or its (H, W, 3) uint8 sRGB pixels.
            identity: from :meth:`source`.
            face: every face, the largest, one by its number in the largest-first order, or the one
                that looks most like a :class:`Reference`, at its threshold or above.
            strength: 1 is the source's identity, 0 the photo as it is; between them the identity
                moves along the arc from the target's to the source's.
            match_colour: give the new face the colour and contrast of the target's skin.
            found: faces of this photo from :func:`~visagist.face.find.find_faces`, which spares
                finding them again.

        Returns:
            The photo with new faces. Pixels outside of them are those of the input, bit for bit;
            faces that the network does not know how to replace are listed and left.

        Raises:
            InputError: the strength is not within 0..1, or the identity is of another model.
            NoFaceError: the photo shows no face, or none like the reference.
            FaceChoiceError: there is no face of that number.
        """
        if not 0.0 <= strength <= 1.0:  # also refuses NaN
            raise InputError(f"strength must lie between 0 and 1, not {strength}")
        if identity.model_id != self.model_id:
            raise InputError(
                f"the identity was made for {identity.model_id}, this is {self.model_id}; "
                "make it anew from its pictures"
            )
        photo = photo if isinstance(photo, Photo) else Photo.from_array(photo)
        if found is None:
            found = self._find(photo)
        if not found:
            raise NoFaceError(_NO_FACE)
        swapped, refused, pixels = [], [], photo.pixels
        for each in self._chosen(photo.pixels, list(found), face):
            if fault := self.limits.fault(each):
                refused.append(Refused(each, *fault))
                continue
            swapped.append(each)
            if strength > 0:
                image, mask = self._made(photo.pixels, each, identity, strength, match_colour)
                pixels = paste_crop(pixels, image, mask, each.alignment(self.size))
        return SwapResult(photo.with_pixels(pixels), swapped, refused)

    def laid(
        self,
        view: NDArray[np.uint8],
        mesh: NDArray[np.floating],
        looks: Sequence[Look],
        *,
        strength: float = 1.0,
        free: Floats | None = None,
    ) -> Guide | None:
        """What a guided network starts from; ``None`` for another.

        Args:
            view: (size, size, 3) uint8 canonical crop of the target.
            mesh: (478, 3) of the face in it.
            looks: pictures of the source; the one in the nearest pose is laid on.
            strength: share of it.
            free: (size, size), 0 where something covers the target.
        """
        if not self.guided:
            return None
        turned = [pose(look.mesh) for look in looks]
        here = pose(np.asarray(mesh, np.float32))
        apart = [abs(p.yaw - here.yaw) + abs(p.pitch - here.pitch) for p in turned]
        look = looks[int(np.argmin(apart))]
        return guide(
            look.crop,
            look.mesh,
            view,
            mesh,
            shape=self.shape,
            strength=strength,
            source_free=look.free,
            target_free=free,
        )

    def render(
        self,
        view: NDArray[np.uint8],
        constants: NDArray[np.float32],
        laid: Guide | None = None,
    ) -> tuple[Floats, Floats]:
        """The network alone.

        Args:
            view: (S, S, 3) uint8 canonical crop of the target, S a multiple of the network's side;
                a network without a guide takes its own side alone.
            constants: (K,) of an :class:`Identity`.
            laid: of :meth:`laid`.

        Returns:
            The new picture (S, S, 3) in levels 0..255, and the network's mask (S, S), 0..1, as it
            came out. Where S is larger than the network's side, the guide has the details, and what
            the network changes of it is enlarged.
        """
        given = {"constants": constants[None]}
        if not self.guided:
            made, mask = self._run(given | {"target": _planes(view)[None]})
            return np.clip(_levels(made), 0, 255), np.clip(mask, 0, 1)
        if laid is None:
            raise InputError("this network needs the source laid on the target")
        times, rest = divmod(view.shape[0], self.side)
        if rest or not times:
            raise InputError(f"a crop of {view.shape[0]} is no multiple of {self.side} pixels")
        target, start = _planes(view), _planes(laid.picture)
        share = laid.share[..., None]
        if times > 1:
            target, start = (_planes(pooled(x, times)) for x in (view, laid.picture))
            share = pooled(share, times)
        guide = np.concatenate([start, share.transpose(2, 0, 1)])
        made, mask = self._run(given | {"target": target[None], "guide": guide[None]})
        change = (_levels(made) - _levels(start)) * np.float32(self.correction)
        if times > 1:
            change, mask = (grow(x, view.shape[:2]) for x in (change, mask))
        return np.clip(laid.picture + change, 0, 255), np.clip(mask, 0, 1)

    def _run(self, given: dict[str, NDArray[np.float32]]) -> tuple[Floats, Floats]:
        """(3, s, s) in about [-1, 1] and (s, s) of the network."""
        made, mask = self._network.run(["image", "mask"], given)
        return made[0], mask[0, 0]

    def _made(
        self,
        pixels: NDArray[np.uint8],
        face: Face,
        identity: Identity,
        strength: float,
        match_colour: bool,
    ) -> tuple[Floats, Floats]:
        """Picture and mask in the crop of one face, from the untouched photo.

        Were it made from a photo with other new faces, their order would matter.
        """
        alignment = face.alignment(self.size)
        view = crop(pixels, alignment)
        constants = identity.constants
        if strength < 1:
            own = _unit(self._encoder.embed(pixels, face))
            constants = self._constants(arc(own, identity.vector, strength))
        mesh = alignment.to_crop(face.mesh)
        free = None if self._parser is None else self._parser.uncovered(pixels, alignment)
        laid = self.laid(view, mesh, identity.looks, strength=strength, free=free)
        image, mask = self.render(view, constants, laid)
        mask = soft_mask(mask)
        if free is not None:
            mask = mask * free
        if match_colour:
            skin = region_masks(mesh, self.size).skin
            image = match_light(image, view, skin * mask)
        return image, mask * np.float32(min(1.0, strength / _FADE))

    def _chosen(
        self,
        pixels: NDArray[np.uint8],
        found: list[Face],
        face: Literal["all", "largest"] | int | Reference,
    ) -> list[Face]:
        if not isinstance(face, Reference):
            return choose(found, face)
        scores = [float(self._encoder.embed(pixels, each) @ face.vector) for each in found]
        best = int(np.argmax(scores))
        if scores[best] < face.threshold:
            raise NoFaceError(
                f"nobody in the photo looks like the reference (best cosine {scores[best]:.2f}, "
                f"needed {face.threshold:.2f}); nothing was changed"
            )
        # One face: a person is in a photo once, and a stranger who is alike must stay untouched.
        return [found[best]]

    def _encoded(
        self, picture: Picture, number: int, kind: str = "source"
    ) -> tuple[NDArray[np.float32], Look]:
        """Vector and look of the only face of a picture."""
        pixels = picture.pixels if isinstance(picture, Photo) else picture
        name = getattr(picture, "source", None) or f"{kind} picture {number}"
        found = find_faces(pixels, detector=self._detector, mesher=self._mesher)
        if not found:
            raise NoFaceError(f"{name}: {_NO_FACE}")
        if len(found) > 1:
            raise FaceChoiceError(
                f"{name}: it shows {len(found)} people, and it must be clear whose face is meant; "
                "cut the picture to one of them"
            )
        if fault := self.limits.fault(found[0], source=True):
            raise PoorPictureError(f"{name}: {fault[1]}; take another picture", reason=fault[0])
        vector = _unit(self._encoder.embed(pixels, found[0]))
        return vector, Look.of(pixels, found[0], self.size, parser=self._parser)

    def _find(self, photo: Photo) -> list[Face]:
        return find_faces(photo.pixels, detector=self._detector, mesher=self._mesher)

    def _constants(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        made = self._maker.run(None, {self._maker.get_inputs()[0].name: vector[None]})[0]
        return np.asarray(made[0], np.float32)

    def _check_networks(self, model: ModelFiles) -> tuple[int, int]:
        """Side of the crop and length of the identity of networks that fit each other.

        Raises:
            ModelDamagedError: they do not.
        """
        inputs = {i.name: list(i.shape) for i in self._network.get_inputs()}
        outputs = {o.name: list(o.shape) for o in self._network.get_outputs()}
        target, constants = inputs.get("target", []), inputs.get("constants", [])
        size = int(target[-1]) if len(target) == 4 and isinstance(target[-1], int) else 0
        fits = (
            size > 0
            and target[1:] == [3, size, size]
            and outputs.get("image", [])[1:] == [3, size, size]
            and outputs.get("mask", [])[1:] == [1, size, size]
        )
        makes, reads = self._maker.get_outputs()[0].shape, self._maker.get_inputs()[0].shape
        fits = fits and len(constants) == 2 and list(makes)[1:] == constants[1:]
        if not fits or len(reads) != 2 or not isinstance(reads[1], int):
            raise ModelDamagedError(
                f"{model.path}: its networks do not fit each other; export the model again"
            )
        return size, int(reads[1])


def _levels(planes: Floats) -> Floats:
    """(3, S, S) in [-1, 1] to (S, S, 3) levels, not clipped."""
    return (planes.transpose(1, 2, 0) + np.float32(1)) * np.float32(127.5)


def _planes(levels: NDArray[np.uint8] | Floats) -> Floats:
    """(S, S, 3) levels to (3, S, S) in [-1, 1]."""
    return (levels.transpose(2, 0, 1).astype(np.float32) - 127.5) / np.float32(127.5)


_NO_FACE = "no face was found; try a photo where a face is at least 40 pixels wide and upright"


def arc(start: NDArray[np.float32], end: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """A point on the great circle between two unit vectors (Shoemake 1985).

    Args:
        start: (D,) at share 0.
        end: (D,) at share 1.
        share: 0..1.
    """
    angle = float(np.arccos(np.clip(start @ end, -1, 1)))
    if angle < 1e-4 or np.pi - angle < 1e-4:  # equal, or opposite, where no circle is the shortest
        return _unit((1 - share) * start + share * end)
    mixed = np.sin((1 - share) * angle) * start + np.sin(share * angle) * end
    return _unit(mixed / np.sin(angle))


def soft_mask(mask: Floats) -> Floats:
    """The network's mask, feathered inwards and zero at the crop's border.

    Up to 0.1 counts as 0, from 0.96 on as 1. Feathering only ever lowers it, so that what the
    network keeps (background, hands, hair) stays kept.

    Args:
        mask: (S, S), 0..1.
    """
    size = mask.shape[0]
    # A sigmoid never says 0; what it takes for background must be left bit for bit.
    sure = np.clip((mask - 0.1) / 0.86, 0, 1).astype(np.float32)
    soft = np.minimum(sure, blur(sure, 2.0 * size / 256))
    edge = np.minimum(np.arange(size) + 0.5, size - 0.5 - np.arange(size)).astype(np.float32)
    ramp = smoothstep(1.0, _RIM * size / 256, edge)
    return np.asarray(soft * ramp[:, None] * ramp[None, :], np.float32)


def _limits(model: ModelFiles) -> Limits:
    told = {
        key: model.config[name]
        for key, name in (("yaw", "max_yaw"), ("pitch", "max_pitch"))
        if name in model.config
    }
    try:
        return Limits(**{key: float(value) for key, value in told.items()})
    except (TypeError, ValueError) as error:
        raise ModelDamagedError(
            f"{model.path / 'config.json'}: {error}; export the model again"
        ) from error


def _unit(vector: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)
