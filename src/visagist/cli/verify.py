"""``visagist verify``: do two photos show one person?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visagist.cli.output import Json, print_json
from visagist.errors import FaceError, PhotoError

if TYPE_CHECKING:
    from visagist.recognition.inference import Recognizer, Template, Verification

__all__ = ["DIFFERENT", "verify"]

DIFFERENT = 10
"""Exit code of the answer "different"; no error has it, so scripts can tell the two apart."""


def verify(
    a: Annotated[Path, typer.Argument(metavar="A", help="A photo.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another photo.")],
    far: Annotated[
        float,
        typer.Option(
            metavar="RATE", help="Share of pairs of different people that may be called the same."
        ),
    ] = 1e-3,
    pick_a: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Which face of A; 0 is the largest.")
    ] = None,
    pick_b: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Which face of B; 0 is the largest.")
    ] = None,
    gate: Annotated[bool, typer.Option("--gate/--no-gate", help="Refuse poor pictures.")] = True,
    extrapolate: Annotated[
        bool,
        typer.Option("--extrapolate", help="Estimate where the calibration's data do not reach."),
    ] = False,
    calibration: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Of `visagist calibrate`; by default yours or the model's own.",
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="Name or folder of the model.")] = "recognizer",
    flip: Annotated[
        bool,
        typer.Option("--flip", help="Average with the mirrored view; has its own calibration."),
    ] = False,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads for the network.")] = 1,
    as_json: Json = False,
) -> None:
    """Say whether two photos show one person, and what that answer is worth.

    Ends with 0 for the same person, 10 for different people, and another code for an error.
    """
    from visagist.recognition.calibration_store import read_calibration
    from visagist.recognition.inference import Recognizer
    from visagist.runtime.store import open_model

    own = None if calibration is None else read_calibration(calibration)
    recognizer = Recognizer(open_model(model), threads=threads, flip=flip, calibration=own)
    _ = recognizer.calibration  # a model without one is told before the photos are read
    one = _template(recognizer, a, pick_a, "--pick-a", gate=gate)
    other = _template(recognizer, b, pick_b, "--pick-b", gate=gate)
    answer = recognizer.verify(one, other, far=far, extrapolate=extrapolate)
    if as_json:
        print_json(_document(answer, recognizer.model_id, {"a": (a, one), "b": (b, other)}))
    else:
        print(_words(answer))
    if not answer.same:
        raise typer.Exit(DIFFERENT)


def _template(
    recognizer: Recognizer, path: Path, pick: int | None, option: str, *, gate: bool
) -> Template:
    """The face of one of two photos; an error says of which, and how a face is picked."""
    from visagist.errors import FaceChoiceError
    from visagist.photo import Photo

    try:
        return recognizer.template(Photo.open(path), pick=pick, gate=gate)
    except (FaceError, PhotoError) as error:
        hint = f"; pick one with {option} N" if isinstance(error, FaceChoiceError) else ""
        # those of a path that is no photo name it themselves
        where = "" if str(path) in str(error) else f"{path}: "
        error.args = (f"{where}{error}{hint}",)
        raise


def _words(answer: Verification) -> str:
    decision, above = ("same", "at or above") if answer.same else ("different", "below")
    low, high = answer.far_interval
    how = {
        "measured": f"measured on {answer.data}",
        "independence": f"computed from {answer.data}",
        "extrapolated": f"ESTIMATED beyond what {answer.data} show; not a promise",
    }[answer.method]
    missed = ""
    if answer.tar is not None:
        missed = f"\n{1 - answer.tar:.1%} of pairs of one person's pictures are missed there"
    return (
        f"{decision}: score {answer.score:.3f} is {above} the threshold {answer.threshold:.3f}\n"
        f"false accepts at this threshold: {answer.far:.3g} wanted, 95 % interval {low:.2g} to "
        f"{high:.2g}, {how}{missed}"
    )


def _document(
    answer: Verification, model_id: str, faces: dict[str, tuple[Path, Template]]
) -> dict[str, Any]:
    from visagist.recognition.batch import rounded

    document: dict[str, Any] = {
        "decision": "same" if answer.same else "different",
        "same": answer.same,
        "score": round(answer.score, 6),
        "threshold": answer.threshold,
        "far": answer.far,
        "far_low": answer.far_interval[0],
        "far_high": answer.far_interval[1],
        "tar": answer.tar,
        "method": answer.method,
        "calibration": answer.data,
        "model_id": model_id,
    }
    for name, (path, template) in faces.items():
        box = [round(v, 1) for v in template.face.detection.box]
        document[name] = {"photo": str(path), "box": box, "quality": rounded(template.quality)}
    return document
