"""Time of the makeup network and of every step around it, beside the released layer table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from visagist.deploy.export import to_onnx
from visagist.deploy.machine import machine
from visagist.deploy.timing import Timing, fit, in_turns
from visagist.errors import NoFaceError
from visagist.face.align import crop
from visagist.face.detect import default_detector
from visagist.face.mesh.inference import MeshPredictor
from visagist.face.parser.inference import Parser
from visagist.face.paste import paste_residual
from visagist.makeup.inference import Makeup
from visagist.makeup.preview import drawn_face
from visagist.makeup.released import ReleasedTinyBeauty
from visagist.makeup.zones import PARTS, gain_map
from visagist.photo import Photo
from visagist.runtime.session import make_session
from visagist.runtime.store import ModelFiles, open_model


def benchmark(
    *, model: str = "makeup-tiny", photo: NDArray[np.uint8] | None = None, runs: int = 200
) -> dict[str, Any]:
    """Time the network and the pipeline on this machine.

    Networks are timed in turns, so that a busy moment of the machine meets all of them.

    Args:
        model: name or folder of the model.
        photo: (H, W, 3) uint8 with one face; a drawn face when ``None``.
        runs: repetitions of each network; the pipeline gets a tenth.

    Returns:
        ``network_ms``, ``released_ms``, ``floor_ms`` (an identity network: the cost of a call)
        and ``parser_ms`` for one thread, ``speedup``, ``pipeline_ms`` for a 1024x1024 photo, the
        machine, and ``table`` with every row.

    Raises:
        NoFaceError: the photo shows no face.
    """
    files = open_model(model)
    size = int(files.config["input_size"])
    image = np.random.default_rng(0).uniform(-1, 1, (1, 3, size, size)).astype(np.float32)
    code = np.full((1, len(files.config["styles"])), 0.1, np.float32)
    released = to_onnx(
        ReleasedTinyBeauty().eval(), [torch.from_numpy(image)], ["image"], ["residual"]
    )
    floor = to_onnx(torch.nn.ReLU(), [torch.from_numpy(image)], ["image"], ["residual"])
    parser = open_model("face-parser")
    side = int(parser.config["input_size"])
    portrait = np.random.default_rng(1).uniform(-1, 1, (1, 3, side, side)).astype(np.float32)
    table: dict[str, Any] = {}
    for threads in (1, 2):
        sessions: Mapping[str, Callable[[], object]] = {
            "network": _call(files.onnx, threads, image, code),
            "released layer table": _call(released, threads, image),
            "floor (one pointwise layer)": _call(floor, threads, image),
            "parser": _call(parser.onnx, threads, portrait),
        }
        for name, timing in in_turns(sessions, runs=runs).items():
            table[f"{name}, {threads} thread{'s' * (threads > 1)}"] = timing
    picture = drawn_face()[0] if photo is None else photo
    for label, box in (("1024x1024", (1024, 1024)), ("12 MP", (4000, 3000))):
        table |= _pipeline(files, fit(picture, box), label, max(5, runs // 10))
    network = table["network, 1 thread"]["median_ms"]
    old = table["released layer table, 1 thread"]["median_ms"]
    return {
        "network_ms": network,
        "released_ms": old,
        "floor_ms": table["floor (one pointwise layer), 1 thread"]["median_ms"],
        "speedup": round(old / network, 1),
        "parser_ms": table["parser, 1 thread"]["median_ms"],
        "pipeline_ms": table["1024x1024: all steps"]["median_ms"],
        "machine": machine(),
        "table": table,
    }


def _call(data: bytes, threads: int, *inputs: NDArray[np.float32]) -> Callable[[], object]:
    session: Any = make_session(data, threads=threads)
    feeds = {i.name: x for i, x in zip(session.get_inputs(), inputs, strict=True)}
    return lambda: session.run(None, feeds)


def _pipeline(
    files: ModelFiles, picture: NDArray[np.uint8], label: str, runs: int
) -> dict[str, Timing]:
    """Every step from the bytes of a JPEG to the bytes of a JPEG, one thread."""
    encoded = Photo.from_array(picture).to_bytes("JPEG")
    parser = Parser.from_pretrained()
    makeup, mesher, detector = (
        Makeup(files, parser=parser),
        MeshPredictor.from_pretrained(),
        default_detector(),
    )
    bare = Makeup(files)
    photo = Photo.open(encoded)
    found = detector.detect(photo.pixels)
    if not found:
        raise NoFaceError(f"no face in the photo at {label}; give one with a clearly visible face")
    detection, style = found[0], makeup.styles[0]
    mesh, _ = mesher.predict(photo.pixels, detection)
    result = makeup.apply(photo, style=style, faces="largest")
    alignment = result.faces[0].alignment(makeup.size)
    view = crop(photo.pixels, alignment)
    code = makeup.style_code({style: 1.0})
    change = makeup.residual(view, code)
    strengths = dict.fromkeys(PARTS, 1.0)
    in_crop = alignment.to_crop(mesh)
    gain = gain_map(in_crop, makeup.size, strengths)
    steps: dict[str, Callable[[], object]] = {
        "decode": lambda: Photo.open(encoded),
        "detect": lambda: detector.detect(photo.pixels),
        "mesh": lambda: mesher.predict(photo.pixels, detection),
        "align": lambda: crop(photo.pixels, alignment),
        "network": lambda: makeup.residual(view, code),
        "parser": lambda: parser.uncovered(photo.pixels, alignment),
        "gain map": lambda: gain_map(in_crop, makeup.size, strengths),
        "paste": lambda: paste_residual(photo.pixels, change * gain[..., None], alignment),
        "encode": lambda: result.photo.to_bytes("JPEG"),
        "all steps": lambda: makeup.apply(
            Photo.open(encoded), style=style, faces="largest"
        ).photo.to_bytes("JPEG"),
        "all steps without the parser": lambda: bare.apply(
            Photo.open(encoded), style=style, faces="largest"
        ).photo.to_bytes("JPEG"),
    }
    return {f"{label}: {name}": timing for name, timing in in_turns(steps, runs=runs).items()}
