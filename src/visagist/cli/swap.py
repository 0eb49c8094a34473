"""``visagist swap``: put a person's face into photos, with their consent and with marks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from visagist.cli.options import Certificate, Key
from visagist.cli.output import Json, print_json, progress_bar
from visagist.errors import InputError, PhotoWriteError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from visagist.photo import Photo
    from visagist.photo.batch import Job
    from visagist.provenance.claims import Claim
    from visagist.provenance.credential import Credential
    from visagist.recognition.inference import Recognizer
    from visagist.swap.batch import Outcome, Save
    from visagist.swap.inference import Swapper
    from visagist.swap.types import Identity, Reference

__all__ = ["SwapCommand", "swap"]

LIKE = "like:"
_FAR = 1e-3
"""False accept rate at which a face passes for the reference's, or two sources for one person."""
_WORDS = 3
"""Fewer words cannot say who agreed to what."""
MARKED = (".jpg", ".jpeg", ".png", ".webp")
"""Endings of the formats that carry every mark."""


class SwapCommand(TyperCommand):
    """Takes several values after ``--source``, and ``--face like FILE``, as people write them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - of click, or of typer's own copy
        """Bring the arguments into the form that the options have."""
        return super().parse_args(ctx, spelled_out(args))


def spelled_out(args: list[str]) -> list[str]:
    """``--source a b`` as ``--source a --source b``, ``--face like x`` as ``--face like:x``."""
    out: list[str] = []
    sources, waiting = False, list(args)
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            return [*out, word, *waiting]
        if word.startswith("-") and word != "-":
            sources = word == "--source" or word.startswith("--source=")
            out.append(word)
            if word == "--face" and waiting[:1] == ["like"] and len(waiting) > 1:
                out.append(f"{LIKE}{waiting[1]}")
                del waiting[:2]
            elif word == "--source" and waiting:
                out.append(waiting.pop(0))
        elif sources:
            out += ["--source", word]
        else:
            out.append(word)
            sources = False
    return out


def swap(
    source: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE...", help="Photos of the person whose face is used; one face each."
        ),
    ],
    target: Annotated[
        str, typer.Option(metavar="FILE|DIR|GLOB", help="Photos whose faces are replaced.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="File for one photo, folder for several.")
    ],
    consent: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Who agreed to this, on what basis and when. Needed; only its SHA-256 is kept, "
            "in the marks of every result.",
        ),
    ] = None,
    face: Annotated[
        str,
        typer.Option(
            metavar="all|largest|N|like FILE",
            help="Which faces: all, the largest, one by number, or the person on a photo.",
        ),
    ] = "all",
    strength: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="1: the source's identity; less: towards it.")
    ] = 1.0,
    match_colour: Annotated[
        bool,
        typer.Option("--match-colour/--no-match-colour", help="Bring it into the photo's light."),
    ] = True,
    protect: Annotated[
        bool,
        typer.Option(
            "--protect/--no-protect",
            help="Keep off hair, glasses and hands also where the network's own mask would not.",
        ),
    ] = True,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of JPEG and WebP results.")] = 95,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results that exist.")
    ] = False,
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Also the folders inside the folder.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads for the networks.")] = 1,
    model: Annotated[str, typer.Option(help="Name or folder of the swap model.")] = "swap",
    encoder: Annotated[
        str, typer.Option(help="Name or folder of the recogniser it was trained with.")
    ] = "recognizer",
    certificate: Certificate = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Put a person's face into photos. Every result carries marks that say so.

    Needs a statement of consent. Several photos are worked through one by one: a broken one is
    reported and skipped, a finished one is not done again, so the same command goes on where it
    was stopped.
    """
    from visagist.cli.marking import require_marks, user_credential
    from visagist.photo.batch import gather, plan
    from visagist.photo.files import read_bytes
    from visagist.photo.limits import Limits
    from visagist.provenance.claims import Claim, sha256_hex
    from visagist.swap.batch import JOURNAL, Settings, run_batch, run_one

    statement = checked_consent(consent)
    credential = user_credential(certificate, key)
    require_marks(credential=credential)  # before the work
    photos, single = gather([target], recursive=recursive, output=output)
    jobs = plan(photos, single=single, output=output, suffix="swap", overwrite=overwrite)
    jobs = _in_marked_formats(jobs)
    if single and jobs[0].target.exists() and not overwrite:  # under its new name, before the work
        raise PhotoWriteError(f"{jobs[0].target} exists; give --overwrite or another --output")
    _refuse_replacing(jobs, [*source, *([Path(face.removeprefix(LIKE))] if LIKE in face else [])])
    recognizer, engine = _engines(model, encoder, threads, protect=protect)
    faces, shown = _faces(face, engine, recognizer)
    digests = [sha256_hex(read_bytes(path, max_bytes=Limits().max_bytes)) for path in source]
    settings = Settings(
        identity=_identity(engine, recognizer, source),
        face=faces,
        strength=strength,
        match_colour=match_colour,
        overwrite=overwrite,
        told={
            "model": engine.model_id,
            "encoder": recognizer.model_id,
            "source": digests,
            "consent": statement,
            "face": shown,
            "strength": strength,
            "colour": match_colour,
            "protect": protect,
            "quality": quality,
        },
    )
    claim = Claim(
        kind="swap",
        model_id=engine.model_id,
        source_sha256=tuple(digests),
        consent_sha256=statement,
    )
    save = _saver(claim, quality, credential, overwrite=overwrite)
    if single:
        outcome = run_one(engine, jobs[0], settings, save)
        if as_json:
            print_json(_document([outcome]))
        else:
            print(_line(outcome))
        return
    outcomes = _with_progress(
        run_batch(engine, jobs, settings, save, journal=output / JOURNAL), len(jobs), quiet=as_json
    )
    if as_json:
        print_json(_document(outcomes))
    else:
        print(_summary(outcomes))
    if any(outcome.status == "failed" for outcome in outcomes):
        raise typer.Exit(1)


def checked_consent(text: str | None) -> str:
    """The SHA-256 of a statement of consent.

    Raises:
        InputError: there is none, or too little of one to be a statement.
    """
    from visagist.provenance.claims import statement_hash

    if text is None or len(text.split()) < _WORDS:
        short = f"{text.strip()!r} says too little: " if text and text.strip() else ""
        raise InputError(
            f"{short}a face swap needs the consent of the person whose face is used, and of the "
            "person whose face is replaced: without it a swap can deceive and hurt, and in many "
            "places it is unlawful. Say who agreed, on what basis and when, such as --consent "
            '"Ada Byron agreed in writing on 2026-11-02; the photo is mine". The words stay with '
            "you; their SHA-256 goes into the marks of every result"
        )
    return statement_hash(text)


def _in_marked_formats(jobs: list[Job]) -> list[Job]:
    """Results of photos in formats that cannot carry the marks become JPEGs."""
    from visagist.photo.batch import Job

    moved = [
        job
        if job.target.suffix.lower() in MARKED
        else Job(job.source, job.target.with_name(f"{job.target.name}.jpg"))
        for job in jobs
    ]
    if len({str(job.target).casefold() for job in moved}) < len(moved):
        raise InputError("two photos would be written to one result; give each its own --output")
    return moved


def _refuse_replacing(jobs: list[Job], more: list[Path]) -> None:
    """No result lies on top of a photo that was given: :func:`plan` knows of the targets alone."""
    given = {path.resolve() for path in (*more, *(job.source for job in jobs))}
    for job in jobs:
        if job.target.resolve() in given:
            raise InputError(
                f"the result would replace the photo {job.target}; give another --output"
            )


def _engines(
    model: str, encoder: str, threads: int, *, protect: bool
) -> tuple[Recognizer, Swapper]:
    from visagist.recognition.inference import Recognizer
    from visagist.swap.inference import Swapper

    recognizer = Recognizer.from_pretrained(encoder, threads=threads)
    engine = Swapper.from_pretrained(model, encoder=recognizer, threads=threads, protect=protect)
    return recognizer, engine


def _identity(engine: Swapper, recognizer: Recognizer, paths: list[Path]) -> Identity:
    """The source person; several pictures must look like one person."""
    from visagist.swap.batch import open_still

    photos = [open_still(path) for path in paths]
    least = None if len(paths) == 1 else recognizer.calibration.threshold(far=_FAR).value
    return engine.source(*photos, least_agreement=least)


def _faces(
    text: str, engine: Swapper, recognizer: Recognizer
) -> tuple[Literal["all", "largest"] | int | Reference, str]:
    """Which faces are meant, and the same as text that stands for it in the journal.

    Raises:
        InputError: it is none of the forms.
        FaceError: the reference picture shows nobody, several people, or too little.
    """
    from visagist.provenance.claims import sha256_hex
    from visagist.swap.batch import open_still

    if text in ("all", "largest"):
        return ("all" if text == "all" else "largest"), text
    if text.isascii() and text.isdigit():
        return int(text), text
    if not text.startswith(LIKE) or text == LIKE:
        raise InputError(f"--face is all, largest, a number from 0, or like FILE, not {text!r}")
    threshold = recognizer.calibration.threshold(far=_FAR).value
    reference = engine.reference(open_still(Path(text.removeprefix(LIKE))), threshold=threshold)
    return reference, f"{LIKE}{sha256_hex(reference.vector.tobytes())}"


def _saver(claim: Claim, quality: int, credential: Credential | None, *, overwrite: bool) -> Save:
    from visagist.cli.marking import save_marked
    from visagist.photo.files import make_folder

    def save(photo: Photo, job: Job) -> Mapping[str, Any]:
        make_folder(job.target.parent)
        report = save_marked(
            photo,
            job.target,
            claim,
            target=job.source,
            credential=credential,
            quality=quality,
            overwrite=overwrite,
        )
        return {
            "mark_id": report.mark_id,
            "signed": report.signed,
            "watermark": report.watermark,
            "psnr": report.psnr,
            "warnings": list(report.warnings),
        }

    return save


def _with_progress(outcomes: Iterable[Outcome], total: int, *, quiet: bool) -> list[Outcome]:
    """Run the batch with a bar on a terminal, and one line to stderr for what was not done."""
    done: list[Outcome] = []
    try:
        with progress_bar("swap", total, quiet=quiet) as advance:
            for outcome in outcomes:
                done.append(outcome)
                for words in (outcome.reason, *outcome.refused):
                    if words:
                        print(f"visagist: {outcome.source}: {words}", file=sys.stderr)
                advance(len(done))
    except KeyboardInterrupt:
        print(
            f"visagist: stopped, {_summary(done)}; {total - len(done)} to go: "
            "the same command goes on from here",
            file=sys.stderr,
        )
        raise typer.Exit(130) from None
    return done


def _line(outcome: Outcome) -> str:
    count = f"{outcome.faces} face" + ("" if outcome.faces == 1 else "s")
    left = f"; left as they are: {'; '.join(outcome.refused)}" if outcome.refused else ""
    return f"{outcome.target} ({count}{left})"


def _summary(outcomes: list[Outcome]) -> str:
    words = {
        "done": "swapped",
        "skipped": "already there",
        "untouched": "without a face to replace",
        "failed": "failed",
    }
    counts = {status: sum(o.status == status for o in outcomes) for status in words}
    told = [f"{counts[s]} {word}" for s, word in words.items() if counts[s] or s == "done"]
    return ", ".join(told)


def _document(outcomes: list[Outcome]) -> dict[str, Any]:
    return {
        "results": [outcome.as_dict() for outcome in outcomes],
        "done": sum(o.status == "done" for o in outcomes),
        "skipped": sum(o.status == "skipped" for o in outcomes),
        "untouched": sum(o.status == "untouched" for o in outcomes),
        "failed": sum(o.status == "failed" for o in outcomes),
    }
