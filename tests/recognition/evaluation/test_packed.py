from __future__ import annotations

import datetime
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from visagist.errors import DataError
from visagist.recognition.evaluation import packed
from visagist.recognition.evaluation.packed import read_bin

PICTURES = [f"jpeg {i}".encode() for i in range(40)]
SAME = [i % 3 == 0 for i in range(20)]


def write(path: Path, content: object, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_bytes_and_booleans_of_every_pickle_protocol(tmp_path, protocol):
    pairs = read_bin(write(tmp_path / "set.bin", (PICTURES, SAME), protocol))
    assert [p.first for p in pairs] == PICTURES[::2]
    assert [p.second for p in pairs] == PICTURES[1::2]
    assert [p.same for p in pairs] == SAME
    assert [p.fold for p in pairs] == [i // 2 for i in range(20)]


@pytest.mark.parametrize("protocol", range(6))
def test_pictures_and_labels_as_arrays(tmp_path, protocol):
    arrays = [np.frombuffer(p, np.uint8).copy() for p in PICTURES]
    for labels in (np.array(SAME), [np.bool_(v) for v in SAME], [int(v) for v in SAME]):
        pairs = read_bin(write(tmp_path / "set.bin", (arrays, labels), protocol))
        assert [p.first for p in pairs] == PICTURES[::2]
        assert [p.same for p in pairs] == SAME


def test_a_file_of_python_2_is_read(tmp_path):
    # protocol 2 of Python 2: strings are SHORT_BINSTRING, as in the published files
    strings = b"".join(b"U" + bytes([len(p)]) + p for p in PICTURES[:4])
    data = b"\x80\x02(" + b"](" + strings + b"e" + b"](\x88\x89e" + b"t."
    (tmp_path / "set.bin").write_bytes(data)
    pairs = read_bin(tmp_path / "set.bin")
    assert [(p.first, p.second, p.same) for p in pairs] == [
        (b"jpeg 0", b"jpeg 1", True),
        (b"jpeg 2", b"jpeg 3", False),
    ]


class Attack:
    """Runs a command when it is unpickled by a reader that trusts."""

    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize(
    "attack",
    [
        lambda flag: Attack(os.system, f"touch {flag}"),
        lambda flag: Attack(eval, f"open({str(flag)!r}, 'w')"),
        lambda flag: Attack(Path.touch, flag),
        lambda flag: Attack(getattr, Path, "home"),
        lambda flag: Attack(np.load, str(flag)),
        lambda flag: Attack(bytes, 1 << 40),
        lambda flag: Attack(np.ndarray, (1 << 40,)),
        lambda flag: datetime.date(2020, 1, 1),
        lambda flag: np.array([{"a": 1}], object),
    ],
)
def test_a_pickle_that_asks_for_more_is_refused_and_not_run(tmp_path, attack):
    flag = tmp_path / "ran"
    path = write(tmp_path / "set.bin", ([attack(flag)], [True]))
    with pytest.raises(DataError, match="not a set of pairs"):
        read_bin(path)
    assert not flag.exists()


def test_an_object_outside_the_file_is_refused(tmp_path):
    (tmp_path / "set.bin").write_bytes(b"\x80\x02X\x01\x00\x00\x00aQ.")
    with pytest.raises(DataError, match="outside"):
        read_bin(tmp_path / "set.bin")


def test_wrong_contents_are_named(tmp_path):
    path = tmp_path / "set.bin"
    for content, message in (
        (PICTURES, "pair of pictures and labels"),
        ((PICTURES, SAME[1:]), "40 pictures for 19 labels"),
        (([], []), "0 pictures for 0"),
        ((PICTURES, ["yes"] * 20), "neither true nor false"),
        ((["text"] * 40, SAME), "not bytes"),
        (([np.zeros(3)] * 40, SAME), "not bytes"),
        (({}, SAME), "not a list"),
    ):
        with pytest.raises(DataError, match=message):
            read_bin(write(path, content))
    with pytest.raises(DataError, match="cannot be read"):
        read_bin(tmp_path / "none.bin")


def test_a_file_beyond_all_sets_is_not_even_read(tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "MAX_BIN_BYTES", 100)
    with pytest.raises(DataError, match="larger"):
        read_bin(write(tmp_path / "set.bin", (PICTURES, SAME)))


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage_is_a_data_error(tmp_path, data):
    whole = pickle.dumps((PICTURES, np.array(SAME)), data.draw(st.integers(0, 5)))
    broken = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 4))):
        if broken:
            broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "set.bin").write_bytes(broken)
    try:
        pairs = read_bin(tmp_path / "set.bin")
    except DataError:
        return
    assert all(isinstance(p.first, bytes) and isinstance(p.same, bool) for p in pairs)
