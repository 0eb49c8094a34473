from __future__ import annotations

from pathlib import Path

import pytest

from visagist.errors import ModelDamagedError, ModelMissingError
from visagist.runtime import store
from visagist.runtime.manifest import write_manifest
from visagist.runtime.store import find_model, list_models, open_model


def rewrite(folder: Path) -> None:
    write_manifest(folder, name="doubling", version="1", licence="MIT", created_by="a test")


@pytest.mark.usefixtures("home")
def test_open_by_name(folder: Path) -> None:
    model = open_model("doubling")
    assert model.config["size"] == 3
    assert model.path == folder
    assert model.onnx == (folder / "model.onnx").read_bytes()
    assert "doubling" in list_models()


def test_open_by_folder(folder: Path) -> None:
    assert open_model(folder).config == open_model(str(folder)).config


@pytest.mark.usefixtures("home")
def test_the_nearest_name_is_given() -> None:
    with pytest.raises(ModelMissingError, match="did you mean doubling"):
        open_model("dubling")


def test_a_folder_given_like_a_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    with pytest.raises(ModelMissingError, match=r"write \./doubling"):
        open_model("doubling")
    assert open_model("./doubling").config["size"] == 3


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("name", ["..", ".", "", "../doubling", "no/such", "doubling/../../x"])
def test_a_name_never_leaves_the_store(name: str) -> None:
    with pytest.raises(ModelMissingError):
        open_model(name)


def test_a_bundled_model_is_not_shadowed(
    folder: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = tmp_path / "bundled"
    (bundled / "doubling").mkdir(parents=True)
    (bundled / "doubling" / "manifest.json").write_text("{}")
    monkeypatch.setattr(store, "bundled_models", lambda: bundled)
    assert find_model("doubling") == bundled / "doubling"


def test_no_store_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISAGIST_HOME", str(tmp_path / "nowhere"))
    monkeypatch.setattr(store, "bundled_models", lambda: tmp_path / "nothing")
    with pytest.raises(ModelMissingError, match="there is none"):
        open_model("doubling")
    assert not (tmp_path / "nowhere").exists()


def test_external_data_is_refused_though_the_hash_is_right(folder: Path, model) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = 1
    tensor.external_data.add(key="location", value="/etc/hostname")
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    rewrite(folder)
    with pytest.raises(ModelDamagedError, match="another file"):
        open_model(folder)


@pytest.mark.parametrize("text", ["", "[1]", "{", "3"])
def test_a_config_that_is_none(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    rewrite(folder)
    with pytest.raises(ModelDamagedError, match=r"config\.json is not"):
        open_model(folder)


def test_a_model_without_a_network(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    rewrite(folder)
    with pytest.raises(ModelMissingError, match=r"no file model\.onnx"):
        open_model(folder)


def test_the_config_cannot_be_changed(folder: Path) -> None:
    with pytest.raises(TypeError):
        open_model(folder).config["size"] = 4


@pytest.mark.parametrize(
    ("platform", "variable", "tail"),
    [
        ("linux", "XDG_DATA_HOME", "visagist/models"),
        ("win32", "LOCALAPPDATA", "visagist/models"),
        ("darwin", None, "Library/Application Support/visagist/models"),
    ],
)
def test_the_users_folder_by_platform(
    platform: str, variable: str | None, tail: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VISAGIST_HOME", raising=False)
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setenv("HOME", str(tmp_path))
    if variable:
        monkeypatch.setenv(variable, str(tmp_path))
    assert store.user_models() == tmp_path / tail


def test_every_bundled_model_is_whole() -> None:
    for folder in store.bundled_models().glob("*/manifest.json"):
        open_model(folder.parent)
