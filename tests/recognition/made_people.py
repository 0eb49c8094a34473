"""People who are drawn, and a recogniser of a few weights that tells them apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from visagist.makeup.preview import drawn_face
from visagist.runtime.manifest import write_manifest

DIMENSION = 32
SIDE = 400


def person(number: int, shot: int = 0) -> np.ndarray:
    """(400, 400, 3) picture of a drawn face; each number has its own colours, each shot its place.

    The drawing is the same for all, so the detector and the mesh find everybody.
    """
    face, _ = drawn_face()
    side = face.shape[0]
    patches = np.random.default_rng([7, number]).normal(0, 10, (6, 6, 3))
    colours = np.stack(
        [
            np.asarray(Image.fromarray(p.astype(np.float32)).resize((side, side), 3))
            for p in np.moveaxis(patches, 2, 0)
        ],
        2,
    )
    small = face.astype(np.float32) + colours
    noise = np.random.default_rng([8, number, shot])
    small = np.clip(small * noise.uniform(0.985, 1.015) + noise.normal(0, 2, small.shape), 0, 255)
    size = int(noise.integers(280, 320))
    left, top = (int(v) for v in noise.integers(12, SIDE - size - 12, 2))
    picture = np.empty((SIDE, SIDE, 3), np.uint8)
    picture[:] = face[0, 0]
    picture[top : top + size, left : left + size] = np.asarray(
        Image.fromarray(small.astype(np.uint8)).resize((size, size), Image.Resampling.LANCZOS)
    )
    return picture


def network(dimension: int = DIMENSION, seed: int = 5) -> onnx.ModelProto:
    """Means over 14x14 blocks, less those of the drawing, times a matrix, at unit length."""
    cells = 3 * 8 * 8
    weight = np.random.default_rng(seed).normal(size=(cells, dimension)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node(
                "AveragePool", ["image"], ["blocks"], kernel_shape=[14, 14], strides=[14, 14]
            ),
            helper.make_node("Flatten", ["blocks"], ["flat"], axis=1),
            helper.make_node("Sub", ["flat", "drawing"], ["own"]),
            helper.make_node("MatMul", ["own", "weight"], ["vector"]),
            helper.make_node("LpNormalization", ["vector"], ["embedding"], axis=1, p=2),
        ],
        "recognizer",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 112, 112])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, dimension])],
        [
            numpy_helper.from_array(weight, "weight"),
            numpy_helper.from_array(_drawing(), "drawing"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def _drawing() -> np.ndarray:
    """(1, 192) block means of the drawing without anybody's colours."""
    from visagist.face.align import align, crop
    from visagist.recognition.crop import recognition_crop

    pixels, mesh = drawn_face()
    view = crop(pixels, recognition_crop(align(mesh))).astype(np.float32)
    blocks = view.reshape(8, 14, 8, 14, 3).mean((1, 3)).transpose(2, 0, 1)
    return ((blocks.reshape(1, -1) - 127.5) / 127.5).astype(np.float32)


def write_model(folder: Path, *, seed: int = 5, dimension: int = DIMENSION) -> Path:
    """A whole model folder."""
    folder.mkdir(parents=True)
    onnx.save(network(dimension, seed), folder / "model.onnx")
    (folder / "config.json").write_text(
        f'{{"kind": "recognizer", "input_size": 112, "embedding": {dimension}}}'
    )
    write_manifest(folder, name="drawn", version="1.0", licence="CC0-1.0", created_by="a test")
    return folder
