from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed448

from visagist.errors import CredentialError
from visagist.provenance import credential
from visagist.provenance.credential import FILE, own_credential, read_anchors, read_credential


def own_files(folder):
    """The own credential as two files, as a user would have them."""
    made = own_credential(folder)
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(made.chain)
    key.write_bytes(made.key)
    key.chmod(0o600)
    return chain, key


def test_is_made_once_and_only_for_its_owner(tmp_path):
    folder = tmp_path / "state" / "provenance"
    assert own_credential(folder, create=False) is None
    assert not folder.exists()
    made = own_credential(folder)
    assert made.own
    assert made.algorithm == "es256"
    assert stat.S_IMODE((folder / FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert own_credential(folder) == made
    assert [path.name for path in folder.iterdir()] == [FILE]


def test_several_programs_at_once_get_the_same(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: own_credential(tmp_path), range(4)))
    assert all(one == made[0] for one in made)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_the_chain_is_one_that_c2pa_allows(tmp_path):
    made = own_credential(tmp_path)
    leaf, authority = x509.load_pem_x509_certificates(made.chain)
    leaf.verify_directly_issued_by(authority)
    assert leaf.issuer != leaf.subject
    constraints = x509.BasicConstraints
    assert not leaf.extensions.get_extension_for_class(constraints).value.ca
    assert authority.extensions.get_extension_for_class(constraints).value.ca
    assert made.anchor in made.chain
    assert x509.load_pem_x509_certificate(made.anchor) == authority
    assert "PRIVATE" not in repr(made)


def test_an_open_key_is_refused(tmp_path):
    own_credential(tmp_path)
    (tmp_path / FILE).chmod(0o644)
    with pytest.raises(CredentialError, match="chmod 600"):
        own_credential(tmp_path)


@pytest.mark.parametrize("content", [b"", b"nothing", b"\x00" * 300_000])
def test_a_broken_file_is_never_replaced(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    (tmp_path / FILE).chmod(0o600)
    with pytest.raises(CredentialError):
        own_credential(tmp_path)
    assert (tmp_path / FILE).read_bytes() == content


def test_an_expired_one_says_what_to_do(tmp_path):
    past = datetime.now(UTC) - timedelta(days=365 * 11)
    (tmp_path / FILE).write_bytes(credential._new_pem(past))
    (tmp_path / FILE).chmod(0o600)
    with pytest.raises(CredentialError, match=r"valid from .* move .* away"):
        own_credential(tmp_path)


def test_nowhere_to_write(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CredentialError, match="VISAGIST_HOME"):
        own_credential(tmp_path / "file" / "below")


def test_a_folder_that_cannot_be_asked_for(tmp_path):
    impossible = tmp_path / ("x" * 300)
    assert own_credential(impossible, create=False) is None
    with pytest.raises(CredentialError, match="cannot be made"):
        own_credential(impossible)


def test_the_users_own(tmp_path):
    chain, key = own_files(tmp_path)
    found = read_credential(chain, key)
    assert not found.own
    assert found.chain == chain.read_bytes()
    assert read_anchors(chain) == chain.read_bytes()


def test_what_is_wrong_with_the_users_own(tmp_path):
    chain, key = own_files(tmp_path)
    with pytest.raises(CredentialError, match="there is no"):
        read_credential(tmp_path / "missing.pem", key)
    with pytest.raises(CredentialError, match="there is no"):
        read_credential(chain, tmp_path / "missing.pem")
    with pytest.raises(CredentialError, match="no certificates"):
        read_credential(key, key)
    other_chain, _ = own_files(tmp_path / "other")
    with pytest.raises(CredentialError, match="not that of"):
        read_credential(other_chain, key)
    words = "ENCRYPTED PRIVATE KEY-----"
    key.write_text(f"-----BEGIN {words}\nx\n-----END {words}")
    with pytest.raises(CredentialError, match="unencrypted"):
        read_credential(chain, key)


def test_a_key_that_c2pa_does_not_know(tmp_path):
    chain, key = own_files(tmp_path)
    key.write_bytes(
        ed448.Ed448PrivateKey.generate().private_bytes(
            credential.Encoding.PEM, credential.PrivateFormat.PKCS8, credential.NoEncryption()
        )
    )
    with pytest.raises(CredentialError, match="Ed25519"):
        read_credential(chain, key)


def test_a_certificate_that_signed_itself(tmp_path):
    chain, key = own_files(tmp_path)
    private = credential.load_pem_private_key(key.read_bytes(), None)
    now = datetime.now(UTC)
    alone = credential._certificate("authority", "x", private.public_key(), private, now)
    chain.write_bytes(alone.public_bytes(credential.Encoding.PEM))
    with pytest.raises(CredentialError, match="signed itself"):
        read_credential(chain, key)
