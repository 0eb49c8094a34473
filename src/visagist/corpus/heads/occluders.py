"""Things worn or held before a face, fitted to the head: glasses, hats, masks, hands and so on.

Everything is built in model space, so that it turns with the head. Glasses are labelled as glasses
where they hide what is behind them; all else is an occluder, clothes are clothes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from visagist.corpus.heads.assets import base_mesh, draw_list, normals
from visagist.corpus.heads.geometry import HeadGeometry, Surface
from visagist.corpus.heads.materials import plain
from visagist.corpus.heads.renderer import Draw
from visagist.face.parts import Part

Floats = NDArray[np.float32]
Colour = tuple[float, float, float]
Kind = Literal[
    "glasses", "sunglasses", "beanie", "cap", "mask", "hand", "scarf", "microphone", "box"
]
KINDS: tuple[Kind, ...] = (
    "glasses", "sunglasses", "beanie", "cap", "mask", "hand", "scarf", "microphone", "box",
)  # fmt: skip
_AXIS = np.array([0.0, 0.0, -0.75], np.float32)  # a vertical line through the skull
_RANDOM = np.random.Generator


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
        "glasses": partial(_glasses, head, random, False),
        "sunglasses": partial(_glasses, head, random, True),
        "beanie": partial(_beanie, head, random),
        "cap": partial(_cap, head, random),
        "mask": partial(_mask, head, random),
        "hand": partial(_hand, head, random, skin),
        "scarf": partial(_scarf, head, random),
        "microphone": partial(_microphone, head, random),
        "box": partial(_box, head, random),
    }
    return makers[worn.kind]()


def hat_plane(worn: tuple[Worn, ...]) -> tuple[float, float, float]:
    """Hair above y = a + b z lies under a hat; without one nothing is hidden."""
    for one in worn:
        if one.kind in ("beanie", "cap"):
            return (*_hat_line(np.random.default_rng([one.seed, 31])), 0.0)
    return (99.0, 0.0, 0.0)


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
    outer = plain(
        colour=_cloth(moods[0]), second=_cloth(moods[1]), both_sides=0,
        pattern=float(moods[2].choice((0, 0, 0, 0, 1, 2, 3))),
        pattern_scale=float(moods[3].uniform(1.5, 6)), roughness=0.85, f0=0.03, edge=line,
    )  # fmt: skip
    # A hem has an inside: a dark layer that shows only along the neckline.
    inner = {**outer, "colour": (0.02, 0.02, 0.02), "pattern": 0.0}
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
                "plain", moved.astype(np.float32), surface.normals,
                np.ascontiguousarray(surface.triangles[keep][there]),
                np.full(int(there.sum()), Part.CLOTHES, np.uint8), values=values, shadow=False,
            )
        )  # fmt: skip
    return draws


def _height(line: tuple[float, float, float, float], points: Floats) -> Floats:
    """Height of a neckline at the x and z of points."""
    x, z = np.abs(points[..., 0]), points[..., 2]
    return np.asarray(line[0] + line[1] * x + line[2] * x * x + line[3] * z)


def _cloth(random: _RANDOM) -> Colour:
    level = float(random.uniform(0.1, 0.92)) ** 2.2
    tint = np.exp(random.normal(0, 0.45 if random.random() < 0.6 else 0.1, 3))
    r, g, b = np.clip(level * tint / tint.mean(), 0.008, 0.85).tolist()
    return r, g, b


def _mesh(points: Floats, part: Part, *, closed: bool = False, **values: object) -> Draw:
    """A draw from an (N, M, 3) grid; ``closed`` joins the last row to the first."""
    grid = np.concatenate([points, points[:1]]) if closed else points
    n, m = grid.shape[:2]
    du = np.gradient(grid, axis=0)
    if closed:
        du[0] = du[-1] = (grid[1] - grid[-2]) / 2
    dv = np.gradient(grid, axis=1)
    normal = np.cross(dv, du)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
    k = np.arange(n * m).reshape(n, m)
    quads = np.stack([k[:-1, :-1], k[:-1, 1:], k[1:, 1:], k[1:, :-1]], -1).reshape(-1, 4)
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32)
    u, v = np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 1, m), indexing="ij")
    return Draw(
        "plain",
        grid.reshape(-1, 3).astype(np.float32),
        normal.reshape(-1, 3).astype(np.float32),
        triangles,
        np.full(len(triangles), part, np.uint8),
        uv=np.stack([u, v], -1).reshape(-1, 2).astype(np.float32),
        values=plain(**values),
    )


def _tube(path: Floats, radius: float | Floats, sides: int = 8, flat: float = 1.0) -> Floats:
    """(N, sides + 1, 3) surface around a path; ``flat`` squeezes it along y."""
    along = np.gradient(path, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    helper = np.array([0.0, 0.0, 1.0]) + np.array([1e-3, 2e-3, 0])
    side = np.cross(along, helper)
    length = np.linalg.norm(side, axis=1, keepdims=True)
    side = np.where(length > 1e-2, side / np.maximum(length, 1e-9), np.array([0.0, 1.0, 0.0]))
    other = np.cross(along, side)
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    circle = (
        np.cos(angle)[None, :, None] * side[:, None] * flat
        + np.sin(angle)[None, :, None] * other[:, None]
    )
    return np.asarray(path[:, None] + circle * np.asarray(radius, np.float32).reshape(-1, 1, 1))


def _glasses(head: HeadGeometry, random: _RANDOM, dark: bool) -> list[Draw]:
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
    style = {
        "colour": colour, "roughness": 0.25, "f0": 0.5 if metal else 0.05,
    }  # fmt: skip
    at = np.linspace(0, 2 * np.pi, 41)[:-1]
    c, s = np.cos(at), np.sin(at)
    shape_x = np.sign(c) * np.abs(c) ** (2 / power)
    shape_y = np.sign(s) * np.abs(s) ** (2 / power)
    lean = float(random.uniform(0.0, 0.12))
    draws: list[Draw] = []
    lenses: list[Draw] = []
    tint = float(random.uniform(0.75, 0.97)) if dark else float(random.uniform(0.02, 0.1))
    lens_colour = _lens_colour(random, dark)
    for side in (-1.0, 1.0):
        x = side * (centre_x + half_w * shape_x * (1 - 0.06 * shape_y))
        y = centre_y + half_h * shape_y
        rim = _bent(x, y, plane, bend, lean)
        closed = np.concatenate([rim, rim[:1]])
        draws.append(_mesh(_tube(closed, thick), Part.GLASSES, **style))
        rings = np.linspace(1.0, 0.0, 4)[:, None, None]
        middle = _bent(np.array([side * centre_x]), np.array([centre_y]), plane, bend, lean)
        disc = closed[None] * rings + middle[None] * (1 - rings)
        # A little dome, so that reflections move over the lens.
        lens = _mesh(disc + np.array([0, 0, 0.02]) * (1 - rings**2), Part.GLASSES, colour=lens_colour,
                     roughness=0.07, f0=0.06 if dark else 0.045, opacity=tint)  # fmt: skip
        lenses.append(_blended(lens, labelled=dark))
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
        draws.append(_mesh(_tube(path, thick * 0.9, flat=1.4), Part.GLASSES, **style))
    t = np.linspace(-1, 1, 9)
    inner = centre_x - half_w
    bridge = _bent(
        inner * t, centre_y + 0.25 * half_h + 0.03 * (1 - t * t), plane + 0.01, bend, lean
    )
    draws.append(_mesh(_tube(bridge, thick), Part.GLASSES, **style))
    return draws + lenses


def _bent(x: Floats, y: Floats, plane: float, bend: float, lean: float) -> Floats:
    """(N, 3) points of a pair of glasses' front, which curves back and leans."""
    return np.stack([x, y, plane - bend * x * x + lean * y], axis=-1).astype(np.float32)


def _blended(one: Draw, *, labelled: bool) -> Draw:
    return Draw(
        one.material, one.vertices, one.normals, one.triangles, one.labels, one.uv, one.openness,
        one.values, one.textures, "blend", labelled, False,
    )  # fmt: skip


def _frame_colour(random: _RANDOM, metal: bool) -> Colour:
    if metal:
        options: tuple[Colour, ...] = ((0.5, 0.5, 0.5), (0.55, 0.4, 0.2), (0.05, 0.05, 0.05))
    else:
        options = (
            (0.008, 0.008, 0.008), (0.012, 0.01, 0.01), (0.07, 0.03, 0.015), (0.02, 0.03, 0.07),
            (0.2, 0.02, 0.02), (0.3, 0.28, 0.25), (0.05, 0.02, 0.05),
        )  # fmt: skip
    return options[int(random.integers(len(options)))]


def _lens_colour(random: _RANDOM, dark: bool) -> Colour:
    if not dark:
        return 0.75, 0.8, 0.78
    options: tuple[Colour, ...] = (
        (0.01, 0.01, 0.01), (0.03, 0.018, 0.008), (0.012, 0.02, 0.014), (0.01, 0.015, 0.035),
    )  # fmt: skip
    return options[int(random.integers(len(options)))]


def _hat_line(random: _RANDOM) -> tuple[float, float]:
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


def _beanie(head: HeadGeometry, random: _RANDOM) -> list[Draw]:
    line = _hat_line(random)
    high = float(random.uniform(0.02, 0.3))
    style = {
        "colour": _cloth(random), "second": _cloth(random), "roughness": 0.9, "f0": 0.02,
        "pattern": float(random.choice((0, 0, 1, 3))), "pattern_scale": float(random.uniform(1, 4)),
    }  # fmt: skip
    dome = _dome(head, line, float(random.uniform(0.07, 0.13)), high)
    draws = [_mesh(dome, Part.OCCLUDER, **style)]
    rim = dome[:, :1] + (dome[:, :1] - np.array([0, 0.2, -0.7])) * np.array([0.03, 0, 0.03])
    height = np.linspace(-0.02, 0.24, 5)
    bulge = 0.03 * np.sin(np.linspace(0, np.pi, 5))
    cuff = np.repeat(rim, 5, axis=1)
    cuff[..., 1] += height
    cuff[..., [0, 2]] += (cuff[..., [0, 2]] - np.array([0, -0.7])) * bulge[None, :, None]
    draws.append(_mesh(cuff, Part.OCCLUDER, **style))
    return draws


def _cap(head: HeadGeometry, random: _RANDOM) -> list[Draw]:
    line = _hat_line(random)
    style = {"colour": _cloth(random), "second": _cloth(random), "roughness": 0.8, "f0": 0.03,
             "pattern": float(random.choice((0, 0, 0, 3)))}  # fmt: skip
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
        _mesh(dome, Part.OCCLUDER, **style),
        _mesh(brim + thick, Part.OCCLUDER, **style),
        _mesh(brim - thick, Part.OCCLUDER, **style),
    ]


def _around(head: HeadGeometry, angles: Floats, heights: Floats, out: float) -> Floats:
    """(A, H, 3) sheet around the head's axis, ``out`` decimetres before the skin.

    At each angle and height the radius is a soft maximum over the nearby skin, so that the sheet
    spans the hollows beside the nose and under the lip like cloth.
    """
    skin = head.surfaces[0]
    vertices = skin.vertices[np.unique(skin.triangles[skin.parts != Part.MOUTH])]
    low, high = heights.min() - 0.25, heights.max() + 0.25
    own = vertices[(vertices[:, 1] > low) & (vertices[:, 1] < high)] - _AXIS
    angle = np.arctan2(own[:, 0], own[:, 2])
    keep = np.abs(angle) < np.abs(angles).max() + 0.3
    own, angle = own[keep], angle[keep]
    radius = np.hypot(own[:, 0], own[:, 2])
    a, h = np.meshgrid(angles, heights, indexing="ij")
    distance = ((a[..., None] - angle) / 0.13) ** 2 + ((h[..., None] - own[:, 1]) / 0.10) ** 2
    weight = np.exp(-0.5 * distance) * np.exp(18.0 * (radius - radius.max()))
    r = (weight * radius).sum(-1) / np.maximum(weight.sum(-1), 1e-12) + out
    # No vertex may stick out: the four nodes around each are at least as far from the axis.
    i = np.interp(angle, angles, np.arange(len(angles)), left=-9, right=-9)
    order = np.argsort(heights)
    j = np.interp(own[:, 1], heights[order], order.astype(float), left=-9, right=-9)
    for di in (0, 1):
        for dj in (0, 1):
            there = (i >= 0) & (j >= 0) & (i + di < len(angles)) & (j + dj < len(heights))
            node = ((i + di)[there].astype(int), (j + dj)[there].astype(int))
            np.maximum.at(r, node, radius[there] + 0.6 * out)
    return np.stack([r * np.sin(a), h, _AXIS[2] + r * np.cos(a)], -1).astype(np.float32)


def _mask(head: HeadGeometry, random: _RANDOM) -> list[Draw]:
    """A face mask from the bridge of the nose to under the chin, with ear loops."""
    colour = ((0.75, 0.78, 0.8), (0.3, 0.5, 0.65), (0.02, 0.02, 0.02), _cloth(random))
    style = {"colour": colour[int(random.integers(4))], "roughness": 0.9, "f0": 0.02,
             "second": _cloth(random), "pattern": float(random.choice((0, 0, 0, 3)))}  # fmt: skip
    low = bool(random.random() < 0.15)
    top = -0.55 if low else -0.2 - float(random.uniform(0, 0.08))
    points = _around(head, np.linspace(-1.12, 1.12, 33), np.linspace(top, -1.13, 20), 0.035)
    # The upper edge falls towards the cheeks, the lower one rises.
    side = (np.linspace(-1, 1, 33) ** 2)[:, None]
    t = np.linspace(0, 1, 20)[None]
    points[..., 1] += side * (-0.22 * (1 - t) + 0.22 * t)
    draws = [_mesh(points, Part.OCCLUDER, **style)]
    for end in (0, -1):
        for row in (1, -2):
            start = points[end, row]
            ear = np.array([np.sign(start[0]) * 0.82, -0.1 if row == 1 else -0.35, -0.85])
            t1 = np.linspace(0, 1, 6)[:, None]
            draws.append(_mesh(_tube(start * (1 - t1) + ear * t1, 0.012), Part.OCCLUDER, **style))
    return draws


def _scarf(head: HeadGeometry, random: _RANDOM) -> list[Draw]:
    """A thick cloth around the neck, sometimes over the chin or the mouth."""
    top = float(random.choice((-1.15, -0.95, -0.5), p=(0.6, 0.25, 0.15)))
    angles = np.linspace(-np.pi, np.pi, 49)
    heights = np.linspace(top, -1.85, 16)
    base = _around(head, angles, heights, 0.0)
    flat = base - _AXIS
    r = np.hypot(flat[..., 0], flat[..., 2])
    grow = 0.14 + 0.09 * np.sin(np.linspace(0, 5.5 * np.pi, 16) + random.uniform(0, 6))[None]
    grow = grow + 0.05 * np.sin(3 * angles + random.uniform(0, 6))[:, None]
    lift = 0.06 * np.sin(2 * angles + random.uniform(0, 6))[:, None]
    target = np.maximum(r, 0.55) + grow
    points = np.stack(
        [
            target * np.sin(angles)[:, None],
            base[..., 1] + lift,
            _AXIS[2] + target * np.cos(angles)[:, None],
        ],
        -1,
    )
    return [_mesh(points.astype(np.float32), Part.OCCLUDER, colour=_cloth(random), second=_cloth(random),
                  roughness=0.95, f0=0.02, pattern=float(random.choice((0, 0, 1, 2, 3))),
                  pattern_scale=float(random.uniform(1, 5)))]  # fmt: skip


def _microphone(head: HeadGeometry, random: _RANDOM) -> list[Draw]:
    mouth = np.array([random.uniform(-0.25, 0.25), random.uniform(-1.15, -0.75), 0.55])
    radius = float(random.uniform(0.18, 0.3))
    along = np.array([random.uniform(-0.8, 0.8), -1.0, random.uniform(0.1, 0.6)])
    along /= np.linalg.norm(along)
    t = np.linspace(0, 1, 12)[:, None]
    ball = radius * np.sqrt(np.clip(1 - (2 * t[:, 0] - 1) ** 2, 1e-4, 1))
    head_path = mouth + along * radius * (2 * t - 1)
    handle = mouth + along * (radius + t * 2.2)
    grille = {"colour": (0.12, 0.12, 0.12), "second": (0.02, 0.02, 0.02), "pattern": 2.0,
              "pattern_scale": 14.0, "roughness": 0.4, "f0": 0.4}  # fmt: skip
    return [
        _mesh(_tube(head_path, ball, 16), Part.OCCLUDER, **grille),
        _mesh(
            _tube(handle, radius * 0.6, 16),
            Part.OCCLUDER,
            colour=(0.012, 0.012, 0.014),
            roughness=0.4,
        ),
    ]


def _box(head: HeadGeometry, random: _RANDOM) -> list[Draw]:
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
    return [_mesh(grid.astype(np.float32), Part.OCCLUDER, colour=_cloth(random), second=_cloth(random),
                  roughness=float(random.uniform(0.15, 0.9)), pattern=float(random.choice((0, 0, 1, 2, 3))),
                  pattern_scale=float(random.uniform(1, 4)))]  # fmt: skip


@cache
def _hand_mesh() -> tuple[Floats, Floats, Floats, NDArray[np.int32]]:
    """Vertices, normals, texture coordinates and triangles of the base mesh's left hand."""
    base = base_mesh()
    corners = base.vertices[base.mesh.triangles]
    keep = base.triangles_of("body") & (corners[..., 0].min(1) > 2.7) & (corners[..., 1].min(1) > 1.0)
    draw = draw_list(base.mesh, keep)
    return base.vertices[draw.sources], normals(base.vertices, draw), draw.uv, draw.triangles


def _hand(head: HeadGeometry, random: _RANDOM, skin: Draw) -> list[Draw]:
    """A hand before the face, its fingers pointing up or across."""
    vertices, normal, uv, triangles = _hand_mesh()
    tips = vertices[vertices[:, 0].argmax()]
    wrist = vertices[np.abs(vertices[:, 0] - 3.7) < 0.1].mean(0)
    along = (tips - wrist) / np.linalg.norm(tips - wrist)
    thumb = vertices[vertices[:, 2].argmax()] - wrist
    across = thumb - along * (thumb @ along)
    across /= np.linalg.norm(across)
    frame = np.stack([across, along, np.cross(across, along)])  # rows: thumb side, fingers, palm
    own = (vertices - (wrist + tips) / 2) @ frame.T
    turned = normal @ frame.T
    mirror = random.choice((-1.0, 1.0))
    own[:, 0] *= mirror
    turned[:, 0] *= mirror
    tilt = float(random.normal(0, 35)) + mirror * 25
    a, lean = np.radians(tilt), float(random.normal(0, 0.25))
    spin = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    nod = np.array([[1, 0, 0], [0, np.cos(lean), -np.sin(lean)], [0, np.sin(lean), np.cos(lean)]])
    if random.random() < 0.5:  # the back of the hand or the palm to the camera
        flip = np.diag([-1.0, 1.0, -1.0])
        own, turned = own @ flip, turned @ flip
    place = spin @ nod
    own, turned = own @ place.T, turned @ place.T
    target = np.array([random.normal(0, 0.5), random.normal(-0.6, 0.45), 0.0])
    own += target
    # Pushed forward until nothing of it is inside the face.
    face = head.surfaces[0].vertices
    face = face[(face[:, 2] > -0.6) & (face[:, 1] > -1.3)]
    few, face = own[::4], face[::4]
    near = np.abs(few[:, None, :2] - face[None, :, :2]).max(-1) < 0.12
    gap = np.where(near, face[None, :, 2] - few[:, None, 2], -9.0).max()
    own[:, 2] += max(float(gap), 0.0) + 0.04
    order = triangles if mirror > 0 else triangles[:, ::-1]
    values = {**skin.values, "stubble": 0.0, "freckles": 0.0}
    return [
        Draw("skin", own.astype(np.float32), turned.astype(np.float32), np.ascontiguousarray(order),
             np.full(len(order), Part.OCCLUDER, np.uint8), uv=uv, values=values, textures=skin.textures)
    ]  # fmt: skip
