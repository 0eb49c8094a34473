from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.recognition.small_people import DATA, people_corpus
from visagist.corpus.corpus import Corpus
from visagist.corpus.feed.selection import FeedConfig
from visagist.errors import DataError
from visagist.face.align import align, crop
from visagist.recognition.crop import recognition_crop
from visagist.recognition.data import Faces, open_faces
from visagist.training.augmentation import AugmentConfig

CONFIG = FeedConfig(**DATA)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return people_corpus(tmp_path_factory.mktemp("people") / "corpus")


@pytest.fixture(scope="module")
def faces(corpus, tmp_path_factory):
    return open_faces([corpus, corpus], CONFIG, tmp_path_factory.mktemp("cache"), "train")


def views(faces, index, augmentation=None, seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    return faces.views(torch.tensor(index), generator, augmentation, **options)


def test_corpora_follow_each_other(faces, corpus):
    count = len(Corpus.open(corpus).select(splits=("train",)))
    assert len(faces) == 2 * count
    assert faces.keys[:count] == faces.keys[count:]
    assert faces.meshes.shape == (2 * count, 478, 3)
    torch.testing.assert_close(views(faces, [1, 0]), views(faces, [count + 1, count]))


def test_a_view_is_what_recognition_crops_from_the_picture(faces, corpus):
    """The same part of the face, whether the batch or the user's photo is cut."""
    opened = Corpus.open(corpus)
    record = next(r for r in opened.records if r.key == faces.keys[2])
    sample = opened.load(record)
    cut = crop(sample.image, recognition_crop(align(sample.mesh), 56)).astype(float)
    view = (views(faces, [2], size=56)[0].permute(1, 2, 0).numpy() + 1) * 127.5
    # The corpus' crop is laid out by the same alignment; half the resolution is left of it.
    assert np.abs(view - cut).mean() < 6
    moved = np.roll(view, 4, 0)
    assert np.abs(moved - cut).mean() > 2 * np.abs(view - cut).mean()


def test_disturbed_views_follow_from_the_generator(faces):
    strong = AugmentConfig.model_validate(
        {
            "geometric": {"roll": 5, "shift": 0.05},
            "photometric": {"strength": 0.6, "grey": 0.25},
            "noise": {"share": 0.5},
        }
    )
    first, again = (views(faces, [0, 1, 2, 3], strong, seed=4) for _ in range(2))
    other = views(faces, [0, 1, 2, 3], strong, seed=5)
    torch.testing.assert_close(first, again)
    assert (first - other).abs().mean() > 0.01
    assert first.shape == (4, 3, 112, 112)
    assert first.min() >= -1 and first.max() <= 1
    assert (first[0, 0] == first[0, 1]).all()  # a quarter of the batch is grey


def test_half_of_the_faces_are_mirrored_and_none_if_not_asked(faces):
    mirrored = AugmentConfig.model_validate({"geometric": {"mirror": True}})
    plain = views(faces, [0] * 64)
    shown = views(faces, [0] * 64, mirrored)
    same = (shown - plain).abs().amax((1, 2, 3)) < 1e-4
    flipped = (shown - plain.flip(3)).abs().amax((1, 2, 3)) < 1e-4
    assert (same | flipped).all()
    assert 10 < int(same.sum()) < 54
    still = AugmentConfig.model_validate({"geometric": {"enabled": False}})
    torch.testing.assert_close(views(faces, [0] * 8, still), plain[:8])


def test_too_narrow_crops_and_nobody_at_all_are_refused(corpus, tmp_path):
    with pytest.raises(DataError, match="larger zoom"):
        open_faces([corpus], CONFIG.model_copy(update={"zoom": 0.7, "size": 40}), tmp_path, "train")
    with pytest.raises(DataError, match="no corpus given has a face for test"):
        open_faces([corpus], CONFIG, tmp_path, "test")
    with pytest.raises(DataError, match="no corpus"):
        Faces([])
