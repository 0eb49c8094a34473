"""Where calibrations lie: in a model's folder, and in the user's own."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from visagist.errors import CalibrationError, VisagistError
from visagist.photo.files import write_atomically
from visagist.recognition.calibration import Calibration
from visagist.runtime.manifest import write_manifest
from visagist.runtime.store import ModelFiles, user_data

FILE = "calibration.json"
"""Name of a calibration inside a model folder."""

_MAX_BYTES = 16 * 2**20


def read_calibration(path: Path, *, model_id: str | None = None) -> Calibration:
    """Read a calibration file.

    Args:
        path: the file.
        model_id: the model that is going to use it.

    Raises:
        CalibrationError: it cannot be read, or was made for another model.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise CalibrationError(f"{path} is too large to be a calibration")
        data = path.read_bytes()
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be read ({error.strerror})") from error
    return parse_calibration(data, str(path), model_id=model_id)


def parse_calibration(data: bytes, where: str, *, model_id: str | None = None) -> Calibration:
    """Check the bytes of a calibration file.

    Raises:
        CalibrationError: they are none, or of another model.
    """
    try:
        calibration = Calibration.model_validate_json(data)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        field = ".".join(map(str, problem["loc"])) or "file"
        raise CalibrationError(
            f"{where} is no calibration ({field}: {problem['msg']}); run `visagist calibrate`"
        ) from error
    if model_id is not None:
        require_model(calibration, model_id, where)
    return calibration


def require_model(calibration: Calibration, model_id: str, where: str) -> None:
    """Refuse a calibration of another model.

    Raises:
        CalibrationError: it is one.
    """
    if calibration.model_id != model_id:
        raise CalibrationError(
            f"{where} was made for the model {calibration.model_id}, this is {model_id}: scores of "
            "two models cannot be compared; run `visagist calibrate` with this one"
        )


def user_calibration(model_id: str) -> Path:
    """Where the user's own calibration of a model lies, if there is one."""
    return user_data() / "calibrations" / f"{model_id}.json"


def find_calibration(model: ModelFiles, model_id: str) -> Calibration:
    """The user's own calibration of a model, else the one that came with it.

    Raises:
        CalibrationError: there is none, it cannot be read, or it is of another model.
    """
    own = user_calibration(model_id)
    if own.is_file():
        return read_calibration(own, model_id=model_id)
    if FILE in model.manifest.files:
        where = str(model.path / FILE)
        return parse_calibration(model.read(FILE), where, model_id=model_id)
    raise CalibrationError(
        f"the model {model_id} has no calibration, so no threshold is known for it; make one with "
        "`visagist calibrate DIR`"
    )


def write_calibration(calibration: Calibration, path: Path) -> None:
    """Write a calibration file, whole or not at all, over an older one.

    Raises:
        VisagistError: the folder or the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VisagistError(f"cannot make the folder {path.parent} ({error.strerror})") from error
    write_atomically(path, calibration.model_dump_json().encode() + b"\n", overwrite=True)


def add_to_model(calibration: Calibration, model: ModelFiles) -> None:
    """Store a calibration in the folder of its model, and list it in the manifest.

    Raises:
        VisagistError: the folder cannot be written.
    """
    write_calibration(calibration, model.path / FILE)
    facts = model.manifest
    write_manifest(
        model.path,
        name=facts.name,
        version=facts.version,
        licence=facts.licence,
        created_by=facts.created_by,
    )
