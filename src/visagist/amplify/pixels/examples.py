"""What the base learns from: random styles on corpus faces, each shown by pairs of other faces.

The truth is drawn on the labelled mesh, everything the network is given comes from the mesh that
our own network finds, moved a little: so it learns to put right what meshes put wrong.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from visagist.amplify.backend import Look, silent
from visagist.amplify.layers import Canvas, Evidence, evidence
from visagist.amplify.pixels.config import ExamplesConfig
from visagist.amplify.pixels.windows import SIDE, windows
from visagist.amplify.random_style import random_style
from visagist.corpus.feed.cache import FaceCache
from visagist.corpus.feed.recrop import recrop, recrop_points
from visagist.errors import DataError
from visagist.face.align import CROP_SIZE
from visagist.face.mesh.inference import MeshPredictor
from visagist.face.topology import N_POINTS
from visagist.makeup.retoucher import retouch
from visagist.photo.files import mapped_array

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Report = Callable[[int, int], None]

WINDOWS = 4
CHANNELS = {
    "bare": slice(0, 3),
    "laid": slice(3, 6),
    "truth": slice(6, 9),
    "known": slice(9, 10),
    "room": slice(10, 11),
}
"""Planes of a stored window: bare face, style laid on it, truth, how far the style is known, and
where anything may be painted."""
N_CHANNELS = 11


@dataclass(frozen=True, slots=True)
class Sitters:
    """Faces of one split.

    Attributes:
        crops: (N, 256, 256, 3) canonical crops.
        labelled: (N, 478, 3) meshes that the truth is drawn on, in crop pixels.
        found: (N, 478, 3) meshes of our own network.
    """

    crops: Bytes
    labelled: Floats
    found: Floats


def sitters(faces: FaceCache, report: Report = silent) -> Sitters:
    """Faces of a cache, with the meshes that our network finds on them."""
    side = faces.crops.shape[1]
    predictor = MeshPredictor.from_pretrained()
    crops = np.empty((len(faces), CROP_SIZE, CROP_SIZE, 3), np.uint8)
    labelled, found = (np.empty((len(faces), N_POINTS, 3), np.float32) for _ in range(2))
    for i in range(len(faces)):
        wide, mesh = np.ascontiguousarray(faces.crops[i]), np.array(faces.meshes[i])
        own = predictor.predict_near(wide, mesh)
        crops[i] = recrop(wide, faces.zoom, size=CROP_SIZE, to_zoom=1.0)
        for made, out in ((mesh, labelled), (own, found)):
            out[i] = recrop_points(made, side, faces.zoom, size=CROP_SIZE, to_zoom=1.0)
        report(i + 1, len(faces))
    return Sitters(crops, labelled, found)


def jittered(mesh: Floats, rng: np.random.Generator, pixels: float) -> Floats:
    """A mesh as another run of a network might find it.

    It is turned, scaled and moved, and each part of the face a little for itself.

    Args:
        mesh: (478, 3) points in pixels of the canonical crop.
        rng: random numbers.
        pixels: standard deviation of the movement.
    """
    if not pixels:
        return mesh
    angle, scale = np.deg2rad(rng.normal(0, 0.6 * pixels)), 1 + rng.normal(0, 0.008 * pixels)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = mesh[:, :2].mean(0)
    moved = mesh.copy()
    moved[:, :2] = (mesh[:, :2] - centre) @ turn.T + centre + rng.normal(0, 0.6 * pixels, 2)
    # A smooth field: bumps about as wide as an eye, at random places.
    for _ in range(6):
        place = mesh[rng.integers(len(mesh)), :2]
        reach = np.exp(-((mesh[:, :2] - place) ** 2).sum(1) / (2 * 18.0**2))
        moved[:, :2] += reach[:, None] * rng.normal(0, 0.8 * pixels, 2)
    return np.asarray(moved, np.float32)


def stored_windows(
    canvas: Canvas, laid: Floats, known: Floats, truth: Floats, *, margin: int
) -> Bytes:
    """(4, 64, 64, 11) uint8: a face with its style and its truth, as the network sees it.

    Args:
        canvas: the bare face.
        laid: (256, 256, 3) change in levels that the layers make.
        known: (256, 256) 0..1.
        truth: (256, 256, 3) change in levels that is wanted.
        margin: pixels by which the network may leave the mesh's regions.
    """
    bare = canvas.crop.astype(np.float32)
    planes = np.concatenate(
        [
            bare,
            np.clip(bare + laid, 0, 255),
            np.clip(bare + truth, 0, 255),
            255 * known[..., None],
            255 * room(canvas, margin)[..., None],
        ],
        2,
    )
    seen = np.stack([window.cut(planes) for window in windows(canvas.mesh)])
    return np.clip(np.rint(seen), 0, 255).astype(np.uint8)


def room(canvas: Canvas, margin: int) -> Floats:
    """(256, 256) 0..1: the mesh's regions, grown by a margin with a soft edge.

    Meshes are off by a pixel or two; the network sees where lids and lips really end.
    """
    if not margin:
        return canvas.allowed
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    grown = cv2.GaussianBlur(cv2.dilate(canvas.allowed, kernel), (0, 0), 1.0)
    return np.asarray(grown, np.float32)


class Shown(NamedTuple):
    """A face in a style."""

    canvas: Canvas
    change: Floats
    evidence: Evidence


def laid_on(canvas: Canvas, pairs: Sequence[Evidence]) -> tuple[Floats, Floats]:
    """Change in levels (256, 256, 3) of the layers of some pairs, and (256, 256) how far known."""
    total = pairs[0]
    for other in pairs[1:]:
        total = total + other
    layers = total.layers()
    return canvas.lay(layers), np.clip(canvas.bring(layers.known), 0, 1) * canvas.seen


def group_of_examples(
    people: Sitters, config: ExamplesConfig, number: int, *, margin: int
) -> Bytes:
    """(faces, 4, 64, 64, 11) uint8: one random style on a few faces, each shown by the others."""
    rng = np.random.default_rng((config.seed, number))
    style = random_style(rng)
    chosen = rng.choice(len(people.crops), min(config.faces, len(people.crops)), replace=False)
    strength = rng.uniform(config.weakest, 1)
    worn = []
    for i in chosen:
        crop = people.crops[i]
        made = retouch(crop, people.labelled[i], style, intensity=strength)
        mesh = jittered(people.found[i], rng, config.jitter)
        look = Look("", crop, made, mesh, np.ones(crop.shape[:2], np.float32))
        change = made.astype(np.float32) - crop
        worn.append(Shown(Canvas(crop, mesh), change, evidence(look)))
    out = []
    for i, target in enumerate(worn):
        others = [w.evidence for j, w in enumerate(worn) if j != i]
        count = int(rng.integers(1, min(config.most_pairs, len(others)) + 1))
        shown = [others[k] for k in rng.permutation(len(others))[:count]]
        laid, known = laid_on(target.canvas, shown)
        out.append(stored_windows(target.canvas, laid, known, target.change, margin=margin))
    return np.stack(out)


def make_examples(
    people: Sitters,
    config: ExamplesConfig,
    path: Path,
    *,
    groups: range,
    margin: int,
    workers: int = 1,
    report: Report = silent,
) -> Bytes:
    """Examples of many random styles as a memory-mapped array; what was begun is completed.

    Args:
        people: faces that wear them.
        config: how many, and how.
        path: the ``.npy`` to write.
        groups: numbers of the styles; another split has others.
        margin: of the sampling, see :func:`stored_windows`.
        workers: processes.
        report: called with styles done and in all.

    Returns:
        (styles x faces, 4, 64, 64, 11) uint8, read-only.

    Raises:
        DataError: the file cannot be written.
    """
    faces = min(config.faces, len(people.crops))
    shape = (len(groups) * faces, WINDOWS, SIDE, SIDE, N_CHANNELS)
    note = Progress(path, _digest(people, config, groups, margin), shape)
    done = note.done()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not done:  # or the note of what is overwritten would vouch for it
            note.write(0)
        array = mapped_array(path, np.uint8, shape, keep=bool(done))
        jobs = partial(group_of_examples, people, config, margin=margin)
        with ProcessPoolExecutor(workers) as pool:
            todo = range(done, len(groups))
            results = (
                pool.map(jobs, (groups[i] for i in todo))
                if workers > 1
                else map(jobs, (groups[i] for i in todo))
            )
            for i, made in zip(todo, results, strict=True):
                array[i * faces : (i + 1) * faces] = made
                if (i + 1) % 20 == 0 or i + 1 == len(groups):
                    array.flush()
                    note.write(i + 1)
                report(i + 1, len(groups))
        del array
        stored: Bytes = np.load(path, mmap_mode="r")
    except OSError as error:
        raise DataError(f"{path}: cannot write the examples ({error})") from error
    return stored


class Progress:
    """Beside an array that is being filled: what it is of, and how far it is filled.

    Args:
        path: of the array.
        key: digest of everything that decides its contents.
        shape: of the array.
    """

    def __init__(self, path: Path, key: str, shape: tuple[int, ...]) -> None:
        self._path, self._key, self._shape = path, key, shape
        self._note = path.with_suffix(".json")

    def done(self) -> int:
        """Rows that are there; 0 where there is another array or none."""
        try:
            data = json.loads(self._note.read_text(encoding="utf-8"))
            shape = np.load(self._path, mmap_mode="r").shape
        except (OSError, ValueError):
            return 0
        return int(data["done"]) if data.get("key") == self._key and shape == self._shape else 0

    def write(self, done: int) -> None:
        """Note that so many rows are there."""
        temporary = self._note.with_suffix(".part")
        temporary.write_text(json.dumps({"key": self._key, "done": done}), encoding="utf-8")
        temporary.replace(self._note)


def _digest(people: Sitters, config: ExamplesConfig, groups: range, margin: int) -> str:
    sha = hashlib.sha256(repr((config.model_dump(), groups, margin)).encode())
    for array in (people.labelled, people.found, people.crops[:, ::16, ::16]):
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()
