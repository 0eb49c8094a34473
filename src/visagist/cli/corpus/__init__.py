"""``visagist corpus``: faces for training, from folders, renders and blends. One file a verb."""

from __future__ import annotations

import typer

from visagist.cli.corpus import blends, build, heads, show, sources, stats

__all__ = ["app"]

app = typer.Typer(help="Make, look at and feed faces for training.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps the noun after the verb while there are few."""


app.command("build")(build.build)
app.command("stats")(stats.stats)
app.command("heads")(heads.heads)
app.command("blends")(blends.blends)
app.command("show")(show.show)
app.command("sources")(sources.sources)
