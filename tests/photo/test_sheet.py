from __future__ import annotations

import numpy as np

from visagist.photo.sheet import grid, side_by_side


def flat(height: int, width: int, value: int) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def test_side_by_side_keeps_both_pictures() -> None:
    sheet = side_by_side(flat(5, 7, 10), flat(5, 7, 20))
    assert (sheet[:, :7] == 10).all()
    assert (sheet[:, -7:] == 20).all()
    assert (sheet[:, 7:-7] == 255).all()


def test_grid_places_every_picture_with_its_proportions() -> None:
    sheet = grid([flat(40, 40, 0), flat(20, 40, 0), flat(1, 300, 0)], ["a", "b", "c"],
                 columns=2, cell=80)  # fmt: skip
    assert sheet.dtype == np.uint8
    black = (sheet == 0).all(-1)
    assert black[8:88, 8:88].all()  # fills its cell
    right = black[8:88, 96:176]
    assert right[20:60].all()
    assert not right[:18].any()
    assert black[96:].any()  # second row, one pixel high


def test_captions_are_drawn() -> None:
    pictures = [flat(40, 40, 250)]
    with_text = grid(pictures, ["rosewood"], columns=1, cell=80)
    without = grid(pictures, [""], columns=1, cell=80)
    assert (with_text[88:] != without[88:]).any()
    assert (with_text[:88] == without[:88]).all()
