from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import visagist
from visagist import errors
from visagist.cli.output import needs_extra
from visagist.errors import MissingExtraError, VisagistError

VERBS = ("makeup", "styles", "demo", "doctor", "evaluate", "benchmark", "corpus", "train", "export")


def test_help_lists_every_verb(run) -> None:
    ran = run("--help")
    assert ran.code == 0
    assert all(verb in ran.out for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(run, verb: str) -> None:
    assert run(verb, "--help").code == 0


def test_version(run) -> None:
    assert run("--version").out == visagist.__version__ + "\n"


def test_an_unknown_verb(run) -> None:
    ran = run("makeupp")
    assert ran.code == 2
    assert "makeupp" in ran.err


def test_a_missing_extra_is_named() -> None:
    with (
        pytest.raises(MissingExtraError, match=r"package surely_absent.*visagist\[train\]"),
        needs_extra("train"),
    ):
        import surely_absent  # noqa: F401


def test_a_hole_in_visagist_itself_is_no_missing_extra() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"visagist\.absent"), needs_extra("train"):
        import visagist.absent  # noqa: F401


def test_every_error_has_a_documented_exit_code() -> None:
    table = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    for name in errors.__all__:
        error = getattr(errors, name)
        assert issubclass(error, VisagistError)
        assert f"| {error.exit_code} |" in table


def test_as_a_module() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "visagist", "--version"], capture_output=True, text=True, check=True
    )
    assert ran.stdout == visagist.__version__ + "\n"


def test_a_name_that_the_terminal_cannot_show() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "visagist", "makeup", "nowhere-\u2665.jpg", "--json"],
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    assert ran.returncode == 2
    assert b"Traceback" not in ran.stderr
