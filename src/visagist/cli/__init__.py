"""The command line: one file a verb; parse, call, print; no logic."""

from visagist.cli.app import main

__all__ = ["main"]
