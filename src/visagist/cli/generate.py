"""``visagist generate``: faces of nobody, from a seed."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visagist.cli.options import Certificate, Key
from visagist.cli.output import Json, print_json, progress_bar
from visagist.errors import InputError, PhotoWriteError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from visagist.generation.inference import Generator, Request


__all__ = ["generate"]

GRID = "grid"


def generate(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="For the grid and the pictures.")
    ],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="How many.")] = 16,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1000,
            help="Evaluations of the network a picture; above 4 the model's sister NAME-diffusion "
            "is taken where there is one, and by default, with 32; a model alone takes what it is "
            "made for.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same pictures.")] = 0,
    first: Annotated[
        int, typer.Option(min=0, help="Number of the first; picture 7 of a seed is always the same")
    ] = 0,
    label: Annotated[
        int | None, typer.Option(min=0, help="Class, for models that have classes.")
    ] = None,
    guidance: Annotated[
        float, typer.Option(min=0.0, help="1: as trained; more follows the class more closely.")
    ] = 1.0,
    suffix: Annotated[
        str, typer.Option("--format", metavar="png|jpg|webp|...", help="Of the files.")
    ] = "png",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace pictures that exist.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads for the network.")] = 1,
    batch: Annotated[int, typer.Option(min=1, max=1024, help="Pictures at once.")] = 8,
    model: Annotated[str, typer.Option(help="Name or folder of the model.")] = "generator-64",
    certificate: Certificate = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Make pictures of people who do not exist: single files and a grid.

    Every file is signed and says that it was generated, by which model, from which seed; its pixels
    carry a watermark (`visagist inspect`). The same seed gives the same pixels, mark included.
    """
    from visagist.cli.marking import can_sign, require_marks, save_marked, user_credential
    from visagist.generation.inference import Generator, Request
    from visagist.photo.files import make_folder
    from visagist.photo.formats import for_suffix
    from visagist.provenance.claims import Claim

    credential = user_credential(certificate, key)
    entry = for_suffix(Path(f"picture.{suffix.lstrip('.')}"))  # refused before any work
    if guidance != 1 and label is None:
        raise InputError("--guidance follows a class; give --label too")
    names = [f"{seed}-{number:05d}.{suffix.lstrip('.')}" for number in range(first, first + count)]
    grid = f"{seed}-{GRID}.{suffix.lstrip('.')}"
    _refuse_replacing(output, [grid, *names], overwrite=overwrite)
    if can_sign():
        require_marks(credential=credential)  # before the work
    generator = Generator.from_pretrained(model, steps=steps, threads=threads)
    steps = steps or generator.default_steps
    how = f"seed {seed}, {steps} step{'s' * (steps > 1)}"
    how += f", class {label}, guidance {guidance:g}" if label is not None else ""
    request = Request(label=label, guidance=guidance)
    warnings: dict[str, None] = {}

    def save(pixels: NDArray[np.uint8], name: str, title: str) -> None:
        claim = Claim(kind="generated", model_id=generator.model_id, title=title)
        report = save_marked(
            pixels, output / name, claim, credential=credential, overwrite=overwrite
        )
        warnings.update(dict.fromkeys(report.warnings))

    pictures: list[NDArray[np.uint8]] = []
    with progress_bar("generate", count, quiet=as_json) as advance:
        for number, pixels in _one_by_one(generator, first, count, batch, seed, steps, request):
            if not pictures:
                make_folder(output)
            save(pixels, names[number - first], f"picture {number} of {how}")
            pictures.append(pixels)
            advance(len(pictures))
    sheet = tiled(pictures, first=first)
    save(sheet, grid, f"pictures {first} to {first + count - 1} of {how}")
    for warning in warnings:
        print(f"visagist: {warning}", file=sys.stderr)
    if as_json:
        document: dict[str, Any] = {
            "model_id": generator.model_id,
            "side": generator.side,
            "steps": steps,
            "seed": seed,
            "first": first,
            "format": entry.name,
            "grid": str(output / grid),
            "pictures": [str(output / name) for name in names],
            "warnings": list(warnings),
        }
        print_json(document)
    else:
        print(f"{output / grid}: {count} pictures by {generator.model_id}, {how}")


def _one_by_one(
    generator: Generator, first: int, count: int, batch: int, seed: int, steps: int,
    request: Request,
) -> Iterator[tuple[int, NDArray[np.uint8]]]:  # fmt: skip
    """Each picture with its number, as soon as it is there: a stop loses one batch at most."""
    for begin in range(first, first + count, batch):
        some = min(batch, first + count - begin)
        found = generator.generate(
            some, seed=seed, first=begin, steps=steps, request=request, batch=batch
        )
        yield from enumerate(found, begin)


def tiled(pictures: Sequence[NDArray[np.uint8]], *, first: int = 0) -> NDArray[np.uint8]:
    """A sheet of (S, S, 3) pictures, each over its number."""
    from visagist.photo.sheet import grid

    side = len(pictures[0])
    columns = math.isqrt(len(pictures) - 1) + 1
    captions = [str(number) for number in range(first, first + len(pictures))]
    return grid(pictures, captions, columns=columns, cell=side * max(1, 128 // side))


def _refuse_replacing(folder: Path, names: list[str], *, overwrite: bool) -> None:
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not nearest.is_dir():
        raise PhotoWriteError(f"{nearest} is a file; give a folder with --output")
    there = [name for name in names if (folder / name).exists()]
    if there and not overwrite:
        raise PhotoWriteError(
            f"{folder / there[0]} exists ({len(there)} of {len(names)} files); give --overwrite, "
            "another --seed, --first to go on, or another folder"
        )
