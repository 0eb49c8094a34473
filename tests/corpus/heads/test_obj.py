import gzip

import numpy as np
import pytest

from tests.corpus.heads.made_assets import SCALES, write_obj
from visagist.corpus.heads.obj import Fit, read_fit, read_obj, read_target
from visagist.errors import DataError

SQUARE = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [2, 0, 0]], np.float32)
UV = SQUARE[:, :2] / 2


def square(path, faces="g one\nf 1/1 2/2 3/3 4/4\ng two\nf 2/2 5/5 3/3"):
    write_obj(path, SQUARE, UV, faces)
    return path


def fit_file(path, rows, scales=SCALES):
    path.write_text(f"# text\nname x\n{scales}verts 0\n{rows}\n", encoding="utf-8")
    return path


def test_a_mesh_with_polygons_is_cut_into_fans_that_keep_their_groups(tmp_path):
    mesh = read_obj(square(tmp_path / "a.obj"))
    assert mesh.triangles.tolist() == [[0, 1, 2], [0, 2, 3], [1, 4, 2]]
    assert mesh.triangles_uv.tolist() == mesh.triangles.tolist()
    assert [mesh.names[g] for g in mesh.groups] == ["one", "one", "two"]
    np.testing.assert_allclose(mesh.vertices, SQUARE)
    np.testing.assert_allclose(mesh.uv, UV)


@pytest.mark.parametrize(
    "faces",
    ["f 1 2 3", "f 1/1 2/2 9/3", "f 1/1 2/2 3/9", "f 1/1 2/2 x/3", "", "f 0/1 1/1 2/2"],
)
def test_a_damaged_mesh_is_refused_by_name(tmp_path, faces):
    with pytest.raises(DataError, match=r"a\.obj"):
        read_obj(square(tmp_path / "a.obj", faces))


def test_a_target_is_read_plain_and_gzipped(tmp_path):
    text = b"# a comment\n3 0.5 0 -.25\n7 0 1e-3 0\n"
    (tmp_path / "a.target").write_bytes(text)
    (tmp_path / "a.target.gz").write_bytes(gzip.compress(text))
    for name in ("a.target", "a.target.gz"):
        target = read_target(tmp_path / name, 8)
        assert target.indices.tolist() == [3, 7]
        np.testing.assert_allclose(target.offsets, [[0.5, 0, -0.25], [0, 0.001, 0]])


def test_an_empty_target_moves_nothing(tmp_path):
    (tmp_path / "a.target").write_bytes(b"# nothing\n")
    assert len(read_target(tmp_path / "a.target", 8).indices) == 0


@pytest.mark.parametrize(
    "text",
    ["8 0 0 0", "-1 0 0 0", "1 0 0", "1 0 0 x", "1 0 0 nan", "1 0 0 0\n1 0 0 0"],
)
def test_a_damaged_target_is_refused_by_name(tmp_path, text):
    (tmp_path / "a.target").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.target"):
        read_target(tmp_path / "a.target", 8)


def test_a_missing_or_broken_file_is_a_data_error(tmp_path):
    (tmp_path / "a.target.gz").write_bytes(b"no gzip")
    for path in (tmp_path / "a.target.gz", tmp_path / "none.target"):
        with pytest.raises(DataError):
            read_target(path, 8)


def test_a_fit_is_barycentric_plus_scaled_offset(tmp_path):
    scales = "x_scale 0 1 2.0\ny_scale 0 2 1.0\nz_scale 0 3 4.0\n"
    rows = "0 1 2 0.5 0.25 0.25 0.1 0.2 0.3\ntag young\n3"
    fit = read_fit(fit_file(tmp_path / "a.mhclo", rows, scales), 4)
    base = np.array([[0, 0, 0], [4, 0, 0], [0, 3, 0], [1, 1, -2]], np.float32)
    scale = np.array([4 / 2, 3 / 1, 2 / 4])
    expected = 0.25 * base[1] + 0.25 * base[2] + scale * [0.1, 0.2, 0.3]
    np.testing.assert_allclose(fit.apply(base), [expected, base[3]], rtol=1e-6)


def test_a_fit_follows_the_base_when_it_moves_and_grows():
    fit = Fit(
        np.array([[0, 1, 2]], np.int32),
        np.array([[0.2, 0.3, 0.5]], np.float32),
        np.array([[0.0, 0.1, 0.0]], np.float32),
        np.array([[0, 1], [0, 2], [0, 3]], np.int32),
        np.ones(3, np.float32),
    )
    base = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    at_rest = fit.apply(base)
    shift = np.array([1, 2, 3], np.float32)
    np.testing.assert_allclose(fit.apply(base + shift), at_rest + shift, atol=1e-6)
    np.testing.assert_allclose(fit.apply(base * 3), at_rest * 3, atol=1e-6)


@pytest.mark.parametrize(
    ("rows", "scales"),
    [
        ("0 1 2 1 0 0 0 0 0", "x_scale 0 1 1.0\ny_scale 0 1 1.0\n"),
        ("0 1 9 1 0 0 0 0 0", SCALES),
        ("0 1 2 1 0 0", SCALES),
        ("", SCALES),
        ("0", SCALES.replace("1.48", "0")),
        ("0", SCALES.replace("1.48", "wide")),
    ],
)
def test_a_damaged_fit_is_refused(tmp_path, rows, scales):
    size = 5 if rows.startswith("0 1 9") else 12000
    with pytest.raises(DataError):
        read_fit(fit_file(tmp_path / "a.mhclo", rows, scales), size)
