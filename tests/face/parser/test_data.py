from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.face.parser.small_parser import recipe
from visagist.errors import DataError
from visagist.face.parser.classes import BACKGROUND, HAIR, IGNORE, OCCLUDER, SKIN
from visagist.face.parser.config import ParserRecipe
from visagist.face.parser.data import ParserData
from visagist.face.parser.pack import UNDERNEATH, Entry, ParserSet

SIDE, CPU = 120, torch.device("cpu")


def pictures(kind: str, colour: int, label: int, *, spot: int | None = None) -> ParserSet:
    """Flat pictures of one label, maybe with a square spot of another in the middle."""
    images = np.full((4, SIDE, SIDE, 3), colour, np.uint8)
    labels = np.full((4, SIDE, SIDE), label, np.uint8)
    if spot is not None:
        images[:, 40:80, 40:80], labels[:, 40:80, 40:80] = 250, spot
    splits = ["train", "train", "train", "validation"]
    entries = tuple(Entry(str(i), split, kind, i) for i, split in enumerate(splits))
    return ParserSet(images, labels, entries, 1.875)


def settings(**changes: object) -> ParserRecipe:
    plain = recipe() | {"augment": {"geometric": {"mirror": False}}}
    return ParserRecipe.model_validate(plain | changes)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_a_batch_has_its_shapes_and_ranges():
    data = ParserData(pictures("photo", 100, SKIN), None, "train", settings(), CPU)
    batch = data.draw(generator())
    assert batch.image.shape == (6, 3, 96, 96)
    assert batch.target.shape == (6, 48, 48)
    assert batch.target.dtype == torch.int64
    assert batch.image.min() >= -1
    assert batch.image.max() <= 1


def test_the_share_of_renders_is_kept():
    mixed = settings(training={"batch": 10, "head_share": 0.3, "transplant": 0.0})
    photos, heads = pictures("photo", 100, SKIN), pictures("head", 200, BACKGROUND)
    batch = ParserData(photos, heads, "train", mixed, CPU).draw(generator())
    assert (batch.target == BACKGROUND).all(2).all(1).sum() == 3
    bright = batch.image.mean((1, 2, 3)) > 0
    assert torch.equal(bright, (batch.target == BACKGROUND).all(2).all(1))


def test_labels_follow_their_pictures_through_every_move():
    moved = settings(
        augment={"geometric": {"roll": 40.0, "scale": 0.3, "shift": 0.2, "warp": 0.03}},
        training={"batch": 12},
    )
    photos = pictures("photo", 20, SKIN, spot=HAIR)
    batch = ParserData(photos, None, "train", moved, CPU).draw(generator())
    seen = torch.nn.functional.avg_pool2d(batch.image.mean(1, keepdim=True), 2)[:, 0] > 0
    known = batch.target != IGNORE
    agree = (seen == (batch.target == HAIR))[known]
    assert agree.float().mean() > 0.98
    assert (batch.target == HAIR).any(2).any(1).all()


def test_what_lies_outside_the_picture_is_unknown():
    far = settings(augment={"geometric": {"shift": 0.4}}, training={"batch": 8})
    batch = ParserData(pictures("photo", 100, SKIN), None, "train", far, CPU).draw(generator())
    assert set(batch.target.unique().tolist()) == {SKIN, IGNORE}


def test_the_label_under_a_cover_is_that_of_the_photo():
    photos = pictures("photo", 100, SKIN)
    labels = np.array(photos.labels)
    labels[1] = UNDERNEATH
    labels[1, 40:80, 40:80] = OCCLUDER
    entries = (photos.entries[0], Entry("0", "train", "covered", 0))
    both = ParserSet(photos.images[:2], labels[:2], entries, photos.field)
    data = ParserData(both, None, "train", settings(), CPU)
    target = data.fixed(data.photos, torch.tensor([1])).target
    assert set(target.unique().tolist()) == {SKIN, OCCLUDER}


def test_photos_take_over_the_hair_of_renders_and_its_label():
    every = settings(training={"batch": 6, "head_share": 0.0, "transplant": 1.0})
    photos = pictures("photo", 20, SKIN)
    heads = pictures("head", 20, BACKGROUND, spot=HAIR)
    batch = ParserData(photos, heads, "train", every, CPU).draw(generator())
    assert set(batch.target.unique().tolist()) == {SKIN, HAIR, IGNORE}
    small = torch.nn.functional.avg_pool2d(batch.image.mean(1, keepdim=True), 2)[:, 0]
    assert small[batch.target == HAIR].min() > 0
    assert small[batch.target == SKIN].max() < 0


def test_the_same_seed_draws_the_same_batch():
    data = ParserData(pictures("photo", 90, SKIN, spot=HAIR), None, "train", settings(), CPU)
    first, second = data.draw(generator()), data.draw(generator())
    assert torch.equal(first.image, second.image)
    assert torch.equal(first.target, second.target)


def test_a_split_without_photos_is_refused():
    with pytest.raises(DataError, match="test"):
        ParserData(pictures("photo", 90, SKIN), None, "test", settings(), CPU)
