"""The watermark that bears cropping: a repeated tile of waves (spread spectrum), read blindly.

Writing is informed: the writer knows the picture, measures what its structure does to each wave,
and spends its energy where a wave would be misread (after Miller, Doerr and Cox, "Applying informed
coding and embedding", IEEE Trans. Image Processing 13(6), 2004). Reading needs neither the original
nor its size: the sync waves are looked for at every scale at once in one Fourier transform, a small
inverse transform for each scale gives the tile's place, and the wave's phases the code bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.provenance.watermark import code
from visagist.provenance.watermark.carriers import (
    PAYLOAD,
    REACH,
    SYNC,
    SYNC_WAVE,
    TILE,
    WAVES,
    phasors,
    received,
)
from visagist.provenance.watermark.plane import Plane, box_mean, detail, luma, reduced

__all__ = ["FULL", "Found", "find", "write"]

FULL = 1024
"""Shorter side in pixels above which the tile grows with the picture."""

_PERIODS = (27.0, 110.0)  # of a tile, pixels: 64 after scaling by 0.42 to 1.7
_GRID = 32  # cells of a tile in which its place is looked for; more than twice REACH
_CANDIDATES = 4
_SYNC_LEAST = 6.0
_KNOWN_LEAST = 3.0  # where scale and place are not searched for
_WORD_LEAST = 8.5
_ROOMY = 512
_CALMER = 0.4  # exponent from local strength to local amplitude
_SPAN = (0.35, 2.2)  # of the local amplitude
_DARKEST, _BRIGHT = 0.55, 200.0  # share of the amplitude in black; levels up to full amplitude
_ROUGH, _SMOOTHEST = 10.0, 0.7  # levels of local strength from which on, and the share below
_WAVE_SPAN = (0.3, 3.0)  # of one wave's amplitude, against their root mean square

Complex = NDArray[np.complexfloating]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Found:
    """An id read from a picture.

    Attributes:
        mark_id: the id.
        score: agreement of all waves with the id's, in standard deviations of unmarked pictures.
        scale: size of the tile against that at which it is written.
    """

    mark_id: int
    score: float
    scale: float


def write(pixels: NDArray[np.uint8], mark_id: int, decibels: float) -> NDArray[np.uint8]:
    """Add the tile.

    Args:
        pixels: uint8 ``(H, W, 3)`` sRGB, at least 64 pixels a side.
        mark_id: 0 to 2**40 - 1.
        decibels: PSNR to spend.

    Returns:
        the marked pixels.
    """
    wanted = phasors(mark_id)
    signs = np.stack([np.where(wanted.real < 0, -1, 1), np.where(wanted.imag < 0, -1, 1)])
    small = _small(pixels)
    amplitude, local = _amplitudes(small, signs, decibels)
    if small is not pixels:
        size = (pixels.shape[1], pixels.shape[0])
        local = np.asarray(Image.fromarray(local).resize(size, Image.Resampling.BILINEAR))
    return _marked(pixels, amplitude * signs, local, decibels)[0]


def find(plane: Plane) -> Found | None:
    """Read the tile.

    Args:
        plane: brightness, ``(H, W)``.

    Returns:
        what was found, or None.
    """
    plane = reduced(plane, FULL)
    height, width = plane.shape
    structure = detail(plane)[0]
    spectrum = _Spectrum.of(structure)
    period = _written_period(height, width)
    place = (-spectrum.centre[0] / period, -spectrum.centre[1] / period)
    found = _read(structure, spectrum, (period, period), place, known=True)
    if found is not None:
        return found
    for periods, place in _candidates(spectrum):
        found = _read(structure, spectrum, periods, place, known=False)
        if found is not None:
            return found
    return None


def _amplitudes(
    pixels: NDArray[np.uint8], signs: NDArray[np.int64], decibels: float
) -> tuple[Floats, Plane]:
    """How much of each wave's cosine and sine part to add, ``(2, N)``, and of all of them where.

    Both up to a common factor. A picture with much room needs to be listened to only once.
    """
    period = np.array([_written_period(*pixels.shape[:2])])
    host, strength = detail(luma(pixels))
    local = _local(strength, luma(pixels))
    noise = _Spectrum.of(host).noise(period, period, WAVES)[0]
    before = _parts(host, signs) / noise
    amplitude = np.ones_like(before)
    gain: Floats | None = None
    for _ in range(1 if min(pixels.shape[:2]) > _ROOMY else 2):
        marked, unit = _marked(pixels, amplitude * signs, local, decibels)
        parts = _parts(detail(luma(marked))[0], signs) / noise
        spent = amplitude * unit
        if gain is None:
            gain = ((parts - before) / spent).mean(0)
            gain = np.maximum(gain, 0.3 * np.median(gain))
        amplitude = _balanced(parts - gain * spent, gain, spent)
        amplitude /= np.sqrt(np.square(amplitude).mean())
    return amplitude, local


def _marked(
    pixels: NDArray[np.uint8], parts: Floats, local: Plane, decibels: float
) -> tuple[NDArray[np.uint8], float]:
    """Pixels with the waves added, and the factor that gives them the wanted energy."""
    height, width = pixels.shape[:2]
    pattern = _pattern(height, width, _written_period(height, width), parts[0] + 1j * parts[1])
    pattern *= local
    # Against the whole of the pattern's energy before it was made less somewhere.
    unit = 255.0 / 10.0 ** (decibels / 20.0) / float(np.sqrt(np.square(parts).sum() / 2.0))
    pattern *= unit
    marked = pixels + pattern[..., None]
    np.rint(marked, out=marked)
    np.clip(marked, 0.0, 255.0, out=marked)
    return marked.astype(np.uint8), unit


def _local(strength: Plane, brightness: Plane) -> Plane:
    """Amplitude of the pattern by place: more in structure, less in the dark, where eyes are keen.

    In smooth pictures it is less all over: there is little to drown, and much to be seen.
    """
    local: Plane = strength**_CALMER
    local = np.clip(local / np.sqrt(np.square(local).mean()), *_SPAN)
    local *= np.clip(_DARKEST + brightness / _BRIGHT, _DARKEST, 1.0)
    local *= np.clip((strength.mean() / _ROUGH) ** _CALMER, _SMOOTHEST, 1.0)
    return local


def _small(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture as the reader sees it: shrunk where it is large."""
    height, width = pixels.shape[:2]
    factor = min(height, width) / FULL
    if factor <= 1.0:
        return pixels
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0))


@dataclass(frozen=True, slots=True)
class _Spectrum:
    """The Fourier transform of a detail layer about its middle, padded so that it is smooth.

    Attributes:
        values: of frequencies y (all) and x (not negative).
        power: its local mean.
        size: height and width of the padded plane.
        centre: x and y of the point that phases count from, pixels.
        extent: the longer side of the plane.
    """

    values: NDArray[np.complex64]
    power: Plane
    size: tuple[int, int]
    centre: tuple[float, float]
    extent: int

    @classmethod
    def of(cls, plane: Plane) -> _Spectrum:
        height, width = plane.shape
        size = _fast(height * 8 // 5), _fast(width * 8 // 5)
        middle = height // 2, width // 2
        padded = np.zeros(size, np.float32)
        padded[:height, :width] = plane
        values = np.fft.rfft2(np.roll(padded, (-middle[0], -middle[1]), (0, 1)))
        raw = np.square(np.abs(values)).astype(np.float32)
        # six periods of the plane to each side: wide against a wave's own peak
        radius = max(2, round(6 * size[0] / height))
        smooth = box_mean(raw, radius, wrap=True)
        power = np.maximum(smooth, 1e-4 * raw.mean() + 1e-9)
        centre = middle[1] + 0.5, middle[0] + 0.5  # the middle of the pixel that came first
        return cls(values.astype(np.complex64), power, size, centre, max(height, width))

    def noise(self, x_periods: Floats, y_periods: Floats, waves: NDArray[np.int64]) -> Floats:
        """Root mean power around each wave, ``(P, N)``."""
        x, y, _ = self._place(x_periods, y_periods, waves)
        columns = np.minimum(np.rint(x).astype(int), self.power.shape[1] - 1)
        found: Floats = np.sqrt(self.power[np.rint(y).astype(int) % self.size[0], columns])
        return found

    def at(self, x_periods: Floats, y_periods: Floats, waves: NDArray[np.int64]) -> Complex:
        """Whitened values at each wave for each pair of periods, ``(P, N)``, interpolated."""
        x, y, negative = self._place(x_periods, y_periods, waves)
        left, top = np.floor(x).astype(int), np.floor(y).astype(int)
        right_share = (x - left).astype(np.float32)
        lower_share = (y - top).astype(np.float32)
        last = self.values.shape[1] - 1
        columns = np.minimum(left, last), np.minimum(left + 1, last)
        rows = top % self.size[0], (top + 1) % self.size[0]
        upper = self.values[rows[0], columns[0]] * (1 - right_share)
        upper += self.values[rows[0], columns[1]] * right_share
        lower = self.values[rows[1], columns[0]] * (1 - right_share)
        lower += self.values[rows[1], columns[1]] * right_share
        found = upper * (1 - lower_share) + lower * lower_share
        found /= np.sqrt(self.power[rows[0], columns[0]])
        upright: Complex = np.where(negative, found.conj(), found)
        return upright

    def _place(
        self, x_periods: Floats, y_periods: Floats, waves: NDArray[np.int64]
    ) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        x = waves[:, 0] / x_periods[:, None] * self.size[1]
        y = waves[:, 1] / y_periods[:, None] * self.size[0]
        negative = x < 0  # the half that is not stored mirrors the other
        return np.abs(x), np.where(negative, -y, y), negative


def _candidates(
    spectrum: _Spectrum,
) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Scales and places at which the sync waves agree best: periods (x, y), place in tiles."""
    step = 2.0 / spectrum.extent  # at the border a wave is then at most a quarter period off
    periods = np.exp(np.arange(np.log(_PERIODS[0]), np.log(_PERIODS[1]), step))
    best = _places(spectrum, periods, periods)[0]
    found = []
    for _ in range(_CANDIDATES):
        middle = int(best.argmax())
        best[max(0, middle - 2) : middle + 3] = -np.inf
        near = periods[middle] * (1 + step * np.arange(-0.75, 0.76, 0.25))
        x, y = (grid.ravel() for grid in np.meshgrid(near, near))
        scores, places = _places(spectrum, x, y)
        top = int(scores.argmax())
        found.append(((float(x[top]), float(y[top])), places[top]))
    return found


def _places(spectrum: _Spectrum, x: Floats, y: Floats) -> tuple[Floats, list[tuple[float, float]]]:
    """For each pair of periods how well the sync waves agree at the best place, and that place."""
    waves = spectrum.at(x, y, WAVES[SYNC]) * SYNC_WAVE.conj().astype(np.complex64)
    grid = np.zeros((len(x), _GRID, _GRID), np.complex64)
    grid[:, WAVES[SYNC][:, 1] % _GRID, WAVES[SYNC][:, 0] % _GRID] = waves
    agreement = np.fft.ifft2(grid).real.reshape(len(x), -1) * _GRID**2
    spread = np.sqrt(np.square(np.abs(waves)).sum(1) / 2.0) + 1e-12  # a flat picture has no waves
    scores = agreement.max(1) / spread
    rows, columns = np.divmod(agreement.argmax(1), _GRID)
    return scores, [(c / _GRID, r / _GRID) for c, r in zip(columns, rows, strict=True)]


def _read(
    structure: Plane,
    spectrum: _Spectrum,
    periods: tuple[float, float],
    place: tuple[float, float],
    *,
    known: bool,
) -> Found | None:
    """The id at one scale and place, if the waves agree well enough to believe it."""
    waves = _waves_at(structure, *periods, spectrum.centre)
    waves = waves / spectrum.noise(np.array(periods[:1]), np.array(periods[1:]), WAVES)[0]
    if not known:
        place = _finer(waves[SYNC], place)
    waves = waves * np.exp(2j * np.pi * (WAVES @ np.array(place)))
    sync = _agreement(waves[SYNC], SYNC_WAVE)
    if sync < (_KNOWN_LEAST if known else _SYNC_LEAST):
        return None
    mark_id = code.decode(code.spread(received(waves[PAYLOAD])))
    if mark_id is None:
        return None
    wanted = phasors(mark_id)
    if _agreement(waves[PAYLOAD], wanted[PAYLOAD]) < _WORD_LEAST:
        return None
    return Found(mark_id, _agreement(waves, wanted), float(np.sqrt(periods[0] * periods[1]) / TILE))


def _finer(sync: Complex, place: tuple[float, float]) -> tuple[float, float]:
    """The place next to a cell's middle where the sync waves agree best."""
    best = np.array(place)
    cells = np.array([(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)])
    wanted = sync * SYNC_WAVE.conj()
    for step in (1 / 64, 1 / 128, 1 / 256):
        around = best + step * cells
        agreement = (np.exp(2j * np.pi * (around @ WAVES[SYNC].T)) @ wanted).real
        best = around[int(agreement.argmax())]
    return float(best[0]), float(best[1])


def _agreement(waves: Complex, wanted: Complex) -> float:
    """Correlation in standard deviations of waves with random phases."""
    spread = np.sqrt(np.square(np.abs(waves)).sum() / 2.0) + 1e-12
    return float((waves * wanted.conj()).real.sum() / spread)


def _balanced(host: Floats, gain: Floats, spent: Floats) -> Floats:
    """Amplitudes of the energy of ``spent`` that lift every part to one margin, if they can.

    Solves ``margin = host + gain * amplitude`` for each, within limits, for the largest margin.
    """
    energy = float(np.square(spent).mean())
    amplitude: Floats = spent
    root = float(np.sqrt(energy))
    low, high = -50.0, 1000.0
    for _ in range(50):
        margin = (low + high) / 2
        wanted = np.maximum((margin - host) / gain, _WAVE_SPAN[0] * root)
        amplitude = np.minimum(wanted, _WAVE_SPAN[1] * root)
        if float(np.square(amplitude).mean()) > energy:
            high = margin
        else:
            low = margin
    return amplitude


def _parts(structure: Plane, signs: NDArray[np.int64]) -> Floats:
    """Cosine and sine part of the waves, positive where they have the wanted sign, ``(2, N)``."""
    period = _written_period(*structure.shape)
    waves = _waves_at(structure, period, period, (0.0, 0.0))
    return np.asarray(np.stack([waves.real, waves.imag]) * signs, np.float64)


def _waves_at(
    plane: Plane, x_period: float, y_period: float, origin: tuple[float, float]
) -> Complex:
    """Exact sums over the plane for every wave, ``(N,)``, phases about ``origin`` (x, y)."""
    height, width = plane.shape
    x = (np.arange(width) + 0.5 - origin[0]) / x_period
    y = (np.arange(height) + 0.5 - origin[1]) / y_period
    across = np.exp(-2j * np.pi * np.outer(x, np.arange(-REACH, REACH + 1))).astype(np.complex64)
    down = np.exp(-2j * np.pi * np.outer(np.arange(REACH + 1), y)).astype(np.complex64)
    # two real products are half the work of a complex one
    rows = (plane @ across.real) + 1j * (plane @ across.imag)
    return (down @ rows)[WAVES[:, 1], WAVES[:, 0] + REACH]


def _pattern(height: int, width: int, period: float, amplitude: Complex) -> Plane:
    """The sum of all waves, ``(H, W)``: real part of ``amplitude * exp(2 pi i k x / period)``."""
    table = np.zeros((REACH + 1, 2 * REACH + 1), np.complex128)
    table[WAVES[:, 1], WAVES[:, 0] + REACH] = amplitude
    x = np.exp(
        2j * np.pi * np.outer(np.arange(-REACH, REACH + 1), (np.arange(width) + 0.5) / period)
    )
    y = np.exp(2j * np.pi * np.outer((np.arange(height) + 0.5) / period, np.arange(REACH + 1)))
    rows = (table @ x).astype(np.complex64)
    down = y.astype(np.complex64)
    return down.real @ rows.real - down.imag @ rows.imag


def _written_period(height: int, width: int) -> float:
    return TILE * max(1.0, min(height, width) / FULL)


def _fast(length: int) -> int:
    """The next length of which the Fourier transform is fast: 2^a 3^b 5^c."""
    lengths = [2**a * 3**b * 5**c for a in range(15) for b in range(4) for c in range(3)]
    return int(min(size for size in lengths if size >= length))
