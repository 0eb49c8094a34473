"""Things worn or held before a face, fitted to the head: glasses, hats, masks, hands and so on.

Everything is built in model space, so that it turns with the head. Glasses are labelled as glasses
where they hide what is behind them; all else is an occluder, clothes are clothes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from visagist.corpus.heads.coverings import mask, scarf
from visagist.corpus.heads.drawing import Draw
from visagist.corpus.heads.eyewear import glasses
from visagist.corpus.heads.geometry import HeadGeometry
from visagist.corpus.heads.hand import hand
from visagist.corpus.heads.headwear import beanie, cap, hat_line
from visagist.corpus.heads.solids import Random, cloth_colour, grid_draw, tube
from visagist.face.parts import Part

Kind = Literal[
    "glasses", "sunglasses", "beanie", "cap", "mask", "hand", "scarf", "microphone", "box"
]
KINDS: tuple[Kind, ...] = (
    "glasses",
    "sunglasses",
    "beanie",
    "cap",
    "mask",
    "hand",
    "scarf",
    "microphone",
    "box",
)


@dataclass(frozen=True, slots=True)
class Worn:
    """Something worn or held.

    Attributes:
        kind: what it is.
        seed: decides its shape and colours.
    """

    kind: Kind
    seed: int


def worn_draws(worn: Worn, head: HeadGeometry, skin: Draw) -> list[Draw]:
    """The meshes of one thing.

    Args:
        worn: which.
        head: what it is fitted to.
        skin: the head's skin, whose looks a hand has.
    """
    random = np.random.default_rng([worn.seed, 31])
    makers: dict[Kind, Callable[[], list[Draw]]] = {
        "glasses": partial(glasses, head, random, dark=False),
        "sunglasses": partial(glasses, head, random, dark=True),
        "beanie": partial(beanie, head, random),
        "cap": partial(cap, head, random),
        "mask": partial(mask, head, random),
        "hand": partial(hand, head, random, skin),
        "scarf": partial(scarf, head, random),
        "microphone": partial(_microphone, random),
        "box": partial(_box, random),
    }
    return makers[worn.kind]()


def hat_plane(worn: tuple[Worn, ...]) -> tuple[float, float] | None:
    """Hair over y = a + b z lies under a hat; ``None`` without one."""
    for one in worn:
        if one.kind in ("beanie", "cap"):
            return hat_line(np.random.default_rng([one.seed, 31]))
    return None


def _microphone(random: Random) -> list[Draw]:
    """A microphone before the mouth or the chin, its handle pointing down."""
    mouth = np.array([random.uniform(-0.25, 0.25), random.uniform(-1.15, -0.75), 0.55])
    radius = float(random.uniform(0.18, 0.3))
    along = np.array([random.uniform(-0.8, 0.8), -1.0, random.uniform(0.1, 0.6)])
    along /= np.linalg.norm(along)
    t = np.linspace(0, 1, 12)[:, None]
    ball = radius * np.sqrt(np.clip(1 - (2 * t[:, 0] - 1) ** 2, 1e-4, 1))
    head_path = mouth + along * radius * (2 * t - 1)
    handle = mouth + along * (radius + t * 2.2)
    grille: dict[str, object] = {
        "colour": (0.12, 0.12, 0.12),
        "second": (0.02, 0.02, 0.02),
        "pattern": 2.0,
        "pattern_scale": 14.0,
        "roughness": 0.4,
        "f0": 0.4,
    }
    return [
        grid_draw(tube(head_path, ball, 16), Part.OCCLUDER, **grille),
        grid_draw(
            tube(handle, radius * 0.6, 16),
            Part.OCCLUDER,
            colour=(0.012, 0.012, 0.014),
            roughness=0.4,
        ),
    ]


def _box(random: Random) -> list[Draw]:
    """A telephone, a cup or a card held before a part of the face."""
    size = random.uniform((0.25, 0.35), (0.6, 0.9))
    middle = np.array(
        [random.choice((-1, 1)) * random.uniform(0.3, 0.9), random.uniform(-1.1, 0.2), 0.75]
    )
    turn = random.normal(0, 0.4)
    across = np.array([np.cos(turn), np.sin(turn), random.normal(0, 0.2)])
    up = np.array([-np.sin(turn), np.cos(turn), random.normal(0, 0.2)])
    u = np.sign(np.linspace(-1, 1, 10)) * np.abs(np.linspace(-1, 1, 10)) ** 0.8
    grid = middle + size[0] * u[:, None, None] * across + size[1] * u[None, :, None] * up
    return [
        grid_draw(
            grid.astype(np.float32),
            Part.OCCLUDER,
            colour=cloth_colour(random),
            second=cloth_colour(random),
            roughness=float(random.uniform(0.15, 0.9)),
            pattern=float(random.choice((0, 0, 1, 2, 3))),
            pattern_scale=float(random.uniform(1, 4)),
        )
    ]
