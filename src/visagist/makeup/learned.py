"""Styles that the user has taught: each is a makeup model of its own in the user's store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from visagist.errors import InputError, VisagistError
from visagist.makeup.style import builtin_styles
from visagist.runtime.manifest import MANIFEST
from visagist.runtime.store import bundled_models, open_model, user_models

__all__ = ["BUNDLED", "LearnedStyle", "learned_styles", "model_for", "style_name_taken"]

BUNDLED = "makeup-tiny"
"""The model with the styles that come with the package."""


@dataclass(frozen=True, slots=True)
class LearnedStyle:
    """A style of the user's.

    Attributes:
        name: of the style.
        description: one line.
        model: folder of the network that paints it.
    """

    name: str
    description: str
    model: Path


def learned_styles() -> dict[str, LearnedStyle]:
    """The user's styles by name, sorted; those of the package are not among them.

    A folder that is damaged is passed over here, and named when it is opened.
    """
    found: dict[str, LearnedStyle] = {}
    store = user_models()
    try:
        folders = sorted(store.iterdir())
    except OSError:  # there is no store, so there is no style in it
        return found
    taken = {*builtin_styles()}
    for folder in folders:
        # a dot: what an installation that was killed has left
        if folder.name.startswith(".") or not (folder / MANIFEST).is_file():
            continue
        try:
            config = open_model(folder).config
        except VisagistError:
            continue
        if config.get("kind") != "makeup":
            continue
        for name in config.get("styles", ()):
            if name not in taken:
                found.setdefault(
                    name, LearnedStyle(name, str(config.get("description", "")), folder)
                )
    return dict(sorted(found.items()))


def model_for(styles: Mapping[str, float]) -> str | Path:
    """The model that paints a style or a mix: the user's own where it has learned them all.

    Raises:
        InputError: a mix of styles that are in different networks.
    """
    learned = learned_styles()
    own = [name for name in styles if name in learned]
    if not own:
        return BUNDLED
    homes = {learned[name].model for name in own}
    if len(own) < len(styles) or len(homes) > 1:
        raise InputError(
            f"{own[0]!r} has a network of its own, so it cannot be mixed with other styles; "
            "apply them one after the other"
        )
    return homes.pop()


def style_name_taken(name: str) -> str:
    """What already has a name that a style of the user's would get; empty when it is free."""
    if name in builtin_styles():
        return "a style that comes with visagist"
    if (bundled_models() / name).exists():
        return "a model that comes with visagist"
    folder = user_models() / name
    if folder.exists():
        other = _kind(folder) not in ("", "makeup")
        return f"{'another kind of model, ' if other else ''}in the store ({folder})"
    return f"a style of {learned_styles()[name].model}" if name in learned_styles() else ""


def _kind(folder: Path) -> str:
    """What a model folder holds; empty where that cannot be told."""
    try:
        return str(open_model(folder).config.get("kind", ""))
    except VisagistError:
        return ""
