import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.makeup.made_face import drawn_face, drawn_mesh
from visagist.errors import FaceError, InputError, UnknownStyleError
from visagist.face.regions import region_masks
from visagist.face.topology import LIPS_OUTER, mirror_index
from visagist.makeup.retoucher import made_up_mask, residual, retouch
from visagist.makeup.style import (
    Blush,
    Brows,
    Contour,
    Eyeliner,
    Eyeshadow,
    Foundation,
    Highlight,
    Lashes,
    LipLiner,
    Lips,
    Style,
    builtin_styles,
    load_style,
)
from visagist.photo.colour import rgb_to_lab

SIZE = 256
MESH = drawn_mesh()
FACE = drawn_face(MESH, SIZE)
SLOW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])

unit = st.floats(0, 1)
signed = st.floats(-1, 1)
colour = st.integers(0, 0xFFFFFF).map("#{:06x}".format)

styles = st.builds(
    Style,
    name=st.just("any"),
    lips=st.builds(
        Lips,
        strength=unit,
        colour=colour,
        finish=st.sampled_from(["matte", "satin", "gloss"]),
        opacity=unit,
        liner=st.builds(LipLiner, strength=unit, colour=colour, width=unit),
    ),
    eyeshadow=st.builds(
        Eyeshadow,
        strength=unit,
        lid=colour,
        crease=colour,
        outer=colour,
        lower=colour,
        lid_strength=unit,
        crease_strength=unit,
        outer_strength=unit,
        lower_strength=unit,
        height=unit,
        shimmer=unit,
    ),
    eyeliner=st.builds(
        Eyeliner,
        strength=unit,
        colour=colour,
        thickness=st.floats(0.01, 0.2),
        wing_length=st.floats(0, 0.5),
        wing_angle=st.floats(0, 60),
        lower=unit,
        smudge=unit,
    ),
    lashes=st.builds(Lashes, strength=unit, colour=colour, length=st.floats(0, 0.4), lower=unit),
    brows=st.builds(Brows, strength=unit, colour=colour, fill=unit),
    blush=st.builds(
        Blush,
        strength=unit,
        colour=colour,
        placement=st.sampled_from(["apples", "cheekbones", "draped", "sunkissed"]),
        size=st.floats(0.5, 1.6),
    ),
    contour=st.builds(Contour, strength=unit, colour=colour),
    highlight=st.builds(Highlight, strength=unit, colour=colour),
    foundation=st.builds(Foundation, strength=unit, evenness=unit, warmth=signed, lightness=signed),
)


def lab_change(before, after, mask):
    gap = rgb_to_lab(after) - rgb_to_lab(before)
    return gap[mask].mean(0)


@pytest.mark.parametrize("name", builtin_styles())
def test_every_style_shows_and_stays_in_its_mask(name):
    style = load_style(name)
    out = retouch(FACE, MESH, style)
    changed = np.any(out != FACE, axis=2)
    mask = made_up_mask(MESH, style, SIZE)
    assert mask.dtype == np.float32
    assert mask.min() >= 0
    assert mask.max() <= 1
    assert np.abs(out.astype(int) - FACE)[mask > 0.9].mean() > 1.0
    assert not changed[mask == 0].any()
    hair = drawn_face(MESH, SIZE)[:8]
    assert (out[:8] == hair).all()


def test_styles_differ_from_each_other():
    results = [retouch(FACE, MESH, load_style(n)).astype(int) for n in builtin_styles()]
    for i, one in enumerate(results):
        for other in results[:i]:
            assert np.abs(one - other).mean() > 0.3


@pytest.mark.parametrize("gape", [0.0, 14.0])
@pytest.mark.parametrize("name", ["rosewood", "electric"])
def test_eyeballs_and_mouth_are_not_touched(name, gape):
    mesh = drawn_mesh(gape=gape)
    face = drawn_face(mesh, SIZE)
    change = residual(face, mesh, load_style(name))
    regions = region_masks(mesh, SIZE)
    assert (change[regions.eyes >= 0.5] == 0).all()
    assert (change[regions.mouth >= 0.5] == 0).all()
    assert (regions.eyes >= 0.5).sum() > 100
    if gape:
        assert (regions.mouth >= 0.5).sum() > 200


def test_nothing_at_intensity_zero_and_linear_above():
    style = load_style("plum")
    assert (retouch(FACE, MESH, style, intensity=0.0) == FACE).all()
    full = residual(FACE, MESH, style)
    assert np.allclose(residual(FACE, MESH, style, intensity=0.25), full * 0.25, atol=1e-4)
    assert (FACE + full).min() >= -0.01
    assert (FACE + full).max() <= 255.01


def test_change_grows_with_intensity():
    style = load_style("classic")
    steps = [retouch(FACE, MESH, style, intensity=v).astype(int) for v in (0, 0.3, 0.6, 1.0)]
    sizes = [np.abs(s - FACE) for s in steps]
    for low, high in itertools.pairwise(sizes):
        assert (high >= low).all()
        assert high.sum() > low.sum()


@pytest.mark.parametrize("name", ["classic", "bronze", "electric"])
@pytest.mark.parametrize("turn", [0.0, 25.0])
def test_mirror_image_gets_the_mirrored_makeup(name, turn):
    mesh = drawn_mesh(turn=turn)
    face = drawn_face(mesh, SIZE)
    flipped = mesh[mirror_index()].copy()
    flipped[:, 0] = SIZE - flipped[:, 0]
    there = residual(np.ascontiguousarray(face[:, ::-1]), flipped, load_style(name))
    gap = np.abs(there[:, ::-1] - residual(face, mesh, load_style(name)))
    assert gap.max() < 1.5
    assert gap.mean() < 0.01


def test_a_part_with_strength_zero_is_left_alone():
    style = load_style("classic")
    regions = region_masks(MESH, SIZE)
    lips = regions.lips > 0.6
    assert np.abs(residual(FACE, MESH, style)[lips]).mean() > 10
    none = residual(FACE, MESH, style, strengths={"lips": 0.0})
    assert np.abs(none[lips]).max() < 2.0  # the soft edge of the foundation
    no_eyes = residual(FACE, MESH, style, strengths={"eyes": 0.0, "skin": 0.0})
    assert np.abs(no_eyes[regions.lids > 0.5]).max() < 0.1
    off = residual(FACE, MESH, style, strengths={"lips": 0, "eyes": 0, "skin": 0})
    assert np.abs(off).max() < 0.1


@pytest.mark.parametrize("size", [128, 320, 512])
def test_same_look_at_other_sizes(size):
    style = load_style("berry")
    mesh = drawn_mesh(size)
    change = residual(drawn_face(mesh, size), mesh, style)
    reference = residual(FACE, MESH, style)
    for region in ("lips", "skin", "lids"):
        here = getattr(region_masks(mesh, size), region) > 0.5
        there = getattr(region_masks(MESH, SIZE), region) > 0.5
        assert np.allclose(change[here].mean(0), reference[there].mean(0), atol=6.0)


def test_works_on_a_picture_that_is_not_square_and_a_face_partly_outside():
    style = load_style("smoky")
    part = np.ascontiguousarray(FACE[60:200, 100:])
    mesh = MESH.copy()
    mesh[:, :2] -= (100, 60)
    out = retouch(part, mesh, style)
    assert out.shape == part.shape
    assert np.any(out != part)
    away = MESH.copy()
    away[:, 0] += 4000
    assert (retouch(FACE, away, style) == FACE).all()


@pytest.mark.parametrize("skin", ["light", "medium", "deep"])
def test_red_lip_is_red_and_blush_shows_on_every_skin(skin):
    face = drawn_face(MESH, SIZE, skin)
    out = retouch(face, MESH, load_style("classic"))
    regions = region_masks(MESH, SIZE)
    after = rgb_to_lab(out)[regions.lips > 0.8].mean(0)
    assert after[1] > 30
    assert after[1] > after[2]
    cheek = np.zeros((SIZE, SIZE), bool)
    cheek[142:156, 66:84] = True
    da = lab_change(face, retouch(face, MESH, load_style("coral")), cheek)[1]
    assert da > 2.0


def test_lips_are_darker_in_less_light():
    style = load_style("classic")
    lips = region_masks(MESH, SIZE).lips > 0.8
    bright = rgb_to_lab(retouch(FACE, MESH, style))[lips, 0].mean()
    dim_face = drawn_face(MESH, SIZE, light=0.45)
    dim = rgb_to_lab(retouch(dim_face, MESH, style))[lips, 0].mean()
    assert dim < 0.75 * bright


def test_hair_and_dark_glasses_are_not_painted():
    style = load_style("electric")
    covered = FACE.copy()
    covered[88:122, 60:116] = (18, 18, 20)  # a dark lens over the person's right eye
    change = np.abs(residual(covered, MESH, style)).max(2)
    bare = np.abs(residual(FACE, MESH, style)).max(2)
    inside = (slice(92, 118), slice(64, 112))
    assert change[inside].mean() < 0.1 * bare[inside].mean()
    other = (slice(92, 118), slice(144, 192))
    assert change[other].mean() > 0.7 * bare[other].mean()


def test_closed_eyes_keep_a_liner():
    mesh = MESH.copy()
    pairs = ((246, 7), (161, 163), (160, 144), (159, 145), (158, 153), (157, 154), (173, 155))
    for upper, lower in pairs:
        for a, b in ((upper, lower), (mirror_index()[upper], mirror_index()[lower])):
            mesh[a, 1] = mesh[b, 1] - 0.05
    style = load_style("classic")
    change = residual(drawn_face(mesh, SIZE), mesh, style)
    assert np.isfinite(change).all()
    lids = region_masks(mesh, SIZE).lids > 0.5
    assert change[lids].min() < -40


@SLOW
@given(style=styles, size=st.sampled_from([96, 128, 200]), turn=st.sampled_from([0, 30, 75]))
def test_any_style_gives_a_valid_picture(style, size, turn):
    mesh = drawn_mesh(size, turn=turn, gape=6)
    face = drawn_face(mesh, size, "light")
    change = residual(face, mesh, style)
    assert np.isfinite(change).all()
    mask = made_up_mask(mesh, style, size)
    assert (change[mask == 0] == 0).all()
    total = face + change
    assert total.min() >= -0.05
    assert total.max() <= 255.05
    regions = region_masks(mesh, size)
    assert (change[regions.eyes >= 0.5] == 0).all()


@settings(SLOW, max_examples=10)
@given(seed=st.integers(0, 2**32 - 1), spread=st.floats(0, 200))
def test_any_mesh_and_any_picture(seed, spread):
    rng = np.random.default_rng(seed)
    mesh = (drawn_mesh(96) + rng.normal(0, spread, (478, 3))).astype(np.float32)
    face = rng.integers(0, 256, (96, 80, 3), dtype=np.uint8)
    try:
        change = residual(face, mesh, load_style("plum"))
    except FaceError:
        return
    assert np.isfinite(change).all()


def test_is_pure():
    style = load_style("berry")
    face, mesh = FACE.copy(), MESH.copy()
    first = retouch(face, mesh, style)
    assert (face == FACE).all()
    assert (mesh == MESH).all()
    retouch(face, drawn_mesh(turn=20), load_style("smoky"))
    assert (retouch(face, mesh, style) == first).all()


def test_wrong_arguments_are_named():
    style = load_style("bare")
    with pytest.raises(InputError, match="uint8"):
        retouch(FACE.astype(np.float32), MESH, style)
    with pytest.raises(InputError, match="478"):
        retouch(FACE, MESH[:468], style)
    with pytest.raises(InputError, match="finite"):
        retouch(FACE, np.full((478, 3), np.nan, np.float32), style)
    with pytest.raises(InputError, match="intensity"):
        retouch(FACE, MESH, style, intensity=1.5)
    with pytest.raises(InputError, match="lips"):
        retouch(FACE, MESH, style, strengths={"lips": -1})
    with pytest.raises(UnknownStyleError, match="did you mean 'lips'"):
        retouch(FACE, MESH, style, strengths={"lip": 1})
    with pytest.raises(FaceError):
        retouch(FACE, np.ones((478, 3), np.float32), style)


def test_lip_ring_is_where_the_lips_are():
    change = np.abs(residual(FACE, MESH, load_style("berry"), strengths={"skin": 0, "eyes": 0}))
    y, x = np.nonzero(change.max(2) > 5)
    lips = MESH[list(LIPS_OUTER), :2]
    assert abs(x.mean() - 128) < 0.6
    assert y.min() > lips[:, 1].min() - 3
    assert y.max() < lips[:, 1].max() + 3
