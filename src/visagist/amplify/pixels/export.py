"""A trained base as a model folder: weights in half precision, and the recipe that builds them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

import visagist
from visagist.amplify.pixels.config import AmplifierRecipe
from visagist.deploy.export import replace_folder
from visagist.errors import DataError
from visagist.generation.network import forward_macs, parameter_count
from visagist.training.run import WEIGHTS, read_run

LOG = "log.jsonl"


def export_amplifier(run: Path, output: Path, *, version: str | None = None) -> dict[str, Any]:
    """Write a finished base as a model folder, whole or not at all.

    Args:
        run: finished run of :func:`visagist.amplify.pixels.training.train`.
        output: the folder; a card that is there already is kept.
        version: of the model; the package's by default.

    Returns:
        Parameters, multiply-adds of a window in billions, and bytes.

    Raises:
        DataError: the run is not finished, or the folder cannot be written.
    """
    recipe, weights = read_run(run, AmplifierRecipe)
    network = recipe.network
    report = {
        "params": parameter_count(network),
        "gmacs": round(forward_macs(network) / 1e9, 4),
    }
    config = {"kind": "amplifier", **report, "recipe": recipe.model_dump(mode="json")}
    halves = {k: v.to(torch.float16).contiguous() for k, v in weights.items()}
    try:
        files = {
            "config.json": (json.dumps(config, indent=2) + "\n").encode(),
            LOG: (run / LOG).read_bytes(),
        }
        replace_folder(output, files, halves, "amplifier", version or visagist.__version__)
    except OSError as error:
        raise DataError(f"{output}: cannot write the model ({error.strerror})") from error
    return {**report, "bytes": (output / WEIGHTS).stat().st_size}
