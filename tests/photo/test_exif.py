import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.photo import photo_samples as samples
from visagist.photo import exif

THUMBNAIL = b"\xff\xd8 a small picture of the face before the edit \xff\xd9"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", range(1, 9))
def test_orientation_is_read_in_both_byte_orders(order, value):
    assert exif.orientation(samples.exif_block(value, order=order)) == value


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_nonsense_orientation_counts_as_upright(value):
    assert exif.orientation(samples.exif_block(value)) == 1


def test_nothing_is_upright():
    assert exif.orientation(None) == 1
    assert exif.clean(None, keep_gps=False) is None


def test_normalise_takes_the_prefix_off_and_refuses_other_things():
    block = samples.exif_block()
    assert exif.normalise(exif.PREFIX + block) == block
    assert exif.normalise(block) == block
    assert exif.normalise(b"hello") is None
    assert exif.normalise(b"") is None


@pytest.mark.parametrize("order", ["<", ">"])
def test_clean_removes_location_and_thumbnail_and_moves_nothing_else(order):
    block = samples.exif_block(6, thumbnail=THUMBNAIL, order=order)
    out = exif.clean(block, keep_gps=False)
    assert len(out) == len(block)
    assert samples.GPS_SECRET not in out
    assert b"face before" not in out
    assert exif.orientation(out) == 1
    assert out.index(b"Testcam") == block.index(b"Testcam")  # offsets elsewhere still hold
    count = struct.unpack_from(order + "H", out, 8)[0]
    assert count == 2


def test_clean_keeps_the_location_when_asked():
    block = samples.exif_block(6, thumbnail=THUMBNAIL)
    out = exif.clean(block, keep_gps=True)
    assert samples.GPS_SECRET in out
    assert b"face before" not in out


def test_clean_twice_is_clean_once():
    once = exif.clean(samples.exif_block(thumbnail=THUMBNAIL), keep_gps=False)
    assert exif.clean(once, keep_gps=False) == once


def test_two_pointers_to_locations_are_both_removed():
    block = bytearray(samples.exif_block())
    maker = 8 + 2  # the first entry becomes a second pointer to the same directory
    block[maker : maker + 12] = block[maker + 24 : maker + 36]
    out = exif.clean(bytes(block), keep_gps=False)
    assert out is None or samples.GPS_SECRET not in out


@pytest.mark.parametrize("where", [0, 2, 8, 10])
def test_a_location_that_overlaps_the_directory_in_use_drops_the_block(where):
    block = bytearray(samples.exif_block())
    struct.pack_into("<I", block, 8 + 2 + 24 + 8, where)
    assert exif.clean(bytes(block), keep_gps=False) is None


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_damaged_blocks_never_raise_and_never_point_at_a_location(data):
    block = bytearray(samples.exif_block(thumbnail=THUMBNAIL))
    for _ in range(data.draw(st.integers(1, 6))):
        block[data.draw(st.integers(4, len(block) - 1))] = data.draw(st.integers(0, 255))
    out = exif.clean(bytes(block), keep_gps=False)
    if out is not None:
        assert exif.orientation(out) == 1
        first = struct.unpack_from("<I", out, 4)[0]
        count = struct.unpack_from("<H", out, first)[0]
        tags = [struct.unpack_from("<H", out, first + 2 + 12 * i)[0] for i in range(count)]
        assert 0x8825 not in tags


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([b"II*\0", b"MM\0*"]), st.binary(max_size=200))
def test_random_blocks_never_raise(magic, rest):
    exif.orientation(magic + rest)
    exif.clean(magic + rest, keep_gps=False)
