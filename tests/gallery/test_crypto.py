from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visagist.errors import GalleryDamagedError, GalleryKeyError
from visagist.gallery.crypto import KEY_VARIABLE, Vault, new_key, read_key, write_key
from visagist.gallery.store import Kind

KEY = bytes(range(32))
HEADER = Vault.new_header(KEY)
A, B = b"a" * 16, b"b" * 16


def sealed(data=b"secret", vault=None, **change):
    fields = {"kind": Kind.TEMPLATE, "id": A, "person": B, "model": "m", "tag": b"t" * 32}
    fields |= change
    return (vault or Vault(KEY, HEADER)).seal(data, **fields)


@given(st.binary(max_size=200))
def test_what_is_sealed_opens_and_does_not_show(data):
    record = sealed(data)
    assert Vault(KEY, HEADER).open(record) == data
    assert len(record.sealed) == len(data) + 28
    assert len(data) < 4 or data not in record.sealed


def test_the_same_data_never_seal_the_same():
    assert sealed().sealed != sealed().sealed


@pytest.mark.parametrize(
    "change",
    [
        {"kind": Kind.PERSON},
        {"id": B},
        {"person": A},
        {"model": "n"},
        {"tag": b""},
        {"id": A + b"b", "person": b"b" * 15},  # the same bytes, parted elsewhere
        {"id": b"x" * 300},
        {"model": "\ud800"},
        {"sealed": b""},
        {"sealed": b"x" * 12},
    ],
)
def test_a_record_opens_only_in_its_place(change):
    with pytest.raises(GalleryDamagedError, match="changed without the key"):
        Vault(KEY, HEADER).open(replace(sealed(), **change))


@given(st.integers(0, 33 * 8 - 1))
def test_every_bit_counts(bit):
    record = sealed(b"12345")
    torn = bytearray(record.sealed)
    torn[bit // 8] ^= 1 << bit % 8
    with pytest.raises(GalleryDamagedError):
        Vault(KEY, HEADER).open(replace(record, sealed=bytes(torn)))


def test_another_gallery_of_the_same_key_is_another():
    other = Vault(KEY, Vault.new_header(KEY))
    with pytest.raises(GalleryDamagedError):
        other.open(sealed())
    assert other.tag("name", b"ada") != Vault(KEY, HEADER).tag("name", b"ada")
    assert other.mark(sealed()) != Vault(KEY, HEADER).mark(sealed())


def test_heads_and_log_entries_keep_their_number():
    vault = Vault(KEY, HEADER)
    entry = vault.seal_numbered(b"x", "log", 7)
    assert vault.open_numbered(entry, "log", 7) == b"x"
    for what, number in (("log", 8), ("head", 7)):
        with pytest.raises(GalleryDamagedError):
            vault.open_numbered(entry, what, number)


def test_marks_tell_seals_apart():
    vault, record = Vault(KEY, HEADER), sealed()
    assert vault.mark(record) == vault.mark(replace(record, vector=np.zeros(1, np.float32)))
    changed = [sealed(), replace(record, person=A), replace(record, model="n")]
    assert len({vault.mark(r) for r in [record, *changed]}) == 4


def test_a_wrong_key_is_told_from_a_damaged_header():
    with pytest.raises(GalleryKeyError, match="not the key of this gallery"):
        Vault(new_key(), HEADER)
    fields = json.loads(HEADER)
    for damaged in (
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        HEADER[:-9],
        json.dumps(fields | {"salt": "00" * 16}).encode(),
        json.dumps(fields | {"salt": 5}).encode(),
        json.dumps(fields | {"format": 2}).encode(),
        json.dumps({k: v for k, v in fields.items() if k != "check"}).encode(),
    ):
        with pytest.raises(GalleryDamagedError, match="header"):
            Vault(KEY, damaged)


def test_the_rotation_keeps_cosines_and_is_the_gallerys_own():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(6, 128)).astype(np.float32)
    turn = Vault(KEY, HEADER).rotation(128)
    assert np.allclose(turn @ turn.T, np.eye(128), atol=1e-5)
    assert np.allclose((vectors @ turn.T) @ (vectors @ turn.T).T, vectors @ vectors.T, atol=1e-3)
    assert np.array_equal(turn, Vault(KEY, HEADER).rotation(128))
    other = Vault(KEY, Vault.new_header(KEY)).rotation(128)
    assert abs(float((turn * other).sum())) < 30  # 128 if they were the same


def test_key_files(tmp_path, monkeypatch):
    path = tmp_path / "gallery.key"
    write_key(path, KEY)
    assert read_key(path) == KEY
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(GalleryKeyError, match="never replaced"):
        write_key(path, KEY)
    with pytest.raises(GalleryKeyError, match="cannot be written"):
        write_key(tmp_path / "nowhere" / "k", KEY)
    monkeypatch.setenv(KEY_VARIABLE, KEY.hex())
    assert read_key() == KEY


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_a_key_that_others_may_read_is_refused(tmp_path):
    path = tmp_path / "gallery.key"
    write_key(path, KEY)
    path.chmod(0o640)
    with pytest.raises(GalleryKeyError, match="chmod 600"):
        read_key(path)


def test_what_is_no_key(tmp_path, monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with pytest.raises(GalleryKeyError, match=f"--key FILE, or set {KEY_VARIABLE}"):
        read_key()
    monkeypatch.setenv(KEY_VARIABLE, "correct horse")
    with pytest.raises(GalleryKeyError, match="64 hexadecimal") as caught:
        read_key()
    assert "horse" not in str(caught.value)
    with pytest.raises(GalleryKeyError, match="cannot be read"):
        read_key(tmp_path / "none")
    with pytest.raises(GalleryKeyError, match="not a key file"):
        read_key(tmp_path)
    for text in ("00" * 31, "zz" * 32, "\xff"):
        path = tmp_path / "bad.key"
        path.write_text(text, encoding="latin-1")
        path.chmod(0o600)
        with pytest.raises(GalleryKeyError, match="64 hexadecimal"):
            read_key(path)
