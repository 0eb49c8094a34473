"""A chunk of an amplification: faces in, one shard and its summary out, whole or not at all."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.amplify.backend import CropFace, Fitted, open_backend
from visagist.amplify.gates import Expected, GateConfig, Gates, Verdict
from visagist.amplify.pairset import SIDE, PairSample, encode_bare, shard_path, write_shard
from visagist.corpus.blends.gate import Gate
from visagist.corpus.corpus import Corpus
from visagist.corpus.feed.cache import crop_mesh
from visagist.corpus.feed.recrop import recrop
from visagist.corpus.feed.selection import FeedConfig
from visagist.corpus.index import Record
from visagist.corpus.sample import Sample
from visagist.corpus.shards import encode_json
from visagist.corpus.task import CorpusTask, Item, SkippedItemError
from visagist.errors import DataError
from visagist.face.align import CROP_SIZE
from visagist.photo import Photo
from visagist.photo.files import write_atomically
from visagist.photo.sheet import side_by_side

Bytes = NDArray[np.uint8]

BATCH = 8
"""Faces that a backend renders at once, at one strength."""
_MARGIN = (SIDE - CROP_SIZE) // 2
_MIDDLE = slice(_MARGIN, _MARGIN + CROP_SIZE)
_EXAMPLES = 4  # pictures a chunk keeps for the report, of those accepted and of each reason


@dataclass(frozen=True, slots=True)
class FaceDraws:
    """A face of a corpus and how often it is made up.

    Attributes:
        corpus: folder.
        record: the face.
        draws: samples wanted of it.
    """

    corpus: Path
    record: Record
    draws: int


class FaceTask:
    """The faces of an amplification; see :class:`~visagist.corpus.task.CorpusTask`.

    Args:
        faces: in order.
        data: how they are cropped.
        settings: what the run is about.
    """

    def __init__(
        self, faces: Sequence[FaceDraws], data: FeedConfig, settings: dict[str, object]
    ) -> None:
        self._faces, self.data, self._settings = faces, data, settings
        self._open: dict[Path, Corpus] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Faces travel with their chunks."""
        return {"_faces": (), "data": self.data, "_settings": self._settings, "_open": {}}

    def items(self) -> Iterable[Item]:
        """One a face."""
        for face in self._faces:
            yield Item(face.record.key, face)

    def describe(self) -> dict[str, object]:
        """The settings."""
        return self._settings

    def prepare(self, item: Item) -> list[Sample]:
        """The face, cut to the size of a set of pairs.

        Raises:
            SkippedItemError: its picture is damaged.
        """
        face: FaceDraws = item.payload
        corpus = self._open.setdefault(face.corpus, Corpus(face.corpus, {}))
        try:
            sample = corpus.load(face.record)
            crop = recrop(sample.image, sample.zoom, size=self.data.size, to_zoom=self.data.zoom)
        except DataError as error:
            raise SkippedItemError("unreadable", str(error)) from error
        mesh = crop_mesh(face.record, self.data)
        return [replace(sample, image=crop, mesh=mesh, zoom=self.data.zoom, extras={})]


@dataclass(frozen=True)
class Amplifier:
    """What a worker needs to make samples; models are opened where they are used.

    Attributes:
        backend: name of the backend.
        style: folder of the fitted style.
        strength: from where to where strengths are drawn.
        seed: of the run.
        expected: what the looks lead to expect.
        gates: the limits.
        embedder: tells whether the identity moved; none leaves that gate out.
    """

    backend: str
    style: Path
    strength: tuple[float, float]
    seed: int
    expected: Expected
    gates: GateConfig
    embedder: Gate | None

    def __getstate__(self) -> dict[str, Any]:
        """Only settings travel between processes."""
        return {k: v for k, v in self.__dict__.items() if k not in ("fitted", "checker")}

    @cached_property
    def fitted(self) -> Fitted:
        """The style."""
        return open_backend(self.backend).load(self.style)

    @cached_property
    def checker(self) -> Gates:
        """The gates with their embedder."""
        embed = None if self.embedder is None else self.embedder.load()
        return Gates(self.expected, embed, self.gates)

    def strengths(self, number: int, batch: int, draws: int) -> NDArray[np.float64]:
        """Spread evenly over the range and mixed, so that no two of one face are alike."""
        random = np.random.default_rng([self.seed, number, batch])
        low, high = self.strength
        # the middle half of each step, so that neighbours are no copies
        steps = (random.permutation(draws) + random.uniform(0.25, 0.75, draws)) / draws
        return low + (high - low) * steps


def amplify_chunk(
    task: CorpusTask, number: int, items: Sequence[Item], folder: Path, *, amplifier: Amplifier
) -> None:
    """Make up the faces of a chunk, judge the results, and write what is kept.

    Raises:
        PhotoWriteError: the shard could not be written; it does not exist then.
        ModelError: the style is missing or damaged.
    """
    began = perf_counter()
    made = _Chunk()
    for batch, start in enumerate(range(0, len(items), BATCH)):
        _one_batch(task, number, batch, items[start : start + BATCH], amplifier, made)
    if made.samples:
        write_shard(shard_path(folder, number), made.samples)
    summary = {
        "samples": [sample.key for sample, _ in made.samples],
        "rejected": made.rejected,
        "dropped": made.dropped,
        "scores": made.scores,
        "examples": made.examples,
        "seconds": round(perf_counter() - began, 3),
    }
    write_atomically(summary_path(folder, number), encode_json(summary), overwrite=True)


class _Chunk:
    """What a chunk has come to so far."""

    def __init__(self) -> None:
        self.samples: list[tuple[PairSample, bytes]] = []
        self.rejected: list[dict[str, Any]] = []
        self.dropped: list[dict[str, str]] = []
        self.scores: list[dict[str, float]] = []
        self.examples: list[dict[str, str]] = []
        self._shown = Counter[str]()

    def add(self, sample: PairSample, jpeg: bytes, verdict: Verdict) -> None:
        """Keep or reject a sample."""
        if verdict.reasons:
            self.rejected.append({**sample.labels, "reasons": list(verdict.reasons)})
        else:
            self.samples.append((sample, jpeg))
            self.scores.append(dict(verdict.scores))
        why = verdict.reasons[0] if verdict.reasons else ""
        if self._shown[why] < _EXAMPLES:
            self._shown[why] += 1
            both = side_by_side(sample.bare, sample.made)
            picture = Photo.from_array(both).to_bytes("JPEG", quality=90)
            note = _caption(sample.labels, verdict)
            data = base64.b64encode(picture).decode()
            self.examples.append({"reason": why, "caption": note, "jpeg": data})


def _one_batch(  # noqa: PLR0917  (what a chunk is made of)
    task: CorpusTask,
    number: int,
    batch: int,
    items: Sequence[Item],
    amplifier: Amplifier,
    into: _Chunk,
) -> None:
    found: list[tuple[FaceDraws, bytes, Bytes, CropFace]] = []
    for item in items:
        try:
            (sample,) = task.prepare(item)
        except SkippedItemError as error:
            line = {"key": item.key, "reason": error.reason, "detail": error.detail}
            into.dropped.append(line)
            continue
        jpeg, bare = encode_bare(sample.image)
        mesh = sample.mesh - np.array([_MARGIN, _MARGIN, 0], np.float32)
        middle = np.ascontiguousarray(bare[_MIDDLE, _MIDDLE])
        found.append((item.payload, jpeg, bare, CropFace(sample.key, middle, mesh)))
    if not found:
        return
    most = max(face.draws for face, *_ in found)
    kept: dict[str, list[Bytes]] = {}
    for draw, strength in enumerate(amplifier.strengths(number, batch, most)):
        wanted = [one for one in found if one[0].draws > draw]
        changes = amplifier.fitted.render(
            [face for *_, face in wanted], strength=float(strength), seed=amplifier.seed + draw
        )
        for (source, jpeg, bare, face), change in zip(wanted, changes, strict=True):
            made = np.rint(np.clip(face.crop + change, 0, 255)).astype(np.uint8)
            earlier = kept.setdefault(face.key, [])
            verdict = amplifier.checker.check(face, made, strength=float(strength), earlier=earlier)
            whole = bare.copy()
            whole[_MIDDLE, _MIDDLE] = made
            labels = {
                "key": f"{face.key}-{draw}",
                "face": face.key,
                "person": source.record.origin.person,
                "source": source.record.origin.source,
                "strength": round(float(strength), 4),
                "seed": amplifier.seed + draw,
                "scores": dict(verdict.scores),
            }
            if not verdict.reasons:
                earlier.append(made)
            into.add(PairSample(str(labels["key"]), bare, whole, labels), jpeg, verdict)


def _caption(labels: Any, verdict: Verdict) -> str:  # noqa: ANN401  (JSON)
    figures = ", ".join(f"{name} {value:.3g}" for name, value in verdict.scores.items())
    return f"{labels['key']}, strength {labels['strength']:.2f}: {figures}"


def summary_path(folder: Path, number: int) -> Path:
    """What says that a chunk is done."""
    return folder / f"chunk-{number:05d}.json"


def read_chunk(folder: Path, number: int) -> dict[str, Any]:
    """The summary of a finished chunk.

    Raises:
        DataError: it is damaged.
    """
    path = summary_path(folder, number)
    try:
        summary: dict[str, Any] = json.loads(path.read_bytes())
        missing = {"samples", "rejected", "dropped", "scores", "examples", "seconds"} - set(summary)
        if missing:
            raise ValueError(f"without {', '.join(sorted(missing))}")
        return summary
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"{path}: damaged ({error}); delete it, and the same command makes it again"
        ) from error
