"""Where models lie: inside the package, in the user's folder, or in any folder given by path."""

from __future__ import annotations

import difflib
import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from visagist.errors import ModelDamagedError, ModelMissingError
from visagist.runtime.manifest import MANIFEST, Manifest, read_file, read_manifest
from visagist.runtime.onnx_scan import refuse_unsafe_onnx

__all__ = [
    "ModelFiles",
    "bundled_models",
    "find_model",
    "list_models",
    "open_model",
    "user_data",
    "user_models",
]

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
MODEL, CONFIG = "model.onnx", "config.json"


@dataclass(frozen=True)
class ModelFiles:
    """An opened model folder, checked against its manifest.

    Attributes:
        config: contents of ``config.json``.
        path: the folder.
        manifest: its manifest.
    """

    config: Mapping[str, Any]
    path: Path
    manifest: Manifest

    @cached_property
    def onnx(self) -> bytes:
        """The network, ``model.onnx``."""
        return self.network(MODEL)

    def network(self, name: str) -> bytes:
        """An ONNX file of the folder (``model-fp16.onnx``), checked and self-contained."""
        data = self.read(name)
        refuse_unsafe_onnx(data, str(self.path / name))
        return data

    def read(self, name: str) -> bytes:
        """Any other file of the folder, checked against the manifest."""
        return read_file(self.path, name, self.manifest)


def bundled_models() -> Path:
    """The folder with the models that come inside the package."""
    return Path(__file__).resolve().parents[1] / "models"


def user_models() -> Path:
    """The user's folder for models of their own, which need not exist; `learn` makes it."""
    return user_data() / "models"


def user_data() -> Path:
    """The user's folder for what belongs to visagist, which need not exist.

    ``$VISAGIST_HOME`` when that variable is set, else the platform's place for a program's data.
    """
    home = os.environ.get("VISAGIST_HOME")
    if home:
        return Path(home)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "visagist"


def list_models() -> dict[str, Path]:
    """Name and folder of every model that can be opened by name, sorted.

    A bundled model wins over a user's model of the same name, so that a forgotten folder cannot
    shadow the one that came with an upgrade; open yours by its path.
    """
    found: dict[str, Path] = {}
    for root in (bundled_models(), user_models()):
        try:
            folders = sorted(root.iterdir())
        except OSError:  # no such folder, or not readable: there is nothing to offer from it
            continue
        for folder in folders:
            if _NAME.fullmatch(folder.name) and (folder / MANIFEST).is_file():
                found.setdefault(folder.name, folder)
    return dict(sorted(found.items()))


def find_model(name_or_dir: str | os.PathLike[str]) -> Path:
    """The folder of a model given by name or by path.

    A string without a path separator is a name, anything else a path; a name can therefore never
    leave the two folders it is looked up in.

    Raises:
        ModelMissingError: there is none; the message gives the nearest name.
    """
    text = os.fspath(name_or_dir)
    if isinstance(name_or_dir, Path) or "/" in text or os.sep in text or text in {".", ".."}:
        folder = Path(text)
        if not folder.is_dir():
            raise ModelMissingError(f"{folder} is not a model folder; give a folder or a name")
        return folder
    known = list_models()
    if text in known:
        return known[text]
    if Path(text).is_dir():
        raise ModelMissingError(f"there is no model named {text!r}; for the folder write ./{text}")
    near = difflib.get_close_matches(text, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"there is {', '.join(known) or 'none'}."
    raise ModelMissingError(
        f"there is no model {text!r}; {hint} (`visagist doctor` says where models are looked for)"
    )


def open_model(name_or_dir: str | os.PathLike[str], *, network: str = MODEL) -> ModelFiles:
    """Open a model folder and check its configuration and its network.

    Args:
        name_or_dir: ``"makeup-tiny"`` or a folder with a manifest.
        network: the file that holds it; weights without a graph are no ONNX file.

    Raises:
        ModelMissingError: there is no such model, or a file of it is not there.
        ModelDamagedError: a file does not match the manifest or is not safe to load.
    """
    folder = find_model(name_or_dir)
    manifest = read_manifest(folder)
    model = ModelFiles(config=_config(folder, manifest), path=folder, manifest=manifest)
    # now, so that a damaged file is refused here and not in the middle of work
    _ = model.onnx if network == MODEL else model.read(network)
    return model


def _config(folder: Path, manifest: Manifest) -> Mapping[str, Any]:
    data = read_file(folder, CONFIG, manifest)
    try:
        config = json.loads(data)
    except ValueError as error:
        raise ModelDamagedError(f"{folder / CONFIG} is not JSON; reinstall visagist") from error
    if not isinstance(config, dict):
        raise ModelDamagedError(f"{folder / CONFIG} is not a JSON object; reinstall visagist")
    return MappingProxyType(config)
