"""Where a gallery on a Milvus server lies, as one line of text."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from visagist.errors import InputError

__all__ = ["CA_VARIABLE", "TOKEN_VARIABLE", "MilvusAddress"]

TOKEN_VARIABLE = "VISAGIST_MILVUS_TOKEN"
"""Environment variable with the server's token, or ``user:password``."""

CA_VARIABLE = "VISAGIST_MILVUS_CA"
"""Environment variable with a PEM file of the authority that vouches for the server."""


@dataclass(frozen=True, slots=True)
class MilvusAddress:
    """Where a gallery lies; see :meth:`parse`.

    Attributes:
        text: as given, without any secret.
        uri: as pymilvus wants it.
        name: of the gallery; its tables begin with it.
        database: of the server, "" for its default one.
        seconds: the longest that one call may take.
    """

    text: str
    uri: str
    name: str
    database: str = ""
    seconds: float = 20.0

    @property
    def folder(self) -> Path | None:
        """The folder of Milvus Lite, ``None`` for a server."""
        return Path(self.uri) if self.uri.endswith(".db") else None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address.

        One of ``milvus://HOST[:PORT]/NAME``, ``milvus+tls://HOST[:PORT]/NAME`` and
        ``milvus+file:FOLDER.db``, each with ``?database=`` and ``?seconds=`` if wanted. The
        token comes from the environment, never from here.

        Raises:
            InputError: it is none of these.
        """
        try:
            parts = urlsplit(text)
            options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
            host, port = parts.hostname or "", parts.port or 19530
        except ValueError as error:
            raise _no_address(text, str(error)) from error
        if parts.username or parts.password:
            raise InputError(
                f"a Milvus address holds no user or password; set {TOKEN_VARIABLE} instead"
            )
        if parts.scheme == "milvus+file":
            path = unquote(parts.netloc + parts.path)
            uri, name = os.path.abspath(path), "gallery"  # noqa: PTH100  (a link is kept)
            if not uri.endswith(".db"):
                raise _no_address(text, "the folder's name has to end with .db")
        elif parts.scheme in {"milvus", "milvus+tls"}:
            secure = "https" if parts.scheme.endswith("tls") else "http"
            uri, name = f"{secure}://{host}:{port}", parts.path.strip("/")
            if not host:
                raise _no_address(text, "the host is missing")
        else:
            raise _no_address(text, "it begins otherwise")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", name):
            raise _no_address(text, "a gallery's name is of letters, digits and underscores")
        return cls(text, uri, name, **_options(text, options))


def _options(text: str, options: dict[str, str]) -> dict[str, Any]:
    read: dict[str, Any] = {"database": options.pop("database", "")}
    try:
        read["seconds"] = float(options.pop("seconds", "20"))
    except ValueError as error:
        raise _no_address(text, "seconds is a number") from error
    if options or not 0.1 <= read["seconds"] <= 3600:
        raise _no_address(text, f"wrong options {sorted(options) or 'seconds'}")
    return read


def _no_address(text: str, why: str) -> InputError:
    return InputError(
        f"{text!a} is no Milvus address ({why}); it is milvus://HOST:PORT/NAME, "
        "milvus+tls://HOST:PORT/NAME or milvus+file:FOLDER.db"
    )
