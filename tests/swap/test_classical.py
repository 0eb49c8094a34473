import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("cv2")

from tests.corpus.small_corpus import drawn_sample
from visagist.corpus.blends.expression import expressed
from visagist.corpus.blends.pose import turned
from visagist.errors import InputError
from visagist.face.regions import region_masks
from visagist.face.topology import canonical_points
from visagist.swap.classical import classical_swap
from visagist.swap.shape import eye_opening, moved, shape_difference


def faces(*numbers):
    samples = [drawn_sample(n, size=160, zoom=1.25) for n in numbers]
    return [(sample.image, sample.mesh) for sample in samples]


def built(scale):
    """The canonical face with a jaw wider by a factor."""
    mesh = canonical_points().copy()
    low = np.clip((mesh[:, 1] - 150) / 80, 0, 1)
    mesh[:, 0] = 128 + (mesh[:, 0] - 128) * (1 + (scale - 1) * low)
    return mesh


class TestShape:
    def test_two_builds_differ_by_what_was_changed(self):
        move = shape_difference(built(1.2), canonical_points())
        jaw = [172, 397]  # right and left corner
        assert move[jaw[0], 0] < -2
        assert move[jaw[1], 0] > 2
        assert np.abs(move[10, :2]).max() < 3

    @given(st.sampled_from(["mouthSmile", "jawOpen", "browInnerUp"]), st.floats(0.2, 0.8))
    @settings(max_examples=8, deadline=None)
    def test_an_expression_is_no_build(self, unit, weight):
        mesh = built(1.0)
        mesh[14, 1] += 12  # lips apart: an open mouth may move
        acted = expressed(mesh, {unit: weight})
        left = np.linalg.norm(shape_difference(acted, mesh)[:, :2], axis=1)
        whole = np.linalg.norm((acted - mesh)[:, :2], axis=1)
        assert left.max() < 0.5 * whole.max()

    def test_nothing_moves_without_a_move(self):
        mesh = turned(canonical_points(), yaw=15, pitch=5)
        assert np.abs(moved(mesh, np.zeros((478, 3))) - mesh).max() < 1e-3

    def test_closed_lids_have_no_opening(self):
        mesh = canonical_points().copy()
        assert min(eye_opening(mesh)) > 0.15
        mesh[159, :2] = mesh[145, :2]
        assert eye_opening(mesh)[0] == 0


class TestSwap:
    @pytest.mark.parametrize("seam", ["bands", "poisson"])
    def test_the_face_comes_nearer_to_the_source_and_the_rest_stays(self, seam):
        (image, mesh), (target, goal) = faces(0, 5)
        swapped, mask = classical_swap(image, mesh, target, goal, shape=0.0, seam=seam)
        assert swapped.shape == target.shape
        assert swapped.dtype == np.uint8
        assert mask.dtype == np.float32
        assert 0.05 < mask.mean() < 0.6
        assert mask.min() >= 0
        assert mask.max() <= 1
        np.testing.assert_array_equal(swapped[mask == 0], target[mask == 0])
        assert np.abs(swapped[mask > 0.9].astype(int) - target[mask > 0.9]).mean() > 0.5

    def test_a_face_swapped_with_itself_hardly_changes(self):
        ((image, mesh),) = faces(3)
        swapped, mask = classical_swap(image, mesh, image, mesh)
        difference = np.abs(swapped.astype(int) - image)
        assert difference[mask == 0].max() == 0
        assert difference.mean() < 0.5

    def test_what_covers_the_target_stays_in_front(self):
        (image, mesh), (target, goal) = faces(0, 5)
        free = np.ones(target.shape[:2], np.float32)
        free[:, :80] = 0
        swapped, mask = classical_swap(image, mesh, target, goal, shape=0.0, target_free=free)
        assert mask[:, :76].max() < 1e-3
        np.testing.assert_array_equal(swapped[:, :70], target[:, :70])
        assert mask[:, 90:].max() > 0.9

    def test_an_open_mouth_keeps_what_is_inside(self):
        (image, mesh), (target, goal) = faces(0, 5)
        goal = goal.copy()
        for below in (14, 87, 317, 178, 402, 88, 318):
            goal[below, 1] += 12
        swapped, mask = classical_swap(image, mesh, target, goal, shape=0.0)
        inside = region_masks(goal, 160).mouth > 0.99
        assert inside.sum() > 30
        assert mask[inside].mean() < 0.2
        assert np.abs(swapped[inside].astype(int) - target[inside]).mean() < 3

    def test_shape_moves_the_outline(self):
        (image, mesh), (target, goal) = faces(0, 5)
        wide = moved(mesh, built(1.4) - canonical_points())
        plain, _ = classical_swap(image, mesh, target, goal, shape=1.0)
        changed, _ = classical_swap(image, wide, target, goal, shape=1.0)
        assert np.abs(plain.astype(int) - changed).max() > 20

    def test_bad_input_is_refused(self):
        (image, mesh), (target, goal) = faces(0, 5)
        with pytest.raises(InputError, match="square"):
            classical_swap(image[:, 5:], mesh, target, goal)
        with pytest.raises(InputError, match="finite"):
            classical_swap(image, mesh * np.nan, target, goal)
