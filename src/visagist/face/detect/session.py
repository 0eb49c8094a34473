"""ONNX Runtime sessions for detectors: quiet, from bytes, with typed errors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.errors import ModelDamagedError


def open_session(data: bytes, *, threads: int = 1) -> Any:
    """An ``onnxruntime.InferenceSession`` on the CPU from ONNX bytes.

    Opened from bytes on purpose: a network in one file cannot make the runtime read others.

    Raises:
        ModelDamagedError: ONNX Runtime cannot read the bytes.
    """
    import onnxruntime as ort  # noqa: PLC0415  (slow to import; only needed once a detector runs)

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # spinning threads burn a core between photos for a gain below a millisecond
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    from onnxruntime.capi import onnxruntime_pybind11_state as states  # noqa: PLC0415

    try:
        return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except (
        states.Fail,
        states.InvalidArgument,
        states.InvalidGraph,
        states.InvalidProtobuf,
        states.NoModel,
        states.NotImplemented,
        states.RuntimeException,
    ) as error:
        first = str(error).splitlines()[0][:200]
        raise ModelDamagedError(
            f"the face detector's network cannot be loaded ({first}); get the file again"
        ) from error


def run(session: Any, tensor: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """All outputs, in the file's order, for one input tensor."""
    outputs: list[NDArray[np.float32]] = session.run(None, {session.get_inputs()[0].name: tensor})
    return outputs
