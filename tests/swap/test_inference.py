from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.face.drawn import drawn_face
from tests.swap.small_model import (
    SIZE,
    FakeEncoder,
    disc,
    maker,
    network,
    person,
    weights,
    write_swap_model,
)
from visagist.errors import (
    FaceChoiceError,
    InputError,
    ModelDamagedError,
    ModelMissingError,
    NoFaceError,
    PoorPictureError,
)
from visagist.face.align import crop
from visagist.face.find import find_faces
from visagist.face.types import Detection, Face
from visagist.photo import Photo
from visagist.runtime.manifest import write_manifest
from visagist.runtime.store import open_model
from visagist.swap.inference import Swapper, arc, soft_mask
from visagist.swap.types import Limits, Look, Reference


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_swap_model(tmp_path_factory.mktemp("swap") / "model")


@pytest.fixture(scope="module")
def swapper(folder) -> Swapper:
    return Swapper.from_pretrained(folder, encoder=FakeEncoder(), protect=False)


@pytest.fixture(scope="module")
def two() -> np.ndarray:
    return np.concatenate([drawn_face(), drawn_face()], 1)


@pytest.fixture(scope="module")
def found(two):
    faces = find_faces(two)
    assert len(faces) == 2
    return faces


def changed(before: np.ndarray, after: Photo) -> np.ndarray:
    return (before != after.pixels).any(2)


def test_constants_are_computed_once_a_source(swapper):
    identity = swapper.source(drawn_face(at=(20, 40)))
    assert identity.pictures == 1
    assert identity.agreement == 1
    np.testing.assert_allclose(identity.constants, weights()[0], rtol=1e-5)


def test_several_pictures_are_averaged_on_the_sphere(swapper):
    # the fake encoder names people by their side: these two faces are person 0 and person 1
    left, right = drawn_face(at=(0, 40)), drawn_face(at=(200, 40))
    identity = swapper.source(left, right)
    expected = (person(0) + person(1)) / np.sqrt(2)
    np.testing.assert_allclose(identity.vector, expected, atol=1e-6)
    np.testing.assert_allclose(identity.constants, expected @ weights(), atol=1e-5)
    assert identity.pictures == 2
    assert identity.agreement == pytest.approx(0, abs=1e-6)
    with pytest.raises(InputError, match="1 and 2 do not look like one person"):
        swapper.source(left, right, least_agreement=0.3)


def test_the_picture_is_the_networks_inside_and_the_photos_outside(swapper):
    photo = drawn_face(at=(20, 40), canvas=(400, 300))
    identity = swapper.source(photo)
    result = swapper.swap(photo, identity, match_colour=False)
    face = result.faces[0]
    alignment = face.alignment(SIZE)
    rows, columns = np.mgrid[:300, :400] + 0.5
    where = alignment.to_crop(np.stack([columns.ravel(), rows.ravel()], 1)).reshape(300, 400, 2)
    distance = np.hypot(*np.moveaxis(where / SIZE - 0.5, -1, 0))
    assert not changed(photo, result.photo)[distance > 0.32].any()
    colour = np.clip(weights()[0][:3], -1, 1)
    inside = distance < 0.25
    expected = np.clip(127.5 * (0.5 * (photo / 127.5 - 1) + colour + 1), 0, 255)
    difference = np.abs(result.photo.pixels.astype(float) - expected)[inside]
    assert np.median(difference) < 2


@pytest.fixture(scope="module", params=[128, 256])
def guided(tmp_path_factory, request) -> Swapper:
    folder = tmp_path_factory.mktemp("swap") / "guided"
    made = write_swap_model(folder, size=request.param, guided=True, shape=0.5)
    return Swapper.from_pretrained(made, encoder=FakeEncoder(), protect=False)


def test_a_guided_network_corrects_the_guide_at_full_detail(guided):
    """The picture is the guide at 256 plus what the network changes at its own side."""
    photo = drawn_face()
    face = find_faces(photo)[0]
    identity = guided.source(photo)
    view = crop(photo, face.alignment(guided.size))
    assert view.shape[0] == guided.size == 256
    laid = guided.laid(view, face.alignment(256).to_crop(face.mesh), identity.looks)
    image, mask = guided.render(view, identity.constants, laid)
    colour = identity.constants[:3] * 127.5
    wanted = np.clip(laid.picture + colour, 0, 255)
    np.testing.assert_allclose(image, wanted, atol=0.05)
    assert np.abs(mask - disc(256)).mean() < (0.02 if guided.side < 256 else 1e-6)
    assert mask[128, 128] == 1


def test_what_the_parser_takes_for_a_cover_stays(folder):
    class HalfCovered:
        def uncovered(self, pixels, alignment, *, by=()):
            clear = np.ones((alignment.size, alignment.size), np.float32)
            clear[:, : alignment.size // 2] = 0
            return clear

    photo = drawn_face()
    face = find_faces(photo)[0]
    plain = Swapper.from_pretrained(folder, encoder=FakeEncoder(), protect=False)
    guarded = Swapper(open_model(folder), encoder=FakeEncoder(), parser=HalfCovered())
    before, after = (
        engine.swap(photo, engine.source(photo), found=[face]).photo.pixels.astype(int) - photo
        for engine in (plain, guarded)
    )
    middle = int(face.mesh[:, 0].mean())
    assert np.abs(before[:, : middle - 8]).max() > 10
    assert not after[:, : middle - 8].any()
    assert np.abs(after[:, middle + 8 :]).max() > 10
    assert Swapper.from_pretrained(folder, encoder=FakeEncoder())._parser is not None
    assert plain._parser is None


def test_a_network_in_eight_bits_is_another_model(tmp_path):
    folder = write_swap_model(tmp_path / "both")
    with pytest.raises(ModelMissingError, match=r"model-int8\.onnx"):
        Swapper.from_pretrained(folder, encoder=FakeEncoder(), precision="int8")
    (folder / "manifest.json").unlink()
    (folder / "model-int8.onnx").write_bytes(network(mask=np.zeros((SIZE, SIZE), np.float32)))
    write_manifest(folder, name="swap-test", version="1", licence="CC0-1.0", created_by="a test")
    single, eight = (
        Swapper.from_pretrained(folder, encoder=FakeEncoder(), precision=p, protect=False)
        for p in ("single", "int8")
    )
    assert single.model_id != eight.model_id
    photo = drawn_face()
    assert changed(photo, single.swap(photo, single.source(photo)).photo).any()
    assert not changed(photo, eight.swap(photo, eight.source(photo)).photo).any()


def test_a_model_may_use_a_share_of_its_correction(tmp_path):
    photo = drawn_face()
    face = find_faces(photo)[0]
    view = crop(photo, face.alignment(256))
    changes = []
    for number, correction in enumerate((0.0, 0.5, 1.0)):
        folder = write_swap_model(tmp_path / str(number), guided=True, correction=correction)
        engine = Swapper.from_pretrained(folder, encoder=FakeEncoder(), protect=False)
        identity = engine.source(photo)
        laid = engine.laid(view, face.alignment(256).to_crop(face.mesh), identity.looks)
        image, _ = engine.render(view, identity.constants, laid)
        changes.append(image - laid.picture)
    inside = (laid.picture.min(2) > 60) & (laid.picture.max(2) < 195)  # far from black and white
    assert np.abs(changes[0]).max() < 1e-3
    assert np.abs(changes[2][inside]).max() > 1
    np.testing.assert_allclose(changes[1][inside], changes[2][inside] / 2, atol=1e-3)


def test_a_guided_network_needs_a_picture_of_the_source(guided):
    with pytest.raises(InputError, match="picture of the source"):
        guided.identity(person(0))
    identity = guided.source(drawn_face())
    view = np.zeros((256, 256, 3), np.uint8)
    with pytest.raises(InputError, match="laid on the target"):
        guided.render(view, identity.constants)


def test_the_look_in_the_nearest_pose_is_laid_on(guided):
    photo = drawn_face()
    face = find_faces(photo)[0]
    near = Look.of(photo, face)
    angle = np.radians(30)
    mesh = near.mesh.copy()
    x, z = mesh[:, 0] - 128, mesh[:, 2].copy()
    mesh[:, 0], mesh[:, 2] = (
        128 + x * np.cos(angle) + z * np.sin(angle),
        z * np.cos(angle) - x * (np.sin(angle)),
    )
    far = Look(np.full((256, 256, 3), 77, np.uint8), mesh)
    for looks in ((near, far), (far, near)):
        laid = guided.laid(near.crop, near.mesh, looks)
        assert np.abs(laid.picture.astype(int) - near.crop).mean() < 1


def test_the_guided_strength_begins_at_the_photo(guided):
    photo = drawn_face()
    identity = guided.source(photo)
    same = guided.swap(photo, identity, strength=0).photo.pixels
    np.testing.assert_array_equal(same, photo)
    assert guided.swap(photo, identity, strength=0.5).faces


def test_the_vectors_of_another_recogniser_are_refused(tmp_path):
    folder = write_swap_model(tmp_path / "model", encoder="recognizer-9-abc")
    with pytest.raises(InputError, match="recognizer-9-abc"):
        Swapper.from_pretrained(folder, encoder=FakeEncoder(), protect=False)
    same = write_swap_model(tmp_path / "same", encoder=FakeEncoder.model_id)
    Swapper.from_pretrained(same, encoder=FakeEncoder(), protect=False)


def test_a_folder_with_a_wrong_shape_share_is_damaged(tmp_path):
    folder = write_swap_model(tmp_path / "model", guided=True, shape="much")
    with pytest.raises(ModelDamagedError, match="shape"):
        Swapper.from_pretrained(folder, encoder=FakeEncoder(), protect=False)


def test_no_strength_is_the_photo_itself(swapper):
    photo = drawn_face()
    result = swapper.swap(photo, swapper.source(photo), strength=0)
    assert np.array_equal(result.photo.pixels, photo)


def test_strength_moves_steadily_to_the_source(swapper):
    photo = drawn_face(at=(200, 40))  # person 1
    identity = swapper.identity(person(0))
    before, far = photo.astype(float), []
    found = find_faces(photo)

    def swapped(strength: float) -> np.ndarray:
        done = swapper.swap(photo, identity, strength=strength, match_colour=False, found=found)
        return done.photo.pixels

    whole = swapped(1.0)
    for strength in (0.2, 0.6, 1.0):
        after = swapped(strength)
        far.append(np.abs(after.astype(float) - whole).mean())
    assert far[0] > far[1] > far[2] == 0
    assert np.abs(before - whole).mean() > 1


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_a_strength_out_of_range_is_refused(swapper, strength):
    with pytest.raises(InputError, match="strength"):
        swapper.swap(drawn_face(), swapper.identity(person(0)), strength=strength)


def test_only_the_person_of_the_reference_is_replaced(swapper, two, found):
    identity = swapper.identity(person(5))
    reference = Reference(person(1), 0.5)
    result = swapper.swap(two, identity, face=reference, found=found)
    touched = changed(two, result.photo)
    assert touched[:, 400:].any()
    assert not touched[:, :400].any()
    with pytest.raises(NoFaceError, match="nobody in the photo looks like the reference"):
        swapper.swap(two, identity, face=Reference(person(9), 0.5), found=found)


def test_which_faces(swapper, two, found):
    identity = swapper.identity(person(5))
    assert len(swapper.swap(two, identity, found=found).faces) == 2
    assert len(swapper.swap(two, identity, face="largest", found=found).faces) == 1
    with pytest.raises(FaceChoiceError):
        swapper.swap(two, identity, face=7, found=found)
    both = swapper.swap(two, identity, found=found).photo.pixels
    turned = swapper.swap(two, identity, found=found[::-1]).photo.pixels
    assert np.array_equal(both, turned)


def test_a_profile_is_left_and_told(swapper, two, found):
    turned = _turned(found[0], 70)
    result = swapper.swap(two, swapper.identity(person(5)), found=[turned, found[1]])
    assert [each.reason for each in result.refused] == ["turned"]
    assert "knows faces up to 45" in result.refused[0].words
    assert len(result.faces) == 1
    left = turned.mesh[:, 0].mean() < 400
    half = slice(0, 400) if left else slice(400, 800)
    assert not changed(two, result.photo)[:, half].any()


def _turned(face: Face, degrees: float) -> Face:
    angle = np.radians(degrees)
    mesh = face.mesh - face.mesh.mean(0)
    x, z = mesh[:, 0].copy(), mesh[:, 2].copy()
    mesh[:, 0] = np.cos(angle) * x + np.sin(angle) * z
    mesh[:, 2] = -np.sin(angle) * x + np.cos(angle) * z
    return Face(face.detection, (mesh + face.mesh.mean(0)).astype(np.float32), face.confidence)


def test_the_models_own_limit_holds(tmp_path, two, found):
    folder = write_swap_model(tmp_path / "m", max_yaw=10)
    swapper = Swapper.from_pretrained(folder, encoder=FakeEncoder(), protect=False)
    result = swapper.swap(
        two, swapper.identity(person(5)), found=[_turned(face, 20) for face in found]
    )
    assert result.faces == []
    assert np.array_equal(result.photo.pixels, two)
    with pytest.raises(ModelDamagedError, match=r"config\.json"):
        bad = write_swap_model(tmp_path / "bad", max_yaw="far")
        Swapper.from_pretrained(bad, encoder=FakeEncoder(), protect=False)


def test_tiny_faces_are_left(swapper):
    photo = drawn_face(45)
    result = swapper.swap(photo, swapper.identity(person(0)))
    assert [each.reason for each in result.refused] == ["small"]
    assert np.array_equal(result.photo.pixels, photo)


def test_sources_that_are_refused(swapper, two):
    wall = np.full((200, 200, 3), 90, np.uint8)
    with pytest.raises(InputError, match="at least one"):
        swapper.source()
    with pytest.raises(NoFaceError, match="source picture 2"):
        swapper.source(drawn_face(), wall)
    with pytest.raises(FaceChoiceError, match="2 people"):
        swapper.source(two)
    with pytest.raises(PoorPictureError, match="pixels wide") as refused:
        swapper.source(drawn_face(70))
    assert refused.value.reason == "small"
    with pytest.raises(NoFaceError):
        swapper.swap(wall, swapper.identity(person(0)))


def test_an_identity_of_another_model_is_refused(tmp_path, swapper):
    other = Swapper.from_pretrained(
        write_swap_model(tmp_path / "m", mask=disc() * 0.5), encoder=FakeEncoder()
    )
    with pytest.raises(InputError, match="was made for"):
        swapper.swap(drawn_face(), other.identity(person(0)))
    with pytest.raises(InputError, match="another recogniser"):
        swapper.identity(np.ones(64, np.float32))


def test_folders_that_are_no_swap_model(tmp_path):
    folder = write_swap_model(tmp_path / "kind", kind="makeup")
    with pytest.raises(ModelDamagedError, match="no face swap model"):
        Swapper.from_pretrained(folder, encoder=FakeEncoder(), protect=False)
    folder = write_swap_model(tmp_path / "misfit")
    (folder / "constants.onnx").write_bytes((folder / "model.onnx").read_bytes())
    write_manifest(folder, name="swap-test", version="1", licence="CC0-1.0", created_by="a test")
    with pytest.raises(ModelDamagedError, match="do not fit"):
        Swapper.from_pretrained(folder, encoder=FakeEncoder(), protect=False)
    (folder / "constants.onnx").write_bytes(maker("any"))  # a length that nobody knows
    write_manifest(folder, name="swap-test", version="1", licence="CC0-1.0", created_by="a test")
    with pytest.raises(ModelDamagedError, match="do not fit"):
        Swapper.from_pretrained(folder, encoder=FakeEncoder(), protect=False)


def test_the_colour_follows_the_photo(swapper):
    photo = drawn_face()
    identity = swapper.source(photo)
    face = find_faces(photo)[0]
    cheek = face.alignment(SIZE)

    def cheeks(pixels: np.ndarray) -> np.ndarray:
        return crop(pixels, cheek)[120:136, 84:100].reshape(-1, 3).mean(0)

    plain = swapper.swap(photo, identity, match_colour=False, found=[face]).photo.pixels
    matched = swapper.swap(photo, identity, found=[face]).photo.pixels
    gap = [np.abs(cheeks(p) - cheeks(photo)).mean() for p in (plain, matched)]
    assert gap[1] < 0.35 * gap[0]


vectors = arrays(np.float32, 8, elements=st.floats(-1, 1, width=32)).filter(
    lambda v: float(np.linalg.norm(v)) > 0.1
)


@given(vectors, vectors, st.floats(0, 1))
@settings(deadline=None)
def test_the_arc_is_walked_evenly(a, b, share):
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    if a @ b < -0.99:
        return
    point = arc(a, b, share)
    assert np.linalg.norm(point) == pytest.approx(1, abs=1e-5)
    whole = np.arccos(np.clip(np.float64(a @ b), -1, 1))
    assert np.arccos(np.clip(np.float64(a @ point), -1, 1)) == pytest.approx(
        share * whole, abs=3e-3
    )


@given(arrays(np.float32, (64, 64), elements=st.floats(0, 1, width=32)))
@settings(deadline=None, max_examples=25)
def test_feathering_only_ever_lowers_a_mask(mask):
    soft = soft_mask(mask)
    assert (soft >= 0).all()
    assert (soft <= np.clip((mask - 0.1) / 0.86, 0, 1) + 1e-6).all()
    assert (soft[mask <= 0.1] == 0).all()
    for edge in (soft[0], soft[-1], soft[:, 0], soft[:, -1]):
        assert (edge == 0).all()


def test_limits_name_the_fault():
    mesh = find_faces(drawn_face())[0].mesh
    face = Face(Detection((0, 0, 1, 1), 1.0), mesh, 1.0)
    assert Limits().fault(face) is None
    assert Limits(target_width=500).fault(face)[0] == "small"
    assert Limits(pitch=5).fault(face)[0] == "turned"
    assert json.dumps(Limits(pitch=5).fault(face)[1])
