import numpy as np
import pytest

from tests.makeup.made_face import drawn_face, drawn_mesh

pytest.importorskip("cv2")

from visagist.corpus.blends.blend import blend
from visagist.corpus.blends.mixture import Mixture, draw_mixture
from visagist.corpus.blends.posing import mix_meshes, posed_like
from visagist.errors import InputError
from visagist.face.regions import region_masks

SIZE = 192


def place(mesh):
    return mesh * np.float32(SIZE / 256 / 1.5) + np.float32([SIZE / 6, SIZE / 6, 0])


@pytest.fixture(scope="module")
def people():
    """Three drawn faces that differ in skin and width."""
    images, meshes = [], []
    for skin, wide, high in (("light", 1.0, 1.0), ("medium", 1.08, 0.97), ("deep", 0.94, 1.03)):
        mesh = drawn_mesh(256)
        mesh[:, 0] = 128 + (mesh[:, 0] - 128) * wide
        mesh[:, 1] = 140 + (mesh[:, 1] - 140) * high
        mesh = place(mesh)
        meshes.append(mesh)
        images.append(drawn_face(mesh, SIZE, skin))
    return images, meshes


def test_the_mean_of_meshes_in_one_pose_is_exact(people):
    _, meshes = people
    turned = posed_like(meshes[1], meshes[0])
    expected = 0.3 * meshes[0] + 0.7 * turned
    assert np.abs(mix_meshes(meshes[:2], (0.3, 0.7)) - expected).max() < 1e-4


def test_pose_does_not_count_as_shape(people):
    _, meshes = people
    angle = np.radians(8)
    turn = np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    )
    other = (meshes[0] @ turn.T * 1.2 + (5, -3, 2)).astype(np.float32)
    assert np.abs(mix_meshes([meshes[0], other], (0.5, 0.5)) - meshes[0]).max() < 1e-3


def test_weights_that_do_not_sum_to_one_are_refused(people):
    images, meshes = people
    with pytest.raises(InputError, match="sum to 1"):
        mix_meshes(meshes, (0.5, 0.5, 0.5))
    with pytest.raises(InputError, match="texture weights"):
        blend(images, meshes, Mixture((1, 0, 0), (0.5, 0.1, 0.1)))


def test_crops_of_two_sizes_are_refused(people):
    images, meshes = people
    with pytest.raises(InputError, match="one size"):
        blend([images[0], images[1][::2, ::2]], meshes[:2], Mixture((1, 0), (1, 0)))


def test_all_of_the_host_gives_the_host_back(people):
    images, meshes = people
    image, mesh = blend(images, meshes, Mixture((1, 0, 0), (1, 0, 0)))
    assert (image == images[0]).all()
    assert np.abs(mesh - meshes[0]).max() < 1e-3


def test_all_of_another_gives_its_face_with_the_hosts_surroundings(people):
    images, meshes = people
    mixture = Mixture((0, 1), (0, 1), host=0, detail=1, eyes=1, brows=1, mouth=1)
    image, mesh = blend(images[:2], meshes[:2], mixture)
    assert np.abs(mesh - posed_like(meshes[1], meshes[0])).max() < 1e-2
    assert (image[:8] == images[0][:8]).all()
    # the skin keeps the host's tone
    skin = region_masks(mesh, SIZE).skin > 0.9
    own = region_masks(meshes[0], SIZE).skin > 0.9
    assert np.abs(np.median(image[skin], 0) - np.median(images[0][own], 0)).max() < 12


def test_eyes_come_whole_from_the_one_who_gives_them(people):
    images, meshes = people
    images = [image.copy() for image in images]
    for image, mesh, colour in zip(images, meshes, ((0, 0, 255), (0, 255, 0)), strict=False):
        image[region_masks(mesh, SIZE).eyes > 0.5] = colour
    mixture = Mixture((0.5, 0.5), (0.5, 0.5), host=0, detail=0, eyes=1, brows=0, mouth=0)
    image, mesh = blend(images[:2], meshes[:2], mixture)
    eyes = image[region_masks(mesh, SIZE).eyes > 0.99].astype(int)
    assert (eyes[:, 1] > eyes[:, 2]).mean() > 0.9


def test_nothing_leaves_the_face(people):
    images, meshes = people
    mixture = Mixture((1, 0), (0.3, 0.7), detail=1, eyes=1, brows=1, mouth=1)
    image, mesh = blend(images[:2], meshes[:2], mixture)
    low, high = mesh[:468, :2].min(0), mesh[:468, :2].max(0)
    outside = np.ones((SIZE, SIZE), bool)
    outside[int(low[1]) : int(high[1]) + 1, int(low[0]) : int(high[0]) + 1] = False
    assert (image[outside] == images[0][outside]).all()
    assert np.abs(image[~outside].astype(int) - images[0][~outside]).mean() > 1


def test_mixtures_sum_to_one_and_take_features_from_everybody():
    for seed in range(20):
        drawn = draw_mixture(np.random.default_rng(seed), 3, host_share=0.1, spread=0.1)
        assert sum(drawn.shape) == pytest.approx(1, abs=1e-6)
        assert sum(drawn.texture) == pytest.approx(1, abs=1e-6)
        assert min(*drawn.shape, *drawn.texture) >= 0
        assert {drawn.eyes, drawn.brows, drawn.mouth} == {0, 1, 2}
