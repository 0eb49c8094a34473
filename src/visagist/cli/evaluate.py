"""``visagist evaluate``: the published protocols, as numbers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from visagist.cli.output import Json, needs_extra, print_report, progress_bar, stages
from visagist.errors import InputError, MissingExtraError

__all__ = ["app"]

app = typer.Typer(help="Measure a model on people it has never seen.", no_args_is_help=True)

Data = Annotated[
    Path, typer.Option(metavar="DIR", help="Tree with pictures, labels/ and splits.csv.")
]
Split = Annotated[str, typer.Option(help="Which people: test, validation or train.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Only N faces, evenly spread.")]


@app.command("makeup")
def evaluate_makeup(
    data: Data,
    model: Annotated[str, typer.Option(help="Name or folder of the model.")] = "makeup-tiny",
    split: Split = "test",
    limit: Limit = None,
    judge: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="ONNX face embedder for identity_cosine_drop; by default the one in DIR/models.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    worst: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Draw the 20 worst cases: bare, retoucher, network, both residuals.",
        ),
    ] = None,
    covered: Annotated[
        bool,
        typer.Option(
            "--covered",
            help="Also how much known covers (hair, hands) change, with the parser and without.",
        ),
    ] = False,
    parser: Annotated[str, typer.Option(help="Name or folder, for --covered.")] = "face-parser",
    as_json: Json = False,
) -> None:
    """PSNR, SSIM, leakage, eyes, mouth and shift sensitivity against the retoucher."""
    from visagist.makeup.evaluation import evaluate, worst_sheet
    from visagist.photo import Photo

    with _bar(as_json) as progress:
        report = evaluate(
            data,
            model=model,
            split=split,
            limit=limit,
            judge=judge,
            workers=workers,
            progress=progress,
        )
    if worst is not None:
        sheet = worst_sheet(data, report, model=model, split=split)
        Photo.from_array(sheet).save(worst, overwrite=True)
    if covered:
        with needs_extra("corpus"):
            from visagist.makeup.covered import evaluate_covered
        with _bar(as_json) as progress:
            report["covered"] = evaluate_covered(
                data, model=model, parser=parser, split=split, limit=limit, progress=progress
            )
    print_report(report, as_json=as_json)


@app.command("mesh")
def evaluate_mesh(
    data: Data,
    model: Annotated[str, typer.Option(help="Name or folder of the model.")] = "face-mesh",
    closeups: Annotated[
        str, typer.Option(help="Name or folder of the second look at eyes and lips; '' for none.")
    ] = "mesh-closeups",
    split: Split = "test",
    limit: Limit = None,
    as_json: Json = False,
) -> None:
    """Error of the face mesh in percent of the distance between the eyes."""
    from visagist.face.mesh.evaluation import evaluate

    with _bar(as_json) as progress:
        report = evaluate(
            data,
            model=model,
            closeups=closeups or None,
            split=split,
            limit=limit,
            progress=progress,
        )
    print_report(report, as_json=as_json)


@app.command("parser")
def evaluate_parser(
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Tree with pictures, labels/ and splits.csv."),
    ] = None,
    heads: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Corpus of rendered heads.")
    ] = None,
    model: Annotated[str, typer.Option(help="Name or folder of the model.")] = "face-parser",
    split: Split = "test",
    limit: Limit = None,
    worst: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the 20 worst pictures beside their parsing."),
    ] = None,
    as_json: Json = False,
) -> None:
    """IoU of the parser on rendered heads, on photos with a mesh, and on covered faces."""
    with needs_extra("corpus"):
        from visagist.face.parser.evaluation import evaluate, worst_sheet
    from visagist.photo import Photo

    with _bar(as_json) as progress:
        report = evaluate(data, heads, model=model, split=split, limit=limit, progress=progress)
    if worst is not None:
        sheet = worst_sheet(data, heads, report, model=model)
        Photo.from_array(sheet).save(worst, overwrite=True)
    print_report(report, as_json=as_json)


@app.command("recognition")
def evaluate_recognition(
    data: Data,
    model: Annotated[str, typer.Option(help="Name or folder of the model.")] = "recognizer",
    without_uir: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="The same network trained without UIR, beside it."),
    ] = None,
    split: Annotated[str, typer.Option(help="Which people: test or validation.")] = "test",
    lists: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Own lists: SPLIT.csv and SPLIT_halves.csv."),
    ] = None,
    embedder: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE|MODEL", help="Another embedder in the same run; repeatable."),
    ] = None,
    dlib: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="dlib_face_recognition_resnet_model_v1.dat, beside it."),
    ] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(help="A harder condition for the searches, or `all`; repeatable."),
    ] = None,
    found: Annotated[
        bool,
        typer.Option("--found", help="Find the faces, as users do, instead of the labelled ones."),
    ] = False,
    resamples: Annotated[
        int, typer.Option(min=0, help="Of the people, for the intervals; 0 leaves them out.")
    ] = 1000,
    worst: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the 20 worst mated searches."),
    ] = None,
    as_json: Json = False,
) -> None:
    """TAR at FAR, rank-1, and FNIR at FPIR with strangers, with intervals over people."""
    from visagist.photo import Photo
    from visagist.recognition.evaluation.conditions import CONDITIONS
    from visagist.recognition.evaluation.embedders import open_embedder
    from visagist.recognition.evaluation.protocol import evaluate
    from visagist.recognition.evaluation.worst import worst_sheet

    others = [open_embedder(name) for name in embedder or []]
    if dlib is not None:
        with needs_extra("train"):
            from visagist.recognition.evaluation.dlib import dlib_embedder
        others.append(dlib_embedder(dlib))
    asked = condition or []
    with _bar(as_json) as progress:
        report = evaluate(
            data,
            model=model,
            without_uir=without_uir,
            split=split,
            lists=lists,
            embedders=others,
            conditions=list(CONDITIONS) if "all" in asked else asked,
            aligned="found" if found else "labels",
            resamples=resamples,
            progress=progress,
        )
    if worst is not None:
        Photo.from_array(worst_sheet(data, report)).save(worst, overwrite=True)
    print_report(report, as_json=as_json)


@app.command("verification")
def evaluate_verification(
    path: Annotated[Path, typer.Argument(metavar="SET", help="A .bin, or a folder of LFW or CFP.")],
    model: Annotated[str, typer.Option(help="Name or folder of the model.")] = "recognizer",
    embedder: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE|MODEL", help="Another embedder in the same run; repeatable."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Ten-fold accuracy on published pairs: LFW, CFP-FP, AgeDB-30 and the like."""
    from visagist.recognition.evaluation.embedders import open_embedder
    from visagist.recognition.evaluation.pairs import evaluate_pairs, open_pairs

    embedders = [open_embedder(name) for name in (model, *(embedder or []))]
    pairs = open_pairs(path)
    with _bar(as_json) as progress:
        report = evaluate_pairs(pairs, embedders, progress=progress)
    print_report(report, as_json=as_json)


@app.command("generation")
def evaluate_generation(
    data: Annotated[
        list[Path],
        typer.Option(metavar="CORPUS", help="What the generator learned from; repeatable."),
    ],
    model: Annotated[str, typer.Option(help="Name or folder of the model.")] = "generator-64",
    many: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="For many steps; by default MODEL-diffusion."),
    ] = None,
    count: Annotated[int, typer.Option("-n", "--count", min=16, help="Pictures in a set.")] = 1000,
    steps: Annotated[
        list[int] | None, typer.Option(min=1, max=1000, help="Repeatable; default 1, 2, 8, 32.")
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=0, help="For the intervals; 0 leaves them out.")
    ] = 30,
    seed: Annotated[int, typer.Option(min=0, help="Of samples and draws.")] = 0,
    cache: Annotated[
        Path, typer.Option(metavar="DIR", help="For decoded faces; a training's can be shared.")
    ] = Path("visagist-cache"),
    efficientnet: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="EfficientNet-Lite0's .pth; the installed package's."),
    ] = None,
    inception: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Inception's weights: the numbers of torch-fidelity as well."
        ),
    ] = None,
    nearest: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Draw samples beside their nearest training pictures (people may be real).",
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Of the generator.")] = 1,
    as_json: Json = False,
) -> None:
    """Frechet and kernel distance to real faces, precision, recall, memorisation; with floors.

    In features of EfficientNet-Lite0 and of the recogniser, which is why no distance is called FID.
    """
    with needs_extra("train"), needs_extra("corpus"):
        from visagist.deploy.judge_generation import STEPS
        from visagist.deploy.judge_generation import evaluate_generation as evaluate
        from visagist.generation.protocol import nearest_sheet
    from visagist.cli.corpus.build import Bars
    from visagist.photo import Photo

    with Bars(quiet=as_json) as bars:
        report, made, real, copies = evaluate(
            data,
            model=model,
            many=many,
            cache=cache,
            steps=tuple(steps or STEPS),
            count=count,
            resamples=resamples,
            seed=seed,
            weights=efficientnet,
            threads=threads,
            progress=bars,
        )
    if nearest is not None:
        sheet = nearest_sheet(made[copies[0].name], real, copies[0])
        Photo.from_array(sheet).save(nearest, overwrite=True)
    if inception is not None:
        from visagist.deploy.fidelity import fidelity_numbers

        report["torch_fidelity"] = fidelity_numbers(made, real, inception, seed=seed)
    print_report(report, as_json=as_json)


@app.command("dal")
def evaluate_dal(
    data: Annotated[
        Path, typer.Option(metavar="CORPUS", help="Of `visagist corpus build`, with given labels.")
    ],
    work: Annotated[
        Path, typer.Option(metavar="DIR", help="For what can be used again; the same goes on.")
    ],
    styles: Annotated[
        Path, typer.Option(metavar="DIR", help="YAML files of styles that nobody was trained with.")
    ] = Path("benchmarks/dal-styles"),
    only: Annotated[
        list[str] | None, typer.Option(help="A row; repeatable. All by default.")
    ] = None,
    split: Annotated[str, typer.Option(help="Who is judged: validation or test.")] = "validation",
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of each style.")] = 5,
    draw: Annotated[int, typer.Option(min=0, help="Which draw of the people of the pairs.")] = 0,
    people: Annotated[
        int | None, typer.Option(min=2, help="Training people, evenly spread; all by default.")
    ] = None,
    faces: Annotated[
        int | None, typer.Option(min=1, help="Amplified faces; by default all to train with.")
    ] = None,
    limit: Limit = None,
    steps: Annotated[int, typer.Option(min=1, help="Of every student's training.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of trainings and backends.")] = 0,
    backend: Annotated[str, typer.Option(help="The amplifier: ensemble, mesh, ...")] = "ensemble",
    judge: Annotated[
        Path | None, typer.Option(metavar="FILE", help="ONNX face embedder for identity_drop.")
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="EfficientNet-Lite0's .pth, for perceptual; by default of the installed package.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes and threads.")] = 1,
    as_json: Json = False,
) -> None:
    """Data Amplify Learning against its rivals: what five pairs of a style become."""
    with needs_extra("train"), needs_extra("corpus"):
        from visagist.amplify.evaluation.bench import DalConfig
        from visagist.amplify.evaluation.perceptual import perceptual_distance
        from visagist.amplify.evaluation.protocol import evaluate_dal as run
        from visagist.amplify.evaluation.scores import Distance, Judges
    from visagist.face.identity import load_judge

    if split not in ("validation", "test"):
        raise InputError(f"--split is validation or test, not {split!r}")

    def judges() -> Judges:
        distance: Distance | None = None
        try:
            distance = perceptual_distance(features)
        except MissingExtraError as error:
            print(f"visagist: no perceptual distance: {error}", file=sys.stderr)
        return Judges(load_judge(judge) if judge is not None else None, distance)

    config = DalConfig(
        split=split,
        pairs=pairs,
        draw=draw,
        people=people,
        faces=faces,
        limit=limit,
        steps=steps,
        seed=seed,
        backend=backend,
    )
    with stages(quiet=as_json) as told:
        report = run(
            data,
            sorted(styles.glob("*.yaml")),
            work,
            config,
            only=only or (),
            judges=judges,
            workers=workers,
            report=told,
        )
    print_report(report, as_json=as_json)


@app.command("swap")
def evaluate_swap(
    data: Data,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[LABEL=]MODEL",
            help="Name or folder of a model; repeatable, the first gives the flat fields.",
        ),
    ] = None,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Only the untouched target and the mesh warp.")
    ] = False,
    encoder: Annotated[
        str, typer.Option(help="Name or folder of the recogniser the models were trained with.")
    ] = "recognizer",
    split: Split = "test",
    rounds: Annotated[int, typer.Option(min=1, help="Sources for each target.")] = 3,
    limit: Annotated[int | None, typer.Option(min=2, help="Only N pairs, evenly spread.")] = None,
    judge: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="ONNX face embedder; by default DIR/models' own."),
    ] = None,
    distance: Annotated[
        bool, typer.Option("--fd/--no-fd", help="Frechet distance (needs the extra train).")
    ] = True,
    efficientnet: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="EfficientNet-Lite0's .pth; the installed package's."),
    ] = None,
    covered: Annotated[
        int, typer.Option(min=0, help="Pairs that are also swapped with the target covered.")
    ] = 60,
    match_colour: Annotated[
        bool, typer.Option("--match-colour/--no-match-colour", help="As users have it, or not.")
    ] = True,
    resamples: Annotated[
        int, typer.Option(min=0, help="Of the source people, for the intervals; 0: none.")
    ] = 1000,
    worst: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the first model's 20 worst pairs by --worst-by."),
    ] = None,
    worst_by: Annotated[
        str,
        typer.Option(help="id_margin, pose_error, expression_error or background_level."),
    ] = "id_margin",
    as_json: Json = False,
) -> None:
    """Identity, pose, expression, Frechet distance, background and covers kept, with baselines."""
    with needs_extra("train"), needs_extra("corpus"):
        from visagist.deploy.judge_swap import evaluate_swap as evaluate
        from visagist.deploy.judge_swap import features_distance, labelled_models
    from visagist.photo import Photo
    from visagist.swap.sheets import worst_sheet

    compare = features_distance(efficientnet) if distance else None
    with (
        progress_bar("read", None, quiet=as_json) as reading,
        progress_bar("swap", None, quiet=as_json) as swapping,
    ):
        judged = evaluate(
            data,
            models={} if baselines else labelled_models(model or ["swap"]),
            encoder=encoder,
            split=split,
            rounds=rounds,
            limit=limit,
            judge=judge,
            compare=compare,
            covered=covered,
            resamples=resamples,
            match_colour=match_colour,
            reading=reading,
            progress=swapping,
        )
    if worst is not None:
        row = judged.report["table"][judged.report["row"]]
        sheet = worst_sheet(judged.stage, judged.methods[1:], row, worst_by)
        Photo.from_array(sheet).save(worst, overwrite=True)
    print_report(judged.report, as_json=as_json)


@contextmanager
def _bar(quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A progress bar for callers that say how many there are with every step."""
    with progress_bar("evaluate", None, quiet=quiet) as advance:
        yield advance
