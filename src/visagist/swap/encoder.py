"""What the training asks of a frozen recogniser: identity vectors, and early maps of a face."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["FrozenEncoder", "Seen", "window_weights"]


class Seen(NamedTuple):
    """What an encoder makes of faces.

    Attributes:
        vectors: (n, d) of unit length.
        maps: of the tapped layers, shallow first.
    """

    vectors: Tensor
    maps: tuple[Tensor, ...]


def window_weights(side: int, out: int, *, start: float, stop: float) -> Tensor:
    """(out, side) weights that resample the stretch [start, stop) of ``side`` pixels to ``out``.

    Triangles as wide as a pixel of the coarser of the two, so that nothing is skipped when pixels
    get fewer; rows add up to 1. Positions are in shares of the side; what lies outside repeats the
    rim.
    """
    step = (stop - start) * side / out
    centres = start * side + step * (torch.arange(out, dtype=torch.float64) + 0.5)
    reach = max(1.0, step)
    span = int(reach) + 2
    places = torch.arange(-span, side + span, dtype=torch.float64) + 0.5
    weights = (1 - (places[None] - centres[:, None]).abs() / reach).clamp_min(0)
    weights = weights / weights.sum(1, keepdim=True)
    folded = weights[:, span : span + side].clone()
    folded[:, 0] += weights[:, :span].sum(1)
    folded[:, -1] += weights[:, span + side :].sum(1)
    return folded.float()


class FrozenEncoder(nn.Module):
    """A recogniser that judges canonical crops and is never trained.

    Args:
        network: (n, 3, side, side) to (n, d); it is frozen here.
        taps: modules of it whose outputs are early maps, in the order of use.
        side: of its input in pixels.
        field: width of its view in canonical crops.
        centre: middle of its view in canonical crops, (x, y).
        low: value of black at its input; white is 1.
        model_id: what tells its vectors from those of other recognisers; empty where nobody asks.
    """

    def __init__(
        self,
        network: nn.Module,
        taps: Sequence[nn.Module],
        *,
        side: int,
        field: float,
        centre: tuple[float, float],
        low: float = -1.0,
        model_id: str = "",
    ) -> None:
        super().__init__()
        self.model_id = model_id
        self.network = network.eval().requires_grad_(False)
        self.side, self.low = side, low
        self.spans = [(middle - field / 2, middle + field / 2) for middle in centre]
        self._caught: list[Tensor] = []
        self._windows: dict[tuple[int, torch.device], tuple[Tensor, Tensor]] = {}
        for tap in taps:
            tap.register_forward_hook(self._catch)

    def _catch(self, module: nn.Module, given: object, out: Tensor) -> None:
        self._caught.append(out)

    def view(self, crops: Tensor) -> Tensor:
        """The encoder's part of canonical crops (n, 3, s, s), differentiable."""
        key = (crops.shape[-1], crops.device)
        if key not in self._windows:
            across, down = (
                window_weights(key[0], self.side, start=a, stop=b).to(crops.device)
                for a, b in self.spans
            )
            self._windows[key] = (across, down)
        across, down = self._windows[key]
        return down @ (crops @ across.T)

    def forward(self, views: Tensor) -> Seen:
        """Embed the encoder's views (n, 3, h, h) in [-1, 1]; they are resized to its side."""
        if views.shape[-1] != self.side:
            views = F.interpolate(
                views, (self.side, self.side), mode="bilinear", align_corners=False, antialias=True
            )
        views = views.contiguous(memory_format=torch.channels_last)
        scaled = views if self.low == -1.0 else (views + 1) * (1 - self.low) / 2 + self.low
        self._caught = []
        vectors = F.normalize(self.network(scaled))
        maps, self._caught = tuple(self._caught), []
        return Seen(vectors, maps)
