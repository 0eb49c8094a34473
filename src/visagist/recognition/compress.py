"""A light network whose first weights are computed from dlib's: factored, layer by layer.

The light network has the teacher's blocks. Of every wide convolution only the directions are kept
that carry most of the variance over faces: those of its input and of its output (principal
components), which makes three thin convolutions of it. The last of the three is then solved for by
least squares against what the teacher's layer gives, so that errors of the layers below are made
good where they can be. Faces need no labels for this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visagist.recognition.config import NetworkConfig
from visagist.recognition.network import Block, Convolution, EmbeddingNetwork, add_padded
from visagist.recognition.teacher import BLOCKS, INPUT_SIZE, Teacher, TeacherBlock

_RIDGE = 1e-4
"""Of the least squares, relative to the mean variance of the inputs."""


def teacher_view(image: Tensor) -> Tensor:
    """(n, 3, s, s) in [-1, 1] as the teacher wants it: 150x150 in [0, 1]."""
    view = F.interpolate(image, size=(INPUT_SIZE, INPUT_SIZE), mode="bilinear", align_corners=False)
    return (view + 1) / 2


def teachers_shape(config: NetworkConfig) -> bool:
    """Whether a network has the teacher's blocks, and so can be computed from it."""
    widths = [w for w, n in zip(config.widths, config.blocks, strict=True) for _ in range(n)]
    return widths == [width for width, _ in BLOCKS] and config.kind == "residual"


@torch.no_grad()
def compress(
    teacher: Teacher,
    config: NetworkConfig,
    faces: Tensor,
    *,
    stem_steps: int = 1500,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> EmbeddingNetwork:
    """Compute a light network from the teacher.

    Args:
        teacher: dlib's network.
        config: of the teacher's shape, without batch normalisation.
        faces: (n, 3, 112, 112) in [-1, 1]; a thousand are enough.
        stem_steps: steps of fitting the stem, which has another form than the teacher's.
        seed: of the stem's fit.
        progress: called with layers done and in all.

    Raises:
        ValueError: the config is of another shape than the teacher.
    """
    if not teachers_shape(config) or config.norm:
        raise ValueError("only a network of the teacher's blocks, without norm, can be computed")
    torch.manual_seed(seed)
    student = EmbeddingNetwork(config)
    wanted = _in_parts(teacher.first_map, teacher_view(faces))
    _fit_stem(student.stem, faces, wanted, steps=stem_steps, seed=seed)
    ours = _in_parts(student.stem, faces)
    blocks = [module for module in student.stages.modules() if isinstance(module, Block)]
    total = len(blocks)
    for number, (block, master) in enumerate(zip(blocks, teacher.blocks, strict=True)):
        progress(number, total)
        assert isinstance(master, TeacherBlock)
        hidden = _in_parts(master.first, wanted)
        compute_convolution(block.first, master.first, ours, hidden)
        mine = F.relu(_in_parts(block.first, ours))
        output = _in_parts(master.second, F.relu(hidden))
        compute_convolution(block.second, master.second, mine, output)
        ours = _joined(ours, _in_parts(block.second, mine), block.down)
        wanted = _joined(wanted, output, master.down)
    features, targets = ours.mean((2, 3)), teacher.head(wanted.mean((2, 3)))
    weight, bias = _least_squares(features, targets)
    student.head.weight.copy_(weight)
    # Embeddings are compared by cosine, which wants them around the mean face.
    student.head.bias.copy_(bias - targets.mean(0))
    progress(total, total)
    return student


def _joined(x: Tensor, y: Tensor, down: bool) -> Tensor:
    out: Tensor = F.relu(add_padded(F.avg_pool2d(x, 2) if down else x, y))
    return out


def _in_parts(function: Callable[[Tensor], Tensor], x: Tensor, size: int = 64) -> Tensor:
    return torch.cat([function(part) for part in torch.split(x, size)])


def _fit_stem(stem: nn.Module, faces: Tensor, wanted: Tensor, *, steps: int, seed: int) -> None:
    """Fit the stem to the teacher's first map by Adam: it is small, and maps are many pixels."""
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(stem.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=max(2, steps))
    scale = wanted.std((0, 2, 3), keepdim=True) + 1e-3
    with torch.enable_grad():
        for _ in range(steps):
            chosen = torch.randint(len(faces), (16,), generator=generator)
            error = (stem(faces[chosen]) - wanted[chosen]) / scale
            optimiser.zero_grad()
            error.square().mean().backward()
            optimiser.step()
            schedule.step()


def compute_convolution(conv: Convolution, master: nn.Conv2d, x: Tensor, y: Tensor) -> None:
    """Weights of a convolution from the teacher's, for inputs ``x`` and wanted outputs ``y``."""
    assert master.bias is not None
    layers = [layer for layer in conv if isinstance(layer, nn.Conv2d)]
    if len(layers) == 1:
        layers[0].weight.copy_(master.weight)
        assert layers[0].bias is not None
        layers[0].bias.copy_(master.bias)
        return
    first, middle, last = layers
    into = _principal(x, first.out_channels, centred=False)
    out = _principal(y, middle.out_channels, centred=True)
    first.weight.copy_(into.T[:, :, None, None])
    middle.weight.copy_(torch.einsum("or,oihw,is->rshw", out, master.weight, into))
    thin = _in_parts(nn.Sequential(first, middle), x)
    weight, bias = _least_squares(_pixels(thin), _pixels(y))
    last.weight.copy_(weight[:, :, None, None])
    assert last.bias is not None
    last.bias.copy_(bias)


def _pixels(x: Tensor) -> Tensor:
    """(n, c, h, w) to (n*h*w, c)."""
    return x.movedim(1, 3).reshape(-1, x.shape[1])


def _principal(x: Tensor, count: int, *, centred: bool) -> Tensor:
    """(c, count) leading directions of the channels of (n, c, h, w)."""
    pixels = _pixels(x).double()
    if centred:
        pixels = pixels - pixels.mean(0)
    _, vectors = torch.linalg.eigh(pixels.T @ pixels / len(pixels))
    leading: Tensor = vectors[:, -count:].flip(1).float()
    return leading


def _least_squares(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """(o, i) weight and (o,) bias that take (n, i) to (n, o) with least squared error."""
    a, b = x.double(), y.double()
    mean_a, mean_b = a.mean(0), b.mean(0)
    a, b = a - mean_a, b - mean_b
    gram = a.T @ a
    gram += _RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    weight = torch.linalg.solve(gram, a.T @ b).T
    return weight.float(), (mean_b - weight @ mean_a).float()


def agreement(ours: Iterable[Tensor], teachers: Iterable[Tensor]) -> float:
    """Mean cosine between embeddings and the teacher's, both around their means."""
    a, b = torch.cat(list(ours)), torch.cat(list(teachers))
    return float(F.cosine_similarity(a - a.mean(0), b - b.mean(0)).mean())
