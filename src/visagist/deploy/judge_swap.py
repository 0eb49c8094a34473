"""Judging swaps: opens models and data, and brings together what several rooms know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from visagist.errors import InputError, ModelMissingError
from visagist.face.identity import load_judge
from visagist.face.parser.inference import Parser
from visagist.generation.efficientnet import efficientnet_embedder
from visagist.generation.evaluation import frechet_distance
from visagist.recognition.inference import Recognizer
from visagist.runtime.store import open_model
from visagist.swap.classical import classical_swap
from visagist.swap.covers import covered_target
from visagist.swap.evaluation import Compare, Stage, evaluate
from visagist.swap.inference import NETWORKS
from visagist.swap.methods import Method, classical, guide_alone, model_method, untouched
from visagist.swap.pairs import FOLDERS, PairList, pair_list

__all__ = ["Judged", "evaluate_swap", "features_distance", "labelled_models"]

UNPROTECTED = ", --no-protect"
"""What the label of the first model's row without the parser ends with."""
EIGHT_BITS = ", int8"
"""What the label of a model's row in eight bits ends with, where its folder has such a network."""
JUDGE = Path("models") / "mobilefacenet_judge.onnx"
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """An evaluation, and what its sheets are drawn from.

    Attributes:
        report: see :func:`~visagist.swap.evaluation.evaluate`.
        stage: pictures and judge.
        methods: rows of the table.
        fixed: the pairs.
    """

    report: dict[str, Any]
    stage: Stage
    methods: list[Method]
    fixed: PairList


def features_distance(weights: Path | None = None) -> Compare:
    """Squared Frechet distance in EfficientNet-Lite0's features; not FID, which is Inception's.

    Args:
        weights: the network's file; the installed package's by default.

    Raises:
        MissingExtraError: the package with the weights is not installed.
    """
    return Compare(efficientnet_embedder(weights), frechet_distance)


def labelled_models(texts: Sequence[str]) -> dict[str, str]:
    """``LABEL=MODEL`` or ``MODEL`` as models by label.

    Raises:
        InputError: a label is given twice, or one half is empty.
    """
    found: dict[str, str] = {}
    for text in texts:
        label, equals, model = text.partition("=")
        label, model = (label, model) if equals else (Path(text).name, text)
        if not label or not model or label in found:
            raise InputError(f"cannot read --model {text!r}; give each once, as LABEL=FOLDER")
        found[label] = model
    return found


def evaluate_swap(
    data: Path,
    *,
    models: Mapping[str, str] | None = None,
    encoder: str = "recognizer",
    split: str = "test",
    folders: Sequence[str] = FOLDERS,
    rounds: int = 3,
    limit: int | None = None,
    judge: Path | None = None,
    compare: Compare | None = None,
    covered: int = 60,
    resamples: int = 1000,
    match_colour: bool = True,
    reading: Progress = lambda done, total: None,
    progress: Progress = lambda done, total: None,
) -> Judged:
    """Swap models, the mesh warp and the untouched target on the fixed pairs of one split.

    Args:
        data: labelled tree.
        models: name or folder by label; the first one gives the flat fields, and has a row
            without the parser, too. Without any model the mesh warp gives them.
        encoder: name or folder of the recogniser that the models were trained with.
        split: test, validation or train.
        folders: of the tree.
        rounds: pairs for each target.
        limit: at most so many pairs.
        judge: ONNX embedder that tells identities; by default the one in the tree.
        compare: distance of sets of crops, see :func:`features_distance`.
        covered: pairs that are also measured with a cover in front of the target.
        resamples: for the intervals.
        match_colour: as users have it.
        reading: called with pictures read and in all.
        progress: called with swaps done and in all.

    Raises:
        ModelMissingError: there is no judge.
        DataError: the tree cannot be read.
    """
    path = data / JUDGE if judge is None else judge
    if not path.is_file():
        raise ModelMissingError(
            f"{path} is not there; name an ONNX embedder of 112x112 faces with --judge, one that "
            "no swap network was trained with"
        )
    fixed = pair_list(data, split=split, folders=folders, rounds=rounds, limit=limit)
    methods = [untouched(), classical(classical_swap), guide_alone()]
    if models:
        method = partial(
            model_method, encoder=Recognizer.from_pretrained(encoder), match_colour=match_colour
        )
        parser = Parser.from_pretrained()
        for label, model in models.items():
            files = open_model(model)
            methods.append(method(label, files, parser=parser))
            if NETWORKS["int8"] in files.manifest.files:
                methods.append(method(label + EIGHT_BITS, files, precision="int8", parser=parser))
        first, name = next(iter(models.items()))
        methods.append(method(first + UNPROTECTED, open_model(name)))
    stage = Stage.of(fixed, load_judge(path), progress=reading)
    report = evaluate(
        fixed,
        methods,
        stage,
        main=next(iter(models)) if models else methods[-1].label,
        compare=compare,
        cover=covered_target,
        covered=covered,
        resamples=resamples,
        progress=progress,
    )
    report = {"split": split, "rounds": rounds, "judge": path.name, **report}
    return Judged(report, stage, methods, fixed)
