"""The axis of classes: sums and maxima over it, wherever its parts lie."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class ClassAxis(Protocol):
    """How the columns of a matrix of logits are summed up.

    A loss that asks for no more than this works alike on all classes in one place and on classes
    that are spread over processes. Nothing here is differentiated: losses bring their gradients.
    """

    @property
    def count(self) -> int:
        """Classes in all."""

    def sum(self, values: Tensor) -> Tensor:
        """(n, 1) sums over all classes of (n, columns held here)."""

    def max(self, values: Tensor) -> Tensor:
        """(n, 1) maxima over all classes of (n, columns held here)."""


class LocalClasses:
    """Every class is a column of the matrix."""

    def __init__(self, count: int) -> None:
        self._count = count

    @property
    def count(self) -> int:
        """Classes in all."""
        return self._count

    def sum(self, values: Tensor) -> Tensor:
        """(n, 1) sums over all classes."""
        return values.sum(1, keepdim=True)

    def max(self, values: Tensor) -> Tensor:
        """(n, 1) maxima over all classes."""
        return values.amax(1, keepdim=True)
