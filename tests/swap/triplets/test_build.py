import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2")
pytest.importorskip("pyarrow")

from tests.swap.triplets.small_triplets import SIZE, config, gate, people_corpus
from visagist.corpus.shards import decode_picture, iterate_samples
from visagist.errors import ConfigError, DataError, InputError
from visagist.swap.triplets import build as building
from visagist.swap.triplets.build import build
from visagist.swap.triplets.config import PAPER_MIX, GateConfig, TripletConfig, read_recipe
from visagist.swap.triplets.kinds import Proxy
from visagist.swap.triplets.sheet import sheet
from visagist.swap.triplets.task import TripletTask

MIX = {
    "two_image": 1, "shape_on_target": 1, "wear_on_target": 1, "shape_on_source": 1,
    "wear_on_source": 1, "proxy": 1, "free": 5,
}  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return people_corpus(tmp_path_factory.mktemp("faces") / "corpus")


def task(corpus, count=12, *, split="train", seed=0, proxy=None, **fields):
    fields = {"mix": MIX, "tries": 3} | fields
    return TripletTask(
        [corpus], config(**fields), count=count, split=split, gate=gate(), seed=seed, proxy=proxy
    )


@pytest.fixture(scope="module")
def made(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "set"
    return build(task(corpus), out), out


def samples(out):
    return [s for path in sorted(out.glob("part-*.tar")) for s in iterate_samples(path)]


class TestRecipe:
    def test_the_published_mix_is_the_default(self):
        assert TripletConfig().mix == PAPER_MIX
        # paper: .600 without truth, .112 same, .060 two images, .228 one image
        assert sum(PAPER_MIX.values()) == pytest.approx(1)
        one = [v for k, v in PAPER_MIX.items() if "_on_" in k]
        assert sum(one) == pytest.approx(0.228)
        assert "free" not in TripletConfig().made
        assert sum(TripletConfig().made.values()) == pytest.approx(1)

    def test_the_recipe_of_the_project_is_read(self):
        settings = read_recipe(Path("recipes/triplets.yaml"))
        assert settings.mix["proxy"] == max(settings.mix.values())
        assert sum(settings.mix.values()) == pytest.approx(1)

    @pytest.mark.parametrize(
        ("text", "match"),
        [
            ("mix: {proxi: 1}", "mix"),
            ("mix: {free: 1}", "another kind"),
            ("mix: {proxy: -1}", "negative"),
            ("unknown: 1", "unknown"),
            ("gates: {eyes_least: x}", "eyes_least"),
            ("- 1", "fields"),
            ("a: [", "cannot be read"),
        ],
    )
    def test_a_wrong_recipe_is_refused_by_name(self, tmp_path, text, match):
        path = tmp_path / "r.yaml"
        path.write_text(text)
        with pytest.raises(ConfigError, match=match):
            read_recipe(path)


class TestTask:
    def test_a_number_is_a_triplet_in_every_process(self, corpus):
        one = task(corpus)
        other = pickle.loads(pickle.dumps(one))
        for item in list(one.items())[:3]:
            a, b = one.draw(item).triplet, other.draw(item).triplet
            assert a is not None
            np.testing.assert_array_equal(a.target.image, b.target.image)
            assert a.kind == b.kind

    def test_another_seed_gives_others(self, corpus):
        item = next(iter(task(corpus).items()))
        one = task(corpus, mix={"proxy": 1}).draw(item).triplet
        other = task(corpus, mix={"proxy": 1}, seed=1).draw(item).triplet
        assert (one.target.image != other.target.image).any()

    def test_the_rules_of_each_kind(self, corpus):
        for kind in MIX:
            if kind == "free":
                continue
            drawn = next(
                d
                for item in task(corpus, 30, mix={kind: 1}).items()
                if (d := task(corpus, 30, mix={kind: 1}).draw(item)).triplet is not None
            )
            triplet = drawn.triplet
            same = {
                name: np.array_equal(
                    getattr(triplet, name.split("=")[0]).image,
                    getattr(triplet, name.split("=")[1]).image,
                )
                for name in ("truth=source", "truth=target")
            }
            assert (
                same
                == {
                    "two_image": {"truth=source": False, "truth=target": False},
                    "proxy": {"truth=source": False, "truth=target": False},
                    "shape_on_target": {"truth=source": True, "truth=target": False},
                    "shape_on_source": {"truth=source": True, "truth=target": False},
                    "wear_on_target": {"truth=source": False, "truth=target": True},
                    "wear_on_source": {"truth=source": False, "truth=target": True},
                }[kind]
            ), kind
            assert triplet.source.person == triplet.truth.person

    def test_what_never_passes_is_reported_with_reasons(self, corpus):
        strict = GateConfig(change_least=250)
        drawn = task(corpus, mix={"proxy": 1}, gates=strict).draw(next(iter(task(corpus).items())))
        assert drawn.triplet is None
        assert len(drawn.rejected) == 3
        assert set(drawn.rejected) <= {"near_copy", "eyes_closed", "not_one_person", "mesh_folded",
                                       "nobody_fits"}  # fmt: skip

    def test_kinds_that_lack_something_say_so(self, corpus):
        with pytest.raises(InputError, match="--proxy"):
            task(corpus, mix={"cycle": 1})
        with pytest.raises(InputError, match="--assets"):
            task(corpus, mix={"exact": 1})
        with pytest.raises(InputError, match="splits"):
            task(corpus, split="all")
        with pytest.raises(DataError, match="people"):
            task(corpus, split="test")

    def test_a_swapper_that_nothing_would_use_is_refused(self, corpus):
        with pytest.raises(InputError, match="only the kind cycle"):
            task(corpus, proxy=Proxy("paint", paint_of))

    def test_heads_are_an_extra_of_their_own(self):
        without = "import sys; sys.modules['moderngl'] = None; import visagist.swap.triplets.task"
        subprocess.run([sys.executable, "-c", without], check=True)

    def test_assets_that_are_not_there_end_the_run(self, corpus, tmp_path):
        pytest.importorskip("moderngl")
        heads = TripletTask(
            [corpus],
            config(mix={"exact": 1}),
            count=1,
            split="train",
            gate=gate(),
            assets=tmp_path / "nothing",
        )
        with pytest.raises(DataError, match="no such folder"):
            heads.draw(next(iter(heads.items())))

    def test_a_swapper_handed_in_makes_cycles(self, corpus):
        cycle = task(corpus, mix={"cycle": 1}, proxy=Proxy("paint", paint_of))
        drawn = next(d for i in cycle.items() if (d := cycle.draw(i)).triplet is not None)
        target = drawn.triplet.target.crop
        assert (target[40:50, 40:50] == (250, 10, 10)).all()
        assert cycle.describe()["proxy"] == "paint"
        np.testing.assert_array_equal(drawn.triplet.truth.crop[0], target[0])


def paint(source, source_mesh, target, target_mesh):
    assert source.shape == target.shape == (SIZE, SIZE, 3)
    assert abs(source_mesh[1, 0] - SIZE / 2) < SIZE / 4
    out = target.copy()
    out[40:50, 40:50] = (250, 10, 10)
    return out


def paint_of():
    return paint


class TestBuild:
    def test_members_and_labels(self, made):
        built, out = made
        found = samples(out)
        assert built.fresh
        assert (
            built.summary["triplets"]
            == len(found)
            == 12
            - sum(
                not row["kept"]
                for path in out.glob("part-*.json")
                for row in json.loads(path.read_text())["rows"]
            )
        )
        for key, members in found:
            assert set(members) == {"source.jpg", "target.jpg", "truth.jpg", "json"}
            labels = json.loads(members["json"])
            assert labels["key"] == key
            assert labels["kind"] in MIX
            assert labels["pictures"]["source"]["person"].startswith("drawn/")
            assert decode_picture(members["target.jpg"]).shape == (SIZE, SIZE, 3)
        assert sum(built.summary["kinds"].values()) == len(found)

    def test_a_finished_set_is_left_alone(self, made, corpus):
        _, out = made
        before = (out / "part-00000.tar").stat().st_mtime_ns
        again = build(task(corpus), out)
        assert not again.fresh
        assert (out / "part-00000.tar").stat().st_mtime_ns == before

    def test_other_settings_are_refused_by_name(self, made, corpus):
        _, out = made
        with pytest.raises(ConfigError, match="seed"):
            build(task(corpus, seed=4), out)

    def test_a_broken_run_goes_on_to_the_same_bytes(self, made, corpus, tmp_path):
        out = tmp_path / "set"
        shutil.copytree(made[1], out)
        bytes_before = (out / "part-00000.tar").read_bytes()
        # killed before the end: no summary, one part without its report
        summary = (out / "triplets.json").read_bytes()
        (out / "triplets.json").unlink()
        (out / "part-00000.json").unlink()
        (out / "part-00000.tar").write_bytes(b"cut short")
        resumed = build(task(corpus), out)
        assert resumed.resumed == 0
        assert (out / "part-00000.tar").read_bytes() == bytes_before
        assert (out / "triplets.json").read_bytes() == summary

    def test_parts_that_are_done_are_not_drawn_again(self, corpus, tmp_path, monkeypatch):
        monkeypatch.setattr(building, "PART", 2)
        out = tmp_path / "set"
        four = task(corpus, 4, mix={"wear_on_target": 1})
        build(four, out)
        (out / "triplets.json").unlink()
        marker = (out / "part-00000.tar").stat().st_mtime_ns
        (out / "part-00001.json").unlink()
        assert build(four, out).resumed == 1
        assert (out / "part-00000.tar").stat().st_mtime_ns == marker

    def test_a_part_that_was_deleted_is_made_again(self, corpus, tmp_path):
        out = tmp_path / "set"
        two = task(corpus, 2, mix={"wear_on_target": 1})
        build(two, out)
        before = (out / "part-00000.tar").read_bytes()
        for names in (("part-00000.tar", "part-00000.json"), ("part-00000.tar",)):
            for name in names:
                (out / name).unlink()
            assert build(two, out).fresh
            assert (out / "part-00000.tar").read_bytes() == before

    def test_a_kill_in_the_middle_of_a_write_stops_nothing(self, corpus, tmp_path):
        out = tmp_path / "set"
        out.mkdir()
        (out / ".visagist-0123456789abcdef.tmp").write_bytes(b"half a part")
        assert build(task(corpus, 1, mix={"wear_on_target": 1}), out).fresh
        assert not list(out.glob(".*"))

    def test_a_file_in_the_place_of_the_folder_is_named(self, corpus, tmp_path):
        (tmp_path / "set").write_text("x")
        with pytest.raises(DataError, match="set"):
            build(task(corpus, 1), tmp_path / "set")

    def test_worker_processes_write_the_same_bytes(self, corpus, tmp_path):
        three = task(corpus, 3, mix={"wear_on_target": 1})
        for engine in ("serial", "processes"):
            build(three, tmp_path / engine, engine=engine, workers=1)
        one, other = (
            {path.name: path.read_bytes() for path in (tmp_path / engine).iterdir()}
            for engine in ("serial", "processes")
        )
        assert one == other

    def test_a_set_grows_and_does_not_shrink(self, corpus, tmp_path, monkeypatch):
        monkeypatch.setattr(building, "PART", 2)
        out, mix = tmp_path / "set", {"wear_on_target": 1}
        small = build(task(corpus, 3, mix=mix), out)
        first = (out / "part-00000.tar").stat().st_mtime_ns
        grown = build(task(corpus, 5, mix=mix), out)
        assert (small.summary["count"], grown.summary["count"]) == (3, 5)
        assert grown.resumed == 1  # the second part had one draw and gets two
        assert (out / "part-00000.tar").stat().st_mtime_ns == first
        whole = tmp_path / "whole"
        build(task(corpus, 5, mix=mix), whole)
        for name in ("part-00001.tar", "part-00002.tar", "triplets.json"):
            assert (out / name).read_bytes() == (whole / name).read_bytes()
        with pytest.raises(ConfigError, match="grow, not shrink"):
            build(task(corpus, 4, mix=mix), out)

    def test_other_peoples_folders_are_not_touched(self, corpus, tmp_path):
        (tmp_path / "thesis.txt").write_text("x")
        with pytest.raises(InputError, match="thesis"):
            build(task(corpus), tmp_path, overwrite=True)
        assert (tmp_path / "thesis.txt").exists()

    def test_a_sheet_shows_every_kind(self, made):
        _, out = made
        page = sheet(out, per_kind=2)
        assert page.ndim == 3
        assert page.std() > 10
        with pytest.raises(InputError, match="no triplet"):
            sheet(out, kinds=("exact",))
