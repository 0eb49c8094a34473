"""The key of a gallery, and what is done with it: sealing, marking, naming, turning.

One 32-byte key, kept outside the gallery, and a random salt inside it give four keys by HKDF
(RFC 5869): records are sealed with AES-256-GCM (NIST SP 800-38D) under a fresh 96-bit nonce each,
sets of records are marked with keyed BLAKE2b (RFC 7693), names with HMAC-SHA256, and vectors for a
store that searches are turned by a secret rotation. Everything a record must not be parted from
(gallery, kind, id, person, model, tag) is associated data: rows that were edited, swapped or moved
do not open.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import stat
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from visagist.errors import GalleryDamagedError, GalleryKeyError
from visagist.gallery.store import ID_BYTES, Kind, Record

__all__ = ["KEY_VARIABLE", "Vault", "new_key", "read_key", "write_key"]

KEY_VARIABLE = "VISAGIST_GALLERY_KEY"
"""Environment variable with the key itself, as 64 hexadecimal digits."""

_KEY_BYTES = 32
_NONCE = 12
_TAG = 16
_FORMAT = 1
_DOMAIN = b"visagist gallery 1"
_LENGTHS = struct.Struct(">BBBHB")


def new_key() -> bytes:
    """32 random bytes."""
    return secrets.token_bytes(_KEY_BYTES)


def write_key(path: Path, key: bytes) -> None:
    """Write a new key file that only its owner can read.

    Raises:
        GalleryKeyError: something is there already, or it cannot be written.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(key.hex().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise GalleryKeyError(f"{path} exists; a key file is never replaced") from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise GalleryKeyError(f"the key file {path} cannot be written ({reason})") from error


def read_key(path: Path | None = None) -> bytes:
    """The key of a file, or of the environment variable when no file is given.

    Raises:
        GalleryKeyError: there is none, it is no key, or others may read the file.
    """
    if path is None:
        text = os.environ.get(KEY_VARIABLE, "")
        if not text:
            raise GalleryKeyError(f"no key: give --key FILE, or set {KEY_VARIABLE}")
        return _parsed(text, KEY_VARIABLE)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > 4096:
            raise GalleryKeyError(f"{path} is not a key file")
        if os.name == "posix" and status.st_mode & 0o077:
            raise GalleryKeyError(
                f"others may read the key file {path}; keep it to yourself: chmod 600 {path}"
            )
        return _parsed(path.read_text(encoding="ascii", errors="replace"), str(path))
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise GalleryKeyError(f"the key file {path} cannot be read ({reason})") from error


def _parsed(text: str, where: str) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise GalleryKeyError(f"{where} does not hold a key: 64 hexadecimal digits")
    return key


class Vault:
    """Seals and opens what belongs to one gallery.

    Args:
        key: 32 bytes.
        header: the gallery's header, of :meth:`new_header`.

    Raises:
        GalleryKeyError: the header is whole and the key is another one.
        GalleryDamagedError: the header is not whole.
    """

    def __init__(self, key: bytes, header: bytes) -> None:
        fields = _read_header(header)
        self.gallery: bytes = bytes.fromhex(fields["gallery"])
        salt = bytes.fromhex(fields["salt"])
        self._set, self._name, self._rotation = (
            _derived(key, salt, what) for what in (b"set", b"name", b"rotation")
        )
        if not hmac.compare_digest(_check(key, salt, self.gallery), bytes.fromhex(fields["check"])):
            raise GalleryKeyError(
                "this is not the key of this gallery (the gallery itself looks whole)"
            )
        self._cipher = AESGCM(_derived(key, salt, b"seal"))

    @staticmethod
    def new_header(key: bytes) -> bytes:
        """Random id and salt of a new gallery, a check of its key, and a sum over these."""
        gallery, salt = secrets.token_bytes(ID_BYTES), secrets.token_bytes(16)
        fields = {
            "format": _FORMAT,
            "gallery": gallery.hex(),
            "salt": salt.hex(),
            "check": _check(key, salt, gallery).hex(),
        }
        return json.dumps({**fields, "sha256": _sum(fields)}).encode()

    def seal(
        self,
        data: bytes,
        kind: Kind,
        id: bytes,
        person: bytes,
        *,
        model: str = "",
        tag: bytes = b"",
        vector: NDArray[np.float32] | None = None,
    ) -> Record:
        """Data -> a sealed record that opens only in its own place."""
        record = Record(kind, id, person, b"", model, tag, vector)
        return replace(record, sealed=self._sealed(data, self._place(record)))

    def open(self, record: Record) -> bytes:
        """The data of a sealed record.

        Raises:
            GalleryDamagedError: any bit of it, or its place, is not as it was sealed.
        """
        sealed = record.sealed
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], self._place(record))
        except (InvalidTag, ValueError) as error:  # ValueError: too short to hold a nonce
            raise _unopened(f"{record.kind} {record.id.hex()[:8]}") from error

    def seal_numbered(self, data: bytes, what: str, number: int) -> bytes:
        """Seal a head or a log entry, which are bound to their number."""
        return self._sealed(data, self._numbered(what, number))

    def open_numbered(self, sealed: bytes, what: str, number: int) -> bytes:
        """Open a head or a log entry.

        Raises:
            GalleryDamagedError: it was changed, or it has another number.
        """
        try:
            return self._cipher.decrypt(
                sealed[:_NONCE], sealed[_NONCE:], self._numbered(what, number)
            )
        except (InvalidTag, ValueError) as error:
            raise _unopened(what) from error

    def mark(self, record: Record) -> int:
        """A secret number of 256 bits for a record; the sum over a set vouches for the set.

        Keyed, so that nobody without the key can make another set of the same sum, and additive,
        so that a change costs as much as it changes: a multiset hash as in Clarke et al., 2003.
        The nonce and the tag of the seal stand for the content, which was verified with them.
        """
        sealed = record.sealed
        place = sealed[:_NONCE] + sealed[-_TAG:] + self._place(record)
        digest = hashlib.blake2b(place, digest_size=32, key=self._set).digest()
        return int.from_bytes(digest, "big")

    def tag(self, what: str, data: bytes) -> bytes:
        """32 bytes by which equal data are found without saying what they are."""
        return hmac.digest(self._name, what.encode() + b"\0" + data, "sha256")

    def rotation(self, dimension: int) -> NDArray[np.float32]:
        """The gallery's secret (dimension, dimension) rotation; cosines stay as they are.

        It hides whose face a vector is from those who only see the vectors, and makes vectors of
        two galleries incomparable. It is no encryption: enough pairs of faces and vectors undo it.
        """
        wanted = 2 * dimension * dimension
        stream = hashlib.shake_256(self._rotation + dimension.to_bytes(4, "big"))
        whole = np.frombuffer(stream.digest(8 * wanted), "<u8")
        uniform = ((whole >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
        radius, angle = np.sqrt(-2 * np.log(uniform[::2])), 2 * np.pi * uniform[1::2]
        q, r = np.linalg.qr((radius * np.cos(angle)).reshape(dimension, dimension))
        return np.asarray(q * np.sign(np.diag(r)), np.float32)  # signs make the answer unique

    def _place(self, record: Record) -> bytes:
        """What a record must not be parted from; with lengths, so that no two places read alike."""
        model = record.model.encode("utf-8", "surrogatepass")
        id, person, tag = record.id, record.person, record.tag
        try:
            lengths = _LENGTHS.pack(len(record.kind), len(id), len(person), len(model), len(tag))
        except struct.error as error:  # longer than any that were sealed
            raise _unopened(record.kind) from error
        return b"".join(
            (_DOMAIN, self.gallery, lengths, record.kind.encode(), id, person, model, tag)
        )

    def _numbered(self, what: str, number: int) -> bytes:
        """The same for a head or a log entry, whose names are no kinds of records."""
        return b"".join(
            (
                _DOMAIN,
                self.gallery,
                _LENGTHS.pack(0, 0, 0, 0, 0),
                what.encode(),
                number.to_bytes(8, "big"),
            )
        )

    def _sealed(self, data: bytes, bound: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher.encrypt(nonce, data, bound)


def _unopened(what: str) -> GalleryDamagedError:
    return GalleryDamagedError(
        f"the {what} was changed without the key, or is damaged; restore a backup"
    )


def _derived(key: bytes, salt: bytes, what: bytes) -> bytes:
    return HKDF(SHA256(), _KEY_BYTES, salt, _DOMAIN + b" " + what).derive(key)


def _check(key: bytes, salt: bytes, gallery: bytes) -> bytes:
    return hmac.digest(_derived(key, salt, b"check"), gallery, "sha256")


def _sum(fields: dict[str, object]) -> str:
    """A plain sum tells a damaged header from a wrong key; it is no protection."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _read_header(header: bytes) -> dict[str, str]:
    try:
        fields = json.loads(header)
        expected = fields.pop("sha256")
        whole = fields["format"] == _FORMAT and expected == _sum(fields)
        sizes = [len(bytes.fromhex(fields[name])) for name in ("gallery", "salt", "check")]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise GalleryDamagedError("the gallery's header is damaged; restore a backup") from error
    if not whole or sizes != [ID_BYTES, 16, 32]:
        raise GalleryDamagedError(
            "the gallery's header is damaged or of another version; restore a backup"
        )
    return {str(name): str(value) for name, value in fields.items()}
