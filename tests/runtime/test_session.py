from __future__ import annotations

import numpy as np
import pytest

from tests.runtime.small_models import doubling_model
from visagist.errors import InputError, ModelDamagedError
from visagist.runtime.session import make_session


@pytest.mark.parametrize("threads", [1, 2])
def test_runs(threads: int) -> None:
    session = make_session(doubling_model().SerializeToString(), threads=threads)
    x = np.array([[1, 2, 3]], np.float32)
    (y,) = session.run(None, {"x": x})
    np.testing.assert_array_equal(y, 2 * x)
    assert session.get_providers() == ["CPUExecutionProvider"]


def test_threads_below_one() -> None:
    with pytest.raises(InputError, match="at least 1"):
        make_session(doubling_model().SerializeToString(), threads=0)


def test_external_data_is_refused_before_the_runtime_sees_it() -> None:
    model = doubling_model()
    model.graph.initializer[0].external_data.add(key="location", value="x")
    with pytest.raises(ModelDamagedError, match="another file"):
        make_session(model.SerializeToString())


def test_an_operator_that_does_not_exist() -> None:
    model = doubling_model()
    model.graph.node[0].op_type = "Nonsense"
    with pytest.raises(ModelDamagedError, match="cannot load the network"):
        make_session(model.SerializeToString())


def test_a_graph_that_does_not_hang_together() -> None:
    model = doubling_model()
    model.graph.node[0].input[0] = "z"
    with pytest.raises(ModelDamagedError, match="cannot load the network"):
        make_session(model.SerializeToString())
