from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.makeup.made_face import drawn_face, drawn_mesh
from visagist.corpus.feed.cache import FaceCache
from visagist.errors import DataError
from visagist.makeup import data
from visagist.makeup.config import MakeupTrainingConfig
from visagist.makeup.data import (
    EYE_STRIP,
    MakeupDataset,
    into_patches,
    render_targets,
    to_batch,
)
from visagist.makeup.style import load_style
from visagist.training.augmentation import AugmentConfig

SIDE, ZOOM = 320, 1.25
EVERYTHING = AugmentConfig.model_validate(
    {
        "geometric": {"roll": 8.0, "scale": 0.06, "shift": 0.03},
        "photometric": {"strength": 1.0},
        "degraded": 0.5,
    }
    | {name: {"share": 0.5} for name in ("blur", "noise", "jpeg", "occlusion")}
)
COVERED = {"photometric": {"strength": 1.0}, "occlusion": {"share": 1.0}}
STYLES = [load_style(name) for name in ("rosewood", "smoky")]


@pytest.fixture(scope="module")
def faces() -> FaceCache:
    mesh = drawn_mesh(256)
    mesh[:, :2] += (SIDE - 256) / 2
    crops = np.stack([drawn_face(mesh, SIDE, skin) for skin in ("light", "medium", "deep")])
    return FaceCache(crops, np.stack([mesh] * 3), ("a", "b", "c"), ("train",) * 3, ZOOM)


@pytest.fixture(scope="module")
def targets(faces, tmp_path_factory) -> np.ndarray:
    return render_targets(faces, STYLES, tmp_path_factory.mktemp("t") / "train.npy")


def dataset(
    targets: np.ndarray, augment: dict[str, object] | None = None, **changes: object
) -> MakeupDataset:
    config = MakeupTrainingConfig(batch=4, styles_per_face=2).model_copy(update=changes)
    augmentation = EVERYTHING if augment is None else AugmentConfig.model_validate(augment)
    return MakeupDataset(
        targets, zoom=ZOOM, config=config, augmentation=augmentation, seed=0, steps=5
    )


def test_targets_are_the_bare_face_and_each_style(faces, targets):
    assert targets.shape == (3, 3, SIDE, SIDE, 3)
    assert np.array_equal(targets[:, 0], faces.crops)
    assert np.array_equal(targets[1, 2], data.retouch(faces.crops[1], faces.meshes[1], STYLES[1]))


def test_half_rendered_targets_are_completed_not_begun_anew(faces, targets, tmp_path, monkeypatch):
    path = tmp_path / "train.npy"
    render_targets(faces, STYLES, path)
    note = path.with_suffix(".json")
    whole = json.loads(note.read_text())
    note.write_text(json.dumps(whole | {"faces": 2}))
    stored = np.load(path, mmap_mode="r+")
    stored[1, 1] = 7  # finished: must not be drawn again
    stored[2] = 0  # not finished
    stored.flush()
    del stored
    done = []
    again = render_targets(faces, STYLES, path, progress=done.append)
    assert done == [3]
    assert (again[1, 1] == 7).all()
    assert np.array_equal(again[2], targets[2])
    assert json.loads(note.read_text()) == whole
    del again
    other = render_targets(faces, STYLES[::-1], path)
    assert np.array_equal(other[1, 2], targets[1, 1])
    del other

    def stop(count):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # after it has begun to overwrite the others
        render_targets(faces, STYLES, path, progress=stop)
    other = render_targets(faces, STYLES[::-1], path)
    assert np.array_equal(other[1, 2], targets[1, 1])


def test_the_same_step_is_the_same_batch(targets):
    first, second, other = dataset(targets)[3], dataset(targets)[3], dataset(targets)[2]
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_patches_are_what_pixel_shuffle_reads():
    residual = np.random.default_rng(0).integers(-99, 99, (2, 16, 16, 3)).astype(np.int16)
    patches = torch.from_numpy(into_patches(residual)).transpose(1, 2).float()
    back = F.pixel_shuffle(patches.unflatten(2, (4, 4)), 4)
    assert np.array_equal(back.permute(0, 2, 3, 1).numpy(), residual)


def test_a_pair_is_true_under_its_light(targets):
    """Bare picture + residual = the made-up picture in the same light, place and mirror."""
    item = dataset(targets, COVERED, patches=1 << 20)[0]
    batch = to_batch(item, torch.device("cpu"))
    residual = F.pixel_shuffle(batch.patches[:, 0].unflatten(2, (64, 64)), 4)
    made_up = batch.image * 127.5 + 127.5 + residual * 255
    assert made_up.min() >= -0.01
    assert made_up.max() <= 255.01
    strip = residual[:, :, EYE_STRIP[0], EYE_STRIP[1]]
    assert torch.allclose(strip, batch.eyes, atol=1e-6)
    # Lips are the reddest change of rosewood and must lie on the lips of the picture.
    assert residual.abs().amax((1, 2, 3)).min() > 10 / 255
    corner = residual[:, :, :24, :24].abs().max()
    assert corner < 3 / 255


def test_nothing_is_painted_on_a_cover(targets, monkeypatch):
    mask = np.zeros((256, 256, 1), np.float32)
    mask[:, 100:180] = 1
    monkeypatch.setattr(data, "cover", lambda *_: (mask, np.array([9.0, 99.0, 199.0], np.float32)))
    item = dataset(targets, {"occlusion": {"share": 1.0}}, patches=1 << 20)[0]
    assert (item[0][:, :, 100:180] == (9, 99, 199)).all()
    batch = to_batch(item, torch.device("cpu"))
    residual = F.pixel_shuffle(batch.patches[:, 0].unflatten(2, (64, 64)), 4)
    assert residual[:, :, :, 100:180].abs().max() == 0
    assert residual.abs().max() > 10 / 255


def test_without_disturbance_the_crop_is_the_canonical_crop(targets):
    images = dataset(targets, {}, batch=8)[0][0].astype(int)
    middle = slice(32, 288)
    canonical = targets[:, 0, middle, middle].astype(int)
    for image in images:
        best = min(np.abs(image - c[:, ::step]).mean() for c in canonical for step in (1, -1))
        assert best < 1.0


def test_chosen_patches_are_sorted_unique_and_mostly_makeup(targets):
    item = dataset(targets, patches=256)[0]
    where, patches = item[3], item[4]
    assert (np.diff(where, axis=1) > 0).all()
    made_up = np.abs(patches).max((1, 2)) > 1
    everything = dataset(targets, patches=1 << 20)[0][4]
    assert made_up.mean() > 1.2 * (np.abs(everything).max((1, 2)) > 1).mean()


def test_a_batch_says_how_much_of_the_style_each_face_wears(targets):
    config = MakeupTrainingConfig(batch=4, styles_per_face=2)
    strengths = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], np.float32)
    settings = {"zoom": ZOOM, "config": config, "augmentation": EVERYTHING, "seed": 0, "steps": 5}
    item = MakeupDataset(targets, strengths=strengths, **settings)[0]
    batch = to_batch(item, torch.device("cpu"))
    rows = {tuple(np.round(row, 1)) for row in strengths}
    worn = {
        tuple(np.round(pair[np.argsort(order)], 1))
        for pair, order in zip(batch.strengths.numpy(), batch.styles.numpy(), strict=True)
    }
    assert worn <= rows
    assert len(worn) > 1
    assert (to_batch(dataset(targets)[0], torch.device("cpu")).strengths == 1).all()
    with pytest.raises(DataError, match="strengths"):
        MakeupDataset(targets, strengths=strengths[:2], **settings)
