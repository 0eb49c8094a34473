"""What the verbs about galleries share: options, the gallery, the model, the dates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visagist.cli.output import needs_extra
from visagist.errors import InputError, ModelMismatchError, VisagistError

if TYPE_CHECKING:
    from visagist.gallery.gallery import Gallery
    from visagist.gallery.types import Person
    from visagist.recognition.calibration import Threshold
    from visagist.recognition.inference import Recognizer

Place = Annotated[str, typer.Argument(metavar="GALLERY", help="File, or milvus://HOST/NAME.")]
Key = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Key file; by default the key in $VISAGIST_GALLERY_KEY itself."
    ),
]
Model = Annotated[str, typer.Option(help="Name or folder of the recognition model.")]
Inputs = Annotated[list[str], typer.Argument(metavar="INPUT...", help="Photos, folders, globs.")]
Gate = Annotated[bool, typer.Option("--gate/--no-gate", help="Refuse poor pictures.")]
Threads = Annotated[int, typer.Option(min=1, max=64, help="Threads for the networks.")]
CalibrationFile = Annotated[
    Path | None,
    typer.Option(
        "--calibration",
        metavar="FILE",
        help="Of `visagist calibrate`; by default yours or the model's own.",
    ),
]


@contextmanager
def opened_gallery(place: str, key: Path | None) -> Iterator[Gallery]:
    """An existing gallery, closed afterwards."""
    with needs_extra("gallery"):
        from visagist.gallery.crypto import read_key
        from visagist.gallery.gallery import Gallery

    with Gallery.open(place, key=read_key(key)) as gallery:
        yield gallery


def recognizer_of(model: str, gallery: Gallery | None = None, threads: int = 1) -> Recognizer:
    """The model, told at once if it is not the gallery's."""
    from visagist.recognition.inference import Recognizer

    recognizer = Recognizer.from_pretrained(model, threads=threads)
    if gallery is not None and recognizer.model_id != gallery.model_id:
        raise ModelMismatchError(
            f"{gallery.place} holds vectors of {gallery.model_id}, this model is "
            f"{recognizer.model_id}; give --model, or go over with `visagist gallery migrate`"
        )
    return recognizer


def calibrated(
    recognizer: Recognizer, path: Path | None, fpir: float, size: int, *, extrapolate: bool
) -> Threshold:
    """The threshold for an FPIR in a gallery of so many people.

    Raises:
        CalibrationError: there is no calibration, or its data cannot show this rate.
    """
    from visagist.recognition.calibration_store import read_calibration

    calibration = (
        recognizer.calibration
        if path is None
        else read_calibration(path, model_id=recognizer.model_id)
    )
    return calibration.threshold(fpir=fpir, gallery_size=size, extrapolate=extrapolate)


def parse_date(text: str) -> date | None:
    """``2027-11-30``, ``365d`` from today, or ``never``.

    Raises:
        InputError: it is none of these.
    """
    if text == "never":
        return None
    try:
        if text.endswith("d") and text[:-1].isascii() and text[:-1].isdigit():
            return date.today() + timedelta(days=int(text[:-1]))
        return date.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"--retain-until is a date (2027-11-30), days from now (365d) or never, not {text!a}"
        ) from error


def person_fields(person: Person) -> dict[str, Any]:
    """For JSON."""
    return asdict(person) | {
        "retain_until": person.retain_until.isoformat() if person.retain_until else None,
        "enrolled": person.enrolled.isoformat(),
        "expired": person.expired(date.today()),
    }


def error_fields(error: VisagistError) -> dict[str, str]:
    """For JSON."""
    return {"type": type(error).__name__, "message": str(error)}
