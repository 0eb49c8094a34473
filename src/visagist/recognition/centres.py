"""The centres of known people: what a config describes, training them alone, and their file."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from visagist.errors import DataError
from visagist.recognition.classifier import Classifier
from visagist.recognition.finetune_config import CentresConfig, MarginConfig
from visagist.recognition.losses.margins import AdaFace, ArcFace, CosFace, Margin
from visagist.recognition.people import mean_faces

CENTRES = "centres.safetensors"


def make_margin(config: MarginConfig) -> Margin:
    """The margin that a config names."""
    kinds: dict[str, tuple[type[ArcFace] | type[CosFace] | type[AdaFace], float]] = {
        "arcface": (ArcFace, 0.5),
        "cosface": (CosFace, 0.35),
        "adaface": (AdaFace, 0.4),
    }
    if config.kind == "none":
        return Margin()
    kind, size = kinds[config.kind]
    return kind(size if config.size is None else config.size)


def make_classifier(config: MarginConfig, people: int, dimension: int) -> Classifier:
    """The classifier that a config describes."""
    return Classifier(
        people, dimension, margin=make_margin(config), scale=config.scale, share=config.share
    )


def fit_centres(
    classifier: Classifier,
    features: Tensor,
    labels: Tensor,
    config: CentresConfig,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Train the centres on features that stay as they are.

    Args:
        classifier: whose centres are replaced.
        features: (n, d) of known people, several views of a face one below the other.
        labels: (n,) who they are.
        config: first centres, steps and rate.
        seed: of the batches.
        progress: called with steps done and in all.
    """
    if config.start == "means":
        means = mean_faces(features.cpu().numpy(), labels.cpu().numpy(), classifier.classes)
        classifier.load_centres(torch.from_numpy(means).to(features))
    if not config.steps:
        return
    generator = torch.Generator(features.device).manual_seed(seed)
    optimiser = torch.optim.AdamW(classifier.parameters(), lr=config.lr, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.steps)
    classifier.train()
    for step in range(config.steps):
        rows = torch.randint(
            len(features), (config.batch,), generator=generator, device=features.device
        )
        optimiser.zero_grad(set_to_none=True)
        classifier(features[rows], labels[rows], None, generator).margin.backward()
        optimiser.step()
        schedule.step()
        progress(step + 1, config.steps)


def save_centres(folder: Path, classifier: Classifier, names: Sequence[str]) -> None:
    """Write the centres of all people with their names, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{CENTRES}.part"
    state = {f"margin.{k}": v.cpu() for k, v in classifier.margin.state_dict().items()}
    state["centres"] = classifier.all_centres().cpu().contiguous()
    save_file(state, part, {"people": json.dumps(list(names))})
    part.replace(folder / CENTRES)


def read_centres(folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]] | None:
    """Centre of each person by name, and the margin's state; ``None`` where a run has none.

    Raises:
        DataError: the file is damaged.
    """
    path = folder / CENTRES
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as stored:
            names = json.loads((stored.metadata() or {})["people"])
            state = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
        centres = dict(zip(names, state.pop("centres"), strict=True))
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise DataError(f"{path}: the centres cannot be read ({error})") from error
    return centres, {key.removeprefix("margin."): value for key, value in state.items()}
