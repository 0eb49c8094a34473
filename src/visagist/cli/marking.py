"""Where files and marks meet: the one way in which verbs write pictures that a network made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from visagist.cli.output import needs_extra
from visagist.errors import (
    CredentialError,
    InputError,
    MissingExtraError,
    PhotoDamagedError,
    PhotoFormatError,
    PhotoWriteError,
)
from visagist.photo import Limits, Photo
from visagist.photo.exif import clean
from visagist.photo.files import read_bytes, write_atomically
from visagist.photo.formats import for_suffix, sniff
from visagist.provenance import watermark as pixel_mark
from visagist.provenance.claims import Claim, sha256_hex
from visagist.provenance.registry import FILE as REGISTRY_FILE
from visagist.provenance.registry import Entry, Registry, content_id
from visagist.provenance.xmp import packet
from visagist.runtime.store import user_data

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from visagist.photo.encode import Subsampling
    from visagist.provenance.credential import Credential
    from visagist.provenance.inspection import Inspection

__all__ = [
    "EXTRA",
    "MarkReport",
    "can_sign",
    "inspect_file",
    "provenance_folder",
    "require_marks",
    "save_marked",
    "user_credential",
]

EXTRA = "provenance"
_PACKAGES = ("c2pa", "cryptography")


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkReport:
    """How a file was marked.

    Attributes:
        path: the file.
        mark_id: the id that manifest, watermark and registry share, as hexadecimal digits; None
            without a watermark.
        signed: whether a signed manifest is inside.
        watermark: whether the pixels carry the id.
        psnr: decibels between the picture before and after the watermark; None without one.
        warnings: a sentence for each mark that this picture or format cannot carry.
    """

    path: Path
    mark_id: str | None
    signed: bool
    watermark: bool
    psnr: float | None
    warnings: tuple[str, ...] = ()


def provenance_folder() -> Path:
    """Where this machine's certificate and list of marks lie."""
    return user_data() / "provenance"


def can_sign() -> bool:
    """Whether the packages that sign are installed."""
    return all(find_spec(name) is not None for name in _PACKAGES)


def require_marks(format_name: str | None = None, *, credential: Credential | None = None) -> None:
    """Refuse before the work what :func:`save_marked` would refuse after it.

    Args:
        format_name: of the results, where it is known, by the photo room's names.
        credential: whose certificate is going to sign; by default visagist's own.

    Raises:
        MissingExtraError: the extra ``provenance`` is not installed.
        PhotoFormatError: the format holds no signed manifest.
        CredentialError: this machine's certificate cannot be made or read.
    """
    if not can_sign():
        raise MissingExtraError(
            "results are signed, which needs an extra; install it with: "
            f"pip install 'visagist[{EXTRA}]'"
        )
    from visagist.provenance.manifest import MIME

    if format_name is not None and format_name not in MIME:
        raise PhotoFormatError(
            f"results are signed, and {format_name} holds no signature; save as JPEG, PNG or WebP"
        )
    if credential is None:
        _own()


def user_credential(certificate: Path | None, key: Path | None) -> Credential | None:
    """The credential that options ``--certificate`` and ``--key`` name; None without them.

    Raises:
        InputError: only one of them is given.
        MissingExtraError: the extra ``provenance`` is not installed.
        CredentialError: they cannot be used.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise InputError("--certificate and --key belong together; give both or none")
    with needs_extra(EXTRA):
        from visagist.provenance.credential import read_credential

        return read_credential(certificate, key)


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

    Without the extra ``provenance`` a swap is refused; a generated picture is written with its
    watermark and the plain metadata, a made-up one with the plain metadata, and the report warns.

    Args:
        picture: a photo with its new pixels (keeps its transparency, profile and EXIF, without the
            location), or uint8 ``(H, W, 3)`` sRGB.
        path: where to write.
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
        MissingExtraError: a swap without the extra ``provenance``.
        PhotoFormatError: an unknown suffix, or a swap into a format that holds no signature.
        CredentialError: the certificate or its key is missing, expired or open to others.
        SigningError: the certificate or the file was refused.
        RegistryError: the list of marks cannot be written.
        PhotoError: wrong suffix, the file exists, or it cannot be written.
    """
    photo = picture if isinstance(picture, Photo) else Photo.from_array(picture)
    path = Path(path)
    entry = for_suffix(path)
    if path.exists() and not overwrite:
        raise PhotoWriteError(f"{path} exists already: choose another name or allow overwriting.")
    if claim.kind == "swap":
        require_marks(entry.name, credential=credential)
    seen = read_bytes(target, max_bytes=Limits().max_bytes) if isinstance(target, Path) else target
    registry = Registry(provenance_folder() / REGISTRY_FILE)
    mark_id, psnr = None, None
    warnings: list[str] = []
    if watermark and min(photo.width, photo.height) < pixel_mark.SMALLEST_SIDE:
        warnings.append(
            f"no watermark: it needs {pixel_mark.SMALLEST_SIDE} pixels a side, this picture has "
            f"{photo.width} x {photo.height}"
        )
    elif watermark:
        if claim.kind == "generated":  # the same seed gives the same pixels, mark included
            mark_id = content_id(photo.pixels.tobytes(), claim.model_id)
        else:
            mark_id = registry.fresh_id()
        marked = pixel_mark.embed(photo.pixels, mark_id)
        photo, psnr = photo.with_pixels(marked.pixels), marked.psnr
        warnings += marked.warnings
    tool = f"visagist {version('visagist')}"
    photo = replace(
        photo, exif=clean(photo.exif, keep_gps=False), xmp=packet(claim, tool=tool)
    )  # so that only the XMP just made is kept by:
    data = photo.to_bytes(
        entry.name, quality=quality, subsampling=subsampling, lossless=lossless, keep_gps=True
    )
    sign = _signer(entry.name, claim, credential, mark_id, seen)
    if isinstance(sign, str):
        warnings.append(sign)
    else:
        data = sign(data)
    if mark_id is not None:
        registry.add(
            Entry.of(
                mark_id,
                claim,
                target_sha256=None if seen is None else sha256_hex(seen),
                width=photo.width,
                height=photo.height,
            )
        )
    write_atomically(path, data, overwrite=overwrite)
    return MarkReport(
        path=path,
        mark_id=mark_id,
        signed=not isinstance(sign, str),
        watermark=mark_id is not None,
        psnr=psnr,
        warnings=tuple(warnings),
    )


def _signer(
    format_name: str,
    claim: Claim,
    credential: Credential | None,
    mark_id: str | None,
    target: bytes | None,
) -> Callable[[bytes], bytes] | str:
    """What signs the encoded picture, or a sentence that says why nothing does."""
    if not can_sign():
        return f"not signed: that needs an extra, pip install 'visagist[{EXTRA}]'"
    from visagist.provenance.manifest import MIME, sign

    if format_name not in MIME:
        return f"not signed: {format_name} holds no manifest; JPEG, PNG and WebP do"
    try:
        used = credential or _own()
    except CredentialError as error:
        if claim.kind != "makeup":  # makeup is an edit like others, and works where nothing is kept
            raise
        return f"not signed: {error}"
    return lambda data: sign(
        data,
        format_name,
        claim,
        used,
        mark_id=mark_id,
        version=version("visagist"),
        target=target,
        target_format=None if target is None else sniff(target).name,
    )


def _own() -> Credential:
    from visagist.provenance.credential import own_credential

    found = own_credential(provenance_folder())
    assert found is not None  # create is on
    return found


def inspect_file(path: str | Path, *, trust: Path | None = None) -> Inspection:
    """Read the marks of a file: signed manifest, watermark, and what this machine's list knows.

    Args:
        path: a picture.
        trust: certificates in PEM whose signatures are to be called trusted.

    Raises:
        MissingExtraError: the extra ``provenance`` is not installed.
        CredentialError: ``trust`` cannot be read.
        PhotoError: no picture, too large, or damaged and without any trace of a manifest.
    """
    with needs_extra(EXTRA):
        from visagist.provenance.credential import own_credential, read_anchors
        from visagist.provenance.inspection import inspect

    folder = provenance_folder()
    try:
        own = own_credential(folder, create=False)
    except CredentialError:  # expired or open to others: it signs no more, and vouches for nothing
        own = None
    data = read_bytes(Path(path), max_bytes=Limits().max_bytes)
    format_name = sniff(data).name
    damage, photo = None, None
    try:
        photo = Photo.open(data)
    except PhotoDamagedError as error:
        damage = error
    result = inspect(
        data,
        format_name,
        None if photo is None else photo.pixels,
        xmp=None if photo is None else photo.xmp,
        own_anchor=None if own is None else own.anchor,
        anchors=None if trust is None else read_anchors(trust),
        registry=Registry(folder / REGISTRY_FILE),
    )
    if damage is not None and result.manifest is None:
        raise damage
    return result
