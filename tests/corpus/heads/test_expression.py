import numpy as np
import pytest

from visagist.corpus.heads.assets import base_mesh
from visagist.corpus.heads.expression import KINDS, Expression, sample_expression


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_draws_known_units_in_range(kind):
    for seed in range(5):
        one = sample_expression(np.random.default_rng(seed), kind)
        assert one.name == kind
        assert one == sample_expression(np.random.default_rng(seed), kind)
        assert abs(one.gaze[0]) <= 20
        assert -12 <= one.gaze[1] <= 9
        for name, weight in one.targets().items():
            assert 0 <= weight <= 2, name
            assert len(base_mesh().target(name).indices)


def test_kinds_are_drawn_by_how_common_they_are():
    random = np.random.default_rng(0)
    names = [sample_expression(random).name for _ in range(400)]
    assert names.count("neutral") > names.count("wink")
    assert set(names) == set(KINDS)


def test_a_wink_is_one_eye():
    for seed in range(8):
        units = sample_expression(np.random.default_rng(seed), "wink").units
        assert len([name for name in units if name.startswith("eyeBlink")]) == 1


def test_lids_follow_the_gaze():
    left_down = Expression(gaze=(11.0, -8.0)).targets()
    assert left_down["eyeLookOutLeft"] == left_down["eyeLookInRight"] == pytest.approx(0.5)
    assert left_down["eyeLookDownLeft"] == pytest.approx(0.5)
    assert "eyeLookUpLeft" not in left_down
    assert Expression(gaze=(-90.0, 0.0)).targets()["eyeLookOutRight"] == 1.0
    assert Expression().targets() == {}
