from __future__ import annotations

from pathlib import Path

import pytest

from visagist.cli.makeup import parse_faces, parse_mix
from visagist.errors import InputError
from visagist.photo import Photo

pytestmark = pytest.mark.usefixtures("fake_engine")


def test_one_photo(run, album: Path) -> None:
    ran = run("makeup", album / "a.png", "--style", "smoky")
    assert ran.code == 0
    assert ran.out.startswith("album/a-smoky.png (1 face, ")
    assert ran.err == ""
    assert (Photo.open(album / "a-smoky.png").pixels[..., 0] == 255).all()


def test_one_photo_to_a_name(run, album: Path) -> None:
    assert run("makeup", album / "a.png", "-o", "out.webp", "--compare").code == 0
    assert Photo.open("out.webp").format == "WebP"
    assert Path("out-compare.webp").exists()


def test_an_existing_result_is_kept(run, album: Path) -> None:
    Path("out.png").write_bytes(b"mine")
    ran = run("makeup", album / "a.png", "-o", "out.png")
    assert ran.code == 3
    assert ran.err == "visagist: error: out.png exists; give --overwrite or another --output\n"
    assert Path("out.png").read_bytes() == b"mine"
    assert run("makeup", album / "a.png", "-o", "out.png", "--overwrite").code == 0


def test_a_folder(run, album: Path) -> None:
    ran = run("makeup", album, "-o", "out")
    assert ran.code == 1
    assert ran.out == "2 made up, 1 without a face, 1 failed\n"
    lines = ran.err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("visagist: album/broken.jpg: ")
    assert lines[1].startswith("visagist: album/wall.png: no face")
    assert sorted(p.name for p in Path("out").iterdir()) == ["a.png", "b.jpg"]


def test_a_folder_again_does_nothing_twice(run, album: Path) -> None:
    run("makeup", album, "-o", "out")
    before = {p: p.stat().st_mtime_ns for p in Path("out").iterdir()}
    ran = run("makeup", album, "-o", "out")
    assert ran.out == "0 made up, 2 already there, 1 without a face, 1 failed\n"
    assert {p: p.stat().st_mtime_ns for p in Path("out").iterdir()} == before


def test_no_face_is_no_failure_in_a_batch(run, album: Path) -> None:
    (album / "broken.jpg").unlink()
    assert run("makeup", album).code == 0
    assert run("makeup", album / "wall.png").code == 4


def test_json_of_a_batch(run, album: Path) -> None:
    ran = run("makeup", album, "--json")
    assert ran.code == 1
    report = ran.json
    assert {k: report[k] for k in ("done", "skipped", "no_face", "failed")} == {
        "done": 2, "skipped": 0, "no_face": 1, "failed": 1
    }  # fmt: skip
    first = report["results"][0]
    assert (first["input"], first["output"]) == ("album/a.png", "visagist-output/a.png")
    assert set(first["timings_ms"]) == {"decode", "detect", "network", "encode"}
    assert report["results"][2]["error"]["type"]


@pytest.mark.parametrize(
    ("arguments", "code", "kind", "words"),
    [
        (["album/a.png", "--style", "smokey"], 2, "UnknownStyleError", "did you mean 'smoky'"),
        (["album/a.png", "--mix", "smoky:1,rosewod:1"], 2, "UnknownStyleError", "mean 'rosewood'"),
        (["album/a.png", "--mix", "smoky"], 2, "InputError", "cannot read --mix"),
        (["album/a.png", "--mix", "smoky:1", "--style", "smoky"], 2, "InputError", "not both"),
        (["album/a.png", "--faces", "some"], 2, "InputError", "all, largest or a number"),
        (["album/c.png"], 2, "InputError", "no file or folder"),
        (["album/*.tif"], 2, "InputError", "no photo matches"),
        (["album/broken.jpg"], 3, None, "broken"),
        (["album/wall.png"], 4, "NoFaceError", "no face"),
        (["album/a.png", "-o", "nowhere.xyz"], 2, "InputError", "format"),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, list) else "",
)
def test_errors_are_one_line_and_a_code(
    run, album: Path, arguments: list[str], code: int, kind: str | None, words: str
) -> None:
    ran = run("makeup", *arguments)
    assert ran.code == code
    assert ran.out == ""
    assert ran.err.startswith("visagist: error: ")
    assert ran.err.count("\n") <= 2
    told = run("makeup", *arguments, "--json")
    assert told.code == code
    assert set(told.json) == {"error"}
    assert kind is None or told.json["error"]["type"] == kind
    assert kind is None or words in told.json["error"]["message"]
    assert sorted(p.name for p in Path(album).iterdir()) == [
        "a.png", "b.jpg", "broken.jpg", "wall.png"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "arguments", [["--intensity", "3"], ["--lips", "-1"], ["--quality", "0"], ["--nonsense"]]
)
def test_wrong_options(run, album: Path, arguments: list[str]) -> None:
    ran = run("makeup", album / "a.png", *arguments)
    assert ran.code == 2
    assert "Traceback" not in ran.err


def test_stopping_is_clean_and_says_how_to_go_on(
    run, album: Path, fake_engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fake_engine.apply

    def stop_at_the_second(self, photo: Photo, **options: object):
        if self.calls:
            raise KeyboardInterrupt
        return whole(self, photo, **options)

    monkeypatch.setattr(fake_engine, "apply", stop_at_the_second)
    ran = run("makeup", album, "-o", "out")
    assert ran.code == 130
    assert "1 made up; 3 to go: the same command goes on from here" in ran.err
    assert [p.name for p in Path("out").iterdir()] == ["a.png"]
    monkeypatch.setattr(fake_engine, "apply", whole)
    assert "1 made up, 1 already there" in run("makeup", album, "-o", "out").out


def test_mix_is_read() -> None:
    assert parse_mix("rosewood:0.6, smoky:0.4") == {"rosewood": 0.6, "smoky": 0.4}


@pytest.mark.parametrize(
    "text", ["", "a", "a:", ":1", "a:x", "a:-1", "a:nan", "a:inf", "a:1,a:1", "a:1,", "a:1;b:1"]
)
def test_mix_that_cannot_be_read(text: str) -> None:
    with pytest.raises(InputError, match="cannot read --mix"):
        parse_mix(text)


def test_faces_are_read() -> None:
    assert [parse_faces(text) for text in ("all", "largest", "0", "12")] == [
        "all",
        "largest",
        0,
        12,
    ]
    for text in ("", "-1", "1.5", "²", "ALL"):
        with pytest.raises(InputError):
            parse_faces(text)
