"""Tiny face models that run anywhere.

    from visagist import Makeup, Photo
    result = Makeup.from_pretrained().apply(Photo.open("me.jpg"), style="rosewood")
    result.photo.save("me-rosewood.jpg")

Names are imported when they are first used, so that ``import visagist`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from visagist import errors
    from visagist.cli.marking import inspect_file, save_marked
    from visagist.face.find import find_faces
    from visagist.face.types import Face
    from visagist.gallery.gallery import Gallery
    from visagist.generation.inference import Generator
    from visagist.makeup.inference import Makeup
    from visagist.makeup.style import Style, load_style
    from visagist.photo import Photo
    from visagist.provenance.claims import Claim
    from visagist.recognition.inference import Recognizer
    from visagist.swap.inference import Swapper

    __version__: str

__all__ = [
    "Claim",
    "Face",
    "Gallery",
    "Generator",
    "Makeup",
    "Photo",
    "Recognizer",
    "Style",
    "Swapper",
    "__version__",
    "errors",
    "find_faces",
    "inspect_file",
    "load_style",
    "save_marked",
]

_HOMES = {
    "Claim": "visagist.provenance.claims",
    "Face": "visagist.face.types",
    "Gallery": "visagist.gallery.gallery",
    "Generator": "visagist.generation.inference",
    "Makeup": "visagist.makeup.inference",
    "Photo": "visagist.photo",
    "Recognizer": "visagist.recognition.inference",
    "Style": "visagist.makeup.style",
    "Swapper": "visagist.swap.inference",
    "find_faces": "visagist.face.find",
    "inspect_file": "visagist.cli.marking",
    "load_style": "visagist.makeup.style",
    "save_marked": "visagist.cli.marking",
}
_EXTRAS = {"Gallery": "gallery"}
"""Names that need more than running networks does."""


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562).

    Raises:
        MissingExtraError: the name needs an extra that is not installed.
    """
    value: object
    if name in _HOMES:
        try:
            value = getattr(import_module(_HOMES[name]), name)
        except ModuleNotFoundError as error:
            if name not in _EXTRAS or str(error.name).partition(".")[0] == __name__:
                raise
            missing = import_module("visagist.errors").MissingExtraError
            raise missing(
                f"{name} needs the package {error.name}; "
                f"install it with: pip install 'visagist[{_EXTRAS[name]}]'"
            ) from error
    elif name == "errors":
        value = import_module("visagist.errors")
    elif name == "__version__":
        value = import_module("importlib.metadata").version("visagist")
    else:
        raise AttributeError(f"module 'visagist' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
