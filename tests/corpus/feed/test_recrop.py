from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests.corpus.labelled_tree import placed_face
from visagist.corpus.feed.recrop import (
    decode_crop,
    decode_labels,
    recrop,
    recrop_points,
    reduction,
)
from visagist.errors import DataError
from visagist.face.align import align, crop


@pytest.mark.parametrize(("size", "zoom"), [(96, 1.125), (64, 2.0), (150, 1.3)])
def test_a_recrop_is_the_crop_that_a_build_would_have_made(size, zoom):
    picture, mesh = placed_face(1)
    wide, narrow = align(mesh, 256).widened(2.0), align(mesh, size).widened(zoom)
    got = recrop(crop(picture, wide), 2.0, size=size, to_zoom=zoom)
    assert got.shape == (size, size, 3)
    assert np.abs(got.astype(int) - crop(picture, narrow)).mean() < 3
    points = recrop_points(wide.to_crop(mesh), 256, 2.0, size=size, to_zoom=zoom)
    assert np.allclose(points, narrow.to_crop(mesh), atol=1e-3)


def test_pixels_that_fall_together_are_kept():
    """576 pixels at zoom 2.25 hold 288 at 1.125 exactly."""
    noise = np.random.default_rng(0).integers(0, 255, (576, 576, 3), np.uint8)
    got = recrop(noise, 2.25, size=288, to_zoom=1.125)
    assert np.array_equal(got, noise[144:432, 144:432])
    assert np.array_equal(recrop(noise, 2.25, size=576, to_zoom=2.25), noise)


def test_labels_are_not_mixed():
    labels = np.random.default_rng(0).choice([0, 200], (64, 64)).astype(np.uint8)
    got = recrop(labels, 2.0, size=50, to_zoom=1.5, labels=True)
    assert set(np.unique(got)) == {0, 200}


def png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def test_pictures_and_label_maps_of_every_mode():
    labels = np.arange(16, dtype=np.uint8).reshape(4, 4)
    coloured = Image.new("P", (4, 4))
    coloured.putpalette([(7 * i) % 256 for i in range(768)])
    coloured.putdata(labels.ravel().tolist())
    assert np.array_equal(decode_labels(png(coloured)), labels)
    assert np.array_equal(decode_labels(png(Image.fromarray(labels))), labels)
    assert decode_crop(png(Image.fromarray(labels))).shape == (4, 4, 3)


def test_a_reduced_jpeg_is_the_picture():
    picture, _ = placed_face(2)
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=95)
    whole, half = (decode_crop(stream.getvalue(), reduce=n) for n in (1, 2))
    assert (whole.shape, half.shape) == ((300, 300, 3), (150, 150, 3))
    mean = whole.reshape(150, 2, 150, 2, 3).mean((1, 3))
    assert np.abs(half - mean).mean() < 1.5
    assert decode_crop(png(Image.fromarray(picture)), reduce=2).shape == (300, 300, 3)
    assert reduction(576, 2.25, size=256, to_zoom=2.2) == 2
    assert reduction(576, 2.25, size=288, to_zoom=1.125) == 1
    assert reduction(128, 2.0, size=256, to_zoom=2.0) == 1


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff torn", b"GIF89a" + bytes(40)])
def test_what_is_no_picture(data):
    with pytest.raises(DataError, match="damaged"):
        decode_crop(data)
    with pytest.raises(DataError, match="damaged"):
        decode_labels(data)
    with pytest.raises(DataError, match="mode RGB"):
        decode_labels(png(Image.new("RGB", (4, 4))))
