"""``visagist corpus build``: from photos to labelled, aligned and split shards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visagist.cli.output import Json, needs_extra, print_json, progress_bar, table
from visagist.errors import InputError

if TYPE_CHECKING:
    from visagist.corpus.build import Built, CorpusRecipe

__all__ = ["Bars", "Engine", "build", "print_built", "report_of"]

_STAGES = {"prepare": "faces", "compare": "near-duplicates", "write": "shards"}


class Engine(StrEnum):
    """Who runs the chunks of a build."""

    processes = "processes"
    ray = "ray"
    serial = "serial"


def build(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="The corpus.")],
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SOURCE]...",
            help="Folders, archives or lists of photos, or LAYOUT:PATH (docs/data-sets.md).",
        ),
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML with sources and settings.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder that the paths of the recipe start from."),
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=32, max=2048, help="Side of a crop in pixels.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Chunks at once; one a core by default.")
    ] = None,
    engine: Annotated[Engine, typer.Option(help="Who runs the chunks.")] = Engine.processes,
    address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster; without it Ray starts here.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Delete the corpus that is there, begin again.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Find, align, measure and split the faces of photos; broken off, the same command goes on."""
    with needs_extra("corpus"):
        from visagist.corpus.build import CorpusRecipe
        from visagist.corpus.build import build as run
        from visagist.corpus.prepare import PhotoTask
        from visagist.corpus.sources import open_sources

    settings = CorpusRecipe() if recipe is None else CorpusRecipe.read(recipe)
    opened = open_sources([*settings.sources, *(sources or ())], data)
    if not opened:
        raise InputError("nothing to build from: give a SOURCE, or a --recipe with sources")
    with needs_extra("scale"), Bars(quiet=as_json) as bars:  # only the engine ray imports more
        built = run(
            PhotoTask(opened, _photos(settings, size)),
            output,
            settings.build,
            engine=engine.value,
            workers=workers,
            address=address,
            shared=[source.root for source in opened],
            overwrite=overwrite,
            progress=bars,
        )
    report = report_of(built)
    if as_json:
        print_json(report)
    else:
        print_built(built, report)


def _photos(settings: CorpusRecipe, size: int | None) -> Any:  # noqa: ANN401  (PhotoConfig)
    if size is None:
        return settings.photos
    return settings.photos.model_copy(update={"size": size})


def report_of(built: Built) -> dict[str, Any]:
    """What a build came to, as JSON."""
    summary = built.corpus.summary
    return {
        "corpus": str(built.corpus.path),
        "built": built.fresh,
        "resumed_chunks": built.resumed,
        "seconds": round(built.seconds, 1),
        **summary["counts"],
        "near_duplicates": summary["near_duplicates"],
        "index_sha256": summary["index_sha256"],
    }


def print_built(built: Built, report: Mapping[str, Any]) -> None:
    """The same for people."""
    if not built.fresh:
        print(f"{report['corpus']} is finished and made with these settings: nothing to do")
    elif built.resumed:
        print(f"went on from {built.resumed} finished chunks")
    rows = [(name, str(report[name])) for name in ("items", "samples", "kept", "identities")]
    rows += [(f"split {name}", str(n)) for name, n in report["splits"].items()]
    rows += [(f"dropped, {name}", str(n)) for name, n in report["dropped"].items()]
    table(rows)
    print(f"{report['corpus']}, {report['seconds']} s (what was dropped, and why: report.jsonl)")


class Bars:
    """A progress bar for each stage of a build, one after the other."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet, self._stage = quiet, ""
        self._stack = ExitStack()
        self._advance: Callable[..., None] = lambda done: None

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __call__(self, stage: str, done: int, of: int) -> None:
        """Show that so much of a stage is done; another stage gets a bar of its own."""
        if stage != self._stage:
            self._stack.close()
            self._stage = stage
            bar = progress_bar(_STAGES.get(stage, stage), of, quiet=self._quiet)
            self._advance = self._stack.enter_context(bar)
        self._advance(done)
