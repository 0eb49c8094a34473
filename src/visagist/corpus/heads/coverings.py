"""Cloth over the body and the face: clothes, masks and scarves."""

from __future__ import annotations

import numpy as np

from visagist.corpus.heads.drawing import Draw
from visagist.corpus.heads.geometry import HeadGeometry
from visagist.corpus.heads.materials import plain
from visagist.corpus.heads.solids import (
    AXIS,
    Floats,
    Points,
    Random,
    cloth_colour,
    grid_draw,
    sheet_around,
    tube,
)
from visagist.face.parts import Part


def clothes(head: HeadGeometry, seed: int) -> list[Draw]:
    """A shirt, jumper or polo neck: the shoulders' skin, moved outwards, below a neckline."""
    random = np.random.default_rng([seed, 37])
    surface = head.surfaces[0]
    style = str(random.choice(("crew", "crew", "v", "wide", "collar")))
    # y of the neckline in the middle, and how it climbs with |x| and x squared and falls with z
    line = {
        "crew": (-1.62, 0.1, 0.0, -0.35),
        "v": (-2.15, 1.0, 0.0, -0.2),
        "wide": (-1.98, 0.35, 0.0, -0.2),
        "collar": (-1.30, 0.0, 0.0, -0.28),
    }[style]
    line = (line[0] + float(random.uniform(-0.08, 0.06)), *line[1:])
    thick = 0.09 if style == "collar" else 0.05
    used = surface.vertices[:, 1] < -1.0
    keep = used[surface.triangles].all(1) & (surface.parts == Part.SKIN)
    folds = (
        0.02
        * np.sin(7 * surface.vertices[:, :1] + random.uniform(0, 6))
        * np.clip(-1.6 - surface.vertices[:, 1:2], 0, 1)
    )
    moods = [np.random.default_rng([seed, 38 + k]) for k in range(4)]
    cloth = cloth_colour(moods[0])
    outer = plain(
        colour=cloth,
        second=cloth_colour(moods[1]),
        both_sides=0,
        pattern=float(moods[2].choice((0, 0, 0, 0, 1, 2, 3))),
        pattern_scale=float(moods[3].uniform(1.5, 6)),
        roughness=0.85,
        f0=0.03,
        edge=line,
    )
    # A hem has an inside: a dark layer that shows only along the neckline.
    inner = {**outer, "colour": tuple(0.4 * v for v in cloth), "pattern": 0.0}
    own = surface.vertices[surface.triangles[keep]]
    height = own[..., 1] - _height(line, own)
    draws = []
    for values, out, there in (
        (outer, thick, height.min(1) < 0.05),
        (inner, thick - 0.03, height.max(1) > -0.25),
    ):
        moved = surface.vertices + surface.normals * (out + folds)
        draws.append(
            Draw(
                "plain",
                moved.astype(np.float32),
                surface.normals,
                np.ascontiguousarray(surface.triangles[keep][there]),
                np.full(int(there.sum()), Part.CLOTHES, np.uint8),
                values=values,
                shadow=False,
            )
        )
    return draws


def _height(line: tuple[float, float, float, float], points: Points) -> Floats:
    """Height of a neckline at the x and z of points."""
    x, z = np.abs(points[..., 0]), points[..., 2]
    return np.asarray(line[0] + line[1] * x + line[2] * x * x + line[3] * z)


def mask(head: HeadGeometry, random: Random) -> list[Draw]:
    """A face mask from the bridge of the nose to under the chin, with ear loops."""
    colour = ((0.75, 0.78, 0.8), (0.3, 0.5, 0.65), (0.02, 0.02, 0.02), cloth_colour(random))
    style: dict[str, object] = {
        "colour": colour[int(random.integers(4))],
        "roughness": 0.9,
        "f0": 0.02,
        "second": cloth_colour(random),
        "pattern": 0.0,
    }
    low = bool(random.random() < 0.15)
    top = -0.55 if low else -0.2 - float(random.uniform(0, 0.08))
    points = sheet_around(head, np.linspace(-1.12, 1.12, 33), np.linspace(top, -1.13, 20), 0.035)
    # The upper edge falls towards the cheeks, the lower one rises.
    side = (np.linspace(-1, 1, 33) ** 2)[:, None]
    t = np.linspace(0, 1, 20)[None]
    points[..., 1] += side * (-0.22 * (1 - t) + 0.22 * t)
    draws = [grid_draw(points, Part.OCCLUDER, **style)]
    for end in (0, -1):
        for row in (1, -2):
            start = points[end, row]
            ear = np.array([np.sign(start[0]) * 0.82, -0.1 if row == 1 else -0.35, -0.85])
            t1 = np.linspace(0, 1, 6)[:, None]
            draws.append(
                grid_draw(tube(start * (1 - t1) + ear * t1, 0.012), Part.OCCLUDER, **style)
            )
    return draws


def scarf(head: HeadGeometry, random: Random) -> list[Draw]:
    """A thick cloth around the neck, sometimes over the chin or the mouth."""
    top = float(random.choice((-1.15, -0.95, -0.5), p=(0.6, 0.25, 0.15)))
    angles = np.linspace(-np.pi, np.pi, 49)
    heights = np.linspace(top, -1.85, 16)
    base = sheet_around(head, angles, heights, 0.0)
    flat = base - AXIS
    r = np.hypot(flat[..., 0], flat[..., 2])
    grow = 0.14 + 0.09 * np.sin(np.linspace(0, 5.5 * np.pi, 16) + random.uniform(0, 6))[None]
    grow = grow + 0.05 * np.sin(3 * angles + random.uniform(0, 6))[:, None]
    lift = 0.06 * np.sin(2 * angles + random.uniform(0, 6))[:, None]
    target = np.maximum(r, 0.55) + grow
    points = np.stack(
        [
            target * np.sin(angles)[:, None],
            base[..., 1] + lift,
            AXIS[2] + target * np.cos(angles)[:, None],
        ],
        -1,
    )
    return [
        grid_draw(
            points.astype(np.float32),
            Part.OCCLUDER,
            colour=cloth_colour(random),
            second=cloth_colour(random),
            roughness=0.95,
            f0=0.02,
            pattern=float(random.choice((0, 0, 1, 2, 3))),
            pattern_scale=float(random.uniform(1, 5)),
        )
    ]
