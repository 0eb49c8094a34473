from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("diffusers", reason="needs the extra stable-diffusion")
pytest.importorskip("transformers", reason="needs the extra stable-diffusion")
pytest.importorskip("peft", reason="needs the extra stable-diffusion")

import torch
from diffusers import UNet2DConditionModel

from tests.amplify.stable_diffusion.tiny import write_weights
from visagist.amplify.stable_diffusion.weights import VARIABLE, load_networks, weights_folder
from visagist.errors import ModelDamagedError, ModelMissingError

CPU = torch.device("cpu")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write_weights(tmp_path / "weights")


def test_all_parts_are_read_and_frozen(weights: Path) -> None:
    networks = load_networks(weights, CPU)
    assert networks.reduction == 2
    assert networks.kept.shape == (1000,)
    # sqrt(1 - a_T) of Stable Diffusion's schedule, which never reaches pure noise.
    assert float(networks.kept[-1]) == pytest.approx(0.00466, abs=1e-4)
    for part in (networks.unet, networks.vae, networks.encoder):
        assert not any(p.requires_grad for p in part.parameters())
        assert not part.training


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("unet", "diffusion_pytorch_model.safetensors"),
        ("vae", "config.json"),
        ("image_encoder", "model.safetensors"),
        ("scheduler", "scheduler_config.json"),
    ],
)
def test_a_missing_file_is_named_with_where_to_get_it(weights: Path, part: str, name: str) -> None:
    (weights / part / name).unlink()
    with pytest.raises(ModelMissingError) as caught:
        load_networks(weights, CPU)
    for word in (f"{part}/{name}", "docs/stable-diffusion.md", VARIABLE):
        assert word in str(caught.value)


def test_pickled_weights_are_never_read(weights: Path) -> None:
    file = weights / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save({"weight": torch.zeros(1)}, file.with_suffix(".bin"))
    file.unlink()
    with pytest.raises(ModelMissingError, match="safetensors"):
        load_networks(weights, CPU)


def test_half_precision_files_will_do(weights: Path) -> None:
    for part, stem in (("unet", "diffusion_pytorch_model"), ("image_encoder", "model")):
        file = weights / part / f"{stem}.safetensors"
        file.rename(file.with_name(f"{stem}.fp16.safetensors"))
    assert load_networks(weights, CPU).unet.dtype == torch.float32


@pytest.mark.parametrize("part", ["unet", "vae", "image_encoder"])
def test_a_torn_file_is_damaged(weights: Path, part: str) -> None:
    (file,) = (weights / part).glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ModelDamagedError, match=part):
        load_networks(weights, CPU)


def test_a_config_that_is_no_json_is_damaged(weights: Path) -> None:
    for path in (weights / "scheduler" / "scheduler_config.json", weights / "vae" / "config.json"):
        whole = path.read_text()
        path.write_text("{")
        with pytest.raises(ModelDamagedError):
            load_networks(weights, CPU)
        path.write_text(whole)


def test_networks_for_something_else_are_refused(weights: Path) -> None:
    path = weights / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"prediction_type": "v_prediction"}))
    with pytest.raises(ModelDamagedError, match="v_prediction"):
        load_networks(weights, CPU)
    inpainting = UNet2DConditionModel(
        in_channels=9,
        block_out_channels=(8,),
        layers_per_block=1,
        down_block_types=("DownBlock2D",),
        up_block_types=("UpBlock2D",),
        mid_block_type=None,
        norm_num_groups=4,
    )
    inpainting.save_pretrained(weights / "unet")
    with pytest.raises(ModelDamagedError, match="9 channels"):
        load_networks(weights, CPU)


def test_the_sampler_of_the_release_will_do(weights: Path) -> None:
    """Stable Diffusion 1.5 names another sampler; only its noise schedule counts."""
    path = weights / "scheduler" / "scheduler_config.json"
    config = json.loads(path.read_text())
    config |= {"_class_name": "PNDMScheduler", "skip_prk_steps": True}
    path.write_text(json.dumps(config))
    assert load_networks(weights, CPU).kept.shape == (1000,)


def test_the_folder_is_the_one_given_then_the_variable_s_then_the_user_s(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISAGIST_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(ModelMissingError, match="stable-diffusion"):
        weights_folder()
    monkeypatch.setenv(VARIABLE, str(weights))
    assert weights_folder() == weights
    with pytest.raises(ModelMissingError, match="elsewhere"):
        weights_folder(tmp_path / "elsewhere")
