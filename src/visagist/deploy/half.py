"""Weights stored in half precision and computed with in single: half the bytes, no half arithmetic.

Half arithmetic is slow on most processors, and adds rounding at every step. Here only the stored
numbers are half: a ``Cast`` stands behind each, which ONNX Runtime computes once, when it loads.
"""

from __future__ import annotations

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from visagist.training.run import HALF_NAME

SMALLEST = 1024
"""Tensors with fewer numbers stay as they are; they weigh nothing, and scales keep their digits."""


def round_weights(model: nn.Module) -> nn.Module:
    """Round what would be stored in half precision to numbers that it holds (in place)."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.numel() >= SMALLEST:
                parameter.copy_(parameter.half().to(parameter.dtype))
    return model


def store_half(data: bytes) -> bytes:
    """The same network with its large float32 constants stored in half precision.

    Args:
        data: an ONNX file; numbers should have been rounded by :func:`round_weights`, so that it
            computes the same.
    """
    proto = onnx.load_from_string(data)
    graph = proto.graph
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < SMALLEST:
            continue
        name, stored = tensor.name, f"{tensor.name}{HALF_NAME}"
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), stored))
        casts.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
    for number, node in enumerate(casts):
        graph.node.insert(number, node)
    onnx.checker.check_model(proto, full_check=True)
    return bytes(proto.SerializeToString())
