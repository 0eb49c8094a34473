from __future__ import annotations

import errno
import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.amplify.pairs import look
from tests.amplify.quick import quick_recipe
from tests.corpus.small_corpus import drawn_corpus
from tests.makeup.model_folder import write_makeup_model
from visagist.amplify import ensemble
from visagist.amplify import learn as learning
from visagist.amplify.gates import Gates
from visagist.amplify.learn import LearnConfig, check_name, learn
from visagist.amplify.pairs import Pairs
from visagist.amplify.register import Registration, RegistrationReport
from visagist.amplify.template import ESTIMATED
from visagist.errors import DataError, DiskFullError, InputError
from visagist.makeup.inference import Makeup
from visagist.makeup.learned import learned_styles, model_for
from visagist.runtime.manifest import verify

REPORT = RegistrationReport(
    (0.0, 0.0), 1.0, 0.0, False, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 9.0, 0.5, ()
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of one's own, and pairs that need no registration."""
    monkeypatch.setenv("VISAGIST_HOME", str(tmp_path / "home"))
    found = [Registration(look(n), REPORT, np.zeros((256, 256, 2), np.float32)) for n in range(2)]

    def load(source: Path, *, progress: object) -> Pairs:
        return Pairs(tuple(found), (), ("one warning",))

    monkeypatch.setattr(learning, "load_pairs", load)
    monkeypatch.setattr(learning, "student_recipe", quick_recipe)
    for side in ("before", "after"):
        (tmp_path / "pairs" / side).mkdir(parents=True)
        for n, one in enumerate(found):
            picture = Image.fromarray(getattr(one.look, side))
            picture.save(tmp_path / "pairs" / side / f"{n}.png")
    return tmp_path


@pytest.fixture(scope="module")
def ground(tmp_path_factory) -> tuple[Path, Path]:
    """Faces, and a network to start from."""
    root = tmp_path_factory.mktemp("ground")
    corpus = drawn_corpus(root / "corpus", train=6, validation=2, test=0, size=320, zoom=1.25)
    return corpus, write_makeup_model(root / "start", idle=True)


@pytest.fixture
def call(home: Path, ground: tuple[Path, Path]):
    corpus, start = ground
    config = LearnConfig(backend="mesh", count=8, steps=4, held_out=2, start=str(start))

    def run(name: str = "mine", **changes: object) -> dict[str, object]:
        options = {"minutes": None} | changes
        changed = config.model_copy(update=options.pop("config", {}))
        return learn(home / "pairs", name, [corpus], home / "work", changed, **options)

    return run


def test_from_pairs_to_an_installed_style(home, call):
    told: list[str] = []
    report = call(report=lambda stage, done, total: told.append(stage))
    order = list(dict.fromkeys(told))
    assert [s for s in order if s in ("amplify", "train", "judge")] == ["amplify", "train", "judge"]
    model = Path(report["model"])
    assert model == home / "home" / "models" / "mine"
    manifest = verify(model)
    assert manifest.name == "mine"
    assert "card.md" in manifest.files
    assert "one warning" in (model / "card.md").read_text()
    assert report["samples"] + report["rejected"] == 8
    assert report["samples"] > 0
    assert report["steps"] == 4
    assert report["held_out"] == 2
    assert report["leakage_teacher"] < 0.02
    assert {"psnr", "psnr_bare", "gain", "pairs_gain", "shift_sensitivity"} <= report.keys()
    assert report["minutes_total"] >= 0
    assert report["peak_memory_gb"] < 8
    assert list(learned_styles()) == ["mine"]
    assert learned_styles()["mine"].description == "Learned from 2 pairs of photos"
    engine = Makeup.from_pretrained(model_for({"mine": 1.0}), protect=False)
    assert engine.styles == ("mine",)
    with pytest.raises(InputError, match="taken"):
        call()


def test_the_default_amplifier_learns_too(home, call, monkeypatch):
    monkeypatch.setattr(ensemble, "student_recipe", quick_recipe)
    monkeypatch.setattr(ensemble, "EnsembleConfig", partial(ensemble.EnsembleConfig, steps=6))
    report = call(config={"backend": LearnConfig().backend})
    assert report["samples"] > 0
    assert Path(report["model"]).is_dir()
    assert "ensemble" in (Path(report["model"]) / "card.md").read_text()


def test_where_every_sample_is_rejected_it_says_what_to_do(home, call, monkeypatch):
    monkeypatch.setattr(Gates, "_reasons", lambda self, scores: ("colour",))
    for _ in range(2):
        with pytest.raises(DataError, match=r"rejected \(colour 8\).*--restart"):
            call()


def test_stopped_anywhere_or_with_a_full_disk_it_goes_on(home, call, monkeypatch):
    def stop(stage: str):
        def report(now: str, done: int, total: int) -> None:
            if now == stage:
                raise KeyboardInterrupt

        return report

    def full(*_: object, **__: object) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    for stage in ("fit", "train", "judge"):
        with pytest.raises(KeyboardInterrupt):
            call(report=stop(stage))
        assert not learned_styles()
    with monkeypatch.context() as patched:
        patched.setattr(learning, "install", full)
        with pytest.raises(DiskFullError, match="install"):
            call()
    assert not learned_styles()
    # what was done is not done again
    for name in ("amplify", "load_pairs", "train_student", "report_student"):
        monkeypatch.setattr(learning, name, None)
    assert call()["steps"] == 4
    stages = json.loads((home / "work" / "work.json").read_text())["stages"]
    assert all("result" in stage for stage in stages.values())
    shutil.rmtree(home / "home" / "models" / "mine")
    assert Path(str(call()["model"])).is_dir()


def test_two_runs_in_one_folder_and_damaged_looks_are_told(home, call):
    pytest.importorskip("fcntl")
    with pytest.raises(InputError, match="is writing to"):
        call(report=lambda *_: call())
    (home / "work" / "looks.npz").write_bytes(b"half")
    with pytest.raises(DataError, match="--restart"):
        call()


def test_faces_without_people_to_judge_on_are_refused_before_any_work(home, tmp_path):
    corpus = drawn_corpus(tmp_path / "few", train=2, validation=0, test=0, size=320, zoom=1.25)
    with pytest.raises(DataError, match="validation"):
        learn(home / "pairs", "mine", [corpus], home / "work", LearnConfig())
    assert not (home / "work").exists()


def test_a_style_from_one_photo_says_what_it_cannot_know(home, ground, monkeypatch):
    photo = home / "pairs" / "after" / "0.png"
    monkeypatch.setattr(learning, "open_template", lambda path: look(0))
    config = LearnConfig(from_photo=True, count=8, start=str(ground[1]))
    with pytest.raises(KeyboardInterrupt):
        learn(photo, "mine", [ground[0]], home / "work", config, report=_interrupt)
    stages = json.loads((home / "work" / "work.json").read_text())["stages"]
    assert stages["register"]["result"]["warnings"] == [ESTIMATED]


def test_little_time_makes_few_samples_and_steps(home, call, monkeypatch):
    monkeypatch.setattr(learning, "_LEAST_SAMPLES", 4)
    monkeypatch.setattr(learning, "_LEAST_STEPS", 2)

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(learning, "train_student", stop)
    with pytest.raises(KeyboardInterrupt):
        call(minutes=1e-9)
    stages = json.loads((home / "work" / "work.json").read_text())["stages"]
    made = stages["amplify"]["result"]
    assert made["samples"] + made["rejected"] == 4
    assert stages["train_plan"]["result"]["steps"] == 2


def test_other_settings_do_not_go_on_with_old_work(home, call):
    with pytest.raises(KeyboardInterrupt):
        call(report=_interrupt)
    with pytest.raises(InputError, match="settings"):
        call(config={"seed": 9})
    with pytest.raises(InputError, match="style"):
        call("other")


def _interrupt(stage: str, done: int, total: int) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("smoky", "comes with visagist"),
        ("face-mesh", "comes with visagist"),
        ("Mine", "lower-case"),
        ("../x", "lower-case"),
    ],
)
def test_names_are_checked_before_any_work(home, call, name, words):
    with pytest.raises(InputError, match=words):
        call(name)
    assert not (home / "work").exists()


def test_only_ones_own_style_can_be_replaced(home):
    folder = home / "home" / "models" / "mine"
    folder.mkdir(parents=True)
    with pytest.raises(InputError, match="--replace"):
        check_name("mine")
    check_name("mine", replace=True)
    with pytest.raises(InputError, match="taken"):
        check_name("smoky", replace=True)
