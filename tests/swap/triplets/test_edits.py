import numpy as np
import pytest

pytest.importorskip("cv2")
pytest.importorskip("pyarrow")

from tests.swap.triplets.small_triplets import PEOPLE, SIZE, people_corpus
from visagist.corpus.blends.expression import mouth_open
from visagist.errors import DataError
from visagist.face.topology import canonical_points
from visagist.swap.triplets import attribute_edits, identity_edits
from visagist.swap.triplets.config import PeopleConfig
from visagist.swap.triplets.faces import FIELD, People


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return People(
        [people_corpus(tmp_path_factory.mktemp("c") / "corpus")], "train", PEOPLE, size=SIZE
    )


def face_of(people, seed=0):
    random = np.random.default_rng(seed)
    return people.pick(random, people.draw(random))[0]


class TestPeople:
    def test_a_face_is_wider_than_its_crop(self, people):
        face = face_of(people)
        assert face.size == round(SIZE * FIELD)
        assert face.crop.shape == (SIZE, SIZE, 3)
        corner = face.inside.start
        np.testing.assert_array_equal(face.crop[0, 0], face.image[corner, corner])

    def test_two_pictures_are_of_one_person_and_different(self, people):
        random = np.random.default_rng(3)
        one, other = people.pick(random, people.draw(random, pictures=2), 2)
        assert one.person == other.person
        assert one.key != other.key

    def test_a_partner_is_somebody_else(self, people):
        face = face_of(people)
        for seed in range(4):
            other = people.partner(np.random.default_rng(seed), face)
            assert other is not None
            assert other.person != face.person

    @pytest.mark.parametrize(
        "origin",
        [
            {"uses": ("detection", "mesh")},  # as pictures of minors
            {"source": "london"},
            {"generator": "FLUX1_dev"},
        ],
    )
    def test_pictures_that_may_not_be_used_are_not(self, tmp_path, origin):
        corpus = people_corpus(tmp_path / "corpus", **origin)
        config = PeopleConfig(min_face_width=0, max_yaw=90, max_pitch=90, min_luminance=0)
        with pytest.raises(DataError, match="may be used"):
            People([corpus], "train", config, size=SIZE)

    def test_people_of_other_splits_are_not_seen(self, people):
        assert set(people.records) == {f"drawn/{n}" for n in range(6)}


class TestIdentityEdits:
    @pytest.mark.parametrize("name", list(identity_edits.EDITS))
    def test_changes_the_face_and_names_itself(self, people, name):
        face = face_of(people)
        edited = identity_edits.EDITS[name](np.random.default_rng(1), face, people)
        assert edited is not None
        assert edited.edits
        assert edited.image.shape == face.image.shape
        assert edited.image.dtype == np.uint8
        assert np.isfinite(edited.mesh).all()
        middle = slice(face.size // 3, 2 * face.size // 3)
        assert np.abs(edited.image[middle, middle].astype(int) - face.image[middle, middle]).max()
        again = identity_edits.EDITS[name](np.random.default_rng(1), face, people)
        np.testing.assert_array_equal(again.image, edited.image)
        assert not face.edits  # the original is left alone

    @pytest.mark.parametrize("name", ["older", "beard", "features"])
    def test_corners_stay(self, people, name):
        face = face_of(people)
        edited = identity_edits.EDITS[name](np.random.default_rng(1), face, people)
        np.testing.assert_array_equal(edited.image[:6, :6], face.image[:6, :6])
        np.testing.assert_array_equal(edited.mesh, face.mesh)

    def test_builds_are_even_but_for_the_nose(self):
        points = canonical_points()
        for seed in range(12):
            move, names = identity_edits.draw_build(np.random.default_rng(seed))
            assert 2 <= len(names) <= 4
            assert np.abs(move).max() < 45
            assert np.abs(move[points[:, 1] < 60]).max() < 6  # the hairline stays

    def test_a_new_face_brings_its_mesh(self, people):
        face = face_of(people)
        other = people.partner(np.random.default_rng(0), face)
        swapped, mask = identity_edits.with_new_face(face, other, shape=0.0)
        assert swapped.person == face.person
        assert swapped.edits == ("proxy",)
        assert np.abs(swapped.mesh - face.mesh).max() < 1e-3
        np.testing.assert_array_equal(swapped.image[mask == 0], face.image[mask == 0])


class TestAttributeEdits:
    @pytest.mark.parametrize("name", list(attribute_edits.EDITS))
    def test_the_same_draw_gives_the_same_picture(self, people, name):
        face = face_of(people, 2)
        edit = attribute_edits.EDITS[name]
        one, other = (edit(np.random.default_rng(5), face) for _ in range(2))
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_array_equal(one.image, other.image)
            assert (one.image != face.image).any()
            assert one.person == face.person

    def test_what_is_worn_moves_no_mesh(self, people):
        face = face_of(people)
        for edit in (attribute_edits.hat, attribute_edits.occluder, attribute_edits.hair):
            worn = edit(np.random.default_rng(0), face)
            np.testing.assert_array_equal(worn.mesh, face.mesh)

    def test_a_mouth_opens(self, people):
        for seed in range(20):
            face = face_of(people, seed)
            opened = attribute_edits.mouth_opened(np.random.default_rng(seed), face)
            if opened is not None:
                assert mouth_open(opened.mesh) > mouth_open(face.mesh) + 0.02
                return
        pytest.fail("the parser sees something before every drawn mouth")

    def test_gaze_moves_the_irises_alone(self, people):
        for seed in range(20):
            face = face_of(people, seed)
            gaze = attribute_edits.gaze(np.random.default_rng(seed), face)
            if gaze is not None:
                np.testing.assert_array_equal(gaze.mesh[:468], face.mesh[:468])
                assert np.abs(gaze.mesh[468:] - face.mesh[468:]).max() > 0.3
                return
        pytest.fail("the parser sees something before every drawn eye")
