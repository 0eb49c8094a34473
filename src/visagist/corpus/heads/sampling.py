"""Draws adults at random: build, face and small asymmetries.

Every range was chosen by looking at faces at both of its ends, alone and together with others; what
makes a face look broken rather than rare (pointed ears, eyes pushed out of the lids, a mouth off
its jaw) is left out or narrow. Children are never drawn: the macro targets for them are not used,
and the youngest adult is about 25.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from visagist.corpus.heads.assets import HeadAssets
from visagist.corpus.heads.expression import Expression
from visagist.corpus.heads.geometry import HeadSpec
from visagist.corpus.heads.shape import HeadShape
from visagist.errors import DataError

# A face target and its opposite: path without the last word, the two last words, and the standard
# deviation of the weight; weights are cut off at 2.2 deviations and at 1.
_PAIRS: tuple[tuple[str, str, str, float], ...] = (
    ("head/head-fat", "decr", "incr", 0.19),
    ("head/head-scale-depth", "decr", "incr", 0.09),
    ("head/head-scale-horiz", "decr", "incr", 0.09),
    ("head/head-scale-vert", "decr", "incr", 0.09),
    ("head/head-back-scale-depth", "decr", "incr", 0.1),
    ("forehead/forehead-nubian", "decr", "incr", 0.12),
    ("forehead/forehead-scale-vert", "decr", "incr", 0.12),
    ("forehead/forehead-temple", "decr", "incr", 0.19),
    ("forehead/forehead-trans", "backward", "forward", 0.19),
    ("eyebrows/eyebrows-angle", "down", "up", 0.19),
    ("eyebrows/eyebrows-trans", "backward", "forward", 0.17),
    ("eyebrows/eyebrows-trans", "down", "up", 0.19),
    ("nose/nose-base", "down", "up", 0.22),
    ("nose/nose-curve", "concave", "convex", 0.22),
    ("nose/nose-flaring", "decr", "incr", 0.19),
    ("nose/nose-greek", "decr", "incr", 0.22),
    ("nose/nose-hump", "decr", "incr", 0.22),
    ("nose/nose-nostrils-angle", "down", "up", 0.19),
    ("nose/nose-nostrils-width", "decr", "incr", 0.19),
    ("nose/nose-point", "down", "up", 0.22),
    ("nose/nose-point-width", "decr", "incr", 0.19),
    ("nose/nose-scale-depth", "decr", "incr", 0.19),
    ("nose/nose-scale-horiz", "decr", "incr", 0.19),
    ("nose/nose-scale-vert", "decr", "incr", 0.19),
    ("nose/nose-septumangle", "decr", "incr", 0.19),
    ("nose/nose-trans", "down", "up", 0.14),
    ("nose/nose-volume", "decr", "incr", 0.19),
    ("nose/nose-width1", "decr", "incr", 0.19),
    ("nose/nose-width2", "decr", "incr", 0.19),
    ("nose/nose-width3", "decr", "incr", 0.19),
    ("mouth/mouth-angles", "down", "up", 0.14),
    ("mouth/mouth-cupidsbow", "decr", "incr", 0.22),
    ("mouth/mouth-cupidsbow-width", "decr", "incr", 0.19),
    ("mouth/mouth-dimples", "in", "out", 0.17),
    ("mouth/mouth-laugh-lines", "in", "out", 0.19),
    ("mouth/mouth-lowerlip-height", "decr", "incr", 0.19),
    ("mouth/mouth-lowerlip-volume", "decr", "incr", 0.19),
    ("mouth/mouth-lowerlip-width", "decr", "incr", 0.17),
    ("mouth/mouth-philtrum-volume", "decr", "incr", 0.19),
    ("mouth/mouth-scale-depth", "decr", "incr", 0.14),
    ("mouth/mouth-scale-horiz", "decr", "incr", 0.19),
    ("mouth/mouth-scale-vert", "decr", "incr", 0.17),
    ("mouth/mouth-trans", "down", "up", 0.14),
    ("mouth/mouth-upperlip-height", "decr", "incr", 0.19),
    ("mouth/mouth-upperlip-volume", "decr", "incr", 0.19),
    ("mouth/mouth-upperlip-width", "decr", "incr", 0.17),
    ("chin/chin-bones", "decr", "incr", 0.22),
    ("chin/chin-cleft", "decr", "incr", 0.19),
    ("chin/chin-height", "decr", "incr", 0.19),
    ("chin/chin-jaw-drop", "decr", "incr", 0.19),
    ("chin/chin-prognathism", "decr", "incr", 0.11),
    ("chin/chin-prominent", "decr", "incr", 0.19),
    ("chin/chin-width", "decr", "incr", 0.22),
    ("neck/neck-double", "decr", "incr", 0.19),
    ("neck/neck-scale-depth", "decr", "incr", 0.17),
    ("neck/neck-scale-horiz", "decr", "incr", 0.17),
    ("neck/neck-scale-vert", "decr", "incr", 0.17),
)
# The same for targets that exist for either side, as l-NAME and r-NAME.
_TWINS: tuple[tuple[str, str, str, str, float], ...] = (
    ("cheek", "cheek-bones", "decr", "incr", 0.22),
    ("cheek", "cheek-inner", "decr", "incr", 0.19),
    ("cheek", "cheek-trans", "down", "up", 0.19),
    ("cheek", "cheek-volume", "decr", "incr", 0.22),
    ("ears", "ear-flap", "decr", "incr", 0.17),
    ("ears", "ear-lobe", "decr", "incr", 0.22),
    ("ears", "ear-rot", "backward", "forward", 0.17),
    ("ears", "ear-scale", "decr", "incr", 0.17),
    ("ears", "ear-scale-depth", "decr", "incr", 0.17),
    ("ears", "ear-scale-vert", "decr", "incr", 0.17),
    ("ears", "ear-trans", "backward", "forward", 0.14),
    ("ears", "ear-wing", "decr", "incr", 0.17),
    ("eyes", "eye-bag", "decr", "incr", 0.19),
    ("eyes", "eye-corner1", "down", "up", 0.19),
    ("eyes", "eye-corner2", "down", "up", 0.19),
    ("eyes", "eye-epicanthus", "in", "out", 0.17),
    ("eyes", "eye-eyefold-angle", "down", "up", 0.19),
    ("eyes", "eye-eyefold", "concave", "convex", 0.19),
    ("eyes", "eye-eyefold", "down", "up", 0.19),
    ("eyes", "eye-height1", "decr", "incr", 0.14),
    ("eyes", "eye-height2", "decr", "incr", 0.14),
    ("eyes", "eye-height3", "decr", "incr", 0.14),
    ("eyes", "eye-scale", "decr", "incr", 0.11),
    ("eyes", "eye-trans", "down", "up", 0.14),
    ("eyes", "eye-trans", "in", "out", 0.14),
)
_OUTLINES = (
    "diamond",
    "invertedtriangular",
    "oval",
    "rectangular",
    "round",
    "square",
    "triangular",
)
# Numbered asymmetries: a place and how many there are; each has a left and a right variant.
_ASYMMETRIES = (
    ("brown", 2), ("cheek", 2), ("ear", 4), ("eye", 8), ("jaw", 3), ("mouth", 2), ("nose", 4),
    ("temple", 2), ("top", 2),
)  # fmt: skip
# How often each hair is worn, by sex; the folders' tags say who they were made for. Those whose
# fringe hides an eye are rare, and an empty name is a shaved head, painted on every skin.
_HAIR_WOMEN = {
    "bob01": 0.04, "bob02": 0.06, "braid01": 0.16, "long01": 0.22, "ponytail01": 0.24,
    "short03": 0.06, "short01": 0.06, "short02": 0.08, "short04": 0.06, "": 0.02,
}  # fmt: skip
_HAIR_MEN = {
    "short01": 0.25, "short02": 0.22, "short04": 0.25, "ponytail01": 0.03, "long01": 0.03,
    "short03": 0.02, "": 0.2,
}  # fmt: skip
_AFRO = 0.35  # times the African share of the build
_BROWS_MEN = ("eyebrow001", "eyebrow008", "eyebrow009", "eyebrow012")
_LASHES_MEN = ("eyelashes01",)
# Share of the African build above which the dark skins are worn; between the two it is chance.
_LIGHT_BELOW, _DARK_ABOVE = 0.25, 0.6
# Age, 0..1, from which the middle-aged and the old skins are worn.
_MIDDLE_AGE, _OLD_AGE = 0.28, 0.58
_DARK_EYES = ("brown_eye", "brownlight_eye")
_CUT = 2.2  # standard deviations
# Sides differ by this share of a twin target's deviation.
_UNEVEN = 0.15


def sample_shape(seed: int) -> HeadShape:
    """An adult's build and face.

    Args:
        seed: the identity; the same number gives the same person in every version of the targets.
    """
    random = np.random.default_rng([seed, 0])
    man = random.random() < 0.5
    male = float(np.clip(abs(random.normal(0.0, 0.15)), 0.0, 0.45))
    return HeadShape(
        seed,
        male=1 - male if man else male,
        age=float(0.85 * random.beta(1.2, 2.0)),
        weight=_bell(random, 0.4),
        muscle=_bell(random, 0.35),
        races=_races(random),
        details=MappingProxyType(_details(random)),
    )


def sample_person(seed: int, assets: HeadAssets) -> HeadSpec:
    """A person with a neutral face: build, skin, eyes, hair, brows and lashes that go together.

    Args:
        seed: the identity.
        assets: where the names are taken from; kinds that it lacks stay empty.

    Raises:
        DataError: the folder has no skin.
    """
    shape = sample_shape(seed)
    random = np.random.default_rng([seed, 1])
    man = shape.male > 0.5
    names = assets.names
    afro = random.random() < _AFRO * shape.races[0]
    hairs = {"afro01": 1.0} if afro else _HAIR_MEN if man else _HAIR_WOMEN
    hairs = {name: share for name, share in hairs.items() if not name or name in names["hair"]}
    brows = _BROWS_MEN if man else tuple(n for n in names["eyebrows"] if n not in _BROWS_MEN[1:])
    lashes = _LASHES_MEN if man else names["eyelashes"]
    return HeadSpec(
        shape,
        Expression(),
        skin=_skin(shape, names["skins"], random),
        iris=_iris(shape, names["irises"], random),
        hair=_pick(random, hairs),
        brows=_pick(random, {n: 1.0 for n in brows if n in names["eyebrows"]}),
        lashes=_pick(random, {n: 1.0 for n in lashes if n in names["eyelashes"]}),
        teeth=_pick(random, dict.fromkeys(names["teeth"], 1.0)),
        tongue=_pick(random, dict.fromkeys(names["tongue"], 1.0)),
    )


def _skin(shape: HeadShape, names: tuple[str, ...], random: np.random.Generator) -> str:
    """A skin of the person's sex, age and tone; any where the folder has none such."""
    if not names:
        raise DataError("the assets folder has no skins")
    age = "old" if shape.age > _OLD_AGE else "middleage" if shape.age > _MIDDLE_AGE else "young"
    chance = (shape.races[0] - _LIGHT_BELOW) / (_DARK_ABOVE - _LIGHT_BELOW)
    tone = "dark" if random.random() < chance else "light"
    sex = "male" if shape.male > 0.5 else "female"
    fitting = [name for name in names if name.startswith(f"{age}_{tone}skinned_{sex}_")]
    return str(random.choice(fitting or list(names)))


def _iris(shape: HeadShape, names: tuple[str, ...], random: np.random.Generator) -> str:
    """Brown for most, any colour for builds mostly Caucasian."""
    light = random.random() < 0.8 * (shape.races[2] - 0.4) / 0.6
    fitting = [name for name in names if light or name in _DARK_EYES]
    return _pick(random, dict.fromkeys(fitting or names, 1.0))


def _pick(random: np.random.Generator, shares: Mapping[str, float]) -> str:
    """One of the names, by their shares; empty where there are none."""
    if not shares:
        return ""
    chances = np.array(list(shares.values()))
    return str(random.choice(list(shares), p=chances / chances.sum()))


def _races(random: np.random.Generator) -> tuple[float, float, float]:
    """Mostly one, often two mixed, all three equally frequent."""
    african, asian, caucasian = random.dirichlet((0.4, 0.4, 0.4))
    return float(african), float(asian), float(caucasian)


def _details(random: np.random.Generator) -> dict[str, float]:
    weights: dict[str, float] = {}
    for stem, low, high, deviation in _PAIRS:
        value = _bell(random, deviation)
        weights[f"{stem}-{high if value > 0 else low}"] = abs(value)
    for folder, name, low, high, deviation in _TWINS:
        both = _bell(random, deviation)
        for side in ("l", "r"):
            value = both + _bell(random, deviation * _UNEVEN)
            weights[f"{folder}/{side}-{name}-{high if value > 0 else low}"] = min(abs(value), 1.0)
    for outline in random.choice(_OUTLINES, 2, replace=False):
        weights[f"head/head-{outline}"] = float(random.uniform(0, 0.3))
    for place, count in _ASYMMETRIES:
        for number in range(1, count + 1):
            value = _bell(random, 0.07)
            weights[f"asym/asym-{place}-{number}-{'l' if value > 0 else 'r'}"] = abs(value)
    return weights


def _bell(random: np.random.Generator, deviation: float) -> float:
    """A normal deviate, cut off at ``_CUT`` deviations and at 1."""
    limit = min(_CUT * deviation, 1.0)
    return float(np.clip(random.normal(0.0, deviation), -limit, limit))
