"""The program run inside this process, with an engine that needs no networks."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.makeup.fakes import FakeMakeup
from visagist.cli import main
from visagist.photo import Photo


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The certificate that signs results is made here, never in the home of who runs the tests."""
    monkeypatch.setenv("VISAGIST_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def _run(*arguments: str | Path) -> Ran:
        with pytest.raises(SystemExit) as ended:
            main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return Ran(int(ended.value.code or 0), out, err)

    return _run


@pytest.fixture
def fake_engine(monkeypatch: pytest.MonkeyPatch) -> type[FakeMakeup]:
    module = ModuleType("visagist.makeup.inference")
    module.Makeup = FakeMakeup  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "visagist.makeup.inference", module)
    return FakeMakeup


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two good photos, a broken one and one without a face, in the working directory."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "album"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8)
    Photo.from_array(noise).save(folder / "a.png")
    Photo.from_array(noise[::-1].copy()).save(folder / "b.jpg")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    Photo.from_array(np.full((12, 16, 3), 90, np.uint8)).save(folder / "wall.png")
    return Path("album")
