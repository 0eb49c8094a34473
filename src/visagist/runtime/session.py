"""ONNX Runtime sessions, set up the one way this project wants them."""

from __future__ import annotations

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from visagist.errors import InputError, ModelDamagedError
from visagist.runtime.onnx_scan import refuse_unsafe_onnx

__all__ = ["make_session"]

_ERRORS_ONLY = 3
_LOAD_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoModel,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)


def make_session(
    onnx_bytes: bytes, *, threads: int = 1, name: str = "the network"
) -> ort.InferenceSession:
    """A session on the CPU for one self-contained ONNX model.

    Sequential execution with one thread by default: on a busy machine two threads of one small
    network wait for each other, and throughput is better had from several processes.

    Args:
        onnx_bytes: the whole file. Never a path: a path would let the runtime look for
            further files beside it.
        threads: threads for one operator, at least 1.
        name: what to call it in an error message.

    Raises:
        InputError: ``threads`` is below 1.
        ModelDamagedError: the runtime cannot load the model.
    """
    if threads < 1:
        raise InputError(f"threads must be at least 1, not {threads}")
    refuse_unsafe_onnx(onnx_bytes, name)
    ort.disable_telemetry_events()  # the Windows build reports usage by default; nothing leaves
    options = ort.SessionOptions()
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    try:
        return ort.InferenceSession(onnx_bytes, options, providers=["CPUExecutionProvider"])
    except _LOAD_ERRORS as error:
        raise ModelDamagedError(
            f"ONNX Runtime {ort.__version__} cannot load {name} "
            f"({str(error).splitlines()[0][:200]}); reinstall visagist, or update onnxruntime"
        ) from error
