"""The backend without a network: layers lifted from the pairs and laid on other faces.

It learns in a second, keeps every pore, and is hard to beat where all meshes are right. It paints
over hair and glasses, and what no pair shows it cannot know. It is the start of the pixel backend,
and a row of its own in every comparison.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from visagist.amplify.backend import CropFace, Look, Progress, silent
from visagist.amplify.layers import Layers, canvases, lift_layers
from visagist.amplify.lift import ATLAS_SIZE
from visagist.errors import ModelDamagedError, ModelMissingError
from visagist.face.align import CROP_SIZE
from visagist.photo.files import write_atomically

Floats = NDArray[np.float32]
FILE = "layers.npz"


class MeshStyle:
    """A style as layers on the mesh.

    Args:
        layers: in the atlas.
    """

    def __init__(self, layers: Layers) -> None:
        self.layers = layers

    def render(self, faces: Sequence[CropFace], *, strength: float = 1.0, seed: int = 0) -> Floats:
        """(N, 256, 256, 3) changes in levels; nothing is drawn at random."""
        out = np.zeros((len(faces), CROP_SIZE, CROP_SIZE, 3), np.float32)
        for i, canvas in enumerate(canvases(faces)):
            out[i] = canvas.lay(self.layers)
        return out * np.float32(strength)

    def save(self, folder: Path) -> None:
        """Write the layers to ``layers.npz``, in half precision."""
        folder.mkdir(parents=True, exist_ok=True)
        packed = io.BytesIO()
        arrays = {f.name: getattr(self.layers, f.name) for f in fields(Layers)}
        np.savez_compressed(packed, **{k: v.astype(np.float16) for k, v in arrays.items()})
        write_atomically(folder / FILE, packed.getvalue(), overwrite=True)


class MeshBackend:
    """Lifts layers; there is nothing to train and nothing to set."""

    name = "mesh"

    def fit(
        self, looks: Sequence[Look], *, seed: int = 0, progress: Progress = silent
    ) -> MeshStyle:
        """Lift the layers of the looks.

        Raises:
            InputError: there is no look.
        """
        style = MeshStyle(lift_layers(looks))
        progress(1, 1)
        return style

    def load(self, folder: Path) -> MeshStyle:
        """Layers that were saved.

        Raises:
            ModelMissingError: the folder has none.
            ModelDamagedError: the file is not what was written.
        """
        return MeshStyle(read_layers(folder / FILE))


def read_layers(path: Path) -> Layers:
    """Layers that :meth:`MeshStyle.save` wrote.

    Raises:
        ModelMissingError: there is no such file.
        ModelDamagedError: it is not what was written.
    """
    if not path.is_file():
        raise ModelMissingError(f"{path.parent} holds no style: {path.name} is missing")
    shapes: dict[str, tuple[int, ...]] = {
        f.name: (ATLAS_SIZE, ATLAS_SIZE, 3) for f in fields(Layers)
    }
    shapes["known"] = (ATLAS_SIZE, ATLAS_SIZE)
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            arrays = {name: stored[name].astype(np.float32) for name in shapes}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise ModelDamagedError(f"{path}: damaged ({error}); learn the style again") from error
    if any(arrays[name].shape != shape for name, shape in shapes.items()):
        raise ModelDamagedError(f"{path}: layers of another size; learn the style again")
    return Layers(**arrays)
