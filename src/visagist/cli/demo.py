"""``visagist demo``: one photo in several styles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visagist.cli.output import Json, print_json, table

__all__ = ["demo"]


def demo(
    photo: Annotated[Path, typer.Option(metavar="FILE", help="A photo with a face.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FOLDER", help="Where the results go.")
    ] = Path("demo-output"),
    styles: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Which styles; default: all of them.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results that exist.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make one photo up in several styles and put them on a sheet."""
    from visagist.makeup.demo import run_demo
    from visagist.makeup.inference import Makeup

    names = tuple(name.strip() for name in styles.split(",")) if styles is not None else None
    report = run_demo(photo, output, Makeup.from_pretrained, styles=names, overwrite=overwrite)
    if as_json:
        print_json(report.as_dict())
        return
    print(f"sheet: {report.sheet}")
    for path in report.results:
        print(f"photo: {path}")
    print()
    table((f"{step}", f"{ms:8.1f} ms") for step, ms in report.timings.items())
    print(f"\n{report.faces} face(s), {len(report.results)} styles, {report.seconds:.2f} s in all")
