from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("diffusers", reason="needs the extra stable-diffusion")
pytest.importorskip("transformers", reason="needs the extra stable-diffusion")
pytest.importorskip("peft", reason="needs the extra stable-diffusion")

from safetensors.numpy import load_file, save_file

from tests.amplify.stable_diffusion.tiny import (
    SETTINGS,
    PlainAutoencoder,
    made_faces,
    made_look,
    write_weights,
)
from visagist.amplify.backend import open_backend
from visagist.amplify.masks import changed_mask, makeup_masks
from visagist.amplify.stable_diffusion.backend import (
    CONFIG,
    WEIGHTS,
    DiffusionStyle,
    StableDiffusionBackend,
)
from visagist.amplify.stable_diffusion.weights import VARIABLE
from visagist.errors import (
    InputError,
    MissingExtraError,
    ModelDamagedError,
    ModelError,
    ModelMissingError,
)
from visagist.face.raster import blur


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def backend(weights: Path) -> StableDiffusionBackend:
    return StableDiffusionBackend(weights, SETTINGS)


@pytest.fixture(scope="module")
def fitted(backend: StableDiffusionBackend) -> DiffusionStyle:
    berry = [made_look("light"), made_look("medium")]
    violet = [made_look("deep", colour=(20, -60, 80), region="eyes")]
    return backend.fit_styles({"berry": berry, "violet": violet}, seed=1)


def allowed(mesh: np.ndarray, *regions: str) -> np.ndarray:
    masks = makeup_masks(mesh)
    return changed_mask({region: masks[region] for region in regions})


def test_only_the_regions_change(fitted: DiffusionStyle) -> None:
    faces = made_faces("light", "medium", "deep")
    changes = fitted.render(faces)
    assert changes.shape == (3, 256, 256, 3)
    assert changes.dtype == np.float32
    for face, change in zip(faces, changes, strict=True):
        outside = allowed(face.mesh, "lips", "eyes", "skin") == 0
        assert outside.mean() > 0.3
        assert np.abs(change[outside]).max() == 0
        assert np.abs(change[~outside]).mean() > 0


def test_the_same_seed_gives_the_same_pictures(fitted: DiffusionStyle) -> None:
    faces = made_faces("light", "deep")
    np.testing.assert_array_equal(fitted.render(faces, seed=3), fitted.render(faces, seed=3))


def test_strength_scales_the_change(fitted: DiffusionStyle) -> None:
    faces = made_faces("medium")
    full = fitted.render(faces)
    np.testing.assert_allclose(fitted.render(faces, strength=0.25), full / 4, atol=1e-5)
    assert np.abs(fitted.render(faces, strength=0.0)).max() == 0


def with_settings(style: DiffusionStyle, **changed: float) -> DiffusionStyle:
    settings = style.settings.model_copy(update=changed)
    return DiffusionStyle(style.networks, style.adapter, settings, style.styles, style.regions)


def test_shade_scales_the_makeup_and_detail_its_own_part(fitted: DiffusionStyle) -> None:
    faces = made_faces("medium")
    one = with_settings(fitted, detail=1.0).render(faces)
    two = with_settings(fitted, detail=1.0, shade=2.0).render(faces)
    np.testing.assert_allclose(two, 2 * one, atol=1e-4)
    assert np.abs(one).max() > 0
    # What detail takes away does not depend on the shade: y - x = M (shade R_m - (1 - detail) R_d).
    less = with_settings(fitted, detail=0.8).render(faces)
    more = with_settings(fitted, detail=0.8, shade=2.0).render(faces)
    np.testing.assert_allclose(less - one, more - two, atol=1e-3)
    assert np.abs(less - one).max() > 0.1


def test_noise_on_the_way_back_is_shared_by_both_passes(fitted: DiffusionStyle) -> None:
    """Both passes move alike: next to nothing of the noise may be left in the makeup residual."""
    noisy = with_settings(fitted, eta=1.0, detail=1.0)
    faces = made_faces("light")
    first, other = noisy.render(faces, seed=1), noisy.render(faces, seed=2)
    assert np.abs(first - other).max() > 0
    np.testing.assert_array_equal(first, noisy.render(faces, seed=1))
    bare_pass = with_settings(noisy, detail=0.0).render(faces, seed=1) - first
    # 0.06 with shared noise; 0.5 where each pass draws its own.
    assert np.abs(first).mean() < 0.2 * np.abs(bare_pass).mean()


def test_a_saved_style_gives_the_same_pictures(
    fitted: DiffusionStyle, backend: StableDiffusionBackend, tmp_path: Path
) -> None:
    fitted.save(tmp_path)
    again = backend.load(tmp_path)
    faces = made_faces("light", "deep")
    np.testing.assert_array_equal(fitted.render(faces), again.render(faces))
    assert sorted(p.name for p in tmp_path.iterdir()) == [WEIGHTS, CONFIG]
    names = set(load_file(tmp_path / WEIGHTS))
    assert not any("base_layer" in name or "conv" in name for name in names)
    assert {"style.berry", "style.violet", "projection.linear.weight"} < names


def test_styles_combine_by_region(fitted: DiffusionStyle) -> None:
    """In one step and cell by cell, so that no region can see the style of another."""
    faces = made_faces("medium")
    networks = replace(fitted.networks, vae=PlainAutoencoder())
    settings = fitted.settings.model_copy(update={"steps": 1, "side": 96})
    single = DiffusionStyle(networks, fitted.adapter, settings, fitted.styles, fitted.regions)
    in_berry, in_violet = single.wearing("berry"), single.wearing("violet")
    berry, violet = in_berry.render(faces), in_violet.render(faces)
    assert np.abs(berry - violet).max() > 0
    mixed = in_berry.combined({"eyes": in_violet, "skin": in_violet}).render(faces)
    np.testing.assert_array_equal(in_berry.combined({"lips": in_berry}).render(faces), berry)
    masks = makeup_masks(faces[0].mesh)
    for region, own, other in (("lips", berry, violet), ("eyes", violet, berry)):
        # The middle of a region, away from cells that it shares.
        middle = blur(masks[region], 2.0) > 0.97
        assert middle.sum() > 20
        near, far = (np.abs(mixed - alone)[0][middle].mean() for alone in (own, other))
        assert near < 0.25 * far


def test_a_region_that_is_left_out_stays_bare(fitted: DiffusionStyle) -> None:
    faces = made_faces("medium")
    bare = DiffusionStyle(
        fitted.networks, fitted.adapter, fitted.settings, fitted.styles, {"lips": "berry"}
    )
    change = bare.render(faces)[0]
    lips = allowed(faces[0].mesh, "lips")
    assert np.abs(change[lips == 0]).max() == 0
    assert np.abs(change[lips > 0]).mean() > 0
    assert fitted.combined({"skin": bare, "eyes": bare}).regions == {"lips": "berry"}


def test_a_style_is_not_put_on_other_networks(fitted: DiffusionStyle, tmp_path: Path) -> None:
    fitted.save(tmp_path / "style")
    other = StableDiffusionBackend(write_weights(tmp_path / "other", seed=5), SETTINGS)
    with pytest.raises(ModelError, match="fitted on other weights"):
        other.load(tmp_path / "style")


def test_damaged_styles_are_told_apart(
    fitted: DiffusionStyle, backend: StableDiffusionBackend, tmp_path: Path
) -> None:
    with pytest.raises(ModelMissingError, match=CONFIG):
        backend.load(tmp_path)
    fitted.save(tmp_path)
    whole = (tmp_path / WEIGHTS).read_bytes()
    (tmp_path / WEIGHTS).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelDamagedError, match="damaged"):
        backend.load(tmp_path)
    (tmp_path / WEIGHTS).write_bytes(whole)
    tensors = load_file(tmp_path / WEIGHTS)
    tensors.pop("projection.norm.bias")
    save_file(tensors, tmp_path / WEIGHTS)
    with pytest.raises(ModelDamagedError, match="do not fit"):
        backend.load(tmp_path)
    (tmp_path / WEIGHTS).unlink()
    with pytest.raises(ModelMissingError, match=WEIGHTS):
        backend.load(tmp_path)
    (tmp_path / WEIGHTS).write_bytes(whole)
    config = json.loads((tmp_path / CONFIG).read_text())
    (tmp_path / CONFIG).write_text(json.dumps(config | {"regions": {"hair": "berry"}}))
    with pytest.raises(ModelDamagedError, match="hair"):
        backend.load(tmp_path)


def test_arguments_that_make_no_sense_say_so(
    backend: StableDiffusionBackend, fitted: DiffusionStyle
) -> None:
    with pytest.raises(InputError, match="at least one look"):
        backend.fit([])
    with pytest.raises(InputError, match="rouge"):
        fitted.wearing("rouge")
    with pytest.raises(InputError, match="hair"):
        fitted.combined({"hair": fitted})
    with pytest.raises(InputError, match="fit them together"):
        fitted.combined({"lips": backend.fit([made_look()])})
    with pytest.raises(InputError, match="got none"):
        DiffusionStyle(fitted.networks, fitted.adapter, fitted.settings, fitted.styles, {})
    assert fitted.render([]).shape == (0, 256, 256, 3)


def test_an_interrupted_fit_ends_as_an_unbroken_one(weights: Path, tmp_path: Path) -> None:
    looks = [made_look("light"), made_look("medium")]
    settings = SETTINGS.model_copy(update={"checkpoint_every": 2})

    class StoppedError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        assert total == 6
        if done == 4:
            raise StoppedError

    faces = made_faces("deep")
    unbroken = StableDiffusionBackend(weights, settings).fit(looks, seed=2).render(faces)
    backend = StableDiffusionBackend(weights, settings, work=tmp_path)
    with pytest.raises(StoppedError):
        backend.fit(looks, seed=2, progress=stop)
    seen: list[int] = []
    resumed = backend.fit(looks, seed=2, progress=lambda done, total: seen.append(done))
    assert min(seen) > 2, "it started again from the first step"
    np.testing.assert_array_equal(resumed.render(faces), unbroken)


def test_without_its_packages_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "peft" else real(name)
    )
    for name in [n for n in sys.modules if n.startswith("visagist.amplify.stable_diffusion")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtraError, match=r"peft.*visagist\[stable-diffusion\]"):
        open_backend("stable-diffusion")


def test_it_is_opened_by_its_name(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(weights / "nowhere"))
    opened = open_backend("stable-diffusion")
    assert isinstance(opened, StableDiffusionBackend)
    with pytest.raises(ModelMissingError, match=VARIABLE):
        opened.fit([made_look()])
