"""Margins: the cosine to the right class is made worse, so that training pulls it further in.

A margin is a rule for the cosine between a face and the centre of its own class; all other cosines
stay. So it needs one number a face, whichever process holds the class.

* ArcFace: Deng et al., CVPR 2019, eq. 3: cos(theta + m).
* CosFace: Wang et al., CVPR 2018, eq. 4: cos(theta) - m.
* AdaFace: Kim et al., CVPR 2022, eqs. 4, 6 and 8: both, by the quality that the length of the
  feature tells.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

_EDGE = 1e-6
"""Cosines are kept this far from -1 and 1, where the angle's derivative is infinite."""
_LENGTHS = (1e-3, 100.0)
"""AdaFace takes longer and shorter features for as long as this."""


class Margin(nn.Module):
    """Rule for the cosine to the right class. This one changes nothing: a plain softmax."""

    def forward(self, cosines: Tensor, lengths: Tensor) -> Tensor:
        """Cosines with the margin.

        Args:
            cosines: (n,) to the right class.
            lengths: (n,) of the features before they were normalised.
        """
        del lengths
        return cosines

    def observe(self, lengths: Tensor) -> None:
        """Learn from the lengths of all labelled features of a step, before the step's logits."""


class ArcFace(Margin):
    """Additive angular margin of ``margin`` radians."""

    def __init__(self, margin: float = 0.5) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, cosines: Tensor, lengths: Tensor) -> Tensor:
        """cos(theta + m); past theta = pi - m, where that would rise, cos(theta) - m sin m."""
        del lengths
        near = cosines.clamp(-1 + _EDGE, 1 - _EDGE)
        sines = torch.sqrt(1 - near.square())
        turned = near * math.cos(self.margin) - sines * math.sin(self.margin)
        straight = cosines - self.margin * math.sin(self.margin)
        return torch.where(cosines > -math.cos(self.margin), turned, straight)


class CosFace(Margin):
    """Additive cosine margin."""

    def __init__(self, margin: float = 0.35) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, cosines: Tensor, lengths: Tensor) -> Tensor:
        """cos(theta) - m."""
        del lengths
        return cosines - self.margin


class AdaFace(Margin):
    """Margin by quality: poor pictures (short features) are not pushed as hard as good ones.

    Args:
        margin: m, both of the angle and of the cosine.
        concentration: h; a length of one standard deviation / h above the mean is a good picture.
        momentum: share of a batch's statistics in the running ones. The paper has 0.01.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, margin: float = 0.4, concentration: float = 0.333, momentum: float = 0.01
    ) -> None:
        super().__init__()
        self.margin, self.concentration, self.momentum = margin, concentration, momentum
        self.register_buffer("mean", torch.tensor(20.0))
        self.register_buffer("deviation", torch.tensor(100.0))

    def forward(self, cosines: Tensor, lengths: Tensor) -> Tensor:
        """cos(theta - m q) - m (1 + q) with the quality q of -1 to 1; lengths get no gradient."""
        far = (lengths.detach().clamp(*_LENGTHS) - self.mean) / (self.deviation + 1e-3)
        quality = (far * self.concentration).clamp(-1, 1)
        angles = torch.acos(cosines.clamp(-1 + _EDGE, 1 - _EDGE))
        # The authors' code keeps the angle 1e-3 inside 0 and pi.
        turned = (angles - self.margin * quality).clamp(1e-3, math.pi - 1e-3)
        return torch.cos(turned) - self.margin * (1 + quality)

    @torch.no_grad()
    def observe(self, lengths: Tensor) -> None:
        """Follow mean and deviation of the lengths."""
        if len(lengths) > 1:
            lengths = lengths.clamp(*_LENGTHS).to(self.mean)
            self.mean.lerp_(lengths.mean(), self.momentum)
            self.deviation.lerp_(lengths.std(), self.momentum)


def margin_logits(
    cosines: Tensor, labels: Tensor, lengths: Tensor, margin: Margin, scale: float
) -> Tensor:
    """Logits of a batch: the margin on the right class of labelled rows, times the scale.

    Args:
        cosines: (n, classes) between features and class centres.
        labels: (n,) int64 columns; -1 where the right class is none of them, which is so for
            unlabelled faces and for classes that another process holds.
        lengths: (n,) of the features before they were normalised.
        margin: the rule.
        scale: s of the papers, the inverse temperature.

    Returns:
        (n, classes).
    """
    rows = torch.nonzero(labels >= 0)[:, 0]
    columns = labels[rows]
    changed = margin(cosines[rows, columns], lengths[rows])
    return scale * cosines.index_put((rows, columns), changed.to(cosines.dtype))
