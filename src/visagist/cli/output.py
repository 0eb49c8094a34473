"""What the verbs share in talking: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from visagist.errors import MissingExtraError, VisagistError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Task

__all__ = [
    "Json",
    "needs_extra",
    "print_error",
    "print_json",
    "print_report",
    "progress_bar",
    "stages",
    "table",
]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


def print_json(document: Mapping[str, object]) -> None:
    """One JSON document to stdout."""
    print(json.dumps(document, indent=2, allow_nan=False))


def print_report(report: Mapping[str, object], *, as_json: bool) -> None:
    """A report as one JSON document, or as a table in which nested fields get their own lines."""
    if as_json:
        print_json(report)
    else:
        table(_flat(report, ""))


def _flat(report: Mapping[str, object], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in report.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name} / ")
        elif isinstance(value, float):
            yield f"{prefix}{name}", f"{value:.4g}"
        elif not isinstance(value, list):
            yield f"{prefix}{name}", str(value)


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
def progress_bar(
    what: str, total: int | None, *, quiet: bool = False
) -> Iterator[Callable[..., None]]:
    """A bar with rate and time left on stderr, shown only on a terminal.

    Yields:
        a function to call with the number of things done so far, and, where ``total`` is not
        known beforehand, of all things.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f}/s" if task.speed else "")

    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=quiet or not sys.stderr.isatty(),
    )
    with progress:
        task = progress.add_task(what, total=total)

        def advance(done: int, of: int | None = None) -> None:
            progress.update(task, completed=done, total=of or total)

        yield advance


@contextmanager
def stages(*, quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each stage of something long: yields ``report(stage, done, total)``.

    Where stderr is no terminal, a line at each tenth of a stage, with the time that is left of it.
    """
    with ExitStack() as bars:
        shown: dict[str, Callable[..., None]] = {}
        told: dict[str, tuple[float, int, int]] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in shown:
                bars.close()
                shown.clear()
                shown[stage] = bars.enter_context(progress_bar(stage, total, quiet=quiet))
                told[stage] = (time.monotonic(), done, -1)
            shown[stage](done, total)
            began, first, before = told[stage]
            tenth = done * 10 // max(total, 1)
            if quiet or sys.stderr.isatty() or tenth <= before:
                return
            told[stage] = (began, first, tenth)
            spent = time.monotonic() - began
            left = f", {spent / (done - first) * (total - done):.0f} s left" if done > first else ""
            line = f"{stage}: {done} of {total}, {spent:.0f} s{left}"
            print(line, file=sys.stderr, flush=True)

        yield report


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
