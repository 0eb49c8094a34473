from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visagist.errors import InputError, PhotoWriteError
from visagist.photo.batch import DEFAULT_FOLDER, Job, gather, plan


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("b.jpg", "a.PNG", "notes.txt", ".hidden.jpg", "deep/c.webp", ".trash/d.jpg"):
        path = tmp_path / "album" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return Path("album")


def names(found: tuple[list[tuple[Path, Path]], bool]) -> list[str]:
    return [name.as_posix() for _, name in found[0]]


def test_a_folder_is_sorted_and_holds_photos_only(album: Path) -> None:
    found = gather([str(album)])
    assert names(found) == ["a.PNG", "b.jpg"]
    assert not found[1]


def test_recursive_keeps_the_structure(album: Path) -> None:
    assert names(gather([str(album)], recursive=True)) == ["a.PNG", "b.jpg", "deep/c.webp"]


def test_results_of_an_earlier_run_are_no_photos(album: Path) -> None:
    out = album / "deep"
    assert names(gather([str(album)], recursive=True, output=out)) == ["a.PNG", "b.jpg"]


def test_results_cannot_go_among_the_photos(album: Path) -> None:
    with pytest.raises(InputError, match="cannot lie in"):
        gather([str(album)], output=album)


def test_one_file_is_single_whatever_its_ending(album: Path) -> None:
    assert gather([str(album / "notes.txt")]) == ([(album / "notes.txt", Path("notes.txt"))], True)


def test_a_pattern(album: Path) -> None:
    found = gather([str(album / "*.jpg")])
    assert names(found) == ["b.jpg"]
    assert not found[1]
    assert names(gather([str(album / "**" / "*.webp")], recursive=True)) == ["c.webp"]
    assert names(gather([str(album / "*")])) == ["a.PNG", "b.jpg"]  # what is no photo is left out


def test_a_hidden_folder_is_fine_when_named(album: Path) -> None:
    assert names(gather([str(album / ".trash")])) == ["d.jpg"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege")
def test_links_in_a_circle_end(album: Path) -> None:
    (album / "deep" / "up").symlink_to(album.resolve(), target_is_directory=True)
    assert len(gather([str(album)], recursive=True)[0]) == 3


def test_brackets_in_a_real_name_are_no_pattern(album: Path) -> None:
    (album / "me[1].jpg").write_bytes(b"x")
    assert names(gather([str(album / "me[1].jpg")])) == ["me[1].jpg"]


def test_a_photo_given_twice_counts_once(album: Path) -> None:
    assert names(gather([str(album / "b.jpg"), str(album), str(album / "*.jpg")])) == [
        "b.jpg",
        "a.PNG",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("album/bb.jpg", "did you mean album/b.jpg"),
        ("nowhere/x.jpg", "no file or folder nowhere/x.jpg"),
        ("album/*.tif", "no photo matches"),
        ("album/.trash/..", None),
    ],
)
def test_what_is_not_there(album: Path, text: str, message: str | None) -> None:
    if message is None:
        assert names(gather([text])) == ["a.PNG", "b.jpg"]
        return
    with pytest.raises(InputError, match=message.replace("*", r"\*")):
        gather([text])


def test_a_folder_without_photos(album: Path) -> None:
    (album / "empty").mkdir()
    with pytest.raises(InputError, match=r"no photo in .*empty.*--recursive"):
        gather([str(album / "empty")])


@pytest.mark.parametrize(
    ("source", "output", "target"),
    [
        ("me.jpg", None, "me-rosewood.jpg"),
        ("album/me.webp", None, "album/me-rosewood.webp"),
        ("me", None, "me-rosewood.jpg"),
        ("me.jpg", "out.png", "out.png"),
        ("me.jpg", "folder", "folder/me-rosewood.jpg"),
    ],
)
def test_where_a_single_photo_goes(
    source: str, output: str | None, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    jobs = plan(
        [(Path(source), Path(Path(source).name))],
        single=True,
        output=Path(output) if output else None,
        suffix="rosewood",
    )
    assert jobs == [Job(Path(source), Path(target))]


def test_a_single_result_is_never_overwritten_unasked(album: Path) -> None:
    photos = [(album / "b.jpg", Path("b.jpg"))]
    (album / "out.jpg").write_bytes(b"mine")
    with pytest.raises(PhotoWriteError, match="--overwrite"):
        plan(photos, single=True, output=album / "out.jpg", suffix="x")
    assert plan(photos, single=True, output=album / "out.jpg", suffix="x", overwrite=True)


def test_an_original_is_never_replaced(album: Path) -> None:
    with pytest.raises(InputError, match="replace the photo"):
        plan(
            [(album / "b.jpg", Path("b.jpg"))],
            single=True,
            output=album / "deep" / ".." / "b.jpg",
            suffix="x",
            overwrite=True,
        )


def test_an_unknown_format_is_refused_before_any_work(album: Path) -> None:
    with pytest.raises(InputError, match="cannot tell the format"):
        plan([(album / "b.jpg", Path("b.jpg"))], single=True, output=Path("o.xyz"), suffix="x")


def test_several_go_to_one_folder_under_their_names(album: Path) -> None:
    photos, single = gather([str(album)], recursive=True)
    jobs = plan(photos, single=single, output=None, suffix="x")
    assert [job.target for job in jobs] == [
        DEFAULT_FOLDER / "a.PNG",
        DEFAULT_FOLDER / "b.jpg",
        DEFAULT_FOLDER / "deep" / "c.webp",
    ]


def test_several_need_a_folder(album: Path) -> None:
    photos, single = gather([str(album)])
    with pytest.raises(InputError, match="is a file"):
        plan(photos, single=single, output=album / "b.jpg", suffix="x")


@pytest.mark.parametrize("other", ["b.jpg", "B.JPG"])
def test_two_photos_never_share_a_result(album: Path, other: str) -> None:
    photos = [(album / "b.jpg", Path("b.jpg")), (album / "deep" / other, Path(other))]
    with pytest.raises(InputError, match="would both be written"):
        plan(photos, single=False, output=Path("out"), suffix="x")


@given(st.lists(st.sampled_from(["a.jpg", "A.jpg", "b/a.jpg", "b.png", "c"]), unique=True))
def test_a_plan_is_free_of_clashes_or_refused(given_names: list[str]) -> None:
    photos = [(Path("in") / str(i) / name, Path(name)) for i, name in enumerate(given_names)]
    try:
        jobs = plan(photos, single=False, output=Path("results"), suffix="x")
    except InputError:
        return
    targets = {str(job.target).lower() for job in jobs}
    assert len(targets) == len(photos)
    assert not {job.source for job in jobs} & {job.target for job in jobs}
