"""Whose key signs: visagist's own on this machine, made on first use, or the user's.

The own one is an elliptic key (ES256, C2PA specification 2.2, section 13.2) with a certificate from
an authority that exists for this one certificate: its key is thrown away once it has signed, so
nobody, the owner of the machine included, can issue a second. Readers elsewhere call such a
signature intact but untrusted, since no list knows the authority. Key and chain lie in one file,
0600, that is made whole or not at all and never replaced; nothing of it is part of a release.
"""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from visagist.errors import CredentialError

__all__ = ["FILE", "Credential", "own_credential", "read_anchors", "read_credential"]

FILE = "credential.pem"
"""Name of the own credential in the folder given to :func:`own_credential`."""

_YEARS = 10
_MAX_BYTES = 256 * 1024
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_BEGIN = b"-----BEGIN "


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A key and the certificates that say whose it is.

    Attributes:
        algorithm: of signatures: es256, es384, es512, ps256 or ed25519.
        chain: certificates in PEM, the signer's first.
        key: the private key in PEM (PKCS 8, not encrypted).
        own: whether it is visagist's own on this machine.
    """

    algorithm: str
    chain: bytes
    key: bytes = field(repr=False)
    own: bool = False

    @property
    def anchor(self) -> bytes:
        """The last certificate of the chain, in PEM."""
        return _BEGIN + self.chain.rpartition(_BEGIN)[2]


def own_credential(folder: Path, *, create: bool = True) -> Credential | None:
    """The own credential, made on first use.

    Args:
        folder: where it lies; made with mode 0700 if need be.
        create: whether to make one that is not there; else the answer is None.

    Raises:
        CredentialError: it cannot be made or read, others may read it, or it has expired.
    """
    path = folder / FILE
    if not os.path.lexists(path):  # a folder that cannot be searched: the reason is told below
        if not create:
            return None
        _write_new(path, _new_pem(datetime.now(UTC)))
    data = _read(path)
    _refuse_open(path)
    if b"PRIVATE KEY" not in data:
        raise CredentialError(f"{path} holds no private key; {_start_over(path)}")
    key, chain = _split(data)
    try:
        return _checked(chain, key, path, path, own=True)
    except CredentialError as error:
        raise CredentialError(f"{error}; {_start_over(path)}") from error


def read_credential(certificate: Path, key: Path) -> Credential:
    """The user's own certificate chain and key, both in PEM.

    Args:
        certificate: the signer's certificate, then those above it.
        key: its private key, not encrypted.

    Raises:
        CredentialError: a file is missing, is no PEM, does not fit the other, or has expired.
    """
    _refuse_open(key)
    return _checked(_read(certificate), _read(key), certificate, key, own=False)


def read_anchors(path: Path) -> bytes:
    """Certificates in PEM whose signatures are to be called trusted.

    Raises:
        CredentialError: missing, or no certificates.
    """
    data = _read(path)
    _certificates(data, path)
    return data


def _checked(
    chain: bytes, key: bytes, chain_path: Path, key_path: Path, *, own: bool
) -> Credential:
    certificates = _certificates(chain, chain_path)
    leaf = certificates[0]
    try:
        private = load_pem_private_key(key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CredentialError(
            f"{key_path} is no unencrypted private key in PEM ({error}); decrypt it with "
            "`openssl pkcs8 -topk8 -nocrypt`"
        ) from error
    algorithm = _algorithm(private)
    if algorithm is None:
        raise CredentialError(
            f"{key_path}: C2PA signs with EC (P-256, P-384, P-521), RSA or Ed25519 keys only"
        )
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if leaf.public_key().public_bytes(*form) != private.public_key().public_bytes(*form):
        raise CredentialError(f"the first certificate of {chain_path} is not that of {key_path}")
    now = datetime.now(UTC)
    if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
        raise CredentialError(
            f"the certificate in {chain_path} is valid from {leaf.not_valid_before_utc:%Y-%m-%d} "
            f"to {leaf.not_valid_after_utc:%Y-%m-%d}, not today"
        )
    if leaf.issuer == leaf.subject:
        raise CredentialError(
            f"the certificate in {chain_path} signed itself, which C2PA does not allow; use one "
            "that an authority issued, with the authority's certificate after it"
        )
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Credential(algorithm=algorithm, chain=chain, key=pem, own=own)


def _algorithm(private: object) -> str | None:
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return _CURVES.get(private.curve.name)
    if isinstance(private, rsa.RSAPrivateKey):
        return "ps256"
    return "ed25519" if isinstance(private, ed25519.Ed25519PrivateKey) else None


def _certificates(data: bytes, path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise CredentialError(f"{path} holds no certificates in PEM ({error})") from error


def _new_pem(now: datetime) -> bytes:
    """A key, its certificate, and that of the authority whose key nobody keeps."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    key = ec.generate_private_key(ec.SECP256R1())
    serial = secrets.token_hex(4)  # tells installations apart, and says nothing about them
    authority = _certificate("authority", serial, authority_key.public_key(), authority_key, now)
    leaf = _certificate("signing", serial, key.public_key(), authority_key, now)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + b"".join(c.public_bytes(Encoding.PEM) for c in (leaf, authority))


def _certificate(
    role: str,
    serial: str,
    public: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> x509.Certificate:
    """The profile of C2PA specification 2.2, section 14.5: no self-signed signer, one purpose."""
    is_authority = role == "authority"
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(role, serial))
        .issuer_name(_name("authority", serial))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # clocks differ
        .not_valid_after(now + timedelta(days=365 * _YEARS))
        .add_extension(
            x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None),
            critical=True,
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=not is_authority,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=is_authority,
                crl_sign=is_authority,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
    if not is_authority:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purpose, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _name(role: str, serial: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "visagist, local"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"visagist {role} {serial}"),
        ]
    )


def _split(data: bytes) -> tuple[bytes, bytes]:
    """Key and chain of a file that holds both."""
    key, begin, chain = data.partition(_BEGIN + b"CERTIFICATE")
    return key, begin + chain


def _write_new(path: Path, data: bytes) -> None:
    """Make the file whole, for the owner only; whoever comes second takes what the first made."""
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            with suppress(FileExistsError):
                os.link(temporary, path)
        except OSError:  # file systems without hard links
            if not path.exists():
                temporary.rename(path)
    except OSError as error:
        raise CredentialError(
            f"the certificate that signs cannot be made in {path.parent} ({error.strerror}); set "
            "VISAGIST_HOME to a folder that can be written, or give your own with --certificate "
            "and --key"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _read(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES:
            raise CredentialError(f"{path} is no file of certificates or keys")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise CredentialError(
            f"there is no {path}; give a PEM file, or leave out --certificate and --key to sign "
            "with visagist's own"
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise CredentialError(f"{path} cannot be read ({reason})") from error


def _refuse_open(path: Path) -> None:
    if os.name != "posix":
        return  # Windows keeps rights elsewhere, and a user's folder to the user
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:  # _read says what is wrong with it
        return
    if mode & 0o077:
        raise CredentialError(f"others may read the key in {path}; run: chmod 600 {path}")


def _start_over(path: Path) -> str:
    return f"move {path} away and a new one is made"
