"""Training with known people and unlabelled faces: a margin on the first, rejection of the second.

The second training of the embedding network, after :mod:`visagist.recognition.training`. As the
paper does, it goes on from a trained network with its classifier; a network without one gets its
centres first, on features that are not changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from visagist.corpus.feed.batches import Ahead
from visagist.errors import ConfigError, DataError
from visagist.recognition.centres import fit_centres, make_classifier, read_centres, save_centres
from visagist.recognition.classifier import UNLABELLED, Classifier, Rejection, Verdict
from visagist.recognition.config import EmbeddingRun
from visagist.recognition.data import Faces, open_faces
from visagist.recognition.finetune_config import FinetuneRecipe
from visagist.recognition.measure import auc, embed, nearest_centre, pair_rates, quantiles
from visagist.recognition.network import make_network
from visagist.recognition.people import (
    People,
    person_of,
    records_of,
    sort_people,
    without_overlap,
)
from visagist.training.loop import best_device, step_seed
from visagist.training.loop import train as run_loop
from visagist.training.run import load_weights, read_recipe, read_run, write_run

OVERLAP = "overlap.json"
Preparing = Callable[[str, int, int], None]


class RejectingModel(nn.Module):
    """The network and its classifier, trained as one.

    Args:
        network: (n, 3, s, s) to (n, d) embeddings.
        classifier: of the known people.
        apart: unlabelled faces go through the network by themselves, with its batch normalisation
            as it stands, so that they do not count in its statistics.
    """

    def __init__(self, network: nn.Module, classifier: Classifier, *, apart: bool = False) -> None:
        super().__init__()
        self.network, self.classifier, self.apart = network, classifier, apart

    def forward(
        self,
        views: Tensor,
        labels: Tensor,
        rejection: Rejection | None = None,
        generator: torch.Generator | None = None,
    ) -> Verdict:
        """Losses of a batch; labels as :meth:`Classifier.forward` takes them."""
        known = labels >= 0
        if not self.apart or bool(known.all()):
            features = self.network(views)
        else:
            with _fixed_norm(self.network):
                strangers = self.network(views[~known])
            features = strangers.new_empty(len(views), strangers.shape[1])
            features = features.index_put((torch.nonzero(~known)[:, 0],), strangers)
            if known.any():
                own = self.network(views[known]).to(features)
                features = features.index_put((torch.nonzero(known)[:, 0],), own)
        verdict: Verdict = self.classifier(features, labels, rejection, generator)
        return verdict


@contextmanager
def _fixed_norm(network: nn.Module) -> Iterator[None]:
    """Batch normalisation by its running statistics, which stay as they are."""
    layers = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    training = [layer.training for layer in layers]
    for layer in layers:
        layer.eval()
    try:
        yield
    finally:
        for layer, was in zip(layers, training, strict=True):
            layer.train(was)


class FinetuneTask:
    """Model, data and losses for :func:`visagist.training.loop.train`.

    Args:
        recipe: every knob.
        model: to train, with its first weights.
        faces: training faces.
        people: who is on them.
        held_out: faces of people who are neither known nor unlabelled.
        held_out_names: (N,) the person on each.
        device: where to train.
        workers: threads that make batches ahead.
    """

    def __init__(
        self,
        recipe: FinetuneRecipe,
        model: RejectingModel,
        faces: Faces,
        people: People,
        *,
        held_out: Faces,
        held_out_names: Sequence[str],
        device: torch.device,
        workers: int = 1,
    ) -> None:
        self.recipe, self.device = recipe, device
        settings = recipe.training.rejection
        self.rejection = Rejection(settings.form, settings.top or None) if settings.weight else None
        strangers = round(recipe.training.batch * settings.share) if settings.weight else 0
        if strangers and not len(people.unlabelled):
            raise DataError(
                "there are no unlabelled faces to reject; give more corpora, or set "
                "training.rejection.weight to 0"
            )
        self.counts = (recipe.training.batch - strangers, strangers)
        self.network = model.to(device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.faces, self.people = faces, people
        self.held_out, self.held_out_names = held_out, np.asarray(held_out_names)
        # By name, so that all pictures of a person are measured or none.
        self.measured = np.argsort(self.held_out_names, kind="stable")[: recipe.training.measured]
        self._batches = Ahead(self.batch, steps=recipe.loop.steps, workers=workers)

    @property
    def model(self) -> nn.Module:
        """The network with its classifier."""
        return self.network

    @torch.no_grad()
    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """(B, 3, S, S) disturbed views and (B,) labels, the unlabelled faces last."""
        generator = torch.Generator(self.device)
        generator.manual_seed(step_seed(self.recipe.loop.seed, step))
        parts = [
            torch.from_numpy(pool).to(self.device)[
                torch.randint(len(pool), (count,), generator=generator, device=self.device)
            ]
            for pool, count in zip(
                (self.people.known, self.people.unlabelled), self.counts, strict=True
            )
            if count
        ]
        index = torch.cat(parts)
        # Disturbances fall on slices of a batch, so it is mixed for them.
        mixed = torch.randperm(len(index), generator=generator, device=self.device)
        views = self.faces.views(index[mixed], generator, self.recipe.augment)
        views = views[mixed.argsort()]
        labels = torch.from_numpy(self.people.labels).to(self.device)[index]
        labels[self.counts[0] :] = UNLABELLED
        return views, labels

    def losses(
        self, model: nn.Module, step: int, generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        """Cross-entropy with a margin on known people, and the weighted rejection of others."""
        views, labels = self._batches[step]
        views = views.contiguous(memory_format=torch.channels_last)
        verdict: Verdict = model(views, labels, self.rejection, generator)
        losses = {"margin": verdict.margin}
        if self.rejection is not None:
            losses["rejection"] = self.recipe.training.rejection.weight * verdict.rejection
        return losses

    @torch.no_grad()
    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """How sure the classifier is of strangers, and how well held-out people are told apart.

        ``p`` is the largest probability of a face, ``auc`` the chance that a known person's face is
        nearer to its nearest centre than a stranger's; ``unlabelled`` strangers were trained with,
        ``held_out`` ones were not.
        """
        assert isinstance(model, RejectingModel)
        most, numbers = self.recipe.training.measured, dict[str, float]()
        nearest: dict[str, NDArray[np.float32]] = {}
        centres, scale = model.classifier.all_centres(), model.classifier.scale
        for name, faces, pool in (
            ("known", self.faces, self.people.known),
            ("unlabelled", self.faces, self.people.unlabelled),
            ("held_out", self.held_out, self.measured),
        ):
            if not len(pool):
                continue
            index = pool[np.linspace(0, len(pool) - 1, min(most, len(pool))).astype(int)]
            vectors = embed(model.network, faces, index, self.device)
            best, which, p = nearest_centre(vectors, centres, scale)
            nearest[name] = best.cpu().numpy()
            numbers |= quantiles(name, p)
            if name == "known":
                right = which.cpu().numpy() == self.people.labels[index]
                numbers["known_right"] = float(right.mean())
            else:
                numbers[f"{name}_auc"] = auc(nearest["known"], nearest[name])
        numbers |= pair_rates(vectors.cpu().numpy(), self.held_out_names[index])
        return numbers


def train(
    recipe: Path,
    *,
    data: Sequence[Path],
    output: Path,
    start: Path | None = None,
    cache: Path | None = None,
    resume: bool = False,
    workers: int = 1,
    preparing: Preparing = lambda what, done, total: None,
    progress: Callable[[int, Mapping[str, float]], None] = lambda step, numbers: None,
) -> Path:
    """Train the embedding network of a recipe with known people and unlabelled faces.

    Args:
        recipe: ``recipes/recognizer-uir.yaml`` or another.
        data: folders of corpora.
        output: folder for log, checkpoints, the final network and its centres.
        start: a finished run to go on from, with its centres where it has some; from random weights
            without.
        cache: folder for decoded faces, which trainings may share; in ``output`` by default.
        resume: go on from the last checkpoint in ``output``.
        workers: threads that make batches ahead.
        preparing: called with what is being made ready, how much is done and of how much.
        progress: called with the step and numbers of each logged step.

    Returns:
        ``output``, ready for ``visagist export recognizer``.
    """
    settings = read_recipe(recipe, FinetuneRecipe)
    device = best_device()
    cache = cache or output / "cache"
    torch.manual_seed(settings.loop.seed)
    settings, network = _network(settings, start)
    network.to(device)
    faces, held_out = (
        open_faces(data, settings.data, cache, split, progress=preparing)
        for split in ("train", "validation")
    )
    people = sort_people(records_of(data, faces.keys), settings.people)
    rejection = settings.training.rejection
    if start is not None and rejection.weight and rejection.overlap_fpir:
        fpir = rejection.overlap_fpir
        people = _checked(network, faces, people, fpir, output, preparing=preparing)
    classifier = make_classifier(
        settings.training.margin, len(people.names), settings.network.embedding
    )
    model = RejectingModel(network, classifier, apart=not rejection.in_norm).to(device)
    if start is not None and not (resume and (output / "checkpoints").is_dir()):
        _first_centres(settings, model, faces, people, start, preparing=preparing)
    names = [person_of(record) for record in records_of(data, held_out.keys)]
    task = FinetuneTask(
        settings,
        model,
        faces,
        people,
        held_out=held_out,
        held_out_names=names,
        device=device,
        workers=workers,
    )
    trained = run_loop(task, settings.loop, output, resume=resume, progress=progress)
    assert isinstance(trained, RejectingModel)
    save_centres(output, trained.classifier, people.names)
    write_run(output, trained.network, settings)
    return output


def _network(settings: FinetuneRecipe, start: Path | None) -> tuple[FinetuneRecipe, nn.Module]:
    """The network with its first weights, and the recipe with the shape of that network."""
    if start is None:
        return settings, make_network(settings.network)
    before, weights = read_run(start, EmbeddingRun)
    if "network" in settings.model_fields_set and settings.network != before.network:
        raise ConfigError(f"{start}: its network is not the one of the recipe; leave out network")
    network = make_network(before.network)
    load_weights(network, weights, start)
    return settings.model_copy(update={"network": before.network}), network


def _checked(
    network: nn.Module,
    faces: Faces,
    people: People,
    fpir: float,
    output: Path,
    *,
    preparing: Preparing,
) -> People:
    """The people without unlabelled faces that may be known; tells how many in a file."""
    if not len(people.unlabelled):
        return people
    device = next(network.parameters()).device
    index = np.sort(np.concatenate([people.known, people.unlabelled]))

    def telling(done: int, total: int) -> None:
        preparing("overlap", done, total)

    found = embed(network, faces, index, device, progress=telling)
    vectors = np.zeros((len(faces), found.shape[1]), np.float32)
    vectors[index] = found.cpu().numpy()
    people, overlap = without_overlap(people, vectors, fpir)
    output.mkdir(parents=True, exist_ok=True)
    part = output / f"{OVERLAP}.part"
    part.write_text(json.dumps(asdict(overlap), indent=2) + "\n", encoding="utf-8")
    part.replace(output / OVERLAP)
    return people


def _first_centres(
    settings: FinetuneRecipe,
    model: RejectingModel,
    faces: Faces,
    people: People,
    start: Path,
    *,
    preparing: Preparing,
) -> None:
    """The centres of the run that is started from, or new ones trained under its network."""
    device = next(model.parameters()).device
    classifier = model.classifier
    stored = read_centres(start)
    if stored is not None and set(people.names) <= set(stored[0]):
        centres, state = stored
        classifier.load_centres(torch.stack([centres[name] for name in people.names]).to(device))
        if state.keys() == classifier.margin.state_dict().keys():
            classifier.margin.load_state_dict(state)
        return
    config, views = settings.training.centres, []
    for number in range(config.views):

        def telling(done: int, total: int, what: str = f"views {number + 1}") -> None:
            preparing(what, done, total)

        views.append(
            embed(
                model.network,
                faces,
                people.known,
                device,
                settings.augment,
                seed=number,
                progress=telling,
            )
        )
    labels = torch.from_numpy(people.labels[people.known]).to(device).repeat(len(views))
    fit_centres(
        classifier,
        torch.cat(views),
        labels,
        config,
        seed=settings.loop.seed,
        progress=lambda done, total: preparing("centres", done, total),
    )
