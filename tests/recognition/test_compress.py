from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.recognition.dlib_file import write_dlib_file
from visagist.recognition.compress import (
    agreement,
    compress,
    compute_convolution,
    teacher_view,
    teachers_shape,
)
from visagist.recognition.config import NetworkConfig
from visagist.recognition.network import Convolution
from visagist.recognition.teacher import Teacher

GENERATOR = torch.Generator().manual_seed(5)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        return Teacher.from_file(write_dlib_file(tmp_path_factory.mktemp("t") / "dlib.dat", patch))


@pytest.fixture(scope="module")
def faces():
    """Smooth pictures: what a convolution sees in faces is not noise either."""
    coarse = torch.randn(32, 3, 7, 7, generator=GENERATOR)
    return F.interpolate(coarse, size=112, mode="bicubic").clamp(-1, 1)


@torch.no_grad()
def factored(rank, x, master):
    light = Convolution(24, 24, stride=1, rank=rank, norm=False)
    wanted = master(x)
    compute_convolution(light, master, x, wanted)
    return float((light(x) - wanted).square().mean() / wanted.var())


def test_factors_of_full_rank_lose_nothing_and_thinner_ones_lose_more():
    master = nn.Conv2d(24, 24, 3, 1, 1)
    x = torch.rand(6, 24, 9, 9, generator=GENERATOR)
    errors = [factored(rank, x, master) for rank in (24, 12, 4)]
    assert errors[0] < 1e-5
    assert errors[0] < errors[1] < errors[2] < 1


def test_inputs_of_low_rank_are_kept_whole_by_as_many_factors():
    """Directions that inputs never take cost nothing to leave out."""
    master = nn.Conv2d(24, 24, 1)
    master3 = nn.Conv2d(24, 24, 3, 1, 1)
    with torch.no_grad():
        master3.weight.zero_()
        master3.weight[:, :, 1:2, 1:2] = master.weight
        few = torch.randn(6, 8, 9, 9, generator=GENERATOR)
        x = torch.einsum("nihw,oi->nohw", few, torch.randn(24, 8, generator=GENERATOR))
    assert factored(8, x, master3) < 1e-4


@torch.no_grad()
def test_weights_from_the_teacher_agree_with_it_more_the_wider_they_are(teacher, faces):
    wanted = teacher(teacher_view(faces))
    found = {}
    for name, ranks in {"thin": (0, 8, 8, 8), "whole": (0, 0, 0, 0)}.items():
        student = compress(teacher, NetworkConfig(ranks=ranks), faces[:24], stem_steps=60)
        vectors = student(faces)
        assert vectors[:24].mean(0).abs().max() < 0.1 * vectors.std()
        found[name] = agreement([vectors[24:]], [wanted[24:]])
    assert 0.1 < found["thin"] < found["whole"]


def test_the_same_seed_gives_the_same_weights(teacher, faces):
    config = NetworkConfig(ranks=(0, 8, 8, 8))
    first, second = (
        compress(teacher, config, faces[:8], stem_steps=5, seed=3).state_dict() for _ in range(2)
    )
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], atol=0, rtol=0)


def test_another_shape_than_the_teachers_is_refused(teacher, faces):
    assert teachers_shape(NetworkConfig())
    for config in (
        NetworkConfig(norm=True),
        NetworkConfig(blocks=(2, 4, 3, 4)),
        NetworkConfig(kind="mobilefacenet"),
    ):
        with pytest.raises(ValueError, match="teacher's blocks"):
            compress(teacher, config, faces)
