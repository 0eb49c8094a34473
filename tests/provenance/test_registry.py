from __future__ import annotations

import json
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visagist.errors import InputError, RegistryError
from visagist.provenance.claims import Claim, sha256_hex, statement_hash
from visagist.provenance.registry import Entry, Registry, content_id

CLAIM = Claim(kind="swap", model_id="m", source_sha256="0" * 64, consent_sha256="1" * 64)


def entry(mark_id, claim=CLAIM):
    return Entry.of(mark_id, claim, target_sha256=None, width=3, height=4)


def test_grows_and_is_read_again(tmp_path):
    registry = Registry(tmp_path / "state" / "registry.jsonl")
    assert list(registry) == []
    first, second = entry("aa"), entry("bb")
    registry.add(first)
    before = registry.path.read_bytes()
    registry.add(second)
    assert registry.path.read_bytes().startswith(before)
    assert list(registry) == [first, second]
    assert registry.find("bb") == [second]
    assert registry.find("cc") == []
    assert stat.S_IMODE(registry.path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "rubbish",
    [b'{"id": "aa", "ma', b"\xff\xfe\n", b"[]\n", b'{"id": 3}\n', b'{"id": "zz"}\n', b"\n\n"],
)
def test_a_torn_line_harms_no_other(tmp_path, rubbish):
    registry = Registry(tmp_path / "registry.jsonl")
    first, second = entry("aa"), entry("bb")
    registry.add(first)
    with registry.path.open("ab") as file:
        file.write(rubbish)
    registry.add(second)
    assert list(registry) == [first, second]


def test_holds_neither_names_nor_words_of_consent(tmp_path):
    registry = Registry(tmp_path / "registry.jsonl")
    said = statement_hash("Ada Byron agreed in writing")
    registry.add(entry("aa", Claim(kind="swap", model_id="m", consent_sha256=said, title="Ada")))
    text = registry.path.read_text()
    assert "Ada" not in text
    assert json.loads(text)["consent_sha256"] == said


def test_a_new_id_is_none_of_the_list(tmp_path, monkeypatch):
    registry = Registry(tmp_path / "registry.jsonl")
    registry.add(entry("0000000001"))
    drawn = iter(["0000000001", "0000000002"])
    monkeypatch.setattr("secrets.token_hex", lambda n: next(drawn))
    assert registry.fresh_id() == "0000000002"


def test_a_list_that_cannot_be_used(tmp_path):
    folder = tmp_path / "registry.jsonl"
    folder.mkdir()
    with pytest.raises(RegistryError, match="VISAGIST_HOME"):
        Registry(folder).add(entry("aa"))
    with pytest.raises(RegistryError, match="cannot be read"):
        list(Registry(folder))


def test_a_disk_that_takes_half_a_line_is_noticed(tmp_path):
    resource = pytest.importorskip("resource")  # not on Windows
    registry = Registry(tmp_path / "registry.jsonl")
    first, second = entry("aa"), entry("bb")
    registry.add(first)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (registry.path.stat().st_size + 30, before[1]))
    try:
        with pytest.raises(RegistryError, match="free some space"):
            registry.add(second)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    registry.add(second)
    assert list(registry) == [first, second]


@given(st.binary(max_size=50), st.text(max_size=10))
def test_content_ids(pixels, model):
    found = content_id(pixels, model)
    assert len(found) == 10
    assert found == content_id(pixels, model)
    assert found != content_id(pixels + b"x", model)


def test_claims_are_checked():
    assert Claim(kind="generated", model_id="m").sources == ()
    assert CLAIM.sources == ("0" * 64,)
    assert CLAIM.source_type.endswith("/compositeWithTrainedAlgorithmicMedia")
    assert Claim(kind="generated", model_id="m").source_type.endswith("/trainedAlgorithmicMedia")
    for wrong in ({"kind": "art"}, {"model_id": ""}, {"source_sha256": "xyz"}):
        with pytest.raises(InputError):
            Claim(**({"kind": "swap", "model_id": "m"} | wrong))
    assert statement_hash(" I  agree\n") == statement_hash("I agree") == sha256_hex(b"I agree")
    with pytest.raises(InputError, match="empty"):
        statement_hash("  ")
