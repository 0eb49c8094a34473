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
        grid = F.affine_grid(matrices * self.ratio, [n, 3, size, size], align_corners=False)
        if field is not None:
            grid = grid + field.permute(0, 2, 3, 1)
        # A pack has about the network's resolution, so bilinear sampling does not alias.
        images = self.crops[index].float() / 255
        return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)

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
        calm = augment.uniform((n, 1, 1), 0, 1, generator) < cfg.calm
        near = self._misplaced(n, cfg.calm_roll, cfg.calm_scale, cfg.calm_shift, generator)
        far = self._misplaced(n, cfg.roll, cfg.scale, cfg.shift, generator)
        matrices = torch.where(calm, near, far)
        is_face = torch.ones(n, device=device)
        bad = torch.rand(n, generator=generator, device=device) < cfg.negatives
        is_face[bad] = 0
        matrices[bad] = self._spoiled(matrices[bad], generator)
        field = augment.smooth_field(
            n, self.network.input_size, cfg.warp * self.ratio * 2, generator
        )
        image = self._cut(index, matrices, field)
        mesh = self._points(index, matrices, field)
        image, mesh = self._flip(image, mesh, generator)
        image = self._disturb(image, generator)
        return MeshBatch(image * 2 - 1, mesh, is_face)

    def _misplaced(
        self, n: int, roll: float, scale: float, shift: float, generator: torch.Generator
    ) -> Tensor:
        return augment.affine_matrices(
            n,
            roll=augment.uniform((n,), -roll, roll, generator),
            scale=scale,
            shift=shift,
            anisotropy=self.training.anisotropy,
            generator=generator,
        )

    def _spoiled(self, matrices: Tensor, generator: torch.Generator) -> Tensor:
        """Matrices that show no usable face: far off to a side, or upside down."""
        n = len(matrices)
        far = augment.uniform((n, 2), 1.3, 2.2, generator)
        sign = torch.where(augment.uniform((n, 2), 0, 1, generator) < 0.5, -1.0, 1.0)
        both = (augment.uniform((n, 1), 0, 1, generator) < 0.5).float()
        move = sign * far * torch.cat([torch.ones_like(both), both], 1)
        small = torch.exp(augment.uniform((n, 1, 1), -1.2, 0.0, generator))
        turned = augment.uniform((n, 1), 0, 1, generator) < 0.25
        linear = matrices[:, :, :2] * small * torch.where(turned, -1.0, 1.0)[:, :, None]
        offset = torch.where(turned, matrices[:, :, 2], move)
        return torch.cat([linear, offset[:, :, None]], 2)

    def _flip(
        self, image: Tensor, mesh: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        flip = augment.chance(len(image), 0.5, generator)
        mirrored = mesh[:, self.mirror]
        mirrored = torch.cat([1 - mirrored[..., :1], mirrored[..., 1:]], 2)
        image = torch.where(flip.bool(), image.flip(3), image)
        return image, torch.where(flip[:, :, 0].bool(), mirrored, mesh)

    def _disturb(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """Light and colour for every face; each defect of a camera for a part of the batch.

        Faces come in random order, so the parts are slices: an effect costs only where it shows.
        """
        n = len(image)
        image = augment.photometric(image, generator, strength=self.training.photometric)
        image[: n // 10] = image[: n // 10].mean(1, keepdim=True)
        blurred = slice(n // 20, n * 9 // 20)
        sigma = augment.uniform((blurred.stop - blurred.start,), 0.2, 1.6, generator)
        image[blurred] = augment.gaussian_blur(image[blurred], sigma)
        image = augment.occlude(image, generator, probability=self.training.occlusion)
        noisy = slice(n * 5 // 20, n * 14 // 20)
        image[noisy] = augment.sensor_noise(image[noisy], generator, largest=0.08)
        squeezed = slice(n * 8 // 20, n * 17 // 20)
        strength = augment.uniform((squeezed.stop - squeezed.start,), 0.0, 0.05, generator)
        image[squeezed] = augment.block_quantise(image[squeezed], strength)
        return image.clamp(0, 1)

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
