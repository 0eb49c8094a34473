from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from visagist.corpus.feed.cache import FaceCache
from visagist.errors import DataError
from visagist.face.mesh.config import MeshNetworkConfig, MeshTrainingConfig
from visagist.face.mesh.data import MeshData
from visagist.face.topology import canonical_points
from visagist.training.augmentation import AugmentConfig, GeometricConfig

POINTS = (1, 33, 263, 61, 291, 152)
SIDE, ZOOM = 448, 2.2
NETWORK = MeshNetworkConfig(input_size=128)
EVERYTHING = AugmentConfig.model_validate(
    {"photometric": {"strength": 0.6, "grey": 0.1}, "geometric": {"roll": 45.0, "warp": 0.01}}
    | {name: {"share": 0.4} for name in ("blur", "noise", "jpeg", "occlusion")}
)


def augmentation(**geometric: float) -> AugmentConfig:
    """Geometry only: no change of light, so that the dots can be found again."""
    ranges = {"roll": 45.0, "scale": 0.15, "shift": 0.08, "anisotropy": 0.06} | geometric
    return AugmentConfig(geometric=GeometricConfig(**ranges))


def mesh_data(faces: FaceCache, augmentation: AugmentConfig, **training: float) -> MeshData:
    config = MeshTrainingConfig.model_validate(training)
    return MeshData(faces, NETWORK, config, augmentation, torch.device("cpu"))


def dotted(point: int) -> tuple[np.ndarray, np.ndarray]:
    """A black crop with one white dot at a mesh point, and the mesh."""
    mesh = canonical_points().astype(np.float64) / 256
    mesh[:, :2] = (mesh[:, :2] - 0.5) / ZOOM + 0.5
    mesh[:, 2] /= ZOOM
    mesh = mesh * SIDE
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    dot = np.exp(-((x - mesh[point, 0]) ** 2 + (y - mesh[point, 1]) ** 2) / (2 * 5.0**2))
    return np.repeat(np.rint(dot * 255)[..., None], 3, 2).astype(np.uint8), mesh.astype(np.float32)


@pytest.fixture(scope="module")
def faces() -> FaceCache:
    crops, meshes = zip(*(dotted(p) for p in POINTS), strict=True)
    names = tuple(map(str, POINTS))
    return FaceCache(np.stack(crops), np.stack(meshes), names, ("train",) * len(names), ZOOM)


def centre(image: torch.Tensor) -> np.ndarray:
    """(x, y) of the dot in crop units."""
    weight = image.mean(0).numpy().clip(0.05) - 0.05
    grid = (np.arange(weight.shape[0]) + 0.5) / weight.shape[0]
    return np.array([(weight.sum(0) * grid).sum(), (weight.sum(1) * grid).sum()]) / weight.sum()


@pytest.mark.parametrize("warp", [0.0, 0.02], ids=["affine", "warped"])
def test_the_mesh_moves_with_the_picture(faces, warp):
    """Dots drawn on mesh points lie on one of these points after roll, shear, mirror and warp."""
    data = mesh_data(faces, augmentation(warp=warp), batch=64, negatives=0.0)
    batch = data.draw(torch.Generator().manual_seed(4))
    assert batch.is_face.all()
    found, seen = 0, set()
    for image, mesh in zip(batch.image, batch.mesh, strict=True):
        where = centre((image + 1) / 2)
        distances = np.hypot(*(mesh[list(POINTS), :2].numpy() - where).T)
        nearest = mesh[list(POINTS), :2].numpy()[distances.argmin()]
        if nearest.min() < 0.06 or nearest.max() > 0.94:
            continue  # the dot is cut by the border
        found += 1
        seen.add(POINTS[int(distances.argmin())])
        assert distances.min() < 0.012, distances
    assert found > 40
    assert len(seen) >= 5


def test_a_mirrored_face_has_its_eyes_swapped(faces):
    """Point 33 is always the eye on the image left, mirrored or not."""
    data = mesh_data(faces, augmentation(roll=5), batch=64, negatives=0.0, calm_roll=5)
    mesh = data.draw(torch.Generator().manual_seed(1)).mesh
    assert (mesh[:, 33, 0] < mesh[:, 263, 0]).all()


def test_the_same_generator_gives_the_same_batch(faces):
    data = mesh_data(faces, EVERYTHING, batch=20)
    first, second = (data.draw(torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first.image, second.image)
    assert torch.equal(first.mesh, second.mesh)
    assert first.image.min() >= -1
    assert first.image.max() <= 1


def test_the_share_of_crops_without_a_face(faces):
    config = MeshTrainingConfig(batch=400, negatives=0.3)
    network = MeshNetworkConfig(input_size=64)
    small = replace(faces, crops=np.ascontiguousarray(faces.crops[:, ::7, ::7]))
    data = MeshData(small, network, config, AugmentConfig(), torch.device("cpu"))
    share = 1 - data.draw(torch.Generator().manual_seed(0)).is_face.mean()
    assert 0.2 < float(share) < 0.4


def test_crops_that_are_too_narrow_are_refused(faces):
    narrow = replace(faces, zoom=1.25)
    with pytest.raises(DataError, match="larger zoom"):
        mesh_data(narrow, AugmentConfig())


def test_fixed_crops_are_rolled_by_what_was_asked(faces):
    data = mesh_data(faces, AugmentConfig())
    index = torch.arange(3)
    upright, rolled = (data.fixed(index, roll=r).mesh[:, [33, 263], :2] for r in (0.0, 30.0))

    def angle(mesh: torch.Tensor) -> torch.Tensor:
        d = mesh[:, 1] - mesh[:, 0]
        return torch.rad2deg(torch.atan2(d[:, 1], d[:, 0]))

    assert torch.allclose((angle(rolled) - angle(upright)).abs(), torch.tensor(30.0), atol=0.1)
    covered = data.fixed(index, occluded=True)
    assert (covered.image - data.fixed(index).image).abs().amax((1, 2, 3)).max() > 0.1
