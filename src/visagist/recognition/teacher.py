"""dlib's face recogniser (CC0) read into torch: a batched, differentiable teacher.

The weights are the file ``dlib_face_recognition_resnet_model_v1.dat`` as the package
``face_recognition_models`` carries it. dlib writes a network as a stream of its layers, input
first; only the convolutions, the affine layers and the last linear layer hold numbers. The file is
read as data: nothing in it is executed.

Architecture (dlib's ``dnn_face_recognition_ex``): a 7x7/2 convolution, a 3x3/2 maximum pool,
fourteen residual blocks of two 3x3 convolutions at 32, 64, 128 and 256 channels, a mean over space
and a linear layer without bias. Convolutions with stride 2 are not padded; where a block shrinks or
widens, the shortcut is a 2x2 mean and the smaller of the two is padded with zeros.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from visagist.errors import ModelDamagedError, ModelMissingError
from visagist.face.align import similarity
from visagist.recognition.network import add_padded

WEIGHTS_SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
INPUT_SIZE = 150
EMBEDDING = 128
# mean of the training pictures, as the network's input layer stores it
_MEAN = (122.782, 117.001, 104.298)
_SCALE = 256.0
# (channels, whether the block halves the picture), input first
BLOCKS = (
    *((32, False),) * 3,
    *((64, True), (64, False), (64, False), (64, False)),
    *((128, True), (128, False), (128, False)),
    *((256, True), (256, False), (256, False)),
    (256, True),
)
# Eye corners (outer, inner; image right, then image left) and the base of the nose in dlib's face
# chip without padding, and the same points of our mesh.
_CHIP_POINTS = np.array(
    [
        [0.8595674595992, 0.2134981538014],
        [0.6460604764104, 0.2289674387677],
        [0.1205750620789, 0.2137274526848],
        [0.3340850613712, 0.2290642403242],
        [0.4901123135679, 0.6277975316475],
    ]
)
_MESH_POINTS = (263, 362, 33, 133, 2)
_PADDING = 0.25


def chip_matrix(mesh: NDArray[np.floating]) -> NDArray[np.float64]:
    """(2, 3) similarity from the mesh's pixels to the teacher's 150x150 crop.

    Args:
        mesh: (478, 2 or 3) points in pixels.
    """
    target = (_PADDING + _CHIP_POINTS) / (2 * _PADDING + 1) * INPUT_SIZE
    return similarity(np.asarray(mesh)[list(_MESH_POINTS), :2], target)


class TeacherBlock(nn.Module):
    """Two convolutions around a shortcut; batch statistics are folded into scale and shift."""

    def __init__(self, channels_in: int, channels: int, *, down: bool) -> None:
        super().__init__()
        self.down = down
        stride, padding = (2, 0) if down else (1, 1)
        self.first = nn.Conv2d(channels_in, channels, 3, stride, padding)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels_in, h, w) to (n, channels, h', w')."""
        y = self.second(F.relu(self.first(x)))
        if self.down:
            x = F.avg_pool2d(x, 2, 2)
        return F.relu(add_padded(x, y))


class Teacher(nn.Module):
    """dlib's recogniser: (n, 3, 150, 150) RGB in [0, 1] to (n, 128) vectors.

    Two pictures are of one person when their vectors are closer than 0.6 (dlib's rule). The
    vectors are not normalised; their length is about 1.4.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 7, 2)
        blocks, channels = [], 32
        for width, down in BLOCKS:
            blocks.append(TeacherBlock(channels, width, down=down))
            channels = width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(channels, EMBEDDING, bias=False)
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(_MEAN).reshape(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Embed faces aligned by :func:`chip_matrix`."""
        out: Tensor = self.head(self.blocks(self.first_map(image)).mean((2, 3)))
        return out

    def first_map(self, image: Tensor) -> Tensor:
        """(n, 32, 35, 35): what the blocks start from."""
        x = (image * 255.0 - self.mean) / _SCALE
        return F.max_pool2d(F.relu(self.stem(x)), 3, 2)

    @classmethod
    def from_file(cls, path: Path) -> Teacher:
        """Read dlib's weights.

        Raises:
            ModelMissingError: there is no such file.
            ModelDamagedError: it is not the published file.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ModelMissingError(
                f"{path}: the teacher's weights cannot be read ({error.strerror}); the package "
                "face_recognition_models carries them"
            ) from error
        digest = hashlib.sha256(data).hexdigest()
        if digest != WEIGHTS_SHA256:
            raise ModelDamagedError(f"{path}: not dlib's published recogniser (SHA-256 {digest})")
        return cls._from_stream(data)

    @classmethod
    def _from_stream(cls, data: bytes) -> Teacher:
        teacher = cls()
        convolutions = [teacher.stem]
        for block in teacher.blocks:
            assert isinstance(block, TeacherBlock)
            convolutions += [block.first, block.second]
        at = 0
        for convolution in convolutions:
            weights, at = _next_tensor(data, b"con_4", at)
            affine, at = _next_tensor(data, b"affine_", at)
            _fold(convolution, weights, affine)
        linear, at = _next_tensor(data, b"fc_2", at, skip=2)
        matrix = linear.reshape(teacher.head.in_features, EMBEDDING)
        teacher.head.weight.data = torch.from_numpy(matrix.T.copy())
        return teacher.eval().requires_grad_(False)


def _fold(convolution: nn.Conv2d, flat: NDArray[np.float32], affine: NDArray[np.float32]) -> None:
    """Filters then biases of a convolution, scales then shifts of the affine layer behind it."""
    count = convolution.out_channels
    filters = flat[:-count].reshape(convolution.weight.shape)
    gamma, beta = affine[:count], affine[count:]
    convolution.weight.data = torch.from_numpy(filters * gamma[:, None, None, None])
    assert convolution.bias is not None
    convolution.bias.data = torch.from_numpy(flat[-count:] * gamma + beta)


def _integer(data: bytes, at: int) -> tuple[int, int]:
    """A packed integer of dlib: a byte with the sign and the number of bytes, then those bytes."""
    count = data[at] & 15
    value = int.from_bytes(data[at + 1 : at + 1 + count], "little")
    return (-value if data[at] & 128 else value), at + 1 + count


def _next_tensor(
    data: bytes, name: bytes, at: int, *, skip: int = 0
) -> tuple[NDArray[np.float32], int]:
    """The first tensor behind the next layer called ``name``, flat, and where it ends."""
    at = data.index(name, at) + len(name)
    for _ in range(skip + 1):  # the layer's own integers, then the tensor's version
        _, at = _integer(data, at)
    size = 1
    for _ in range(4):
        length, at = _integer(data, at)
        size *= length
    return np.frombuffer(data, "<f4", size, at), at + 4 * size
