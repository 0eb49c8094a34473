"""What an engine runs: a list of items and one pure function from an item to its faces."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from visagist.corpus.sample import Sample
from visagist.errors import DataError


@dataclass(frozen=True, slots=True)
class Item:
    """One unit of work.

    Attributes:
        key: unique in a task and the same in every run.
        payload: what :meth:`CorpusTask.prepare` needs; small and picklable (a path, a seed).
    """

    key: str
    payload: Any


class SkippedItemError(DataError):
    """An item that yields no sample. It costs one line of the report.

    Attributes:
        reason: one of a few short words that can be counted, such as ``unreadable`` or ``no_face``.
        detail: the sentence for people.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[SkippedItemError], tuple[str, str]]:
        """Two arguments must survive the way between processes."""
        return type(self), (self.reason, self.detail)


class CorpusTask(Protocol):
    """Something that makes samples: photos read from sources, rendered heads, blends.

    A task is picklable and holds only settings; whatever is costly to load is loaded on first use
    in the process that needs it.
    """

    def items(self) -> Iterable[Item]:
        """Every item, always in the same order."""
        ...

    def prepare(self, item: Item) -> list[Sample]:
        """The samples of one item: a pure function of the settings and the item.

        Raises:
            SkippedItemError: the item yields nothing, and why.
        """
        ...

    def describe(self) -> dict[str, object]:
        """The resolved settings as JSON; a build resumes only under equal settings."""
        ...
