"""The classifier of a training: a centre for each known person, in one process or in many.

A million people with 128 numbers each are 512 MB, their logits for a batch of 512 are 2 GB, and
both are wanted several times over. So every process holds the centres of its share of people, sees
the features of all processes, and computes its columns of the logits; the softmax over all columns
needs one maximum and one sum a row to be exchanged (An et al., "Killing Two Birds with One Stone:
Efficient and Robust Training of Face Recognition CNNs by Partial FC", CVPR 2022). A step may also
use a random part of the centres only, in which the right ones always are (section 3 there).

With one process all of this is an ordinary classifier, and gives the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import Function, once_differentiable

from visagist.errors import InputError
from visagist.recognition.losses.classes import ClassAxis, LocalClasses
from visagist.recognition.losses.margins import Margin, margin_logits
from visagist.recognition.losses.uir import UirForm, highest, uir_terms

UNLABELLED = -1
"""Label of a face whose person is none of the known ones."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """What happens to unlabelled faces.

    Attributes:
        form: of the loss.
        top: only the so many highest classes of a face count; all without.
    """

    form: UirForm = "released"
    top: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a classifier says of a batch; the same in every process.

    Attributes:
        margin: scalar, mean cross-entropy of all labelled faces.
        rejection: scalar, mean rejection loss of all unlabelled faces; 0 where it is switched off.
        right: share of labelled faces that are nearest to their own centre, without a gradient.
        surest: (m,) largest probability of each unlabelled face, without a gradient.
    """

    margin: Tensor
    rejection: Tensor
    right: Tensor
    surest: Tensor


class Classifier(nn.Module):
    """Centres of known people, the part of this process.

    In several processes every one gives as many faces, and all get the losses of all faces
    together. The gradient of a feature is that of this whole; so gradients of the network below
    are to be summed over processes, not averaged (with ``DistributedDataParallel``, multiply the
    loss by the number of processes).

    Args:
        classes: known people in all processes.
        dimension: of the features.
        margin: rule for the cosine to the right centre.
        scale: inverse temperature s.
        share: of the centres of each process that a step uses; the right ones are always in it.
        group: processes that share the centres; all by default, where there are several.

    Raises:
        InputError: there are fewer people than processes, or the share is not in 0..1.
    """

    def __init__(
        self,
        classes: int,
        dimension: int,
        *,
        margin: Margin,
        scale: float = 32.0,
        share: float = 1.0,
        group: dist.ProcessGroup | None = None,
    ) -> None:
        super().__init__()
        if group is None and dist.is_available() and dist.is_initialized():
            group = dist.group.WORLD
        self.group = group
        self.rank = 0 if group is None else dist.get_rank(group)
        self.world = 1 if group is None else dist.get_world_size(group)
        if classes < self.world:
            raise InputError(f"{classes} people cannot be shared by {self.world} processes")
        if not 0 < share <= 1:
            raise InputError(f"a step can use a share of the centres in (0, 1], not {share}")
        self.classes, self.margin, self.scale, self.share = classes, margin, scale, share
        self.first = self._start(self.rank)
        count = self._start(self.rank + 1) - self.first
        self.centres = nn.Parameter(0.01 * torch.randn(count, dimension))

    def _start(self, rank: int) -> int:
        return self.classes * rank // self.world

    @torch.no_grad()
    def load_centres(self, centres: Tensor) -> None:
        """Take over this process's part of all (classes, dimension) centres."""
        self.centres.copy_(centres[self.first : self.first + len(self.centres)])

    @torch.no_grad()
    def all_centres(self) -> Tensor:
        """(classes, dimension) centres of all processes, in every one."""
        if self.group is None or self.world == 1:
            return self.centres.detach().clone()
        size = max(self._start(r + 1) - self._start(r) for r in range(self.world))
        mine = F.pad(self.centres.detach(), (0, 0, 0, size - len(self.centres)))
        parts = [torch.empty_like(mine) for _ in range(self.world)]
        dist.all_gather(parts, mine.contiguous(), group=self.group)
        return torch.cat([p[: self._start(r + 1) - self._start(r)] for r, p in enumerate(parts)])

    def forward(
        self,
        features: Tensor,
        labels: Tensor,
        rejection: Rejection | None = None,
        generator: torch.Generator | None = None,
    ) -> Verdict:
        """Losses of a batch.

        Args:
            features: (n, d) embeddings of this process's faces, not normalised.
            labels: (n,) int64 people, ``UNLABELLED`` for others; any order.
            rejection: how unlabelled faces are pushed from the centres; ``None`` for not at all.
            generator: of the centres that are used, where ``share`` is below 1.
        """
        with torch.autocast(features.device.type, enabled=False):
            wide = features if features.dtype == torch.float64 else features.float()
            wide, labels = self._gathered(wide, labels)
            own, columns = self._columns(labels, generator)
            cosines = F.normalize(wide) @ F.normalize(own).T
            lengths = wide.detach().norm(dim=1)
            axis: ClassAxis = LocalClasses(len(own))
            if self.group is not None and self.world > 1:
                axis = _SpreadClasses(len(own), self.group, wide.device)
            known, unknown = labels >= 0, labels < 0
            if self.training:
                self.margin.observe(lengths[known])
            return Verdict(
                self._margin_loss(cosines[known], columns[known], lengths[known], axis),
                self._rejection_loss(cosines[unknown], rejection, axis),
                _share_right(cosines.detach()[known], columns[known], axis),
                _surest(self.scale * cosines.detach()[unknown], axis),
            )

    def _gathered(self, features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Features and labels of all processes."""
        if self.group is None or self.world == 1:
            return features, labels
        parts = [torch.empty_like(labels) for _ in range(self.world)]
        dist.all_gather(parts, labels.contiguous(), group=self.group)
        everything: Tensor = _GatherRows.apply(features, self.group)  # type: ignore[no-untyped-call]
        return everything, torch.cat(parts)

    def _columns(self, labels: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """The centres in use here, and each face's column among them, -1 where it has none."""
        count = len(self.centres)
        mine = (labels >= self.first) & (labels < self.first + count)
        columns = torch.where(mine, labels - self.first, -1)
        if self.share == 1:
            return self.centres, columns
        rank = torch.rand(count, generator=generator, device=labels.device)
        rank[columns[mine]] = 2.0  # before all others
        wanted = max(int((rank > 1).sum()), round(self.share * count), 1)
        chosen = rank.topk(wanted).indices.sort().values
        place = torch.full((count + 1,), -1, dtype=torch.int64, device=labels.device)
        place[chosen] = torch.arange(wanted, device=labels.device)
        return self.centres[chosen], place[columns]  # column -1 finds the last place, which is -1

    def _margin_loss(
        self, cosines: Tensor, columns: Tensor, lengths: Tensor, axis: ClassAxis
    ) -> Tensor:
        if not len(cosines):
            return cosines.sum()
        logits = margin_logits(cosines, columns, lengths, self.margin, self.scale)
        terms: Tensor = _CrossEntropy.apply(logits, columns, axis)  # type: ignore[no-untyped-call]
        return terms.mean()

    def _rejection_loss(
        self, cosines: Tensor, rejection: Rejection | None, axis: ClassAxis
    ) -> Tensor:
        if rejection is None or not len(cosines):
            return cosines.sum() * 0
        logits = self.scale * cosines
        if rejection.top is None:
            return uir_terms(logits, rejection.form, axis).mean()
        if self.group is not None and self.world > 1:
            logits = _gathered_top(logits, rejection.top, self.group)
        return uir_terms(highest(logits, min(rejection.top, axis.count)), rejection.form).mean()


class _SpreadClasses:
    """Classes of which each process has some columns."""

    def __init__(self, here: int, group: dist.ProcessGroup, device: torch.device) -> None:
        self._group = group
        count = torch.tensor(here, device=device)
        dist.all_reduce(count, group=group)
        self._count = int(count)

    @property
    def count(self) -> int:
        """Classes of all processes."""
        return self._count

    def sum(self, values: Tensor) -> Tensor:
        """(n, 1) sums over the columns of all processes."""
        total = values.sum(1, keepdim=True)
        dist.all_reduce(total, group=self._group)
        return total

    def max(self, values: Tensor) -> Tensor:
        """(n, 1) maxima over the columns of all processes."""
        top = values.amax(1, keepdim=True)
        dist.all_reduce(top, dist.ReduceOp.MAX, group=self._group)
        return top


class _GatherRows(Function):
    """Rows of all processes; each gets back the gradients that all of them have for its rows."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, group: dist.ProcessGroup) -> Tensor:  # noqa: ANN401
        ctx.group, ctx.count = group, len(rows)
        parts = [torch.empty_like(rows) for _ in range(dist.get_world_size(group))]
        dist.all_gather(parts, rows.contiguous(), group=group)
        return torch.cat(parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        total = outer.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total, group=ctx.group)
        first = dist.get_rank(ctx.group) * ctx.count
        return total[first : first + ctx.count], None


class _GatherColumns(Function):
    """Columns of all processes; every one computes the same of them, so none is added up."""

    @staticmethod
    def forward(ctx: Any, columns: Tensor, group: dist.ProcessGroup) -> Tensor:  # noqa: ANN401
        ctx.first, ctx.count = dist.get_rank(group) * columns.shape[1], columns.shape[1]
        parts = [torch.empty_like(columns) for _ in range(dist.get_world_size(group))]
        dist.all_gather(parts, columns.contiguous(), group=group)
        return torch.cat(parts, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return outer[:, ctx.first : ctx.first + ctx.count], None


def _gathered_top(logits: Tensor, top: int, group: dist.ProcessGroup) -> Tensor:
    """(n, processes * top): the highest columns of each process, with -inf where it has fewer."""
    best = highest(logits, top) if logits.shape[1] > 1 else logits
    padded = F.pad(best, (0, top - best.shape[1]), value=-torch.inf)
    everywhere: Tensor = _GatherColumns.apply(padded, group)  # type: ignore[no-untyped-call]
    return everywhere


class _CrossEntropy(Function):
    """-ln softmax at the right column, whichever process holds it."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, columns: Tensor, axis: ClassAxis) -> Tensor:  # noqa: ANN401
        deviation = logits - axis.max(logits)
        here = columns >= 0
        right = torch.zeros_like(logits[:, :1])
        right[here, 0] = deviation[here, columns[here]]
        right = axis.sum(right)
        powers = deviation.exp_()
        total = axis.sum(powers)
        ctx.save_for_backward(powers.div_(total), columns)
        return (torch.log(total) - right)[:, 0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        p, columns = ctx.saved_tensors
        gradient = outer[:, None] * p
        here = columns >= 0
        gradient[here, columns[here]] -= outer[here]
        return gradient, None, None


def _share_right(cosines: Tensor, columns: Tensor, axis: ClassAxis) -> Tensor:
    """Share of rows whose right column is the highest."""
    if not len(cosines):
        return cosines.new_zeros(())
    here = columns >= 0
    right = torch.full_like(cosines[:, :1], -torch.inf)
    right[here, 0] = cosines[here, columns[here]]
    return (axis.max(right) >= axis.max(cosines)).to(cosines.dtype).mean()


def _surest(logits: Tensor, axis: ClassAxis) -> Tensor:
    """(n,) largest probability of each row."""
    if not len(logits):
        return logits.new_zeros(0)
    return 1 / axis.sum(torch.exp(logits - axis.max(logits)))[:, 0]
