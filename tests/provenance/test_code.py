from __future__ import annotations

import binascii

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from visagist.provenance.watermark import code

IDS = st.integers(0, 2**40 - 1)


@given(IDS)
def test_what_is_sent_is_received(mark_id):
    word = code.encode(mark_id)
    assert word.shape == (code.CODE_BITS,)
    assert set(np.unique(word)) <= {-1.0, 1.0}
    assert code.decode(word) == mark_id


@given(IDS, st.sets(st.integers(0, code.CODE_BITS - 1), max_size=7))
def test_any_seven_code_bits_may_be_wrong(mark_id, wrong):
    # Less than half the free distance of 15.
    word = code.encode(mark_id)
    word[list(wrong)] *= -1
    assert code.decode(word) == mark_id


def test_noise_as_strong_as_the_signal_is_borne():
    random = np.random.default_rng(2)
    ids = [int(i) for i in random.integers(0, 2**40, 50)]
    noisy = [code.encode(i) + random.normal(0, 0.7, code.CODE_BITS) for i in ids]
    assert sum(code.decode(word) == i for word, i in zip(noisy, ids, strict=True)) >= 48


def test_a_burst_of_lost_bits_is_made_up_for_wherever_it_lies():
    for start in range(0, code.CODE_BITS, 7):
        word = np.roll(code.encode(0x123456789A), -start)
        word[:9] = 0.0
        assert code.decode(np.roll(word, start)) == 0x123456789A


def test_noise_is_hardly_ever_an_id():
    random = np.random.default_rng(0)
    assert all(code.decode(random.normal(size=code.CODE_BITS)) is None for _ in range(200))


def test_the_check_is_the_standard_one():
    # CRC-16/CCITT-FALSE of "123456789" is 0x29B1; binascii has the same with another start.
    data = b"123456789"
    bits = [(byte >> (7 - i)) & 1 for byte in data for i in range(8)]
    found = int("".join(map(str, code._crc(bits))), 2)
    assert found == 0x29B1 == binascii.crc_hqx(data, 0xFFFF)


def test_distance_between_code_words():
    # The free distance of this code is 15 (Proakis and Salehi, table 8.3-2): any two ids differ in
    # at least as many code bits.
    first = code.encode(0)
    random = np.random.default_rng(1)
    others = [1 << i for i in range(40)] + [int(i) for i in random.integers(1, 2**40, 200)]
    assert min(int((code.encode(other) != first).sum()) for other in others) >= 15


@given(st.integers(1, 500))
def test_repeated_bits_are_summed(length):
    sent = np.arange(length, dtype=float)
    total = code.spread(sent)
    assert total.shape == (code.CODE_BITS,)
    assert total.sum() == sent.sum()
    assert total[0] == sent[:: code.CODE_BITS].sum()
