import numpy as np
import pytest
from pydantic import ValidationError

from tests.corpus.heads.made_assets import make_assets
from visagist.corpus.heads.assets import HeadAssets
from visagist.corpus.heads.background import KINDS, background
from visagist.corpus.heads.light import direction, kelvin, lobe, sample_lighting
from visagist.corpus.heads.scene import HeadsConfig, draw_person, draw_scene, other_person


@pytest.fixture(scope="module")
def assets(tmp_path_factory):
    return HeadAssets(make_assets(tmp_path_factory.mktemp("assets")))


def test_an_unknown_setting_is_refused():
    with pytest.raises(ValidationError):
        HeadsConfig(colour="red")


def test_pictures_of_a_person_share_the_person_and_nothing_else(assets):
    config = HeadsConfig()
    first, second = (draw_scene(config, 3, k, assets) for k in range(2))
    stranger = draw_scene(config, 4, 0, assets)
    assert first.person == second.person != stranger.person
    assert first.spec.shape == second.spec.shape
    assert first.spec.skin == second.spec.skin
    assert first.pose != second.pose
    assert first.background_seed != second.background_seed
    assert not np.allclose(first.lighting.harmonics, second.lighting.harmonics)


def test_a_person_does_not_depend_on_the_pictures_settings(assets):
    narrow, wide = HeadsConfig(worn=0.0), HeadsConfig(zoom=2.0, size=64, count=3)
    assert draw_scene(narrow, 5, 0, assets).person == draw_scene(wide, 5, 0, assets).person
    assert draw_scene(narrow, 5, 0, assets).worn == ()


def test_another_person_takes_over_everything_but_themselves(assets):
    scene = draw_scene(HeadsConfig(), 0, 0, assets)
    person = draw_person(0, 0, assets, 1)
    other = other_person(scene, person)
    assert other.person.identity != scene.person.identity
    assert other.spec.shape != scene.spec.shape
    assert other.spec.hair == scene.spec.hair
    assert other.spec.expression == scene.spec.expression
    for name in ("pose", "camera", "lighting", "background", "worn", "development"):
        assert getattr(other, name) is getattr(scene, name)


def test_skins_span_the_tones_of_people(assets):
    tones = [draw_person(0, k, assets).tone for k in range(200)]
    assert min(tones) < -40 and max(tones) > 45
    assert np.std(tones) > 20


def test_poses_stay_in_range_and_are_mostly_frontal(assets):
    poses = [draw_scene(HeadsConfig(), k, 0, assets).pose for k in range(200)]
    yaw = np.abs([p.yaw for p in poses])
    assert yaw.max() <= 60 and (yaw < 30).mean() > 0.75
    assert max(abs(p.pitch) for p in poses) <= 25
    assert max(abs(p.roll) for p in poses) <= 20


@pytest.mark.parametrize("kind", KINDS)
def test_backgrounds_are_finite_seeded_and_different(kind):
    image = background(kind, 1, 40)
    assert image.shape == (40, 40, 3) and np.isfinite(image).all() and image.min() >= 0
    assert np.array_equal(image, background(kind, 1, 40))
    assert not np.array_equal(image, background(kind, 2, 40))


def test_light_from_one_side_is_brightest_there():
    side = direction(90, 0)
    h = lobe(side, np.ones(3, np.float32))[:, 0]

    def at(n):
        x, y, z = n
        basis = [1, y, z, x, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y]
        return float(np.dot(h, basis))

    around = [at(direction(a, 0)) for a in (90, 45, 0, -45, -90)]
    assert around[0] == pytest.approx(1, abs=1e-5)
    assert around == sorted(around, reverse=True)


def test_warm_light_is_red_and_cold_light_blue():
    warm, cold = kelvin(2800), kelvin(9500)
    assert warm[0] > warm[2] and cold[2] > cold[0]
    assert warm @ [0.2126, 0.7152, 0.0722] == pytest.approx(1, abs=1e-5)


def test_lights_are_finite_and_come_from_where_they_say():
    for seed in range(50):
        light = sample_lighting(np.random.default_rng(seed))
        assert np.isfinite(light.harmonics).all()
        for lamp in (light.key, light.fill, light.rim):
            assert np.linalg.norm(lamp.direction) == pytest.approx(1, abs=1e-5)
            assert lamp.colour.min() >= 0
        assert light.rim.direction[2] < 0
