"""From a pack of wide crops to batches for the mesh network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from visagist.corpus.pack import Pack
from visagist.errors import DataError
from visagist.face.mesh.config import MeshNetworkConfig, MeshTrainingConfig
from visagist.face.topology import mirror_index
from visagist.training import augment


@dataclass(frozen=True, slots=True)
class MeshBatch:
    """One batch.

    Attributes:
        image: (B, 3, S, S) float32 in [-1, 1].
        mesh: (B, 478, 3) float32 in crop units, meaningless where there is no face.
        is_face: (B,) float32, 1 where there is a face.
    """

    image: Tensor
    mesh: Tensor
    is_face: Tensor


class MeshData:
    """Wide crops on the training device, cut and disturbed differently every time.

    Args:
        pack: crops at a field of at least 1.7 times the network's, so that a rolled and shifted
            crop still lies inside.
        network: gives input size and field.
        training: the augmentation's ranges.
        device: where the crops live.
    """

    def __init__(
        self,
        pack: Pack,
        network: MeshNetworkConfig,
        training: MeshTrainingConfig,
        device: torch.device,
    ) -> None:
        if pack.zoom < 1.5 * network.field:
            raise DataError(
                f"the pack shows {pack.zoom:.2f} canonical crops, training needs "
                f"{1.5 * network.field:.2f}; pack it again with a larger zoom"
            )
        self.network, self.training = network, training
        self.crops = torch.from_numpy(pack.crops).permute(0, 3, 1, 2).contiguous().to(device)
        side = pack.crops.shape[1]
        mesh = torch.from_numpy(pack.meshes).to(device)
        self.mesh = mesh / side * 2  # z only needs the scale
        self.mesh[..., :2] -= 1
        self.ratio = network.field / pack.zoom
        self.mirror = torch.from_numpy(mirror_index().copy()).to(device)

    def __len__(self) -> int:
        return len(self.crops)

    def _cut(self, index: Tensor, matrices: Tensor, field: Tensor | None) -> Tensor:
        """Sample (B, 3, S, S) in [0, 1]; matrices map output to network-crop coordinates."""
        n, size = len(index), self.network.input_size
        # Sampling at twice the resolution and averaging keeps it free of aliasing.
        grid = F.affine_grid(matrices * self.ratio, [n, 3, 2 * size, 2 * size], align_corners=False)
        if field is not None:
            grid = grid + field.permute(0, 2, 3, 1)
        images = self.crops[index].float() / 255
        cut = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
        return F.avg_pool2d(cut, 2)

    def _points(self, index: Tensor, matrices: Tensor, field: Tensor | None) -> Tensor:
        mesh = self.mesh[index] / self.ratio
        flat = mesh[..., :2]
        if field is not None:
            # grid = affine(output) + field(output): two fixed-point steps invert it.
            source, target = flat, flat
            for _ in range(3):
                target = augment.apply_inverse(matrices, source)
                moved = F.grid_sample(
                    field, target[:, None], padding_mode="border", align_corners=False
                )
                source = flat - moved[:, :, 0].transpose(1, 2) / self.ratio
            flat = augment.apply_inverse(matrices, source)
        else:
            flat = augment.apply_inverse(matrices, flat)
        scale = torch.linalg.det(matrices[:, :, :2]).abs().sqrt()[:, None, None]
        return torch.cat([(flat + 1) / 2, mesh[..., 2:] / 2 / scale], 2)

    def draw(self, generator: torch.Generator) -> MeshBatch:
        """A training batch; the last ``negatives`` share shows no well-placed face."""
        cfg = self.training
        n, device = cfg.batch, self.crops.device
        index = torch.randint(len(self), (n,), generator=generator, device=device)
        calm = augment.uniform((n,), 0, 1, generator) < 0.5
        roll = augment.uniform((n,), -1, 1, generator) * torch.where(calm, 15.0, cfg.roll)
        matrices = augment.affine_matrices(
            n,
            roll=roll,
            scale=cfg.scale,
            shift=cfg.shift,
            anisotropy=cfg.anisotropy,
            generator=generator,
        )
        bad = round(n * cfg.negatives)
        is_face = torch.ones(n, device=device)
        if bad:
            is_face[-bad:] = 0
            self._spoil(matrices, bad, generator)
        field = augment.smooth_field(
            n, 2 * self.network.input_size, cfg.warp * self.ratio * 2, generator
        )
        image = self._cut(index, matrices, field)
        mesh = self._points(index, matrices, field)
        image, mesh = self._flip(image, mesh, generator)
        image = self._disturb(image, generator)
        return MeshBatch(image * 2 - 1, mesh, is_face)

    def _spoil(self, matrices: Tensor, count: int, generator: torch.Generator) -> None:
        """Turn the last matrices into crops without a usable face: far off, or upside down."""
        far = augment.uniform((count, 2), 1.3, 2.2, generator)
        side = augment.uniform((count, 2), 0, 1, generator)
        sign = torch.where(side < 0.5, -1.0, 1.0)
        away = torch.where(augment.uniform((count, 1), 0, 1, generator) < 0.5, 1.0, 0.0)
        move = torch.cat([sign[:, :1] * far[:, :1], sign[:, 1:] * far[:, 1:] * away], 1)
        small = torch.exp(augment.uniform((count,), -1.2, 0.0, generator))
        half = augment.uniform((count,), 0, 1, generator) < 0.25
        turned = torch.where(half, -1.0, 1.0)[:, None, None]
        matrices[-count:, :, :2] *= small[:, None, None] * turned
        keep_centre = half[:, None]
        matrices[-count:, :, 2] = torch.where(keep_centre, matrices[-count:, :, 2], move)

    def _flip(
        self, image: Tensor, mesh: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        flip = augment.chance(len(image), 0.5, generator)
        mirrored = mesh[:, self.mirror]
        mirrored = torch.cat([1 - mirrored[..., :1], mirrored[..., 1:]], 2)
        image = torch.where(flip.bool(), image.flip(3), image)
        return image, torch.where(flip[:, :, 0].bool(), mirrored, mesh)

    def _disturb(self, image: Tensor, generator: torch.Generator) -> Tensor:
        n = len(image)
        image = augment.photometric(image, generator)
        grey = augment.chance(n, 0.1, generator)
        image = torch.lerp(image, image.mean(1, keepdim=True).expand_as(image), grey)
        sigma = augment.uniform((n,), -1.2, 1.6, generator).clamp_min(0)
        image = augment.gaussian_blur(image, sigma)
        image = augment.occlude(image, generator, probability=self.training.occlusion)
        image = augment.sensor_noise(image, generator, largest=0.08)
        strength = augment.uniform((n,), -0.04, 0.05, generator).clamp_min(0)
        return augment.block_quantise(image, strength).clamp(0, 1)

    def fixed(
        self, index: Tensor, *, roll: float = 0.0, occluded: bool = False, seed: int = 0
    ) -> MeshBatch:
        """Undisturbed crops for evaluation, at a given roll in degrees, maybe partly covered.

        The crop is centred as a detector would: with a scale error of up to 10 % and a shift of
        up to 4 %, drawn from ``seed``.
        """
        device = self.crops.device
        generator = torch.Generator(device).manual_seed(seed)
        n = len(index)
        matrices = augment.affine_matrices(
            n,
            roll=torch.full((n,), roll, device=device),
            scale=0.10,
            shift=0.04,
            anisotropy=0.0,
            generator=generator,
        )
        image = self._cut(index, matrices, None)
        mesh = self._points(index, matrices, None)
        if occluded:
            image = augment.occlude(image, generator, probability=1.0)
        return MeshBatch(image * 2 - 1, mesh, torch.ones(n, device=device))
