from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from visagist.amplify.residual import (
    detail_residual,
    makeup_change,
    makeup_residual,
)


def passes(seed: int = 0) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    bare, styled, source = rng.uniform(0, 255, (3, 2, 9, 7, 3)).astype(np.float32)
    mask = rng.uniform(0, 1, (2, 9, 7)).astype(np.float32)
    mask[:, :3] = 0
    mask[:, 6:] = 1
    return bare, styled, source, mask


@given(st.floats(0, 2), st.floats(0, 1), st.integers(0, 20))
def test_inside_the_mask_it_is_the_paper_s_sum(shade: float, detail: float, seed: int) -> None:
    bare, styled, source, mask = passes(seed)
    made = source + makeup_change(bare, styled, source, mask, shade=shade, detail=detail)
    b, s, x = (p.astype(np.float64) for p in (bare, styled, source))
    paper = b + shade * (s - b) + detail * (x - b)
    np.testing.assert_allclose(made[:, 6:], paper[:, 6:], atol=1e-3)
    m = mask[..., None].astype(np.float64)
    np.testing.assert_allclose(made, x + m * (paper - x), atol=1e-3)


def test_outside_the_mask_is_the_photo_to_the_bit() -> None:
    bare, styled, source, mask = passes()
    made = source + makeup_change(bare, styled, source, mask, shade=1.7, detail=0.3)
    np.testing.assert_array_equal(made[:, :3], source[:, :3])
    assert (made[:, 6:] != source[:, 6:]).mean() > 0.9


def test_all_detail_leaves_the_makeup_alone() -> None:
    bare, styled, source, mask = passes()
    change = makeup_change(bare, styled, source, mask, detail=1.0)
    np.testing.assert_array_equal(change, makeup_residual(bare, styled) * mask[..., None])


def test_equal_passes_with_all_detail_give_the_photo_back() -> None:
    bare, _, source, mask = passes()
    assert not makeup_change(bare, bare, source, mask, detail=1.0).any()


def test_residuals_add_up_to_photo_and_styled_pass() -> None:
    bare, styled, source, _ = passes()
    np.testing.assert_allclose(bare + detail_residual(source, bare), source, atol=1e-4)
    np.testing.assert_allclose(bare + makeup_residual(bare, styled), styled, atol=1e-4)
