"""A task with real samples, some of whose pictures kill their process the first time."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.corpus.build.people import PeopleTask, Shot
from visagist.corpus.sample import Sample
from visagist.corpus.task import Item

SHOTS = [Shot(f"{k:02d}.jpg", k, identity=f"person-{k % 7}") for k in range(20)]
SHOTS += [Shot("broken.jpg", 1), Shot("copy.jpg", 3, "encoded")]


class DyingPeople(PeopleTask):
    """The same people as ``PeopleTask(SHOTS)``; equal settings, since it is not of their making."""

    def __init__(self, marks: Path, deadly: tuple[int, ...]) -> None:
        super().__init__(SHOTS)
        self.marks, self.deadly = marks, deadly

    def prepare(self, item: Item) -> list[Sample]:
        looks = item.payload.looks
        if looks in self.deadly and not (self.marks / str(looks)).exists():
            (self.marks / str(looks)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().prepare(item)
