"""From a training run to a model folder: ONNX, weights, config, manifest; compared with torch."""

from __future__ import annotations

import copy
import io
import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from pydantic import BaseModel
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils.flop_counter import FlopCounterMode

import visagist
from visagist.deploy.half import round_weights, store_half
from visagist.errors import ParityError
from visagist.face.mesh.closeup_network import CloseupNetwork
from visagist.face.mesh.closeup_training import CloseupRecipe
from visagist.face.mesh.closeups import REGIONS, SIZE, region_points
from visagist.face.mesh.network import MeshNetwork
from visagist.face.mesh.training import MeshRecipe
from visagist.face.parser.classes import CLASSES
from visagist.face.parser.config import ParserRecipe
from visagist.face.parser.network import ParserNetwork
from visagist.generation.training import load_generator
from visagist.makeup.network import MakeupNetwork
from visagist.makeup.training import MakeupRecipe
from visagist.recognition.config import EmbeddingRun
from visagist.recognition.network import make_network
from visagist.runtime.manifest import write_manifest
from visagist.runtime.session import make_session
from visagist.training.run import load_weights, read_run

OPSET = 18
LIMITS = {"model.onnx": 1e-4, "model-fp16.onnx": 2e-2}
"""Largest |ONNX - torch| on fixed inputs, for outputs of order 1; larger ones count relatively."""


def fold(model: nn.Module) -> nn.Module:
    """Fold every batch normalisation into the convolution before it (in place)."""
    for module in model.modules():
        if not isinstance(module, nn.Sequential):
            continue
        for i in range(len(module) - 1):
            conv, norm = module[i], module[i + 1]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module[i] = fuse_conv_bn_eval(conv, norm)
                module[i + 1] = nn.Identity()
    return model


class _Half(nn.Module):
    """Half-precision weights and arithmetic behind float32 inputs and outputs."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model.half()

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Whatever the model gives, in float32."""
        out: Tensor | tuple[Tensor, ...] = self.model(*(x.half() for x in inputs))
        return tuple(o.float() for o in out) if isinstance(out, tuple) else out.float()


class _ByName(nn.Module):
    """A network whose optional inputs are given by name, called by position as exporters do."""

    def __init__(self, model: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: Tensor) -> Tensor:
        """The network's output."""
        output: Tensor = self.model(**dict(zip(self.names, inputs, strict=True)))
        return output


def to_onnx(
    model: nn.Module,
    example: Sequence[Tensor],
    inputs: Sequence[str],
    outputs: Sequence[str],
    *,
    batched: bool = False,
    named: bool = False,
) -> bytes:
    """A single self-contained ONNX file, checked by the ONNX checker.

    Shapes are static, but for the first dimension of everything where it is ``batched``. Constants
    keep the names and shapes of the parameters where the file is to be ``named``.
    """
    axes = {name: {0: "batch"} for name in (*inputs, *outputs)} if batched else None
    stream = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter announces its successor on every call
        torch.onnx.export(
            model,
            tuple(example),
            stream,  # type: ignore[arg-type]  # this exporter takes a stream, its stub does not
            input_names=list(inputs),
            output_names=list(outputs),
            opset_version=OPSET,
            dynamic_axes=axes,
            do_constant_folding=not named,
            dynamo=False,
        )
    proto = onnx.load_from_string(stream.getvalue())
    onnx.checker.check_model(proto, full_check=True)
    return stream.getvalue()


def parity(data: bytes, model: nn.Module, example: Mapping[str, Tensor]) -> float:
    """Largest difference between ONNX Runtime and torch over the outputs.

    Where an output is larger than 1, as logits are, it is measured in units of its largest value.
    """
    with torch.no_grad():
        wanted = model(*example.values())
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    session: Any = make_session(data)
    got = session.run(None, {name: x.numpy() for name, x in example.items()})
    return max(
        float(np.abs(g - w.numpy()).max() / max(1.0, float(w.abs().max())))
        for g, w in zip(got, wanted, strict=True)
    )


def export_mesh(run: Path, output: Path, *, version: str | None = None) -> dict[str, Any]:
    """Export a mesh run to a model folder.

    Returns:
        Sizes, parameters, GFLOP (two per multiply-add) and parity of each file.

    Raises:
        DataError: ``run`` holds no finished mesh run.
        ParityError: ONNX Runtime and torch differ by more than the limit.
    """
    recipe, weights = read_run(run, MeshRecipe)
    model = MeshNetwork(recipe.network)
    load_weights(model, weights, run)
    side = recipe.network.input_size
    example = {"image": _noise((1, 3, side, side))}
    config = {"kind": "face-mesh", **recipe.network.model_dump()}
    return _write(
        run,
        output,
        model,
        example=example,
        outputs=("points", "confidence"),
        config=config,
        name="face-mesh",
        version=version,
    )


def export_closeups(run: Path, output: Path, *, version: str | None = None) -> dict[str, Any]:
    """Export a run of the mesh's close-ups to a model folder; see :func:`export_mesh`."""
    recipe, weights = read_run(run, CloseupRecipe)
    model = CloseupNetwork(recipe.network)
    load_weights(model, weights, run)
    counts = {name: len(region_points(name)[0]) for name in REGIONS}
    return _write(
        run,
        output,
        model,
        example={"eyes": _noise((2, 3, SIZE, SIZE)), "lips": _noise((1, 3, SIZE, SIZE))},
        outputs=("eye_points", "lip_points"),
        config={"kind": "mesh-closeups", "points": counts, **recipe.network.model_dump()},
        name="mesh-closeups",
        version=version,
    )


def export_makeup(run: Path, output: Path, *, version: str | None = None) -> dict[str, Any]:
    """Export a makeup run to a model folder; see :func:`export_mesh`."""
    recipe, weights = read_run(run, MakeupRecipe)
    model = MakeupNetwork(recipe.network)
    load_weights(model, weights, run)
    side, count = recipe.network.input_size, len(recipe.network.styles)
    code = torch.full((1, count), 1.0 / count)
    example = {"image": _noise((1, 3, side, side)), "style": code}
    config = {"kind": "makeup", **recipe.network.model_dump()}
    return _write(
        run,
        output,
        model,
        example=example,
        outputs=("residual",),
        config=config,
        name="makeup-tiny",
        version=version,
    )


def export_parser(run: Path, output: Path, *, version: str | None = None) -> dict[str, Any]:
    """Export a parser run to a model folder; see :func:`export_mesh`."""
    recipe, weights = read_run(run, ParserRecipe)
    model = ParserNetwork(recipe.network)
    load_weights(model, weights, run)
    side = recipe.network.input_size
    config = {"kind": "face-parser", "classes": list(CLASSES), **recipe.network.model_dump()}
    return _write(
        run,
        output,
        model,
        example={"image": _noise((1, 3, side, side))},
        outputs=("logits",),
        config=config,
        name="face-parser",
        version=version,
    )


class _Normalised(nn.Module):
    """Embeddings of unit length, so that their product is the cosine."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        """(n, 3, s, s) to (n, d)."""
        return nn.functional.normalize(self.model(image))


def export_recognizer(run: Path, output: Path, *, version: str | None = None) -> dict[str, Any]:
    """Export a run of the embedding network to a model folder; see :func:`export_mesh`."""
    recipe, weights = read_run(run, EmbeddingRun)
    model = make_network(recipe.network)
    load_weights(model, weights, run)
    side = recipe.network.input_size
    shape = recipe.network.model_dump(exclude={"kind"})
    # what a folder holds is its kind; which of the networks it is has another name
    config = {"kind": "recognizer", "network": recipe.network.kind, **shape}
    return _write(
        run,
        output,
        model,
        example={"image": _noise((1, 3, side, side))},
        outputs=("embedding",),
        deployed=_Normalised,
        config=config,
        name="recognizer",
        version=version,
    )


def export_generator(
    run: Path,
    output: Path,
    *,
    version: str | None = None,
    weights: Mapping[str, Tensor] | None = None,
    recipe: Path | None = None,
    half: bool = False,
) -> dict[str, Any]:
    """Export a stage-2 run of a generator to a model folder; see :func:`export_mesh`.

    The file holds the network alone: noise levels, scales and samplers are
    :class:`visagist.generation.inference.Generator`'s, which needs no torch. So a model for one
    step and one for many have the same inputs, and any number of pictures goes in at once.

    Args:
        run: run of stage 2.
        output: the model folder.
        version: of the model; the package's by default.
        weights: others than the run's own average, such as one found afterwards.
        recipe: of a run that is not finished: the average of its last checkpoint is taken.
        half: store the weights once and in half precision, in ``model.onnx``, from where training
            goes on as well; arithmetic stays single.
    """
    settings, model = load_generator(run, weights, recipe=recipe)
    network = settings.network
    side, width = network.image_size, network.encoder_width
    example = {"image": _noise((1, 3, side, side)), "time": _noise((1, width))}
    if network.classes:
        count = network.classes + 1
        example["label"] = torch.full((1, count), 1 / count)
    if network.source:
        example["condition"] = _noise((1, network.condition_channels, side, side))
    config = {"kind": "generator", "stage": settings.stage, **network.model_dump()}
    return _write(
        run,
        output,
        model,
        example=example,
        outputs=("output",),
        config=config,
        name=f"generator-{side}" + ("-diffusion" if settings.stage == "diffusion" else ""),
        version=version,
        deployed=lambda whole: _ByName(whole, tuple(example)),
        batched=True,
        recipe=settings,
        half=half,
    )


def _noise(shape: tuple[int, ...]) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(7)) * 2 - 1


def _write(
    run: Path,
    folder: Path,
    model: nn.Module,
    *,
    example: Mapping[str, Tensor],
    outputs: Sequence[str],
    config: dict[str, Any],
    name: str,
    version: str | None,
    deployed: Callable[[nn.Module], nn.Module] = lambda model: model,
    batched: bool = False,
    recipe: BaseModel | None = None,
    half: bool = False,
) -> dict[str, Any]:
    if half:
        model = round_weights(copy.deepcopy(model))
    state = {k: v.contiguous() for k, v in model.state_dict().items()}  # before folding: trainable
    model = deployed(fold(copy.deepcopy(model).eval()))
    config["params"] = sum(p.numel() for p in model.parameters())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(*example.values())
    config["gflops"] = round(counter.get_total_flops() / 1e9, 4)
    whole = to_onnx(
        model, list(example.values()), list(example), outputs, batched=batched, named=half
    )
    files: dict[str, bytes] = {"model.onnx": store_half(whole) if half else whole}
    report: dict[str, Any] = {"params": config["params"], "gflops": config["gflops"], "files": {}}
    errors = {"model.onnx": parity(files["model.onnx"], model, example)}
    if half:
        state = {}  # model.onnx has all of it, by name
    else:
        small = _Half(copy.deepcopy(model))
        files["model-fp16.onnx"] = to_onnx(
            small, list(example.values()), list(example), outputs, batched=batched
        )
        errors["model-fp16.onnx"] = parity(files["model-fp16.onnx"], model, example)
    for file, error in errors.items():
        if not error <= LIMITS[file]:
            raise ParityError(f"{file} differs from torch by {error:.2g}, over {LIMITS[file]:g}")
        report["files"][file] = {"bytes": len(files[file]), "parity": float(f"{error:.2e}")}
    files["config.json"] = (json.dumps(config, indent=2) + "\n").encode()
    files["log.jsonl"] = (run / "log.jsonl").read_bytes()
    files["recipe.json"] = (
        (json.dumps(recipe.model_dump(), indent=2) + "\n").encode()
        if recipe is not None
        else (run / "recipe.json").read_bytes()
    )
    replace_folder(folder, files, state, name, version or visagist.__version__)
    return report


def replace_folder(
    folder: Path, files: Mapping[str, bytes], state: dict[str, Tensor], name: str, version: str
) -> None:
    """Fill a folder beside the target, then swap; a card that is there already is kept."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for file, data in files.items():
            (fresh / file).write_bytes(data)
        if state:
            save_file(state, fresh / "model.safetensors")
        card = folder / "card.md"
        if card.is_file():
            shutil.copy(card, fresh / "card.md")
        fresh.chmod(0o755)
        write_manifest(
            fresh,
            name=name,
            version=version,
            licence="Apache-2.0",
            created_by=f"visagist train, recipes/{name}.yaml; visagist export",
        )
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
            folder.replace(old / "model")
            fresh.replace(folder)
            shutil.rmtree(old)
        else:
            fresh.replace(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
