"""A whole model folder in a user's store."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from tests.runtime.small_models import doubling_model
from visagist.runtime.manifest import write_manifest


@pytest.fixture
def model() -> onnx.ModelProto:
    return doubling_model()


@pytest.fixture
def folder(tmp_path: Path, model: onnx.ModelProto) -> Path:
    """A whole model folder in a user's store."""
    path = tmp_path / "home" / "models" / "doubling"
    path.mkdir(parents=True)
    (path / "model.onnx").write_bytes(model.SerializeToString())
    (path / "config.json").write_text('{"size": 3}')
    write_manifest(path, name="doubling", version="1", licence="Apache-2.0", created_by="a test")
    return path


@pytest.fixture
def home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder that holds :func:`folder`."""
    home = folder.parents[1]
    monkeypatch.setenv("VISAGIST_HOME", str(home))
    return home
