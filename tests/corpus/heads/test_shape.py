import numpy as np
import pytest

from tests.corpus.heads.made_assets import make_assets
from visagist.corpus.heads.assets import HeadAssets, base_mesh
from visagist.corpus.heads.sampling import sample_person, sample_shape
from visagist.corpus.heads.shape import HeadShape
from visagist.errors import DataError


def macros(shape, prefix):
    return {n: w for n, w in shape.targets().items() if n.startswith(f"macrodetails/{prefix}")}


def test_macro_weights_are_products_of_shares_that_add_up_to_one():
    shape = HeadShape(0, male=0.3, age=0.25, weight=-0.4, muscle=0.6, races=(0.2, 0.3, 0.5))
    universal = macros(shape, "universal")
    races = {n: w for n, w in macros(shape, "").items() if n not in universal}
    assert sum(universal.values()) == pytest.approx(1)
    assert sum(races.values()) == pytest.approx(1)
    assert races["macrodetails/african-male-old"] == pytest.approx(0.2 * 0.3 * 0.25)
    name = "macrodetails/universal-female-young-maxmuscle-minweight"
    assert universal[name] == pytest.approx(0.7 * 0.75 * 0.6 * 0.4)


def test_a_seed_is_a_person_and_another_seed_another():
    assert sample_shape(7) == sample_shape(7)
    one, two = (base_mesh().moved(sample_shape(seed).targets()) for seed in (7, 8))
    face = base_mesh().vertices[:, 1] > 6
    assert np.abs(one - two)[face].max() > 0.05


def test_every_person_is_an_adult_of_either_sex():
    shapes = [sample_shape(seed) for seed in range(200)]
    assert all(0 <= one.age <= 0.85 and -1 <= one.weight <= 1 for one in shapes)
    assert all(sum(one.races) == pytest.approx(1) for one in shapes)
    men = np.mean([one.male > 0.5 for one in shapes])
    assert 0.4 < men < 0.6
    names = {name for one in shapes for name in one.targets()}
    assert not [name for name in names if "child" in name or "baby" in name]


def test_sides_differ_a_little():
    uneven = []
    for seed in range(40):
        details = sample_shape(seed).details
        for name, weight in details.items():
            if "/l-" in name:
                uneven.append(abs(weight - details.get(name.replace("/l-", "/r-"), 0.0)))
    assert 0.005 < np.mean(uneven) < 0.08


def test_every_target_that_can_be_drawn_exists_and_weights_stay_in_range():
    base = base_mesh()
    for seed in range(60):
        for name, weight in sample_shape(seed).targets().items():
            assert 0 <= weight <= 1, name
            assert base.target(name) is not None


def test_a_person_wears_what_fits_the_build(tmp_path):
    assets = HeadAssets(make_assets(tmp_path))
    people = [sample_person(seed, assets) for seed in range(60)]
    assert people[3] == sample_person(3, assets)
    for one in people:
        assert ("_male_" in one.skin) == (one.shape.male > 0.5)
        if one.shape.races[0] > 0.65:
            assert "dark" in one.skin
        if one.shape.races[0] < 0.2:
            assert "light" in one.skin
        assert one.hair in ("", "short01", "long01")
        assert (one.teeth, one.tongue) == ("teeth_base", "tongue01")
    assert len({one.hair for one in people}) == 3


def test_a_folder_without_skins_is_refused(tmp_path):
    with pytest.raises(DataError, match="no skins"):
        sample_person(0, HeadAssets(tmp_path))
