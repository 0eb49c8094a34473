"""What is Milvus' own: changes made of many steps, claims, guesses of the server, what it keeps."""

from __future__ import annotations

import base64
import fcntl
import itertools
import os
import shutil
import time
from contextlib import contextmanager

import numpy as np
import pytest
from pymilvus import MilvusException

from tests.gallery.milvus.lite import everything_in, place
from tests.gallery.small_gallery import (
    KEY,
    MODEL,
    ask,
    create,
    face_crop,
    names,
    put,
    vector,
)
from visagist.errors import (
    GalleryAccessError,
    GalleryConflictError,
    GalleryDamagedError,
    GalleryError,
    GalleryMissingError,
    GalleryServerError,
    InputError,
    ModelMismatchError,
)
from visagist.gallery import core as core_module
from visagist.gallery.gallery import Gallery, Submission
from visagist.gallery.milvus.address import MilvusAddress
from visagist.gallery.milvus.server import MilvusServer, _told, _translated
from visagist.gallery.store import Change, Kind, LogEntry, Record, SearchingStore
from visagist.gallery.types import FaceCrop

pytestmark = pytest.mark.usefixtures("on_milvus")

STEPS = ("insert", "delete", "make", "drop", "rename")


class Killed(BaseException):
    """Stands for kill -9: nothing that is tidied up afterwards reaches the server."""


@contextmanager
def killed_at(monkeypatch, step):
    """The step-th call that changes something, and every call after it, does not happen."""
    left = itertools.count(step, -1)
    dead = []

    def dying(method, counts):
        def call(*arguments, **named):
            if dead or (counts and next(left) <= 1):
                dead.append(True)
                raise Killed
            return method(*arguments, **named)

        return call

    with monkeypatch.context() as patch:
        for name in (*STEPS, "fetch", "exists", "load"):
            patch.setattr(MilvusServer, name, dying(getattr(MilvusServer, name), name in STEPS))
        yield


@pytest.fixture
def two(tmp_path):
    """The folder of a closed gallery of Ada (with a picture) and Bea."""
    with create(tmp_path) as gallery:
        put(gallery, "Ada", 1, crop=face_crop())
        put(gallery, "Bea", 2)
    return tmp_path / "small.gallery.db"


def state(gallery):
    return [
        (person.name, person.consent, person.templates, person.crops)
        for person in sorted(gallery.people(), key=lambda person: person.name)
    ]


@pytest.mark.parametrize(
    ("action", "after", "stride"),
    [
        (
            lambda g: put(g, "Ada", 3, add=True, consent="new", crop=face_crop()),
            [("Ada", "new", 2, 2), ("Bea", "form 12", 1, 0)],
            1,
        ),
        # two tables are written anew in seven steps each: every second meets all kinds of them
        (lambda g: g.remove("Ada"), [("Bea", "form 12", 1, 0)], 2),
    ],
    ids=["add", "remove"],
)
def test_killed_at_any_step_a_change_is_made_or_not(
    two, tmp_path, monkeypatch, action, after, stride
):
    before = [("Ada", "form 12", 1, 1), ("Bea", "form 12", 1, 0)]
    seen = []
    for step in itertools.count(1, stride):
        folder = tmp_path / f"{step}.db"
        shutil.copytree(two, folder)
        gallery = Gallery.open(f"milvus+file:{folder}", key=KEY)
        try:
            with killed_at(monkeypatch, step):
                action(gallery)
            finished = True
        except Killed:
            finished = False
        gallery.close()
        with Gallery.open(f"milvus+file:{folder}", key=KEY) as again:
            seen.append(state(again))
            assert seen[-1] in (before, after), step
            assert ask(again, 1).decision == ("unknown" if len(seen[-1]) == 1 else "known")
            if step % 3 == 0:
                put(again, "Dee", 4)  # what was left behind is in nobody's way
                again.audit()
            notes = again._core.store._notes()
            assert (notes.claims, notes.journal) == ([], [])
        shutil.rmtree(folder)
        if finished:
            break
    assert seen == sorted(seen, key=lambda one: one == after)  # never made and then not
    assert before in seen[:3]
    assert seen[-1] == after
    assert step > 5


def test_nothing_of_the_removed_is_left_in_the_folder(tmp_path):
    with create(tmp_path) as gallery:
        for k in range(4):
            put(gallery, f"P {k}", k, crop=face_crop())
        gallery.change("P 1", consent="again")
        store = gallery._core.store

        def pieces(id):
            for kind in Kind:
                for record in store.records(kind, person=bytes.fromhex(id)):
                    text = base64.b64encode(record.sealed)
                    yield from (record.id.hex().encode(), record.person.hex().encode())
                    yield from (text[:32], text[-32:])

        everybody = {p.name: (p.id, list(pieces(p.id))) for p in gallery.people()}
        folder = tmp_path / "small.gallery.db"
        data = everything_in(folder)
        assert all(part in data for _, parts in everybody.values() for part in parts)
        assert gallery.remove("P 1").purged
        data = everything_in(folder)
        for name, (_, parts) in everybody.items():
            assert all((part in data) == (name != "P 1") for part in parts), name
        gallery.audit()
        assert ask(gallery, 1).decision == "unknown"
    with Gallery.open(place(tmp_path / "small.gallery"), key=KEY) as gallery:
        assert names(gallery) == ["P 0", "P 2", "P 3"]


def test_names_notes_and_vectors_do_not_show(tmp_path):
    with create(tmp_path) as gallery:
        put(gallery, "Adalbert", 1, consent="paper of May", source="holiday.jpg")
    data = everything_in(tmp_path / "small.gallery.db")
    assert not any(text in data for text in (b"Adalbert", b"paper of May", b"holiday", KEY))
    assert vector(1).tobytes() not in data
    assert str(float(vector(1)[0])).encode()[:9] not in data


def test_a_large_picture_is_cut_and_put_together(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    with create(tmp_path) as gallery:
        put(gallery, "Ada", 1, crop=FaceCrop(noise, face_crop().mesh))
        put(gallery, "Bea", 2, crop=face_crop())
        store = gallery._core.store
        large = [r for r in store.records(Kind.CROP) if len(r.sealed) > 100_000]
        assert len(large) == 1
        assert store.get(Kind.CROP, large[0].id) == large[0]
        assert store.count(Kind.CROP) == len(list(store.owners(Kind.CROP))) == 2
        [row] = store._server.fetch(store._rows, "part == 1", ("id",))[:1]
        store._server.delete(store._rows, [row["id"]])
        with pytest.raises(GalleryDamagedError, match="lost a part"):
            gallery.audit()


def test_another_writers_claim_holds_off_until_it_runs_out(tmp_path, monkeypatch):
    monkeypatch.setattr(core_module, "_ATTEMPTS", 1)
    with create(tmp_path) as gallery:
        put(gallery, "Ada", 1)
        store = gallery._core.store
        note = store._note("claim", 0, str(time.time() + 30))
        store._server.delete(store._heads, [note])
        row = store._server.fetch(store._heads, 'kind == "header"', ("id",))
        assert len(row) == 1
        # broken off after it had staged a row for change 3
        left = {"id": "zz", "kind": "person", "rid": "ab" * 16, "person": "ab" * 16, "tag": ""}
        left |= {"since": 3, "part": 0, "parts": 1, "sealed": "", "vector": np.zeros(2, np.float32)}
        store._server.insert(store._rows, [left])
        claim = left | {"id": "claim0", "kind": "claim", "sealed": str(time.time() + 30)}
        store._server.insert(store._heads, [claim])
        assert names(gallery) == ["Ada"]  # what is staged is not seen
        with pytest.raises(GalleryConflictError):
            put(gallery, "Bea", 2)
        assert gallery.remove_expired().purged is False
        store._server.delete(store._heads, ["claim0"])
        store._server.insert(store._heads, [claim | {"sealed": str(time.time() - 1)}])
        put(gallery, "Bea", 2)
        assert names(gallery) == ["Ada", "Bea"]
        gallery.audit()


def test_a_change_by_another_is_a_conflict_and_shows_while_reading(tmp_path):
    with create(tmp_path) as gallery, Gallery.open(gallery.place, key=KEY) as other:
        store = gallery._core.store
        entry = LogEntry(1, b"sealed")
        with pytest.raises(GalleryConflictError, match="another process has changed"):
            store.commit(Change(entry, b"head"))
        with pytest.raises(GalleryConflictError, match="while it was read"), store.reading():
            list(store.records(Kind.PERSON))
            put(other, "Ada", 1)
        with store.reading():  # nothing was read, so nothing can have been of two moments
            put(other, "Bea", 2)


def test_a_server_can_hide_people_and_never_name_one(tmp_path, monkeypatch):
    with create(tmp_path) as gallery:
        put(gallery, "Ada", 1)
        put(gallery, "Bea", 2)
        store = gallery._core.store
        assert isinstance(store, SearchingStore)
        ada = bytes.fromhex(gallery.person("Ada").id)
        # an index that misses everybody, and a server that says it is Ada, whoever it is
        with monkeypatch.context() as patch:
            patch.setattr(store._server, "nearest", lambda *_: [])
            assert ask(gallery, 1).decision == "unknown"
            patch.setattr(store._server, "nearest", lambda _, probe, *__: [(ada, probe)])
            assert ask(gallery, 2).decision == ask(gallery, 99).decision == "unknown"
            assert ask(gallery, 1).candidates[0].score == 1.0
        assert ask(gallery, 2).candidates[0].name == "Bea"


def test_many_templates_of_one_person_do_not_hide_the_next(tmp_path):
    with create(tmp_path) as gallery:
        near = [vector(500 + k, near=1) for k in range(70)]
        faces = [Submission("Ada", one, "x", None) for one in near]
        gallery.enroll_many(faces, model_id=MODEL)
        put(gallery, "Bea", 2)
        found = ask(gallery, 1, threshold=-1, top=2)
        assert [c.name for c in found.candidates] == ["Ada", "Bea"]
        best = max(float(one @ vector(1)) for one in near)
        assert found.candidates[0].score == round(best, 3)


def test_vectors_of_another_length_are_refused(tmp_path):
    with create(tmp_path) as gallery:
        put(gallery, "Ada", 1)
        store = gallery._core.store
        with pytest.raises(ModelMismatchError, match="16 numbers"):
            store.search(np.ones(8, np.float32), model=MODEL, threshold=0, limit=1)
        assert store.search(vector(1), model="other", threshold=-1, limit=1) == []
        id = bytes(16)
        record = Record(Kind.TEMPLATE, id, id, b"x", MODEL, b"", np.ones(8, np.float32))
        sequence, head = store.head()
        change = Change(LogEntry(sequence + 1, b"x"), head, put=(record,))
        with pytest.raises(ModelMismatchError, match="not of 8"):
            store.commit(change)
        assert store.head() == (sequence, head)
        gallery.audit()


def test_what_is_no_gallery(tmp_path):
    path = tmp_path / "a.db"
    with pytest.raises(GalleryMissingError, match="there is no gallery"):
        Gallery.open(f"milvus+file:{path}", key=KEY)
    with pytest.raises(GalleryMissingError, match="no folder"):
        Gallery.open(f"milvus+file:{tmp_path}/none/a.db", key=KEY)
    (tmp_path / "b.db").write_bytes(b"x")
    with pytest.raises(GalleryMissingError, match="is a file"):
        Gallery.open(f"milvus+file:{tmp_path}/b.db", key=KEY)
    create(tmp_path).close()
    with pytest.raises(GalleryMissingError, match="exists already"):
        create(tmp_path)
    with pytest.raises(GalleryError, match="looks whole"):
        Gallery.open(place(tmp_path / "small.gallery"), key=bytes(32))


def test_a_folder_that_another_program_has_open(two):
    handle = os.open(two / "LOCK", os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(GalleryConflictError, match="another program has it open"):
            Gallery.open(f"milvus+file:{two}", key=KEY)
    finally:
        os.close(handle)
    with Gallery.open(f"milvus+file:{two}", key=KEY) as gallery:
        assert len(gallery) == 2


def test_a_refused_token_is_told_from_a_missing_server():
    """What Milvus 2.3 says to a wrong token: the reason is in the cause of the error."""
    address = MilvusAddress.parse("milvus://host/staff")
    refusal = RuntimeError("StatusCode.UNAUTHENTICATED auth check failure, please check username")
    with pytest.raises(GalleryAccessError, match="refuses the token"), _told(address):
        raise MilvusException(2, "Fail connecting to server on host:19530") from refusal
    with pytest.raises(GalleryServerError, match="there is no Milvus server"), _told(address):
        raise MilvusException(2, "Fail connecting to server on host:19530")


def test_a_server_that_is_not_there():
    with pytest.raises(GalleryServerError, match="there is no Milvus server"):
        Gallery.open("milvus://127.0.0.1:1/staff?seconds=2", key=KEY)


def test_addresses():
    address = MilvusAddress.parse("milvus+tls://faces.example:443/staff?database=hr&seconds=5")
    assert (address.uri, address.name) == ("https://faces.example:443", "staff")
    assert (address.database, address.seconds, address.folder) == ("hr", 5.0, None)
    assert MilvusAddress.parse("milvus://localhost/staff").uri == "http://localhost:19530"
    local = MilvusAddress.parse("milvus+file:people.db")
    assert (local.folder, local.name) == (MilvusAddress.parse(local.text).folder, "gallery")
    assert local.folder is not None
    assert local.folder.is_absolute()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("milvus://root:secret@host/staff", "no user or password"),
        ("milvus://host", "a gallery's name"),
        ("milvus://host/a b", "a gallery's name"),
        ("milvus:///staff", "the host is missing"),
        ("milvus://host:many/staff", "many"),
        ("milvus+file:people", "end with .db"),
        ("milvus+udp://host/staff", "begins otherwise"),
        ("milvus://host/staff?seconds=soon", "seconds is a number"),
        ("milvus://host/staff?seconds=0", "wrong options"),
        ("milvus://host/staff?token=x", "wrong options"),
    ],
)
def test_addresses_that_are_none(text, why):
    with pytest.raises(InputError, match=why) as told:
        MilvusAddress.parse(text)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("code", "message", "kind", "told"),
    [
        (
            2,
            "Fail connecting to server on h:1, illegal connection params or server unavailable",
            GalleryServerError,
            "there is no Milvus server",
        ),
        (1, "StatusCode.DEADLINE_EXCEEDED, Deadline Exceeded", GalleryServerError, "within 20 s"),
        (100, "collection not found[database=default]", GalleryDamagedError, "is missing"),
        (65535, "something else", GalleryServerError, "cannot do what it should"),
    ],
)
def test_what_servers_say(code, message, kind, told):
    error = _translated(MilvusAddress.parse("milvus://h/a"), code, message)
    assert type(error) is kind
    assert told in str(error)
