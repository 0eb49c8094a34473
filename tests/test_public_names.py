from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

import visagist

# Everything that running must not need, blocked as if it were not installed.
BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "onnx", "onnxscript", "safetensors", "cv2", "scipy"}:
            raise ModuleNotFoundError(f"No module named {name!r} (blocked by the test)", name=name)
sys.meta_path.insert(0, Block())
"""


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCK + textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_public_names() -> None:
    assert visagist.__all__ == sorted(visagist.__all__)
    assert set(visagist.__all__) == {
        "Claim",
        "Face",
        "Gallery",
        "Generator",
        "Makeup",
        "Photo",
        "Recognizer",
        "Style",
        "Swapper",
        "__version__",
        "errors",
        "find_faces",
        "inspect_file",
        "load_style",
        "save_marked",
    }
    assert dir(visagist) == visagist.__all__


@pytest.mark.parametrize("name", visagist.__all__)
def test_every_public_name_is_there_without_a_training_framework(name: str) -> None:
    ran = python(f"import visagist; assert visagist.{name} is not None")
    assert ran.returncode == 0, ran.stderr


def test_a_name_that_needs_an_extra_says_which() -> None:
    code = """
    class Cryptography:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] == "cryptography":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    sys.meta_path.insert(0, Cryptography())
    import visagist
    from visagist.errors import MissingExtraError
    try:
        visagist.Gallery
    except MissingExtraError as error:
        assert "visagist[gallery]" in str(error), error
    else:
        raise SystemExit("nothing was missed")
    """
    ran = python(code)
    assert ran.returncode == 0, ran.stderr


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Dreamer'"):
        visagist.Dreamer  # noqa: B018


def test_importing_brings_nothing_heavy() -> None:
    heavy = "{'numpy', 'PIL', 'onnxruntime', 'pydantic', 'typer', 'rich', 'yaml'}"
    ran = python(f"import visagist; print(sorted({heavy} & set(sys.modules)))")
    assert ran.stdout == "[]\n", ran.stderr


def test_the_program_starts_without_a_training_framework() -> None:
    code = "sys.argv[0] = 'visagist'; from visagist.cli import main; main()"
    ran = python(code, "--help")
    assert ran.returncode == 0, ran.stderr
    assert "makeup" in ran.stdout
    for verb in (
        ("train", "mesh", "r.yaml", "--data", ".", "-o", "."),
        ("export", "makeup", ".", "-o", "."),
        ("benchmark", "makeup"),
    ):
        ran = python(code, *verb)
        assert ran.returncode == 5, ran.stderr
        assert "visagist[train]" in ran.stderr
        assert "Traceback" not in ran.stderr
