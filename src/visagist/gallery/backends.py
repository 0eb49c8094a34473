"""Which store a place is: a file, or the address of a server."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from visagist.errors import MissingExtraError
from visagist.gallery.sqlite import SQLiteStore
from visagist.gallery.store import Change, GalleryStore

if TYPE_CHECKING:
    from visagist.gallery.milvus import MilvusStore

__all__ = ["create_store", "open_store"]

_MILVUS = re.compile(r"milvus(\+[a-z]+)?:")


def create_store(where: str | os.PathLike[str], header: bytes, first: Change) -> GalleryStore:
    """Make a store with its first change.

    Raises:
        GalleryMissingError: something is there already.
        MissingExtraError: a server is meant, and its client is not installed.
    """
    if isinstance(where, str) and _MILVUS.match(where):
        return _milvus().create(where, header, first)
    return SQLiteStore.create(Path(where), header, first)


def open_store(where: str | os.PathLike[str]) -> GalleryStore:
    """Open a store that was made before.

    Raises:
        GalleryMissingError: there is none.
        MissingExtraError: a server is meant, and its client is not installed.
    """
    if isinstance(where, str) and _MILVUS.match(where):
        return _milvus().open(where)
    return SQLiteStore.open(Path(where))


def _milvus() -> type[MilvusStore]:
    try:
        from visagist.gallery.milvus import MilvusStore  # noqa: PLC0415  (an extra)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "visagist":
            raise
        raise MissingExtraError(
            f"a gallery on Milvus needs the package {error.name}; "
            "install it with: pip install 'visagist[milvus]'"
        ) from error
    return MilvusStore
