"""The layouts by name, how one is recognised, and how a source is opened."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from visagist.corpus.sample import Origin
from visagist.corpus.sources import (
    celeba,
    celeba_hq,
    ffhq,
    folder,
    identities,
    imagenet,
    labelled_tree,
    lfw,
    mt,
    pairs,
    webdataset,
)
from visagist.corpus.sources.config import SourceConfig
from visagist.corpus.sources.layout import Layout, Picture
from visagist.corpus.sources.source import Source, SourceItem, printable
from visagist.corpus.sources.walk import list_names
from visagist.errors import DataError, InputError

_MODULES = (
    folder,
    identities,
    pairs,
    labelled_tree,
    webdataset,
    ffhq,
    celeba,
    celeba_hq,
    mt,
    lfw,
    imagenet,
)
LAYOUTS: dict[str, Layout] = {module.LAYOUT.name: module.LAYOUT for module in _MODULES}

# One letter before the colon is a drive of Windows, not a layout.
_SPEC = re.compile(r"([a-z][a-z0-9-]+):(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class OpenedSource:
    """A folder or file with a layout and the rules of a recipe: a :class:`Source`."""

    name: str
    reader: Layout
    root: Path
    config: SourceConfig

    @property
    def layout(self) -> str:
        """Name of the layout."""
        return self.reader.name

    @property
    def licence(self) -> str:
        """What holds for pictures that say nothing else."""
        given = self.config.licence
        return self.reader.terms.licence if given is None else given

    def describe(self) -> dict[str, object]:
        """Name, layout and rules as JSON, without the place on this machine."""
        rules = self.config.model_dump(mode="json", exclude={"path", "name", "layout"})
        return {"name": self.name, "layout": self.layout, **rules, "licence": self.licence}

    def items(self) -> Iterator[SourceItem]:
        """Every item in a fixed order, listed lazily; names are unique.

        Raises:
            DataError: no picture, or a file that the layout cannot do without is missing.
        """
        base = str(self.root if self.root.is_dir() else self.root.parent)
        empty = True
        for picture in self.reader.read(self.root, self.config.folders):
            item = self._item(picture, base)
            empty = empty and item.problem is not None and item.problem[0] == "metadata"
            yield item
        if empty:
            where = " ".join(map(printable, (str(self.root), *self.config.folders)))
            raise DataError(f"{where}: no picture here (read as {self.layout})")

    def _item(self, picture: Picture, base: str) -> SourceItem:
        config = self.config
        people = config.people or self.reader.people or self.name
        split = picture.split or config.only_split or ""
        origin = Origin(
            source=self.name,
            item=picture.name,
            identity=f"{people}/{picture.identity}" if picture.identity else "",
            kind=config.kind or picture.kind or "photo",
            # what the recipe says wins over the picture, which wins over its set
            licence=picture.licence if config.licence is None and picture.licence else self.licence,
            generator=picture.generator,
            uses=self._uses(picture),
            may_show=config.may_show,
            split=split,
        )
        item = SourceItem(
            origin,
            base,
            picture.path,
            picture.offset,
            picture.length,
            picture.given,
            picture.facts,
            picture.problem,
        )
        if picture.problem is None and picture.generator in config.without_generators:
            return item.left_out("excluded", f"the recipe leaves out {picture.generator}")
        if picture.problem is None and config.only_split and split != config.only_split:
            return item.left_out(
                "excluded", f"in {split}, and the recipe wants {config.only_split} only"
            )
        return item

    def _uses(self, picture: Picture) -> tuple[str, ...]:
        """A recipe may go beyond a set's terms, but never beyond what a picture itself says."""
        allowed = self.reader.terms.uses if self.config.uses is None else self.config.uses
        return allowed if picture.uses is None else tuple(u for u in allowed if u in picture.uses)


def parse_spec(spec: str) -> SourceConfig:
    """``PATH`` or ``LAYOUT:PATH`` as a config.

    Raises:
        InputError: an unknown layout; the message names the nearest.
    """
    match = _SPEC.fullmatch(spec)
    if match and match[1] in LAYOUTS:
        return SourceConfig(layout=match[1], path=match[2] or ".")
    if match and not Path(spec).exists():
        raise InputError(_unknown_layout(match[1]))
    return SourceConfig(path=spec)


def open_source(spec: str | Path | SourceConfig, data: Path | None = None) -> Source:
    """Open one source; nothing is listed yet.

    Args:
        spec: ``PATH``, ``LAYOUT:PATH`` or a config.
        data: folder that the relative path of a config is relative to; that of a spec is relative
            to the working directory.

    Raises:
        InputError: unknown layout, or a path whose layout is unknown or ambiguous.
        DataError: nothing there.
    """
    return open_sources([spec], data)[0]


def open_sources(
    specs: Sequence[str | Path | SourceConfig],
    data: Path | None = None,
    *,
    folders_are: str = "",
) -> list[Source]:
    """Open several sources, each with a name of its own.

    Sources without a given name take that of their folder; a second ``photos`` is ``photos-2``.

    Args:
        specs: as :func:`open_source`.
        data: as :func:`open_source`.
        folders_are: layout of a folder of folders that shows none, such as ``identities``; without
            it such a folder is refused.

    Raises:
        InputError: as :func:`open_source`, two sources have one name, or one lies in
            another.
        DataError: nothing there.
    """
    opened: list[Source] = []
    names: set[str] = set()
    places: list[Path] = []
    for spec in specs:
        config = _config(spec)
        base = data if data is not None and isinstance(spec, SourceConfig) else Path()
        root = Path(base, config.path).absolute()  # workers may run elsewhere
        for place in (root.resolve() / below for below in config.folders or ("",)):
            if any(place.is_relative_to(p) or p.is_relative_to(place) for p in places):
                raise InputError(f"{printable(str(place))} is in two sources: give it once")
            places.append(place)
        if config.name in names:
            raise InputError(f"two sources are named {config.name!r}: name one of them differently")
        name = config.name or _free_name(root, names)
        names.add(name)
        opened.append(OpenedSource(name, _layout(config.layout, root, folders_are), root, config))
    return opened


def _config(spec: str | Path | SourceConfig) -> SourceConfig:
    if isinstance(spec, SourceConfig):
        return spec
    return SourceConfig(path=str(spec)) if isinstance(spec, Path) else parse_spec(spec)


def _free_name(root: Path, taken: set[str]) -> str:
    base = printable(root.resolve().stem if root.is_file() else root.resolve().name) or "root"
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    return name


def _layout(name: str, root: Path, folders_are: str) -> Layout:
    if not root.exists():
        raise DataError(f"{printable(str(root))} does not exist: check the path of the source")
    names = list_names(root) if root.is_dir() else []
    if root.is_dir() and not names:
        raise DataError(f"{printable(str(root))} is an empty folder")
    if name:
        if name not in LAYOUTS:
            raise InputError(_unknown_layout(name))
        return LAYOUTS[name]
    return _recognise(root, names, folders_are)


def _recognise(root: Path, names: Sequence[str], folders_are: str) -> Layout:
    """The layout of a path by its files.

    Raises:
        InputError: no layout fits, or more than one does; the message says what to write.
    """
    where = printable(str(root))
    found = {
        name: evidence
        for name, layout in LAYOUTS.items()
        if name != "folder" and (evidence := layout.recognise(root, names))
    }
    if len(found) == 1:
        return LAYOUTS[next(iter(found))]
    if found:
        seen = ", ".join(f"{name} ({evidence})" for name, evidence in found.items())
        raise InputError(
            f"{where} could be {seen}: write LAYOUT:PATH, such as {next(iter(found))}:{where}"
        )
    if LAYOUTS["folder"].recognise(root, names):
        _refuse_a_part(root)
        return LAYOUTS["folder"]
    if root.is_dir() and folders_are:
        return LAYOUTS[folders_are]
    if root.is_dir():
        raise InputError(
            f"{where} has no known layout and no picture of its own. Where its sub-folders are "
            f"people write identities:{where}, where they are albums folder:{where}"
        )
    raise InputError(f"{where} is no folder, no .tar and no .csv: give one of these")


def _refuse_a_part(root: Path) -> None:
    """Stop at the pictures' folder of a set: its lists lie beside it and say who is pictured."""
    whole = root.resolve().parent
    names = list_names(whole) if os.access(whole, os.R_OK) else []
    for name, layout in LAYOUTS.items():
        if layout.recognise(whole, names) == root.resolve().name:
            raise InputError(
                f"{printable(str(root))} is a part of {name}: give {printable(str(whole))}, or "
                f"folder:{printable(str(root))} to read its pictures as nobody's"
            )


def _unknown_layout(name: str) -> str:
    near = get_close_matches(name, LAYOUTS, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"unknown layout {name!r}.{hint} Layouts: {', '.join(sorted(LAYOUTS))}"
