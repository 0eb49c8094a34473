"""Every error that visagist raises on purpose. Each message says what is wrong and what to do.

The tree::

    VisagistError
    ├── PhotoError                   pictures in and out
    │   ├── PhotoFormatError         not an allowed format
    │   ├── PhotoTooLargeError       over the limit on bytes or pixels
    │   ├── PhotoDamagedError        truncated or corrupt
    │   └── PhotoWriteError          the result could not be written
    ├── FaceError                    faces in a photo
    │   ├── NoFaceError              no face was found
    │   ├── FaceChoiceError          the face asked for does not exist, or none was asked for
    │   └── PoorPictureError         too small, blurred, dark, turned or covered to be recognised
    ├── PairError                    before and after photos that a style is learned from
    │   ├── PairFaceError            nobody, several people, or a face that the edge cuts
    │   ├── NotSamePhotoError        two people, or two photos of one person
    │   └── NoChangeError            the after-picture has no makeup that the other lacks
    ├── StyleError                   makeup styles
    │   ├── UnknownStyleError        no style of this name (names the nearest)
    │   └── StyleFileError           a style file with a wrong field (names it)
    ├── ModelError                   model files
    │   ├── ModelMissingError        not there
    │   ├── ModelDamagedError        does not match its manifest
    │   └── ParityError              an export computes something else than the trained network
    ├── CalibrationError             no threshold can be promised from the data there are
    ├── GalleryError                 galleries of enrolled people
    │   ├── GalleryMissingError      there is no gallery, or there is one already
    │   ├── GalleryKeyError          the key is missing, unsafe or of another gallery
    │   ├── GalleryDamagedError      torn, tampered with, or not a gallery
    │   ├── GalleryWriteError        it cannot be written; it is as it was before
    │   ├── GalleryConflictError     another process wrote first, and too often
    │   ├── GalleryServerError       its server does not answer, or not in time
    │   ├── GalleryAccessError       its server does not let us in
    │   ├── ModelMismatchError       vectors of one model in a gallery of another
    │   ├── DuplicatePersonError     the person is in the gallery already, maybe under another name
    │   ├── UnknownPersonError       nobody of this name is in the gallery
    │   └── ExpiredPersonError       the person's retention date has passed
    ├── ProvenanceError              marks that say how a picture was made
    │   ├── CredentialError          the certificate or key that signs is missing, open or expired
    │   ├── RegistryError            the list of marks cannot be written or read
    │   └── SigningError             the manifest could not be signed into the file
    ├── DivergedError                a training's loss is not finite
    ├── NoMemoryError                a training's step does not fit into memory
    ├── DiskFullError                a disk has no room; what was finished is kept
    ├── DataError                    training and evaluation data
    ├── ConfigError                  a recipe or config with a wrong field (names it)
    ├── InputError                   arguments that do not fit together
    └── MissingExtraError            an optional dependency is not installed (names the extra)

Every class has an ``exit_code`` for the command line; docs/cli.md lists them.
"""

from __future__ import annotations

__all__ = [
    "CalibrationError",
    "ConfigError",
    "CredentialError",
    "DataError",
    "DiskFullError",
    "DivergedError",
    "DuplicatePersonError",
    "ExpiredPersonError",
    "FaceChoiceError",
    "FaceError",
    "GalleryAccessError",
    "GalleryConflictError",
    "GalleryDamagedError",
    "GalleryError",
    "GalleryKeyError",
    "GalleryMissingError",
    "GalleryServerError",
    "GalleryWriteError",
    "InputError",
    "MissingExtraError",
    "ModelDamagedError",
    "ModelError",
    "ModelMismatchError",
    "ModelMissingError",
    "NoChangeError",
    "NoFaceError",
    "NoMemoryError",
    "NotSamePhotoError",
    "PairError",
    "PairFaceError",
    "ParityError",
    "PhotoDamagedError",
    "PhotoError",
    "PhotoFormatError",
    "PhotoTooLargeError",
    "PhotoWriteError",
    "PoorPictureError",
    "ProvenanceError",
    "RegistryError",
    "SigningError",
    "StyleError",
    "StyleFileError",
    "UnknownPersonError",
    "UnknownStyleError",
    "VisagistError",
]


class VisagistError(Exception):
    """Base of every error raised on purpose.

    ``exit_code`` is what the command line returns when this error ends it.
    """

    exit_code: int = 1


class InputError(VisagistError):
    """Arguments that are wrong or do not fit together."""

    exit_code = 2


class ConfigError(VisagistError):
    """A recipe or configuration with a missing, unknown or wrong field; the message names it."""

    exit_code = 2


class MissingExtraError(VisagistError):
    """An optional dependency is needed and not installed; the message names the extra."""

    exit_code = 5


class PhotoError(VisagistError):
    """A picture that cannot be read or written."""

    exit_code = 3


class PhotoFormatError(PhotoError):
    """The bytes are not a picture of an allowed format."""


class PhotoTooLargeError(PhotoError):
    """The picture is over the limit on bytes or pixels."""


class PhotoDamagedError(PhotoError):
    """The picture is truncated or corrupt."""


class PhotoWriteError(PhotoError):
    """The result could not be written; nothing half-written is left behind."""


class FaceError(VisagistError):
    """A problem with the faces in a photo."""

    exit_code = 4


class NoFaceError(FaceError):
    """No face was found in the photo."""


class FaceChoiceError(FaceError):
    """The face that was asked for does not exist, or there are several and none was asked for."""


class PoorPictureError(FaceError):
    """The face is too poorly visible to be recognised; ``reason`` is a short name for why."""

    def __init__(self, message: str, *, reason: str = "poor") -> None:
        super().__init__(message)
        self.reason = reason


class PairError(VisagistError):
    """A before/after pair that nothing can be learned from; ``reason`` is a short name for why."""

    exit_code = 3

    def __init__(self, message: str, *, reason: str = "pair") -> None:
        super().__init__(message)
        self.reason = reason


class PairFaceError(PairError):
    """A photo of the pair shows nobody, several people, or a face that its edge cuts."""


class NotSamePhotoError(PairError):
    """The photos are not one photo before and after: two people, or two photos of one person."""


class NoChangeError(PairError):
    """The after-picture differs from the other by no makeup."""


class StyleError(VisagistError):
    """A problem with a makeup style."""

    exit_code = 2


class UnknownStyleError(StyleError):
    """No style, or no region, has this name; the message gives the nearest one."""


class StyleFileError(StyleError):
    """A style file cannot be read or has a wrong field; the message names the field."""


class ModelError(VisagistError):
    """A problem with a model file."""

    exit_code = 6


class ModelMissingError(ModelError):
    """The model, or one of its files, is not there."""


class ModelDamagedError(ModelError):
    """A model file does not match the size or SHA-256 in its manifest, or is not safe to load."""


class ParityError(ModelError):
    """An exported network does not compute what the trained one does."""


class CalibrationError(VisagistError):
    """The calibration is missing, of another model, or its data cannot show what is asked for."""

    exit_code = 7


class GalleryError(VisagistError):
    """A problem with a gallery of enrolled people."""

    exit_code = 8


class GalleryMissingError(GalleryError):
    """There is no gallery where one is needed, or one where a new one should go."""


class GalleryKeyError(GalleryError):
    """The key is missing, readable by others, malformed, or of another gallery."""


class GalleryDamagedError(GalleryError):
    """The gallery is torn, was changed without its key, or is something else."""


class GalleryWriteError(GalleryError):
    """The gallery cannot be written; it is as it was before."""


class GalleryConflictError(GalleryError):
    """Another process has written to the gallery since it was read."""


class GalleryServerError(GalleryError):
    """The server that keeps the gallery does not answer, not in time, or with an error."""


class GalleryAccessError(GalleryError):
    """The server that keeps the gallery refuses the token."""


class ModelMismatchError(GalleryError):
    """A vector of one model meets a gallery of another; their numbers cannot be compared."""


class DuplicatePersonError(GalleryError):
    """The person is enrolled already, under this name or, by their face, under another."""


class UnknownPersonError(GalleryError):
    """Nobody of this name is enrolled; the message gives the nearest name."""


class ExpiredPersonError(GalleryError):
    """The person's retention date has passed; nothing may be added to them."""


class ProvenanceError(VisagistError):
    """A problem with the marks that say how a picture was made; no unmarked file was written."""

    exit_code = 9


class CredentialError(ProvenanceError):
    """The certificate or key that signs is missing, unreadable, open to others, or expired."""


class RegistryError(ProvenanceError):
    """The list of marks cannot be written or read."""


class SigningError(ProvenanceError):
    """The manifest could not be signed into the file."""


class DivergedError(VisagistError):
    """The loss of a training is not finite; the last good checkpoint is kept."""


class NoMemoryError(VisagistError):
    """A step of a training does not fit into memory; the message says what to change."""


class DiskFullError(VisagistError):
    """A disk has no room for what is being made; what was finished is kept, so it can go on."""

    exit_code = 3


class DataError(VisagistError):
    """Training or evaluation data that is missing, unreadable or inconsistent."""

    exit_code = 3
