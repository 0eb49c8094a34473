import numpy as np
import pytest

from tests.makeup.made_face import drawn_face, drawn_mesh

pytest.importorskip("cv2")

from visagist.corpus.blends.expression import expressed
from visagist.corpus.blends.shape_space import learn_shape_space
from visagist.corpus.blends.texture_space import (
    SIDE,
    frontal,
    frontal_mesh,
    learn_texture_space,
    skin_only,
)
from visagist.errors import DataError
from visagist.face.regions import region_masks
from visagist.face.topology import canonical_points, mirror_index


def person(seed):
    """The canonical face made wider, longer and with another nose, by a seed."""
    random = np.random.default_rng(seed)
    wide, long_, nose = random.normal(0, 1, 3)
    mesh = canonical_points().astype(np.float64).copy()
    mesh[:, 0] = 128 + (mesh[:, 0] - 128) * (1 + 0.05 * wide)
    mesh[:, 1] = 140 + (mesh[:, 1] - 140) * (1 + 0.04 * long_)
    mesh[[1, 4, 5, 195], 2] -= 4 * nose
    return mesh.astype(np.float32)


@pytest.fixture(scope="module")
def shapes():
    return learn_shape_space([person(seed) for seed in range(24)], count=3)


def test_the_directions_carry_how_people_differ(shapes):
    ahead = [shapes.coordinates(person(seed)) for seed in range(24)]
    assert np.std(ahead, axis=0) == pytest.approx(1, abs=0.15)
    assert np.abs(np.mean(ahead, axis=0)).max() < 0.2


def test_directions_are_symmetric_and_part_no_lips(shapes):
    pairs = mirror_index()
    for direction in shapes.directions:
        assert np.abs(direction - direction[pairs] * (-1, 1, 1)).max() < 1e-3
    assert np.abs(shapes.directions[:, 13] - shapes.directions[:, 14]).max() < 1e-4
    assert np.abs(shapes.directions[:, 159] - shapes.directions[:, 145]).max() < 1e-4


def test_a_smile_is_not_another_person(shapes):
    calm = shapes.coordinates(canonical_points())
    smiling = shapes.coordinates(expressed(canonical_points(), {"mouthSmile": 0.6}))
    other = [shapes.coordinates(person(seed)) for seed in range(8)]
    assert np.linalg.norm(smiling - calm) < 0.5 * np.mean(np.linalg.norm(other - calm, axis=1))


def test_inheriting_all_and_drawing_nothing_changes_nothing(shapes):
    face = person(3)
    random = np.random.default_rng(0)
    change = shapes.vary(face, random, inherit=1.0, strength=0.0)
    assert np.abs(change).max() < 1e-4


def test_inheriting_nothing_ends_at_the_mean(shapes):
    face = person(3)
    change = shapes.vary(face, np.random.default_rng(0), inherit=0.0, strength=0.0)
    before, after = (np.linalg.norm(shapes.coordinates(m)) for m in (face, face + change))
    assert after < 0.25 * before


def test_too_few_people_are_refused():
    with pytest.raises(DataError, match="8 are needed"):
        learn_shape_space([person(0)] * 5)
    with pytest.raises(DataError, match="8 are needed"):
        learn_texture_space([(drawn_face(drawn_mesh(), 256), drawn_mesh())] * 5)


def test_the_frontal_view_puts_points_on_the_canonical_face():
    mesh = person(5)
    image = np.zeros((256, 256, 3), np.uint8)
    image[region_masks(mesh, 256).eyes > 0.5] = 255
    seen = frontal(image, mesh)[..., 0] > 128
    expected = region_masks(frontal_mesh(), SIDE).eyes > 0.5
    assert (seen & expected).sum() / (seen | expected).sum() > 0.75


def test_skin_varies_on_skin_only():
    def face(seed):
        mesh = person(seed)
        image = drawn_face(mesh, 256, ("light", "medium", "deep")[seed % 3]).astype(np.float32)
        y, x = np.mgrid[:256, :256]
        image += (20 * np.sin(x / 14 + seed) * np.cos(y / 11 - seed))[..., None]
        return np.clip(image, 0, 255).astype(np.uint8), mesh

    faces = [face(seed) for seed in range(9)]
    space = learn_texture_space(faces, count=4)
    drawn = space.vary(faces[:2], (0.5, 0.5), np.random.default_rng(0), inherit=1.0, strength=1.0)
    assert drawn.shape == (SIDE, SIDE, 3)
    mask = skin_only()
    assert np.abs(drawn[mask > 0.9][:, 0]).mean() > 0.3
    assert np.abs(drawn[mask < 1e-3]).max() < 0.05
    same = space.vary(faces[:2], (0.5, 0.5), np.random.default_rng(0), inherit=1.0, strength=0.0)
    assert np.abs(same).max() < 1e-3
