from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("cv2")
pytest.importorskip("pyarrow")
pytest.importorskip("moderngl")

from tests.corpus.heads.made_assets import make_assets
from tests.corpus.small_corpus import drawn_sample
from tests.swap.triplets.small_triplets import SIZE, config, look
from visagist.swap.triplets import exact
from visagist.swap.triplets.exact import ExactMaker
from visagist.swap.triplets.faces import FIELD
from visagist.swap.triplets.gates import Gates, RejectedError


@cache
def drawn(number):
    return drawn_sample(number, size=round(SIZE * FIELD), zoom=FIELD)


class FakeStudio:
    """Records scenes; draws a face by the person, so that no renderer is needed."""

    def __init__(self, assets, size, zoom):
        assert size == round(SIZE * FIELD)
        assert zoom == FIELD
        self.assets, self.size, self.shots = assets, size, []

    def shoot(self, scene, like=None):
        sample = drawn(scene.person.spec.shape.seed % 4)
        shot = SimpleNamespace(image=sample.image, mesh=sample.mesh)
        self.shots.append((scene, like, shot))
        return shot


@pytest.fixture(scope="module")
def assets(tmp_path_factory):
    return make_assets(tmp_path_factory.mktemp("assets"))


@pytest.fixture
def make(assets, monkeypatch):
    monkeypatch.setattr(exact, "Studio", FakeStudio)

    def build(split="train"):
        settings = config()
        return ExactMaker(assets, settings, Gates(settings.gates, look), split=split)

    return build


def first(maker, tries=40):
    """The first triplet of a maker and the shots that made it."""
    for number in range(tries):
        maker._studio.shots.clear()
        try:
            return maker.make(np.random.default_rng(number), number, "k"), maker._studio.shots
        except RejectedError:
            continue
    raise AssertionError("every draw was rejected")


def test_target_and_truth_are_one_scene_with_two_people(make):
    triplet, shots = first(make())
    (target, none, shot), (truth, like, _), (source, other, _) = shots
    assert none is None
    assert like is shot  # crop and exposure of the target
    assert other is None
    for name in ("pose", "camera", "lighting", "background", "worn", "development"):
        assert getattr(target, name) == getattr(truth, name), name
    assert target.spec.expression == truth.spec.expression
    assert truth.person.identity == source.person.identity != target.person.identity
    assert source.pose != truth.pose
    assert triplet.source.person == triplet.truth.person != triplet.target.person
    assert triplet.truth.edits == ()
    assert triplet.kind == "exact"
    assert all(f.origin.may_show for f in (triplet.source, triplet.target, triplet.truth))


def test_a_source_shows_its_face_and_skins_are_alike(make):
    maker = make()
    for number in range(4):
        maker._studio.shots.clear()
        try:
            maker.make(np.random.default_rng(number), number, "k")
        except RejectedError:
            continue
        (target, *_), _, (source, *_) = maker._studio.shots
        assert {one.kind for one in source.worn} <= {"glasses", "beanie", "cap"}
        assert abs(target.person.tone - source.person.tone) <= 22


def test_splits_have_different_people(make):
    people = {
        split: {f.person for f in (t.source, t.target)}
        for split in ("train", "validation")
        for t, _ in [first(make(split))]
    }
    assert not people["train"] & people["validation"]
