import pickle

import numpy as np
import pytest

from tests.corpus.small_corpus import drawn_sample, write_corpus

pytest.importorskip("cv2")
pytest.importorskip("pyarrow")

from visagist.corpus.blends.config import BlendConfig, ParentConfig, make_config
from visagist.corpus.blends.gate import gate_of_file
from visagist.corpus.blends.parents import (
    child_origin,
    eyes_open,
    fit_together,
    may_be_parent,
    wear,
)
from visagist.corpus.blends.task import BlendTask
from visagist.corpus.corpus import Corpus
from visagist.corpus.task import SkippedItemError
from visagist.errors import ConfigError, InputError, ModelMissingError

# drawn faces come in three skins and four poses; all go together here
LOOSE = ParentConfig(
    tone_difference=200, sharpness_ratio=20, mouth_difference=0.2, pose_difference=30
)
USES = {
    0: ("mesh", "makeup", "generation"),
    1: ("makeup", "generation"),
    2: ("detection", "generation"),
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Ten people in train, nine in validation; three of test may not be blended."""
    samples = []
    for n in range(22):
        split = "train" if n < 10 else "validation" if n < 19 else "test"
        uses = ("makeup",) if split == "test" else USES[n % 3]
        licence = "MIT" if n % 2 else "CC0-1.0"
        sample = drawn_sample(
            n, size=192, zoom=1.8, uses=uses, licence=licence, may_show=n not in (4, 12)
        )
        samples.append((sample, split))
    return write_corpus(tmp_path_factory.mktemp("faces") / "corpus", samples)


def config(**fields):
    base = {"count": 6, "splits": ("train", "validation"), "rules": LOOSE}
    return BlendConfig(**(base | fields))


@pytest.fixture(scope="module")
def made(corpus):
    task = BlendTask(corpus, config())
    return [task.prepare(item) for item in task.items()]


def records(corpus):
    return {r.origin.identity: r for r in Corpus.open(corpus).records}


def test_parents_are_of_one_split_and_so_is_the_child(corpus, made):
    people = records(corpus)
    seen = set()
    for pictures in made:
        for sample in pictures:
            splits = {people[name].split for name in sample.origin.parents}
            assert splits == {sample.origin.split}
            assert len(set(sample.origin.parents)) == 3
            seen |= splits
    assert seen == {"train", "validation"}


def test_a_blend_allows_what_all_parents_allow(corpus, made):
    people = records(corpus)
    for pictures in made:
        origin = pictures[0].origin
        parents = [people[name].origin for name in origin.parents]
        assert set(origin.uses) == set.intersection(*(set(p.uses) for p in parents))
        assert "generation" in origin.uses
        assert origin.may_show == all(p.may_show for p in parents)
        assert set(origin.licence.split(" AND ")) == {p.licence for p in parents}
        assert origin.kind == "blend"


def test_two_pictures_are_one_person_and_differ(made):
    for first, second in made:
        assert first.origin.identity == second.origin.identity
        assert first.key != second.key
        assert (first.image != second.image).any()
        assert "change" in second.facts and "change" not in first.facts
    assert len({one[0].origin.identity for one in made}) == len(made)


def test_the_same_seed_gives_the_same_bytes(corpus, made):
    task = pickle.loads(pickle.dumps(BlendTask(corpus, config())))
    items = list(task.items())
    again = task.prepare(items[4])  # alone, in a fresh process as it were
    for one, other in zip(made[4], again, strict=True):
        assert (one.image == other.image).all()
        assert (one.mesh == other.mesh).all()
        assert one.origin == other.origin and one.facts == other.facts
    other = BlendTask(corpus, config(seed=1)).prepare(items[4])
    assert other[0].origin.parents != made[4][0].origin.parents or (
        (other[0].image != made[4][0].image).any()
    )


def test_the_border_is_the_hosts(corpus, made):
    people = records(corpus)
    faces = Corpus.open(corpus)
    for pictures in made[:3]:
        host = faces.load(people[pictures[0].origin.parents[0]])
        # window 1.5 of zoom 1.8 at 192 pixels: 16 at each side are not touched
        assert (pictures[0].image[:16] == host.image[:16]).all()
        assert (pictures[1].image[:, -16:] == host.image[:, -16:]).all()


def test_people_who_may_not_be_blended_are_no_parents(corpus):
    with pytest.raises(InputError, match="0 people in test"):
        BlendTask(corpus, config(splits=("test",)))
    # the right to the mesh alone has four people, too few to learn how people differ
    with pytest.raises(InputError, match=r"4 people in train .* 8 are needed"):
        BlendTask(corpus, config(use="mesh", splits=("train",)))


def test_nobody_who_fits_is_one_line_of_the_report(corpus):
    strict = config(rules=LOOSE.model_copy(update={"light_difference": 0.0}))
    task = BlendTask(corpus, strict)
    with pytest.raises(SkippedItemError, match="no_parents"):
        task.prepare(next(iter(task.items())))


def test_parents_of_two_splits_are_refused(corpus):
    people = records(corpus)
    with pytest.raises(InputError, match="train, validation"):
        child_origin([people["drawn/1"], people["drawn/11"]], source="b", item="0", identity="b/0")


def test_an_embedder_refuses_what_resembles_a_parent(corpus, tmp_path):
    onnx = pytest.importorskip("onnx")
    from tests.face.test_identity import tiny_embedder
    from visagist.face.identity import load_judge

    onnx.save(tiny_embedder(), tmp_path / "embedder.onnx")
    embed = load_judge(tmp_path / "embedder.onnx")
    free, item = BlendTask(corpus, config()), next(iter(BlendTask(corpus, config()).items()))
    first = free.prepare(item)[0]
    people, faces = records(corpus), Corpus.open(corpus)
    parents = [faces.load(people[name]) for name in first.origin.parents]
    child = embed(first.image, first.mesh)
    nearest = max(float(embed(p.image, p.mesh) @ child) for p in parents)
    gate = pickle.loads(pickle.dumps(gate_of_file(tmp_path / "embedder.onnx")))
    kept = BlendTask(corpus, config(max_cosine=min(nearest + 0.05, 1.0)), gate).prepare(item)
    assert (kept[0].image == first.image).all()
    with pytest.raises(SkippedItemError, match="like_a_parent"):
        BlendTask(corpus, config(max_cosine=-1.0), gate).prepare(item)
    assert BlendTask(corpus, config(), gate).describe()["embedder"] == gate.name
    with pytest.raises(ModelMissingError, match="cannot be read"):
        gate_of_file(tmp_path / "none.onnx")


def test_a_damaged_picture_is_no_parent_and_does_not_end_the_build(corpus, tmp_path):
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(corpus, broken)
    victim = records(broken)["drawn/0"]
    shard = broken / "shards" / victim.shard
    data = bytearray(shard.read_bytes())
    data[victim.offset : victim.offset + victim.length] = bytes(victim.length)
    shard.write_bytes(data)
    task = BlendTask(broken, config(splits=("train",)))
    made = [task.prepare(item) for item in task.items()]
    assert len(made) == 6
    assert all("drawn/0" not in one[0].origin.parents for one in made)


def test_rules_on_figures(corpus):
    people = records(corpus)
    one, other = people["drawn/0"], people["drawn/1"]
    assert may_be_parent(one, LOOSE)
    assert not may_be_parent(one, LOOSE.model_copy(update={"max_yaw": 1.0}))
    assert not may_be_parent(one, LOOSE.model_copy(update={"min_luminance": 95.0}))
    assert fit_together(one, other, LOOSE)
    assert not fit_together(one, other, ParentConfig())
    assert not fit_together(one, other, LOOSE.model_copy(update={"pose_difference": 1.0}))
    assert 0.2 < eyes_open(one.mesh) < 0.5
    shut = one.mesh.copy()
    shut[[159, 386]] = shut[[145, 374]]
    assert eyes_open(shut) == 0


def test_glasses_and_beards_are_seen():
    sample = drawn_sample(2, size=288, zoom=1.5)
    bare = wear(sample.image, sample.mesh)
    assert bare.glasses < 0.6 and abs(bare.beard) < 0.1
    import cv2

    framed, bearded = sample.image.copy(), sample.image.copy()
    eyes = sample.mesh[[468, 473], :2]
    for x, y in eyes:
        cv2.circle(framed, (round(float(x)), round(float(y))), 24, (20, 20, 20), 3)
    (x0, y0), (x1, y1) = eyes
    cv2.line(framed, (int(x0) + 22, int(y0)), (int(x1) - 22, int(y1)), (20, 20, 20), 4)
    assert wear(framed, sample.mesh).glasses > 1.2
    chin = np.rint(sample.mesh[[172, 136, 150, 149, 152, 378, 379, 365, 397, 391, 165], :2])
    cv2.fillPoly(bearded, [chin.astype(np.int32)], (60, 45, 40))
    assert wear(bearded, sample.mesh).beard > 0.3


def test_wrong_fields_are_named():
    with pytest.raises(ConfigError, match="parents"):
        make_config(count=1, parents=7)
    with pytest.raises(ConfigError, match="splits"):
        make_config(count=1, splits=("holdout",))
