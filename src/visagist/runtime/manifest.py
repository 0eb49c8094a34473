"""The manifest of a model folder: which files belong to it, how long they are, their SHA-256.

``manifest.json`` beside the weights lists every file. Whatever is read from a model folder goes
through :func:`read_file`, which compares length and hash before anybody parses a byte. A manifest
protects against damage, truncation and mixing of versions; it is not a signature, and whoever can
write the weights can write the manifest too.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from visagist.errors import InputError, ModelDamagedError, ModelMissingError

__all__ = [
    "MANIFEST",
    "FileEntry",
    "Manifest",
    "read_file",
    "read_manifest",
    "verify",
    "write_manifest",
]

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 256 * 1024
MAX_FILE_BYTES = 256 * 1024 * 1024
ALLOWED_SUFFIXES = frozenset({".onnx", ".safetensors", ".json", ".md", ".yaml", ".jsonl"})
"""Formats that cannot run code when parsed; pickles (.pt, .pth, .bin, .pkl) are not among them."""

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class FileEntry(BaseModel):
    """Length in bytes and lower-case hexadecimal SHA-256 of one file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bytes: Annotated[int, Field(ge=0, le=MAX_FILE_BYTES)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Manifest(BaseModel):
    """Contents of ``manifest.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    version: str
    licence: str
    created_by: str
    files: dict[str, FileEntry]

    @field_validator("files")
    @classmethod
    def _plain_names(cls, files: dict[str, FileEntry]) -> dict[str, FileEntry]:
        for name in files:
            if not _FILE_NAME.fullmatch(name) or name == MANIFEST:
                raise ValueError(f"{name!r} is not a plain file name")
            if Path(name).suffix not in ALLOWED_SUFFIXES:
                raise ValueError(f"{name!r} is of a type that is never loaded")
        return files


def write_manifest(
    folder: Path, *, name: str, version: str, licence: str, created_by: str
) -> Manifest:
    """List every file of ``folder`` in its ``manifest.json`` (written whole or not at all).

    Args:
        folder: a model folder with its files in place; folders inside it are not allowed.
        name: name of the model, the folder's name by custom.
        version: version of the model.
        licence: SPDX expression for the weights.
        created_by: the command and recipe that made it.

    Raises:
        InputError: a file is of a type that is never loaded, a link, or over the size limit.
    """
    folder = Path(folder)
    entries: dict[str, FileEntry] = {}
    for path in sorted(folder.iterdir()):
        if path.name == MANIFEST:
            continue
        if path.is_symlink() or not path.is_file():
            raise InputError(f"{path} is not a plain file; a model folder holds only plain files")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputError(f"{path} is over the limit of {MAX_FILE_BYTES:,} bytes")
        data = path.read_bytes()
        path.chmod(0o644)  # some writers make files that only their owner can read
        entries[path.name] = FileEntry(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    try:
        manifest = Manifest(
            name=name, version=version, licence=licence, created_by=created_by, files=entries
        )
    except ValidationError as error:
        raise InputError(f"{folder}: {_first(error)}") from error
    _replace(folder / MANIFEST, json.dumps(manifest.model_dump(), indent=2) + "\n")
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Read and check ``manifest.json`` of a model folder.

    Raises:
        ModelMissingError: there is no manifest.
        ModelDamagedError: it is not valid; the message names the field.
    """
    path = Path(folder) / MANIFEST
    data = _read_plain(path, MAX_MANIFEST_BYTES)
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        raise ModelDamagedError(
            f"{path} is not a valid manifest ({_first(error)}); "
            "reinstall visagist or export the model again"
        ) from error


def read_file(folder: Path, name: str, manifest: Manifest) -> bytes:
    """Read one file of a model folder after comparing it with the manifest.

    Raises:
        ModelMissingError: the manifest does not list it, or it is not there.
        ModelDamagedError: it is a link, or its length or SHA-256 differs.
    """
    entry = manifest.files.get(name)
    if entry is None:
        raise ModelMissingError(
            f"model {manifest.name} has no file {name}; it has {', '.join(sorted(manifest.files))}"
        )
    path = Path(folder) / name
    data = _read_plain(path, entry.bytes)
    if len(data) != entry.bytes:
        raise ModelDamagedError(
            f"{path} has {len(data):,} bytes instead of {entry.bytes:,}; "
            "reinstall visagist or export the model again"
        )
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise ModelDamagedError(
            f"{path} was altered (its SHA-256 differs from the manifest); "
            "reinstall visagist or export the model again"
        )
    return data


def verify(folder: Path) -> Manifest:
    """Compare every listed file of a model folder with its manifest.

    Raises:
        ModelMissingError: the manifest or a file is not there.
        ModelDamagedError: a file differs.
    """
    manifest = read_manifest(folder)
    for name in manifest.files:
        read_file(folder, name, manifest)
    return manifest


def _read_plain(path: Path, limit: int) -> bytes:
    """At most ``limit + 1`` bytes of a plain file, never through a link."""
    # O_NOFOLLOW closes the gap between looking and opening; Windows has no such flag, there the
    # look at the link alone has to do. O_NONBLOCK: a named pipe must not hang the program.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    flags |= getattr(os, "O_BINARY", 0)
    if path.is_symlink():
        raise ModelDamagedError(f"{path} is a symbolic link; model files must be plain files")
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError as error:
        raise ModelMissingError(f"{path} is missing; reinstall visagist") from error
    except OSError as error:
        raise ModelDamagedError(
            f"{path} cannot be opened ({error.strerror}); check its permissions"
        ) from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ModelDamagedError(f"{path} is not a plain file; reinstall visagist")
        return file.read(limit + 1)


def _replace(path: Path, text: str) -> None:
    """Write a text file so that a crash leaves the old one or the new one."""
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, prefix=f".{path.name}.", delete=False, encoding="utf-8", newline="\n"
    ) as file:
        temporary = Path(file.name)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    # NamedTemporaryFile is private to its owner (0600); a manifest is as public as its weights.
    temporary.chmod(0o644)
    temporary.replace(path)


def _first(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    return f"{where}: {problem['msg']}" if where else problem["msg"]
