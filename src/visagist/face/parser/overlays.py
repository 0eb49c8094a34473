"""Things in front of a face, drawn over photos: the label of every covered pixel is known exactly.

They are drawn, not photographed, so no set of pictures is needed. What matters is that their
outlines, places and colours are those of real ones, and that the texture varies too much to be
learned by heart: half of the textures are cut from other photos.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from visagist.face.parser.classes import HAIR, IGNORE, OCCLUDER
from visagist.face.topology import (
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
)

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Overlay:
    """One thing in front of the face.

    Attributes:
        colour: (S, S, 3) float32 in 0..255.
        alpha: (S, S) float32, 1 where it hides the face.
        number: class of the pixels it covers.
        shadow: darkening of what lies beside it, 0..1.
    """

    colour: Floats
    alpha: Floats
    number: int = OCCLUDER
    shadow: float = 0.0


@dataclass(frozen=True, slots=True)
class Canvas:
    """What an overlay is fitted to.

    Attributes:
        mesh: (478, 3) float32 in crop pixels.
        size: side of the crop.
        skin: (3,) float32 RGB, the middle of the face's skin.
        textures: pictures that textures are cut from.
    """

    mesh: Floats
    size: int
    skin: Floats
    textures: tuple[Picture, ...]

    @property
    def gap(self) -> float:
        """Pixels between the eyes' centres."""
        right, left = self.eyes()
        return float(np.linalg.norm(left - right))

    def eyes(self) -> tuple[Floats, Floats]:
        """Centres of the eyes on the image's left and right."""
        points = self.mesh[:, :2]
        return (
            points[[RIGHT_EYE_OUTER, RIGHT_EYE_INNER]].mean(0),
            points[[LEFT_EYE_OUTER, LEFT_EYE_INNER]].mean(0),
        )

    def axes(self) -> tuple[Floats, Floats]:
        """Unit vectors to the image's right along the eyes, and down the face."""
        right, left = self.eyes()
        across = (left - right) / max(self.gap, 1e-3)
        return across.astype(np.float32), np.array([-across[1], across[0]], np.float32)

    def at(self, across: float, down: float) -> Floats:
        """A point in eye gaps from the middle between the eyes."""
        right, left = self.eyes()
        x, y = self.axes()
        return ((right + left) / 2 + self.gap * (across * x + down * y)).astype(np.float32)


def compose(
    view: Picture, labels: Picture, overlays: list[Overlay], rng: np.random.Generator
) -> tuple[Picture, Picture]:
    """Lay overlays over a view and correct its labels; soft edges become ``IGNORE``."""
    picture, labels = view.astype(np.float32), labels.copy()
    for overlay in overlays:
        if overlay.shadow > 0:
            sigma = rng.uniform(2, 6)
            move = np.array([[1, 0, rng.uniform(-4, 4)], [0, 1, rng.uniform(1, 6)]])
            soft = cv2.GaussianBlur(overlay.alpha, (0, 0), sigma)
            soft = cv2.warpAffine(soft, move, soft.shape[::-1])
            picture *= 1 - overlay.shadow * soft[..., None]
        alpha = overlay.alpha[..., None]
        picture = picture * (1 - alpha) + overlay.colour * alpha
        labels[(overlay.alpha > 0.2) & (overlay.alpha < 0.6)] = IGNORE
        labels[overlay.alpha >= 0.6] = overlay.number
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8), labels


def draw(canvas: Canvas, rng: np.random.Generator) -> list[Overlay]:
    """A random choice of things, in the order they lie on the face."""
    out: list[Overlay] = []
    if rng.random() < 0.35:
        out += strands(canvas, rng)
    if rng.random() < 0.4:
        out += glasses(canvas, rng)
    if rng.random() < 0.12:
        out.append(hat(canvas, rng))
    kinds: list[Callable[[Canvas, np.random.Generator], Overlay]]
    kinds = [hand, hand, hand, mask, thing, thing, patch, patch]
    if rng.random() < 0.65 or not out:
        out.append(kinds[int(rng.integers(len(kinds)))](canvas, rng))
    return out


def texture(canvas: Canvas, rng: np.random.Generator, base: Floats | None = None) -> Floats:
    """(S, S, 3) float32: a piece of another photo, or one colour with folds, stripes and grain."""
    size = canvas.size
    if base is None and canvas.textures and rng.random() < 0.5:
        source = canvas.textures[int(rng.integers(len(canvas.textures)))]
        side = int(rng.integers(max(8, len(source) // 6), len(source) // 2))
        x, y = rng.integers(0, len(source) - side, 2)
        piece = np.rot90(source[y : y + side, x : x + side], int(rng.integers(4)))
        grown = cv2.resize(np.ascontiguousarray(piece), (size, size)).astype(np.float32)
        return np.asarray(np.clip(grown * rng.uniform(0.5, 1.4), 0, 255), np.float32)
    colour = rng.uniform(0, 255, 3) if base is None else base
    if base is None and rng.random() < 0.5:
        colour = np.full(3, colour.mean()) + rng.normal(0, 12, 3)
    out = np.broadcast_to(colour, (size, size, 3)).astype(np.float32)
    folds = 1 + _smooth(rng, size, 4, 0.18) + _smooth(rng, size, 16, 0.07)
    out = out * folds[..., None]
    if base is None and rng.random() < 0.3:
        angle, period = rng.uniform(0, np.pi), rng.uniform(5, 40)
        y, x = np.mgrid[:size, :size]
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)
        stripe = (wave > rng.uniform(-0.5, 0.5))[..., None]
        other = rng.uniform(0, 255, 3).astype(np.float32)
        out = np.where(stripe, out, out * np.float32(0.4) + other * np.float32(0.6))
    grain = rng.normal(0, rng.uniform(1, 6), (size, size, 1))
    return np.clip(out + grain, 0, 255).astype(np.float32)


def glasses(canvas: Canvas, rng: np.random.Generator) -> list[Overlay]:
    """Frames fitted to the eyes, with clear, tinted or dark lenses and arms to the ears."""
    size, gap = canvas.size, canvas.gap
    x, y = canvas.axes()
    width, height = rng.uniform(0.34, 0.5), rng.uniform(0.2, 0.4)
    power = rng.choice([2.0, 2.6, 4.0, 7.0])
    droop, tilt = rng.uniform(-0.02, 0.1), rng.uniform(-0.12, 0.12)
    thick = gap * (rng.uniform(0.015, 0.04) if rng.random() < 0.6 else rng.uniform(0.04, 0.1))
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    frame, lens = np.zeros((size, size), np.uint8), np.zeros((size, size), np.uint8)
    inner, outer = [], []
    for side, eye in ((-1.0, canvas.eyes()[0]), (1.0, canvas.eyes()[1])):
        c, s = np.cos(turn), np.sin(turn)
        u = side * np.sign(c) * np.abs(c) ** (2 / power) * width
        v = np.sign(s) * np.abs(s) ** (2 / power) * height - tilt * np.abs(u) + droop
        rim = eye + side * 0.03 * gap * x + gap * (u[:, None] * x + v[:, None] * y)
        _fill(lens, rim)
        _line(frame, rim, thick, closed=True)
        inner.append(eye + gap * (-side * (width - 0.05) * x - 0.05 * y))
        outer.append(eye + gap * (side * (width + 0.02) * x - (0.05 + tilt * width) * y))
    arch = (inner[0] + inner[1]) / 2 - gap * rng.uniform(0.02, 0.1) * y
    _line(frame, np.stack([inner[0], arch, inner[1]]), thick)
    for end, ear in ((outer[0], 127), (outer[1], 356)):
        _line(frame, np.stack([end, canvas.mesh[ear, :2] - 0.05 * gap * y]), thick * 0.9)
    out: list[Overlay] = []
    opacity = float(rng.choice([0.0, 0.06, 0.9, 1.0], p=[0.35, 0.3, 0.2, 0.15]))
    if opacity > 0.5:  # sunglasses hide the eyes
        tint = _soft(lens, 0.6) * opacity * rng.uniform(0.88, 1.0)
        out.append(Overlay(_glass(canvas, rng), tint))
    elif opacity > 0 and rng.random() < 0.5:  # a reflection hides nothing
        shine = _soft(lens, 0.6) * np.clip(_smooth(rng, size, 6, 0.5), 0, 0.18)
        out.append(Overlay(np.full((size, size, 3), 235, np.float32), shine.astype(np.float32)))
    base = rng.uniform(0, 60, 3) if rng.random() < 0.55 else rng.uniform(0, 255, 3)
    colour = texture(canvas, rng, base.astype(np.float32))
    edge = _soft(frame, 0.5)
    light = edge - cv2.warpAffine(edge, np.array([[1, 0, 0.7], [0, 1, 0.9]]), edge.shape[::-1])
    colour = np.clip(colour + 120 * light[..., None] * rng.random(), 0, 255)
    out.append(Overlay(colour.astype(np.float32), edge, shadow=rng.uniform(0, 0.35)))
    return out


def _glass(canvas: Canvas, rng: np.random.Generator) -> Floats:
    """Dark lenses, graded from top to bottom, with something mirrored in them."""
    size = canvas.size
    ramp = np.linspace(0.5, 1.3, size)[:, None, None]
    dark = rng.uniform(5, 70, 3) * ramp * np.ones((size, size, 1))
    mirror = texture(canvas, rng)
    share = rng.uniform(0, 0.35)
    return np.clip(dark * (1 - share) + mirror * share, 0, 255).astype(np.float32)


def hand(canvas: Canvas, rng: np.random.Generator) -> Overlay:
    """A palm with fingers of about the face's skin colour, from outside onto the face."""
    size, gap = canvas.size, canvas.gap
    angle = rng.uniform(0, 2 * np.pi)
    goal = canvas.at(rng.uniform(-0.9, 0.9), rng.uniform(-0.5, 1.5))
    toward = -np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-toward[1], toward[0]])
    scale = gap * rng.uniform(0.75, 1.15)
    palm = goal - toward * scale * rng.uniform(0.6, 1.5)
    mask_ = np.zeros((size, size), np.uint8)
    creases = np.zeros((size, size), np.uint8)
    tones = np.zeros((size, size), np.float32)
    turn = np.linspace(0, 2 * np.pi, 40)
    round_ = np.stack([np.cos(turn), np.sin(turn)], 1)
    body = palm + scale * (0.72 * round_[:, :1] * toward + 0.58 * round_[:, 1:] * across)
    _fill(mask_, body)
    _line(mask_, np.stack([palm, palm - toward * 4 * scale]), scale * 0.85)
    spread, bend = rng.uniform(0.05, 0.3), rng.uniform(-0.5, 0.5)
    count = 4 if rng.random() < 0.7 else int(rng.integers(1, 4))
    for k in range(count):
        place = (k - 1.5) * 0.3
        root = palm + scale * (0.45 * toward + place * across)
        lean = toward + (place * spread * 2 + 0.15 * bend) * across
        length = scale * (1.25 - 0.18 * abs(k - 1.3)) * rng.uniform(0.7, 1.0)
        middle = root + lean * length * 0.55
        tip = middle + (lean + bend * 0.6 * across) * length * 0.5
        finger = np.zeros((size, size), np.uint8)
        _line(finger, np.stack([root, middle, tip]), scale * rng.uniform(0.2, 0.27))
        outline = cv2.morphologyEx(finger, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        creases = np.maximum(creases, outline)
        tones = np.where(finger > 0, rng.uniform(-0.06, 0.08), tones)
        mask_ = np.maximum(mask_, finger)
    if rng.random() < 0.6:
        side = 1 if rng.random() < 0.5 else -1
        root = palm + scale * 0.45 * side * across
        tip = root + scale * (0.75 * toward + 0.45 * side * across)
        _line(mask_, np.stack([root, tip]), scale * 0.28)
    colour = canvas.skin * rng.uniform(0.75, 1.2) + rng.normal(0, 6, 3)
    skin = texture(canvas, rng, colour.astype(np.float32))
    inner = cv2.distanceTransform(mask_, cv2.DIST_L2, 3)
    shade = 0.62 + 0.4 * np.clip(inner / (0.14 * scale), 0, 1) ** 0.6 + tones
    shade -= 0.25 * cv2.GaussianBlur(creases.astype(np.float32) / 255, (0, 0), 0.9)
    skin = np.clip(skin * shade[..., None], 0, 255).astype(np.float32)
    return Overlay(skin, _soft(mask_, rng.uniform(0.4, 1.0)), shadow=rng.uniform(0.1, 0.5))


def hat(canvas: Canvas, rng: np.random.Generator) -> Overlay:
    """A cap, beanie or scarf: the head above a line across the forehead, maybe with a brim."""
    size, gap = canvas.size, canvas.gap
    x, y = canvas.axes()
    low, curve = rng.uniform(-0.95, -0.45), rng.uniform(-0.25, 0.15)
    half, tall = rng.uniform(1.15, 1.5), rng.uniform(1.0, 1.8)
    u = np.linspace(-1, 1, 25)
    bottom = [canvas.at(half * k, low + curve * (1 - k * k) + 0.15 * k * k) for k in u]
    top = [canvas.at(half * 1.02 * k, low - tall * (1 - k**4) ** 0.5 - 0.05) for k in u[::-1]]
    mask_ = np.zeros((size, size), np.uint8)
    _fill(mask_, np.array(bottom + top))
    if rng.random() < 0.5:
        reach = rng.uniform(1.0, 1.7)
        centre = canvas.at(0, low + curve)
        turn = np.linspace(0, 2 * np.pi, 40)[:, None]
        flat = rng.uniform(0.12, 0.3)
        brim = centre + gap * (reach * half * np.cos(turn) * x + flat * np.sin(turn) * y)
        _fill(mask_, brim)
    cloth = texture(canvas, rng)
    return Overlay(cloth, _soft(mask_, rng.uniform(0.4, 1.2)), shadow=rng.uniform(0.1, 0.6))


def mask(canvas: Canvas, rng: np.random.Generator) -> Overlay:
    """A medical or cloth mask over nose and mouth."""
    size = canvas.size
    jaw = [234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288,
           361, 323, 454]  # fmt: skip
    first, last = sorted(rng.integers(1, 4, 2).tolist())
    lower = canvas.mesh[jaw, :2][first : len(jaw) - last]
    bridge = canvas.mesh[[197, 195, 5, 4][int(rng.integers(4))], :2]
    right, left = canvas.mesh[118, :2], canvas.mesh[347, :2]
    mask_ = np.zeros((size, size), np.uint8)
    centre = lower.mean(0)
    edge = np.concatenate(
        [centre + (lower - centre) * rng.uniform(1.0, 1.08), [left, bridge, right]]
    )
    _fill(mask_, edge.astype(np.float32))
    base = rng.uniform(150, 250, 3) if rng.random() < 0.5 else None
    cloth = texture(canvas, rng, None if base is None else base.astype(np.float32))
    y = np.arange(size)[:, None]
    pleats = 1 + 0.08 * np.sin(y * 2 * np.pi / rng.uniform(8, 24)) * (rng.random() < 0.6)
    cloth = np.clip(cloth * pleats[..., None], 0, 255).astype(np.float32)
    return Overlay(cloth, _soft(mask_, 0.7), shadow=rng.uniform(0, 0.4))


def thing(canvas: Canvas, rng: np.random.Generator) -> Overlay:
    """A cup, a phone, a microphone, a pen: a rod, a box or a ball, shaded."""
    size, gap = canvas.size, canvas.gap
    mask_ = np.zeros((size, size), np.uint8)
    goal = canvas.at(rng.uniform(-1.0, 1.0), rng.uniform(-0.6, 1.7))
    angle = rng.uniform(0, 2 * np.pi)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    shape = rng.random()
    if shape < 0.4:
        length, thick = rng.uniform(0.8, 3), rng.uniform(0.08, 0.5)
        _line(mask_, np.stack([goal, goal + along * length * gap]), thick * gap)
        if rng.random() < 0.5:
            cv2.circle(mask_, _shifted(goal), int(gap * thick * 8), 255, -1, cv2.LINE_AA, 4)
    elif shape < 0.75:
        a, b = rng.uniform(0.3, 0.8), rng.uniform(0.3, 1.2)
        corners = [(-a, -b), (a, -b), (a * rng.uniform(0.7, 1), b), (-a * rng.uniform(0.7, 1), b)]
        _fill(mask_, np.array([goal + gap * (u * across + v * along) for u, v in corners]))
    else:
        turn = np.linspace(0, 2 * np.pi, 40)[:, None]
        a, b = rng.uniform(0.2, 0.7, 2)
        _fill(mask_, goal + gap * (a * np.cos(turn) * along + b * np.sin(turn) * across))
    surface = texture(canvas, rng)
    inner = cv2.distanceTransform(mask_, cv2.DIST_L2, 3)
    shade = 0.6 + 0.5 * np.clip(inner / max(float(inner.max()), 1.0), 0, 1) ** 0.7
    surface = np.clip(surface * shade[..., None], 0, 255).astype(np.float32)
    return Overlay(surface, _soft(mask_, rng.uniform(0.4, 1.2)), shadow=rng.uniform(0, 0.5))


def patch(canvas: Canvas, rng: np.random.Generator) -> Overlay:
    """A smooth random outline with any texture: whatever else may cover a face."""
    size, gap = canvas.size, canvas.gap
    goal = canvas.at(rng.uniform(-1.2, 1.2), rng.uniform(-1.0, 1.8))
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    radius = np.ones(60)
    for k in range(1, 5):
        radius += rng.normal(0, 0.28 / k) * np.cos(k * turn + rng.uniform(0, 2 * np.pi))
    radius = np.clip(radius, 0.15, None) * gap * rng.uniform(0.25, 0.8)
    stretch = rng.uniform(0.5, 1.6)
    shape = goal + radius[:, None] * np.stack([np.cos(turn) * stretch, np.sin(turn)], 1)
    mask_ = np.zeros((size, size), np.uint8)
    _fill(mask_, shape)
    return Overlay(
        texture(canvas, rng), _soft(mask_, rng.uniform(0.4, 1.5)), shadow=rng.uniform(0, 0.4)
    )


def strands(canvas: Canvas, rng: np.random.Generator) -> list[Overlay]:
    """Locks of hair that fall from above over forehead, temples and cheeks."""
    size, gap = canvas.size, canvas.gap
    natural = np.array([[25, 20, 18], [60, 42, 30], [105, 75, 48], [165, 125, 80], [200, 170, 125],
                        [150, 80, 45], [130, 130, 130], [215, 212, 205]], np.float32)  # fmt: skip
    base = natural[int(rng.integers(len(natural)))] * rng.uniform(0.7, 1.2)
    if rng.random() < 0.08:
        base = rng.uniform(0, 255, 3).astype(np.float32)
    alpha = np.zeros((size, size), np.float32)
    light = np.ones((size, size), np.float32)
    centre, spread = rng.uniform(-1.0, 1.0), rng.uniform(0.1, 0.9)
    reach, sway = rng.uniform(0.3, 2.2), rng.normal(0, 0.45)
    start = rng.uniform(-1.7, -1.2)
    t = np.linspace(0, 1, 14)
    for _ in range(int(rng.integers(4, 90))):
        root = centre + rng.normal(0, spread * 0.5)
        length, bend = reach * rng.uniform(0.6, 1.05), sway + rng.normal(0, 0.12)
        path = np.array([canvas.at(root + bend * k * k, start + length * k) for k in t])
        lock = np.zeros((size, size), np.uint8)
        _line(lock, path, gap * rng.uniform(0.012, 0.06))
        soft = _soft(lock, 0.4)
        light = np.where(soft > 0.3, rng.uniform(0.65, 1.4), light)
        alpha = np.maximum(alpha, soft)
    colour = texture(canvas, rng, base) * light[..., None]
    colour = np.clip(colour, 0, 255).astype(np.float32)
    return [Overlay(colour, alpha, number=HAIR, shadow=rng.uniform(0, 0.4))]


def _smooth(rng: np.random.Generator, size: int, knots: int, amplitude: float) -> Floats:
    coarse = rng.normal(0, amplitude, (knots, knots)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC), np.float32)


def _shifted(point: NDArray[np.floating]) -> tuple[int, int]:
    """OpenCV's fixed-point coordinates, sixteenths of a pixel; its pixel centres lie at .0."""
    x, y = np.clip(np.rint((np.asarray(point) - 0.5) * 16), -(2**20), 2**20).astype(int)
    return int(x), int(y)


def _fill(mask_: Picture, points: NDArray[np.floating]) -> None:
    corners = np.array([_shifted(p) for p in points], np.int32)
    cv2.fillPoly(mask_, [corners], 255, cv2.LINE_AA, 4)


def _line(
    mask_: Picture, points: NDArray[np.floating], thick: float, *, closed: bool = False
) -> None:
    corners = np.array([_shifted(p) for p in points], np.int32)
    cv2.polylines(mask_, [corners], closed, 255, max(1, round(thick)), cv2.LINE_AA, 4)


def _soft(mask_: Picture, sigma: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(mask_.astype(np.float32) / 255, (0, 0), sigma), np.float32)
