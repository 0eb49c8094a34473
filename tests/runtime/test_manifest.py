from __future__ import annotations

import json
import os
import pickle
import sys
from pathlib import Path

import pytest

from visagist.errors import InputError, ModelDamagedError, ModelMissingError
from visagist.runtime.manifest import read_file, read_manifest, verify, write_manifest

FACTS = {"name": "m", "version": "1", "licence": "MIT", "created_by": "a test"}


def edit(folder: Path, **changes: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_written_and_verified(folder: Path) -> None:
    manifest = verify(folder)
    assert sorted(manifest.files) == ["config.json", "model.onnx"]
    assert manifest.files["config.json"].bytes == 11
    assert [p.name for p in folder.iterdir() if p.name.startswith(".")] == []


def test_writing_twice_gives_the_same(folder: Path) -> None:
    before = (folder / "manifest.json").read_bytes()
    write_manifest(folder, **{**FACTS, "name": "doubling", "licence": "Apache-2.0"})
    assert (folder / "manifest.json").read_bytes() == before


def test_altered(folder: Path) -> None:
    data = bytearray((folder / "model.onnx").read_bytes())
    data[-1] ^= 1
    (folder / "model.onnx").write_bytes(data)
    with pytest.raises(ModelDamagedError, match=r"model\.onnx was altered.*reinstall"):
        verify(folder)


@pytest.mark.parametrize("change", [-1, 1, 10_000])
def test_other_length(folder: Path, change: int) -> None:
    data = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(data[:change] if change < 0 else data + bytes(change))
    with pytest.raises(ModelDamagedError, match=r"model\.onnx has .* bytes instead of"):
        verify(folder)


def test_missing_file(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(ModelMissingError, match=r"config\.json is missing"):
        verify(folder)


def test_missing_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    with pytest.raises(ModelMissingError, match=r"manifest\.json is missing"):
        verify(folder)


def test_a_file_that_is_not_listed_is_not_read(folder: Path) -> None:
    (folder / "extra.onnx").write_bytes(b"x")
    with pytest.raises(ModelMissingError, match=r"no file extra\.onnx"):
        read_file(folder, "extra.onnx", read_manifest(folder))


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
@pytest.mark.parametrize("name", ["model.onnx", "config.json", "manifest.json"])
def test_links_are_refused_even_with_the_right_content(folder: Path, name: str) -> None:
    (folder / name).rename(folder.parent / name)
    (folder / name).symlink_to(folder.parent / name)
    with pytest.raises(ModelDamagedError, match="symbolic link"):
        verify(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_does_not_hang(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    os.mkfifo(folder / "model.onnx")
    with pytest.raises(ModelDamagedError, match="not a plain file"):
        verify(folder)


@pytest.mark.parametrize(
    "name",
    ["../model.onnx", "/etc/passwd.json", "a/b.onnx", "a\\b.onnx", "C:x.onnx", "..", "", ".x.json"],
)
def test_names_that_leave_the_folder(folder: Path, name: str) -> None:
    edit(folder, files={name: {"bytes": 1, "sha256": "0" * 64}})
    with pytest.raises(ModelDamagedError, match="plain file name"):
        verify(folder)


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.bin", "m.pkl", "m.ckpt", "m.npy"])
def test_types_that_can_run_code_are_never_listed(folder: Path, name: str) -> None:
    (folder / name).write_bytes(pickle.dumps([1]))
    with pytest.raises(InputError, match="never loaded"):
        write_manifest(folder, **FACTS)
    edit(folder, files={name: {"bytes": 1, "sha256": "0" * 64}})
    with pytest.raises(ModelDamagedError, match="never loaded"):
        verify(folder)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"surprise": 1}, "surprise"),
        ({"name": "../up"}, "name"),
        ({"files": {"a.json": {"bytes": -1, "sha256": "0" * 64}}}, "bytes"),
        ({"files": {"a.json": {"bytes": 10**12, "sha256": "0" * 64}}}, "bytes"),
        ({"files": {"a.json": {"bytes": 1, "sha256": "xyz"}}}, "sha256"),
        ({"version": 1}, "version"),
    ],
)
def test_a_wrong_field_is_named(folder: Path, changes: dict[str, object], field: str) -> None:
    edit(folder, **changes)
    with pytest.raises(ModelDamagedError, match=field):
        read_manifest(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"a":' * 2000, "\x00"])
def test_a_manifest_that_is_none(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(ModelDamagedError, match="not a valid manifest"):
        read_manifest(folder)


def test_a_folder_inside_is_refused_when_writing(folder: Path) -> None:
    (folder / "more").mkdir()
    with pytest.raises(InputError, match="plain file"):
        write_manifest(folder, **FACTS)
