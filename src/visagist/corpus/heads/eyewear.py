"""Glasses and sunglasses, fitted to the eyes and the bridge of the nose."""

from __future__ import annotations

import numpy as np

from visagist.corpus.heads.drawing import Draw
from visagist.corpus.heads.geometry import HeadGeometry
from visagist.corpus.heads.solids import (
    Colour,
    Floats,
    Points,
    Random,
    blended,
    grid_draw,
    tube,
)
from visagist.face.parts import Part


def glasses(head: HeadGeometry, random: Random, *, dark: bool) -> list[Draw]:
    """Rims, bridge, temples and lenses, before the eyes and on the bridge of the nose."""
    eye = np.abs(head.eye_centres[:, 0]).mean()
    skin = head.surfaces[0].vertices
    big = float(random.uniform(0.0, 1.0)) if not dark else float(random.uniform(0.4, 1.2))
    half_w = eye * (0.74 + 0.14 * big)
    half_h = half_w * float(random.uniform(0.55, 0.92))
    power = float(random.choice((2.0, 2.4, 3.0, 4.0)))
    centre_x, centre_y = eye * 1.04, -0.03 - 0.05 * big
    bend = float(random.uniform(0.08, 0.22))  # how the front curves back to the temples
    near = (
        (np.abs(skin[:, 0]) < centre_x + half_w)
        & (skin[:, 1] > centre_y - half_h)
        & (skin[:, 1] < centre_y + half_h)
    )
    nose = near & (np.abs(skin[:, 0]) < 0.10) & (skin[:, 1] > -0.06)
    cheeks = near & (np.abs(skin[:, 0]) > 0.13)
    fits = [skin[m][:, 2] + bend * skin[m][:, 0] ** 2 for m in (nose, cheeks) if m.any()]
    plane = max([float(np.max(f)) for f in fits] + [float(head.eye_centres[0, 2]) + 0.22]) + 0.012
    thick = float(random.choice((0.012, 0.018, 0.03, 0.038), p=(0.25, 0.3, 0.25, 0.2)))
    metal = thick < 0.015
    colour = _frame_colour(random, metal)
    style: dict[str, object] = {
        "colour": colour,
        "roughness": 0.25,
        "f0": 0.5 if metal else 0.05,
    }
    at = np.linspace(0, 2 * np.pi, 41)[:-1]
    c, s = np.cos(at), np.sin(at)
    shape_x = np.sign(c) * np.abs(c) ** (2 / power)
    shape_y = np.sign(s) * np.abs(s) ** (2 / power)
    lean = float(random.uniform(0.0, 0.12))
    draws: list[Draw] = []
    lenses: list[Draw] = []
    tint = float(random.uniform(0.75, 0.97)) if dark else float(random.uniform(0.02, 0.1))
    lens_colour = _lens_colour(random, dark=dark)
    for side in (-1.0, 1.0):
        x = side * (centre_x + half_w * shape_x * (1 - 0.06 * shape_y))
        y = centre_y + half_h * shape_y
        rim = _bent(x, y, plane, bend, lean)
        closed = np.concatenate([rim, rim[:1]])
        draws.append(grid_draw(tube(closed, thick), Part.GLASSES, **style))
        rings = np.linspace(1.0, 0.0, 4)[:, None, None]
        middle = _bent(np.array([side * centre_x]), np.array([centre_y]), plane, bend, lean)
        disc = closed[None] * rings + middle[None] * (1 - rings)
        # A little dome, so that reflections move over the lens.
        lens = grid_draw(
            disc + np.array([0, 0, 0.02]) * (1 - rings**2),
            Part.GLASSES,
            colour=lens_colour,
            roughness=0.07,
            f0=0.06 if dark else 0.045,
            opacity=tint,
        )
        lenses.append(blended(lens, labelled=dark))
        ear = np.array([side * 0.80, 0.0, -0.78])
        hinge = _bent(
            np.array([side * (centre_x + half_w)]),
            np.array([centre_y + 0.35 * half_h]),
            plane,
            bend,
            lean,
        )[0]
        t = np.linspace(0, 1, 8)[:, None]
        path = hinge * (1 - t) + ear * t
        path[:, 0] += side * 0.05 * np.sin(np.pi * t[:, 0])
        draws.append(grid_draw(tube(path, thick * 0.9, flat=1.4), Part.GLASSES, **style))
    t = np.linspace(-1, 1, 9)
    inner = centre_x - half_w
    bridge = _bent(
        inner * t, centre_y + 0.25 * half_h + 0.03 * (1 - t * t), plane + 0.01, bend, lean
    )
    draws.append(grid_draw(tube(bridge, thick), Part.GLASSES, **style))
    return draws + lenses


def _bent(x: Points, y: Points, plane: float, bend: float, lean: float) -> Floats:
    """(N, 3) points of a pair of glasses' front, which curves back and leans."""
    return np.stack([x, y, plane - bend * x * x + lean * y], axis=-1).astype(np.float32)


def _frame_colour(random: Random, metal: bool) -> Colour:
    if metal:
        options: tuple[Colour, ...] = ((0.5, 0.5, 0.5), (0.55, 0.4, 0.2), (0.05, 0.05, 0.05))
    else:
        options = (
            (0.008, 0.008, 0.008),
            (0.012, 0.01, 0.01),
            (0.07, 0.03, 0.015),
            (0.02, 0.03, 0.07),
            (0.2, 0.02, 0.02),
            (0.3, 0.28, 0.25),
            (0.05, 0.02, 0.05),
        )
    return options[int(random.integers(len(options)))]


def _lens_colour(random: Random, *, dark: bool) -> Colour:
    if not dark:
        return 0.75, 0.8, 0.78
    options: tuple[Colour, ...] = (
        (0.01, 0.01, 0.01),
        (0.03, 0.018, 0.008),
        (0.012, 0.02, 0.014),
        (0.01, 0.015, 0.035),
    )
    return options[int(random.integers(len(options)))]
