from __future__ import annotations

import json

import numpy as np
import pytest

from tests.corpus.labelled_tree import placed_face
from tests.face.parser.small_parser import untrained
from visagist.errors import InputError, ModelDamagedError, ModelMissingError
from visagist.face.align import align
from visagist.face.parser.classes import CLASSES, HAIR, OCCLUDER, SKIN
from visagist.face.parser.inference import Parser, classify
from visagist.face.parts import Part
from visagist.face.types import Detection, Face
from visagist.runtime.manifest import write_manifest


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return untrained(tmp_path_factory.mktemp("parser"))


@pytest.fixture(scope="module")
def parser(folder) -> Parser:
    return Parser.from_pretrained(folder)


class Halves:
    """A session that sees hair in the left half of its crop, an occluder below, skin elsewhere."""

    def run(self, _outputs: object, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        assert feeds["image"].shape == (1, 3, 256, 256)
        logits = np.zeros((1, len(CLASSES), 128, 128), np.float32)
        logits[0, SKIN] = 10
        logits[0, HAIR, :, :64] = 30
        logits[0, OCCLUDER, 96:] = 60
        return [logits]


@pytest.fixture
def halves(folder) -> Parser:
    made = Parser.from_pretrained(folder)
    made._session = Halves()
    return made


def upright_face() -> tuple[np.ndarray, Face]:
    pixels, mesh = placed_face(0)
    return pixels, Face(Detection((0, 0, 1, 1), 1.0), mesh, 1.0)


def test_probabilities_add_up(parser):
    view = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    shares = parser.probabilities(view)
    assert shares.shape == (len(CLASSES), 128, 128)
    np.testing.assert_allclose(shares.sum(0), 1, atol=1e-5)


@pytest.mark.parametrize(
    "view", [np.zeros((128, 128, 3), np.uint8), np.zeros((256, 256, 3), np.float32)]
)
def test_a_view_of_another_kind_is_refused(parser, view):
    with pytest.raises(InputError, match="256"):
        parser.probabilities(view)


def test_parts_lie_where_the_network_saw_them(halves):
    pixels, face = upright_face()
    found = halves.parse(pixels, face)

    def at(x: float, y: float) -> int:
        column, row = found.alignment.to_photo(np.array([[x, y]]))[0]
        return int(found.parts[int(row), int(column)])

    assert at(58, 64) == Part.HAIR
    assert at(70, 64) == Part.SKIN
    assert at(70, 93) == Part.SKIN
    assert at(70, 98) == Part.OCCLUDER


def test_beyond_the_crop_is_background(halves):
    pixels, face = upright_face()
    wide = np.pad(pixels, ((300, 0), (400, 0), (0, 0)))
    moved = Face(face.detection, face.mesh + np.array([400, 300, 0], np.float32), 1.0)
    parts = halves.parse(wide, moved).parts
    assert (parts[:200] == Part.BACKGROUND).all()
    assert (parts[:, :250] == Part.BACKGROUND).all()
    assert Part.HAIR in parts


def test_uncovered_is_seen_from_the_canonical_crop(halves):
    pixels, face = upright_face()
    for size in (256, 128):
        clear = halves.uncovered(pixels, align(face.mesh, size))
        assert clear.shape == (size, size)
        # The canonical crop is the middle two thirds of the network's.
        assert clear[: size // 2, : size // 2 - 4].max() == 0
        assert clear[: size // 2, size // 2 + 4 :].min() == 1
        assert clear[-size // 16 :, size // 2 + 4 :].max() < 1


def test_a_turned_face_is_cropped_upright(halves):
    pixels, face = upright_face()
    turned = np.ascontiguousarray(np.rot90(pixels, 2))
    side = len(pixels)
    mesh = face.mesh.copy()
    mesh[:, :2] = side - mesh[:, :2]
    parts = halves.parse(turned, Face(face.detection, mesh, 1.0)).parts
    upright = halves.parse(pixels, face).parts
    assert (np.rot90(parts, 2) == upright).mean() > 0.98


def test_classes_grow_with_the_picture():
    shares = np.zeros((len(CLASSES), 4, 4), np.float32)
    shares[SKIN], shares[HAIR, :, 2:] = 0.4, 0.6
    labels = classify(shares, 64)
    assert (labels[:, :24] == SKIN).all()
    assert (labels[:, 40:] == HAIR).all()


def test_a_model_that_is_missing_or_of_other_classes_is_told(folder, tmp_path):
    with pytest.raises(ModelMissingError):
        Parser.from_pretrained(tmp_path / "nothing")
    other = tmp_path / "other"
    other.mkdir()
    for path in folder.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    config = json.loads((other / "config.json").read_text())
    for wrong in ({**config, "classes": ["skin", "hair"]}, {"kind": "face-parser"}):
        (other / "config.json").write_text(json.dumps(wrong))
        write_manifest(other, name="other", version="1", licence="x", created_by="a test")
        with pytest.raises(ModelDamagedError, match=r"config\.json"):
            Parser.from_pretrained(other)


def test_a_large_photo_is_seen_like_a_small_one(parser):
    pixels, face = upright_face()
    large = pixels.repeat(9, 0).repeat(9, 1)
    small = parser.uncovered(pixels, align(face.mesh))
    big = parser.uncovered(large, align(face.mesh * 9))
    assert np.abs(small - big).mean() < 0.02
