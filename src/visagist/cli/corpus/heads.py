"""``visagist corpus heads``: rendered people with exact labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visagist.cli.corpus.build import Bars, Engine, print_built, report_of
from visagist.cli.output import Json, needs_extra, print_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["heads"]


@dataclass(frozen=True)
class RandomStyle:
    """Makes a face up in one of the built-in styles, drawn by the picture's seed."""

    def __call__(
        self, image: NDArray[np.uint8], mesh: NDArray[np.float32], seed: int
    ) -> tuple[NDArray[np.uint8], str]:
        """The made-up crop and the style's name."""
        import numpy

        from visagist.makeup.retoucher import retouch
        from visagist.makeup.style import builtin_styles, load_style

        random = numpy.random.default_rng([seed, 41])
        name = str(random.choice(sorted(builtin_styles())))
        strength = float(random.uniform(0.5, 1.0))
        return retouch(image, mesh, load_style(name), intensity=strength), name


def heads(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="The corpus.")],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Pictures.")] = 100,
    assets: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            envvar="VISAGIST_MAKEHUMAN",
            help="MakeHuman's hair, skins, eyes and so on (docs/synthetic-heads.md).",
        ),
    ] = None,
    size: Annotated[int, typer.Option(min=32, max=1024, help="Side of a crop in pixels.")] = 256,
    zoom: Annotated[
        float, typer.Option(min=0.5, max=4, help="Field of view; 1 is the canonical crop.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other people.")] = 0,
    per_identity: Annotated[
        int, typer.Option("--per-identity", min=1, help="Pictures of each person.")
    ] = 1,
    counterfactuals: Annotated[
        bool,
        typer.Option(
            "--counterfactuals",
            help="Each picture also with makeup, and with another person's head.",
        ),
    ] = False,
    worn: Annotated[
        float, typer.Option(min=0, max=2, help="Factor on glasses, hats, hands and so on.")
    ] = 1.0,
    photo: Annotated[
        bool, typer.Option("--photo/--clean", help="With or without a camera's blur and noise.")
    ] = True,
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
    """Draw people that do not exist; broken off, the same command goes on."""
    with needs_extra("corpus"):
        from visagist.corpus.build import BuildConfig
        from visagist.corpus.build import build as run
    with needs_extra("heads"):
        from visagist.corpus.heads.assets import HeadAssets
        from visagist.corpus.heads.scene import HeadsConfig
        from visagist.corpus.heads.task import HeadTask

    config = HeadsConfig(
        count=count,
        per_identity=per_identity,
        size=size,
        zoom=zoom,
        seed=seed,
        counterfactuals=("makeup", "other") if counterfactuals else (),
        worn=worn,
        photo=photo,
    )
    folder = HeadAssets(assets).folder
    task = HeadTask(config, folder.resolve(), RandomStyle() if counterfactuals else None)
    with needs_extra("scale"), Bars(quiet=as_json) as bars:  # only the engine ray imports more
        built = run(
            task,
            output,
            BuildConfig(chunk=16),
            engine=engine.value,
            workers=workers,
            address=address,
            shared=[folder],
            overwrite=overwrite,
            progress=bars,
        )
    report = report_of(built)
    if as_json:
        print_json(report)
    else:
        print_built(built, report)
