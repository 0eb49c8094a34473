"""``visagist data``: get faces ready for training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visagist.cli.output import Json, print_json, progress_bar

__all__ = ["app"]

app = typer.Typer(help="Get faces ready for training.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps the noun after the verb while there is only one."""


@app.command("pack")
def pack(
    data: Annotated[
        Path, typer.Argument(metavar="DIR", help="Tree with pictures, labels/ and splits.csv.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The .npz pack.")],
    folders: Annotated[str, typer.Option(metavar="A,B,...", help="Folders of pictures to take.")],
    splits: Annotated[
        str, typer.Option(metavar="A,B,...", help="Of train, validation and test.")
    ] = "train,validation",
    without: Annotated[
        str, typer.Option(metavar="A,B,...", help="Generators whose pictures to leave out.")
    ] = "",
    size: Annotated[int, typer.Option(min=16, max=2048, help="Side of a crop in pixels.")] = 320,
    zoom: Annotated[
        float, typer.Option(min=0.5, max=8.0, help="Field of view in canonical crops.")
    ] = 1.25,
    quality: Annotated[int, typer.Option(min=1, max=100, help="JPEG quality of crops.")] = 92,
    as_json: Json = False,
) -> None:
    """Crop labelled faces into one file that a trainer reads in one go."""
    from visagist.corpus.labelled import read_faces
    from visagist.corpus.pack import write_pack

    faces = read_faces(
        data,
        folders=_names(folders),
        splits=_names(splits),
        without_generators=_names(without),
    )
    with progress_bar("pack", len(faces), quiet=as_json) as advance:
        skipped = write_pack(
            faces,
            output,
            size=size,
            zoom=zoom,
            quality=quality,
            progress=advance,
        )
    if as_json:
        print_json({"output": str(output), "faces": len(faces) - len(skipped), "skipped": skipped})
    else:
        print(f"{output} ({len(faces) - len(skipped)} faces, {len(skipped)} left out)")
        for name, reason in skipped.items():
            print(f"left out: {name}: {reason}")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
