"""Time of a swap network a frame, beside the published layout and a smaller one, and of a swap."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module, util
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from visagist.deploy.export_swap import MODEL, swap_files
from visagist.deploy.machine import machine
from visagist.deploy.timing import fit, in_turns
from visagist.errors import NoFaceError
from visagist.face.align import crop
from visagist.face.find import find_faces
from visagist.face.parser.inference import Parser
from visagist.face.paste import paste_crop
from visagist.face.regions import region_masks
from visagist.makeup.preview import drawn_face
from visagist.photo import Photo
from visagist.recognition.inference import Recognizer
from visagist.runtime.session import make_session
from visagist.runtime.store import ModelFiles, open_model
from visagist.swap.colour import match_light
from visagist.swap.config import NetworkConfig
from visagist.swap.inference import CONSTANTS, Swapper, soft_mask
from visagist.swap.network import make_network

__all__ = ["benchmark_swap"]

Call = Callable[[], object]
OURS, PAPER, LIVE, SOURCE = "network", "paper's layout", "live network", "constants, once a source"
PUBLISHED = NetworkConfig(kind="paper", embedding=512, width=64)
CEILING_MS = 40.0
"""What the network may take at most on one AVX-512 thread in float32."""


def benchmark_swap(
    *,
    model: str = "swap",
    live: str | None = None,
    encoder: str = "recognizer",
    photo: NDArray[np.uint8] | None = None,
    runs: int = 30,
) -> dict[str, Any]:
    """Time networks in turns, so that a busy moment of the machine meets all of them.

    Args:
        model: name or folder.
        live: name or folder of the smaller network; left out when ``None``.
        encoder: name or folder of the recogniser that the model was trained with.
        photo: (H, W, 3) uint8 with one face; a drawn face when ``None``.
        runs: repetitions of everything.

    Returns:
        ``network_ms``; ``paper_layout_ms``, the published generator at width 64 with random weights
        (identity as constants and zero padding, which only make it faster); ``live_ms`` and
        ``live_best_ms``, ``None`` without ``live``;
        ``speedup``, the second over the first; ``best_ms`` and ``best_engine``, the fastest way to
        run ``model`` at hand (precisions in its folder, OpenVINO where it is installed);
        ``swap_ms``, a 1024x1024 photo, decoded, to the swapped one; all medians of one thread;
        ``ceiling_ms``, the machine, and ``table``.

    Raises:
        ModelError: a model cannot be opened.
        NoFaceError: the photo shows no face.
    """
    files = open_model(model)
    parser = Parser.from_pretrained()
    engine = Swapper(files, encoder=Recognizer.from_pretrained(encoder), parser=parser)
    torch.manual_seed(0)
    published, cost = swap_files(make_network(PUBLISHED))
    calls: dict[str, Call] = {OURS: _call(files.onnx), PAPER: _call(published[MODEL])}
    engines = _engines(files, OURS)
    calls |= engines | {SOURCE: _call(files.network(CONSTANTS))}
    if live is not None:
        smaller = open_model(live)
        calls |= {LIVE: _call(smaller.onnx)} | _engines(smaller, LIVE)
    table: dict[str, Any] = dict(in_turns(calls, runs=runs))
    ways = [OURS, *engines]
    best = min(ways, key=lambda name: float(table[name]["median_ms"]))
    steps = _steps(engine, parser, fit(drawn_face()[0] if photo is None else photo, (1024, 1024)))
    table |= in_turns(steps, runs=max(5, runs // 3))
    ours, theirs = (float(table[name]["median_ms"]) for name in (OURS, PAPER))
    return {
        "network_ms": ours,
        "paper_layout_ms": theirs,
        "live_ms": table[LIVE]["median_ms"] if live is not None else None,
        "live_best_ms": min(
            (float(t["median_ms"]) for name, t in table.items() if name.startswith(LIVE)),
            default=None,
        ),
        "speedup": round(theirs / ours, 2),
        "best_ms": table[best]["median_ms"],
        "best_engine": best,
        "swap_ms": table["swap, all steps"]["median_ms"],
        "ceiling_ms": CEILING_MS,
        "model_id": engine.model_id,
        "params": files.config.get("params"),
        "gmac": files.config.get("gmac"),
        "megabytes": round((len(files.onnx) + len(files.network(CONSTANTS))) / 1e6, 3),
        "paper": {name: cost[name] for name in ("params", "gmac", "megabytes")},
        "machine": machine(),
        "table": table,
    }


def _feeds(inputs: list[Any]) -> dict[str, NDArray[np.float32]]:
    """Fixed numbers for every input."""
    rng = np.random.default_rng(0)
    return {
        i.name: rng.uniform(-1, 1, [int(n) for n in i.shape]).astype(np.float32) for i in inputs
    }


def _call(data: bytes) -> Call:
    session: Any = make_session(data)
    feed = _feeds(session.get_inputs())
    return lambda: session.run(None, feed)


def _engines(files: ModelFiles, told_as: str) -> dict[str, Call]:
    """Other ways to run the same network that are at hand."""
    names = sorted(
        n for n in files.manifest.files if n.startswith("model-") and n.endswith(".onnx")
    )
    calls = {
        f"{told_as}, {n.removeprefix('model-').removesuffix('.onnx')}": _call(files.network(n))
        for n in names
    }
    if util.find_spec("openvino") is None:
        return calls
    openvino: Any = import_module("openvino")
    core = openvino.Core()
    for told, precision in (("float32", "f32"), ("bfloat16", "bf16")):
        compiled = core.compile_model(
            core.read_model(files.onnx),
            "CPU",
            {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": precision},
        )
        calls[f"{told_as}, OpenVINO {told}"] = _openvino_call(compiled, _feeds_of(files))
    return calls


def _feeds_of(files: ModelFiles) -> dict[str, NDArray[np.float32]]:
    session: Any = make_session(files.onnx)
    return _feeds(session.get_inputs())


def _openvino_call(compiled: Any, feed: dict[str, NDArray[np.float32]]) -> Call:  # noqa: ANN401
    return lambda: compiled(feed)


def _steps(engine: Swapper, parser: Parser, picture: NDArray[np.uint8]) -> dict[str, Call]:
    """Every step from decoded pixels to the swapped photo."""
    photo = Photo.from_array(picture)
    faces = find_faces(picture)
    if not faces:
        raise NoFaceError("no face in the photo; give one with a clearly visible face")
    face, identity = faces[0], engine.source(photo)
    alignment = face.alignment(engine.size)
    view = crop(picture, alignment)
    mesh = alignment.to_crop(face.mesh)
    free = parser.uncovered(picture, alignment)
    laid = engine.laid(view, mesh, identity.looks, free=free)
    image, mask = engine.render(view, identity.constants, laid)
    soft = soft_mask(mask)
    skin = region_masks(mesh, engine.size).skin * soft
    return {
        "find": lambda: find_faces(picture),
        "align": lambda: crop(picture, alignment),
        "guide": lambda: engine.laid(view, mesh, identity.looks, free=free),
        "render": lambda: engine.render(view, identity.constants, laid),
        "mask": lambda: soft_mask(mask),
        "parser": lambda: parser.uncovered(picture, alignment),
        "skin region": lambda: region_masks(mesh, engine.size),
        "colour": lambda: match_light(image, view, skin),
        "paste": lambda: paste_crop(picture, image, soft, alignment),
        "swap, face known": lambda: engine.swap(photo, identity, found=[face]),
        "swap, all steps": lambda: engine.swap(photo, identity),
    }
