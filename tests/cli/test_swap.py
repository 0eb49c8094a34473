from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.face.drawn import drawn_face
from tests.swap.small_model import write_swap_model
from visagist.cli.swap import spelled_out
from visagist.photo import Photo
from visagist.provenance.claims import COMPOSITE, sha256_hex, statement_hash
from visagist.swap.batch import JOURNAL

CONSENT = "Nobody real: both faces are drawn"


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_swap_model(tmp_path_factory.mktemp("swap") / "model")


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source, a folder with a good photo, a broken one, a wall and a tiny face."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VISAGIST_HOME", str(tmp_path / "home"))
    Photo.from_array(drawn_face()).save("source.png")
    album = tmp_path / "album"
    album.mkdir()
    Photo.from_array(drawn_face(at=(60, 30))).save(album / "a.png")
    (album / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    Photo.from_array(drawn_face(45)).save(album / "tiny.png")
    Photo.from_array(np.full((60, 60, 3), 90, np.uint8)).save(album / "wall.png")
    return tmp_path


def test_arguments_as_people_write_them():
    assert spelled_out(["--source", "a", "b", "c", "--target", "t"]) == [
        "--source", "a", "--source", "b", "--source", "c", "--target", "t",
    ]  # fmt: skip
    assert spelled_out(["--source=a", "b", "-o", "x"]) == ["--source=a", "--source", "b", "-o", "x"]
    assert spelled_out(["--face", "like", "r.jpg", "-o", "x"]) == [
        "--face",
        "like:r.jpg",
        "-o",
        "x",
    ]
    assert spelled_out(["--face", "all", "--source", "a"]) == ["--face", "all", "--source", "a"]
    assert spelled_out(["--source"]) == ["--source"]
    assert spelled_out(["--", "--source", "a", "b"]) == ["--", "--source", "a", "b"]


@pytest.mark.parametrize("consent", [None, "", "  yes  ", "she agreed"])
def test_without_a_statement_of_consent_nothing_happens(run, room, model, consent):
    told = [] if consent is None else ["--consent", consent]
    ran = run(
        "swap", "--source", "source.png", "--target", "album/a.png", "-o", "out.png", *told,
        "--model", model,
    )  # fmt: skip
    assert ran.code == 2
    assert "needs the consent" in ran.err
    assert ("says too little" in ran.err) == bool(consent and consent.strip())
    assert "SHA-256 goes into the marks" in ran.err
    assert not Path("out.png").exists()


def swap(run, model: Path, *more: object):
    words = ["swap", "--source", "source.png", "--consent", CONSENT, "--model", model]
    return run(*words, *more)


def test_one_photo_is_swapped_and_marked(run, room, model):
    ran = swap(run, model, "--target", "album/a.png", "-o", "out.png", "--json")
    assert ran.code == 0, ran.err
    (outcome,) = ran.json["results"]
    assert outcome["status"] == "done"
    assert outcome["faces"] == 1
    assert set(outcome["marks"]) >= {"mark_id", "signed", "watermark"}
    made = Photo.open("out.png")
    before = drawn_face(at=(60, 30))
    assert np.abs(made.pixels.astype(int) - before).max() > 10
    assert COMPOSITE.encode() in Path("out.png").read_bytes()
    again = swap(run, model, "--target", "album/a.png", "-o", "out.png")
    assert again.code == 3
    assert "out.png exists" in again.err


def test_the_claim_names_source_and_consent(run, room, model, monkeypatch):
    claims = []

    def save_marked(photo, path, claim, **options):
        claims.append((claim, options))
        raise RuntimeError("seen")

    monkeypatch.setattr("visagist.cli.marking.save_marked", save_marked)
    with pytest.raises(RuntimeError, match="seen"):
        swap(run, model, "--target", "album/a.png", "-o", "out.png")
    ((claim, options),) = claims
    assert claim.kind == "swap"
    assert claim.sources == (sha256_hex(Path("source.png").read_bytes()),)
    assert claim.consent_sha256 == statement_hash(CONSENT)
    assert claim.model_id.startswith("swap-test-1-")
    assert options["target"] == Path("album/a.png")
    assert options.get("watermark", True)


def test_no_switch_turns_the_marks_off(run):
    text = run("swap", "--help").out.lower()
    assert "--consent" in text
    for word in ("--no-mark", "--watermark", "--no-watermark", "--unmarked"):
        assert word not in text


def test_a_folder_reports_what_it_skips_and_goes_on(run, room, model):
    ran = swap(run, model, "--target", "album", "-o", "out")
    assert ran.code == 1
    assert ran.out == "1 swapped, 2 without a face to replace, 1 failed\n"
    assert "broken.jpg" in ran.err
    assert "at least 40 are needed" in ran.err
    assert "no face was found" in ran.err
    assert sorted(p.name for p in Path("out").iterdir()) == [JOURNAL, "a.png"]
    made = Path("out/a.png").stat().st_mtime_ns
    (room / "album" / "broken.jpg").unlink()
    again = swap(run, model, "--target", "album", "-o", "out")
    assert again.code == 0
    assert again.out == "0 swapped, 1 already there, 2 without a face to replace\n"
    assert Path("out/a.png").stat().st_mtime_ns == made


def test_other_settings_never_pass_for_done(run, room, model):
    for name in ("broken.jpg", "tiny.png", "wall.png"):
        (room / "album" / name).unlink()
    assert swap(run, model, "--target", "album", "-o", "out").code == 0
    first = Path("out/a.png").read_bytes()
    other = swap(run, model, "--target", "album", "-o", "out", "--strength", "0.5")
    assert other.code == 1
    assert "was made otherwise" in other.err
    assert Path("out/a.png").read_bytes() == first
    forced = swap(run, model, "--target", "album", "-o", "out", "--strength", "0.5", "--overwrite")
    assert forced.code == 0
    assert Path("out/a.png").read_bytes() != first
    assert swap(run, model, "--target", "album", "-o", "out", "--strength", "0.5").code == 0


def test_a_kill_right_after_a_result_loses_nothing(run, room, model, monkeypatch):
    for name in ("broken.jpg", "tiny.png", "wall.png"):
        (room / "album" / name).unlink()

    def killed(photo, path, claim, **options):
        photo.save(path)
        raise KeyboardInterrupt

    monkeypatch.setattr("visagist.cli.marking.save_marked", killed)
    stopped = swap(run, model, "--target", "album", "-o", "out")
    assert stopped.code == 130
    assert "goes on from here" in stopped.err
    monkeypatch.undo()
    monkeypatch.chdir(room)
    assert swap(run, model, "--target", "album", "-o", "out").out == "0 swapped, 1 already there\n"


def test_a_result_that_was_being_replaced_never_passes_for_the_old_one(
    run, room, model, monkeypatch
):
    for name in ("broken.jpg", "tiny.png", "wall.png"):
        (room / "album" / name).unlink()
    assert swap(run, model, "--target", "album", "-o", "out").code == 0

    def killed(photo, path, claim, **options):
        photo.save(path, overwrite=True)
        raise KeyboardInterrupt

    monkeypatch.setattr("visagist.cli.marking.save_marked", killed)
    weaker = ("--target", "album", "-o", "out", "--strength", "0.5")
    assert swap(run, model, *weaker, "--overwrite").code == 130
    monkeypatch.undo()
    monkeypatch.chdir(room)
    assert "made otherwise" in swap(run, model, "--target", "album", "-o", "out").err
    assert "made otherwise" in swap(run, model, *weaker).err


def test_a_torn_journal_costs_one_line_only(run, room, model):
    for name in ("broken.jpg", "tiny.png", "wall.png"):
        (room / "album" / name).unlink()
    Path("out").mkdir()
    journal = Path("out") / JOURNAL
    journal.write_text('{"name": "b.png", "sett')
    assert swap(run, model, "--target", "album", "-o", "out").code == 0
    lines = journal.read_text().splitlines()
    assert json.loads(lines[-1])["name"] == "a.png"
    assert swap(run, model, "--target", "album", "-o", "out").out == "0 swapped, 1 already there\n"


def test_sources_and_targets_that_are_refused(run, room, model):
    two = np.concatenate([drawn_face(), drawn_face()], 1)
    Photo.from_array(two).save("two.png")
    several = run(
        "swap", "--source", "two.png", "--target", "album/a.png", "-o", "out.png",
        "--consent", CONSENT, "--model", model,
    )  # fmt: skip
    assert several.code == 4
    assert "2 people" in several.err
    wall = swap(run, model, "--target", "album/wall.png", "-o", "out.png")
    assert wall.code == 4
    tiny = swap(run, model, "--target", "album/tiny.png", "-o", "out.png")
    assert tiny.code == 4
    assert "nothing was changed" in tiny.err
    assert not Path("out.png").exists()
    unknown = swap(run, model, "--target", "album/a.png", "-o", "out.png", "--face", "best")
    assert unknown.code == 2
    assert swap(run, model, "--target", "album/a.png", "-o", "out.png", "--face", "7").code == 4


def test_an_animation_is_refused(run, room, model):
    from PIL import Image

    frames = [Image.fromarray(drawn_face(at=(x, 40))) for x in (60, 100)]
    frames[0].save("move.webp", save_all=True, append_images=frames[1:])
    ran = swap(run, model, "--target", "move.webp", "-o", "out.webp")
    assert ran.code == 3
    assert "animated" in ran.err
    assert not Path("out.webp").exists()
    for more in (("--source", "move.webp"), ("--face", "like", "move.webp")):
        ran = run(
            "swap", "--source", "source.png", "--target", "album/a.png", "-o", "out.png",
            "--consent", CONSENT, "--model", model, *more,
        )  # fmt: skip
        assert ran.code == 3
        assert "animated" in ran.err


def test_no_photo_that_was_given_is_replaced(run, room, model):
    Photo.from_array(drawn_face()).save("like.png")
    for name in ("source.png", "like.png"):
        before = Path(name).read_bytes()
        ran = swap(
            run, model, "--target", "album/a.png", "-o", name, "--overwrite",
            "--face", "like", "like.png",
        )  # fmt: skip
        assert ran.code == 2
        assert "would replace the photo" in ran.err
        assert Path(name).read_bytes() == before


def test_the_person_of_a_reference_is_found(run, room, model):
    ran = swap(
        run, model, "--target", "album/a.png", "-o", "out.png", "--face", "like", "source.png"
    )
    assert ran.code == 0, ran.err
    assert ran.out.startswith("out.png (1 face")


def test_formats_without_room_for_marks_become_jpegs(run, room, model):
    folder = room / "more"
    folder.mkdir()
    Photo.from_array(drawn_face()).save(folder / "b.tiff")
    assert swap(run, model, "--target", "more", "-o", "out").code == 0
    assert Photo.open("out/b.tiff.jpg").format == "JPEG"
    target = str(folder / "b.tiff")
    (room / "b.tiff.jpg").write_bytes(b"mine")
    ran = swap(run, model, "--target", target, "-o", "b.tiff")
    assert ran.code != 0
    assert "b.tiff.jpg exists" in ran.err
    assert (room / "b.tiff.jpg").read_bytes() == b"mine"
