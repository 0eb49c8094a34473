"""Verification sets packed as ``.bin`` files: AgeDB-30, LFW, CFP-FP, CALFW, CPLFW as crops.

A ``.bin`` is a pickle, and a pickle is a program. The reader here runs none: every name that the
file asks for is answered with a plain stand-in that only keeps what it is given, or refused. Lists,
bytes and booleans come from the pickle format itself; arrays are put together from their bytes by
:func:`numpy.frombuffer`, never by numpy's own unpickling, which trusts its input.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from visagist.errors import DataError
from visagist.recognition.evaluation.layouts import Pair

__all__ = ["read_bin"]

MAX_BIN_BYTES = 1 << 30
"""A gibibyte; the published files have 30 to 110 MB."""


def read_bin(path: Path, folds: int = 10) -> list[Pair]:
    """A ``.bin`` of encoded crops: a pickled pair of 2n pictures and n labels.

    Args:
        path: such as ``agedb_30.bin``.
        folds: the pairs are cut into so many folds in their order, as the published protocol does.

    Raises:
        DataError: too big, not such a file, or a pickle that asks for anything but lists, bytes,
            booleans and arrays of bytes.
    """
    try:
        if path.stat().st_size > MAX_BIN_BYTES:
            raise DataError(f"{path}: larger than a gibibyte; no such set is")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        found = _Unpickler(io.BytesIO(data)).load()
    except _BROKEN_PICKLE as error:
        raise DataError(f"{path}: not a set of pairs ({error})") from error
    if not (isinstance(found, tuple | list) and len(found) == 2):
        raise DataError(f"{path}: not a pair of pictures and labels")
    pictures = [_bytes(value, path) for value in _sequence(found[0], path)]
    labels = [_label(value, path) for value in _sequence(found[1], path)]
    if len(pictures) != 2 * len(labels) or not labels:
        raise DataError(f"{path}: {len(pictures)} pictures for {len(labels)} labels")
    return [
        Pair(pictures[2 * i], pictures[2 * i + 1], same, i * folds // len(labels))
        for i, same in enumerate(labels)
    ]


class _Array:
    """What a pickled array says about itself; see ``numpy.ndarray.__reduce__``."""

    def __init__(self) -> None:
        self.dtype = ""
        self.data = b""

    def __setstate__(self, state: object) -> None:
        if not (isinstance(state, tuple) and len(state) == 5):
            raise pickle.UnpicklingError("an array without a state")
        _, _, dtype, _, data = state
        if not isinstance(dtype, _Dtype) or not isinstance(data, bytes | str):
            raise pickle.UnpicklingError("an array that is not of plain numbers")
        self.dtype = dtype.name
        self.data = data.encode("latin1") if isinstance(data, str) else data


class _Dtype:
    """The name of a pickled type; whatever else it says does not matter for single bytes."""

    def __init__(self, name: object) -> None:
        self.name = _text(name) if isinstance(name, str | bytes) else ""

    def __setstate__(self, state: object) -> None:
        """Byte order and alignment: nothing that a single byte has."""


class _ArrayType:
    """Stands for ``numpy.ndarray``; it cannot be called."""


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _frombuffer(data: object, dtype: object, *_: object) -> _Array:
    value = _Array()
    value.__setstate__((1, (), dtype, False, bytes(data) if isinstance(data, bytearray) else data))
    return value


def _scalar(dtype: object, data: object = b"") -> _Array:
    value = _Array()
    value.__setstate__((1, (), dtype, False, data))
    return value


def _encode(text: object, encoding: object = "latin1") -> bytes:
    """How old pickles write bytes."""
    if not isinstance(text, str) or encoding not in {"latin1", "latin-1"}:
        raise pickle.UnpicklingError("text in another encoding than latin1")
    return text.encode("latin1")


def _make_dtype(name: object, *_: object) -> _Dtype:
    return _Dtype(name)


def _no_bytes(*arguments: object) -> bytes:
    if arguments:
        raise pickle.UnpicklingError("bytes made of something else")
    return b""


_ALLOWED: dict[tuple[str, str], object] = {
    ("numpy", "ndarray"): _ArrayType,
    ("numpy", "dtype"): _make_dtype,
    ("_codecs", "encode"): _encode,
    ("builtins", "bytes"): _no_bytes,
    ("__builtin__", "bytes"): _no_bytes,
    **{
        (f"{home}.{module}", name): stand_in
        for home in ("numpy.core", "numpy._core")
        for module, name, stand_in in (
            ("multiarray", "_reconstruct", _reconstruct),
            ("multiarray", "scalar", _scalar),
            ("numeric", "_frombuffer", _frombuffer),
        )
    },
}

_BROKEN_PICKLE = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What the C reader raises on bytes that are no pickle, or a cut-off one."""


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO) -> None:
        # published files come from Python 2, whose strings are bytes
        super().__init__(stream, encoding="bytes")

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 the base class says so
        try:
            return _ALLOWED[_text(module), _text(name)]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None

    def persistent_load(self, pid: object) -> Any:  # noqa: ANN401
        raise pickle.UnpicklingError("it asks for an object outside itself")


def _text(value: str | bytes) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else value


def _sequence(value: object, path: Path) -> list[object]:
    if isinstance(value, _Array) and value.dtype in {"b1", "|b1", "?", "bool"}:
        return list(np.frombuffer(value.data, np.uint8) != 0)
    if isinstance(value, list | tuple):
        return list(value)
    raise DataError(f"{path}: not a list of pictures and a list of labels")


def _bytes(value: object, path: Path) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, _Array) and value.dtype in {"u1", "|u1", "i1", "|i1"}:
        return value.data
    raise DataError(f"{path}: a picture is not bytes")


def _label(value: object, path: Path) -> bool:
    if isinstance(value, bool | np.bool_) or (isinstance(value, int) and value in {0, 1}):
        return bool(value)
    if isinstance(value, _Array) and len(value.data) == 1:
        return value.data != b"\0"
    raise DataError(f"{path}: a label is neither true nor false")
