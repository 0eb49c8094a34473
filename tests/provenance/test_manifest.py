from __future__ import annotations

import io
import json

import c2pa
import numpy as np
import pytest
from PIL import Image

from tests.provenance.made import picture
from visagist.errors import SigningError
from visagist.provenance import manifest
from visagist.provenance.claims import COMPOSITE, GENERATED, Claim
from visagist.provenance.credential import own_credential
from visagist.provenance.inspection import inspect
from visagist.provenance.manifest import MIME, SOFT_BINDING, read_manifest, sign
from visagist.provenance.registry import Entry, Registry
from visagist.provenance.watermark import embed
from visagist.provenance.xmp import packet

ID = "c0ffee1234"
SWAP = Claim(kind="swap", model_id="swap-1", source_sha256="0" * 64, consent_sha256="1" * 64)
MADE = Claim(kind="generated", model_id="generator-1", title="picture 3 of seed 7")
PILLOW = {"WebP": "WEBP"}


def encoded(pixels, format_name="JPEG", **options):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, PILLOW.get(format_name, format_name), **options)
    return out.getvalue()


@pytest.fixture(scope="module")
def credential(tmp_path_factory):
    return own_credential(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def swapped(credential):
    """A signed swap, and the pixels in its file."""
    pixels = embed(picture(), ID).pixels
    data = sign(
        encoded(pixels, quality=95), "JPEG", SWAP, credential, mark_id=ID, version="1.2",
        target=encoded(picture(seed=9)), target_format="JPEG",
    )  # fmt: skip
    return data, np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WebP", "AVIF", "TIFF"])
def test_round_trip(credential, format_name):
    plain = encoded(picture((40, 50)), format_name)
    data = sign(plain, format_name, MADE, credential, mark_id=ID, version="1.2")
    found = read_manifest(data, format_name, anchors=credential.anchor)
    assert found.intact
    assert found.trusted
    assert found.problems == ()
    assert found.mark_id == ID
    assert found.generator == "visagist 1.2"
    assert found.actions[0] == ("c2pa.created", GENERATED)
    assert dict(found.claim) == {"kind": "generated", "model_id": "generator-1"}
    before, after = (Image.open(io.BytesIO(d)).convert("RGB") for d in (plain, data))
    assert np.array_equal(np.asarray(before), np.asarray(after))


def test_a_swap_names_its_target_and_hashes(credential, swapped):
    data, _ = swapped
    found = read_manifest(data, "JPEG", anchors=credential.anchor)
    assert found.intact
    assert found.trusted
    assert found.actions[0] == ("c2pa.opened", None)
    assert ("c2pa.edited", COMPOSITE) in found.actions
    assert found.claim["source_sha256"] == ["0" * 64]
    assert found.claim["consent_sha256"] == "1" * 64
    assert len(found.claim["target_sha256"]) == 64
    document = json.loads(c2pa.Reader("image/jpeg", io.BytesIO(data)).json())
    active = document["manifests"][document["active_manifest"]]
    assert active["ingredients"][0]["relationship"] == "parentOf"
    assert "thumbnail" not in json.dumps(active)  # no second copy of anybody's face
    bindings = [a for a in active["assertions"] if a["label"] == "c2pa.soft-binding"]
    assert bindings[0]["data"]["alg"] == SOFT_BINDING


@pytest.mark.parametrize("target", [None, b"BM not a picture", encoded(picture((9, 9)), "BMP")])
def test_targets_that_hold_no_manifest(credential, target):
    plain = encoded(picture((40, 50)))
    data = sign(
        plain, "JPEG", SWAP, credential, mark_id=None, version="1",
        target=target, target_format=None if target is None else "BMP",
    )  # fmt: skip
    found = read_manifest(data, "JPEG", anchors=credential.anchor)
    assert found.intact
    assert found.mark_id is None
    assert ("target_sha256" in found.claim) == (target is not None)


def test_a_target_that_looks_like_its_format_and_is_broken(credential):
    broken = encoded(picture((40, 50)), "PNG")[:60]
    data = sign(
        encoded(picture((40, 50))), "JPEG", SWAP, credential, mark_id=None, version="1",
        target=broken, target_format="PNG",
    )  # fmt: skip
    assert read_manifest(data, "JPEG").intact


def test_a_file_that_cannot_be_signed(credential):
    with pytest.raises(SigningError, match="PNG"):
        sign(b"\x89PNG\r\n\x1a\n", "PNG", MADE, credential, mark_id=ID, version="1")


def test_valid_and_whose(credential, swapped, tmp_path):
    data, pixels = swapped
    registry = Registry(tmp_path / "registry.jsonl")
    registry.add(Entry.of(ID, SWAP, target_sha256=None, width=1, height=1))
    found = inspect(data, "JPEG", pixels, own_anchor=credential.anchor, registry=registry)
    assert (found.status, found.signer, found.reasons) == ("valid", "own", ())
    assert found.watermark.mark_id == found.manifest.mark_id == ID
    assert [e.kind for e in found.entries] == ["swap"]
    stranger = own_credential(tmp_path)
    found = inspect(data, "JPEG", pixels, own_anchor=stranger.anchor)
    assert (found.status, found.signer) == ("valid", "untrusted")
    assert "neither this machine's" in found.reasons[0]
    found = inspect(data, "JPEG", pixels, own_anchor=stranger.anchor, anchors=credential.anchor)
    assert (found.status, found.signer) == ("valid", "trusted")


def test_altered_pixels(credential, swapped):
    data, pixels = swapped
    changed = bytearray(data)
    changed[-3000] ^= 0x20
    found = inspect(bytes(changed), "JPEG", pixels, own_anchor=credential.anchor)
    assert found.status == "altered"
    assert found.signer == "own"
    assert "assertion.dataHash.mismatch" in found.manifest.problems
    assert found.watermark.mark_id == ID


def test_an_altered_claim(credential, swapped):
    data, pixels = swapped
    found = inspect(
        data.replace(b"swap-1", b"swap-2"), "JPEG", pixels, own_anchor=credential.anchor
    )
    assert found.status == "altered"


def test_a_manifest_moved_to_another_picture(credential, swapped):
    # Signed again by somebody else, so the hashes hold, with an id that the pixels do not have.
    _, pixels = swapped
    data = sign(encoded(pixels), "JPEG", MADE, credential, mark_id="0123456789", version="1")
    found = inspect(data, "JPEG", pixels)
    assert found.manifest.intact
    assert found.status == "altered"
    assert "another picture" in " ".join(found.reasons)


def test_truncated(credential, swapped):
    data, _ = swapped
    found = inspect(data[: len(data) * 2 // 3], "JPEG", None, own_anchor=credential.anchor)
    assert found.status == "altered"
    assert "truncated" in found.reasons[0]


def test_stripped_and_absent(swapped, tmp_path):
    _, pixels = swapped
    registry = Registry(tmp_path / "registry.jsonl")
    registry.add(Entry.of(ID, SWAP, target_sha256=None, width=1, height=1))
    found = inspect(encoded(pixels, quality=70), "JPEG", pixels, registry=registry)
    assert (found.status, found.manifest, found.signer) == ("stripped", None, None)
    assert found.entries[0].consent_sha256 == "1" * 64
    bare = picture(seed=8)
    found = inspect(encoded(bare), "JPEG", bare)
    assert (found.status, found.watermark, found.entries) == ("absent", None, ())


def test_plain_metadata_is_told_and_believed_by_nobody():
    bare = picture((64, 64), seed=8)
    found = inspect(encoded(bare), "JPEG", bare, xmp=packet(MADE, tool="visagist 1 & <2>"))
    assert found.status == "absent"
    assert found.declared == GENERATED
    assert b"picture 3 of seed 7" in packet(MADE, tool="t")
    assert b"1 &amp; &lt;2&gt;, generator-1" in packet(MADE, tool="visagist 1 & <2>")


@pytest.mark.parametrize("format_name", sorted(MIME))
def test_rubbish_holds_no_manifest(format_name):
    for data in (b"", b"rubbish", encoded(picture((40, 40)), "PNG")[:50]):
        assert read_manifest(data, format_name) is None
    broken = read_manifest(b"rubbish jumb c2pa", format_name)
    assert broken is None or not broken.intact
    assert read_manifest(b"BM", "BMP") is None


@pytest.mark.parametrize("odd", [None, 3, "text", [1, "two"], {"a": "b"}, [{"actions": 1}]])
def test_a_signed_file_may_hold_anything_anywhere(credential, monkeypatch, odd):
    # Whoever has a certificate signs what they like: the claim first, then every part that is read.
    definition = manifest._definition

    def foreign(*given):
        made = definition(*given)
        made["assertions"] = [
            {"label": "org.visagist.claim", "data": odd} if "claim" in a["label"] else a
            for a in made["assertions"]
        ]
        return made

    monkeypatch.setattr(manifest, "_definition", foreign)
    if odd is not None:
        plain = encoded(picture((40, 50)))
        data = sign(plain, "JPEG", MADE, credential, mark_id=None, version="1")
        assert read_manifest(data, "JPEG").claim == (odd if isinstance(odd, dict) else {})
    active = dict.fromkeys(("assertions", "claim_generator_info", "signature_info"), odd)
    labels = ("c2pa.actions.v2", "c2pa.soft-binding", "org.visagist.claim")
    deeper = {"assertions": [{"label": label, "data": odd} for label in labels]}
    blocks = {"alg": SOFT_BINDING, "blocks": odd}
    bound = {"assertions": [{"label": "c2pa.soft-binding", "data": blocks}]}
    for held in (odd, active, deeper, bound):
        found = manifest._parsed(
            {"active_manifest": "m", "manifests": {"m": held}, "validation_results": odd}
        )
        assert not found.intact
        assert found.mark_id is None
