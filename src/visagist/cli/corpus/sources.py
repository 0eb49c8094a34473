"""``visagist corpus sources``: which layouts can be read, and what lies in a source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from visagist.cli.output import Json, needs_extra, print_json, progress_bar, table

__all__ = ["sources"]


def sources(
    specs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SOURCE]...", help="PATH or LAYOUT:PATH; none to list layouts."),
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="Recipe of a build, for the sources that it names.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder that the paths of the recipe are relative to.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List layouts with their terms, or count what sources hold without opening a picture."""
    with needs_extra("corpus"):
        from visagist.corpus.sources import LAYOUTS, open_sources
        from visagist.corpus.sources.summary import summarise, terms_of

        if not specs and recipe is None:
            _print_layouts([terms_of(layout) for layout in LAYOUTS.values()], as_json=as_json)
            return
        configs: list[Any] = list(specs or [])
        if recipe is not None:
            from visagist.corpus.build.config import CorpusRecipe

            configs = [*CorpusRecipe.read(recipe).sources, *configs]
        reports = []
        for source in open_sources(configs, data):
            with progress_bar(source.name, None, quiet=as_json) as advance:
                reports.append(summarise(source, progress=advance))
    if as_json:
        print_json({"sources": reports})
        return
    for report in reports:
        _print_source(report)


def _print_layouts(layouts: list[dict[str, object]], *, as_json: bool) -> None:
    if as_json:
        print_json({"layouts": layouts})
        return
    head = ("layout", "set", "licence", "sold or shipped", "page")
    fields = ("layout", "set", "licence", "sold_or_shipped", "page")
    rows = [tuple(str(terms[name]) or "yours" for name in fields) for terms in layouts]
    table([head, *rows])


def _print_source(report: Mapping[str, Any]) -> None:
    print(f"{report['name']} ({report['layout']})")
    rows = [(n, str(report[n])) for n in ("pictures", "identities", "without_identity")]
    for name in ("splits", "licences", "kinds", "uses"):
        counts = ", ".join(f"{key} {count}" for key, count in report[name].items())
        rows.append((name, counts))
    rows.append(("with_labels", str(report["with_labels"])))
    for reason, left in report["left_out"].items():
        rows.append((f"left out, {reason}", f"{left['count']}: {'; '.join(left['examples'])}"))
    table((f"  {name.replace('_', ' ')}", value) for name, value in rows)
