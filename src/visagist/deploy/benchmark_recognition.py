"""Time from a photo to a template, and of the embedding network beside a floor and a ceiling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from visagist.deploy.machine import machine
from visagist.deploy.timing import fit, in_turns
from visagist.errors import NoFaceError
from visagist.face.align import crop
from visagist.face.detect import default_detector
from visagist.face.find import default_mesher, find_faces
from visagist.makeup.preview import drawn_face
from visagist.photo import Photo
from visagist.recognition.crop import INPUT_SIZE, recognition_crop
from visagist.recognition.inference import Recognizer
from visagist.recognition.quality import measure
from visagist.runtime.session import make_session
from visagist.runtime.store import open_model

CEILING_MS = 2.5
"""What the network may take at most on one thread of the reference machine."""


def benchmark_recognition(
    *, model: str = "recognizer", photo: NDArray[np.uint8] | None = None, runs: int = 200
) -> dict[str, Any]:
    """Time the network and the way from a photo's bytes to a template, on one thread.

    Args:
        model: name or folder of the model.
        photo: (H, W, 3) uint8 with one face; a drawn face when ``None``.
        runs: repetitions of the network; the pipeline gets a tenth.

    Returns:
        ``embed_ms`` (the network alone), ``floor_ms`` (one pointwise layer of the same input: the
        cost of a call), ``ceiling_ms`` (what it may take), ``template_ms`` (the bytes of a
        1024x1024 photo to its template),
        ``megabytes`` of the network, the machine, and ``table`` with every row.

    Raises:
        NoFaceError: the photo shows no face.
    """
    files = open_model(model)
    recognizer = Recognizer(files)
    image = np.random.default_rng(0).uniform(-1, 1, (1, 3, INPUT_SIZE, INPUT_SIZE))
    feed = {"image": image.astype(np.float32)}
    network: Any = make_session(files.onnx)
    floor: Any = make_session(_pointwise())
    calls: Mapping[str, Callable[[], object]] = {
        "network": lambda: network.run(None, feed),
        "floor (one pointwise layer)": lambda: floor.run(None, feed),
    }
    table: dict[str, Any] = dict(in_turns(calls, runs=runs))
    picture = fit(drawn_face()[0] if photo is None else photo, (1024, 1024))
    steps = _steps(recognizer, picture)
    table |= in_turns(steps, runs=max(5, runs // 10))
    return {
        "embed_ms": table["network"]["median_ms"],
        "floor_ms": table["floor (one pointwise layer)"]["median_ms"],
        "ceiling_ms": CEILING_MS,
        "template_ms": table["photo to template"]["median_ms"],
        "megabytes": round(len(files.onnx) / 1e6, 3),
        "model_id": recognizer.model_id,
        "machine": machine(),
        "table": table,
    }


def benchmark_search(people: int, *, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Fields of a gallery of so many people, see :mod:`visagist.gallery.benchmark`.

    Those of the search are named by the size: ``search_100k_p50_ms``, ``search_100k_megabytes``.
    """
    # here, since sealing needs an extra that timing the network does not
    from visagist.gallery.benchmark import benchmark_gallery  # noqa: PLC0415

    size = f"{people // 1000}k" if people >= 1000 and people % 1000 == 0 else str(people)
    found = benchmark_gallery(people, progress=progress)
    named = {
        key.replace("search_", f"search_{size}_"): value
        for key, value in found.items()
        if key.startswith("search_")
    }
    return {
        **named,
        f"search_{size}_floor_ms": found["floor_p50_ms"],
        f"search_{size}_ceiling_ms": found["ceiling_p50_ms"],
        f"search_{size}_megabytes": found["megabytes"],
        "enroll_per_s": found["enroll_per_s"],
        "enroll_many_per_s": found["enroll_many_per_s"],
        "gallery": found,
    }


def _steps(recognizer: Recognizer, picture: NDArray[np.uint8]) -> dict[str, Callable[[], object]]:
    encoded = Photo.from_array(picture).to_bytes("JPEG")
    pixels = Photo.open(encoded).pixels
    faces = find_faces(pixels)
    if not faces:
        raise NoFaceError("no face in the photo; give one with a clearly visible face")
    face, detector, mesher = faces[0], default_detector(), default_mesher()
    return {
        "decode": lambda: Photo.open(encoded),
        "detect": lambda: detector.detect(pixels),
        "mesh": lambda: mesher.predict(pixels, face.detection),
        "quality": lambda: measure(pixels, face, recognizer.parser),
        "align": lambda: crop(pixels, recognition_crop(face.alignment())),
        "embed": lambda: recognizer.embed(pixels, face),
        "photo to template": lambda: recognizer.template(Photo.open(encoded), pick=0, gate=False),
    }


def _pointwise() -> bytes:
    shape = [1, 3, INPUT_SIZE, INPUT_SIZE]
    graph = helper.make_graph(
        [helper.make_node("Relu", ["image"], ["out"])],
        "floor",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)],
    )
    made: onnx.ModelProto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10
    )
    return bytes(made.SerializeToString())
