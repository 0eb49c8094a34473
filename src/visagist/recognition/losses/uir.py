"""Unknown identity rejection: for a stranger, no class may win.

Yu, Fan, Chen et al., "Unknown Identity Rejection Loss: Utilizing Unlabeled Data for Face
Recognition", ICCV workshops 2019 (arXiv 1910.10896). A face whose person is none of the N known
ones should get probabilities near 1/N. With p the softmax of its logits z, the forms are

==========  =======================================================  ===========  ==============
form        per face                                                 range        gradient to z_j
==========  =======================================================  ===========  ==============
paper       -sum_j ln p_j - N ln N                                   0 ..         N p_j - 1
kl          the same over N: ln sum_j e^z_j - mean z - ln N          0 ..         p_j - 1/N
released    -sum_j ln softmax(p)_j - N ln N                          0 .. e - 2   see below
==========  =======================================================  ===========  ==============

``released`` is what the authors' code computes, a softmax of a softmax: its gradient is
``p_j (g_j - sum_k p_k g_k)`` with ``g = e^p / mean(e^p)``. It is largest at max p = 0.7 and
vanishes on faces that match a class with confidence: it forgives people who are known after all,
and does not see the worst false matches. ``kl`` keeps pushing. The paper's form grows with the
number of classes and wants a weight of about 0.1 / N. ``kl`` is also the entropic open-set loss of
Dhamija et al. (NeurIPS 2018), up to a constant.

All forms lose their digits when written down as above: N ln N alone is 973 952 at 85 742 classes,
where neighbouring float32 numbers lie 0.06 apart. What is computed here has no large terms to
cancel.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.autograd.function import Function, once_differentiable

from visagist.errors import InputError
from visagist.recognition.losses.classes import ClassAxis, LocalClasses

UirForm = Literal["paper", "kl", "released"]
FORMS: tuple[UirForm, ...] = get_args(UirForm)

_CLOSE = 4.0
"""Largest deviation from the mean logit below which exp(z) - 1 is summed instead of exp(z)."""


def uir_terms(logits: Tensor, form: UirForm, axis: ClassAxis | None = None) -> Tensor:
    """The loss of each unlabelled face.

    Args:
        logits: (n, classes) scaled cosines, no margin on them.
        form: one of ``FORMS``.
        axis: where the other classes are, when the columns are a part of them; the value is then
            of all classes, and the gradient reaches the columns here.

    Returns:
        (n,) at least float32, also under autocast.

    Raises:
        InputError: an unknown form.
    """
    if form not in FORMS:
        raise InputError(f"the forms of UIR are {', '.join(FORMS)}, not {form!r}")
    with torch.autocast(logits.device.type, enabled=False):
        wide = logits if logits.dtype == torch.float64 else logits.float()
        classes: ClassAxis = LocalClasses(logits.shape[1]) if axis is None else axis
        function = _Released if form == "released" else _Kl
        terms: Tensor = function.apply(wide, classes)  # type: ignore[no-untyped-call]
        return terms * classes.count if form == "paper" else terms


def uir_loss(
    logits: Tensor, form: UirForm, axis: ClassAxis | None = None, *, top: int | None = None
) -> Tensor:
    """Mean over the unlabelled faces of a batch; 0 where there is none.

    Args:
        logits: (n, classes) scaled cosines.
        form: one of ``FORMS``.
        axis: see :func:`uir_terms`.
        top: only the so many highest classes of each face count, as if there were no others;
            not together with ``axis``.

    Raises:
        InputError: an unknown form, or ``top`` is below 2.
    """
    if not len(logits):
        return logits.sum()
    if top is not None:
        logits = highest(logits, top)
    return uir_terms(logits, form, axis).mean()


def highest(logits: Tensor, top: int) -> Tensor:
    """(n, at most top) the highest logits of each row.

    Raises:
        InputError: ``top`` is below 2.
    """
    if top < 2:
        raise InputError(f"no class wins or loses among {top}; top is at least 2")
    return logits.topk(min(top, logits.shape[1]), 1).values


class _Kl(Function):
    """KL(uniform || softmax(z)), exact near 0 too."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, axis: ClassAxis) -> Tensor:  # noqa: ANN401
        n = axis.count
        # A mean that is rounded shifts every deviation alike; the second mean takes it back.
        deviation = logits - axis.sum(logits) / n
        rest = axis.sum(deviation) / n
        top = axis.max(deviation)
        powers = torch.exp(deviation - top)
        total = axis.sum(powers)
        far = top + torch.log(total / n)
        near = torch.log1p(axis.sum(torch.expm1(deviation.clamp_max(_CLOSE))) / n)
        ctx.save_for_backward(powers.div_(total))
        ctx.count = n
        return (torch.where(top < _CLOSE, near, far) - rest)[:, 0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        (p,) = ctx.saved_tensors
        return outer[:, None] * (p - 1 / ctx.count), None


class _Released(Function):
    """N ln(mean e^p) - 1, by N log1p(M / N) - 1 with M = sum expm1(p)."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, axis: ClassAxis) -> Tensor:  # noqa: ANN401
        n = axis.count
        powers = torch.exp(logits - axis.max(logits))
        p = powers.div_(axis.sum(powers))
        grown = torch.expm1(p)
        mean = axis.sum(grown) / n
        # g less its constant part, which the softmax's derivative takes out anyway
        ctx.save_for_backward(p, grown, axis.sum(p * grown), 1 + mean)
        return (n * torch.log1p(mean) - 1)[:, 0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        p, grown, average, divisor = ctx.saved_tensors
        return outer[:, None] * p * (grown - average) / divisor, None
