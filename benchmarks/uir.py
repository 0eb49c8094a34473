"""Where does the rejection of unlabelled faces help? A sweep over forms, weights and amounts.

    python benchmarks/uir.py --run RUN --data CORPUS --data BLENDS --data HEADS --cache DIR \
        [--json OUT] [--seeds 3]

Every row trains the head (and last blocks) of the network of ``RUN`` on the same faces, people,
steps and seeds, with and without unlabelled faces, and is judged on validation people (see
uir_judge.py). Results of single trainings are kept below ``--cache``, so that a sweep that was
stopped goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from uir_features import Kept, Tail, cut, keep, load_network, photos
from uir_judge import Floats, Judged, Vectors, blend_rows, summary

from visagist.corpus.index import Record
from visagist.deploy.machine import machine
from visagist.recognition.centres import fit_centres, make_classifier
from visagist.recognition.classifier import UNLABELLED, Rejection
from visagist.recognition.evaluation.lists import read_list
from visagist.recognition.finetune import RejectingModel
from visagist.recognition.finetune_config import (
    CentresConfig,
    FinetuneRecipe,
    MarginConfig,
    PeopleConfig,
)
from visagist.recognition.losses.uir import UirForm
from visagist.recognition.measure import auc, nearest_centre, quantiles
from visagist.recognition.people import People, person_of, sort_people, without_overlap
from visagist.training.loop import LoopConfig, train
from visagist.training.run import WEIGHTS, read_recipe

ROOT = Path(__file__).resolve().parents[1]
VIEWS = 2
KNOWN_ROWS, UNKNOWN_ROWS = 96, 32
FEW, MANY = 600, 3000


@dataclass(frozen=True)
class Setting:
    """One row of the sweep.

    Attributes:
        known: people.
        unlabelled: faces, as a multiple of the faces of known people; 0 for none.
        form: of the rejection loss.
        weight: of it.
        margin: of the loss on known people.
        start: finetune (the tail as it was trained) or scratch (tail and centres from noise).
        steps: of the training.
        lr: peak learning rate.
        overlap: leave out unlabelled faces that may be known people.
        top: only so many classes are rejected; 0 for all.
    """

    known: int = MANY
    unlabelled: float = 0.0
    form: UirForm = "released"
    weight: float = 0.0
    margin: str = "arcface"
    start: str = "finetune"
    steps: int = 200
    lr: float = 3e-4
    overlap: bool = True
    top: int = 0

    def baseline(self) -> Setting:
        """The same training without unlabelled faces."""
        return replace(self, unlabelled=0.0, form="released", weight=0.0, overlap=True, top=0)


def sweep(lr: float) -> list[Setting]:
    """Every row, each after its baseline."""
    many, few = Setting(lr=lr), Setting(known=FEW, lr=lr)
    scratch = Setting(start="scratch", steps=400, lr=lr)
    rejected = replace(many, form="kl", weight=0.1, unlabelled=1.0)
    forms: tuple[UirForm, ...] = ("released", "kl")
    from_noise: tuple[tuple[UirForm, float], ...] = (("released", 0.1), ("kl", 0.1))
    return [
        many,
        *(
            replace(rejected, form=form, weight=weight)
            for form in forms
            for weight in (0.03, 0.1, 0.3, 1.0)
        ),
        replace(rejected, form="released", weight=10.0),
        few,
        *(
            replace(few, form=form, weight=0.3, unlabelled=amount)
            for form in forms
            for amount in (1.0, 3.0, 10.0)
        ),
        scratch,
        *(
            replace(scratch, form=form, weight=weight, unlabelled=1.0)
            for form, weight in from_noise
        ),
        replace(rejected, form="paper", weight=0.1 / MANY),
        replace(rejected, overlap=False),
        replace(rejected, top=100),
        replace(many, margin="none"),
    ]


def shortened(rows: list[Setting]) -> list[Setting]:
    """Enough to see whether more trained blocks change the picture."""
    base = rows[0]
    wanted = {(form, weight) for form in ("released", "kl") for weight in (0.1, 1.0)}
    return [base] + [
        row
        for row in rows
        if row.baseline() == base and (row.form, row.weight) in wanted and row.overlap
        if not row.top
    ]


def rates_tried() -> list[Setting]:
    """Baselines at other learning rates; the best one is the rate of the sweep."""
    return [Setting(lr=lr) for lr in (1e-3, 3e-3, 1e-2)]


class TailTask:
    """The tail on kept maps, for :func:`visagist.training.loop.train`."""

    def __init__(self, setting: Setting, model: RejectingModel, kept: Kept, people: People) -> None:
        self.setting, self._model, self.kept, self.people = setting, model, kept, people
        self.rejection = Rejection(setting.form, setting.top or None) if setting.weight else None

    @property
    def model(self) -> nn.Module:
        """Tail and classifier."""
        return self._model

    def losses(
        self, model: nn.Module, step: int, generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        """As in the training of a recipe, with as many known faces a step in every row."""
        index = _drawn(self.people.known, KNOWN_ROWS, generator)
        labels = torch.from_numpy(self.people.labels[index.numpy()])
        view = torch.randint(VIEWS, (KNOWN_ROWS + UNKNOWN_ROWS,), generator=generator)
        if self.rejection is not None:
            index = torch.cat([index, _drawn(self.people.unlabelled, UNKNOWN_ROWS, generator)])
            labels = torch.cat([labels, labels.new_full((UNKNOWN_ROWS,), UNLABELLED)])
        maps = self.kept.rows(view[: len(index)], index)
        verdict = model(maps, labels, self.rejection, generator)
        return {
            "margin": verdict.margin,
            "rejection": self.setting.weight * verdict.rejection,
        }

    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """Nothing: trainings are judged when they are done."""
        return {}


def _drawn(pool: NDArray[np.int64], count: int, generator: torch.Generator) -> Tensor:
    return torch.from_numpy(pool)[torch.randint(len(pool), (count,), generator=generator)]


class Sweep:
    """What all trainings of a sweep share."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.run, self.cache, self.blocks = options.run, options.cache, options.blocks
        recipe = read_recipe(ROOT / "recipes" / "recognizer-uir.yaml", FinetuneRecipe)
        self.kept, self.held_out = (
            keep(
                self.run,
                options.data,
                recipe.data,
                recipe.augment,
                decoded=options.faces or self.cache,
                cache=self.cache,
                split=split,
                views=VIEWS if split == "train" else 1,
                tail_blocks=self.blocks,
            )
            for split in ("train", "validation")
        )
        sha = hashlib.sha256((self.run / WEIGHTS).read_bytes())
        sha.update(repr([r.key for r in self.kept.records]).encode())
        self.folder = self.cache / f"uir-{sha.hexdigest()[:12]}"
        self.photos = photos(self.run, options.tree, "validation", self.blocks, self.folder)
        self.blends = blend_rows(self.held_out.records)
        self._people: dict[tuple[int, bool, bool], tuple[People, dict[str, Any]]] = {}
        self._centres: dict[tuple[int, str, int], Tensor] = {}

    def validation(self) -> dict[str, Any]:
        """How much there is to judge by."""
        enrolled, _, strangers = self.blends
        kinds = Counter(self.held_out.records[i].origin.kind for i in strangers)
        return {"blends": len(enrolled), "strangers": dict(kinds), "photos": len(self.photos)}

    def report(
        self,
        found: dict[Setting, list[Floats]],
        told: dict[Setting, list[dict[str, Any]]],
        tried: dict[float, float],
    ) -> dict[str, Any]:
        """What is published."""
        return {
            "machine": machine() | {"torch": torch.__version__},
            "network_sha256": hashlib.sha256((self.run / WEIGHTS).read_bytes()).hexdigest(),
            "trained_blocks": self.blocks,
            "views": VIEWS,
            "rows_a_step": [KNOWN_ROWS, UNKNOWN_ROWS],
            "validation": self.validation(),
            "fnir_by_learning_rate": {str(lr): round(value, 4) for lr, value in tried.items()},
            "rows": [
                asdict(setting)
                | {"seeds": len(values), "told": _mean_told(told[setting])}
                | {"metrics": summary(values, _base(setting, found))}
                for setting, values in found.items()
            ],
        }

    def people(self, setting: Setting) -> tuple[People, dict[str, Any]]:
        """Who is known, and which faces are unlabelled."""
        key = (setting.known, setting.weight > 0, setting.overlap)
        if key not in self._people:
            self._people[key] = self._sorted(*key)
        people, told = self._people[key]
        if not setting.weight:
            return people, {}
        wanted = round(setting.unlabelled * len(people.known))
        order = np.random.default_rng(0).permutation(len(people.unlabelled))[:wanted]
        people = replace(people, unlabelled=np.sort(people.unlabelled[order]))
        return people, told | {"used": len(people.unlabelled), "wanted": wanted}

    def _sorted(self, known: int, rejecting: bool, overlap: bool) -> tuple[People, dict[str, Any]]:
        chosen = PeopleConfig(known=known, known_kinds=("blend",))
        people = sort_people(self.kept.records, chosen)
        if not rejecting:
            return people, {}
        # Photographed people with several pictures are kept out: they are wanted for judging.
        several = _with_several(self.kept.records)
        pool = [i for i in people.unlabelled if person_of(self.kept.records[i]) not in several]
        people = replace(people, unlabelled=np.array(pool, np.int64))
        told: dict[str, Any] = {"available": len(people.unlabelled)}
        if overlap:
            rows = np.concatenate([people.known, people.unlabelled])
            found = embedded(self.tail(), self.kept, rows)
            vectors = np.zeros((len(self.kept.records), found.shape[1]), np.float32)
            vectors[rows] = found
            people, dropped = without_overlap(people, vectors, 0.01)
            told["overlap"] = asdict(dropped)
        return people, told

    def tail(self, *, scratch: bool = False) -> Tail:
        """The tail of the run, or one of noise."""
        network = load_network(self.run)
        if scratch:
            for module in network.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    module.reset_parameters()
        return cut(network, self.blocks)[1]

    def trained(self, setting: Setting, seed: int) -> Judged:
        """The judgement of one training, from the cache where it was made before."""
        path = self.trained_tail(setting, seed).with_suffix(".npz")
        if path.is_file():
            return Judged.load(path)
        began = time.process_time()
        people, told = self.people(setting)
        torch.manual_seed(seed)
        tail = self.tail(scratch=setting.start == "scratch")
        if setting.steps:
            told |= self._train(setting, seed, tail, people)
        judged = self.judge(tail, told)
        told["seconds"] = round(time.process_time() - began, 1)
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.save(tail.state_dict(), path.with_suffix(".pt"))
        judged.save(path)
        return judged

    def trained_tail(self, setting: Setting, seed: int) -> Path:
        """Where the tail of a training is kept."""
        name = hashlib.sha256(repr((setting, seed, self.blocks, VIEWS)).encode()).hexdigest()[:16]
        path: Path = self.folder / f"{name}.pt"
        return path

    def judge(self, tail: Tail, told: dict[str, Any]) -> Judged:
        """What validation people's faces become."""
        enrolled, probes, strangers = (
            embedded(tail, self.held_out, np.array(rows, np.int64)) for rows in self.blends
        )
        seen = Kept([], self.photos[None])
        photographed = embedded(tail, seen, np.arange(len(self.photos)))
        return Judged((enrolled, probes, strangers), photographed, told)

    def _train(self, setting: Setting, seed: int, tail: Tail, people: People) -> dict[str, Any]:
        margin = MarginConfig.model_validate({"kind": setting.margin})
        classifier = make_classifier(margin, len(people.names), tail.head.out_features)
        if setting.start == "finetune":
            key = (setting.known, setting.margin, seed)
            if key not in self._centres:
                rows = people.known
                views = [embedded(tail, self.kept, rows, view) for view in range(VIEWS)]
                labels = torch.from_numpy(people.labels[rows]).repeat(VIEWS)
                features = torch.from_numpy(np.concatenate(views))
                alone = CentresConfig(steps=100, batch=128)
                fit_centres(classifier, features, labels, alone, seed=seed)
                self._centres[key] = classifier.all_centres()
            classifier.load_centres(self._centres[key])
        model = RejectingModel(tail.train(), classifier)
        config = LoopConfig(
            seed=seed,
            steps=setting.steps,
            lr=setting.lr,
            warmup=min(50, setting.steps),
            weight_decay=1e-3,
            ema_gamma=8.0,
            log_every=setting.steps,
            validate_every=setting.steps,
            checkpoint_every=setting.steps,
        )
        task = TailTask(setting, model, self.kept, people)
        with tempfile.TemporaryDirectory() as folder:
            trained = train(task, config, Path(folder) / "run")
        assert isinstance(trained, RejectingModel)
        tail.load_state_dict(trained.network.state_dict())
        return self._sureness(trained, people)

    def _sureness(self, model: RejectingModel, people: People) -> dict[str, Any]:
        """Largest probabilities of known, unlabelled and held-out faces, and how they part."""
        numbers: dict[str, float] = {}
        nearest = {}
        tail, classifier = model.network.eval(), model.classifier
        assert isinstance(tail, Tail)
        several = np.array([r.origin.kind == "blend" for r in self.held_out.records])
        for name, kept, rows in (
            ("known", self.kept, people.known[::8]),
            ("unlabelled", self.kept, people.unlabelled[::8]),
            ("held_out", self.held_out, np.flatnonzero(several)),
        ):
            if not len(rows):
                continue
            vectors = torch.from_numpy(embedded(tail, kept, rows))
            best, _, p = nearest_centre(vectors, classifier.all_centres(), classifier.scale)
            nearest[name] = best.numpy()
            numbers |= {k: round(v, 4) for k, v in quantiles(name, p).items()}
            if name != "known":
                numbers[f"{name}_auc"] = round(auc(nearest["known"], nearest[name]), 4)
        return numbers


def embedded(tail: Tail, kept: Kept, rows: NDArray[np.int64], view: int = 0) -> Vectors:
    """(n, d) unit vectors of faces."""
    was = tail.training
    tail.eval()
    with torch.no_grad():
        parts = [
            F.normalize(tail(kept.rows(torch.full((len(part),), view), part)))
            for part in torch.split(torch.from_numpy(rows), 512)
        ]
    tail.train(was)
    return np.concatenate([part.numpy() for part in parts])


def _base(setting: Setting, found: dict[Setting, list[Floats]]) -> list[Floats] | None:
    """The trainings that a row is compared with."""
    base = replace(setting.baseline(), margin="arcface")
    return None if base == setting else found.get(base)


def _mean_told(told: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds of what trainings tell; counts are the same in all."""
    return {
        name: round(float(np.mean([t[name] for t in told])), 4)
        if isinstance(value, float)
        else value
        for name, value in told[0].items()
    }


def _with_several(records: Sequence[Record]) -> set[str]:
    """Photographed people with several pictures."""
    counts = Counter(person_of(r) for r in records if r.origin.kind == "photo")
    return {name for name, count in counts.items() if count > 1}


def main() -> int:
    """Run the sweep and print, or write, one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="finished run of the network")
    parser.add_argument("--data", type=Path, action="append", required=True, help="corpora")
    parser.add_argument("--tree", type=Path, required=True, help="labelled tree with the photos")
    parser.add_argument("--blocks", type=int, default=0, help="trained with the head, of the last")
    parser.add_argument("--cache", type=Path, required=True, help="for maps and trainings")
    parser.add_argument("--faces", type=Path, help="for decoded faces; by default --cache")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--short", action="store_true", help="many people, two weights a form")
    options = parser.parse_args()
    torch.set_num_threads(1)
    shared = Sweep(options)
    fixed = read_list("validation")
    found: dict[Setting, list[Floats]] = {}
    told: dict[Setting, list[dict[str, Any]]] = {}
    tried = {s.lr: shared.trained(s, 0).resampled(fixed)[0, 0] for s in rates_tried()}
    rows = [Setting(steps=0), *sweep(min(tried, key=tried.__getitem__))]
    if options.short:
        rows = [rows[0], *shortened(rows[1:])]
    for setting in rows:
        began = time.perf_counter()
        judged = [shared.trained(setting, n) for n in range(options.seeds if setting.steps else 1)]
        found[setting] = [j.resampled(fixed) for j in judged]
        told[setting] = [j.told for j in judged]
        numbers = np.mean([f[0] for f in found[setting]], 0).round(3)
        took = time.perf_counter() - began
        print(f"{setting}\n  {numbers} {took:.0f} s", file=sys.stderr, flush=True)
        if options.json:  # a sweep that is stopped leaves what it has found
            write(options.json, shared.report(found, told, tried))
    if not options.json:
        print(json.dumps(shared.report(found, told, tried), indent=1))
    return 0


def write(path: Path, report: dict[str, Any]) -> None:
    """Write a report, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


if __name__ == "__main__":
    sys.exit(main())
