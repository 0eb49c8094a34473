"""What the gate measures on a drawn face that is damaged in known ways."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter
from pydantic import ValidationError

from tests.recognition.made_people import person
from visagist.errors import PoorPictureError
from visagist.face.find import find_faces
from visagist.face.parser.inference import default_parser
from visagist.face.types import Detection, Face
from visagist.recognition.quality import FaceQuality, QualityGate, measure

GOOD = FaceQuality(
    face_width=150,
    sharpness=0.7,
    luminance=60,
    contrast=12,
    clipped=0.0,
    yaw=0.0,
    pitch=0.0,
    inside=1.0,
    covered=0.02,
)


@pytest.fixture(scope="module")
def shot():
    pixels = person(0)
    return pixels, find_faces(pixels)[0]


def measured(pixels, face) -> FaceQuality:
    return measure(np.asarray(pixels, np.uint8), face, default_parser())


def moved(face: Face, scale: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)) -> Face:
    mesh = face.mesh * np.float32(scale)
    mesh[:, :2] += np.float32(shift)
    return Face(Detection((0, 0, 1, 1), 1.0), mesh, 1.0)


def test_a_good_picture_passes(shot):
    assert QualityGate().problem(measured(*shot)) is None


def test_the_width_is_that_in_the_photo_however_it_is_turned(shot):
    pixels, face = shot
    whole = measured(pixels, face).face_width
    half = measured(Image.fromarray(pixels).resize((120, 120)), moved(face, 0.5))
    assert half.face_width == pytest.approx(whole / 2, rel=0.01)
    turned = face.mesh.copy()
    turned[:, 0], turned[:, 1] = face.mesh[:, 1], 240 - face.mesh[:, 0]
    side = measured(np.rot90(pixels), Face(face.detection, turned, 1.0))
    assert side.face_width == pytest.approx(whole, rel=0.01)
    assert side.covered == pytest.approx(measured(pixels, face).covered, abs=0.05)


def test_sharpness_falls_with_every_blur_and_does_not_know_light(shot):
    pixels, face = shot
    blurs = [
        measured(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(r)), face).sharpness
        for r in (0, 2, 4, 8)
    ]
    assert blurs == sorted(blurs, reverse=True)
    assert blurs[0] > 3 * blurs[-1]
    assert measured(pixels * 0.5, face).sharpness == pytest.approx(blurs[0], rel=0.1)


def test_light_and_contrast(shot):
    pixels, face = shot
    plain = measured(pixels, face)
    dark, hazy = measured(pixels * 0.2, face), measured(pixels * 0.1 + 120, face)
    assert dark.luminance < plain.luminance / 2
    assert hazy.contrast < plain.contrast / 4
    bright = measured(np.clip(pixels * 3.0, 0, 255), face)
    assert bright.clipped > 0.3 > plain.clipped


def test_a_face_at_the_edge(shot):
    pixels, face = shot
    middle = float(face.mesh[:468, 0].mean())
    cut = measured(pixels[:, int(middle) :], moved(face, shift=(-int(middle), 0)))
    assert cut.inside == pytest.approx(0.5, abs=0.06)
    assert measured(pixels, face).inside == 1.0


def test_a_cover(shot):
    pixels, face = shot
    image = Image.fromarray(pixels)
    low, high = face.mesh[:468, :2].max(0), face.mesh[:468, :2].min(0)
    top = float(high[1] + 0.45 * (low[1] - high[1]))
    ImageDraw.Draw(image).rectangle((float(high[0]), top, float(low[0]), float(low[1])), "#96bed7")
    assert measured(image, face).covered > 0.3 > measured(pixels, face).covered


def test_a_mesh_without_extent_across_is_nothing_to_see(shot):
    pixels, face = shot
    mesh = face.mesh.copy()
    mesh[:, 0] = 200
    assert QualityGate().problem(measured(pixels, Face(face.detection, mesh, 1.0))) is not None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"face_width": 12.0}, "too_small"),
        ({"inside": 0.6}, "cut_off"),
        ({"luminance": 4.0}, "too_dark"),
        ({"luminance": 99.0}, "too_bright"),
        ({"clipped": 0.6}, "too_bright"),
        ({"contrast": 0.5}, "too_flat"),
        ({"yaw": -70.0}, "too_turned"),
        ({"pitch": 60.0}, "too_turned"),
        ({"covered": 0.7}, "covered"),
        ({"sharpness": 0.02}, "too_blurred"),
    ],
)
def test_each_limit_has_its_reason_and_its_advice(change, reason):
    with pytest.raises(PoorPictureError, match="; use") as error:
        QualityGate().check(replace(GOOD, **change))
    assert error.value.reason == reason
    assert error.value.exit_code == 4


def test_the_limits_are_kept_inclusively():
    gate = QualityGate()
    assert gate.problem(replace(GOOD, face_width=gate.min_face_width)) is None
    assert gate.problem(replace(GOOD, covered=gate.max_covered)) is None


def test_unknown_limits_are_refused():
    with pytest.raises(ValidationError, match="min_beauty"):
        QualityGate(min_beauty=1)


@given(st.floats(0, 400), st.floats(0, 2), st.floats(0, 100), st.floats(-90, 90), st.floats(0, 1))
def test_a_gate_without_limits_lets_everything_through(width, sharpness, light, yaw, covered):
    quality = replace(
        GOOD, face_width=width, sharpness=sharpness, luminance=light, yaw=yaw, covered=covered
    )
    gate = QualityGate(
        min_face_width=0,
        min_sharpness=0,
        min_luminance=0,
        max_luminance=100,
        min_contrast=0,
        max_yaw=180,
        max_pitch=180,
        min_inside=0,
        max_covered=1,
    )
    assert gate.problem(quality) is None
