import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.amplify.pairs import error, face, look, truth
from tests.amplify.pixels.small import small_base
from visagist.amplify.masks import changed_mask, makeup_masks
from visagist.amplify.mesh_transfer import MeshBackend
from visagist.amplify.pixels.backend import SETTINGS, UPDATES, Base, PixelBackend
from visagist.amplify.pixels.config import FinetuneConfig, SamplingConfig
from visagist.amplify.pixels.export import export_amplifier
from visagist.amplify.pixels.finetune import finetune, with_updates
from visagist.amplify.pixels.lora import LowRank
from visagist.errors import DataError, InputError, ModelDamagedError
from visagist.makeup.style import Style
from visagist.training.run import write_run

LOOKS = [look(i) for i in range(3)]
FACES = [face(30), face(31)]
TUNING = FinetuneConfig(steps=40, batch=8, rank=4, draws=2, lr=3e-3)


@pytest.fixture(scope="module")
def tuned():
    return PixelBackend(small_base(), tuning=TUNING).fit(LOOKS, seed=3)


def test_an_untrained_base_lays_the_layers_as_they_are():
    style = PixelBackend(small_base(), tuning=FinetuneConfig(steps=0)).fit(LOOKS)
    laid = MeshBackend().fit(LOOKS).render(FACES)
    assert np.abs(style.render(FACES) - laid).max() < 1.5  # windows hold whole levels


def test_tuning_on_the_pairs_gets_nearer_to_them_and_seeds_decide(tuned):
    again = PixelBackend(small_base(), tuning=TUNING).fit(LOOKS, seed=3)
    assert all(torch.equal(tuned.updates[name], again.updates[name]) for name in tuned.updates)
    laid = MeshBackend().fit(LOOKS).render(FACES)
    wanted = [truth(30), truth(31)]
    own = np.mean([error(c, w) for c, w in zip(tuned.render(FACES), wanted, strict=True)])
    mesh = np.mean([error(c, w) for c, w in zip(laid, wanted, strict=True)])
    assert own < 1.02 * mesh


def test_nothing_is_painted_far_from_the_regions_and_strength_is_a_factor(tuned):
    full = tuned.render(FACES)
    for made, bare in zip(full, FACES, strict=True):
        far = changed_mask(makeup_masks(bare.mesh)) == 0
        assert np.abs(made[far]).mean() < 0.5
        assert not made[:8].any()
    assert np.allclose(tuned.render(FACES, strength=0.25), 0.25 * full)


def test_a_face_does_not_depend_on_its_neighbours_or_on_its_place(tuned):
    both = tuned.render(FACES, seed=5)
    assert np.allclose(tuned.render(FACES[1:], seed=5)[0], both[1], atol=1e-3)
    assert np.abs(tuned.render(FACES, seed=6) - both).max() > 1e-3


def test_few_pairs_leave_the_base_as_it_is():
    style = PixelBackend(small_base(), tuning=TUNING).fit(LOOKS[:1])
    assert style.updates == {}
    with pytest.raises(InputError, match="at least one pair"):
        PixelBackend(small_base(), tuning=TUNING).fit([])


def test_updates_start_at_zero_and_leave_the_base_untouched():
    base = small_base(shaken=0.02)
    before = {k: v.clone() for k, v in base.network.state_dict().items()}
    fresh = with_updates(base.network, {}, 4)
    assert any(isinstance(m, LowRank) for m in fresh.modules())
    image, time = torch.randn(1, 3, 64, 64), torch.randn(1, 32)
    condition, label = torch.randn(1, 9, 64, 64), torch.tensor([1])
    assert torch.allclose(
        fresh(image, time, label, condition), base.network(image, time, label, condition)
    )
    elsewhere = with_updates(small_base().network.to("meta"), {}, 4)
    assert {p.device.type for p in elsewhere.parameters()} == {"meta"}
    finetune(base.network, base.recipe, LOOKS, TUNING.model_copy(update={"steps": 2}))
    assert all(torch.equal(v, before[k]) for k, v in base.network.state_dict().items())


def test_several_steps_and_the_pass_without_a_style_are_settings():
    base = small_base(shaken=0.01)
    one = PixelBackend(base, tuning=FinetuneConfig(steps=0))
    several = SamplingConfig(steps=3)
    more = PixelBackend(base, tuning=FinetuneConfig(steps=0), sampling=several)
    photo = SamplingConfig(bare_pass=False)
    plain = PixelBackend(base, tuning=FinetuneConfig(steps=0), sampling=photo)
    shots = [b.fit(LOOKS[:2]).render(FACES[:1]) for b in (one, more, plain)]
    assert all(np.isfinite(shot).all() for shot in shots)
    assert np.abs(shots[0] - shots[1]).max() > 1e-3 and np.abs(shots[0] - shots[2]).max() > 1e-3


def test_styles_are_combined_by_region(tuned):
    bare = PixelBackend(small_base(), tuning=FinetuneConfig(steps=0))
    other = bare.fit([look(4, look_style("#20c040"))])
    mixed = tuned.combined({"lips": other}).render(FACES[:1])[0]
    lips = makeup_masks(FACES[0].mesh)["lips"] > 0.99
    skin = makeup_masks(FACES[0].mesh)["skin"] > 0.99
    assert np.allclose(mixed[lips], other.render(FACES[:1])[0][lips], atol=2)
    assert np.allclose(mixed[skin], tuned.render(FACES[:1])[0][skin], atol=2)
    with pytest.raises(InputError, match="hair"):
        tuned.combined({"hair": other})


def test_a_style_combined_with_itself_is_itself_to_the_margin(tuned):
    alone = tuned.render(FACES[:1])
    both = tuned.combined({"lips": tuned, "eyes": tuned}).combined({"skin": tuned})
    assert set(both.others) == {"lips", "eyes", "skin"}
    assert np.abs(both.render(FACES[:1]) - alone).max() < 1e-3


def test_of_a_combination_a_region_is_taken_as_it_is_there(tuned):
    plain = PixelBackend(small_base(), tuning=FinetuneConfig(steps=0)).fit(LOOKS[:1])
    mixed = tuned.combined({"lips": plain})
    assert tuned.combined({"lips": mixed, "skin": mixed}).others == {"lips": plain, "skin": mixed}


def test_no_face_gives_no_change(tuned):
    assert tuned.render([]).shape == (0, 256, 256, 3)


def look_style(colour):
    return Style.model_validate({"name": "green", "lips": {"colour": colour, "strength": 1.0}})


def test_a_saved_style_comes_back_and_belongs_to_its_base(tuned, tmp_path):
    tuned.save(tmp_path)
    backend = PixelBackend(small_base(), tuning=TUNING)
    again = backend.load(tmp_path)
    assert np.abs(again.render(FACES) - tuned.render(FACES)).max() < 2.5  # layers in half precision
    settings = json.loads((tmp_path / SETTINGS).read_text())
    (tmp_path / SETTINGS).write_text(json.dumps(settings | {"base": "amplifier-0.0.0-x"}))
    with pytest.raises(ModelDamagedError, match="learn it again"):
        backend.load(tmp_path)
    (tmp_path / SETTINGS).write_text(json.dumps(settings))
    (tmp_path / UPDATES).write_bytes((tmp_path / UPDATES).read_bytes()[:50])
    with pytest.raises(ModelDamagedError, match="damaged"):
        backend.load(tmp_path)


def test_a_base_is_exported_and_opened_again(tmp_path):
    base = small_base(shaken=0.05)
    run = tmp_path / "run"
    with pytest.raises(DataError):
        export_amplifier(run, tmp_path / "model")
    write_run(run, base.network, base.recipe)
    (run / "log.jsonl").write_text("{}\n")
    report = export_amplifier(run, tmp_path / "model", version="9.9.9")
    assert report["params"] == sum(p.numel() for p in base.network.parameters())
    opened = Base.from_pretrained(tmp_path / "model")
    assert opened.recipe == base.recipe and "9.9.9" in opened.model_id
    for a, b in zip(opened.network.parameters(), base.network.parameters(), strict=True):
        assert torch.allclose(a, b, atol=2e-3)
    save_file({"x": torch.zeros(1)}, tmp_path / "model" / "model.safetensors")
    with pytest.raises(ModelDamagedError):
        Base.from_pretrained(tmp_path / "model")
