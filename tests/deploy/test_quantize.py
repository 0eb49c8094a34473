"""Eight bits stay near to single precision, where they are used and nowhere else."""

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from visagist.deploy.export import to_onnx
from visagist.deploy.quantize import quantize
from visagist.runtime.session import make_session


@pytest.fixture(scope="module")
def network() -> bytes:
    torch.manual_seed(0)
    body = nn.Conv2d(3, 16, 3, padding=1)
    model = nn.Sequential(body, nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
                          nn.Conv2d(16, 2, 1)).eval()  # fmt: skip
    return to_onnx(model, [torch.zeros(1, 3, 32, 32)], ["image"], ("out",))


def pictures(count: int, seed: int) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [{"image": rng.uniform(-1, 1, (1, 3, 32, 32)).astype(np.float32)} for _ in range(count)]


def names(data: bytes) -> list[str]:
    return [n.name for n in onnx.load_from_string(data).graph.node if n.op_type == "Conv"]


def weights_in_bytes(data: bytes) -> int:
    held = onnx.load_from_string(data).graph.initializer
    return sum(t.data_type == onnx.TensorProto.INT8 and len(t.dims) == 4 for t in held)


def error(data: bytes, other: bytes) -> float:
    one, two = make_session(data), make_session(other)
    pairs = [(one.run(None, f)[0], two.run(None, f)[0]) for f in pictures(4, 9)]
    return float(np.mean([np.abs(a - b).mean() / a.std() for a, b in pairs]))


def test_it_computes_nearly_the_same(network):
    made = quantize(network, pictures(8, 1))
    assert weights_in_bytes(made) == 3
    assert 0 < error(network, made) < 0.05


def test_what_is_kept_stays_in_single_precision(network):
    last = names(network)[-1]
    made = quantize(network, pictures(8, 1), keep=[last])
    assert weights_in_bytes(made) == 2
    everything = quantize(network, pictures(8, 1), keep=names(network))
    assert weights_in_bytes(everything) == 0
    assert error(network, everything) < 1e-6


def test_the_examples_set_the_ranges(network):
    narrow = [{"image": f["image"] * 0.01} for f in pictures(8, 1)]
    fitting = error(network, quantize(network, pictures(8, 1)))
    assert error(network, quantize(network, narrow)) > 3 * fitting


def test_without_examples_there_are_no_ranges(network):
    with pytest.raises(ValueError, match="No data"):
        quantize(network, [])
