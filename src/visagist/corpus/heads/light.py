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
    """(3,) unit vector from degrees: 0, 0 is the camera; positive is right and up in the picture."""
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


def sample_lighting(random: np.random.Generator) -> Lighting:
    """A plausible light: studio, window, sun, room, dusk, and a few that are hard on the eye."""
    names = ("window", "studio", "overcast", "sun", "room", "split", "back", "flash")
    shares = (0.24, 0.22, 0.16, 0.12, 0.12, 0.05, 0.05, 0.04)
    name = str(random.choice(names, p=shares))
    side = random.choice((-1.0, 1.0))
    uniform = random.uniform
    room = kelvin(uniform(3000, 8500))
    # azimuth, elevation, strength, softness, colour of the key; strength of ambient, fill, rim
    key_at, strength, soft, colour, around, fill, rim = {
        "window": ((side * uniform(25, 70), uniform(5, 35)), 0.9, uniform(0.12, 0.3), 6500.0, 0.45, 0.1, 0.1),
        "studio": ((side * uniform(10, 50), uniform(20, 50)), 0.8, uniform(0.08, 0.25), 5300.0, 0.35, 0.35, 0.25),
        "overcast": ((side * uniform(0, 50), uniform(45, 75)), 0.35, uniform(0.25, 0.4), 7000.0, 0.8, 0.05, 0.05),
        "sun": ((side * uniform(15, 65), uniform(25, 60)), 1.2, uniform(0.015, 0.04), 5200.0, 0.4, 0.1, 0.15),
        "room": ((side * uniform(0, 40), uniform(35, 70)), 0.6, uniform(0.1, 0.25), 3300.0, 0.5, 0.2, 0.05),
        "split": ((side * uniform(65, 95), uniform(0, 30)), 1.0, uniform(0.05, 0.2), 5600.0, 0.22, 0.1, 0.15),
        "back": ((side * uniform(0, 40), uniform(10, 40)), 0.45, uniform(0.15, 0.3), 6500.0, 0.45, 0.1, 1.3),
        "flash": ((side * uniform(0, 8), uniform(3, 12)), 1.0, uniform(0.01, 0.04), 5500.0, 0.25, 0.05, 0.0),
    }[name]  # fmt: skip
    key_colour = kelvin(colour * uniform(0.88, 1.12)) * strength * uniform(0.85, 1.15)
    key = Lamp(direction(*key_at), key_colour.astype(np.float32))
    fill_at = direction(-side * uniform(20, 70), uniform(-10, 25))
    rim_at = direction(-side * uniform(115, 160), uniform(5, 45))
    ground = np.array([1.0, uniform(0.85, 1.0), uniform(0.7, 0.95)], np.float32)
    harmonics = (
        lobe(direction(0, 90), room * around * uniform(0.35, 0.6))
        + lobe(direction(side * uniform(0, 90), uniform(0, 40)), room * around * uniform(0.3, 0.6))
        + lobe(
            direction(-side * uniform(30, 120), 0),
            kelvin(uniform(3000, 9000)) * around * uniform(0.1, 0.35),
        )
        + lobe(direction(0, -90), ground * around * uniform(0.08, 0.3))
    )
    return Lighting(
        name,
        key,
        Lamp(fill_at, (kelvin(uniform(3500, 8000)) * fill * uniform(0.5, 1.3)).astype(np.float32)),
        Lamp(rim_at, (kelvin(uniform(3500, 9000)) * rim * uniform(0.4, 1.2)).astype(np.float32)),
        np.asarray(harmonics, np.float32),
        float(soft),
    )
