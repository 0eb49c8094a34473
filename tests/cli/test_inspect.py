from __future__ import annotations

import io
import json
import stat

import numpy as np
import pytest
from PIL import Image

from tests.provenance.made import jpeg, picture
from visagist import inspect_file
from visagist.cli import marking
from visagist.cli.marking import provenance_folder, require_marks, save_marked, user_credential
from visagist.errors import (
    CredentialError,
    InputError,
    MissingExtraError,
    PhotoFormatError,
    PhotoWriteError,
    RegistryError,
)
from visagist.photo import Photo
from visagist.provenance.claims import Claim, statement_hash
from visagist.provenance.credential import own_credential
from visagist.provenance.registry import FILE, Registry

SWAP = Claim(
    kind="swap",
    model_id="swap-1",
    source_sha256="0" * 64,
    consent_sha256=statement_hash("Ada agreed in writing"),
)
MADE = Claim(kind="generated", model_id="generator-1", title="picture 3 of seed 7")
MAKEUP = Claim(kind="makeup", model_id="makeup-1")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("VISAGIST_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def swap(tmp_path):
    """A marked swap on the disk."""
    target = tmp_path / "target.png"
    Photo.from_array(picture(seed=2)).save(target)
    return save_marked(picture(seed=1), tmp_path / "swap.jpg", SWAP, target=target)


@pytest.fixture
def without_extra(monkeypatch):
    monkeypatch.setattr(marking, "can_sign", lambda: False)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_marked_and_read_back(tmp_path, run, suffix):
    path = tmp_path / f"made.{suffix}"
    report = save_marked(picture(), path, MADE)
    assert (report.signed, report.watermark, report.warnings) == (True, True, ())
    assert report.psnr >= 40.0
    ran = run("inspect", path, "--json")
    assert ran.code == 0
    document = json.loads(ran.out)
    assert document["status"] == "valid"
    assert document["signer"] == "own"
    assert document["manifest_id"] == document["watermark_id"] == report.mark_id
    assert document["claim"]["model_id"] == "generator-1"
    assert [known["kind"] for known in document["known"]] == ["generated"]
    assert document["declared_source_type"].endswith("/trainedAlgorithmicMedia")


def test_a_swap_is_still_known_when_its_metadata_are_gone(tmp_path, run, swap):
    bare = tmp_path / "bare.jpg"
    Image.fromarray(jpeg(Photo.open(swap.path).pixels, 75)).save(bare, quality=75)
    ran = run("inspect", bare)
    assert ran.code == 12
    assert "stripped" in ran.out
    assert f"watermark: {swap.mark_id}" in ran.out
    assert "known here: swap by swap-1" in ran.out


def test_altered_and_absent(tmp_path, run, swap):
    data = bytearray(swap.path.read_bytes())
    data[-2500] ^= 4
    altered, absent = tmp_path / "altered.jpg", tmp_path / "absent.png"
    altered.write_bytes(data)
    Photo.from_array(picture(seed=5)).save(absent)
    assert run("inspect", altered).code == 11
    ran = run("inspect", absent)
    assert ran.code == 13
    assert "proves nothing" in ran.out
    ran = run("inspect", swap.path, absent, altered, "--json")
    assert ran.code == 11
    statuses = [result["status"] for result in json.loads(ran.out)["results"]]
    assert statuses == ["valid", "absent", "altered"]


def test_a_broken_file_among_others(tmp_path, run, swap):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 nothing")
    ran = run("inspect", broken, swap.path, "--json")
    assert ran.code == 1
    results = json.loads(ran.out)["results"]
    assert [result["status"] for result in results] == ["failed", "valid"]
    assert "broken.jpg" in ran.err
    assert run("inspect", broken).code == 3
    assert run("inspect", tmp_path / "missing.jpg").code == 3


def test_a_truncated_result_is_altered(tmp_path, run, swap):
    short = tmp_path / "short.jpg"
    short.write_bytes(swap.path.read_bytes()[:20_000])
    ran = run("inspect", short)
    assert ran.code == 11
    assert "truncated" in ran.out


def test_an_animation(tmp_path, run):
    path = tmp_path / "moving.webp"
    frames = [Image.fromarray(picture((80, 80), seed=s)) for s in (1, 2)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert run("inspect", path).code == 13


def test_signed_by_another_machine(run, swap, monkeypatch, tmp_path):
    monkeypatch.setenv("VISAGIST_HOME", str(tmp_path / "elsewhere"))
    ran = run("inspect", swap.path)
    assert ran.code == 0
    assert "signed by another" in ran.out
    assert "intact" in ran.out
    chain = tmp_path / "chain.pem"
    chain.write_bytes(own_credential(tmp_path / "home" / "provenance").chain)
    ran = run("inspect", swap.path, "--trust", chain, "--json")
    assert json.loads(ran.out)["signer"] == "trusted"
    ran = run("inspect", swap.path, "--trust", tmp_path / "missing.pem")
    assert ran.code == 9


def test_the_users_certificate(tmp_path, run):
    made = own_credential(tmp_path / "user")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(made.chain)
    key.write_bytes(made.key)
    key.chmod(0o600)
    path = tmp_path / "swap.png"
    save_marked(picture(), path, SWAP, credential=user_credential(chain, key))
    assert not (provenance_folder() / "credential.pem").exists()
    assert inspect_file(path, trust=chain).signer == "trusted"
    assert user_credential(None, None) is None
    with pytest.raises(InputError, match="belong together"):
        user_credential(chain, None)


def test_nothing_is_kept_but_hashes(swap, home):
    folder = home / "provenance"
    assert {path.name for path in folder.iterdir()} == {"credential.pem", FILE}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())
    assert b"Ada" not in swap.path.read_bytes() + (folder / FILE).read_bytes()


def test_the_location_of_the_target_is_dropped_and_its_transparency_kept(tmp_path):
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (50.0, 4.0, 0.0)}
    exif[0x010F] = "Maker"
    out = io.BytesIO()
    image = Image.fromarray(picture((90, 90)))
    image.putalpha(Image.linear_gradient("L").resize((90, 90)))
    image.save(out, "PNG", exif=exif)
    photo = Photo.open(out.getvalue())
    save_marked(photo, tmp_path / "swap.png", SWAP, target=out.getvalue())
    saved = Photo.open(tmp_path / "swap.png")
    with Image.open(tmp_path / "swap.png") as image:
        kept = image.getexif()
        assert kept[0x010F] == "Maker"
        assert not kept.get_ifd(0x8825)
    assert np.array_equal(saved.alpha, photo.alpha)


def test_the_same_pixels_get_the_same_mark(tmp_path):
    one = save_marked(picture(), tmp_path / "a.png", MADE)
    other = save_marked(picture(), tmp_path / "b.png", MADE)
    assert one.mark_id == other.mark_id
    assert np.array_equal(Photo.open(one.path).pixels, Photo.open(other.path).pixels)
    assert save_marked(picture(), tmp_path / "c.png", SWAP).mark_id != one.mark_id


def test_makeup_keeps_its_pixels(tmp_path):
    report = save_marked(picture(), tmp_path / "made-up.png", MAKEUP, watermark=False)
    assert np.array_equal(Photo.open(report.path).pixels, picture())
    assert (report.signed, report.watermark, report.psnr) == (True, False, None)
    found = inspect_file(report.path)
    assert (found.status, found.manifest.mark_id) == ("valid", None)
    assert not list(Registry(provenance_folder() / FILE))


def test_makeup_is_written_where_nothing_can_be_kept(tmp_path, home):
    home.write_text("no folder")
    report = save_marked(picture(), tmp_path / "made-up.png", MAKEUP, watermark=False)
    assert not report.signed
    assert "cannot be made" in report.warnings[0]
    with pytest.raises(CredentialError, match="VISAGIST_HOME"):
        save_marked(picture(), tmp_path / "swap.png", SWAP)


def test_the_verb_makeup_signs_and_keeps_pixels(fake_engine, run, album):
    ran = run("makeup", "album/a.png", "-o", "out.png")
    assert ran.code == 0
    found = inspect_file("out.png")
    assert (found.status, found.manifest.claim["kind"]) == ("valid", "makeup")
    assert found.manifest.actions[0][0] == "c2pa.opened"


def test_what_is_there_stays(tmp_path):
    path = tmp_path / "there.png"
    path.write_bytes(b"mine")
    with pytest.raises(PhotoWriteError, match="exists"):
        save_marked(picture(), path, MADE)
    assert path.read_bytes() == b"mine"
    save_marked(picture(), path, MADE, overwrite=True)
    assert inspect_file(path).status == "valid"


def test_without_the_extra(tmp_path, without_extra):
    with pytest.raises(MissingExtraError, match=r"visagist\[provenance\]"):
        save_marked(picture(), tmp_path / "swap.png", SWAP)
    with pytest.raises(MissingExtraError, match=r"visagist\[provenance\]"):
        require_marks()
    assert not (tmp_path / "swap.png").exists()
    report = save_marked(picture(), tmp_path / "made.png", MADE)
    assert (report.signed, report.watermark) == (False, True)
    assert "visagist[provenance]" in report.warnings[0]
    photo = Photo.open(report.path)
    assert b"trainedAlgorithmicMedia" in photo.xmp


def test_a_swap_needs_a_format_that_is_signed(tmp_path):
    with pytest.raises(PhotoFormatError, match="BMP"):
        save_marked(picture(), tmp_path / "swap.bmp", SWAP)
    report = save_marked(picture(), tmp_path / "made.bmp", MADE)
    assert not report.signed
    assert "BMP" in report.warnings[0]


def test_too_small_for_a_watermark(tmp_path):
    report = save_marked(picture((20, 20)), tmp_path / "tiny.png", MADE)
    assert (report.signed, report.watermark) == (True, False)
    assert "20 x 20" in report.warnings[0]


def test_nothing_is_written_when_the_list_cannot_be(tmp_path, home):
    (home / "provenance" / FILE).mkdir(parents=True)
    with pytest.raises(RegistryError):
        save_marked(picture(), tmp_path / "swap.png", SWAP)
    assert not (tmp_path / "swap.png").exists()


def test_a_file_cannot_write_over_the_terminal(tmp_path, run):
    sly = Claim(kind="generated", model_id="m\x1b[1A\x1b[2K\r\n  known here: \u202eswap")
    path = save_marked(picture(), tmp_path / "sly.png", sly).path
    ran = run("inspect", path)
    assert ran.code == 0
    claims = [line for line in ran.out.splitlines() if line.startswith("  claim:")]
    assert claims == [r"  claim: generated by m\x1b[1A\x1b[2K\r\n  known here: \u202eswap"]
    assert set(ran.out) & {"\x1b", "\r", "\u202e"} == set()


def test_a_format_whose_extra_is_missing_stops_no_other_file(tmp_path, run, swap, monkeypatch):
    heic = tmp_path / "phone.heic"
    heic.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")

    def missing():
        raise MissingExtraError("HEIC needs visagist[heic]")

    monkeypatch.setattr("visagist.photo.formats.load_heic", missing)
    monkeypatch.setattr("visagist.photo.decode.load_heic", missing)
    ran = run("inspect", heic, swap.path, "--json")
    assert ran.code == 1
    assert [found["status"] for found in ran.json["results"]] == ["failed", "valid"]
    assert ran.json["results"][0]["error"]["type"] == "MissingExtraError"
