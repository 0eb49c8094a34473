"""Lights of a scene: three directional ones and what the surroundings send from everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# Linear sRGB of a black body, normalised to its brightest channel; Tanner Helland's fit would need
# a curve a channel, these steps are closer than any camera's white balance.
_KELVIN = np.array([2500, 3200, 4000, 5000, 6500, 8000, 10000], np.float64)
_BODY = np.array(
    [
        [1.0, 0.36, 0.08],
        [1.0, 0.47, 0.17],
        [1.0, 0.61, 0.32],
        [1.0, 0.77, 0.55],
        [1.0, 0.96, 0.98],
        [0.78, 0.83, 1.0],
        [0.63, 0.72, 1.0],
    ]
)


@dataclass(frozen=True, slots=True)
class Lamp:
    """A directional light.

    Attributes:
        direction: (3,) unit vector towards the light, world axes.
        colour: (3,) linear radiance; 1 lights a white facing surface to 1.
    """

    direction: Floats
    colour: Floats


@dataclass(frozen=True, slots=True)
class Lighting:
    """Everything that lights a scene.

    Attributes:
        name: the kind, for reports.
        key: the main light, which casts shadows.
        fill: from elsewhere, without shadows.
        rim: from the side or from behind.
        harmonics: (9, 3) ambient light as irradiance / pi, in the order of the shader.
        softness: radius of the key light's shadow edge in decimetres.
    """

    name: str
    key: Lamp
    fill: Lamp
    rim: Lamp
    harmonics: Floats
    softness: float


def kelvin(temperature: float) -> Floats:
    """(3,) linear colour of a light of this temperature, luminance 1."""
    colour = np.array([np.interp(temperature, _KELVIN, _BODY[:, k]) for k in range(3)])
    return np.asarray(colour / (colour @ [0.2126, 0.7152, 0.0722]), np.float32)


def direction(azimuth: float, elevation: float) -> Floats:
    """(3,) unit vector from degrees: 0, 0 is the camera; right and up are positive."""
    a, e = np.radians([azimuth, elevation])
    return np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)], np.float32)


def lobe(towards: Floats, colour: Floats, wide: float = 1.0) -> Floats:
    """(9, 3) harmonics of light from around one direction.

    A clamped cosine lobe around the direction, convolved with a diffuse surface's cosine: the
    bands' factors of Ramamoorthi and Hanrahan (2001), normalised so that a facing surface gets
    ``colour``. ``wide`` 0 is a lamp, 1 half the sky.
    """
    x, y, z = towards
    first, second = 0.64 + 0.2 * (1 - wide), 0.16 + 0.2 * (1 - wide)
    total = 1 + first + second
    # bands of an axially symmetric function: 1, cos, (3 cos^2 - 1) / 2
    weights = np.array(
        [
            1.0,
            first * y,
            first * z,
            first * x,
            3 * second * x * y,
            3 * second * y * z,
            second * (3 * z * z - 1) / 4,
            3 * second * x * z,
            3 * second * (x * x - y * y) / 4,
        ]
    )
    # In the shader's basis 3z^2 - 1 and x^2 - y^2 stand for both squared terms of the lobe.
    return np.asarray(weights[:, None] * colour[None] / total, np.float32)


@dataclass(frozen=True, slots=True)
class _Kind:
    """Ranges of one kind of light; azimuth is to the side of the key."""

    share: float
    azimuth: tuple[float, float]
    elevation: tuple[float, float]
    softness: tuple[float, float]
    strength: float
    kelvin: float
    ambient: float
    fill: float
    rim: float


_KINDS = {
    "window": _Kind(0.24, (25, 70), (5, 35), (0.12, 0.3), 0.9, 6500, 0.45, 0.1, 0.1),
    "studio": _Kind(0.22, (10, 50), (20, 50), (0.08, 0.25), 0.8, 5300, 0.35, 0.35, 0.25),
    "overcast": _Kind(0.16, (0, 50), (45, 75), (0.25, 0.4), 0.35, 7000, 0.8, 0.05, 0.05),
    "sun": _Kind(0.12, (15, 65), (25, 60), (0.015, 0.04), 1.2, 5200, 0.4, 0.1, 0.15),
    "room": _Kind(0.12, (0, 40), (35, 70), (0.1, 0.25), 0.6, 3300, 0.5, 0.2, 0.05),
    "split": _Kind(0.05, (65, 95), (0, 30), (0.05, 0.2), 1.0, 5600, 0.22, 0.1, 0.15),
    "back": _Kind(0.05, (0, 40), (10, 40), (0.15, 0.3), 0.45, 6500, 0.45, 0.1, 1.3),
    "flash": _Kind(0.04, (0, 8), (3, 12), (0.01, 0.04), 1.0, 5500, 0.25, 0.05, 0.0),
}
KINDS = tuple(_KINDS)


def sample_lighting(random: np.random.Generator) -> Lighting:
    """A plausible light: studio, window, sun, room, dusk, and a few that are hard on the eye."""
    uniform = random.uniform
    name = str(random.choice(KINDS, p=[kind.share for kind in _KINDS.values()]))
    kind = _KINDS[name]
    side = float(random.choice((-1.0, 1.0)))
    key = _lamp(
        direction(side * uniform(*kind.azimuth), uniform(*kind.elevation)),
        kelvin(kind.kelvin * uniform(0.88, 1.12)),
        kind.strength * uniform(0.85, 1.15),
    )
    fill = _lamp(
        direction(-side * uniform(20, 70), uniform(-10, 25)),
        kelvin(uniform(3500, 8000)),
        kind.fill * uniform(0.5, 1.3),
    )
    rim = _lamp(
        direction(-side * uniform(115, 160), uniform(5, 45)),
        kelvin(uniform(3500, 9000)),
        kind.rim * uniform(0.4, 1.2),
    )
    room, other = kelvin(uniform(3000, 8500)), kelvin(uniform(3000, 9000))
    ground = np.array([1.0, uniform(0.85, 1.0), uniform(0.7, 0.95)], np.float32)
    harmonics = kind.ambient * (
        lobe(direction(0, 90), room * uniform(0.35, 0.6))
        + lobe(direction(side * uniform(0, 90), uniform(0, 40)), room * uniform(0.3, 0.6))
        + lobe(direction(-side * uniform(30, 120), 0), other * uniform(0.1, 0.35))
        + lobe(direction(0, -90), ground * uniform(0.08, 0.3))
    )
    softness = float(uniform(*kind.softness))
    return Lighting(name, key, fill, rim, np.asarray(harmonics, np.float32), softness)


def _lamp(towards: Floats, colour: Floats, strength: float) -> Lamp:
    return Lamp(towards, np.asarray(colour * strength, np.float32))
