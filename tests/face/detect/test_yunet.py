import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from visagist.errors import InputError, ModelDamagedError, ModelMissingError
from visagist.face.detect import Detector, YuNetDetector
from visagist.face.detect.yunet import decode_stride

SIDE = 64
HEADS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}


def fake_yunet(*, input_shape=(1, 3, SIDE, SIDE), leave_out="", channels=None):
    """YuNet's interface; a stride-32 cell is a face where the picture's BLUE is strong."""
    constants, outputs = [], []

    def constant(name, array):
        constants.append(numpy_helper.from_array(array, name))

    nodes = [
        # start 0, end 1, axis 1: the first plane
        helper.make_node("Slice", ["input", "zero", "one", "one"], ["blue"]),
        helper.make_node("MaxPool", ["blue"], ["peak"], kernel_shape=[32, 32], strides=[32, 32]),
        helper.make_node("Div", ["peak", "full"], ["share"]),
        helper.make_node("Reshape", ["share", "shape"], ["obj_32"]),
    ]
    constant("zero", np.array([0], np.int64))
    constant("one", np.array([1], np.int64))
    constant("full", np.array(255, np.float32))
    constant("shape", np.array([1, 4, 1], np.int64))
    for head, width in {**HEADS, **(channels or {})}.items():
        for stride in (8, 16, 32):
            name, cells = f"{head}_{stride}", (SIDE // stride) ** 2
            if name == leave_out:
                continue
            outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
            if name != "obj_32":
                value = 1.0 if name == "cls_32" else 0.0
                constant(f"{name}_value", np.full((1, cells, width), value, np.float32))
                nodes.append(helper.make_node("Identity", [f"{name}_value"], [name]))
    picture = helper.make_tensor_value_info("input", TensorProto.FLOAT, input_shape)
    graph = helper.make_graph(nodes, "yunet", [picture], outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture
def write(tmp_path):
    def writer(**kwargs):
        path = tmp_path / "yunet.onnx"
        onnx.save(fake_yunet(**kwargs), path)
        return path

    return writer


def test_blue_is_the_first_plane_and_boxes_return_to_photo_pixels(write):
    detector = YuNetDetector(write())
    assert isinstance(detector, Detector)
    pixels = np.zeros((128, 128, 3), np.uint8)
    pixels[80:110, 80:110, 2] = 255
    found = detector.detect(pixels)
    # cell (1, 1) of stride 32 on a copy half as large: its corner is photo pixel (64, 64)
    assert len(found) == 1
    assert found[0].box == pytest.approx((32, 32, 96, 96))
    assert found[0].score == pytest.approx(1.0, abs=0.02)
    assert np.allclose(found[0].points, 64)
    assert found[0].points.shape == (5, 2)


def test_red_is_not_blue(write):
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:, :, 0] = 255
    assert YuNetDetector(write()).detect(pixels) == []


@pytest.mark.parametrize("shape", [(1, 1), (16, 16), (5000, 3), (3, 700)])
def test_odd_shapes(write, shape):
    assert YuNetDetector(write()).detect(np.zeros((*shape, 3), np.uint8)) == []


def test_a_network_without_yunets_outputs_is_refused(write):
    with pytest.raises(ModelDamagedError, match="not a YuNet network"):
        YuNetDetector(write(leave_out="kps_16"))


def test_a_network_with_other_channels_is_refused(write):
    detector = YuNetDetector(write(channels={"bbox": 5}))
    with pytest.raises(ModelDamagedError, match="bbox_8"):
        detector.detect(np.zeros((64, 64, 3), np.uint8))


def test_a_side_that_strides_do_not_divide_is_refused(write):
    with pytest.raises(ModelDamagedError, match="multiples"):
        YuNetDetector(write(input_shape=(1, 3, 100, 100)))


def test_files_that_are_none(tmp_path):
    with pytest.raises(ModelMissingError, match="cannot be read"):
        YuNetDetector(tmp_path / "nowhere.onnx")
    with pytest.raises(ModelMissingError, match="cannot be read"):
        YuNetDetector(tmp_path)
    wrong = tmp_path / "text.onnx"
    wrong.write_text("not a network", encoding="utf-8")
    with pytest.raises(ModelDamagedError):
        YuNetDetector(wrong)


def test_a_side_below_one_cell_is_refused(tmp_path):
    with pytest.raises(InputError, match="side"):
        YuNetDetector(tmp_path / "any.onnx", side=31)


@given(st.integers(1, 6), st.integers(1, 6), st.sampled_from([8, 16, 32]), st.integers(0, 9999))
def test_decoding_agrees_with_the_formulas(rows, columns, stride, seed):
    rng = np.random.default_rng(seed)
    heads = {k: rng.uniform(0, 1, (rows * columns, n)).astype(np.float32) for k, n in HEADS.items()}
    boxes, scores, points = decode_stride(heads, columns, stride, 0.5)
    k = 0
    for cell in range(rows * columns):
        score = float(heads["cls"][cell, 0] * heads["obj"][cell, 0]) ** 0.5
        if abs(score - 0.5) < 1e-6:
            return
        if score < 0.5:
            continue
        column, row = cell % columns, cell // columns
        dx, dy, lw, lh = heads["bbox"][cell].tolist()
        x, y, w, h = (column + dx) * stride, (row + dy) * stride, np.exp(lw), np.exp(lh)
        expected = [x - w * stride / 2, y - h * stride / 2, x + w * stride / 2, y + h * stride / 2]
        assert boxes[k] == pytest.approx(expected, rel=1e-4, abs=1e-3)
        assert scores[k] == pytest.approx(score, abs=1e-5)
        nose = heads["kps"][cell, 4:6] + [column, row]
        assert points[k, 2] == pytest.approx(nose * stride, rel=1e-4)
        k += 1
    assert len(boxes) == len(scores) == len(points) == k
