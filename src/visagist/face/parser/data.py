"""From a set of pictures with label maps to batches for the parser."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from visagist.corpus.feed.cache import FaceCache
from visagist.errors import DataError
from visagist.face.parser.classes import HAIR, IGNORE, OCCLUDER
from visagist.face.parser.config import ParserRecipe
from visagist.face.parser.network import stride
from visagist.face.parser.pack import UNDERNEATH, Entry, ParserSet
from visagist.training import augment
from visagist.training.augmentation import OPERATIONS, AugmentConfig
from visagist.training.degrade import degrade, light_curves


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
        photos: photos and their covered copies.
        heads: rendered heads, or nothing.
        split: train or validation.
        recipe: gives network, mixture and disturbances. ``occlusion`` there is not used: covers
            without a label would teach that things in front of the face are skin.
        device: where batches are made.
    """

    def __init__(
        self,
        photos: ParserSet,
        heads: ParserSet | None,
        split: str,
        recipe: ParserRecipe,
        device: torch.device,
    ) -> None:
        self.network, self.training, self.device = recipe.network, recipe.training, device
        self.augmentation = recipe.augment.switched(
            *(name for name in OPERATIONS if name != "occlusion")
        )
        self.photos = _Pictures(photos, split)
        self.heads = None if heads is None else _Pictures(heads, split)
        self.ratio = recipe.network.field / photos.field
        if not len(self.photos.index):
            raise DataError(f"there is no photo of the split {split!r} to train the parser with")
        if heads is not None and heads.field != photos.field:
            raise DataError("the sets of photos and heads show crops of different width")

    def draw(self, generator: torch.Generator) -> ParserBatch:
        """A training batch: renders in the share that was asked for, the rest photos."""
        n, heads = self.training.batch, self.heads
        renders = round(n * self.training.head_share) if heads is not None else 0
        images, labels = self.photos.some(n - renders, generator)
        if heads is not None and n > renders:
            count = round((n - renders) * self.training.transplant)
            images[:count], labels[:count] = _transplanted(
                images[:count], labels[:count], *heads.some(count, generator)
            )
        if heads is not None and renders:
            more = heads.some(renders, generator)
            images, labels = torch.cat([images, more[0]]), torch.cat([labels, more[1]])
        # In random order, because the disturbances of pictures fall on slices of the batch.
        order = torch.randperm(n, generator=generator, device=generator.device).cpu()
        return self._disturbed(images[order], labels[order], generator)

    def fixed(self, pictures: _Pictures, index: Tensor) -> ParserBatch:
        """Undisturbed pictures, for validation."""
        still = torch.tensor([[1.0, 0, 0], [0, 1.0, 0]])
        return self._batch(*self._cut(*pictures.get(index), still.expand(len(index), 2, 3), None))

    def _disturbed(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> ParserBatch:
        n, place = len(images), self.augmentation.geometric
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
        views, target = self._cut(images, labels, matrices.cpu(), field)
        seed = torch.randint(1 << 31, (1,), generator=generator, device=generator.device)
        rng = np.random.default_rng(int(seed))
        for i, view in enumerate(views):
            views[i] = degrade(_lit(view, rng, self.augmentation), rng, self.augmentation)
        return self._batch(views, target)

    def _cut(
        self, images: Tensor, labels: Tensor, matrices: Tensor, field: Tensor | None
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """(n, s, s, 3) views and (n, s/stride, s/stride) labels, sampled on the processor."""
        n, size, step = len(images), self.network.input_size, stride(self.network)
        side = images.shape[1]
        where = F.affine_grid(matrices * self.ratio, [n, 3, size, size], align_corners=False)
        if field is not None:
            where = where + field.permute(0, 2, 3, 1).cpu()
        # OpenCV has pixel centres at whole numbers. A cell of labels looks at its own middle.
        planes = ((where + 1) * (side / 2) - 0.5).permute(0, 3, 1, 2)
        grid, middle = planes.contiguous().numpy(), F.avg_pool2d(planes, step).numpy()
        views = np.empty((n, size, size, 3), np.uint8)
        target = np.empty((n, size // step, size // step), np.uint8)
        for i in range(n):
            # The pictures have about the network's resolution, so bilinear does not alias.
            views[i] = cv2.remap(
                images[i].numpy(),
                grid[i, 0],
                grid[i, 1],
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REFLECT,
            )
            target[i] = cv2.remap(
                labels[i].numpy(),
                middle[i, 0],
                middle[i, 1],
                cv2.INTER_NEAREST,
                borderValue=(IGNORE,),
            )
        return views, target

    def _batch(self, views: NDArray[np.uint8], target: NDArray[np.uint8]) -> ParserBatch:
        image = torch.from_numpy(views).to(self.device).permute(0, 3, 1, 2)
        return ParserBatch(
            image.float() / 127.5 - 1, torch.from_numpy(target).to(self.device).long()
        )


class _Pictures:
    """The pictures of one split of a set."""

    def __init__(self, pictures: ParserSet, split: str) -> None:
        self.images = torch.from_numpy(pictures.images)
        self.labels = torch.from_numpy(pictures.labels)
        self.photo = torch.tensor([entry.photo for entry in pictures.entries])
        self.index = torch.from_numpy(pictures.where(split))

    def get(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """(n, S, S, 3) uint8 pictures and (n, S, S) uint8 labels."""
        labels = self.labels[index]
        below = self.labels[self.photo[index]]
        return self.images[index], torch.where(labels == UNDERNEATH, below, labels)

    def some(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Pictures drawn at random."""
        pick = torch.randint(
            len(self.index), (count,), generator=generator, device=generator.device
        )
        return self.get(self.index[pick.cpu()])


def _transplanted(
    images: Tensor, labels: Tensor, heads: Tensor, parts: Tensor
) -> tuple[Tensor, Tensor]:
    """Photos with the hair and the covers of renders, which lie on the same canonical face."""
    taken = (parts == HAIR) | (parts == OCCLUDER)
    alpha = taken[:, None].float()
    alpha = F.avg_pool2d(alpha, 3, 1, 1)[:, 0, :, :, None]  # no harder edge than a photo's
    mixed = images.float() * (1 - alpha) + heads.float() * alpha
    edge = (alpha[..., 0] > 0) & (alpha[..., 0] < 1)
    labels = torch.where(taken, parts, labels)
    return mixed.round().byte(), labels.masked_fill(edge, IGNORE)


def _lit(
    view: NDArray[np.uint8], rng: np.random.Generator, config: AugmentConfig
) -> NDArray[np.uint8]:
    """Another light, other colours, more or less of them, or none."""
    light = config.photometric
    if not light.enabled:
        return view
    grey = rng.random() < light.grey
    share = 0.0 if grey else 2 ** (rng.uniform(-0.8, 0.5) * light.strength)
    if light.strength > 0:
        view = np.asarray(cv2.LUT(view, light_curves(rng, light)[None]), np.uint8)
    plain = cv2.cvtColor(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.addWeighted(view, share, plain, 1 - share, 0), np.uint8)


@torch.no_grad()
def disturbed_views(
    faces: FaceCache, recipe: ParserRecipe, augmentation: AugmentConfig, seed: int
) -> NDArray[np.uint8]:
    """(N, S, S, 3): each face once, as it comes out of a training batch; for looking at."""
    entries = tuple(Entry(key, "train", "photo", i) for i, key in enumerate(faces.keys))
    unknown = np.full(faces.crops.shape[:3], IGNORE, np.uint8)
    photos = ParserSet(faces.crops, unknown, entries, faces.zoom)
    changed = recipe.model_copy(update={"augment": augmentation})
    data = ParserData(photos, None, "train", changed, torch.device("cpu"))
    generator = torch.Generator().manual_seed(seed)
    batch = data._disturbed(*data.photos.get(data.photos.index), generator)
    views = batch.image.permute(0, 2, 3, 1).add(1).mul(127.5).round()
    return views.to(torch.uint8).numpy()
