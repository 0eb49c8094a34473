"""From an id to code bits and back: a cyclic redundancy check inside a convolutional code.

40 bits of id and 16 of CRC-16/CCITT-FALSE go through the rate 1/3 code of constraint length 7 with
generators 133, 171, 165 (octal; Proakis and Salehi, Digital Communications, table 8.3-2), closed to
a ring (tail-biting), so that no bit is worse protected than another. Decoding is soft: Viterbi's
algorithm on three rounds of the ring, of which the middle one counts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["BITS", "CODE_BITS", "decode", "encode", "spread"]

Floats = NDArray[np.float64]
Bits = NDArray[np.uint8]

BITS = 40
"""Bits of an id."""
_CRC = 16
_LENGTH = BITS + _CRC
_GENERATORS = (0o133, 0o171, 0o165)
_MEMORY = 6
_STATES = 1 << _MEMORY
CODE_BITS = _LENGTH * len(_GENERATORS)
"""Code bits that carry one id."""


def _outputs() -> Floats:
    """Signs (+1 for a code bit 0) by register content (newest bit lowest), ``(128, 3)``."""
    registers = range(2 * _STATES)
    return np.array(
        [[1 - 2 * ((r & g).bit_count() % 2) for g in _GENERATORS] for r in registers], np.float64
    )


_SIGNS = _outputs()


def encode(mark_id: int) -> Floats:
    """The code word of an id as signs.

    Args:
        mark_id: 0 to 2**40 - 1.

    Returns:
        ``(168,)`` of +1 and -1.
    """
    message = [(mark_id >> (BITS - 1 - i)) & 1 for i in range(BITS)]
    message += _crc(message)
    state = 0
    for bit in message[-_MEMORY:]:
        state = (state << 1 | bit) % _STATES
    signs = []
    for bit in message:
        register = state << 1 | bit
        signs.append(_SIGNS[register])
        state = register % _STATES
    return np.concatenate(signs)


def decode(soft: Floats) -> int | None:
    """The most likely id of a received word.

    Args:
        soft: ``(168,)``, positive where +1 was sent, larger where that is surer; any scale.

    Returns:
        the id, or None where the check does not hold.
    """
    steps = np.tile(soft.reshape(_LENGTH, len(_GENERATORS)), (3, 1))
    gains = steps @ _SIGNS.T
    states = np.arange(_STATES)
    # A state is reached from two: the register before it with highest bit 0 or 1.
    came_from = states >> 1, (states + _STATES) >> 1
    metric = np.zeros(_STATES)
    upper = np.empty((len(steps), _STATES), bool)
    for step, gain in enumerate(gains):
        low, high = metric[came_from[0]] + gain[:_STATES], metric[came_from[1]] + gain[_STATES:]
        upper[step] = high > low
        metric = np.maximum(low, high)
    state = int(metric.argmax())
    bits: list[int] = []
    for chosen in upper[::-1]:
        bits.append(state & 1)
        state = (state + _STATES * int(chosen[state])) >> 1
    message = bits[::-1][_LENGTH : 2 * _LENGTH]
    if message[BITS:] != _crc(message[:BITS]):
        return None
    return int("".join(map(str, message[:BITS])), 2)


def spread(soft: Floats) -> Floats:
    """Sum what was received for each code bit; place ``i`` carries bit ``i mod 168``.

    Args:
        soft: ``(N,)`` in the order sent.

    Returns:
        ``(168,)``.
    """
    padded = np.zeros(-(-len(soft) // CODE_BITS) * CODE_BITS)
    padded[: len(soft)] = soft
    total: Floats = padded.reshape(-1, CODE_BITS).sum(0)
    return total


def _crc(message: list[int]) -> list[int]:
    """CRC-16/CCITT-FALSE (x^16 + x^12 + x^5 + 1, start 0xFFFF), highest bit first."""
    register = 0xFFFF
    for bit in message:
        register ^= bit << 15
        register = (register << 1) ^ 0x1021 if register & 0x8000 else register << 1
        register &= 0xFFFF
    return [(register >> (15 - i)) & 1 for i in range(_CRC)]
