from __future__ import annotations

from pathlib import Path

import pytest

from visagist.amplify import install as installing
from visagist.amplify.install import install
from visagist.errors import InputError


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VISAGIST_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(installing, "verify", lambda folder: None)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_text("new")
    return tmp_path / "model"


def test_a_model_is_replaced_only_when_asked_for(model: Path) -> None:
    target = install(model, "mine")
    (model / "weights").write_text("newer")
    with pytest.raises(InputError, match="--replace"):
        install(model, "mine")
    assert install(model, "mine", replace=True) == target
    assert (target / "weights").read_text() == "newer"
    assert list(target.parent.iterdir()) == [target]


def test_where_replacing_fails_the_old_model_stays(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, plain = install(model, "mine"), Path.replace
    (model / "weights").write_text("newer")

    def failing(self: Path, to: Path) -> Path:
        if to == target and self.parent == target.parent:
            raise OSError(5, "no")
        return plain(self, to)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(OSError, match="no"):
        install(model, "mine", replace=True)
    assert (target / "weights").read_text() == "new"
    assert list(target.parent.iterdir()) == [target]
