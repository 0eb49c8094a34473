from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tests.gallery.fake_recognizer import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    RED,
    WHITE,
    FakeRecognizer,
    picture,
)
from tests.gallery.small_gallery import KEY
from visagist.errors import GalleryWriteError, InputError, ModelMismatchError
from visagist.gallery import batch
from visagist.gallery.batch import Settings, enroll_pictures, gather_pictures, search_photo
from visagist.gallery.gallery import Gallery
from visagist.photo import Photo

SETTINGS = Settings(consent="form 3", retain_until=date(2999, 1, 1))


@pytest.fixture
def gallery(tmp_path):
    fake = FakeRecognizer()
    with Gallery.create(
        tmp_path / "g", model_id=fake.model_id, dimension=fake.dimension, key=KEY
    ) as made:
        yield made


@pytest.fixture
def folder(tmp_path) -> Path:
    root = tmp_path / "people"
    picture(root / "Ada" / "1.png", RED)
    picture(root / "Ada" / "2.png", RED, shade=20)
    picture(root / "Bea" / "nobody.png", BLACK)
    picture(root / "Bea" / "party.png", WHITE)
    picture(root / "Bea" / "poor.png", GREY)
    picture(root / "Bea" / "z.png", GREEN)
    picture(root / "Cee_Dee_02.png", BLUE)
    (root / "Bea" / "torn.jpg").write_bytes(b"\xff\xd8\xff torn")
    return root


def statuses(gallery, pictures, settings=SETTINGS, recognizer=None):
    done = enroll_pictures(gallery, recognizer or FakeRecognizer(), pictures, settings)
    return {o.path.name: (o.status, o.error) for o in done}


def test_whose_a_picture_is(folder, tmp_path):
    found = {p.path.name: p.person for p in gather_pictures([str(folder)])}
    assert found["1.png"] == "Ada"
    assert found["Cee_Dee_02.png"] == "Cee Dee"
    assert {p.person for p in gather_pictures([str(folder)], name="Zed")} == {"Zed"}
    assert gather_pictures([str(folder / "Ada" / "1.png")], name="Ada")[0].person == "Ada"
    for name, person in (("Ada (2).png", "Ada"), ("x-003.png", "x"), ("R2D2.png", "R2D")):
        assert gather_pictures([str(picture(tmp_path / name, RED))])[0].person == person
    with pytest.raises(InputError, match="whose picture"):
        gather_pictures([str(folder / "Ada" / "1.png")])


def test_one_bad_picture_spoils_nothing_but_itself(gallery, folder):
    assert statuses(gallery, gather_pictures([str(folder)])) == {
        "1.png": ("enrolled", ""),
        "2.png": ("added", ""),
        "nobody.png": ("failed", "NoFaceError"),
        "party.png": ("failed", "FaceChoiceError"),
        "poor.png": ("failed", "PoorPictureError"),
        "torn.jpg": ("failed", "PhotoDamagedError"),
        "z.png": ("enrolled", ""),
        "Cee_Dee_02.png": ("enrolled", ""),
    }
    assert {p.name: p.templates for p in gallery.people()} == {"Ada": 2, "Bea": 1, "Cee Dee": 1}


def test_the_same_call_goes_on_where_it_stopped(gallery, folder):
    pictures = gather_pictures([str(folder)])
    for _ in zip(range(1), enroll_pictures(gallery, FakeRecognizer(), pictures, SETTINGS)):  # noqa: B905
        pass
    again = FakeRecognizer()
    told = statuses(gallery, pictures, recognizer=again)
    assert (told["1.png"], told["2.png"]) == (("already", ""), ("added", ""))
    assert again.embedded == 3  # what is there is not embedded again
    once_more = statuses(gallery, pictures)
    assert {status for status, _ in once_more.values()} == {"already", "failed"}
    assert len(gallery.audit().entries) == 5


def test_a_person_who_is_there_from_elsewhere_is_not_added_to_unasked(gallery, folder, tmp_path):
    statuses(gallery, gather_pictures([str(picture(tmp_path / "ada.png", RED, shade=9))]))
    pictures = gather_pictures([str(folder / "Ada")], name="Ada")
    assert {e for _, e in statuses(gallery, pictures).values()} == {"DuplicatePersonError"}
    adding = Settings(consent="x", retain_until=None, add=True)
    assert {s for s, _ in statuses(gallery, pictures, adding).values()} == {"added"}


def test_a_face_under_a_second_name_is_told(gallery, folder, tmp_path):
    statuses(gallery, gather_pictures([str(folder)]))
    looking = Settings(consent="x", retain_until=None, lookalike=0.99)
    pictures = gather_pictures([str(picture(tmp_path / "Adele.png", RED, shade=3))])
    assert statuses(gallery, pictures, looking) == {"Adele.png": ("failed", "DuplicatePersonError")}
    assert statuses(gallery, pictures) == {"Adele.png": ("enrolled", "")}


@pytest.mark.parametrize("name", ["\u202eeve", "a\x1bb", "x" * 300, ".."])
def test_a_folder_with_an_odd_name_is_skipped(gallery, tmp_path, name):
    pictures = [
        batch.Picture(picture(tmp_path / "a.png", RED), name),
        batch.Picture(tmp_path / "a.png", "Ada"),
    ]
    done = list(enroll_pictures(gallery, FakeRecognizer(), pictures, SETTINGS))
    assert [(o.status, o.error) for o in done] == [("failed", "InputError"), ("enrolled", "")]
    assert done[0].reason.isascii()


def test_what_concerns_the_gallery_stops(gallery, folder):
    pictures = gather_pictures([str(folder)])
    with pytest.raises(ModelMismatchError):
        statuses(gallery, pictures, recognizer=FakeRecognizer("other"))
    gallery._core.store._db.execute("PRAGMA query_only = ON")
    with pytest.raises(GalleryWriteError):
        statuses(gallery, pictures)


def test_kept_crops_move_to_another_model(gallery, folder):
    keeping = Settings(consent="x", retain_until=None, keep_crops=True)
    statuses(gallery, gather_pictures([str(folder)]), keeping)
    other = FakeRecognizer("other")
    assert gallery.migrate(other).switched
    [found] = search_photo(gallery, other, Photo.open(folder / "Bea" / "z.png"), threshold=0.99)
    assert found.result is not None
    assert found.result.candidates[0].name == "Bea"
    # the pictures are known to be there under the new model, too
    again = statuses(gallery, gather_pictures([str(folder)]), keeping, FakeRecognizer("other"))
    assert {status for status, _ in again.values()} == {"already", "failed"}


def test_searching_one_face_and_all(gallery, folder, monkeypatch):
    fake = FakeRecognizer()
    statuses(gallery, gather_pictures([str(folder)]))
    photo = Photo.open(folder / "Ada" / "1.png")
    [found] = search_photo(gallery, fake, photo, threshold=0.99, top=3)
    assert found.result is not None
    assert [c.name for c in found.result.candidates] == ["Ada"]
    face = fake.template(photo).face
    monkeypatch.setattr(batch, "find_faces", lambda pixels: [face, face])
    both = search_photo(gallery, fake, photo, threshold=0.99, faces="all")
    assert [f.face for f in both] == [0, 1]
    poor = Photo.open(folder / "Bea" / "poor.png")
    told = search_photo(gallery, fake, poor, threshold=0.99, faces="all")
    assert [(f.result, f.error is not None) for f in told] == [(None, True)] * 2
