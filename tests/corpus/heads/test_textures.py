import numpy as np
import pytest
from PIL import Image

from visagist.corpus.heads.textures import albedo, detail_texture, skin_mean, soft_first, strands
from visagist.errors import DataError


def picture(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def test_colours_are_linear(tmp_path):
    path = picture(tmp_path / "a.png", np.full((8, 8, 3), (188, 255, 0), np.uint8))
    assert np.allclose(albedo(path)[0, 0], [0.503, 1.0, 0.0], atol=2e-3)


def test_the_skins_mean_is_that_of_the_face_and_not_of_the_rest(tmp_path):
    skin = np.zeros((200, 200, 3), np.uint8)
    skin[84:122, 174:188] = 188
    assert np.allclose(skin_mean(picture(tmp_path / "skin.png", skin)), 0.503, atol=2e-3)


def test_structure_is_a_ratio_around_one(tmp_path):
    checks = np.indices((2048, 2048)).sum(0) % 2
    image = np.where(checks[..., None], 190, 180).astype(np.uint8).repeat(3, 2)
    picture(tmp_path / "skins_2048" / "a.png", image)
    ratio = detail_texture(tmp_path, 5).make().astype(float) / 128
    assert abs(ratio.mean() - 1) < 0.01
    assert 0.02 < ratio.std() < 0.12
    assert (detail_texture(tmp_path / "none", 0).make() == 128).all()


def test_strands_are_evened_out_whatever_their_colour(tmp_path):
    random = np.random.default_rng(0)
    for level in (30, 200):
        image = np.zeros((128, 128, 4), np.uint8)
        image[..., :3] = np.clip(level + random.normal(0, 12, (128, 128, 1)), 0, 255)
        image[20:108, 20:108, 3] = 255
        made = strands(picture(tmp_path / f"{level}.png", image))
        there = made[..., 1] > 128
        assert there.sum() == 88 * 88
        assert abs(made[..., 0][there].mean() / 255 - 0.45) < 0.03


def test_hair_that_is_nowhere_opaque_is_refused(tmp_path):
    path = picture(tmp_path / "clear.png", np.zeros((8, 8, 4), np.uint8))
    with pytest.raises(DataError, match="opaque"):
        strands(path)


def test_only_triangles_at_an_edge_are_soft(tmp_path):
    image = np.zeros((64, 64, 4), np.uint8)
    image[:, 32:, 3] = 255
    image[:, 31, 3] = 128
    path = picture(tmp_path / "half.png", image)
    uv = np.array(
        [[0.1, 0.1], [0.3, 0.1], [0.1, 0.9], [0.4, 0.1], [0.6, 0.1], [0.5, 0.9], [0.7, 0.1],
         [0.9, 0.1], [0.8, 0.9]], np.float32,
    )  # fmt: skip
    triangles = np.arange(9, dtype=np.int32).reshape(3, 3)
    ordered, soft = soft_first(path, uv, triangles)
    assert soft == 1
    assert ordered[0].tolist() == [3, 4, 5]
    assert sorted(map(tuple, ordered)) == sorted(map(tuple, triangles))
