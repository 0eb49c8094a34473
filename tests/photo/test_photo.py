"""Saving: what survives, what is dropped, what is refused."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from tests.photo import photo_samples as samples
from visagist.errors import InputError, PhotoFormatError, PhotoWriteError
from visagist.photo import Photo
from visagist.photo.formats import FORMATS, SUFFIXES
from visagist.photo.profiles import Profile

RGB = samples.picture()
RGBA = samples.picture(channels=4)
EXACT = [("png", {}), ("tiff", {}), ("webp", {"lossless": True})]
shapes = st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(4))


@settings(max_examples=60, deadline=None)
@example(np.full((1, 1, 4), 255, np.uint8), EXACT[2])
@given(hnp.arrays(np.uint8, shapes), st.sampled_from(EXACT))
def test_exact_formats_return_every_pixel(rgba, how):
    name, options = how
    photo = Photo.from_array(rgba[..., :3], rgba[..., 3])
    back = Photo.open(photo.to_bytes(name, **options))
    np.testing.assert_array_equal(back.pixels, rgba[..., :3])
    if back.alpha is None:  # WebP leaves out an alpha that is opaque everywhere
        assert name == "webp"
        assert rgba[..., 3].min() == 255
    else:
        np.testing.assert_array_equal(back.alpha, rgba[..., 3])


@pytest.mark.parametrize("array", [RGB, RGBA])
def test_untouched_png_comes_back_bit_for_bit(array, tmp_path):
    (tmp_path / "in.png").write_bytes(samples.encoded(array, "PNG"))
    Photo.open(tmp_path / "in.png").save(tmp_path / "out.png")
    saved = np.asarray(Image.open(tmp_path / "out.png"))
    np.testing.assert_array_equal(saved, array)


def test_bmp_returns_every_pixel():
    back = Photo.open(Photo.from_array(RGB).to_bytes("bmp"))
    np.testing.assert_array_equal(back.pixels, RGB)


@pytest.mark.parametrize("name", ["jpeg", "webp", "avif"])
def test_lossy_formats_stay_close(name):
    back = Photo.open(Photo.from_array(RGB).to_bytes(name))
    # WebP always halves the colour resolution, which costs most on these noisy test colours.
    assert np.abs(back.pixels.astype(int) - RGB).mean() < (10 if name == "webp" else 6)


def test_jpeg_keeps_full_colour_resolution_unless_told():
    photo = Photo.from_array(RGB)
    assert samples.reopened(photo.to_bytes("jpeg")).layer[0][1:3] == (1, 1)
    small = photo.to_bytes("jpeg", subsampling="4:2:0")
    assert samples.reopened(small).layer[0][1:3] == (2, 2)
    assert len(photo.to_bytes("jpeg", quality=50)) < len(photo.to_bytes("jpeg"))


def test_transparency_is_laid_over_white_where_the_format_has_none():
    alpha = np.zeros(RGB.shape[:2], np.uint8)
    alpha[12:] = 255
    for name in ("jpeg", "bmp"):
        back = Photo.open(Photo.from_array(RGB, alpha).to_bytes(name))
        assert back.alpha is None
        assert back.pixels[:11].min() > 240
        assert np.abs(back.pixels[13:].astype(int) - RGB[13:]).mean() < 6


def test_saving_twice_gives_the_same_bytes():
    for entry in FORMATS:
        if entry.name != "HEIC":
            photo = Photo.open(samples.every_format()["jpeg"])
            assert photo.to_bytes(entry.name) == photo.to_bytes(entry.name)


# ---- colour -------------------------------------------------------------------------------------


def test_an_srgb_profile_changes_nothing_and_is_kept():
    profile = samples.rgb_profile(samples.SRGB, "srgb")
    photo = Photo.open(samples.encoded(RGB, "PNG", icc_profile=profile))
    np.testing.assert_array_equal(photo.pixels, RGB)
    saved = samples.reopened(photo.to_bytes())
    assert saved.info["icc_profile"] == profile
    np.testing.assert_array_equal(np.asarray(saved), RGB)


def test_display_p3_is_converted_to_srgb():
    # A muted colour in P3 is stronger in sRGB numbers: Lindbloom's chain, done here in float64.
    profile = samples.rgb_profile(samples.P3, "srgb")
    flat = np.full((4, 4, 3), (180, 120, 100), np.uint8)
    photo = Photo.open(samples.encoded(flat, "PNG", icc_profile=profile))

    def to_xyz(primaries):
        columns = np.array([(x / y, 1.0, (1 - x - y) / y) for x, y in primaries]).T
        white = np.array([0.3127 / 0.3290, 1.0, (1 - 0.3127 - 0.3290) / 0.3290])
        return columns * np.linalg.solve(columns, white)

    level = flat[0, 0] / 255.0
    linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    linear = np.linalg.solve(to_xyz(samples.SRGB), to_xyz(samples.P3) @ linear)
    expected = 255 * (1.055 * linear ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(photo.pixels[0, 0], expected, atol=1.5)
    assert photo.pixels[0, 0, 0] > 184


def test_colours_outside_srgb_survive_where_nobody_edited():
    profile = samples.rgb_profile()
    vivid = RGB.copy()
    vivid[:, :8] = (0, 255, 0)  # far outside sRGB
    photo = Photo.open(samples.encoded(vivid, "PNG", icc_profile=profile))
    edited = photo.pixels.copy()
    edited[10:14, 20:24] = (200, 30, 60)
    data = photo.with_pixels(edited).to_bytes()
    saved = samples.reopened(data)
    assert saved.info["icc_profile"] == profile
    untouched = np.ones(RGB.shape[:2], bool)
    untouched[10:14, 20:24] = False
    np.testing.assert_array_equal(np.asarray(saved)[untouched], vivid[untouched])
    # and the edit looks as it did on the screen of the user
    again = Photo.open(data)
    np.testing.assert_allclose(again.pixels[10:14, 20:24], edited[10:14, 20:24], atol=3)


def test_untouched_photo_in_p3_comes_back_bit_for_bit():
    data = samples.encoded(RGB, "PNG", icc_profile=samples.rgb_profile())
    saved = Photo.open(data).with_pixels(Photo.open(data).pixels.copy()).to_bytes()
    np.testing.assert_array_equal(np.asarray(samples.reopened(saved)), RGB)


def test_p3_alpha_and_orientation_together():
    block = b"Exif\0\0" + samples.exif_block(8)
    data = samples.encoded(RGBA, "PNG", icc_profile=samples.rgb_profile(), exif=block)
    saved = np.asarray(samples.reopened(Photo.open(data).to_bytes()))
    np.testing.assert_array_equal(saved, np.rot90(RGBA, 1))


def test_grey_profile_is_applied_and_replaced_by_srgb():
    grey = np.full((4, 4), 55, np.uint8)  # linear light 0.216 is stored as 128 in sRGB
    photo = Photo.open(samples.encoded(grey, "PNG", icc_profile=samples.grey_profile(1.0)))
    np.testing.assert_allclose(photo.pixels, 128, atol=2)
    saved = photo.to_bytes()
    assert Profile(samples.reopened(saved).info["icc_profile"]).is_srgb
    np.testing.assert_array_equal(Photo.open(saved).pixels, photo.pixels)


@pytest.mark.parametrize("profile", [b"nonsense" * 40, samples.grey_profile(), bytes(200)])
def test_a_profile_that_does_not_fit_is_left_out_and_said(profile):
    photo = Photo.open(samples.encoded(RGB, "PNG", icc_profile=profile))
    np.testing.assert_array_equal(photo.pixels, RGB)
    assert photo.icc is None
    assert any("colour profile" in warning for warning in photo.warnings)


def test_cmyk_files_are_saved_as_plain_rgb():
    cmyk = samples.encoded(Image.fromarray(RGB).convert("CMYK"), "JPEG")
    saved = samples.reopened(Photo.open(cmyk).to_bytes())
    assert saved.mode == "RGB"
    assert "icc_profile" not in saved.info


# ---- metadata -----------------------------------------------------------------------------------

WITH_EXIF = [entry.name for entry in FORMATS if entry.name not in ("BMP", "HEIC")]


@pytest.mark.parametrize("name", WITH_EXIF)
@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_is_kept_upright_without_location(name, order):
    block = samples.exif_block(6, order=order)
    photo = Photo.open(samples.encoded(RGB, "JPEG", exif=b"Exif\0\0" + block))
    assert samples.GPS_SECRET in photo.exif
    data = photo.to_bytes(name)
    saved = samples.reopened(data)
    assert saved.size == (24, 32)
    exif = saved.getexif()
    assert exif[0x010F].rstrip("\0") == "Testcam"
    assert exif.get(0x0112, 1) == 1
    assert 0x8825 not in exif
    assert samples.GPS_SECRET not in data


@pytest.mark.parametrize("name", WITH_EXIF)
def test_location_is_kept_when_asked(name):
    photo = Photo.open(samples.encoded(RGB, "JPEG", exif=b"Exif\0\0" + samples.exif_block()))
    data = photo.to_bytes(name, keep_gps=True)
    assert samples.reopened(data).getexif().get_ifd(0x8825)[1].rstrip("\0") == "N"


def test_camera_settings_survive_in_every_format():
    settings_of_camera = Image.Exif()
    settings_of_camera.get_ifd(0x8769)[0x9003] = "2026:01:02 03:04:05"
    photo = Photo.open(samples.encoded(RGB, "JPEG", exif=settings_of_camera))
    for name in WITH_EXIF:
        for gps in (False, True):
            saved = samples.reopened(photo.to_bytes(name, keep_gps=gps))
            assert saved.getexif().get_ifd(0x8769)[0x9003] == "2026:01:02 03:04:05"
        again = Photo.open(photo.to_bytes(name)).to_bytes("tiff")
        assert samples.reopened(again).getexif().get_ifd(0x8769)[0x9003][:4] == "2026"


@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_location_is_dropped_from_every_source(source):
    block = b"Exif\0\0" + samples.exif_block()
    data = samples.encoded(RGB, source, exif=block)
    assert samples.GPS_SECRET in data
    photo = Photo.open(data)
    for name in WITH_EXIF:
        assert samples.GPS_SECRET not in photo.to_bytes(name)
    assert "Testcam" in str(dict(samples.reopened(photo.to_bytes()).getexif()))


XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description tiff:Orientation="6" '
    b'exif:GPSLatitude="52,31.2N"/></rdf:RDF></x:xmpmeta>'
)


@pytest.mark.parametrize("name", WITH_EXIF)
def test_xmp_goes_with_the_location(name):
    photo = Photo.open(samples.encoded(RGB, "JPEG", xmp=XMP))
    assert photo.xmp == XMP
    assert b"GPSLatitude" not in photo.to_bytes(name)
    kept = photo.to_bytes(name, keep_gps=True)
    assert b"GPSLatitude" in kept
    assert b'Orientation="6"' not in kept


def test_png_text_is_not_carried_along():
    data = samples.png(2, 1, 8, 2, bytes(7), (b"tEXt", b"Comment\0taken at home"))
    assert b"at home" not in Photo.open(data).to_bytes()


def test_metadata_survives_an_edit():
    block = b"Exif\0\0" + samples.exif_block(1)
    photo = Photo.open(samples.encoded(RGBA, "PNG", exif=block))
    edited = photo.with_pixels(255 - photo.pixels)
    back = Photo.open(edited.to_bytes())
    np.testing.assert_array_equal(back.alpha, RGBA[..., 3])
    assert back.exif is not None
    assert edited.source == photo.source


# ---- files --------------------------------------------------------------------------------------


def test_unknown_suffix_names_the_allowed_ones(tmp_path):
    for name in ("out.gif", "out", "out.jpg.txt"):
        with pytest.raises(PhotoFormatError, match=r"\.png") as caught:
            Photo.from_array(RGB).save(tmp_path / name)
        assert all(suffix in str(caught.value) for suffix in SUFFIXES)
    assert list(tmp_path.iterdir()) == []


def test_suffix_decides_in_any_case(tmp_path):
    Photo.from_array(RGB).save(tmp_path / "Ä photo.JPG")
    assert Photo.open(tmp_path / "Ä photo.JPG").format == "JPEG"
    Photo.from_array(RGB).save(tmp_path / "noname", format="png")
    assert Photo.open(str(tmp_path / "noname")).format == "PNG"


def test_nothing_is_overwritten_unasked(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"precious")
    with pytest.raises(PhotoWriteError, match="exists"):
        Photo.from_array(RGB).save(path)
    assert path.read_bytes() == b"precious"
    Photo.from_array(RGB).save(path, overwrite=True)
    assert Photo.open(path).width == 32


def test_a_picture_too_wide_for_the_format_is_refused(tmp_path):
    wide = Photo.from_array(np.zeros((1, 17000, 3), np.uint8))
    with pytest.raises(PhotoWriteError, match="PNG"):
        wide.save(tmp_path / "wide.webp")
    assert list(tmp_path.iterdir()) == []


# ---- arrays -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_arrays_that_are_no_pictures(bad):
    with pytest.raises(InputError):
        Photo.from_array(bad)
    with pytest.raises(InputError):
        Photo.from_array(np.zeros((4, 4, 3), np.uint8)).with_pixels(bad)


def test_alpha_and_new_pixels_must_match_in_size():
    with pytest.raises(InputError, match="alpha"):
        Photo.from_array(RGB, np.zeros((2, 2), np.uint8))
    with pytest.raises(InputError, match="new pixels"):
        Photo.from_array(RGB).with_pixels(RGB[:4])


@pytest.mark.parametrize("options", [{"quality": 0}, {"quality": 101}, {"subsampling": "4:1:1"}])
def test_options_out_of_range(options):
    with pytest.raises(InputError):
        Photo.from_array(RGB).to_bytes("jpeg", **options)


def test_pixels_are_read_only_and_the_callers_array_is_not():
    mine = RGB.copy()
    photo = Photo.from_array(mine)
    with pytest.raises(ValueError, match="read-only"):
        photo.pixels[0, 0] = 0
    mine[0, 0] = 1


def test_preview_size_must_be_positive():
    with pytest.raises(InputError, match="max_side"):
        Photo.preview(samples.every_format()["jpeg"], 0)
