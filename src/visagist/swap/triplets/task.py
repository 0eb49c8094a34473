"""Triplets as work for an engine: a number becomes a triplet, whatever process draws it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from visagist.corpus.blends.gate import Gate
from visagist.corpus.corpus import Corpus
from visagist.corpus.sample import SPLITS
from visagist.corpus.task import Item
from visagist.errors import DataError, InputError
from visagist.swap.triplets.config import Kind, TripletConfig
from visagist.swap.triplets.faces import People
from visagist.swap.triplets.gates import Gates, RejectedError
from visagist.swap.triplets.kinds import Maker, Proxy
from visagist.swap.triplets.triplet import Triplet

if TYPE_CHECKING:
    from visagist.swap.triplets.exact import ExactMaker


@dataclass(frozen=True)
class Drawn:
    """What one item came to.

    Attributes:
        triplet: the first draw that passed; ``None`` where none did.
        kind: that was drawn.
        rejected: reasons of the draws before it.
    """

    triplet: Triplet | None
    kind: Kind
    rejected: tuple[str, ...] = field(default=())


class TripletTask:
    """Draws ``count`` triplets of the people of one split.

    Args:
        corpora: folders of finished corpora.
        config: the recipe.
        count: how many.
        split: whose people.
        gate: the embedder that measures identity.
        seed: another seed gives other triplets.
        proxy: the swapper of ``cycle``.
        assets: MakeHuman's assets, for ``exact``.

    Raises:
        InputError: an unknown split, a kind that lacks what it needs, or a swapper without use.
        DataError: there is no corpus, or too few people fit.
        ModuleNotFoundError: the extra ``heads``, for ``exact``.
    """

    def __init__(
        self,
        corpora: Sequence[Path],
        config: TripletConfig,
        *,
        count: int,
        split: str,
        gate: Gate,
        seed: int = 0,
        proxy: Proxy | None = None,
        assets: Path | None = None,
    ) -> None:
        if split not in SPLITS:
            raise InputError(f"splits are {', '.join(SPLITS)}, not {split!r}")
        if "cycle" in config.made and proxy is None:
            raise InputError("the kind cycle needs a swapper; give --proxy MODEL, or leave it out")
        if "cycle" not in config.made and proxy is not None:
            raise InputError("only the kind cycle uses a swapper; name it in the recipe's mix")
        if "exact" in config.made and assets is None:
            raise InputError("the kind exact renders heads; give --assets, or leave it out")
        if "exact" in config.made:
            import_module("visagist.swap.triplets.exact")  # a missing extra is told here
        self.corpora, self.config, self.count = tuple(corpora), config, count
        self.split, self.gate, self.seed = split, gate, seed
        self.proxy, self.assets = proxy, assets
        if set(config.made) != {"exact"}:
            _ = self.maker.people  # fails here rather than in a worker

    def __getstate__(self) -> dict[str, Any]:
        """Only settings travel between processes."""
        return {key: value for key, value in self.__dict__.items() if key not in _LOADED}

    @cached_property
    def maker(self) -> Maker:
        """What a process loads once."""
        people = People(self.corpora, self.split, self.config.people, size=self.config.size)
        proxy = None if self.proxy is None else self.proxy.load()
        return Maker(people, self.config, Gates(self.config.gates, self.gate.load()), proxy)

    @cached_property
    def exact(self) -> ExactMaker:
        """Draws heads."""
        from visagist.swap.triplets.exact import ExactMaker  # noqa: PLC0415  (needs a renderer)

        gates = Gates(self.config.gates, self.gate.load())
        assets = cast("Path", self.assets)
        return ExactMaker(assets, self.config, gates, split=self.split, seed=self.seed)

    def items(self) -> Iterable[Item]:
        """One a triplet: its number."""
        for number in range(self.count):
            yield Item(f"{self.split}/{self.seed}/{number:08d}", number)

    def describe(self) -> dict[str, object]:
        """The settings as JSON; a run is resumed only under equal ones. It may grow."""
        return {
            "recipe": self.config.model_dump(mode="json"),
            "corpora": [str(Corpus.open(p).summary["index_sha256"]) for p in self.corpora],
            "split": self.split,
            "seed": self.seed,
            "embedder": self.gate.name,
            "proxy": None if self.proxy is None else self.proxy.name,
        }

    def draw(self, item: Item) -> Drawn:
        """The triplet of a number: a pure function of the settings and the number."""
        number = int(item.payload)
        made = self.config.made
        kinds = list(made)
        random = np.random.default_rng([self.seed, SPLITS.index(self.split), number])
        kind = kinds[int(random.choice(len(kinds), p=list(made.values())))]
        rejected: list[str] = []
        key = f"{self.split}-{self.seed}-{number:07d}"
        # loaded out here: no assets and no renderer end the run, they are no damaged picture
        make: Callable[..., Triplet] = (
            partial(self.exact.make, number=number, key=key)
            if kind == "exact"
            else partial(self.maker.make, kind, key=key)
        )
        for k in range(self.config.tries):
            again = np.random.default_rng([self.seed, SPLITS.index(self.split), number, k])
            try:
                triplet = make(random=again)
            except RejectedError as error:
                rejected.append(error.reason)
            except DataError:
                # a damaged picture costs a draw, not the run
                rejected.append("damaged")
            else:
                return Drawn(triplet, kind, tuple(rejected))
        return Drawn(None, kind, tuple(rejected))

    def prepare(self, item: Item) -> list[Any]:
        """:meth:`draw` as the engines call it: one :class:`Drawn`."""
        return [self.draw(item)]


_LOADED = ("maker", "exact")
