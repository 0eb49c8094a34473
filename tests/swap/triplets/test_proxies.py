import numpy as np
import pytest

pytest.importorskip("cv2")
pytest.importorskip("onnx")

from tests.corpus.small_corpus import drawn_sample
from tests.swap.small_model import DIMENSION, disc, weights, write_swap_model
from visagist.errors import InputError
from visagist.runtime.store import open_model
from visagist.swap.inference import Swapper
from visagist.swap.triplets.proxies import NetworkProxy


class FixedEncoder:
    """Sees the same person everywhere."""

    dimension = DIMENSION
    model_id = "fixed"

    def __init__(self):
        vector = np.random.default_rng(3).normal(size=DIMENSION)
        self.vector = (vector / np.linalg.norm(vector)).astype(np.float32)
        self.views = []

    def embed(self, pixels, face):
        return self.vector

    def embed_view(self, view):
        self.views.append(view)
        return self.vector


@pytest.fixture
def parts(tmp_path):
    encoder = FixedEncoder()
    swapper = Swapper(open_model(write_swap_model(tmp_path / "swap")), encoder=encoder)
    return NetworkProxy(swapper, encoder.embed_view), encoder


def test_a_network_answers_inside_its_mask_alone(parts):
    proxy, encoder = parts
    source, target = (drawn_sample(n, size=256, zoom=1.0) for n in (0, 5))
    made = proxy(source.image, source.mesh, target.image, target.mesh)
    mask = disc() > 0.5
    np.testing.assert_array_equal(made[~mask], target.image[~mask])
    # the model: image = target / 2 + the first three constants
    colour = (encoder.vector @ weights())[:3]
    scaled = (target.image.astype(np.float64) / 127.5 - 1) / 2 + colour
    wanted = np.clip((scaled + 1) * 127.5, 0, 255)
    assert np.abs(made[mask] - wanted[mask]).max() <= 0.51
    assert encoder.views[0].shape == (112, 112, 3)


def test_crops_of_another_size_are_refused(parts):
    proxy, _ = parts
    small = drawn_sample(0, size=128, zoom=1.0)
    with pytest.raises(InputError, match="256"):
        proxy(small.image, small.mesh, small.image, small.mesh)
