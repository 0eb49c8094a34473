from __future__ import annotations

import pytest
import torch

from visagist.errors import DataError
from visagist.training.checkpoint import load_latest, save_checkpoint


def fill(folder, steps=(1, 2)):
    return [save_checkpoint(folder, s, {"x": torch.full((3,), float(s))}) for s in steps]


def test_the_newest_comes_back_and_old_ones_go(tmp_path):
    assert load_latest(tmp_path) is None
    fill(tmp_path, (1, 2, 10))
    step, state = load_latest(tmp_path)
    assert step == 10
    assert torch.equal(state["x"], torch.full((3,), 10.0))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "step-000000002.ckpt",
        "step-000000010.ckpt",
    ]


def spoil_bit(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


SPOIL = {
    "bit": spoil_bit,
    "half": lambda data: data[: len(data) // 2],
    "digest only": lambda data: data[:20],
    "empty": lambda data: b"",
}


@pytest.mark.parametrize("how", SPOIL)
def test_a_damaged_checkpoint_is_passed_over(tmp_path, how):
    _, last = fill(tmp_path)
    last.write_bytes(SPOIL[how](last.read_bytes()))
    step, state = load_latest(tmp_path)
    assert step == 1
    assert state["x"][0] == 1


def test_when_all_are_damaged_it_says_so(tmp_path):
    for path in fill(tmp_path):
        path.write_bytes(spoil_bit(path.read_bytes()))
    with pytest.raises(DataError, match="every checkpoint is damaged"):
        load_latest(tmp_path)


def test_an_unfinished_write_is_no_checkpoint(tmp_path):
    fill(tmp_path, (1,))
    (tmp_path / "step-000000002.part").write_bytes(b"half a file")
    assert load_latest(tmp_path)[0] == 1
