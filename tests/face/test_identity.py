"""The judge of identity on an embedder of a few weights: block means times a random matrix."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from tests.makeup.made_face import drawn_face, drawn_mesh
from visagist.errors import ModelDamagedError, ModelMissingError
from visagist.face.identity import load_judge
from visagist.face.topology import five_points, mirror_index

DIMENSIONS = 24
# Eyes, nose tip and mouth corners of the 112x112 crop, image left first, as published recognisers
# have them; written out here so that a slip in the module's own table shows.
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655],
     [70.7299, 92.2041]]
)  # fmt: skip
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def tiny_embedder(shape=(1, 3, 112, 112)) -> onnx.ModelProto:
    """Means over 8x8 blocks, then a matrix: it tells left from right and sees every channel."""
    cells = 3 * (shape[2] // 8) * (shape[3] // 8)
    weight = np.random.default_rng(5).normal(size=(cells, DIMENSIONS)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node(
                "AveragePool", ["face"], ["blocks"], kernel_shape=[8, 8], strides=[8, 8]
            ),
            helper.make_node("Flatten", ["blocks"], ["flat"], axis=1),
            helper.make_node("MatMul", ["flat", "weight"], ["embedding"]),
        ],
        "embedder",
        [helper.make_tensor_value_info("face", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, DIMENSIONS])],
        [numpy_helper.from_array(weight, "weight")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


@pytest.fixture
def judge(tmp_path):
    onnx.save(tiny_embedder(), tmp_path / "judge.onnx")
    return load_judge(tmp_path / "judge.onnx")


def lopsided() -> tuple[np.ndarray, np.ndarray]:
    """A turned face lit from one side, so that its mirror image is another picture."""
    mesh = drawn_mesh(256, gape=4.0, turn=14.0)
    light = np.linspace(0.5, 1.1, 256)[None, :, None]
    return (drawn_face(mesh, 256) * light).clip(0, 255).astype(np.uint8), mesh


def test_the_embedding_is_of_unit_length_and_always_the_same(judge):
    pixels, mesh = lopsided()
    vector = judge(pixels, mesh)
    assert (vector.shape, vector.dtype) == ((DIMENSIONS,), np.float32)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert (judge(pixels, mesh) == vector).all()
    dark = drawn_face(drawn_mesh(256), 256, "deep")
    assert judge(dark, drawn_mesh(256)) @ vector < 0.98


def test_it_is_the_mean_of_both_mirror_images(judge):
    """In numpy: a picture whose crop is known, its blocks, and the embedder's matrix."""
    pixels, mesh = lopsided()
    fine = Image.fromarray(pixels)
    weight = numpy_helper.to_array(tiny_embedder().graph.initializer[0])
    # The least-squares similarity by hand: a and b of [[a, -b], [b, a]], and the shift.
    source, target = five_points(mesh), TEMPLATE
    rows = [[x, -y, 1, 0] for x, y in source] + [[y, x, 0, 1] for x, y in source]
    a, b, dx, dy = np.linalg.lstsq(np.array(rows), target.T.ravel(), rcond=None)[0]
    inverse = np.linalg.inv(np.array([[a, -b, dx], [b, a, dy], [0, 0, 1]]))[:2]
    view = np.asarray(
        fine.transform((112, 112), Image.Transform.AFFINE, tuple(inverse.ravel()), resample=3)
    )
    vectors = []
    for picture in (view, view[:, ::-1]):
        image = ((picture / 255 - MEAN) / STD).transpose(2, 0, 1)
        blocks = image.reshape(3, 14, 8, 14, 8).mean((2, 4))
        vector = blocks.ravel() @ weight
        vectors.append(vector / np.linalg.norm(vector))
    one, other = vectors
    assert one @ other < 0.95  # else the mean of both would show nothing
    mean = (one + other) / np.linalg.norm(one + other)
    assert judge(pixels, mesh) @ mean > 0.9995


def test_a_mirrored_picture_is_the_same_person(judge):
    pixels, mesh = lopsided()
    mirrored = mesh[mirror_index()].copy()
    mirrored[:, 0] = 256 - mirrored[:, 0]
    same = judge(pixels, mesh) @ judge(np.ascontiguousarray(pixels[:, ::-1]), mirrored)
    assert same > 0.999


def test_where_the_face_lies_in_the_photo_does_not_matter(judge):
    pixels, mesh = lopsided()
    photo = np.full((420, 500, 3), 20, np.uint8)
    photo[110:366, 180:436] = pixels
    assert judge(photo, mesh + np.float32([180, 110, 0])) @ judge(pixels, mesh) > 0.999


def test_five_points_are_ordered_as_in_the_picture():
    points = five_points(drawn_mesh(256))
    assert points.shape == (5, 2)
    (right, left, nose, right_mouth, left_mouth) = points
    assert right[0] < nose[0] < left[0]
    assert right_mouth[0] < nose[0] < left_mouth[0]
    assert right[1] < nose[1] < right_mouth[1]


@pytest.mark.parametrize("shape", [(1, 3, 96, 96), (1, 3, 112, 96), (1, 1, 112, 112)])
def test_another_input_is_refused(tmp_path, shape):
    path = tmp_path / "other.onnx"
    model = tiny_embedder((1, 3, *shape[2:]))
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = shape[1]
    if shape[1] == 1:  # a matrix that fits, so that only the judge finds fault
        weight = numpy_helper.to_array(model.graph.initializer[0])[: 14 * 14]
        model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "weight"))
    onnx.save(model, path)
    with pytest.raises(ModelDamagedError, match="112x112"):
        load_judge(path)


def test_files_that_are_none(tmp_path):
    with pytest.raises(ModelMissingError, match=r"nowhere\.onnx"):
        load_judge(tmp_path / "nowhere.onnx")
    wrong = tmp_path / "text.onnx"
    wrong.write_text("not a network", encoding="utf-8")
    with pytest.raises(ModelDamagedError):
        load_judge(wrong)
