"""``visagist styles``: what styles there are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visagist.cli.output import Json, print_json, table
from visagist.errors import InputError

__all__ = ["styles"]


def styles(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[STYLE]...", help="Names or YAML files; default: every style."),
    ] = None,
    preview: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a sheet with every style here.")
    ] = None,
    photo: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Show the styles on this photo instead of a drawn face."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the sheet.")] = False,
    as_json: Json = False,
) -> None:
    """List the styles, and show them on a sheet; also a style of your own from its file.

    Styles that `visagist learn` has made are listed, too; to see one, make up a photo with it.
    """
    from visagist.makeup.learned import learned_styles
    from visagist.makeup.style import builtin_styles, load_style

    own = learned_styles()
    learned = [own[name] for name in (names or own) if name in own]
    found = [load_style(name) for name in names or builtin_styles() if name not in own]
    if preview is not None and not found:
        raise InputError(
            f"{learned[0].name} is a network and has no drawing; to see it: "
            f"visagist makeup PHOTO --style {learned[0].name}"
        )
    if preview is not None:
        from visagist.makeup.preview import style_sheet
        from visagist.photo import Photo

        face = Photo.open(photo).pixels if photo is not None else None
        Photo.from_array(style_sheet(found, face)).save(preview, overwrite=overwrite)
    if as_json:
        document: dict[str, object] = {"styles": [style.model_dump() for style in found]}
        document["learned"] = [
            {"name": style.name, "description": style.description, "model": str(style.model)}
            for style in learned
        ]
        print_json(document | ({"preview": str(preview)} if preview else {}))
        return
    rows = [(style.name, style.description) for style in found]
    table([*rows, *((style.name, style.description) for style in learned)])
    if preview is not None:
        print(preview)
