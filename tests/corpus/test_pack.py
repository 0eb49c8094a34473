from __future__ import annotations

import numpy as np
import pytest

from tests.corpus.labelled_tree import write_tree
from visagist.corpus.labelled import read_faces
from visagist.corpus.pack import PackConfig, pack_for_training, read_pack, write_pack
from visagist.errors import DataError
from visagist.face.align import align, crop
from visagist.face.topology import canonical_points
from visagist.photo import Photo

SPLITS = {"a.png": "train", "b.png": "train", "c.png": "validation", "d.png": "test"}


@pytest.fixture
def tree(tmp_path):
    return write_tree(tmp_path / "tree", SPLITS)


def test_widened_shows_more_around_the_same_centre():
    points = np.array([[64.0, 64.0], [96.0, 64.0]])
    base = align(canonical_points(), 128)
    wide = base.widened(2.0)
    inner = base.to_crop(base.to_photo(points))
    assert np.allclose(inner, points, atol=1e-3)
    assert np.allclose(wide.to_crop(base.to_photo(points)), [[64, 64], [80, 64]], atol=1e-3)


def test_what_is_packed_comes_back(tree, tmp_path):
    faces = read_faces(tree, folders=["portraits"])
    path = tmp_path / "pack.npz"
    done = []
    skipped = write_pack(faces, path, size=96, zoom=1.5, quality=95, progress=done.append)
    assert skipped == {}
    assert done == [1, 2, 3, 4]
    pack = read_pack(path)
    assert (len(pack), pack.zoom, pack.crops.shape) == (4, 1.5, (4, 96, 96, 3))
    assert pack.names == tuple(f.name for f in faces)
    for face, view, mesh in zip(faces, pack.crops, pack.meshes, strict=True):
        alignment = align(face.mesh, 96).widened(1.5)
        expected = crop(Photo.open(face.path).pixels, alignment).astype(int)
        assert np.abs(view - expected).mean() < 2
        assert np.allclose(mesh, alignment.to_crop(face.mesh), atol=1e-3)
    assert pack.subset("test").names == ("portraits/d.png",)
    with pytest.raises(DataError, match="nowhere"):
        pack.subset("nowhere")


def test_a_broken_picture_is_left_out_and_reported(tree, tmp_path):
    (tree / "portraits" / "a.png").write_bytes(b"not a picture")
    (tree / "portraits" / "b.png").unlink()
    faces = read_faces(tree, folders=["portraits"])
    skipped = write_pack(faces, tmp_path / "pack.npz", size=64, zoom=1.25)
    assert sorted(skipped) == ["portraits/a.png", "portraits/b.png"]
    assert read_pack(tmp_path / "pack.npz").names == ("portraits/c.png", "portraits/d.png")
    with pytest.raises(DataError, match="no face could be packed"):
        write_pack(faces[:2], tmp_path / "none.npz", size=64, zoom=1.25)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pack.npz", "tree"]


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 broken", None])
def test_what_is_no_pack(tmp_path, data):
    path = tmp_path / "pack.npz"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(DataError, match="not a pack"):
        read_pack(path)


def test_a_training_packs_once_and_never_the_test_people(tree, tmp_path):
    path = tmp_path / "run" / "pack.npz"
    config = PackConfig(folders=("portraits",), size=64)
    assert set(pack_for_training(tree, path, config).splits) == {"train", "validation"}
    before = path.stat().st_mtime_ns
    pack_for_training(tree, path, config)
    assert path.stat().st_mtime_ns == before
