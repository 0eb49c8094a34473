"""Residual arithmetic in the picture (RDM of Data Amplify Learning, arXiv 2403.15033).

A model that encodes, noises and denoises a picture gives it back smoother than it was. So its
results are not used as they are: two passes over the same bare photo ``x``, started from the same
noise, differ by the makeup alone, and what the pass without a style lost of the photo is known
exactly. With ``F(x)`` the pass without a style and ``F(x, c)`` the pass with one::

    detail residual   R_d = x - F(x)
    makeup residual   R_m = F(x, c) - F(x)
    amplified image   y   = F(x) + lambda_m R_m + lambda_d R_d
                          = x + lambda_m R_m - (1 - lambda_d) R_d

``lambda_m`` is called shade here, ``lambda_d`` detail. The second form is the one computed, under a
mask ``M``: ``y = x + M (lambda_m R_m - (1 - lambda_d) R_d)``, so that the photo itself, and not the
model's reconstruction of it, is what remains where ``M`` is 0.

Pure functions on float arrays of any one unit, (..., H, W, 3); masks are (..., H, W), 0..1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SHADE = 1.0
"""lambda_m of the paper."""
DETAIL = 0.8
"""lambda_d of the paper; 1 keeps all of the photo's detail, but R_d holds makeup-like contrast too,
so that the paper's results look over-saturated there."""


def detail_residual(source: Floats, bare_pass: Floats) -> Floats:
    """``R_d = x - F(x)``: what a pass without a style loses of the photo."""
    return np.asarray(source - bare_pass, np.float32)


def makeup_residual(bare_pass: Floats, styled_pass: Floats) -> Floats:
    """``R_m = F(x, c) - F(x)``: what the style adds, free of what both passes share."""
    return np.asarray(styled_pass - bare_pass, np.float32)


def makeup_change(
    bare_pass: Floats,
    styled_pass: Floats,
    source: Floats,
    mask: Floats,
    *,
    shade: float = SHADE,
    detail: float = DETAIL,
) -> Floats:
    """``y - x = M (lambda_m R_m - (1 - lambda_d) R_d)``; exactly 0 where the mask is.

    Args:
        bare_pass: (..., H, W, 3) ``F(x)``.
        styled_pass: ``F(x, c)`` from the same start and the same noise.
        source: ``x``, the bare photo.
        mask: (..., H, W) 0..1, where makeup may change the photo.
        shade: ``lambda_m``, the strength of the makeup.
        detail: ``lambda_d``, how much of what the model lost is given back.
    """
    change = np.float32(shade) * makeup_residual(bare_pass, styled_pass)
    if detail != 1:
        change -= np.float32(1 - detail) * detail_residual(source, bare_pass)
    return np.asarray(change * mask[..., None], np.float32)
