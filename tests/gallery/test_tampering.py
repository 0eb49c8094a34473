"""What somebody can do to the file without the key, and that it shows."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.gallery.small_gallery import KEY, ask, create, face_crop, names, put
from visagist.errors import GalleryDamagedError, GalleryError, InputError
from visagist.gallery.gallery import Gallery


@pytest.fixture
def path(tmp_path) -> Path:
    with create(tmp_path) as gallery:
        for k, name in enumerate(("Ada", "Bea", "Cee")):
            put(gallery, name, k, crop=face_crop())
        put(gallery, "Ada", 9, add=True)
    return tmp_path / "small.gallery"


def run(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements:
            db.execute(statement)


def reopen(path: Path) -> Gallery:
    return Gallery.open(path, key=KEY)


SWAP = """UPDATE {0} SET {1} = CASE rowid WHEN 1 THEN (SELECT {1} FROM {0} WHERE rowid = 2)
    ELSE (SELECT {1} FROM {0} WHERE rowid = 1) END WHERE rowid < 3"""


@pytest.mark.parametrize(
    "statement",
    [
        SWAP.format("template", "sealed"),
        SWAP.format("template", "person"),
        SWAP.format("person", "sealed"),
        "DELETE FROM template WHERE rowid = 2",
        "DELETE FROM person WHERE rowid = 2",
        "UPDATE template SET model = 'recognizer-9'",
        "UPDATE template SET person = zeroblob(16) WHERE rowid = 1",
        "UPDATE template SET sealed = substr(sealed, 1, 30) WHERE rowid = 1",
        "UPDATE template SET sealed = sealed || x'00' WHERE rowid = 1",
        "UPDATE person SET tag = zeroblob(32) WHERE rowid = 1",
        "UPDATE person SET id = zeroblob(300) WHERE rowid = 1",
        "INSERT INTO template SELECT zeroblob(16), person, model, NULL, sealed FROM template "
        "WHERE rowid = 1",
        "UPDATE head SET sequence = sequence - 1",
        "UPDATE head SET sealed = zeroblob(90)",
        "DELETE FROM head",
        "DELETE FROM header",
        "UPDATE header SET value = substr(value, 2)",
        "UPDATE template SET sealed = 'text' WHERE rowid = 1",
        "UPDATE template SET model = cast(x'ff' AS TEXT) WHERE rowid = 1",
        "DROP TABLE log",
        "ALTER TABLE person ADD COLUMN more",
        "CREATE TRIGGER keep BEFORE DELETE ON person BEGIN SELECT RAISE(IGNORE); END",
        "CREATE VIEW everybody AS SELECT * FROM person",
        "PRAGMA application_id = 7",
    ],
)
def test_it_shows_at_the_start(path, statement):
    run(path, statement)
    with pytest.raises(GalleryDamagedError):
        reopen(path)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE log SET sealed = (SELECT sealed FROM log WHERE sequence = 2) WHERE sequence = 3",
        "DELETE FROM log WHERE sequence = 2",
        "DELETE FROM log WHERE sequence = 5",
        "INSERT INTO log VALUES (6, zeroblob(60))",
        "UPDATE log SET sequence = 77 WHERE sequence = 5",
        "DELETE FROM crop WHERE rowid = 1",
        "UPDATE crop SET sealed = zeroblob(9) WHERE rowid = 1",
        SWAP.format("crop", "person"),
    ],
)
def test_it_shows_in_an_audit(path, statement):
    with reopen(path) as gallery:
        assert len(gallery.audit().entries) == 5
    run(path, statement)
    with reopen(path) as gallery, pytest.raises(GalleryDamagedError):
        gallery.audit()


@pytest.mark.parametrize("table", ["person", "template"])
def test_a_row_put_back_from_an_older_copy_shows(path, tmp_path, table):
    old = tmp_path / "old"
    shutil.copy(path, old)
    with reopen(path) as gallery:
        if table == "person":
            gallery.change("Ada", consent="withdrawn")
        else:
            gallery.remove("Bea")
    run(path, f"ATTACH '{old}' AS old", f"DELETE FROM {table}")
    run(path, f"ATTACH '{old}' AS old", f"INSERT INTO {table} SELECT * FROM old.{table}")
    with pytest.raises(GalleryDamagedError, match=r"older copy|records, and|not there"):
        reopen(path)


def test_an_older_head_shows(path, tmp_path):
    old = tmp_path / "old"
    shutil.copy(path, old)
    with reopen(path) as gallery:
        gallery.remove("Bea")
    run(
        path,
        f"ATTACH '{old}' AS old",
        "DELETE FROM head",
        "INSERT INTO head SELECT * FROM old.head",
    )
    with pytest.raises(GalleryDamagedError, match="and 3 were stored"):
        reopen(path)


def test_only_an_anchor_shows_that_the_whole_file_is_older(path, tmp_path):
    old = tmp_path / "old"
    shutil.copy(path, old)
    with reopen(path) as gallery:
        gallery.remove("Bea")
        anchor = gallery.audit().anchor
        assert gallery.audit(anchor=anchor).anchor == anchor
    with reopen(old) as gallery:
        assert ask(gallery, 1).decision == "known"  # she is back, and nothing else tells
        with pytest.raises(GalleryDamagedError, match="older copy"):
            gallery.audit(anchor=anchor)
    with reopen(path) as gallery:
        put(gallery, "Dee", 20)
        gallery.audit(anchor=anchor)  # an anchor stays good while the log grows
        number, digest = anchor.split(":")
        with pytest.raises(GalleryDamagedError):
            gallery.audit(anchor=f"{int(number) - 1}:{digest}")
        for text in ("7", "x:" + digest, number + ":00"):
            with pytest.raises(InputError, match="SEQUENCE:HASH"):
                gallery.audit(anchor=text)


def test_a_change_under_an_open_gallery_shows(path):
    with reopen(path) as gallery:
        run(path, "DELETE FROM template WHERE rowid = 2", "UPDATE head SET sequence = 9")
        with pytest.raises(GalleryDamagedError):
            ask(gallery, 1)


def test_names_notes_and_vectors_do_not_show(path):
    with reopen(path) as gallery:
        put(gallery, "Wilhelmina", 30, consent="the paper of May", source="wedding.jpg")
    data = path.read_bytes()
    # long enough not to turn up by chance
    for text in (b"Wilhelmina", b"the paper of May", b"wedding.jpg", b"\x00\x10JFIF\x00\x01"):
        assert text not in data
    from tests.gallery.small_gallery import vector

    assert vector(0).tobytes()[:16] not in data


def test_every_truncation_is_a_typed_error(path, tmp_path):
    """Cut at page ends, in the middle of pages, and in the header."""
    data = path.read_bytes()
    cuts = {0, 1, 15, 16, 99, 100, 511, 4095, 4096, 4097, len(data) - 1, len(data) - 4096}
    cuts |= set(range(4096, len(data), 4096 * 5)) | {len(data) * k // 9 for k in range(1, 9)}
    torn = tmp_path / "torn.gallery"
    for cut in sorted(cuts):
        torn.write_bytes(data[:cut])
        with pytest.raises(GalleryDamagedError) as caught:
            Gallery.open(torn, key=KEY).audit()
        assert "\n" not in str(caught.value), cut


def test_flipped_bytes_never_crash_and_never_lie(path, tmp_path):
    """Whatever byte is changed: a typed error, or everything is still as it was."""
    data = path.read_bytes()
    torn = tmp_path / "torn.gallery"
    noticed = 0
    for place in range(0, len(data), max(1, len(data) // 150)):
        changed = bytearray(data)
        changed[place] ^= 0xFF
        torn.write_bytes(changed)
        try:
            with Gallery.open(torn, key=KEY) as gallery:
                gallery.audit()
                assert names(gallery) == ["Ada", "Bea", "Cee"]
                assert ask(gallery, 1).candidates[0].name == "Bea"
        except GalleryError:
            noticed += 1
        for left in tmp_path.glob("torn.gallery-*"):
            left.unlink()
    assert noticed > 60  # the rest lies in unused parts of pages


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n" + bytes(9000), b"SQLite format 3\0" + bytes(9000)]
)
def test_files_that_are_no_gallery(tmp_path, content):
    path = tmp_path / "thing"
    path.write_bytes(content)
    with pytest.raises(GalleryDamagedError):
        Gallery.open(path, key=KEY)
    assert path.read_bytes() == content


def test_another_programs_database_is_left_as_it_is(tmp_path):
    path = tmp_path / "other.db"
    run(path, "CREATE TABLE person (name TEXT)", "INSERT INTO person VALUES ('x')")
    before = path.read_bytes()
    with pytest.raises(GalleryDamagedError, match="not a gallery"):
        Gallery.open(path, key=KEY)
    assert path.read_bytes() == before


def test_an_older_copy_put_under_an_open_gallery_shows(path):
    """The open gallery knows where the log was; an older or another end does not follow."""
    tables = ("head", "log", "person", "template", "crop")
    with reopen(path) as gallery:
        run(path, *(f"CREATE TABLE old_{t} AS SELECT * FROM {t}" for t in tables))
        put(gallery, "Dee", 20)
        gallery.remove("Bea")
        for table in tables:
            run(path, f"DELETE FROM {table}", f"INSERT INTO {table} SELECT * FROM old_{table}")
            run(path, f"DROP TABLE old_{table}")
        with pytest.raises(GalleryDamagedError, match="older copy"):
            ask(gallery, 1)
        with pytest.raises(GalleryDamagedError, match="older copy"):
            put(gallery, "Eve", 21)
    with reopen(path) as gallery:  # as a whole it is what it was
        assert ask(gallery, 1).decision == "known"


def test_a_row_lost_between_two_changes_of_others_shows(path):
    with reopen(path) as gallery, reopen(path) as other:
        run(path, "DELETE FROM template WHERE rowid = 2")
        with pytest.raises(GalleryDamagedError, match="records, and"):
            other.change("Bea", consent="again")
        with pytest.raises(GalleryDamagedError, match="records, and"):
            ask(gallery, 1)
