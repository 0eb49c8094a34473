from __future__ import annotations

import numpy as np
import pytest

from tests.corpus.labelled_tree import placed_face
from visagist.face.align import align, crop
from visagist.recognition.evaluation.conditions import CONDITIONS, around


@pytest.fixture(scope="module")
def shown() -> tuple[np.ndarray, np.ndarray]:
    pixels, mesh = placed_face(0)
    noise = np.random.default_rng(0).integers(-20, 21, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8), mesh


def detail(pixels: np.ndarray, mesh: np.ndarray) -> float:
    """Mean step between neighbours in the aligned crop."""
    view = crop(pixels, align(mesh)).astype(float)
    return float(np.abs(np.diff(view, axis=1)).mean())


@pytest.mark.parametrize("name", list(CONDITIONS))
def test_every_condition_changes_the_face_and_nothing_it_was_given(name, shown):
    pixels, mesh = (a.copy() for a in shown)
    changed, moved = CONDITIONS[name](pixels, mesh)
    assert (pixels == shown[0]).all()
    assert (mesh == shown[1]).all()
    assert (changed.dtype, changed.shape[2]) == (np.uint8, 3)
    assert moved.shape == mesh.shape
    before, after = crop(pixels, align(mesh)), crop(changed, align(moved))
    assert np.abs(before.astype(int) - after).mean() > 1
    again, _ = CONDITIONS[name](pixels, mesh)
    assert (again == changed).all()


def test_fewer_pixels_leave_less_detail(shown):
    left = [detail(*CONDITIONS[f"face_{width}px"](*shown)) for width in (48, 32, 24)]
    assert detail(*shown) > left[0] > left[1] > left[2]


def test_low_resolution_loses_nothing_more_the_second_time(shown):
    pixels, mesh = shown
    poor, _ = CONDITIONS["face_24px"](pixels, mesh)
    again, _ = CONDITIONS["face_24px"](poor, mesh)
    first = np.abs(crop(pixels, align(mesh)).astype(int) - crop(poor, align(mesh))).mean()
    second = np.abs(crop(poor, align(mesh)).astype(int) - crop(again, align(mesh))).mean()
    assert second < first / 2


def test_small_faces_are_not_made_smaller_or_larger():
    pixels, mesh = placed_face(0)
    tiny = np.ascontiguousarray(pixels[::10, ::10])
    small, _ = CONDITIONS["face_48px"](tiny, mesh / 10)
    assert (small == tiny).all()


def test_roll_turns_picture_and_mesh_together(shown):
    pixels, mesh = shown
    turned, moved = CONDITIONS["roll_30"](*around(pixels, mesh))
    across = moved[454, :2] - moved[234, :2]
    level = mesh[454, :2] - mesh[234, :2]
    angle = np.degrees(np.arctan2(across[1], across[0]) - np.arctan2(level[1], level[0]))
    assert angle == pytest.approx(30, abs=0.1)
    before, after = crop(pixels, align(mesh)), crop(turned, align(moved))
    middle = slice(64, 192)
    assert np.abs(before[middle, middle].astype(int) - after[middle, middle]).mean() < 8


def test_grey_has_no_colour(shown):
    grey, _ = CONDITIONS["grey"](*shown)
    assert np.ptp(grey, axis=2).max() == 0


@pytest.mark.parametrize(
    ("name", "hidden", "seen"),
    [("mask", (13, 2, 152), (159, 10)), ("sunglasses", (159, 386), (13, 10))],
)
def test_covers_hide_what_they_are_named_for(name, hidden, seen, shown):
    pixels, mesh = shown
    covered, _ = CONDITIONS[name](pixels, mesh)
    same = (covered == pixels).all(2)

    def at(point: int) -> bool:
        x, y = mesh[point, :2].astype(int)
        return bool(same[y - 2 : y + 1, x - 1 : x + 2].all())

    assert not any(at(point) for point in hidden)
    assert all(at(point) for point in seen)


def test_around_keeps_the_face_with_room_and_moves_the_mesh():
    pixels, mesh = placed_face(3)
    wide = np.pad(pixels, ((300, 900), (900, 300), (0, 0)), mode="edge")
    moved = mesh.copy()
    moved[:, :2] += (900, 300)
    part, inside = around(wide, moved)
    assert part.shape[0] < 800
    assert (crop(part, align(inside)) == crop(wide, align(moved))).all()
