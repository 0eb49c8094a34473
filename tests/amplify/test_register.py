from types import SimpleNamespace

import numpy as np
import pytest

from tests.amplify.photos import SIDE, DrawnPhoto, finder, made_up, moved, photo
from visagist.amplify import register
from visagist.amplify.masks import changed_mask, makeup_masks
from visagist.amplify.register import register_pair
from visagist.errors import NoChangeError, NotSamePhotoError, PairFaceError
from visagist.face.align import align, crop, transform_points
from visagist.face.types import Face

BARE = photo()
MADE = made_up(BARE)


def registered(before, after, **more):
    return register_pair(before.pixels, after.pixels, find=finder(before, after), **more)


@pytest.fixture(scope="module")
def pair():
    after, matrix = moved(MADE)
    return registered(BARE, after), matrix


def test_the_way_between_the_photos_is_found_though_the_meshes_differ(pair):
    found, matrix = pair
    y, x = np.mgrid[:256, :256] + 0.5
    there = align(BARE.mesh).to_photo(np.column_stack([x.ravel(), y.ravel()]))
    truth = transform_points(matrix, there).reshape(256, 256, 2)
    region = changed_mask(makeup_masks(found.look.mesh)) > 0.05
    assert np.hypot(*(found.places - truth)[region].T).mean() < 0.3
    assert found.report.turn == pytest.approx(2.0, abs=0.1)
    assert found.report.scale == pytest.approx(1.15, abs=0.005)
    middle = BARE.mesh[:468, :2].mean(0)
    assert found.report.shift == pytest.approx(
        tuple(transform_points(matrix, middle[None])[0] - middle), abs=0.4
    )
    assert not found.report.mirrored


def test_the_look_is_the_made_up_photo_on_the_bare_ones_pixels(pair):
    look = pair[0].look
    wanted = crop(MADE.pixels, align(BARE.mesh)).astype(np.float32)
    off = np.abs(look.after - wanted)[look.valid > 0.9]
    assert off.mean() < 3
    painted = np.abs(wanted - look.before).mean(2) > 12
    assert painted.sum() > 500
    gain = (look.after.astype(np.float32) - look.before)[painted]
    assert np.corrcoef(gain.ravel(), (wanted - look.before)[painted].ravel())[0, 1] > 0.95


def test_a_change_of_colour_of_the_whole_photo_is_no_makeup():
    tinted = DrawnPhoto(
        np.clip(MADE.pixels * np.array([1.08, 0.97, 0.9]) + 6, 0, 255).astype(np.uint8), BARE.mesh
    )
    found = registered(BARE, tinted)
    wanted = crop(MADE.pixels, align(BARE.mesh)).astype(np.float32)
    region = changed_mask(makeup_masks(found.look.mesh)) > 0.5
    raw = np.abs(crop(tinted.pixels, align(BARE.mesh)) - wanted)[region].mean()
    assert np.abs(found.look.after - wanted)[region].mean() < 0.35 * raw
    assert found.report.cast > 4


def test_a_mirrored_photo_is_turned_back():
    flipped = DrawnPhoto(np.ascontiguousarray(MADE.pixels[:, ::-1]), BARE.mesh)  # a face is even
    find = finder(BARE, flipped, MADE)
    found = register_pair(BARE.pixels, flipped.pixels, find=find)
    assert found.report.mirrored
    wanted = crop(MADE.pixels, align(BARE.mesh)).astype(np.float32)
    assert np.abs(found.look.after - wanted).mean() < 3
    x = found.places[128, 128, 0]
    assert x == pytest.approx(
        SIDE - align(BARE.mesh).to_photo(np.array([[128.5, 128.5]]))[0, 0], abs=0.3
    )


def test_what_lies_outside_the_after_photo_counts_for_nothing():
    left = 100  # the face begins at about 120
    cut = DrawnPhoto(
        np.ascontiguousarray(MADE.pixels[:, left:]), MADE.mesh - np.float32([left, 0, 0])
    )
    found = registered(BARE, cut)
    beyond = align(BARE.mesh).to_crop(np.array([[left, SIDE / 2]]))[0, 0]
    columns = found.look.valid[:, : int(beyond) - 3]
    assert columns.size and not columns.any()
    assert found.report.matched < 1
    assert np.array_equal(
        found.look.after[:, : int(beyond) - 3], found.look.before[:, : int(beyond) - 3]
    )


def test_photos_of_two_people_are_refused():
    with pytest.raises(NotSamePhotoError, match="two different people") as caught:
        registered(BARE, made_up(photo(7)), same_person=lambda *_: False)
    assert caught.value.reason == "two_people"


def test_another_photo_of_the_same_person_is_refused(monkeypatch):
    def unlike(*pictures):
        return SimpleNamespace(likeness=0.5)

    monkeypatch.setattr(register, "match", unlike)
    with pytest.raises(NotSamePhotoError, match="two different photos of one person") as caught:
        registered(BARE, MADE, same_person=lambda *_: True)
    assert caught.value.reason == "another_photo"


def test_an_after_picture_without_makeup_is_refused():
    with pytest.raises(NoChangeError) as caught:
        registered(BARE, moved(BARE)[0])
    assert caught.value.reason == "no_change"


def test_photos_without_a_face_with_several_or_with_half_a_one_are_refused():
    with pytest.raises(PairFaceError, match="before shows no face") as caught:
        register_pair(BARE.pixels, MADE.pixels, find=finder(MADE))
    assert caught.value.reason == "nobody"
    with pytest.raises(PairFaceError, match="before shows 2 people") as caught:
        register_pair(BARE.pixels, MADE.pixels, find=lambda _: [BARE.face, BARE.face])
    assert caught.value.reason == "several"
    lower = int(BARE.mesh[:468, 1].mean())
    half = DrawnPhoto(MADE.pixels[:lower], MADE.mesh)
    with pytest.raises(PairFaceError, match="after shows only") as caught:
        registered(BARE, half)
    assert caught.value.reason == "cut_off"


def test_large_photos_are_searched_at_a_fraction_and_small_faces_behind_are_mentioned():
    seen = []
    large, made = (np.repeat(np.repeat(p.pixels, 5, 0), 5, 1) for p in (BARE, MADE))

    def find(pixels):
        seen.append(max(pixels.shape))
        mesh = BARE.mesh * np.float32(pixels.shape[0] / SIDE)
        return [Face(BARE.face.detection, mesh * k, 1.0) for k in np.float32([1, 0.2])]

    found = register_pair(large, made, find=find)
    assert max(seen) <= 2048
    assert np.allclose(found.look.mesh, align(BARE.mesh).to_crop(BARE.mesh), atol=0.6)
    assert found.report.error < 0.3
    assert len([text for text in found.report.warnings if "small faces" in text]) == 2
