"""People who are drawn, and a recogniser of a few weights that tells them apart."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from tests.face.drawn import drawn_face
from visagist.face.align import crop
from visagist.face.find import find_faces
from visagist.recognition.crop import recognition_crop
from visagist.runtime.manifest import write_manifest

DIMENSION = 32
SIDE = 240


def person(number: int, shot: int = 0) -> np.ndarray:
    """(240, 240, 3) picture of a drawn face; each number has its own colours, each shot its place.

    The drawing is the same for all, so the detector and the mesh find everybody.
    """
    place = np.random.default_rng([8, number, shot]).integers(10, 30, 2)
    patches = np.random.default_rng([7, number]).normal(0, 10, (3, 6, 6)).astype(np.float32)
    large = [Image.fromarray(p).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for p in patches]
    colours = np.roll(np.stack([np.asarray(p) for p in large], 2), place[::-1] - 20, (0, 1))
    face = drawn_face(200, canvas=(SIDE, SIDE), at=(int(place[0]), int(place[1])))
    return np.clip(face + colours, 0, 255).astype(np.uint8)


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
            numpy_helper.from_array(_block_means(), "drawing"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


@cache
def _block_means() -> np.ndarray:
    """(1, 192) block means of the drawing without anybody's colours."""
    pixels = drawn_face(200, canvas=(SIDE, SIDE), at=(20, 20))
    view = crop(pixels, recognition_crop(find_faces(pixels)[0].alignment())).astype(np.float32)
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
