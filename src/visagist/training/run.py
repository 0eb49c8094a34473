"""What every training run has around its loop: a recipe in, a folder with weights out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnx
import torch
import yaml
from onnx import numpy_helper
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from visagist.errors import ConfigError, DataError
from visagist.training.parallel import model_state, rank

WEIGHTS, RECIPE, ONNX = "model.safetensors", "recipe.json", "model.onnx"
HALF_NAME = ".half"
"""Ends the name of a constant that an ONNX file stores in half precision."""
_WRAPPED = "model."
"""Begins the names of a network's parameters where an export has wrapped it."""

Recipe = TypeVar("Recipe", bound=BaseModel)


def read_recipe(path: Path, kind: type[Recipe]) -> Recipe:
    """Read a YAML recipe into its config class.

    Raises:
        ConfigError: unreadable, or a field is missing, unknown or wrong (named in the message).
    """
    try:
        text = path.read_text(encoding="utf-8")
        return kind.model_validate(yaml.safe_load(text) or {})
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a text file") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {str(error).splitlines()[0]}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the recipe"
        raise ConfigError(f"{path}: {field}: {first['msg']}") from error


def write_run(folder: Path, model: nn.Module, recipe: BaseModel) -> None:
    """Write the averaged weights and the resolved recipe, each whole or not at all.

    Every process calls this, and process 0 writes.
    """
    gathered = model_state(model)
    if rank():
        return
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / f"{WEIGHTS}.part"
    state = {name: value.contiguous().cpu() for name, value in gathered.items()}
    save_file(state, weights)
    weights.replace(folder / WEIGHTS)
    text = folder / f"{RECIPE}.part"
    text.write_text(json.dumps(recipe.model_dump(), indent=2) + "\n", encoding="utf-8")
    text.replace(folder / RECIPE)


def read_run(folder: Path, kind: type[Recipe]) -> tuple[Recipe, dict[str, Tensor]]:
    """The recipe and the weights of a finished run, or of a model folder, which is one too.

    A model folder without ``model.safetensors`` keeps its weights in ``model.onnx`` alone, by name.

    Raises:
        DataError: the folder holds no finished run of this kind, or its weights are damaged.
    """
    try:
        recipe = kind.model_validate_json((folder / RECIPE).read_text(encoding="utf-8"))
        alone = not (folder / WEIGHTS).exists() and (folder / ONNX).is_file()
        return recipe, _constants(folder / ONNX) if alone else load_file(folder / WEIGHTS)
    except OSError as error:
        raise DataError(
            f"{folder}: no finished run here ({error.strerror}); `visagist train` writes one"
        ) from error
    except ValidationError as error:
        raise DataError(f"{folder / RECIPE}: not the recipe of this kind of run") from error
    except SafetensorError as error:
        raise DataError(f"{folder / WEIGHTS}: damaged ({error})") from error


def _constants(path: Path) -> dict[str, Tensor]:
    """The named constants of an ONNX file, float32."""
    graph = onnx.load_from_string(path.read_bytes()).graph
    return {
        tensor.name.removesuffix(HALF_NAME).removeprefix(_WRAPPED): torch.from_numpy(
            numpy_helper.to_array(tensor).astype(np.float32)
        )
        for tensor in graph.initializer
    }


def load_weights(model: nn.Module, weights: dict[str, Tensor], where: Path) -> None:
    """Load weights into a model of the same architecture.

    Raises:
        DataError: a tensor is missing, unknown or of another shape.
    """
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise DataError(f"{where}: the weights do not fit the recipe: {reason}") from error
