from __future__ import annotations

import numpy as np

from tests.makeup.made_face import drawn_face, drawn_mesh
from visagist.training.augmentation import AugmentConfig, PhotometricConfig
from visagist.training.degrade import cover, degrade, light_curves

POOR = AugmentConfig.model_validate({n: {"share": 0.7} for n in ("blur", "noise", "jpeg")})


def picture() -> np.ndarray:
    return drawn_face(drawn_mesh(256), 256, "medium")


def test_light_curves_are_monotone_and_none_at_zero():
    rng = np.random.default_rng(0)
    for _ in range(20):
        curves = light_curves(rng, PhotometricConfig(strength=1.0))
        assert (np.diff(curves.astype(int), axis=0) >= 0).all()
    nothing = np.repeat(np.arange(256)[:, None], 3, 1)
    assert np.array_equal(light_curves(rng, PhotometricConfig()), nothing)
    off = PhotometricConfig(strength=1.0, enabled=False)
    assert np.array_equal(light_curves(rng, off), nothing)


def test_a_degraded_picture_is_still_the_picture():
    rng, face = np.random.default_rng(0), picture()
    for _ in range(8):
        worse = degrade(face, rng, POOR)
        assert worse.shape == face.shape
        assert worse.dtype == np.uint8
        assert np.abs(worse.astype(int) - face).mean() < 12


def test_each_defect_has_a_switch_and_a_strength():
    face = picture()
    for name in ("blur", "noise", "jpeg"):

        def change(strength: float = 1.0, name: str = name, **more: object) -> float:
            config = AugmentConfig.model_validate({name: {"share": 1, "strength": strength} | more})
            worse = degrade(face, np.random.default_rng(1), config)
            return float(np.abs(worse.astype(int) - face).mean())

        assert change() > 0
        assert change(enabled=False) == 0
        assert change(strength=0) == 0
        assert change(strength=0.3) < change(strength=1.3)
    rare = POOR.model_copy(update={"degraded": 0.0})
    assert np.array_equal(degrade(face, np.random.default_rng(0), rare), face)


def test_a_cover_lies_inside_the_picture_and_is_soft():
    rng = np.random.default_rng(3)
    areas = []
    for _ in range(20):
        mask, colour = cover((64, 48), rng, 1.0)
        assert mask.shape == (64, 48, 1)
        assert colour.shape == (3,)
        assert 0 <= mask.min() <= mask.max() <= 1
        areas.append(float(mask.mean()))
    assert 0.02 < np.mean(areas) < 0.4
    small = [float(cover((64, 48), rng, 0.3)[0].mean()) for _ in range(20)]
    assert np.mean(small) < 0.5 * np.mean(areas)
