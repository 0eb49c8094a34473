from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.corpus.labelled_tree import placed_face
from tests.face.drawn import drawn_face as detectable_face
from visagist.corpus import prepare
from visagist.corpus.prepare import PhotoConfig, PhotoTask, check_quality
from visagist.corpus.quality import measure
from visagist.corpus.sample import Origin
from visagist.corpus.sources.source import GivenLabels, SourceItem
from visagist.corpus.task import Item, SkippedItemError
from visagist.errors import DataError, MissingExtraError
from visagist.face.align import transform_points
from visagist.face.parts import Part
from visagist.face.types import Detection, Face


@dataclass(frozen=True)
class Given:
    """Labels handed over as they are."""

    labels: GivenLabels

    def load(self) -> GivenLabels:
        return self.labels


@dataclass(frozen=True)
class OneFolder:
    """A source of the items it is given."""

    name: str
    found: tuple[SourceItem, ...] = ()
    layout: str = "folder"
    licence: str = ""
    root: Path = Path()

    def items(self):
        return iter(self.found)

    def describe(self):
        return {"name": self.name}


def photo(folder, pixels, name="a.png", given=None, **origin):
    Image.fromarray(pixels).save(folder / name)
    labels = None if given is None else Given(given)
    return SourceItem(Origin("mine", name, **origin), str(folder), name, given=labels)


ANY = {
    "min_face_width": 10,
    "min_contrast": 0,
    "min_luminance": 0,
    "min_sharpness": 0,
    "max_occluded": 1,
}


def run(item, **config):
    task = PhotoTask([OneFolder("mine", (item,))], PhotoConfig(**config))
    (only,) = task.items()
    return task.prepare(only)


def reason(item, **config):
    with pytest.raises(SkippedItemError) as skipped:
        run(item, **config)
    return skipped.value.reason


def enlarged(factor: int):
    picture, mesh = placed_face(1)
    return np.kron(picture, np.ones((factor, factor, 1), np.uint8)), mesh * np.float32(factor)


def test_a_given_mesh_is_cropped_exactly(tmp_path):
    picture, mesh = placed_face(1)
    item = photo(tmp_path, picture, given=GivenLabels(mesh=mesh), identity="p", split="test")
    (sample,) = run(item, size=128, zoom=1.25)
    assert sample.image.shape == (128, 128, 3)
    assert (sample.labels_from, sample.confidence, sample.zoom) == ("given", 1.0, 1.25)
    assert sample.origin == item.origin
    assert np.allclose(transform_points(sample.matrix, mesh), sample.mesh, atol=1e-3)
    assert sample.quality.face_width == pytest.approx(np.ptp(mesh[:468, 0]), abs=0.01)
    # the pixel under a mesh point is the photo's
    for point in (1, 50, 280):  # nose and cheeks: nothing blends over an edge
        x, y = sample.mesh[point, :2].astype(int)
        u, v = mesh[point, :2].astype(int)
        around = picture[v - 4 : v + 5, u - 4 : u + 5].reshape(-1, 3).astype(int)
        assert np.abs(around - sample.image[y, x].astype(int)).sum(1).min() < 40


def test_a_large_photo_is_decoded_small_and_gives_the_same_crop(tmp_path, monkeypatch):
    picture, mesh = enlarged(8)
    item = photo(tmp_path, picture, "big.jpg", given=GivenLabels(mesh=mesh))
    (whole,) = run(item, size=64)
    sizes = []
    preview = prepare.Photo.preview

    def noted(data, side, limits):
        sizes.append(side)
        return preview(data, side, limits)

    monkeypatch.setattr(prepare.Photo, "preview", noted)
    (small,) = run(item, size=64)
    assert sizes and max(sizes) < 1200
    assert np.array_equal(small.image, whole.image)
    assert np.allclose(transform_points(small.matrix, mesh), small.mesh, atol=0.01)
    small_picture, small_mesh = placed_face(1)
    (direct,) = run(photo(tmp_path, small_picture, "b.png", GivenLabels(small_mesh)), size=64)
    assert np.abs(direct.image.astype(int) - small.image.astype(int)).mean() < 4
    assert np.allclose(direct.mesh, small.mesh, atol=0.05)


def test_given_label_maps_are_cropped_with_the_face(tmp_path):
    picture, mesh = placed_face(2)
    parts = np.full((150, 150), Part.SKIN, np.uint8)  # half the photo's resolution
    parts[:, 75:] = Part.OCCLUDER
    (sample,) = run(photo(tmp_path, picture, given=GivenLabels(mesh=mesh, parts=parts)))
    cropped = np.asarray(Image.open(io.BytesIO(sample.extras["parts.png"])))
    assert cropped.shape == sample.image.shape[:2]
    border = transform_points(sample.matrix, np.array([[150.0, 150.0]]))[0, 0]
    row = cropped[128]
    assert abs(np.flatnonzero(row == Part.OCCLUDER)[0] - border) < 3
    assert 0.2 < sample.quality.occluded < 0.9


def test_reasons(tmp_path):
    picture, mesh = placed_face(0)
    given = GivenLabels(mesh=mesh)
    assert reason(photo(tmp_path, picture, given=given), min_face_width=500) == "too_small"
    assert reason(photo(tmp_path, picture // 12, given=given)) == "too_dark"
    assert reason(photo(tmp_path, picture, given=given), min_sharpness=1e6) == "too_blurred"
    flat = np.full_like(picture, 120)
    assert reason(photo(tmp_path, flat, given=given)) == "too_flat"
    outside = GivenLabels(mesh=mesh + np.float32([200, 0, 0]))
    assert reason(photo(tmp_path, picture, given=outside)) == "cut_off"
    broken = mesh.copy()
    broken[5] = np.nan
    assert reason(photo(tmp_path, picture, given=GivenLabels(mesh=broken))) == "bad_mesh"
    assert reason(photo(tmp_path, picture, given=GivenLabels(mesh=mesh[:468]))) == "bad_mesh"
    point = np.full_like(mesh, 100)
    assert reason(photo(tmp_path, picture, given=GivenLabels(mesh=point))) in (
        "bad_mesh",
        "too_small",
    )
    close = photo(
        tmp_path, picture[60:260, 60:240], given=GivenLabels(mesh - np.float32([60, 60, 0]))
    )
    assert reason(close, min_face_inside=0) == "cut_off"
    assert run(close, min_face_inside=0, min_inside=0.3)


def test_thresholds_have_their_reasons():
    picture, mesh = placed_face(0)
    found = measure(picture, mesh, 1.0, face_width=100.0)
    for limit, expected in (
        ({"max_luminance": 1.0}, "too_bright"),
        ({"max_yaw": 0.5}, "too_turned"),
    ):
        with pytest.raises(SkippedItemError) as skipped:
            check_quality(found, PhotoConfig(**limit))
        assert skipped.value.reason == expected


@pytest.mark.parametrize("data", [b"", b"no picture", b"\xff\xd8\xff\xe0 cut"])
def test_a_broken_picture_is_unreadable(tmp_path, data):
    (tmp_path / "ü broken.jpg").write_bytes(data)
    item = SourceItem(Origin("mine", "ü broken.jpg"), str(tmp_path), "ü broken.jpg")
    assert reason(item) == "unreadable"
    assert reason(SourceItem(Origin("mine", "gone.jpg"), str(tmp_path), "gone.jpg")) == "unreadable"


def test_heic_without_its_extra_costs_one_line(tmp_path, monkeypatch):
    picture, mesh = placed_face(1)
    item = photo(tmp_path, picture, given=GivenLabels(mesh=mesh))

    def missing(data, limits):
        raise MissingExtraError("install visagist[heic]")

    monkeypatch.setattr(prepare, "picture_size", missing)
    assert reason(item) == "unreadable"


def test_our_networks_find_the_face_that_has_no_labels(tmp_path):
    (sample,) = run(photo(tmp_path, detectable_face()), min_confidence=0.0)
    assert sample.labels_from == "network"
    assert 100 < sample.quality.face_width < 200
    assert reason(photo(tmp_path, np.full((200, 200, 3), 90, np.uint8))) == "no_face"


@dataclass
class Finder:
    """Stands in for the detector and the mesh network: always the same two faces."""

    widths: tuple[float, ...] = (1.0, 0.6)

    def __call__(self, pixels, *, min_confidence):
        _, mesh = placed_face(1)
        side = max(pixels.shape)
        faces = []
        for k, scale in enumerate(self.widths):
            placed = (mesh - 150) * scale * 0.4 + np.float32([100 + 130 * k, 150, 150])
            faces.append(Face(Detection((0, 0, 1, 1), 1.0), placed * np.float32(side / 300), 0.9))
        return faces


@pytest.fixture
def two_faces(monkeypatch, tmp_path):
    monkeypatch.setattr(prepare, "find_faces", Finder())
    picture, _ = placed_face(1)
    return photo(tmp_path, picture, identity="p", given=GivenLabels())


def test_the_largest_face_of_a_photo(two_faces):
    (sample,) = run(two_faces, **ANY)
    assert sample.origin.item == "a.png"
    assert sample.origin.identity == "p"


def test_every_face_of_a_photo_and_only_the_largest_is_the_person(two_faces):
    first, second = run(two_faces, faces="all", **ANY)
    assert (first.origin.item, first.origin.identity) == ("a.png", "p")
    assert (second.origin.item, second.origin.identity) == ("a.png#1", "")
    assert first.key != second.key
    assert first.quality.face_width > second.quality.face_width


def test_a_small_face_does_not_cost_the_photo_its_large_one(two_faces):
    width = run(two_faces, **ANY)[0].quality.face_width
    kept = run(two_faces, faces="all", **(ANY | {"min_face_width": width * 0.9}))
    assert len(kept) == 1
    assert reason(two_faces, faces="all", min_face_width=width * 2) == "too_small"


def test_the_source_is_searched_small_and_cropped_sharp(tmp_path, monkeypatch):
    picture, _ = placed_face(1)
    monkeypatch.setattr(prepare, "find_faces", Finder((1.0,)))
    large = np.kron(picture, np.ones((4, 4, 1), np.uint8))
    item = photo(tmp_path, large, "large.png")
    (sharp,) = run(item, search_side=300, size=256, min_contrast=0)
    (whole,) = run(item, search_side=4096, size=256, min_contrast=0)
    assert np.allclose(sharp.matrix, whole.matrix, atol=1e-4)
    assert np.array_equal(sharp.image, whole.image)


def test_network_labels_ignore_what_is_given(tmp_path, monkeypatch):
    picture, mesh = placed_face(1)
    monkeypatch.setattr(prepare, "find_faces", Finder((1.0,)))
    item = photo(tmp_path, picture, given=GivenLabels(mesh=mesh))
    (sample,) = run(item, labels="network", min_contrast=0)
    assert sample.labels_from == "network"
    assert sample.confidence == 0.9


def test_a_given_box_leads_the_mesh_network(tmp_path, monkeypatch):
    picture, mesh = placed_face(1)
    asked = []

    class Mesher:
        def predict(self, pixels, detection):
            asked.append(detection.box)
            return mesh, 0.8

    monkeypatch.setattr(prepare, "default_mesher", Mesher)
    item = photo(tmp_path, picture, given=GivenLabels(box=(10, 20, 200, 220)))
    (sample,) = run(item)
    assert asked == [(10.0, 20.0, 200.0, 220.0)]
    assert (sample.labels_from, sample.confidence) == ("network", 0.8)
    assert reason(item, min_confidence=0.9) == "uncertain"


def test_two_sources_of_one_name_are_refused():
    with pytest.raises(DataError, match="'a'"):
        PhotoTask([OneFolder("a"), OneFolder("a")], PhotoConfig())


def test_a_task_travels_to_workers_and_describes_itself(tmp_path):
    picture, mesh = placed_face(1)
    task = PhotoTask(
        [OneFolder("mine", (photo(tmp_path, picture, given=GivenLabels(mesh=mesh)),))],
        PhotoConfig(size=96),
    )
    copy = pickle.loads(pickle.dumps(task))
    assert copy.describe() == task.describe()
    assert task.describe()["photos"]["size"] == 96
    (one,), (other,) = task.items(), copy.items()
    assert isinstance(one, Item) and one.key == "mine/a.png"
    assert np.array_equal(task.prepare(one)[0].image, copy.prepare(other)[0].image)
