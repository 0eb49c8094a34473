from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.recognition.dlib_file import head, weights, write_dlib_file
from visagist.errors import ModelDamagedError, ModelMissingError
from visagist.face.align import align, transform_points
from visagist.face.topology import canonical_points
from visagist.recognition.crop import recognition_crop
from visagist.recognition.teacher import BLOCKS, Teacher, chip_matrix

DLIB_SAYS = (-0.06472994, 0.05519797, 0.03858789, -0.00531788)
"""First numbers of compute_face_descriptor of dlib 20.0.1 for the picture of the test."""


@pytest.fixture
def file(tmp_path, monkeypatch):
    return write_dlib_file(tmp_path / "dlib.dat", monkeypatch)


def convolve(x, filters, *, stride, padding):
    """(c, h, w) by (o, c, k, k) in float64, written out."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    k = filters.shape[-1]
    windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), (1, 2))[:, ::stride, ::stride]
    return np.tensordot(filters, windows, ((1, 2, 3), (0, 3, 4)))


def pooled(x, size, stride, function):
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), (1, 2))
    return function(windows[:, ::stride, ::stride], (3, 4))


def added(a, b):
    out = np.zeros(np.maximum(a.shape, b.shape))
    for x in (a, b):
        out[: x.shape[0], : x.shape[1], : x.shape[2]] += x
    return out


def reference(picture):
    """The network in float64, layer by layer: (150, 150, 3) uint8 to (128,)."""
    layers = iter(weights())

    def layer(x, stride, padding):
        filters, biases, scales, shifts = next(layers)
        y = convolve(x, filters, stride=stride, padding=padding) + biases[:, None, None]
        return y * scales[:, None, None] + shifts[:, None, None]

    x = (picture.transpose(2, 0, 1) - np.array([122.782, 117.001, 104.298])[:, None, None]) / 256
    x = pooled(np.maximum(layer(x, 2, 0), 0), 3, 2, np.max)
    for _, down in BLOCKS:
        y = layer(x, 2 if down else 1, 0 if down else 1)
        y = layer(np.maximum(y, 0), 1, 1)
        x = np.maximum(added(pooled(x, 2, 2, np.mean) if down else x, y), 0)
    return x.mean((1, 2)) @ head()


@torch.no_grad()
def test_computes_what_dlibs_layers_say(file):
    picture = np.random.default_rng(3).integers(0, 256, (150, 150, 3), np.uint8)
    image = torch.from_numpy(picture.transpose(2, 0, 1) / 255.0)[None].float()
    ours = Teacher.from_file(file)(image)
    wanted = reference(picture)
    np.testing.assert_allclose(ours[0].numpy(), wanted, atol=2e-5 * np.abs(wanted).max())


def test_every_number_of_the_file_is_used_and_stays_as_it_is(file):
    teacher = Teacher.from_file(file)
    count = sum(filters.size + biases.size for filters, biases, _, _ in weights()) + head().size
    assert sum(p.numel() for p in teacher.parameters()) == count == 5_607_488
    assert not any(p.requires_grad for p in teacher.parameters())


def test_another_file_is_refused(tmp_path, file):
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    (tmp_path / "other.dat").write_bytes(data)
    with pytest.raises(ModelDamagedError, match="not dlib's published recogniser"):
        Teacher.from_file(tmp_path / "other.dat")
    with pytest.raises(ModelMissingError, match="face_recognition_models"):
        Teacher.from_file(tmp_path / "none.dat")


@torch.no_grad()
def test_published_weights_give_what_dlib_gives():
    """A picture of a formula; needs the published file, which is 22 MB."""
    path = os.environ.get("VISAGIST_DLIB_WEIGHTS")
    if not path:
        pytest.skip("VISAGIST_DLIB_WEIGHTS names no file")
    y, x = np.mgrid[:150, :150]
    planes = [(x * 3 + y) % 256, (x + y * 2) % 256, (x * y) % 256]
    image = torch.from_numpy(np.stack(planes) / 255.0)[None].float()
    vector = Teacher.from_file(Path(path))(image)[0].numpy()
    np.testing.assert_allclose(vector[:4], DLIB_SAYS, atol=2e-5)


def test_chips_lie_where_dlib_puts_them():
    # dlib's mean face: outer eye corners at .8596, .2135 and .1206, .2137 of the face's box, which
    # a quarter of padding on each side surrounds.
    points = transform_points(chip_matrix(canonical_points()), canonical_points()[:, :2])
    corners = (0.25 + np.array([[0.8596, 0.2135], [0.1206, 0.2137]])) / 1.5 * 150
    assert np.abs(points[[263, 33]] - corners).max() < 6


def test_our_view_shows_what_a_chip_shows():
    mesh = canonical_points()
    ours = recognition_crop(align(mesh), 150).to_crop(mesh[:, :2])
    chip = transform_points(chip_matrix(mesh), mesh[:, :2])
    assert np.abs(ours - chip).mean() < 6
