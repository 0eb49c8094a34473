"""What the verbs share in talking: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from visagist.errors import MissingExtraError, VisagistError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Json", "needs_extra", "print_error", "print_json", "table"]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


def print_json(document: Mapping[str, object]) -> None:
    """One JSON document to stdout."""
    print(json.dumps(document, indent=2, allow_nan=False))


def print_error(error: VisagistError, *, as_json: bool) -> None:
    """One line to stderr, and with ``--json`` the error as a document to stdout."""
    if as_json:
        print_json({"error": {"type": type(error).__name__, "message": str(error)}})
    print(f"visagist: error: {error}", file=sys.stderr)


def table(rows: Iterable[tuple[str, ...]]) -> None:
    """Left-aligned columns, two spaces apart."""
    rows = list(rows)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print("  ".join(cells).rstrip())


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Turn the absence of an optional package into an error that names the extra.

    Raises:
        MissingExtraError: a package outside visagist could not be imported.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "visagist":
            raise
        raise MissingExtraError(
            f"this needs the package {error.name}, which running alone does not; "
            f"install it with: pip install 'visagist[{extra}]'"
        ) from error
