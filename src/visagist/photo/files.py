"""Files read with a limit, written all or nothing, or mapped with their room taken."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike

from visagist.errors import DiskFullError, PhotoError, PhotoTooLargeError, PhotoWriteError

__all__ = ["append_line", "make_folder", "mapped_array", "read_bytes", "write_atomically"]


def read_bytes(path: Path, *, max_bytes: int) -> bytes:
    """Read a regular file of at most ``max_bytes``.

    Raises:
        PhotoError: missing, unreadable, or not a regular file (a pipe could block for ever).
        PhotoTooLargeError: larger than the limit.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise PhotoError(f"{path} is {what}: give the path of a photo.")
        if status.st_size <= max_bytes:
            with path.open("rb") as file:
                data = file.read(max_bytes + 1)  # one more, in case the file is growing
            if len(data) <= max_bytes:
                return data
    except FileNotFoundError as error:
        raise PhotoError(f"{path} does not exist: check the path.") from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise PhotoError(f"{path} cannot be read ({_reason(error)}).") from error
    raise PhotoTooLargeError(
        f"{path} is larger than the limit of {max_bytes / 2**20:.1f} MiB: make it smaller, or "
        "raise Limits.max_bytes."
    )


def mapped_array(
    path: Path, dtype: DTypeLike, shape: tuple[int, ...], *, keep: bool = False
) -> np.memmap[Any, Any]:
    """A .npy file as a writable array, with all its room taken from the start.

    A map of a file that the disk turns out to have no room for ends the process with a signal that
    nothing can catch; here it is an error before anything is written.

    Args:
        path: of the file; its folder exists.
        dtype: of the array.
        shape: of the array.
        keep: go on with the file that is there, instead of a new one.

    Raises:
        DiskFullError: the disk has no room for all of it.
        OSError: the file cannot be made or opened.
        ValueError: ``keep``, and it is no such file.
    """
    mode: Literal["r+", "w+"] = "r+" if keep else "w+"
    array = np.lib.format.open_memmap(path, mode=mode, dtype=dtype, shape=shape)
    if keep or not hasattr(os, "posix_fallocate"):
        return array
    try:
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return array  # the disk cannot reserve; it may still have the room
        size = array.nbytes
        del array
        path.unlink(missing_ok=True)
        raise DiskFullError(
            f"{path}: {size / 2**30:.1f} GB are needed and the disk does not have them; make room "
            "or give another folder"
        ) from error
    return array


def write_atomically(path: Path, data: bytes, *, overwrite: bool) -> None:
    """Write a file so that at every moment it is whole or not there.

    The bytes go to a temporary file beside the target, are flushed to the disk, and the file then
    takes its name in one step. A full disk or a killed process leaves the target as it was.

    Args:
        path: where to write.
        data: the whole content.
        overwrite: whether an existing file may be replaced.

    Raises:
        PhotoWriteError: it exists and ``overwrite`` is False, or the system refused.
    """
    try:
        if not overwrite and os.path.lexists(path):
            raise _exists(path)
        temporary = path.parent / f".visagist-{secrets.token_hex(8)}.tmp"
        file = temporary.open("xb")
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise _refused(path, error) from error
    try:
        with file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with suppress(OSError):  # nothing there to replace, or a disk without permissions
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        _take_name(temporary, path, overwrite=overwrite)
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        with suppress(OSError):  # already renamed, or the whole directory is gone
            temporary.unlink(missing_ok=True)
    _flush_directory(path.parent)


def append_line(path: Path, text: str, *, mode: int = 0o666) -> None:
    """Add a line to a list, whole and flushed to the disk.

    The torn line that a power cut left does not swallow it: it begins on a line of its own.

    Args:
        path: of the list, which need not exist; its folder exists.
        text: of the line, without its end.
        mode: permissions of a new file.

    Raises:
        OSError: it cannot be written, or the disk is full.
    """
    line = text.encode() + b"\n"
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, mode)
    with os.fdopen(handle, "rb+", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            if file.read(1) != b"\n":
                line = b"\n" + line
        if file.write(line) != len(line):  # a full disk takes the beginning, and is silent
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file.fileno())


def make_folder(folder: Path) -> None:
    """Make a folder for results.

    Raises:
        PhotoWriteError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PhotoWriteError(
            f"cannot make the folder {folder} ({error.strerror}); choose another --output"
        ) from error


def _take_name(temporary: Path, path: Path, *, overwrite: bool) -> None:
    """Rename; without ``overwrite``, link first, which fails if another program was quicker."""
    if overwrite:
        os.replace(temporary, path)  # noqa: PTH105  (tests make exactly this call fail)
        return
    try:
        os.link(temporary, path)
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError:  # file systems without hard links (FAT, some network shares)
        if os.path.lexists(path):
            raise _exists(path) from None
        os.replace(temporary, path)  # noqa: PTH105


def _flush_directory(directory: Path) -> None:
    """Make the rename itself durable where the system can; the content already is."""
    if not hasattr(os, "O_DIRECTORY"):
        return  # Windows
    with suppress(OSError):
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _exists(path: Path) -> PhotoWriteError:
    return PhotoWriteError(f"{path} exists already: choose another name or allow overwriting.")


def _refused(path: Path, error: Exception) -> PhotoWriteError:
    hints: dict[type[Exception], str] = {
        FileNotFoundError: f"the folder {path.parent} does not exist: make it first",
        NotADirectoryError: f"{path.parent} is not a folder: choose another place",
        PermissionError: "no permission to write there: choose another folder",
    }
    hint = hints.get(type(error), f"{_reason(error)}: free some space or choose another folder")
    return PhotoWriteError(f"{path} could not be written: {hint}. Nothing was left behind.")


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
