"""A swap model of a few bytes whose answer can be computed by hand, and an encoder for it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from visagist.face.types import Face
from visagist.runtime.manifest import write_manifest

DIMENSION, CONSTANTS, SIZE = 128, 6, 256


def disc(size: int = SIZE, radius: float = 0.3) -> np.ndarray:
    y, x = (np.mgrid[:size, :size] + 0.5) / size - 0.5
    return (np.hypot(x, y) < radius).astype(np.float32)


def _model(graph: onnx.GraphProto) -> bytes:
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString()


def _info(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


def network(size: int = SIZE, mask: np.ndarray | None = None, *, guided: bool = False) -> bytes:
    """image = 0.5 target + the first three constants; mask = a disc.

    With ``guided`` image = the guide's picture + the first three constants.
    """
    mask = disc(size) if mask is None else mask
    held = {
        "half": np.full((1,), 0.5, np.float32),
        "start": np.array([0], np.int64),
        "end": np.array([3], np.int64),
        "axis": np.array([1], np.int64),
        "shape": np.array([1, 3, 1, 1], np.int64),
        "kept": mask[None, None],
    }
    nodes = [
        helper.make_node("Mul", ["target", "half"], ["dim"]),
        helper.make_node("Slice", ["constants", "start", "end", "axis"], ["three"]),
        helper.make_node("Reshape", ["three", "shape"], ["colour"]),
        helper.make_node("Add", ["dim", "colour"], ["image"]),
        helper.make_node("Identity", ["kept"], ["mask"]),
    ]
    inputs = [_info("target", 1, 3, size, size), _info("constants", 1, CONSTANTS)]
    if guided:
        inputs.append(_info("guide", 1, 4, size, size))
        nodes[0] = helper.make_node("Slice", ["guide", "start", "end", "axis"], ["dim"])
        del held["half"]
    graph = helper.make_graph(
        nodes,
        "swap",
        inputs,
        [_info("image", 1, 3, size, size), _info("mask", 1, 1, size, size)],
        [numpy_helper.from_array(v, k) for k, v in held.items()],
    )
    return _model(graph)


def weights() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.3, (DIMENSION, CONSTANTS)).astype(np.float32)


def maker(dimension: int | str = DIMENSION) -> bytes:
    """constants = identity W."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["identity", "w"], ["constants"])],
        "constants",
        [_info("identity", 1, dimension)],
        [_info("constants", 1, CONSTANTS)],
        [numpy_helper.from_array(weights(), "w")],
    )
    return _model(graph)


def write_swap_model(
    folder: Path,
    *,
    mask: np.ndarray | None = None,
    size: int = SIZE,
    guided: bool = False,
    **config: object,
) -> Path:
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(network(size, mask, guided=guided))
    (folder / "constants.onnx").write_bytes(maker())
    (folder / "config.json").write_text(json.dumps({"kind": "swap", **config}))
    (folder / "card.md").write_text("For tests.\n")
    write_manifest(folder, name="swap-test", version="1", licence="CC0-1.0", created_by="a test")
    return folder


class FakeEncoder:
    """Tells faces apart by where they are: those on the left half are one person."""

    model_id = "fake-1-000000000000"

    def embed(self, pixels: np.ndarray, face: Face) -> np.ndarray:
        left = face.mesh[:, 0].mean() < pixels.shape[1] / 2
        return person(0 if left else 1)


def person(number: int) -> np.ndarray:
    vector = np.zeros(DIMENSION, np.float32)
    vector[number] = 1
    return vector
