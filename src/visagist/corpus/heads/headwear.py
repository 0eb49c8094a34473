"""Beanies and caps: domes around the skull and the hair under them."""

from __future__ import annotations

import numpy as np

from visagist.corpus.heads.drawing import Draw
from visagist.corpus.heads.geometry import HeadGeometry
from visagist.corpus.heads.solids import (
    Floats,
    Random,
    cloth_colour,
    grid_draw,
)
from visagist.face.parts import Part


def hat_line(random: Random) -> tuple[float, float]:
    """Height of a hat's edge at z = 0 and its slope along z."""
    return float(random.uniform(0.44, 0.62)), float(random.uniform(0.22, 0.38))


def _dome(head: HeadGeometry, line: tuple[float, float], out: float, high: float) -> Floats:
    """(N, M, 3) a dome around the skull, and the hair under it, above a hat's edge."""
    skin = head.surfaces[0].vertices
    skull = skin[skin[:, 1] > 0.25]
    centre = np.array([0.0, 0.2, float(skull[:, 2].min() + skull[:, 2].max()) / 2])
    size = np.array(
        [
            np.abs(skull[:, 0]).max() + out,
            skull[:, 1].max() - 0.2 + out + high,
            np.ptp(skull[:, 2]) / 2 + out,
        ]
    )
    around = np.linspace(0, 2 * np.pi, 49)
    up = np.linspace(0, np.pi / 2, 14)
    a, u = np.meshgrid(around, up, indexing="ij")
    ring = np.cos(u) ** 0.75
    x, z = size[0] * ring * np.sin(a), centre[2] + size[2] * ring * np.cos(a)
    edge = line[0] + line[1] * z
    y = edge + (centre[1] + size[1] - edge) * np.sin(u) ** 0.9
    return np.stack([x, y, z], -1).astype(np.float32)


def beanie(head: HeadGeometry, random: Random) -> list[Draw]:
    """A knitted hat with a rim."""
    line = hat_line(random)
    high = float(random.uniform(0.02, 0.3))
    style: dict[str, object] = {
        "colour": cloth_colour(random),
        "second": cloth_colour(random),
        "roughness": 0.9,
        "f0": 0.02,
        "pattern": float(random.choice((0, 0, 1, 3))),
        "pattern_scale": float(random.uniform(1, 4)),
    }
    dome = _dome(head, line, float(random.uniform(0.07, 0.13)), high)
    draws = [grid_draw(dome, Part.OCCLUDER, **style)]
    rim = dome[:, :1] + (dome[:, :1] - np.array([0, 0.2, -0.7])) * np.array([0.03, 0, 0.03])
    height = np.linspace(-0.02, 0.24, 5)
    bulge = 0.03 * np.sin(np.linspace(0, np.pi, 5))
    cuff = np.repeat(rim, 5, axis=1)
    cuff[..., 1] += height
    cuff[..., [0, 2]] += (cuff[..., [0, 2]] - np.array([0, -0.7])) * bulge[None, :, None]
    draws.append(grid_draw(cuff, Part.OCCLUDER, **style))
    return draws


def cap(head: HeadGeometry, random: Random) -> list[Draw]:
    """A cap with a peak."""
    line = hat_line(random)
    style: dict[str, object] = {
        "colour": cloth_colour(random),
        "second": cloth_colour(random),
        "roughness": 0.8,
        "f0": 0.03,
        "pattern": float(random.choice((0, 0, 0, 3))),
    }
    dome = _dome(head, line, 0.07, 0.02)
    front = dome[:, 0]
    facing = front[:, 2] > -0.35
    edge = front[facing]
    edge = edge[np.argsort(edge[:, 0])]
    long = float(random.uniform(0.5, 0.75))
    t = np.linspace(0, 1, 8)[None, :, None]
    half = max(float(np.abs(edge[:, 0]).max()), 1e-3)
    forward = long * np.sqrt(np.clip(1 - (edge[:, 0] / half) ** 2, 0.0, 1))[:, None, None]
    drop = float(random.uniform(-0.25, 0.1))
    brim = edge[:, None] + t * forward * np.array([0.0, drop, 1.0])
    brim[..., 1] -= 0.25 * (edge[:, None, 0] / half) ** 2 * t[..., 0] ** 0.7 * 0.4
    thick = np.array([0, 0.02, 0])
    return [
        grid_draw(dome, Part.OCCLUDER, **style),
        grid_draw(brim + thick, Part.OCCLUDER, **style),
        grid_draw(brim - thick, Part.OCCLUDER, **style),
    ]
