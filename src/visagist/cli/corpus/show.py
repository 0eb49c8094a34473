"""``visagist corpus show``: faces on a sheet: bare, drawn over, or as a training sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visagist.cli.output import Json, needs_extra, print_json, progress_bar

__all__ = ["show"]


def show(
    corpus: Annotated[Path, typer.Argument(metavar="CORPUS", help="Folder of a finished corpus.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The sheet.")],
    count: Annotated[int, typer.Option(min=1, max=2000, help="Faces on the sheet.")] = 48,
    split: Annotated[
        str, typer.Option(metavar="A,B,...", help="Of train, validation and test.")
    ] = "",
    source: Annotated[str, typer.Option(metavar="A,B,...", help="Only these sources.")] = "",
    kind: Annotated[
        str, typer.Option(metavar="A,B,...", help="Of photo, generated, head and blend.")
    ] = "",
    draw: Annotated[
        str, typer.Option(metavar="A,B,...", help="Draw mesh, parts, depth beside each face.")
    ] = "",
    augment: Annotated[
        Path | None,
        typer.Option(
            metavar="RECIPE",
            help="Draw what a training sees: each disturbance alone in a row, then all together.",
        ),
    ] = None,
    sort: Annotated[
        str, typer.Option(metavar="random|FIGURE", help="Random, or spread over a figure.")
    ] = "random",
    worst: Annotated[
        str | None, typer.Option(metavar="FIGURE", help="Only the worst by a figure.")
    ] = None,
    zoom: Annotated[
        float | None, typer.Option(min=0.1, help="Show only so many canonical crops of each crop.")
    ] = None,
    columns: Annotated[int, typer.Option(min=1, max=64, help="Pictures in a row.")] = 8,
    cell: Annotated[int, typer.Option(min=32, max=1024, help="Side of a picture.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the random choice.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the sheet.")] = False,
    as_json: Json = False,
) -> None:
    """Draw a contact sheet of faces, with meshes and label maps, or as a training sees them."""
    with needs_extra("corpus"):
        from visagist.corpus.corpus import Corpus
        from visagist.corpus.show import augmented_sheet, choose, sheet
    from visagist.photo import Photo

    opened = Corpus.open(corpus)
    records = choose(
        opened,
        count if augment is None else min(count, columns),
        splits=_names(split),
        sources=_names(source),
        kinds=_names(kind),
        sort=sort,
        worst=worst,
        seed=seed,
    )
    if augment is not None:
        with needs_extra("train"):
            from visagist.cli.corpus.augmented import viewer

            page = augmented_sheet(opened, records, *viewer(augment, seed), cell=cell)
    else:
        figure = worst or (None if sort == "random" else sort)
        with progress_bar("draw", len(records), quiet=as_json) as advance:
            page = sheet(
                opened,
                records,
                draw=_names(draw),
                figure=figure,
                zoom=zoom,
                columns=columns,
                cell=cell,
                progress=advance,
            )
    Photo.from_array(page).save(output, overwrite=overwrite)
    hidden = sum(not record.origin.may_show for record in records)
    if as_json:
        print_json({"output": str(output), "faces": len(records), "must_not_be_published": hidden})
    else:
        print(output)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
