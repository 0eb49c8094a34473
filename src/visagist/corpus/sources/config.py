"""Which sources a corpus is made of and what holds for each of them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from visagist.corpus.sample import Kind

Use = Literal["detection", "mesh", "parser", "makeup", "swap", "recognition", "generation"]
Split = Literal["train", "validation", "test"]


class SourceConfig(BaseModel):
    """One source of a corpus: where it is and the rules that its layout cannot know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(".", description="folder or file, absolute or relative to the data folder")
    layout: str = Field("", description="name of the layout; empty to recognise it by its files")
    name: str = Field("", description="name in the corpus; empty for the name of the folder")
    folders: tuple[str, ...] = Field(
        (), description="only these folders below the path; empty for all"
    )
    people: str = Field(
        "",
        description="first part of identities; sources with equal values share their people. "
        "Empty for the layout's own, which is the name of the source for one's own pictures",
    )
    licence: str | None = Field(None, description="SPDX name or a few words, in place of the set's")
    kind: Kind | None = Field(None, description="photo, generated, head or blend")
    uses: tuple[Use, ...] | None = Field(
        None, description="what the pictures may be used for, in place of what the set allows"
    )
    may_show: bool = Field(False, description="the pictures may appear in documentation")
    only_split: Split | None = Field(
        None,
        description="every picture goes there; those that their set puts elsewhere are left out",
    )
    without_generators: tuple[str, ...] = Field(
        (), description="generators whose pictures are left out, such as those with other terms"
    )
