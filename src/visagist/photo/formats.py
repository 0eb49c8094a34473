"""The formats that may pass the door: their first bytes, suffixes and what they can hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from visagist.errors import MissingExtraError, PhotoFormatError

__all__ = ["FORMATS", "SUFFIXES", "Format", "for_suffix", "load_heic", "named", "sniff"]


@dataclass(frozen=True, slots=True)
class Format:
    """One format.

    Attributes:
        name: as shown to users and in ``Photo.format``.
        pillow: name of the Pillow plugin that reads and writes it.
        suffixes: lower case, with the dot; the first is the usual one.
        has_alpha: whether saved files can be transparent.
    """

    name: str
    pillow: str
    suffixes: tuple[str, ...]
    has_alpha: bool


FORMATS = (
    Format("JPEG", "JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), has_alpha=False),
    Format("PNG", "PNG", (".png",), has_alpha=True),
    Format("WebP", "WEBP", (".webp",), has_alpha=True),
    Format("AVIF", "AVIF", (".avif",), has_alpha=True),
    Format("TIFF", "TIFF", (".tif", ".tiff"), has_alpha=True),
    Format("BMP", "BMP", (".bmp",), has_alpha=False),
    Format("HEIC", "HEIF", (".heic", ".heif"), has_alpha=True),
)
SUFFIXES = tuple(suffix for entry in FORMATS for suffix in entry.suffixes)

_BY_SUFFIX = {suffix: entry for entry in FORMATS for suffix in entry.suffixes}
_BY_NAME = {entry.name.lower(): entry for entry in FORMATS}
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_MAGIC = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),  # BigTIFF
    (b"MM\x00+", "tiff"),
    (b"BM", "bmp"),
)
# Common files that are pictures, or look like one to their owner, named in the refusal.
_KNOWN_OTHERS = (
    (b"GIF8", "a GIF"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"8BPS", "a Photoshop file"),
    (b"%PDF", "a PDF"),
    (b"%!PS", "a PostScript file"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL"),
    (b"\xff\x0a", "a JPEG XL"),
    (b"<svg", "an SVG drawing"),
    (b"<", "a web page or XML"),
)


def sniff(data: bytes) -> Format:
    """The format by the first bytes; the suffix of a file is never believed.

    Raises:
        PhotoFormatError: empty, or not one of ``FORMATS``.
    """
    if not data:
        raise PhotoFormatError("The file is empty (0 bytes). Copy or download it again.")
    name = _name_of(data[:256])
    if name is not None:
        return _BY_NAME[name]
    other = next((text for magic, text in _KNOWN_OTHERS if data.startswith(magic)), None)
    what = f"This is {other}, not a picture of an allowed format" if other else "Not a picture"
    raise PhotoFormatError(f"{what}: convert it to one of {_names()} first.")


def for_suffix(path: Path) -> Format:
    """The format to save under this file name.

    Raises:
        PhotoFormatError: the suffix is missing or unknown; the message names the allowed ones.
    """
    entry = _BY_SUFFIX.get(path.suffix.lower())
    if entry is None:
        given = f"the suffix {path.suffix!r}" if path.suffix else "no suffix"
        raise PhotoFormatError(f"{path.name!r} has {given}: use one of {', '.join(SUFFIXES)}.")
    return entry


def named(name: str) -> Format:
    """The format of this name ("jpeg", "PNG") or suffix without its dot ("jpg"), any case.

    Raises:
        PhotoFormatError: no allowed format is called this.
    """
    key = name.lower().removeprefix(".")
    entry = _BY_NAME.get(key) or _BY_SUFFIX.get("." + key)
    if entry is None:
        raise PhotoFormatError(f"Unknown photo format {name!r}: use one of {_names()}.")
    return entry


def load_heic() -> None:
    """Teach Pillow HEIC.

    Raises:
        MissingExtraError: pillow-heif is not installed.
    """
    try:
        from pillow_heif import register_heif_opener  # noqa: PLC0415  (optional, slow to import)
    except ImportError as error:
        raise MissingExtraError(
            'HEIC photos need an extra: pip install "visagist[heic]", or convert to JPEG first.'
        ) from error
    register_heif_opener(thumbnails=False)


def _name_of(head: bytes) -> str | None:
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        return _name_of_brands(head)
    return next((name for magic, name in _MAGIC if head.startswith(magic)), None)


def _name_of_brands(head: bytes) -> str | None:
    """AVIF or HEIC by the brands in the ``ftyp`` box (ISO/IEC 14496-12, section 4.3)."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))}
    if brands & _AVIF_BRANDS:
        return "avif"
    return "heic" if brands & _HEIC_BRANDS else None


def _names() -> str:
    return ", ".join(entry.name for entry in FORMATS)
