"""Any bytes give a photo within limits or a PhotoError, and nothing else."""

import struct
import zlib
from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from tests.photo import photo_samples as samples
from visagist.errors import (
    InputError,
    MissingExtraError,
    PhotoDamagedError,
    PhotoError,
    PhotoFormatError,
    PhotoTooLargeError,
)
from visagist.photo import Limits, Photo

SMALL = Limits(max_pixels=1_000_000, max_bytes=1_000_000)
RGB = samples.picture()
every_format = cache(samples.every_format)


def photo_or_error(data, limits=SMALL):
    """The promise itself; other exceptions fail the test."""
    try:
        photo = Photo.open(data, limits)
    except (PhotoError, MissingExtraError) as error:  # an AVIF can turn into a HEIC
        assert len(str(error)) > 20  # each message says something
        return None
    assert 0 < photo.width * photo.height <= limits.max_pixels
    return photo


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes(data):
    photo_or_error(data)


MAGIC = (
    b"\xff\xd8\xff\xe0",
    b"\x89PNG\r\n\x1a\n",
    b"RIFF\0\0\0\0WEBPVP8 ",
    b"II*\0",
    b"MM\0*",
    b"BM",
)
BOXES = (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", b"II+\0\x08\0\0\0")


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(MAGIC + BOXES), st.binary(max_size=300))
def test_random_bytes_behind_a_real_beginning(magic, data):
    photo_or_error(magic + data)


@st.composite
def mutated(draw):
    """A valid file with a few bytes changed, removed or inserted."""
    data = bytearray(every_format()[draw(st.sampled_from(sorted(every_format())))])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(
            st.integers(0, max(0, min(len(data), draw(st.sampled_from((64, 400, 10**6)))) - 1))
        )
        kind = draw(st.sampled_from(("set", "large", "cut", "insert", "end")))
        if kind == "set":
            data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
        elif kind == "large":
            data[at : at + 4] = draw(st.sampled_from((b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0" * 4)))
        elif kind == "cut":
            del data[at : at + draw(st.integers(1, 20))]
        elif kind == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=8))
        else:
            del data[at:]
    return bytes(data)


@settings(max_examples=800, deadline=None, suppress_health_check=[HealthCheck.data_too_large])
@given(mutated())
def test_mutated_files(data):
    photo = photo_or_error(data)
    if photo is not None:
        Photo.open(photo.to_bytes("png"), SMALL)  # whatever came in can go out


@pytest.mark.parametrize("name", samples.every_format())
def test_truncated_at_many_places(name):
    data = every_format()[name]
    whole = Photo.open(data).pixels
    for end in {*range(0, len(data), max(1, len(data) // 60)), len(data) - 2, len(data) - 1}:
        photo = photo_or_error(data[:end])
        # Nothing is made up: a file that still opens lacked only bytes behind its pixels.
        if photo is not None:
            np.testing.assert_array_equal(photo.pixels, whole)


@pytest.mark.parametrize("name", ["jpeg", "png", "webp"])
def test_truncation_is_noticed_even_if_pillow_was_told_to_accept_it(name, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = every_format()[name]
    with pytest.raises(PhotoDamagedError, match="truncated"):
        Photo.open(data[: len(data) * 2 // 3])


def test_empty():
    with pytest.raises(PhotoFormatError, match="empty"):
        Photo.open(b"")


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (samples.encoded(RGB[..., 0], "GIF"), "GIF"),
        (samples.encoded(RGB, "PPM"), "Not a picture"),
        (samples.encoded(RGB, "ICO"), "icon"),
        (b"%PDF-1.7 and so on", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"hello, this is text", "Not a picture"),
    ],
)
def test_other_formats_are_refused_by_name(data, named):
    with pytest.raises(PhotoFormatError, match=named):
        Photo.open(data)


def bomb_png(width, height):
    return samples.png(width, height, 8, 2, bytes(10))


def bomb_webp(width, height):
    body = b"VP8X" + struct.pack("<II", 10, 0)
    body += struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def bomb_bmp(width, height):
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + info


def bomb_jpeg(width, height):
    data = bytearray(every_format()["jpeg progressive"])
    at = data.index(b"\xff\xc2")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def bomb_tiff(width, height):
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1)]
    tags += [(262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, 4)]
    return samples.tiff(tags)


@pytest.mark.parametrize("bomb", [bomb_png, bomb_webp, bomb_bmp, bomb_jpeg, bomb_tiff])
@pytest.mark.parametrize("size", [(16000, 16000), (16000, 4100), (60000, 4), (9500, 9500)])
def test_huge_dimensions_are_refused_before_decoding(bomb, size, monkeypatch):
    def never(*_):
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", never)
    with pytest.raises(PhotoTooLargeError, match=r"(million|side)"):
        Photo.open(bomb(*size))


def test_avif_bomb_is_refused(monkeypatch):
    data = bytearray(every_format()["avif"])
    at = data.index(b"ispe")
    data[at + 8 : at + 16] = struct.pack(">II", 16000, 16000)
    with pytest.raises(PhotoError):
        Photo.open(bytes(data))


def test_file_size_limit_for_bytes_and_for_files(tmp_path):
    data = every_format()["png"]
    limits = Limits(max_bytes=len(data) - 1)
    path = tmp_path / "a.png"
    path.write_bytes(data)
    for source in (data, path):
        with pytest.raises(PhotoTooLargeError, match="max_bytes"):
            Photo.open(source, limits)
    assert Photo.open(path, Limits(max_bytes=len(data))).width == 24


def test_limits_must_make_sense():
    with pytest.raises(InputError, match="max_pixels"):
        Limits(max_pixels=0)


def test_png_text_that_explodes():
    text = b"x\0\0" + zlib.compress(bytes(50_000_000))
    with pytest.raises(PhotoDamagedError):
        Photo.open(samples.png(2, 1, 8, 2, bytes(7), (b"zTXt", text)))


def test_png_pixels_that_explode_stay_within_the_picture():
    photo = Photo.open(samples.png(2, 1, 8, 2, bytes(50_000_000)))
    assert photo.pixels.shape == (1, 2, 3)


def test_tiff_values_that_overlap():
    tags = [(256, 4, 1, 10), (257, 4, 1, 10)]
    tags += [(1000 + i, 1, 50_000, 8) for i in range(1000)]
    with pytest.raises(PhotoDamagedError):
        Photo.open(samples.tiff(tags, bytes(60_000)))


def test_exif_values_that_overlap():
    block = samples.tiff([(1000 + i, 1, 40_000, 8) for i in range(1000)], bytes(40_000))
    data = samples.encoded(RGB, "JPEG", exif=b"Exif\0\0" + block)
    with pytest.raises(PhotoDamagedError):
        Photo.open(data)


def test_tiff_with_enormous_tiles():
    tags = [(256, 4, 1, 10), (257, 4, 1, 10), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1)]
    tags += [(277, 3, 1, 1), (322, 4, 1, 30000), (323, 4, 1, 30000), (324, 4, 1, 8), (325, 4, 1, 9)]
    with pytest.raises(PhotoTooLargeError, match="tiles"):
        Photo.open(samples.tiff(tags, bytes(100)))


def test_tiff_directories_in_a_circle():
    tags = [(256, 4, 1, 10), (257, 4, 1, 10), (0x8769, 4, 1, 8), (330, 4, 1, 8)]
    assert photo_or_error(samples.tiff(tags)) is None


def test_jpeg_with_thousands_of_scans():
    data = every_format()["jpeg progressive"]
    first = data.index(b"\xff\xda")
    second = data.index(b"\xff\xda", first + 2)
    hidden = b"\xff\xfe\0\x04\xff\xd9"  # a comment that holds the end marker
    for scans in (
        data[first:second] * 500,
        data[first:second] + (hidden + data[first:second]) * 500,
    ):
        with pytest.raises(PhotoDamagedError, match="scans"):
            Photo.open(data[:first] + scans + data[second:])


@pytest.mark.parametrize(
    "fault",
    [
        *(OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, AttributeError),
        *(EOFError, OverflowError, ZeroDivisionError, AssertionError, RuntimeError, SystemError),
        *(struct.error, zlib.error, RecursionError, NotImplementedError, UserWarning, BufferError),
    ],
)
def test_whatever_pillow_raises_is_a_damaged_photo(fault, monkeypatch):
    def failing(*_args, **_options):
        raise fault("inside the codec")

    monkeypatch.setattr(ImageFile.ImageFile, "load", failing)
    with pytest.raises(PhotoDamagedError, match="inside the codec"):
        Photo.open(every_format()["bmp"])


@pytest.mark.parametrize(
    "fault", [MemoryError, Image.DecompressionBombError, Image.DecompressionBombWarning]
)
def test_whatever_is_about_memory_is_a_large_photo(fault, monkeypatch):
    def failing(*_args, **_options):
        raise fault("too much")

    monkeypatch.setattr(ImageFile.ImageFile, "load", failing)
    with pytest.raises(PhotoTooLargeError):
        Photo.open(every_format()["bmp"])


def test_a_keyboard_interrupt_passes(monkeypatch):
    def failing(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(ImageFile.ImageFile, "load", failing)
    with pytest.raises(KeyboardInterrupt):
        Photo.open(every_format()["bmp"])
