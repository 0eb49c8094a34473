"""Refuse ONNX files that point outside themselves, without needing the ``onnx`` package.

An ONNX tensor may say that its data lie in another file. That path has been a way out of the
model's folder again and again (CVE-2022-25882, CVE-2024-27318, CVE-2026-27489, CVE-2026-34446 and
-34447), for dense and sparse tensors alike. Our models are single files, so any such tensor means
that the file is not ours. The scan walks the protobuf wire format and follows only the fields that
can lead to a tensor; the numbers are those of ``onnx.proto3`` (opset-independent since IR 3).
"""

from __future__ import annotations

from collections.abc import Iterator

from visagist.errors import ModelDamagedError

__all__ = ["MAX_ONNX_BYTES", "refuse_unsafe_onnx"]

MAX_ONNX_BYTES = 64 * 1024 * 1024
"""Ten times the largest model of this project; a bigger file is a mistake or an attack."""

_MAX_DEPTH = 32
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# message -> {field number: message inside it}; everything else is skipped by its length.
_CHILDREN: dict[str, dict[int, str]] = {
    "Model": {7: "Graph", 20: "TrainingInfo", 25: "Function"},
    "TrainingInfo": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {
        5: "Tensor",
        6: "Graph",
        10: "Tensor",
        11: "Graph",
        22: "SparseTensor",
        23: "SparseTensor",
    },
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_GRAPH_FIELD = 7  # of a model


def refuse_unsafe_onnx(data: bytes, name: str = "model.onnx") -> None:
    """Check that ``data`` is one self-contained ONNX model.

    Args:
        data: the whole file.
        name: what to call it in the message.

    Raises:
        ModelDamagedError: it is empty, too big, a pickle or an archive, not a protobuf message
            with a graph, or it holds a tensor whose data lie in another file.
    """
    if len(data) > MAX_ONNX_BYTES:
        raise ModelDamagedError(
            f"{name} has {len(data):,} bytes, more than the limit of {MAX_ONNX_BYTES:,}; "
            "it is not a model of visagist"
        )
    if data[:4] == b"PK\x03\x04" or (data[:1] == b"\x80" and data[1:2] in b"\x02\x03\x04\x05"):
        raise ModelDamagedError(
            f"{name} is a pickle or an archive, not ONNX; such files can run code and are never "
            "loaded. Export the model again with `visagist export`"
        )
    message = memoryview(data)
    try:
        has_graph = any(number == _GRAPH_FIELD for number, _ in _fields(message))
        _walk(message, "Model", 0, name)
    except ValueError as error:
        raise ModelDamagedError(
            f"{name} is not a whole ONNX file ({error}); reinstall visagist or export it again"
        ) from error
    if not has_graph:
        raise ModelDamagedError(
            f"{name} holds no graph; reinstall visagist or export the model again"
        )


def _walk(message: memoryview, kind: str, depth: int, name: str) -> None:
    if depth > _MAX_DEPTH:
        raise ValueError(f"nested deeper than {_MAX_DEPTH}")
    children = _CHILDREN[kind]
    for number, value in _fields(message):
        if kind == "Tensor":
            if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0):
                raise ModelDamagedError(
                    f"{name} keeps weights in another file, which visagist never opens; "
                    "export it as a single file"
                )
        elif number in children and isinstance(value, memoryview):
            _walk(value, children[number], depth + 1, name)


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field number and value (a varint as int, anything else as its bytes) of one message."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise ValueError("a field has the number 0")
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == _BYTES:
            length, at = _varint(message, at)
        elif wire in {_FIXED32, _FIXED64}:
            length = 4 if wire == _FIXED32 else 8
        else:  # groups are not used by ONNX, and a parser could read them otherwise than we do
            raise ValueError(f"unknown wire type {wire}")
        if at + length > len(message):
            raise ValueError("it is cut off")
        yield number, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError("it is cut off")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number has more than ten bytes")
