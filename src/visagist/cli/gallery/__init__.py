"""``visagist gallery``: people who agreed to be recognised."""

from __future__ import annotations

import typer

from visagist.cli.gallery import create, enroll, people, search, upkeep

__all__ = ["app"]

app = typer.Typer(
    help="People who agreed to be recognised: enrol, search, list, remove, export, migrate, audit.",
    no_args_is_help=True,
)
app.command("create")(create.create)
app.command("enroll")(enroll.enroll)
app.command("search")(search.search)
app.command("list")(people.list_people)
app.command("change")(people.change)
app.command("remove")(people.remove)
app.command("export")(upkeep.export)
app.command("migrate")(upkeep.migrate)
app.command("audit")(upkeep.audit)
