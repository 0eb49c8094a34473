"""``visagist triplets``: source, target and truth for training a face swap."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visagist.cli.corpus.build import Engine
from visagist.cli.output import Json, needs_extra, print_json, progress_bar, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from visagist.corpus.blends.gate import Gate
    from visagist.swap.triplets.kinds import Proxy, SwapFunction

__all__ = ["triplets"]


def triplets(
    corpora: Annotated[
        list[Path], typer.Argument(metavar="CORPUS...", help="Corpora, as `corpus build` makes.")
    ],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Triplets to draw.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="The set.")],
    recipe: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="YAML with shares and limits; if not, the published mix."
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Whose people: train, validation or test.")] = "train",
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other triplets.")] = 0,
    proxy: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="A swap model by name or folder, for the kind cycle of a recipe."
        ),
    ] = None,
    embedder: Annotated[
        str, typer.Option(metavar="MODEL", help="The recogniser that checks identities.")
    ] = "recognizer",
    encoder: Annotated[
        str, typer.Option(metavar="MODEL", help="The recogniser that --proxy was trained with.")
    ] = "recognizer",
    assets: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            envvar="VISAGIST_MAKEHUMAN",
            help="MakeHuman's assets, for the kind exact (docs/synthetic-heads.md).",
        ),
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write a picture to look at.")
    ] = None,
    per_kind: Annotated[
        int, typer.Option("--per-kind", min=1, help="Triplets of each kind on the sheet.")
    ] = 8,
    showable: Annotated[
        bool, typer.Option("--showable", help="Only pictures that documentation may show.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Parts at once; one a core by default.")
    ] = None,
    engine: Annotated[Engine, typer.Option(help="Who runs the parts.")] = Engine.processes,
    address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster; without it Ray starts here.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Delete the set that is there, begin again.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make triplets out of corpora; broken off, the same command goes on."""
    with needs_extra("corpus"):
        from visagist.swap.triplets.build import build
        from visagist.swap.triplets.config import TripletConfig, read_recipe
        from visagist.swap.triplets.task import TripletTask

    config = TripletConfig() if recipe is None else read_recipe(recipe)
    folders = [path.resolve() for path in corpora]
    if "exact" in config.made and assets is not None:
        assets = assets.resolve()
    with needs_extra("heads"):
        task = TripletTask(
            folders,
            config,
            count=count,
            split=split,
            gate=_gate(embedder),
            seed=seed,
            proxy=None if proxy is None else _proxy(proxy, encoder),
            assets=assets if "exact" in config.made else None,
        )
    shared = [*folders, *([] if task.assets is None else [task.assets])]
    with needs_extra("scale"), progress_bar("triplets", count, quiet=as_json) as advance:
        built = build(
            task,
            output,
            engine=engine.value,
            workers=workers,
            address=address,
            shared=shared,
            overwrite=overwrite,
            progress=advance,
        )
    if sheet is not None:
        _write_sheet(output, sheet, per_kind, showable=showable)
    summary = built.summary
    report: dict[str, Any] = {
        "set": str(output),
        "built": built.fresh,
        "resumed_parts": built.resumed,
        "seconds": round(built.seconds, 1),
        **{k: summary[k] for k in ("split", "triplets", "kinds", "draws", "rejected", "edits")},
    }
    if as_json:
        print_json(report)
    else:
        _print(report)


def _write_sheet(folder: Path, path: Path, per_kind: int, *, showable: bool) -> None:
    from visagist.photo import Photo
    from visagist.swap.triplets.sheet import sheet

    Photo.from_array(sheet(folder, per_kind=per_kind, showable=showable)).save(path, overwrite=True)


def _print(report: Mapping[str, Any]) -> None:
    if not report["built"]:
        print(f"{report['set']} is finished and made with these settings: nothing to do")
    elif report["resumed_parts"]:
        print(f"went on from {report['resumed_parts']} finished parts")
    rows = [("kind", "kept", "draws")]
    rows += [(k, str(n), str(report["draws"].get(k, 0))) for k, n in report["kinds"].items()]
    table(rows)
    if report["rejected"]:
        print("rejected:")
        table([(f"  {reason}", str(n)) for reason, n in report["rejected"].items()])
    print(f"{report['triplets']} triplets in {report['set']}, {report['seconds']} s")


def _gate(embedder: str) -> Gate:
    from functools import partial

    from visagist.corpus.blends.gate import Gate
    from visagist.recognition.inference import Recognizer
    from visagist.recognition.judge import recognition_judge

    model = str(Path(embedder).resolve()) if Path(embedder).is_dir() else embedder
    return Gate(Recognizer.from_pretrained(model).model_id, partial(recognition_judge, model))


def _proxy(name: str, encoder: str) -> Proxy:
    from functools import partial

    from visagist.recognition.inference import Recognizer
    from visagist.swap.inference import Swapper
    from visagist.swap.triplets.kinds import Proxy

    model, reader = (str(Path(n).resolve()) if Path(n).is_dir() else n for n in (name, encoder))
    recognizer = Recognizer.from_pretrained(reader)
    swapper = Swapper.from_pretrained(model, encoder=recognizer, protect=False)
    return Proxy(swapper.model_id, partial(_swap_function, model, reader))


def _swap_function(model: str, encoder: str) -> SwapFunction:
    """The network of a model folder on canonical crops; a function of a module, for workers."""
    from visagist.recognition.inference import Recognizer
    from visagist.swap.inference import Swapper
    from visagist.swap.triplets.proxies import NetworkProxy

    recognizer = Recognizer.from_pretrained(encoder)
    swapper = Swapper.from_pretrained(model, encoder=recognizer, protect=False)
    return NetworkProxy(swapper, recognizer.embed_view)
