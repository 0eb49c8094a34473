"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Certificate", "Key"]

Certificate = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Your certificate and its authority's (PEM), to sign results with."
    ),
]
Key = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The certificate's private key (PEM).")
]
