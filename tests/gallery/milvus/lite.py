"""Galleries in folders of Milvus Lite, and what lies in these."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet


def place(path: Path) -> str:
    """The address that stands for a file's path."""
    return f"milvus+file:{path}.db"


def everything_in(folder: Path) -> bytes:
    """All bytes of all files, and all texts of those that are compressed."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found.append(path.read_bytes())
            if path.suffix == ".parquet":
                table = pyarrow.parquet.read_table(path)
                found += [
                    repr(table.column(name).to_pylist()).encode() for name in table.schema.names
                ]
    return b"\n".join(found)
