"""Makeup as users hold it: a photo in, a photo out, ONNX Runtime."""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from visagist.errors import InputError, ModelDamagedError, NoFaceError, UnknownStyleError
from visagist.face.align import crop
from visagist.face.detect import Detector
from visagist.face.find import Mesher, choose, find_faces
from visagist.face.parser.inference import Parser
from visagist.face.paste import paste_residual
from visagist.face.types import Face
from visagist.makeup.zones import PARTS, gain_map
from visagist.photo import Photo
from visagist.runtime.session import make_session
from visagist.runtime.store import ModelFiles, open_model


@dataclass(frozen=True, slots=True)
class MakeupResult:
    """A made-up photo.

    Attributes:
        photo: the result, at the size of the input.
        faces: the faces that were made up, largest first.
        timings: milliseconds of each step.
    """

    photo: Photo
    faces: list[Face]
    timings: Mapping[str, float] = field(default_factory=dict)


class Makeup:
    """Puts makeup on every face of a photo.

    Args:
        model: an opened makeup model.
        threads: of ONNX Runtime.
        detector: finds faces; the default detector when ``None``.
        mesher: fits meshes; the bundled network when ``None``.
        parser: keeps makeup off hair, glasses, hands and whatever else lies in front of the face;
            ``None`` paints wherever the mesh says there is face.

    Example:
        >>> makeup = Makeup.from_pretrained()  # doctest: +SKIP
        >>> result = makeup.apply(Photo.open("me.jpg"), style="rosewood")  # doctest: +SKIP
        >>> result.photo.save("out.jpg")  # doctest: +SKIP
    """

    def __init__(
        self,
        model: ModelFiles,
        *,
        threads: int = 1,
        detector: Detector | None = None,
        mesher: Mesher | None = None,
        parser: Parser | None = None,
    ) -> None:
        try:
            self.styles: tuple[str, ...] = tuple(str(s) for s in model.config["styles"])
            self.size = int(model.config["input_size"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelDamagedError(
                f"{model.path / 'config.json'}: {error} is missing or wrong; reinstall visagist"
            ) from error
        self._session: Any = make_session(model.onnx, threads=threads)
        self._detector, self._mesher, self._parser = detector, mesher, parser

    @classmethod
    def from_pretrained(
        cls,
        name_or_dir: str | os.PathLike[str] = "makeup-tiny",
        *,
        threads: int = 1,
        protect: bool = True,
    ) -> Makeup:
        """Open a bundled model by name, or any model folder.

        Args:
            name_or_dir: which makeup model.
            threads: of ONNX Runtime.
            protect: use the bundled parser to keep makeup off what lies in front of the face.

        Raises:
            ModelMissingError: there is no such model.
            ModelDamagedError: a file does not match its manifest.
        """
        parser = Parser.from_pretrained(threads=threads) if protect else None
        return cls(open_model(name_or_dir), threads=threads, parser=parser)

    def apply(
        self,
        photo: Photo,
        *,
        style: str = "rosewood",
        intensity: float = 1.0,
        lips: float = 1.0,
        eyes: float = 1.0,
        skin: float = 1.0,
        mix: Mapping[str, float] | None = None,
        faces: Literal["all", "largest"] | int = "all",
        found: Sequence[Face] | None = None,
    ) -> MakeupResult:
        """Make up the faces of a photo.

        Args:
            photo: any photo.
            style: one of :attr:`styles`; ignored when ``mix`` is given.
            intensity: 0 leaves the photo as it is, 1 is the style as designed; up to 1.5.
            lips: factor on the lips alone.
            eyes: factor on lids, lashes and brows alone.
            skin: factor on blush, contour and foundation alone.
            mix: weights of several styles, such as ``{"peach": 0.6, "smoky": 0.4}``.
            faces: every face, the largest, or one by its number in the largest-first order.
            found: faces of this photo from :func:`~visagist.face.find.find_faces`, which spares
                finding them again for another style.

        Returns:
            The photo with makeup. Pixels outside the chosen faces are those of the input.

        Raises:
            UnknownStyleError: no such style; the message names the nearest.
            InputError: a factor is out of range.
            NoFaceError: the photo shows no face.
            FaceChoiceError: there is no face of that number.
        """
        code = self.style_code(mix if mix is not None else {style: 1.0})
        strengths = self._strengths(intensity, {"lips": lips, "eyes": eyes, "skin": skin})
        clock = _Clock()
        if found is None:
            found = find_faces(photo.pixels, detector=self._detector, mesher=self._mesher)
            clock.lap("find")
        if not found:
            raise NoFaceError(
                "no face was found; try a photo where a face is at least 40 pixels wide and upright"
            )
        chosen = choose(list(found), faces)
        pixels = photo.pixels
        for face in chosen:
            alignment = face.alignment(self.size)
            # Every face is cropped from the untouched photo, so that their order cannot matter.
            view = crop(photo.pixels, alignment)
            clock.lap("align")
            change = self.residual(view, code)
            clock.lap("network")
            gain = gain_map(alignment.to_crop(face.mesh), alignment.size, strengths)
            if self._parser is not None:
                gain *= self._parser.uncovered(photo.pixels, alignment)
                clock.lap("parse")
            pixels = paste_residual(pixels, change * gain[..., None], alignment)
            clock.lap("paste")
        return MakeupResult(photo.with_pixels(pixels), chosen, clock.laps)

    def residual(self, view: NDArray[np.uint8], code: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the network adds to an aligned crop.

        Args:
            view: (size, size, 3) uint8 canonical crop.
            code: (styles,) from :meth:`style_code`.

        Returns:
            (size, size, 3) float32 in levels of 0..255.
        """
        image = (view.transpose(2, 0, 1)[None].astype(np.float32) - 127.5) / np.float32(127.5)
        out = self._session.run(None, {"image": image, "style": code[None]})[0]
        return np.asarray(out[0].transpose(1, 2, 0) * np.float32(255), np.float32)

    def style_code(self, weights: Mapping[str, float]) -> NDArray[np.float32]:
        """(styles,) float32 code of a weighted mix; the residual is linear in it.

        Raises:
            UnknownStyleError: no such style.
            InputError: no style at all, a weight that is not within 0..1.5, or a sum above 1.5.
        """
        code = np.zeros(len(self.styles), np.float32)
        for name, weight in weights.items():
            if name not in self.styles:
                near = difflib.get_close_matches(name, self.styles, n=1, cutoff=0.0)
                raise UnknownStyleError(
                    f"there is no style {name!r}; did you mean {near[0]!r}? "
                    f"`visagist styles` lists all {len(self.styles)}"
                )
            code[self.styles.index(name)] += _factor(f"the weight of {name}", weight)
        if not weights or not code.any():
            raise InputError("a mix needs at least one style with a weight above 0")
        if code.sum() > _MOST + 1e-6:
            raise InputError(
                f"the weights of a mix add up to {code.sum():.2f}; at most {_MOST} makes sense"
            )
        return code

    @staticmethod
    def _strengths(intensity: float, parts: Mapping[str, float]) -> dict[str, float]:
        overall = _factor("intensity", intensity)
        return {part: overall * _factor(part, parts[part]) for part in PARTS}


_MOST = 1.5


def _factor(name: str, value: float) -> float:
    if not 0.0 <= value <= _MOST:  # also refuses NaN
        raise InputError(f"{name} must lie between 0 and {_MOST}, not {value}")
    return float(value)


class _Clock:
    """Milliseconds between laps, added up by name."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = self.laps.get(name, 0.0) + (now - self._last) * 1e3
        self._last = now
