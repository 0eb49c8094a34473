"""Disturbances of single pictures, on the processor; every draw comes from the given generator.

The batches of :mod:`visagist.training.augment` run where the network runs. These run in the process
that prepares a batch, on ``uint8``, because their pairs of pictures must stay true to each other.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from visagist.training.augmentation import AugmentConfig, PhotometricConfig


def light_curves(rng: np.random.Generator, config: PhotometricConfig) -> NDArray[np.uint8]:
    """(256, 3) tone curves: exposure, colour cast, gamma and contrast.

    The same curves go over the bare and the made-up face, as one light and one camera would.
    """
    strength = config.strength if config.enabled else 0.0
    x = np.arange(256)[:, None] / 255.0
    gain = 2 ** (rng.uniform(-0.6, 0.4) * strength)
    cast = 2 ** (rng.uniform(-0.15, 0.15, 3) * strength)
    gamma = 2 ** (rng.uniform(-0.3, 0.3) * strength)
    contrast = 2 ** (rng.uniform(-0.25, 0.25) * strength)
    y = (np.clip(x, 1e-4, 1) ** gamma * gain * cast - 0.5) * contrast + 0.5
    return np.rint(np.clip(y, 0, 1) * 255).astype(np.uint8)


def degrade(
    picture: NDArray[np.uint8], rng: np.random.Generator, config: AugmentConfig
) -> NDArray[np.uint8]:
    """Blur, noise and JPEG traces of a poor camera on (H, W, 3); a target beside it stays clean.

    At strength 1: a blur of up to 1.3 pixels, noise of up to 9 levels, JPEG quality 30 to 95.
    """
    if not rng.random() < config.degraded:
        return picture
    if config.blur.active and rng.random() < config.blur.share:
        sigma = rng.uniform(0.3, 1.3) * config.blur.strength
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)
    if config.noise.active and rng.random() < config.noise.share:
        noise = np.empty(picture.shape, np.int16)
        cv2.setRNGSeed(int(rng.integers(1 << 31)))
        cv2.randn(noise, np.zeros(3), np.full(3, rng.uniform(1, 9) * config.noise.strength))
        picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
    if config.jpeg.active and rng.random() < config.jpeg.share:
        worst = max(1, round(95 - 65 * config.jpeg.strength))
        quality = int(rng.integers(worst, 95))
        _, stream = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        picture = np.asarray(cv2.imdecode(stream, cv2.IMREAD_COLOR), np.uint8)
    return picture


def cover(
    shape: tuple[int, int], rng: np.random.Generator, strength: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Something in front of the face: a soft ellipse or a bar of one colour.

    Args:
        shape: height and width of the picture.
        rng: source of randomness.
        strength: 1 covers up to about a third of the crop's side, half that on average.

    Returns:
        (H, W, 1) float32 coverage in 0..1 and (3,) float32 colour in 0..255.
    """
    height, width = shape
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None]
    cx, cy = rng.uniform(-0.75, 0.75, 2)
    axes = np.exp(rng.uniform(-2.3, -0.5, 2)) * strength
    angle = rng.uniform(0, np.pi)
    u = ((x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)) / axes[0]
    v = (-(x - cx) * np.sin(angle) + (y - cy) * np.cos(angle)) / axes[1]
    power = 2.0 if rng.random() < 0.5 else 8.0
    distance = np.minimum(np.abs(u) ** power + np.abs(v) ** power, 9.0)
    mask = 1 / (1 + np.exp(20 * (distance - 1)))
    return mask[..., None].astype(np.float32), rng.uniform(0, 255, 3).astype(np.float32)
