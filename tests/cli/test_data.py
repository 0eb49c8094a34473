from __future__ import annotations

from pathlib import Path


def test_a_tree_that_is_not_there(run, tmp_path: Path) -> None:
    ran = run("data", "pack", tmp_path, "--folders", "a", "-o", tmp_path / "x.npz")
    assert ran.code == 3
    assert "splits" in ran.err
    assert not (tmp_path / "x.npz").exists()
