import errno
import json
import os
import shutil

import numpy as np
import pytest

from tests.amplify.pairs import look
from tests.amplify.tiny_backend import TinyBackend
from tests.corpus.small_corpus import drawn_corpus
from visagist.amplify import amplify as amplifying
from visagist.amplify.amplify import AmplifyConfig, amplify, draw_faces
from visagist.amplify.backend import BACKENDS
from visagist.amplify.chunk import Amplifier, summary_path
from visagist.amplify.gates import Expected, GateConfig
from visagist.amplify.pairset import iterate_pairs, read_pairset
from visagist.corpus.blends.gate import Gate
from visagist.errors import (
    ConfigError,
    DataError,
    DiskFullError,
    InputError,
    PhotoWriteError,
)

LOOKS = [look(i) for i in range(2)]
GATES = GateConfig(max_protected=255, min_cosine=-1, min_amount=0, min_direction=-1)


def embed(picture, mesh):
    vector = picture.reshape(8, 32, 8, 32, 3).mean((1, 3)).ravel() - 128.0
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def load_embed():
    return embed


EMBEDDER = Gate("coarse", load_embed)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return drawn_corpus(
        tmp_path_factory.mktemp("faces") / "c", train=4, validation=1, test=1, size=288, zoom=1.125
    )


@pytest.fixture(autouse=True)
def backend(monkeypatch):
    monkeypatch.setitem(BACKENDS, "tiny", "tests.amplify.tiny_backend:TinyBackend")
    monkeypatch.setattr(amplifying, "SHARD", 4)


def config(**more):
    return AmplifyConfig(backend="tiny", **({"count": 8, "gates": GATES} | more))


def run(corpus, out, *, looks=LOOKS, name="red", **more):
    return amplify(looks, [corpus], out, config(**more), name=name, embedder=EMBEDDER)


def contents(folder):
    names = [p for p in folder.iterdir() if p.suffix in (".tar", ".jsonl", ".json")]
    return {p.name: p.read_bytes() for p in names}


def test_a_set_holds_every_training_face_at_several_strengths(corpus, tmp_path):
    made = run(corpus, tmp_path / "out", strength=(0.5, 1.0))
    assert made.fresh
    assert made.summary["samples"] == 8
    assert made.summary["faces"] == 4
    assert made.summary["style"] == "red"
    assert made.per_second > 0
    strengths: dict[str, list[float]] = {}
    for sample in iterate_pairs(made.folder):
        strengths.setdefault(sample.labels["face"], []).append(sample.labels["strength"])
        change = sample.made.astype(int) - sample.bare
        assert np.abs(change).max() > 10
        assert not np.abs(change[:16]).any()  # outside the canonical crop
        assert not np.abs(change[:, :16]).any()
        assert sample.labels["person"].startswith("drawn/")
    for low, high in map(sorted, strengths.values()):
        assert 0.5 <= low < 0.75 <= high <= 1.0
    page = (made.folder / "report" / "index.html").read_text()
    assert "8 of 8" in page
    assert (made.folder / "report" / "kept.png").is_file()
    assert not (made.folder / "work").exists()
    assert read_pairset(made.folder, tmp_path / "targets.npy")[0].shape == (8, 2, 288, 288, 3)


def test_equal_settings_give_equal_bytes_and_a_finished_set_is_left(corpus, tmp_path):
    run(corpus, tmp_path / "a")
    run(corpus, tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    before = TinyBackend.fitted
    again = run(corpus, tmp_path / "a")
    assert not again.fresh
    assert again.summary["samples"] == 8
    assert TinyBackend.fitted == before


def test_a_run_that_was_broken_off_goes_on(corpus, tmp_path, monkeypatch):
    whole, out = tmp_path / "whole", tmp_path / "out"
    run(corpus, whole)
    judged = []
    check = amplifying.partial

    class StoppedError(Exception):
        pass

    def stopping(function, *arguments, **options):
        made = check(function, *arguments, **options)
        if "amplifier" not in options:
            return made

        def chunk(task, number, items, folder):
            if number == 1:
                raise StoppedError
            judged.append(number)
            made(task, number, items, folder)

        return chunk

    with monkeypatch.context() as patch:
        patch.setattr(amplifying, "partial", stopping)
        with pytest.raises(StoppedError):
            run(corpus, out)
    assert judged == [0]
    assert summary_path(out / "work", 0).exists()
    assert not (out / "set.json").exists()
    before = TinyBackend.fitted
    made = run(corpus, out)
    assert made.resumed == 1
    assert TinyBackend.fitted == before  # the style was kept
    assert contents(out) == contents(whole)


def test_a_full_disk_is_one_error_and_the_run_goes_on_later(corpus, tmp_path, monkeypatch):
    out, written = tmp_path / "out", []

    def full(descriptor):
        written.append(descriptor)
        if len(written) > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DiskFullError, match="goes on"):
            run(corpus, out)
    assert not list(out.rglob("*.tmp"))
    run(corpus, out)
    run(corpus, tmp_path / "whole")
    assert contents(out) == contents(tmp_path / "whole")


def test_rejected_samples_are_lines_with_reasons_and_pictures_of_the_report(corpus, tmp_path):
    strict = GATES.model_copy(update={"min_difference": 99.0})  # all but the first is a copy
    made = run(corpus, tmp_path / "out", gates=strict)
    assert made.summary["samples"] == 4
    assert made.summary["reasons"] == {"copy": 4}
    lines = (made.folder / "rejected.jsonl").read_text().splitlines()
    assert [json.loads(line)["reasons"] for line in lines] == [["copy"]] * 4
    assert (made.folder / "report" / "copy.png").is_file()
    assert "Nearly a copy" in (made.folder / "report" / "index.html").read_text()


def test_other_settings_other_folders_and_other_files_are_refused(corpus, tmp_path):
    run(corpus, tmp_path / "out")
    with pytest.raises(ConfigError, match=r"amplify.seed = 0, and now it is 1"):
        run(corpus, tmp_path / "out", seed=1)
    with pytest.raises(ConfigError, match="looks"):
        run(corpus, tmp_path / "out", looks=LOOKS[:1])
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "me.jpg").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"me\.jpg"):
        run(corpus, tmp_path / "holiday")
    with pytest.raises(InputError, match="at least one look"):
        run(corpus, tmp_path / "new", looks=[])


def test_a_second_run_in_one_folder_is_refused(corpus, tmp_path):
    pytest.importorskip("fcntl")

    def again(*_):
        run(corpus, tmp_path / "out")

    with pytest.raises(InputError, match="is writing to"):
        amplify(LOOKS, [corpus], tmp_path / "out", config(), embedder=EMBEDDER, progress=again)


def test_what_a_kill_left_is_swept_up_and_a_damaged_summary_is_told(corpus, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".visagist-00.tmp").write_bytes(b"half")
    (out / "targets.npy.part").write_bytes(b"half")
    run(corpus, out)
    assert not (out / ".visagist-00.tmp").exists()
    (out / "set.json").write_text("{")
    with pytest.raises(DataError, match=r"set\.json"):
        run(corpus, out)
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(PhotoWriteError, match="file"):
        run(corpus, tmp_path / "file")


def test_a_style_of_ones_own_counts_by_what_it_is_not_by_where_it_lies(corpus, tmp_path):
    def made(style):
        return amplify(LOOKS, [corpus], tmp_path / "out", config(), embedder=None, style=style)

    TinyBackend().fit(LOOKS).save(tmp_path / "a")
    assert made(tmp_path / "a").fresh
    shutil.move(tmp_path / "a", tmp_path / "b")
    assert not made(tmp_path / "b").fresh
    TinyBackend().fit(LOOKS[:1]).save(tmp_path / "c")
    with pytest.raises(ConfigError, match="fitted"):
        made(tmp_path / "c")


def test_a_fit_that_can_go_on_gets_a_folder_for_it(corpus, tmp_path, monkeypatch):
    given = []

    class Resumable(TinyBackend):
        def __init__(self, work=None):
            given.append(work)

    monkeypatch.setattr("tests.amplify.tiny_backend.TinyBackend", Resumable)
    monkeypatch.setattr("visagist.amplify.backend.RESUMABLE", {"tiny"})
    run(corpus, tmp_path / "out")
    assert given == [tmp_path / "out" / "work" / "fit", None]  # the second one only renders


def test_only_training_people_are_drawn_and_some_can_be_left_out(corpus):
    drawn = draw_faces([corpus], config())
    assert {face.record.split for face in drawn} == {"train"}
    assert [face.draws for face in drawn] == [2, 2, 2, 2]
    left = draw_faces([corpus, corpus], config(count=3), without=["drawn/0"])
    assert "drawn/0" not in {face.record.origin.person for face in left}
    assert [face.draws for face in left] == [1, 1, 1]
    with pytest.raises(InputError, match="--seeds 2"):
        draw_faces([corpus], config(seeds=1))
    with pytest.raises(DataError, match="no training face"):
        draw_faces([corpus], config(), without=[f"drawn/{i}" for i in range(20)])
    with pytest.raises(InputError, match="at least one corpus"):
        draw_faces([], config())


def test_strengths_of_a_face_are_spread_and_stay_in_the_range(tmp_path):
    amplifier = Amplifier(
        "tiny", tmp_path, (0.7, 1.0), 3, Expected({}, 1.0, 1.0), GateConfig(), None
    )
    drawn = np.sort(amplifier.strengths(0, 0, 6))
    assert (np.floor((drawn - 0.7) / 0.05) == np.arange(6)).all()
    assert np.array_equal(amplifier.strengths(0, 0, 6), amplifier.strengths(0, 0, 6))


@pytest.mark.parametrize(
    "wrong", [{"strength": (1.0, 0.5)}, {"strength": (0, 1)}, {"count": 0}, {"sharpness": 1}]
)
def test_a_wrong_setting_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AmplifyConfig(**wrong)
