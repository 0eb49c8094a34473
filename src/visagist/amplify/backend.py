"""What turns a few registered pairs into a style for any face: one interface, several ways.

Everything here speaks of canonical crops (:mod:`visagist.face.align`), 256 x 256, and of changes:
what a style adds to a crop, in levels of 0..255. A change is exactly zero where a backend does not
paint, so that nothing of the photo is synthesised anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from visagist.errors import InputError

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Progress = Callable[[int, int], None]


def silent(done: int, total: int) -> None:
    """No report of progress."""


@dataclass(frozen=True, slots=True)
class Look:
    """One before/after pair, registered.

    Attributes:
        name: of the pair, for messages.
        before: (256, 256, 3) canonical crop of the bare photo.
        after: the same crop of the made-up photo, moved onto ``before``.
        mesh: (478, 3) points in pixels of the crops.
        valid: (256, 256) 0..1, how far each pixel of ``after`` could be matched; 0 counts for
            nothing.
    """

    name: str
    before: Bytes
    after: Bytes
    mesh: Floats
    valid: Floats


@dataclass(frozen=True, slots=True)
class CropFace:
    """A face to be made up.

    Attributes:
        key: which face it is, for messages and seeds.
        crop: (256, 256, 3) canonical crop.
        mesh: (478, 3) points in its pixels.
    """

    key: str
    crop: Bytes
    mesh: Floats


class Fitted(Protocol):
    """A style that was learned from looks."""

    def render(self, faces: Sequence[CropFace], *, strength: float = 1.0, seed: int = 0) -> Floats:
        """(N, 256, 256, 3) change of every face in levels; crop + change may leave 0..255.

        Args:
            faces: to be made up.
            strength: factor on the style, 0 for none.
            seed: of whatever is drawn at random; with the face's key it decides the result.
        """

    def save(self, folder: Path) -> None:
        """Write the style to a folder, which :meth:`Backend.load` reads."""


class Backend(Protocol):
    """A way to learn a style from looks."""

    name: str

    def fit(self, looks: Sequence[Look], *, seed: int = 0, progress: Progress = silent) -> Fitted:
        """Learn a style.

        Args:
            looks: at least one.
            seed: of whatever is drawn at random.
            progress: called with steps done and in all.

        Raises:
            InputError: there is no look.
        """

    def load(self, folder: Path) -> Fitted:
        """A style that :meth:`Fitted.save` wrote.

        Raises:
            ModelError: the folder holds none, or a damaged one.
        """


BACKENDS = {
    "ensemble": "visagist.amplify.ensemble:EnsembleBackend",
    "pixels": "visagist.amplify.pixels.backend:PixelBackend",
    "mesh": "visagist.amplify.mesh_transfer:MeshBackend",
    "stable-diffusion": "visagist.amplify.stable_diffusion.backend:StableDiffusionBackend",
}
"""Name of each backend and where its class is; called without arguments it has its defaults."""

RESUMABLE = frozenset({"ensemble", "stable-diffusion"})
"""Those whose class takes ``work``, a folder for checkpoints: a fit that was stopped goes on."""

DEFAULT = "ensemble"
"""The best one of those that need nothing but what is bundled; the pixel amplifier needs a base
(`visagist train amplifier`)."""


def open_backend(name: str, *, work: Path | None = None) -> Backend:
    """A backend by its name; what it needs is imported now.

    Args:
        name: of :data:`BACKENDS`.
        work: folder where a fit that takes long may keep checkpoints; nothing is kept without.

    Raises:
        InputError: there is no backend of that name.
        ModuleNotFoundError: an extra that it needs is not installed.
        MissingExtraError: the same, where the backend says so itself.
    """
    if name not in BACKENDS:
        raise InputError(f"there is no amplifier {name!r}; there are {', '.join(BACKENDS)}")
    module, _, attribute = BACKENDS[name].partition(":")
    options = {"work": work} if work is not None and name in RESUMABLE else {}
    made: Backend = getattr(import_module(module), attribute)(**options)
    return made
