from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.generation.pictures import NETWORK, discs, recipe, stored
from tests.test_public_names import BLOCK
from visagist.deploy.export import export_generator
from visagist.errors import DataError, InputError, ModelDamagedError
from visagist.generation.denoise import Given, clean_estimate, consistent_estimate
from visagist.generation.inference import Generator, Request, model_for
from visagist.generation.network import condition_input
from visagist.generation.samplers import (
    clamped,
    consistency_levels,
    guided,
    heun,
    multistep,
    picture_noise,
    sampling_levels,
)
from visagist.generation.training import load_generator, make_task
from visagist.runtime.manifest import write_manifest
from visagist.runtime.store import open_model
from visagist.training.loop import train
from visagist.training.run import write_run

CPU = torch.device("cpu")
KINDS = {
    "diffusion": {"stage": "diffusion", "network": {"overlap": 1}},
    "classes": {"stage": "diffusion", "network": {"classes": 2}},
    "consistency": {"stage": "consistency", "auxiliary": 0},
    "editing": {
        "stage": "diffusion",
        "network": {"source": True, "masks": 1, "residual": True},
    },
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Run and model folder of each kind, trained for a few steps."""
    made = {}
    pictures = discs(64)
    for name, kind in KINDS.items():
        root = tmp_path_factory.mktemp(name)
        settings = recipe(kind["stage"], loop={"steps": 6}, network=kind.get("network"),
                          **{k: v for k, v in kind.items() if k == "auxiliary"})  # fmt: skip
        source = name == "editing"
        data = stored(
            labels=np.arange(64) % 2 if name == "classes" else None,
            sources=255 - pictures if source else None,
            masks=pictures[..., :1] if source else None,
        )
        task = make_task(settings, pictures=data, held_out=None, device=CPU)
        write_run(root / "run", train(task, settings.loop, root / "run"), settings)
        report = export_generator(root / "run", root / "model", version="0.0.1")
        assert report["files"]["model.onnx"]["parity"] < 1e-4
        made[name] = (root / "run", root / "model")
    return made


def torch_pictures(x) -> np.ndarray:
    levels = torch.round((x.clamp(-1, 1) + 1) * 127.5)
    return levels.byte().permute(0, 2, 3, 1).numpy()


def near(ours: np.ndarray, theirs: np.ndarray) -> bool:
    return int(np.abs(ours.astype(int) - theirs).max()) <= 1


@torch.no_grad()
@pytest.mark.parametrize("steps", [8, 32])
def test_diffusion_makes_torchs_pictures(folders, steps):
    run, model = folders["diffusion"]
    settings, network = load_generator(run)
    noise = torch.from_numpy(picture_noise(3, 0, 5, 16))

    def denoise(x, sigma):
        return clean_estimate(network, settings.network, x, np.full(len(x), sigma))

    sampler, levels = (multistep, 8) if steps == 8 else (heun, 17)
    wanted = sampler(clamped(denoise), noise, sampling_levels(levels, 16))
    got = Generator.from_pretrained(model).generate(5, seed=3, steps=steps, batch=2)
    assert got.shape == (5, 16, 16, 3)
    assert near(got, torch_pictures(wanted))


@torch.no_grad()
def test_one_step_makes_torchs_pictures(folders):
    run, model = folders["consistency"]
    settings, network = load_generator(run)
    generator = Generator.from_pretrained(model)
    assert generator.default_steps == 1
    noise = torch.from_numpy(picture_noise(0, 4, 3, 16))
    wanted = consistent_estimate(network, settings.network, noise * 20, np.full(3, 20.0))
    assert near(generator.generate(3, first=4), torch_pictures(wanted))
    second = consistency_levels(2, 16)[1]
    more = torch.from_numpy(picture_noise(0, 4, 3, 16, part=1))
    again = wanted + more * (second**2 - (0.002 / 4) ** 2) ** 0.5
    wanted = consistent_estimate(network, settings.network, again, np.full(3, second))
    assert near(generator.generate(3, first=4, steps=2), torch_pictures(wanted))


@torch.no_grad()
def test_classes_and_guidance(folders):
    run, model = folders["classes"]
    settings, network = load_generator(run)
    generator = Generator.from_pretrained(model)

    def of(label):
        return clamped(
            lambda x, sigma: clean_estimate(
                network, settings.network, x, np.full(len(x), sigma),
                Given(torch.full((len(x),), label)),
            )
        )  # fmt: skip

    noise, levels = torch.from_numpy(picture_noise(0, 0, 2, 16)), sampling_levels(6, 16)
    for request, denoise in [
        (Request(), of(2)),
        (Request(label=1), of(1)),
        (Request(label=0, guidance=3.0), guided(of(0), of(2), scale=3.0, side=16)),
    ]:
        wanted = torch_pictures(multistep(denoise, noise, levels))
        assert near(generator.generate(2, steps=6, request=request), wanted)


@torch.no_grad()
def test_sources_are_changed_inside_the_mask_alone(folders):
    run, model = folders["editing"]
    settings, network = load_generator(run)
    sources = discs(3, seed=5)
    masks = np.zeros((3, 16, 16, 1), np.float32)
    masks[:, 4:10, 4:10] = 1
    request = Request(sources=sources, masks=masks)
    got = Generator.from_pretrained(model).generate(3, steps=4, request=request)
    outside = np.broadcast_to(masks == 0, got.shape)
    assert np.array_equal(got[outside], sources[outside])
    planes = [torch.from_numpy(a).permute(0, 3, 1, 2) for a in (sources, masks)]
    given = Given(None, condition_input(planes[0] / 127.5 - 1, planes[1]))

    def denoise(x, sigma):
        return clean_estimate(network, settings.network, x, np.full(len(x), sigma), given)

    noise = torch.from_numpy(picture_noise(0, 0, 3, 16))
    assert near(got, torch_pictures(multistep(clamped(denoise), noise, sampling_levels(4, 16))))
    assert Generator.from_pretrained(model).generate(1, steps=2).shape == (1, 16, 16, 3)


def test_pictures_depend_on_their_seed_and_number_alone(folders):
    generator = Generator.from_pretrained(folders["consistency"][1])
    seen = []
    many = generator.generate(7, seed=5, batch=3, progress=lambda *place: seen.append(place))
    assert seen == [(3, 7), (6, 7), (7, 7)]
    few = generator.generate(2, seed=5, first=4)
    assert near(many[4:6], few)
    assert not near(few, generator.generate(2, seed=6, first=4))


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("diffusion", {"count": 0}, "at least 1"),
        ("diffusion", {"count": 1, "seed": -1}, "at least 0"),
        ("diffusion", {"count": 1, "steps": 1}, "2 to 1000 steps"),
        ("consistency", {"count": 1, "steps": 0}, "1 to 1000 steps"),
        ("diffusion", {"count": 1, "request": Request(label=0)}, "no class 0"),
        ("classes", {"count": 1, "request": Request(label=2)}, "no class 2"),
        ("diffusion", {"count": 1, "request": Request(sources=discs(1))}, "not at all"),
        ("editing", {"count": 2, "request": Request(sources=discs(1))}, r"\(2, 16, 16, 3\)"),
        ("editing", {"count": 1, "request": Request(sources=discs(1))}, "1 masks"),
        (
            "editing",
            {
                "count": 1,
                "request": Request(sources=discs(1), masks=np.ones((1, 8, 8, 1), np.float32)),
            },
            "masks must be",
        ),
    ],
)
def test_what_cannot_be_is_refused(folders, kind, arguments, message):
    with pytest.raises(InputError, match=message):
        Generator.from_pretrained(folders[kind][1]).generate(**arguments)


def test_a_model_that_is_no_generator_is_refused(folders, tmp_path):
    _, model = folders["diffusion"]
    files = open_model(model)
    for change in ({"stage": "pretrain"}, {"image_size": None}):
        broken = tmp_path / str(len(list(tmp_path.iterdir())))
        broken.mkdir()
        (broken / "model.onnx").write_bytes(files.onnx)
        (broken / "config.json").write_text(json.dumps(dict(files.config) | change))
        write_manifest(broken, name="x", version="1", licence="x", created_by="x")
        with pytest.raises(ModelDamagedError):
            Generator.from_pretrained(broken)


def test_stage_one_is_not_exported(tmp_path):
    made = recipe("pretrain")
    pictures = stored()
    task = make_task(made, pictures=pictures, held_out=None, device=CPU)
    write_run(tmp_path / "run", train(task, made.loop, tmp_path / "run"), made)
    with pytest.raises(DataError, match="makes no pictures"):
        export_generator(tmp_path / "run", tmp_path / "model")


def test_a_folder_says_what_it_is(folders):
    files = open_model(folders["consistency"][1])
    assert files.manifest.name == "generator-16"
    assert open_model(folders["diffusion"][1]).manifest.name == "generator-16-diffusion"
    assert files.config["kind"] == "generator"
    assert files.config["encoder_width"] == NETWORK["encoder_width"]


def test_sampling_needs_no_torch(folders):
    code = BLOCK + (
        "import sys\n"
        "from visagist.generation.inference import Generator\n"
        "print(Generator.from_pretrained(sys.argv[1] + '/').generate(2).shape)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folders["consistency"][1])],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "(2, 16, 16, 3)", done.stderr


@pytest.mark.parametrize(
    ("known", "steps", "taken"),
    [
        (("one", "one-diffusion"), None, "one-diffusion"),  # nothing asked for: the better pictures
        (("one", "one-diffusion"), 1, "one"),
        (("one", "one-diffusion"), 4, "one"),
        (("one", "one-diffusion"), 5, "one-diffusion"),
        (("one-diffusion",), 1, "one-diffusion"),
        (("one",), None, "one"),
        (("one",), 32, "one"),
    ],
)
def test_sisters_share_the_steps(monkeypatch, known, steps, taken):
    monkeypatch.setattr("visagist.generation.inference.list_models", lambda: list(known))
    assert model_for("one", steps) == taken
    folder = Path("one")
    assert model_for(folder, steps) is folder
