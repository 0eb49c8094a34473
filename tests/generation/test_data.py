from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.corpus.small_corpus import drawn_corpus
from tests.generation.pictures import class_folders, discs, recipe, stored
from visagist.errors import ConfigError, DataError
from visagist.generation.config import DataConfig
from visagist.generation.data import Batches, StoredPictures, open_pictures, shared_weights
from visagist.generation.draws import Draws, picked
from visagist.generation.folder import FolderPictures, centre_square
from visagist.training.parallel import Part

CPU = torch.device("cpu")


def draws(part=Part(), *, seed=0, step=3, batch=24, block=4):  # noqa: B008
    return Draws(seed, step, batch=batch, part=part, block=block, device=CPU)


def everything(d: Draws) -> list[np.ndarray]:
    return [d.uniform(), d.normal(), d.noise(2, 3).numpy(), d.spread().numpy(), d.normal()]


@settings(deadline=None, max_examples=20)
@given(st.sampled_from([1, 2, 3, 6]), st.integers(0, 50))
def test_parts_draw_what_the_whole_does(count, seed):
    whole = everything(draws(seed=seed))
    parts = [everything(draws(Part(i, count), seed=seed)) for i in range(count)]
    for number, wanted in enumerate(whole):
        assert np.array_equal(np.concatenate([p[number] for p in parts]), wanted)


def test_draws_differ_between_steps_seeds_and_blocks():
    first = everything(draws())
    for other in (everything(draws(step=4)), everything(draws(seed=1))):
        assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    assert not np.array_equal(first[2][:4], first[2][4:8])
    with pytest.raises(ConfigError, match="multiple of 12"):
        draws(Part(0, 3), batch=16)


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=20), st.floats(0, 1, exclude_max=True))
def test_picking_follows_the_weights(weights, draw):
    cumulative = np.cumsum(np.array(weights) / sum(weights))
    (index,) = picked(cumulative, np.array([draw]))
    assert 0 <= index < len(weights)
    assert draw <= cumulative[index] + 1e-9
    assert index == 0 or draw >= cumulative[index - 1]


def test_shares_are_kept():
    sources = ["a"] * 10 + ["b"] * 30 + ["c"] * 60
    weights = shared_weights(sources, {"a": 0.25})
    assert weights[:10].sum() == pytest.approx(0.25)
    assert weights[10:40].sum() == pytest.approx(0.25)
    assert weights[40:].sum() == pytest.approx(0.5)
    assert shared_weights(sources, {}) == pytest.approx(np.full(100, 0.01))
    assert shared_weights(sources, {"a": 0, "b": 1})[30] == pytest.approx(1 / 30)
    with pytest.raises(DataError, match="no picture of d"):
        shared_weights(sources, {"d": 0.5})
    with pytest.raises(DataError, match="nothing"):
        shared_weights(["a"], {"a": 0.0})


def batches(pictures, **config) -> Batches:
    data = DataConfig.model_validate({"folder": "imagenet", "block": 4} | config)
    return Batches(pictures, data, batch=16, seed=1, steps=10, device=CPU)


def test_batches_are_pictures_of_the_set():
    pictures = discs(32)
    batch = batches(stored(32), flip=False).draw(2, Part())
    assert batch.image.shape == (16, 3, 16, 16)
    known = {p.tobytes() for p in pictures}
    back = ((batch.image + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    assert all(np.ascontiguousarray(p).tobytes() in known for p in back)
    assert float(batch.image.min()) >= -1
    assert float(batch.image.max()) <= 1


def test_sources_masks_and_labels_come_along_and_are_mirrored_together():
    pictures = discs(32)
    masks = pictures[..., :2]
    made = stored(32, sources=255 - pictures, masks=masks, labels=np.arange(32))
    batch = batches(made).draw(0, Part())
    assert torch.allclose(batch.source, -batch.image, atol=1e-6)
    assert torch.allclose(batch.masks * 2 - 1, batch.image[:, :2], atol=1e-6)
    upright = torch.from_numpy(pictures[batch.label.numpy()]).permute(0, 3, 1, 2) / 127.5 - 1
    same = (upright - batch.image).abs().amax((1, 2, 3)) < 1e-6
    mirrored = (upright.flip(3) - batch.image).abs().amax((1, 2, 3)) < 1e-6
    assert (same | mirrored).all()
    assert mirrored.any()


@pytest.mark.parametrize("resident", [True, False])
def test_parts_make_the_batch_of_one_process(resident):
    pictures = stored(32, resident=resident)
    whole = [batches(pictures).draw(step, Part()) for step in range(3)]
    made = batches(pictures)
    for step in range(3):
        parts = [made.draw(step, Part(turn, 2)).image for turn in range(2)]
        assert torch.equal(torch.cat(parts), whole[step].image)


def test_validation_pictures_stay_the_same():
    made = batches(stored(40))
    first, second = made.fixed(16), made.fixed(16)
    assert torch.equal(first.image, second.image)
    assert torch.equal(first.draws.noise(2), second.draws.noise(2))
    assert len(made.fixed(1000).image) == 40


def test_sets_that_cannot_be_are_refused():
    with pytest.raises(DataError, match="without pictures"):
        stored(0)
    with pytest.raises(DataError, match="3 labels"):
        stored(16, labels=np.arange(3))


@pytest.mark.parametrize("shape", [(40, 40), (40, 80), (90, 40), (41, 57)])
def test_the_centre_is_cut_out(shape):
    height, width = shape
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x * 2, y * 2, x * 0], -1).astype(np.uint8)
    cut = centre_square(pixels, 20)
    assert cut.shape == (20, 20, 3)
    assert abs(cut[..., 0].mean() - (width - 1)) < 1.5
    assert abs(cut[..., 1].mean() - (height - 1)) < 1.5


def test_class_folders(tmp_path):
    pictures = FolderPictures(class_folders(tmp_path, broken=3), side=16, split="train")
    assert pictures.classes == ["n00000001", "n00000002"]
    assert pictures.labels.tolist() == [0] * 12 + [1] * 12
    image, source, masks = pictures.get(np.array([0, 5, 13]))
    assert image.shape == (3, 3, 16, 16)
    assert source is None
    assert masks is None
    assert len(pictures.unreadable) == 5  # 0, 1, 2 of the first class, 1 and 2 of the second
    third = pictures.get(np.array([3]))[0]
    assert torch.equal(image[:1], third)
    validation = FolderPictures(tmp_path, side=16, split="validation")
    assert len(validation.weights) == 16
    with pytest.raises(DataError, match="'test'"):
        FolderPictures(tmp_path, side=16, split="test")


def test_folders_are_read_ahead_and_parts_fit(tmp_path):
    pictures = FolderPictures(class_folders(tmp_path), side=16, split="train")
    whole = batches(pictures, workers=0).draw(1, Part())
    ahead = batches(pictures, workers=2)
    parts = [ahead.draw(step, Part(turn, 2)) for step in (0, 1) for turn in range(2)][2:]
    assert torch.equal(torch.cat([p.image for p in parts]), whole.image)
    assert torch.equal(torch.cat([p.label for p in parts]), whole.label)


def test_recipes_open_what_they_name(tmp_path):
    made = recipe("diffusion", network={"classes": 2})
    data = {"side": 16, "cache": tmp_path / "cache", "split": "train", "device": CPU}
    root = class_folders(tmp_path / "root")
    assert isinstance(open_pictures([root], made.data, **data), FolderPictures)
    with pytest.raises(DataError, match="alone"):
        open_pictures([root, root], made.data, **data)
    with pytest.raises(DataError, match="no data is given"):
        open_pictures([], made.data, **data)


def test_faces_of_several_corpora(tmp_path):
    corpora = [
        drawn_corpus(tmp_path / name, train=count, validation=2, test=0, size=64)
        for name, count in [("one", 12), ("two", 6)]
    ]
    faces = {"use": "generation", "size": 16, "zoom": 1.0}
    config = DataConfig.model_validate({"faces": faces, "block": 4})
    where = {"side": 16, "cache": tmp_path / "cache", "split": "train", "device": CPU}
    pictures = open_pictures(corpora, config, **where)
    assert isinstance(pictures, StoredPictures)
    assert len(pictures.weights) == 18
    assert pictures.weights.sum() == pytest.approx(1)
    assert pictures.get(np.array([0, 17]))[0].shape == (2, 3, 16, 16)
    with pytest.raises(DataError, match="no picture of nowhere"):
        named = config.model_copy(update={"shares": {"nowhere": 0.5}})
        open_pictures(corpora, named, **where)
