"""From wide crops to batches for the mesh network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from visagist.corpus.feed.cache import FaceCache
from visagist.errors import DataError
from visagist.face.mesh.config import MeshNetworkConfig, MeshTrainingConfig
from visagist.face.topology import mirror_index
from visagist.training import augment
from visagist.training.augmentation import AugmentConfig


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
        faces: crops at a field of at least 1.5 times the network's, so that a rolled and shifted
            crop still lies inside.
        network: gives input size and field.
        training: batch size, share of calm faces and of crops without a face.
        augmentation: how crops are disturbed.
        device: where the crops live.
    """

    def __init__(
        self,
        faces: FaceCache,
        network: MeshNetworkConfig,
        training: MeshTrainingConfig,
        augmentation: AugmentConfig,
        device: torch.device,
    ) -> None:
        if faces.zoom < 1.5 * network.field:
            raise DataError(
                f"the crops show {faces.zoom:.2f} canonical crops, training needs "
                f"{1.5 * network.field:.2f}; give the recipe's data section a larger zoom"
            )
        self.network, self.training, self.augmentation = network, training, augmentation
        # Without a GPU the crops stay where they are: mapped, read as batches ask for them.
        self.crops = torch.from_numpy(faces.crops).to(device)
        self.meshes = torch.from_numpy(faces.meshes).to(device)
        self.side = faces.crops.shape[1]
        self.ratio = network.field / faces.zoom
        self.mirror = torch.from_numpy(mirror_index().copy()).to(device)

    def __len__(self) -> int:
        return len(self.crops)

    def _fetch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        if self.crops.is_cuda:
            return self.prepared(self.crops[index], self.meshes[index])
        # NumPy copies whole crops where torch copies byte by byte: twelve times faster.
        crops = torch.from_numpy(self.crops.numpy()[index.numpy()])
        return self.prepared(crops, self.meshes[index])

    def prepared(self, crops: Tensor, meshes: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 3, S, S) uint8 crops and (n, 478, 3) meshes in units where the crop spans [-1, 1].

        Args:
            crops: (n, S, S, 3) uint8.
            meshes: (n, 478, 3) float32 in crop pixels.
        """
        device = self.crops.device
        crops = crops.to(device).permute(0, 3, 1, 2).contiguous()
        mesh: Tensor = meshes.to(device) / self.side * 2  # z only needs the scale
        mesh[..., :2] -= 1
        return crops, mesh

    def _cut(self, crops: Tensor, matrices: Tensor, field: Tensor | None) -> Tensor:
        """Sample (B, 3, S, S) in [0, 1]; matrices map output to network-crop coordinates."""
        n, size = len(crops), self.network.input_size
        grid = F.affine_grid(matrices * self.ratio, [n, 3, size, size], align_corners=False)
        if field is not None:
            grid = grid + field.permute(0, 2, 3, 1)
        # The crops have about the network's resolution, so bilinear sampling does not alias.
        images = crops.float() / 255
        views: Tensor = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
        return views

    def _points(self, mesh: Tensor, matrices: Tensor, field: Tensor | None) -> Tensor:
        mesh = mesh / self.ratio
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
        """A training batch of faces drawn at random."""
        index = torch.randint(
            len(self), (self.training.batch,), generator=generator, device=self.crops.device
        )
        return self.disturbed(*self._fetch(index), generator)

    def disturbed(self, crops: Tensor, mesh: Tensor, generator: torch.Generator) -> MeshBatch:
        """A batch as training sees it; a ``negatives`` share shows no well-placed face.

        Args:
            crops: (B, 3, S, S) uint8.
            mesh: (B, 478, 3) in units where the crop spans [-1, 1].
            generator: source of randomness.
        """
        cfg, place = self.training, self.augmentation.geometric
        n, device = len(crops), crops.device
        calm = augment.uniform((n, 1, 1), 0, 1, generator) < cfg.calm
        near = self._misplaced(n, cfg.calm_roll, cfg.calm_scale, cfg.calm_shift, generator)
        far = self._misplaced(n, place.roll, place.scale, place.shift, generator)
        matrices = torch.where(calm, near, far)
        is_face = torch.ones(n, device=device)
        bad = torch.rand(n, generator=generator, device=device) < cfg.negatives
        is_face[bad] = 0
        matrices[bad] = self._spoiled(matrices[bad], generator)
        warp = place.warp if place.enabled else 0.0
        field = augment.smooth_field(n, self.network.input_size, warp * self.ratio * 2, generator)
        image = self._cut(crops, matrices, field)
        mesh = self._points(mesh, matrices, field)
        if place.enabled and place.mirror:
            image, mesh = self._flip(image, mesh, generator)
        image = augment.disturb(image, self.augmentation, generator)
        return MeshBatch(image * 2 - 1, mesh, is_face)

    def _misplaced(
        self, n: int, roll: float, scale: float, shift: float, generator: torch.Generator
    ) -> Tensor:
        place = self.augmentation.geometric
        on = float(place.enabled)
        return augment.affine_matrices(
            n,
            roll=augment.uniform((n,), -roll * on, roll * on, generator),
            scale=scale * on,
            shift=shift * on,
            anisotropy=place.anisotropy * on,
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
        crops, mesh = self._fetch(index)
        image = self._cut(crops, matrices, None)
        mesh = self._points(mesh, matrices, None)
        if occluded:
            image = augment.occlude(image, generator, probability=1.0)
        return MeshBatch(image * 2 - 1, mesh, torch.ones(n, device=device))


@torch.no_grad()
def disturbed_views(
    faces: FaceCache,
    network: MeshNetworkConfig,
    training: MeshTrainingConfig,
    augmentation: AugmentConfig,
    seed: int,
) -> NDArray[np.uint8]:
    """(N, S, S, 3): each face once, as it comes out of a training batch; for looking at."""
    data = MeshData(faces, network, training, augmentation, torch.device("cpu"))
    generator = torch.Generator().manual_seed(seed)
    n = len(faces)
    # Mixed over a whole batch, because the share of a defect is a slice of it.
    place = torch.randperm(max(training.batch, n), generator=generator)
    order = torch.empty_like(place)
    order[place] = torch.arange(len(place)) % n
    batch = data.disturbed(*data._fetch(order), generator)
    views = batch.image[place[:n]].permute(0, 2, 3, 1).add(1).mul(127.5).round()
    return views.to(torch.uint8).numpy()
