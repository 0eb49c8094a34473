"""From a set of pictures with label maps to batches for the parser."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from visagist.errors import DataError
from visagist.face.parser.classes import IGNORE
from visagist.face.parser.config import ParserNetworkConfig, ParserTrainingConfig
from visagist.face.parser.network import stride
from visagist.face.parser.pack import ParserSet
from visagist.training import augment
from visagist.training.augmentation import AugmentConfig


@dataclass(frozen=True, slots=True)
class ParserBatch:
    """One batch.

    Attributes:
        image: (B, 3, S, S) float32 in [-1, 1].
        target: (B, S/stride, S/stride) int64 classes, ``IGNORE`` where nothing is known.
    """

    image: Tensor
    target: Tensor


class ParserData:
    """Pictures of one split, cut and disturbed differently every time.

    Args:
        pictures: what was built for this run.
        split: train or validation.
        network: gives input size, field and the logits' resolution.
        training: batch size and mixture.
        augmentation: the section of the recipe. ``occlusion`` there is not used: covers without a
            label would teach that things in front of the face are skin.
        device: where batches are made.
    """

    def __init__(  # noqa: PLR0917
        self,
        pictures: ParserSet,
        split: str,
        network: ParserNetworkConfig,
        training: ParserTrainingConfig,
        augmentation: AugmentConfig,
        device: torch.device,
    ) -> None:
        self.network, self.training = network, training
        self.augmentation = augmentation.model_copy(
            update={"occlusion": augmentation.occlusion.model_copy(update={"enabled": False})}
        )
        self.images = torch.from_numpy(pictures.images)
        self.labels = torch.from_numpy(pictures.labels)
        self.ratio = network.field / pictures.field
        self.photos = torch.from_numpy(pictures.where(split, "photo", "covered"))
        self.heads = torch.from_numpy(pictures.where(split, "head"))
        self.device = device
        if len(self.photos) + len(self.heads) == 0:
            raise DataError(f"there is no picture of the split {split!r} to train the parser with")

    def draw(self, generator: torch.Generator) -> ParserBatch:
        """A training batch; the first pictures are renders, in the share that was asked for."""
        n = self.training.batch
        heads = round(n * self.training.head_share) if len(self.heads) else 0
        heads = n if not len(self.photos) else heads
        index = torch.cat(
            [
                self._some(self.heads, heads, generator),
                self._some(self.photos, n - heads, generator),
            ]
        )
        # In random order, because the disturbances of pictures fall on slices of the batch.
        order = torch.randperm(n, generator=generator, device=generator.device).cpu()
        return self._disturbed(index[order], generator)

    def fixed(self, index: Tensor) -> ParserBatch:
        """Undisturbed pictures, for validation."""
        still = torch.tensor([[1.0, 0, 0], [0, 1.0, 0]], device=self.device)
        return self._cut(index, still.expand(len(index), 2, 3), None)

    @staticmethod
    def _some(among: Tensor, count: int, generator: torch.Generator) -> Tensor:
        if count == 0:
            return among[:0]
        pick = torch.randint(len(among), (count,), generator=generator, device=generator.device)
        return among[pick.cpu()]

    def _disturbed(self, index: Tensor, generator: torch.Generator) -> ParserBatch:
        n, place = len(index), self.augmentation.geometric
        on = float(place.enabled)
        matrices = augment.affine_matrices(
            n,
            roll=augment.uniform((n,), -place.roll * on, place.roll * on, generator),
            scale=place.scale * on,
            shift=place.shift * on,
            anisotropy=place.anisotropy * on,
            generator=generator,
        )
        if place.enabled and place.mirror:
            # No class has sides, so mirroring needs no more than a mirrored grid.
            flip = 1 - 2 * augment.chance(n, 0.5, generator)[:, 0]
            matrices = torch.cat([matrices[:, :, :1] * flip, matrices[:, :, 1:]], 2)
        field = None
        if on * place.warp > 0:
            amplitude = place.warp * self.ratio * 2
            field = augment.smooth_field(n, self.network.input_size, amplitude, generator)
        batch = self._cut(index, matrices, field)
        image = augment.disturb((batch.image + 1) / 2, self.augmentation, generator)
        return ParserBatch(image * 2 - 1, batch.target)

    def _cut(self, index: Tensor, matrices: Tensor, field: Tensor | None) -> ParserBatch:
        n, size, step = len(index), self.network.input_size, stride(self.network)
        images = self.images[index].to(self.device).permute(0, 3, 1, 2).float() / 255
        labels = self.labels[index].to(self.device)[:, None]
        grid = F.affine_grid(matrices * self.ratio, [n, 3, size, size], align_corners=False)
        coarse = F.affine_grid(
            matrices * self.ratio, [n, 1, size // step, size // step], align_corners=False
        )
        if field is not None:
            grid = grid + field.permute(0, 2, 3, 1)
            coarse = coarse + F.avg_pool2d(field, step).permute(0, 2, 3, 1)
        # The pictures have about the network's resolution, so bilinear sampling does not alias.
        views = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
        # Zero is what grid_sample gives outside, so that labels are counted from one here.
        known = F.grid_sample(labels.float() + 1, coarse, mode="nearest", align_corners=False)
        target = (known[:, 0].round().long() - 1) % (IGNORE + 1)
        return ParserBatch(views.clamp(0, 1) * 2 - 1, target)
