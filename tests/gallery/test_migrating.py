from __future__ import annotations

import pytest

from tests.gallery.small_gallery import (
    KEY,
    LATER,
    MODEL,
    MeanColour,
    ask,
    create,
    face_crop,
    names,
    put,
    vector,
)
from visagist.errors import FaceError, InputError, ModelMismatchError
from visagist.gallery.gallery import Gallery
from visagist.gallery.payload import as_face


def embedded(embedder, skin):
    kept = face_crop(skin)
    return embedder.embed(kept.pixels, as_face(kept))


def filled(folder) -> Gallery:
    gallery = create(folder)
    put(gallery, "Ada", 1, crop=face_crop("light"), source="ada.jpg")
    put(gallery, "Bea", 2, crop=face_crop("deep"))
    return gallery


def test_everybody_with_a_kept_picture_moves(tmp_path):
    new = MeanColour()
    steps = []
    with filled(tmp_path) as gallery:
        ids = [p.id for p in gallery.people()]
        told = gallery.migrate(new, progress=lambda done, of: steps.append((done, of)))
        assert (told.source, told.target, told.switched) == (MODEL, new.model_id, True)
        assert (told.templates, told.people, told.left, told.failed) == (2, 2, (), ())
        assert steps == [(1, 2), (2, 2)]
        assert (gallery.model_id, gallery.dimension) == (new.model_id, new.dimension)
        assert [p.id for p in gallery.people()] == ids
        with pytest.raises(ModelMismatchError):
            ask(gallery, 1)
    with Gallery.open(tmp_path / "small.gallery", key=KEY) as gallery:
        found = gallery.search(embedded(new, "deep"), model_id=new.model_id, threshold=0.99)
        assert [c.name for c in found.candidates] == ["Bea"]
        assert gallery.person("Ada").templates == 1
        assert gallery.person("Ada").outdated == 0
        assert next(iter(gallery.export("Ada")))["templates"][0]["source"] == "ada.jpg"
        actions = [e.action for e in gallery.audit().entries]
        assert actions[3:] == ["migrate", "migrate", "switch", "export"]
        with pytest.raises(InputError, match="already holds"):
            gallery.migrate(new)


def test_who_cannot_move_is_named_and_keeps_the_gallery_where_it_is(tmp_path):
    new = MeanColour()
    with filled(tmp_path) as gallery:
        put(gallery, "Cee", 3)
        told = gallery.migrate(new)
        assert ([p.name for p in told.left], told.switched) == (["Cee"], False)
        assert gallery.model_id == MODEL
        assert ask(gallery, 3).decision == ask(gallery, 1).decision == "known"
        seen = new.seen
        told = gallery.migrate(new, partial=True)
        assert new.seen == seen  # what was embedded before is not embedded again
        assert told.switched
        person = gallery.person("Cee")
        assert (person.templates, person.outdated) == (0, 1)
        assert [p.name for p in gallery.audit().outdated] == ["Cee"]
        assert gallery.matchable() == 2
        # enrolled again, and the vector that nothing compares any more is gone
        face = embedded(new, "medium")
        gallery.enroll(
            "Cee", face, model_id=new.model_id, consent="x", retain_until=LATER, add=True
        )
        person = gallery.person("Cee")
        assert (person.templates, person.outdated, gallery.matchable()) == (1, 0, 3)
        gallery.audit()


def test_nobody_can_move(tmp_path):
    with create(tmp_path) as gallery:
        put(gallery, "Ada", 1)
        told = gallery.migrate(MeanColour(), partial=True)
        assert (told.switched, [p.name for p in told.left]) == (False, ["Ada"])
        assert ask(gallery, 1).decision == "known"


def test_broken_off_it_goes_on_where_it_was(tmp_path):
    class Interrupted(MeanColour):
        def embed(self, pixels, face):
            if self.seen == 1:
                raise KeyboardInterrupt
            return super().embed(pixels, face)

    with filled(tmp_path) as gallery, pytest.raises(KeyboardInterrupt):
        gallery.migrate(Interrupted())
    with Gallery.open(tmp_path / "small.gallery", key=KEY) as gallery:
        gallery.audit()
        assert ask(gallery, 1).candidates[0].name == "Ada"  # still the model it had
        assert gallery.person("Ada").outdated == 1
        put(gallery, "Ada", 5, add=True, crop=face_crop("medium"))  # life goes on meanwhile
        new = MeanColour()
        told = gallery.migrate(new)
        assert (new.seen, told.templates, told.switched) == (2, 3, True)
        assert names(gallery) == ["Ada", "Bea"]
        assert gallery.person("Ada").templates == 2


def test_a_picture_that_the_new_model_cannot_read_is_told(tmp_path):
    class Picky(MeanColour):
        def embed(self, pixels, face):
            if pixels.mean() > 90:
                raise FaceError("too bright for me")
            return super().embed(pixels, face)

    with filled(tmp_path) as gallery:
        told = gallery.migrate(Picky())
        assert told.failed == (("Ada", "too bright for me"),)
        assert ([p.name for p in told.left], told.switched) == (["Ada"], False)


def test_a_kept_picture_comes_back_as_it_was(tmp_path):
    from visagist.gallery.payload import crop_bytes, crop_from_bytes

    kept = face_crop()
    back = crop_from_bytes(crop_bytes(kept))
    assert abs(back.pixels.astype(int) - kept.pixels).mean() < 2
    assert (back.mesh == kept.mesh).all()
    assert as_face(back).alignment().matrix == pytest.approx(as_face(kept).alignment().matrix)


def test_vectors_of_the_same_size_still_do_not_mix(tmp_path):
    twin = MeanColour("recognizer-1-cccc", dimension=len(vector(1)))
    with filled(tmp_path) as gallery:
        put(gallery, "Cee", 3)
        gallery.migrate(twin, partial=True)
        found = gallery.search(vector(3), model_id=twin.model_id, threshold=-1, top=9)
        assert "Cee" not in [c.name for c in found.candidates]
