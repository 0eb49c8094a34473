from __future__ import annotations

import pickle

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import AttributeProto, TensorProto, helper

from tests.runtime.small_models import doubling_model
from visagist.errors import ModelDamagedError
from visagist.runtime.onnx_scan import MAX_ONNX_BYTES, refuse_unsafe_onnx

WHOLE = doubling_model().SerializeToString()


def external() -> TensorProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    return tensor


def test_a_whole_model_passes() -> None:
    refuse_unsafe_onnx(WHOLE)


def dense(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(external())


def only_the_location(model: onnx.ModelProto) -> None:
    tensor = external()
    del tensor.external_data[:]
    model.graph.initializer.append(tensor)


def only_the_entries(model: onnx.ModelProto) -> None:
    tensor = external()
    tensor.ClearField("data_location")
    model.graph.initializer.append(tensor)


def sparse_values(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add().values.CopyFrom(external())


def sparse_indices(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add().indices.CopyFrom(external())


def constant(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=external()))


def constant_list(model: onnx.ModelProto) -> None:
    attribute = model.graph.node[0].attribute.add(name="ts", type=AttributeProto.TENSORS)
    attribute.tensors.append(external())


def sparse_attribute(model: onnx.ModelProto) -> None:
    attribute = model.graph.node[0].attribute.add(name="s", type=AttributeProto.SPARSE_TENSOR)
    attribute.sparse_tensor.values.CopyFrom(external())


def branch(model: onnx.ModelProto) -> None:
    inner = helper.make_graph([], "inner", [], [], [external()])
    model.graph.node[0].attribute.append(helper.make_attribute("then_branch", inner))


def branches(model: onnx.ModelProto) -> None:
    attribute = model.graph.node[0].attribute.add(name="gs", type=AttributeProto.GRAPHS)
    attribute.graphs.add().initializer.append(external())


def function(model: onnx.ModelProto) -> None:
    body = model.functions.add(name="f", domain="d")
    body.node.append(helper.make_node("Constant", [], ["c"], value=external()))


def training(model: onnx.ModelProto) -> None:
    model.training_info.add().algorithm.initializer.append(external())


@pytest.mark.parametrize(
    "hide",
    [
        dense,
        only_the_location,
        only_the_entries,
        sparse_values,
        sparse_indices,
        constant,
        constant_list,
        sparse_attribute,
        branch,
        branches,
        function,
        training,
    ],
    ids=lambda hide: hide.__name__,
)
def test_external_data_is_refused_wherever_it_hides(hide) -> None:
    model = doubling_model()
    hide(model)
    with pytest.raises(ModelDamagedError, match="another file"):
        refuse_unsafe_onnx(model.SerializeToString(), "bad.onnx")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_is_refused(protocol: int) -> None:
    with pytest.raises(ModelDamagedError, match="pickle"):
        refuse_unsafe_onnx(pickle.dumps({"a": 1}, protocol=protocol))


def test_a_torch_archive_is_refused() -> None:
    with pytest.raises(ModelDamagedError, match="pickle or an archive"):
        refuse_unsafe_onnx(b"PK\x03\x04" + bytes(100))


@pytest.mark.parametrize("data", [b"", b"\x08\x0a", b"hello", bytes(100)], ids=repr)
def test_what_is_not_a_model_is_refused(data: bytes) -> None:
    with pytest.raises(ModelDamagedError):
        refuse_unsafe_onnx(data)


def test_nesting_has_a_limit() -> None:
    graph = helper.make_graph([], "innermost", [], [])
    for _ in range(20):
        node = helper.make_node("If", ["c"], [])
        node.attribute.append(helper.make_attribute("then_branch", graph))
        graph = helper.make_graph([node], "outer", [], [])
    with pytest.raises(ModelDamagedError, match="nested"):
        refuse_unsafe_onnx(helper.make_model(graph).SerializeToString())


def test_size_has_a_limit() -> None:
    with pytest.raises(ModelDamagedError, match="limit"):
        refuse_unsafe_onnx(bytes(MAX_ONNX_BYTES + 1))


@given(st.integers(0, len(WHOLE) - 1))
def test_a_cut_file_is_refused_or_still_walks(length: int) -> None:
    # A cut exactly between two fields is a valid message; the manifest's hash catches that one.
    try:
        refuse_unsafe_onnx(WHOLE[:length])
    except ModelDamagedError:
        return
    onnx.ModelProto.FromString(WHOLE[:length])


@given(st.binary(max_size=400))
def test_any_bytes_end_in_a_verdict(data: bytes) -> None:
    try:
        refuse_unsafe_onnx(data)
    except ModelDamagedError as error:
        assert "model.onnx" in str(error)


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_a_changed_byte_never_hides_an_external_tensor(at: int, value: int) -> None:
    changed = bytearray(WHOLE)
    changed[at] = value
    try:
        parsed = onnx.ModelProto.FromString(bytes(changed))
    except Exception:  # noqa: BLE001 - the parser's own refusal, whatever its type in this protobuf build
        return
    outside = any(t.data_location or t.external_data for t in parsed.graph.initializer)
    if outside:
        with pytest.raises(ModelDamagedError):
            refuse_unsafe_onnx(bytes(changed))
