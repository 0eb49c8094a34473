"""Good files of every kind: what comes out, and what is said about it."""

import numpy as np
import pytest
from PIL import Image

from tests.photo import photo_samples as samples
from visagist.errors import MissingExtraError, PhotoFormatError
from visagist.photo import Photo
from visagist.photo import formats as formats_module

RGB = samples.picture()


@pytest.mark.parametrize("name", samples.every_format())
def test_every_format_opens(name):
    photo = Photo.open(samples.every_format()[name])
    assert photo.pixels.dtype == np.uint8
    assert photo.pixels.ndim == 3
    assert photo.format.lower() == name.split()[0]
    assert not photo.pixels.flags.writeable


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("pillow", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_orientation_is_applied(orientation, pillow):
    block = b"Exif\0\0" + samples.exif_block(orientation, gps=False)
    options = {"lossless": True} if pillow == "WEBP" else {}
    photo = Photo.open(samples.encoded(RGB, pillow, exif=block, **options))
    upright = {
        1: RGB,
        2: RGB[:, ::-1],
        3: RGB[::-1, ::-1],
        4: RGB[::-1],
        5: RGB.transpose(1, 0, 2),
        6: np.rot90(RGB, -1),
        7: RGB[::-1, ::-1].transpose(1, 0, 2),  # mirrored along the other diagonal
        8: np.rot90(RGB, 1),
    }[orientation]
    assert photo.pixels.shape == upright.shape
    error = np.abs(photo.pixels.astype(int) - upright).mean()
    assert error < (0.01 if pillow in ("PNG", "WEBP", "TIFF") else 12)


def test_orientation_applies_to_alpha_too():
    rgba = samples.picture(channels=4)
    block = b"Exif\0\0" + samples.exif_block(6)
    photo = Photo.open(samples.encoded(rgba, "PNG", exif=block))
    np.testing.assert_array_equal(photo.alpha, np.rot90(rgba[..., 3], -1))


def test_alpha_is_kept_apart_and_colours_under_it_survive():
    rgba = samples.picture(channels=4)
    rgba[:5, :, 3] = 0
    photo = Photo.open(samples.encoded(rgba, "PNG"))
    np.testing.assert_array_equal(photo.pixels, rgba[..., :3])
    np.testing.assert_array_equal(photo.alpha, rgba[..., 3])


def test_grey_with_alpha():
    la = np.stack([RGB[..., 0], RGB[..., 1]], -1)
    photo = Photo.open(samples.encoded(Image.fromarray(la, "LA"), "PNG"))
    for channel in range(3):
        np.testing.assert_array_equal(photo.pixels[..., channel], la[..., 0])
    np.testing.assert_array_equal(photo.alpha, la[..., 1])


def test_palette_with_transparent_entries():
    image = Image.fromarray(RGB).quantize(16)
    photo = Photo.open(samples.encoded(image, "PNG", transparency=bytes([0, 128] + [255] * 14)))
    index = np.asarray(image)
    np.testing.assert_array_equal(photo.pixels, np.asarray(image.convert("RGB")))
    np.testing.assert_array_equal(photo.alpha[index == 0], 0)
    np.testing.assert_array_equal(photo.alpha[index == 1], 128)
    np.testing.assert_array_equal(photo.alpha[index > 1], 255)


def test_one_transparent_colour_in_an_rgb_png():
    clear = tuple(int(v) for v in RGB[3, 4])
    photo = Photo.open(samples.encoded(RGB, "PNG", transparency=clear))
    assert photo.alpha[3, 4] == 0
    assert (photo.alpha == 255).mean() > 0.9


def test_sixteen_bit_grey_is_rounded_and_said():
    levels = np.linspace(0, 65535, 32 * 24).astype(np.uint16).reshape(24, 32)
    photo = Photo.open(samples.encoded(levels, "PNG"))
    expected = np.rint(levels / 257).astype(np.uint8)
    np.testing.assert_array_equal(photo.pixels[..., 0], expected)
    assert any("8 bits" in warning for warning in photo.warnings)


def test_sixteen_bit_grey_tiff():
    levels = np.linspace(0, 65535, 32 * 24).astype(np.uint16).reshape(24, 32)
    photo = Photo.open(samples.encoded(levels, "TIFF"))
    np.testing.assert_array_equal(photo.pixels[..., 1], np.rint(levels / 257).astype(np.uint8))
    assert photo.warnings


def test_twelve_bit_grey_tiff():
    tags = [(256, 4, 1, 2), (257, 4, 1, 1), (258, 3, 1, 12), (259, 3, 1, 1), (262, 3, 1, 1)]
    tags += [(277, 3, 1, 1), (278, 4, 1, 1), (279, 4, 1, 3)]
    data = samples.tiff([*tags, (273, 4, 1, 8 + 2 + 12 * 9 + 4)], bytes([0xFF, 0xF8, 0x00]))
    photo = Photo.open(data)  # 4095 and 2048 of 4095
    np.testing.assert_array_equal(photo.pixels[0, :, 0], (255, 128))
    assert photo.warnings


def test_sixteen_bit_colour_png():
    value = bytes([10, 0, 20, 0, 30, 0])
    photo = Photo.open(samples.png(4, 3, 16, 2, (b"\0" + value * 4) * 3))
    np.testing.assert_array_equal(photo.pixels[0, 0], (10, 20, 30))
    assert any("8 bits" in warning for warning in photo.warnings)


def test_eight_bit_files_have_no_warnings():
    for name in ("png rgba", "jpeg progressive", "webp rgba", "bmp", "tiff lzw", "avif"):
        assert Photo.open(samples.every_format()[name]).warnings == ()


def test_thirty_two_bit_samples_are_refused():
    floats = Image.fromarray(RGB[..., 0].astype(np.float32))
    with pytest.raises(PhotoFormatError, match="32 bits"):
        Photo.open(samples.encoded(floats, "TIFF"))


def test_cmyk_is_converted_and_said():
    cmyk = Image.fromarray(RGB).convert("CMYK")
    photo = Photo.open(samples.encoded(cmyk, "JPEG", quality=100))
    assert np.abs(photo.pixels.astype(int) - RGB).mean() < 12
    assert any("CMYK" in warning for warning in photo.warnings)


def test_bilevel():
    photo = Photo.open(samples.encoded(Image.fromarray(RGB).convert("1"), "PNG"))
    assert set(np.unique(photo.pixels)) <= {0, 255}


@pytest.mark.parametrize("pillow", ["PNG", "WEBP", "AVIF", "TIFF"])
def test_first_frame_of_several_with_a_warning(pillow):
    second = Image.fromarray(255 - RGB)
    options = {"save_all": True, "append_images": [second]}
    if pillow == "WEBP":
        options["lossless"] = True
    photo = Photo.open(samples.encoded(RGB, pillow, **options))
    assert np.abs(photo.pixels.astype(int) - RGB).mean() < 12
    assert any("first" in warning for warning in photo.warnings)


def test_the_second_picture_of_a_phone_is_left_out_and_said():
    depth = Image.fromarray(255 - RGB)
    data = samples.encoded(RGB, "MPO", save_all=True, append_images=[depth], quality=95)
    photo = Photo.open(data)
    assert photo.format == "JPEG"
    assert np.abs(photo.pixels.astype(int) - RGB).mean() < 12
    assert any("first" in warning for warning in photo.warnings)
    assert Photo.open(photo.to_bytes()).warnings == ()


def test_any_kind_of_bytes():
    data = samples.every_format()["bmp"]
    for source in (bytearray(data), memoryview(data)):
        np.testing.assert_array_equal(Photo.open(source).pixels, RGB)


def test_the_suffix_is_not_believed(tmp_path):
    path = tmp_path / "really_a_png.jpg"
    path.write_bytes(samples.encoded(RGB, "PNG"))
    photo = Photo.open(path)
    assert photo.format == "PNG"
    assert photo.source == path


@pytest.mark.parametrize("pillow", ["JPEG", "PNG", "WEBP"])
def test_preview_fits_and_looks_the_same(pillow):
    large = np.asarray(Image.fromarray(RGB).resize((640, 480), Image.Resampling.BICUBIC))
    block = b"Exif\0\0" + samples.exif_block(6)
    data = samples.encoded(large, pillow, exif=block, quality=90)
    preview = Photo.preview(data, 100)
    assert (preview.width, preview.height) == (75, 100)
    full = Image.fromarray(Photo.open(data).pixels).resize((75, 100), Image.Resampling.BOX)
    assert np.abs(preview.pixels.astype(int) - np.asarray(full)).mean() < 4


def test_preview_never_enlarges():
    assert Photo.preview(samples.encoded(RGB, "JPEG"), 5000).pixels.shape == RGB.shape


def test_heic_without_the_extra_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    head = b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + bytes(100)
    with pytest.raises(MissingExtraError, match=r"visagist\[heic\]"):
        Photo.open(head)


def test_heic_with_the_extra():
    pytest.importorskip("pillow_heif")
    formats_module.load_heic()
    block = b"Exif\0\0" + samples.exif_block(6)
    photo = Photo.open(samples.encoded(RGB, "HEIF", quality=100, exif=block))
    assert photo.format == "HEIC"
    assert (photo.height, photo.width) == (32, 24)
    again = Photo.open(photo.to_bytes())
    assert np.abs(again.pixels.astype(int) - photo.pixels).mean() < 8
    assert samples.GPS_SECRET not in photo.to_bytes()
