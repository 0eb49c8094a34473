"""What a makeup style is: a YAML file with one block for each product.

Colours are the ones the product shows on the reference skin (a medium-light skin in daylight, Lab
66, 14, 18); the retoucher carries them over to the skin and the light of the face at hand. Lengths
are fractions of the width of the eye, strengths run from 0 (absent) to 1.
"""

from __future__ import annotations

import difflib
import re
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from visagist.errors import StyleFileError, UnknownStyleError

__all__ = [
    "Blush",
    "Brows",
    "Contour",
    "Eyeliner",
    "Eyeshadow",
    "Foundation",
    "Highlight",
    "Lashes",
    "LipLiner",
    "Lips",
    "Style",
    "builtin_styles",
    "load_style",
]

MAX_BYTES = 64 * 1024  # a style is about 2 KB; more is not a style

_HEX = re.compile(r"#[0-9a-fA-F]{6}")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")


def _hex(value: str) -> str:
    if not _HEX.fullmatch(value):
        raise ValueError(f"a colour is written #rrggbb in quotes, not {value!r}")
    return value.lower()


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(
            "a name is lower-case letters, digits and hyphens, starts with a letter and is at "
            f"most 40 long, not {value!r}"
        )
    return value


Colour = Annotated[str, AfterValidator(_hex)]
Unit = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Signed = Annotated[float, Field(ge=-1.0, le=1.0, allow_inf_nan=False)]


class _Product(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LipLiner(_Product):
    """A line along the outer edge of the lips."""

    strength: Unit = Field(0.0, description="0..1, how much of the line shows")
    colour: Colour = Field("#7a3a3e", description="#rrggbb; usually darker than the lips")
    width: Unit = Field(0.35, description="0..1 of the thickness of the upper lip")


class Lips(_Product):
    """Lipstick or gloss."""

    strength: Unit = Field(0.8, description="0..1, overall")
    colour: Colour = Field("#b5606a", description="#rrggbb")
    finish: Literal["matte", "satin", "gloss"] = Field(
        "satin", description="matte flattens highlights, satin keeps them, gloss adds to them"
    )
    opacity: Unit = Field(
        0.7, description="0 is a stain that keeps the lips' own lightness, 1 covers it"
    )
    liner: LipLiner = Field(default_factory=LipLiner, description="a line along the outer edge")


class Eyeshadow(_Product):
    """Powder on the lids, built as lid, crease, outer corner and lower lash line."""

    strength: Unit = Field(0.7, description="0..1, overall")
    lid: Colour = Field("#b58a7a", description="#rrggbb on the moving lid")
    crease: Colour = Field("#8a6252", description="#rrggbb in the fold above it")
    outer: Colour = Field("#6e4a40", description="#rrggbb in the outer corner, the darkest")
    lower: Colour = Field("#8a6252", description="#rrggbb under the lower lash line")
    lid_strength: Unit = Field(0.8, description="0..1 of the strength")
    crease_strength: Unit = Field(0.6, description="0..1 of the strength")
    outer_strength: Unit = Field(0.6, description="0..1 of the strength")
    lower_strength: Unit = Field(0.3, description="0..1 of the strength")
    height: Unit = Field(0.5, description="how far up: 0 the lash line, 1 the brow")
    shimmer: Unit = Field(0.0, description="0 matte, 1 a bright lid centre that catches light")


class Eyeliner(_Product):
    """A drawn line along the lashes."""

    strength: Unit = Field(0.8, description="0..1, overall")
    colour: Colour = Field("#1c1616", description="#rrggbb")
    thickness: float = Field(
        0.06, ge=0.01, le=0.2, allow_inf_nan=False, description="of the eye's width, at its widest"
    )
    wing_length: float = Field(
        0.0, ge=0.0, le=0.5, allow_inf_nan=False, description="of the eye's width, past the corner"
    )
    wing_angle: float = Field(
        25.0, ge=0.0, le=60.0, allow_inf_nan=False, description="degrees above the eye's axis"
    )
    lower: Unit = Field(0.0, description="0..1, the same line under the eye, thinner")
    smudge: Unit = Field(0.1, description="0 a crisp pen, 1 a smoked pencil")


class Lashes(_Product):
    """Mascara or false lashes."""

    strength: Unit = Field(0.6, description="0..1, overall")
    colour: Colour = Field("#141010", description="#rrggbb")
    length: float = Field(
        0.2, ge=0.0, le=0.4, allow_inf_nan=False, description="of the eye's width, the longest"
    )
    lower: Unit = Field(0.2, description="0..1, darkness of the lower lashes")


class Brows(_Product):
    """Brow powder and pencil."""

    strength: Unit = Field(0.5, description="0..1, overall")
    colour: Colour = Field("#4a352b", description="#rrggbb")
    fill: Unit = Field(0.5, description="0 tints the hairs, 1 fills the gaps between them")


class Blush(_Product):
    """Colour on the cheeks."""

    strength: Unit = Field(0.5, description="0..1, overall")
    colour: Colour = Field("#d8787c", description="#rrggbb")
    placement: Literal["apples", "cheekbones", "draped", "sunkissed"] = Field(
        "cheekbones",
        description="round on the cheeks, swept to the temple, up to the eyes, or over the nose",
    )
    size: float = Field(
        1.0, ge=0.5, le=1.6, allow_inf_nan=False, description="of the usual patch, linear"
    )


class Contour(_Product):
    """Shade under the cheekbones, along the jaw, at the temples and beside the nose."""

    strength: Unit = Field(0.4, description="0..1, overall")
    colour: Colour = Field("#8f6a55", description="#rrggbb")


class Highlight(_Product):
    """Light on cheekbones, nose bridge, brow bone, cupid's bow and inner eye corners."""

    strength: Unit = Field(0.4, description="0..1, overall")
    colour: Colour = Field("#fbe6d2", description="#rrggbb")


class Foundation(_Product):
    """Evens the skin; texture stays."""

    strength: Unit = Field(0.6, description="0..1, overall")
    evenness: Unit = Field(0.5, description="0 leaves blotches, 1 evens them out")
    warmth: Signed = Field(0.0, description="-1 rosier, 1 more golden")
    lightness: Signed = Field(0.0, description="-1 deeper, 1 lighter, by about 6 units of L")


class Style(_Product):
    """A whole look. A block that is left out is not applied."""

    version: Literal[1] = Field(1, description="of this format")
    name: Annotated[str, AfterValidator(_name)] = Field(description="lower-case, as the file")
    description: str = Field("", max_length=200, description="one line for a person")
    lips: Lips = Field(default_factory=lambda: Lips(strength=0.0))
    eyeshadow: Eyeshadow = Field(default_factory=lambda: Eyeshadow(strength=0.0))
    eyeliner: Eyeliner = Field(default_factory=lambda: Eyeliner(strength=0.0))
    lashes: Lashes = Field(default_factory=lambda: Lashes(strength=0.0))
    brows: Brows = Field(default_factory=lambda: Brows(strength=0.0))
    blush: Blush = Field(default_factory=lambda: Blush(strength=0.0))
    contour: Contour = Field(default_factory=lambda: Contour(strength=0.0))
    highlight: Highlight = Field(default_factory=lambda: Highlight(strength=0.0))
    foundation: Foundation = Field(default_factory=lambda: Foundation(strength=0.0))


@lru_cache(maxsize=1)
def builtin_styles() -> tuple[str, ...]:
    """Names of the styles in the package, from the lightest look to the strongest."""
    folder = resources.files(__package__).joinpath("styles")
    found = {p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.endswith(".yaml")}
    return tuple(n for n in _ORDER if n in found) + tuple(sorted(found - set(_ORDER)))


_ORDER = (
    "bare", "peach", "rosewood", "coral", "bronze", "berry", "classic", "plum", "smoky", "electric",
)  # fmt: skip


def load_style(name_or_path: str | Path) -> Style:
    """A style by the name of a built-in one, or from a YAML file.

    Args:
        name_or_path: a name such as ``rosewood``, or a path: anything with a folder or a
            ``.yaml`` or ``.yml`` ending.

    Raises:
        UnknownStyleError: no built-in style has this name; the message gives the nearest.
        StyleFileError: the file cannot be read, is too large, is not YAML, or has a wrong field.
    """
    text = str(name_or_path)
    path = Path(name_or_path)
    if isinstance(name_or_path, Path) or path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        return _parse(_read(path), str(path))
    if text not in builtin_styles():
        near = difflib.get_close_matches(text.lower(), builtin_styles(), n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else "try one of them."
        raise UnknownStyleError(
            f"no style is called {text!r}; {hint} Styles: {', '.join(builtin_styles())}. "
            "A style of your own is given as a path ending in .yaml."
        )
    return _builtin(text)


@lru_cache(maxsize=64)
def _builtin(name: str) -> Style:
    file = resources.files(__package__).joinpath("styles", f"{name}.yaml")
    return _parse(file.read_bytes(), f"{name}.yaml")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise StyleFileError(f"cannot read the style file {path}: {reason}.") from error
    if len(data) > MAX_BYTES:
        raise StyleFileError(f"{path} is larger than {MAX_BYTES} bytes; that is not a style file.")
    return data


def _parse(data: bytes, where: str) -> Style:
    try:
        content: Any = yaml.safe_load(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise StyleFileError(f"{where} is not UTF-8 text.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" near line {mark.line + 1}" if mark is not None else ""
        raise StyleFileError(f"{where} is not valid YAML{line}.") from error
    if not isinstance(content, dict):
        raise StyleFileError(f"{where} must hold fields such as 'name:' and 'lips:'.")
    try:
        return Style.model_validate(content)
    except ValidationError as error:
        raise StyleFileError(f"{where}: {_one_line(error)}") from error


def _one_line(error: ValidationError) -> str:
    """The first complaint of pydantic as one sentence that names the field."""
    first = error.errors(include_url=False)[0]
    place = [str(part) for part in first["loc"]]
    field = ".".join(place)
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(place[-1], _known_fields(place[:-1]), n=1, cutoff=0.5)
        return f"unknown field '{field}'" + (f"; did you mean '{near[0]}'?" if near else ".")
    if first["type"] == "missing":
        return f"the field '{field}' is missing."
    message = first["msg"].removeprefix("Value error, ")
    value = first["input"]
    plain = isinstance(value, str | int | float | bool) and "not '" not in message
    given = f" (it is {str(value)[:40]})" if plain else ""
    return f"field '{field}': {message[:1].lower()}{message[1:]}{given}."


def _known_fields(place: list[str]) -> list[str]:
    model: type[BaseModel] = Style
    for part in place:
        field = model.model_fields.get(part)
        annotation = field.annotation if field is not None else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)
