"""The verbs of ``visagist gallery``, with a recogniser for whom a colour is a person."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest
import typer

from tests.gallery.fake_recognizer import BLUE, GREEN, GREY, RED, WHITE, FakeRecognizer, picture
from visagist.cli import app
from visagist.cli.gallery import shared
from visagist.gallery import sqlite
from visagist.gallery.crypto import KEY_VARIABLE, read_key

AGREED = ("--consent", "form 3", "--retain-until", "2999-01-01")
KEYED = ("--key", "k")


@pytest.fixture(scope="module")
def command():
    """The program, put together once: typer needs a tenth of a second for it."""
    return typer.main.get_command(app.app)


@pytest.fixture(autouse=True)
def fake(monkeypatch, tmp_path, command):
    monkeypatch.setattr(app, "app", command)
    module = ModuleType("visagist.recognition.inference")
    module.Recognizer = FakeRecognizer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "visagist.recognition.inference", module)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    monkeypatch.setattr(sqlite, "SYNCHRONOUS", "OFF")  # a busy disk would make this slow
    return FakeRecognizer


@pytest.fixture
def made(run):
    ran = run("gallery", "create", "g", *KEYED)
    assert ran.code == 0, ran.err
    return Path("g")


@pytest.fixture
def filled(run, made):
    picture(Path("people/Ada/1.png"), RED)
    picture(Path("people/Ada/2.png"), RED, shade=20)
    picture(Path("people/Bea.png"), GREEN)
    assert run("gallery", "enroll", "g", "people", *AGREED, *KEYED).code == 0
    return made


def test_create_makes_a_gallery_and_a_key(run):
    ran = run("gallery", "create", "g", *KEYED, "--json")
    assert ran.code == 0
    assert ran.json == {
        "gallery": "g",
        "model_id": "recognizer-1-aaaa",
        "key": "k",
        "key_made": True,
    }
    assert "keep a copy" in ran.err
    assert len(read_key(Path("k"))) == 32
    again = run("gallery", "create", "h", *KEYED, "--json")  # one key may serve two
    assert again.json["key_made"] is False
    assert run("gallery", "create", "g", *KEYED).code == 8
    failed = run("gallery", "create", "g", "--key", "new.key")
    assert failed.code == 8
    assert not Path("new.key").exists()


def test_the_key_may_come_from_the_environment(run, monkeypatch):
    nokey = run("gallery", "create", "g")
    assert nokey.code == 8
    assert KEY_VARIABLE in nokey.err
    monkeypatch.setenv(KEY_VARIABLE, "ab" * 32)
    assert run("gallery", "create", "g").code == 0
    assert run("gallery", "list", "g").code == 0


def test_enrolling_a_folder(run, made):
    picture(Path("people/Ada/1.png"), RED)
    picture(Path("people/Ada/2.png"), RED, shade=20)
    Path("people/Ada/torn.jpg").write_bytes(b"\xff\xd8\xff torn")
    picture(Path("people/poor.png"), GREY)
    ran = run("gallery", "enroll", "g", "people", *AGREED, *KEYED, "--json")
    assert ran.code == 1
    counts = {n: ran.json[n] for n in ("enrolled", "added", "already", "failed", "people")}
    assert counts == {"enrolled": 1, "added": 1, "already": 0, "failed": 2, "people": 1}
    errors = [r["error"]["type"] for r in ran.json["results"] if "error" in r]
    assert sorted(errors) == ["PhotoDamagedError", "PoorPictureError"]
    assert len(ran.err.splitlines()) == 2
    assert "people/poor.png: the face is too blurred" in ran.err
    told = run("gallery", "enroll", "g", "people/Ada/1.png", "--name", "Ada", *AGREED, *KEYED)
    assert (told.code, told.out) == (0, "0 enrolled, 1 there already\n")
    forced = run("gallery", "enroll", "g", "people/poor.png", *AGREED, *KEYED, "--no-gate")
    assert forced.code == 0


@pytest.mark.parametrize(
    ("until", "fine"),
    [("never", True), ("90d", True), ("2999-12-31", True), ("1999-01-01", False), ("soon", False)],
)
def test_dates(run, made, until, fine):
    picture(Path("Ada.png"), RED)
    ran = run(
        "gallery", "enroll", "g", "Ada.png", "--consent", "x", "--retain-until", until, *KEYED
    )
    assert (ran.code == 0) == fine, ran.err
    if not fine:
        assert "retain" in ran.err or "retention" in ran.err


def test_consent_and_date_are_asked_for(run, made):
    picture(Path("Ada.png"), RED)
    assert run("gallery", "enroll", "g", "Ada.png", "--retain-until", "9d", *KEYED).code == 2
    assert run("gallery", "enroll", "g", "Ada.png", "--consent", "x", *KEYED).code == 2
    empty = run(
        "gallery", "enroll", "g", "Ada.png", "--consent", " ", "--retain-until", "9d", *KEYED
    )
    assert empty.code == 1
    assert "with their consent" in empty.err


def test_a_face_under_two_names(run, filled, monkeypatch):
    picture(Path("Adele.png"), RED, shade=3)
    refused = run("gallery", "enroll", "g", "Adele.png", *AGREED, *KEYED)
    assert refused.code == 1
    assert "the face of Adele is that of Ada" in refused.err
    assert (
        run("gallery", "enroll", "g", "Adele.png", *AGREED, *KEYED, "--lookalike", ".999").code == 1
    )
    allowed = run("gallery", "enroll", "g", "Adele.png", *AGREED, *KEYED, "--allow-lookalikes")
    assert allowed.code == 0
    monkeypatch.setattr(FakeRecognizer, "calibrated", False)
    picture(Path("Cee.png"), GREEN, shade=3)
    unseen = run("gallery", "enroll", "g", "Cee.png", *AGREED, *KEYED)
    assert unseen.code == 0
    assert "will not be noticed" in unseen.err


def test_lookalikes_are_sought_with_all_in_mind_who_will_be_enrolled(run, filled, monkeypatch):
    from visagist.cli.gallery import enroll

    sizes = []

    def noted(recognizer, path, fpir, size, *, extrapolate):
        sizes.append(size)
        return shared.calibrated(recognizer, path, fpir, size, extrapolate=extrapolate)

    monkeypatch.setattr(enroll, "calibrated", noted)
    picture(Path("more/Cee/1.png"), BLUE)
    picture(Path("more/Cee/2.png"), BLUE, shade=5)
    assert run("gallery", "enroll", "g", "more", *AGREED, *KEYED).code == 0
    assert sizes == [3]  # Ada and Bea are there, Cee comes with two pictures


def test_searching(run, filled):
    picture(Path("who.png"), RED, shade=5)
    ran = run("gallery", "search", "g", "who.png", *KEYED, "--json")
    assert ran.code == 0
    [answer] = ran.json["results"][0]["faces"]
    assert (answer["decision"], answer["name"]) == ("known", "Ada")
    assert answer["score"] == answer["candidates"][0]["score"] > 0.95
    assert (ran.json["threshold"], ran.json["fpir"], ran.json["searched"]) == (0.95, 0.01, 2)
    picture(Path("stranger.png"), BLUE)
    told = run("gallery", "search", "g", "who.png", "stranger.png", *KEYED)
    first, second, promise = told.out.splitlines()
    assert first.startswith("who.png: Ada (")
    assert second == "stranger.png: unknown"
    assert "1.00% of strangers get a name (measured" in promise
    bare = run("gallery", "search", "g", "stranger.png", *KEYED, "--threshold", "0.9", "--json")
    assert bare.json["results"][0]["faces"][0]["decision"] == "unknown"
    assert bare.json["results"][0]["faces"][0]["name"] is None
    assert bare.json["results"][0]["faces"][0]["candidates"] == []
    assert bare.json["fpir"] is None


def test_searching_what_cannot_be_searched(run, filled, monkeypatch):
    picture(Path("party.png"), WHITE)
    asks = run("gallery", "search", "g", "party.png", *KEYED, "--json")
    assert asks.code == 4
    assert asks.json["error"]["type"] == "FaceChoiceError"
    assert run("gallery", "search", "g", "party.png", *KEYED, "--face", "0").code == 0
    both = run("gallery", "search", "g", "party.png", "people/Bea.png", *KEYED)
    assert both.code == 1
    assert "party.png: the photo shows 2 faces" in both.err
    assert "people/Bea.png: Bea" in both.out
    strict = run("gallery", "search", "g", "people/Bea.png", *KEYED, "--fpir", "0.001")
    assert strict.code == 7
    assert "3,000 people" in strict.err
    assert (
        run(
            "gallery", "search", "g", "people/Bea.png", *KEYED, "--fpir", ".001", "--extrapolate"
        ).code
        == 0
    )
    for wrong in (("--face", "left"), ("--fpir", ".1", "--threshold", ".5")):
        assert run("gallery", "search", "g", "people/Bea.png", *KEYED, *wrong).code == 2
    monkeypatch.setattr(FakeRecognizer, "calibrated", False)
    assert run("gallery", "search", "g", "people/Bea.png", *KEYED).code == 7


def test_another_model_is_told_before_any_picture(run, filled):
    for verb in (("search", "g", "people/Bea.png"), ("enroll", "g", "people/Bea.png", *AGREED)):
        ran = run("gallery", *verb, *KEYED, "--model", "other")
        assert ran.code == 8
        assert "g holds vectors of recognizer-1-aaaa, this model is other-1-aaaa" in ran.err


def test_list_change_and_remove(run, filled):
    listed = run("gallery", "list", "g", *KEYED, "--json")
    assert [(p["name"], p["templates"]) for p in listed.json["people"]] == [("Ada", 2), ("Bea", 1)]
    text = run("gallery", "list", "g", *KEYED).out
    assert "form 3" in text
    assert "2999-01-01" in text
    changed = run("gallery", "change", "g", "ada", "--retain-until", "never", *KEYED, "--json")
    assert changed.json["retain_until"] is None
    assert run("gallery", "change", "g", "ada", *KEYED).code == 2
    past = ("--retain-until", "2001-01-01")
    assert run("gallery", "change", "g", "Bea", *past, *KEYED).code == 0
    assert "expired" in run("gallery", "list", "g", *KEYED).out
    found = run("gallery", "search", "g", "people/Bea.png", *KEYED, "--threshold", ".9", "--json")
    assert found.json["results"][0]["faces"][0]["decision"] == "unknown"
    again = run("gallery", "enroll", "g", "people/Bea.png", "--add", "--face", "0", *AGREED, *KEYED)
    assert again.code == 1
    assert "was to be kept until 2001-01-01" in again.err
    assert run("gallery", "audit", "g", *KEYED, "--json").json["expired"] == ["Bea"]
    swept = run("gallery", "remove", "g", "--expired", *KEYED, "--json")
    assert (len(swept.json["removed"]), swept.json["templates"]) == (1, 1)
    typo = run("gallery", "remove", "g", "Adda", *KEYED)
    assert typo.code == 8
    assert "did you mean Ada?" in typo.err
    assert run("gallery", "remove", "g", *KEYED).code == 2
    assert run("gallery", "remove", "g", "Ada", "--expired", *KEYED).code == 2
    gone = run("gallery", "remove", "g", "Ada", *KEYED)
    assert gone.out == "removed 1 person, 2 vectors and 0 pictures\n"
    assert run("gallery", "list", "g", *KEYED).out == "nobody is enrolled\n"


def test_export(run, filled):
    ran = run("gallery", "export", "g", "-o", "out.jsonl", *KEYED, "--json")
    assert ran.json == {"output": "out.jsonl", "people": 2}
    ada, bea = map(json.loads, Path("out.jsonl").read_text(encoding="utf-8").splitlines())
    assert (ada["name"], len(ada["templates"]), bea["name"]) == ("Ada", 2, "Bea")
    if os.name == "posix":
        assert Path("out.jsonl").stat().st_mode & 0o777 == 0o600
    assert run("gallery", "export", "g", "-o", "out.jsonl", *KEYED).code == 8
    one = ("--person", "bea", "--no-vectors", "--overwrite")
    assert run("gallery", "export", "g", "-o", "out.jsonl", *one, *KEYED).code == 0
    assert "vector" not in Path("out.jsonl").read_text(encoding="utf-8")
    assert run("gallery", "export", "g", "-o", "nowhere/x", *KEYED).code == 8
    assert run("gallery", "export", "g", "-o", "x", "--person", "Zed", *KEYED).code == 8
    assert not Path("x").exists()
    assert not list(Path().glob(".visagist*"))


def test_migrate(run, made):
    picture(Path("p/Ada.png"), RED)
    picture(Path("Bea.png"), GREEN)
    run("gallery", "enroll", "g", "p", *AGREED, *KEYED, "--keep-crops")
    run("gallery", "enroll", "g", "Bea.png", *AGREED, *KEYED)
    told = run("gallery", "migrate", "g", "--model", "other", *KEYED, "--json")
    assert told.code == 1
    assert (told.json["left"], told.json["switched"]) == (["Bea"], False)
    text = run("gallery", "migrate", "g", "--model", "other", *KEYED)
    assert "to be enrolled again: Bea" in text.out
    assert "--partial" in text.err
    gone = run("gallery", "migrate", "g", "--model", "other", *KEYED, "--partial", "--json")
    assert (gone.code, gone.json["switched"], gone.json["to"]) == (0, True, "other-1-aaaa")
    other = ("--model", "other", "--threshold", ".99", "--json")
    found = run("gallery", "search", "g", "p/Ada.png", *KEYED, *other)
    assert found.json["results"][0]["faces"][0]["name"] == "Ada"
    assert run("gallery", "audit", "g", *KEYED, "--json").json["outdated"] == ["Bea"]
    assert run("gallery", "migrate", "g", "--model", "other", *KEYED).code == 2


def test_audit(run, filled):
    ran = run("gallery", "audit", "g", *KEYED, "--json", "--log")
    assert (ran.code, ran.json["verified"], ran.json["people"]) == (0, True, 2)
    actions = [entry["action"] for entry in ran.json["log"]]
    assert actions == ["create", "enroll", "add", "enroll"]
    text = run("gallery", "audit", "g", *KEYED, "--log", "--anchor", ran.json["anchor"])
    assert text.code == 0
    assert "enroll" in text.out
    assert "Ada" not in text.out
    old = run("gallery", "audit", "g", *KEYED, "--anchor", "9:" + "0" * 64)
    assert old.code == 8
    assert run("gallery", "audit", "g", *KEYED, "--anchor", "9").code == 2


def test_wrong_key_torn_file_and_no_gallery(run, filled):
    Path("wrong").write_text("ab" * 32)
    Path("wrong").chmod(0o600)
    told = run("gallery", "list", "g", "--key", "wrong", "--json")
    assert told.code == 8
    assert told.json["error"]["type"] == "GalleryKeyError"
    assert run("gallery", "list", "none", *KEYED).code == 8
    data = Path("g").read_bytes()
    Path("g").write_bytes(data[: len(data) // 2])
    torn = run("gallery", "list", "g", *KEYED, "--json")
    assert torn.json["error"]["type"] == "GalleryDamagedError"
    assert len(torn.err.splitlines()) == 1


def test_without_the_extra(run, made, monkeypatch):
    for name in list(sys.modules):
        if name.startswith(("visagist.gallery.", "cryptography")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    ran = run("gallery", "list", "g", *KEYED)
    assert ran.code == 5
    assert "visagist[gallery]" in ran.err
