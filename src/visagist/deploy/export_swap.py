"""From a run of a swap network to a model folder: a network a frame, and one a source."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import visagist
from visagist.deploy.export import LIMITS, fold, parity, replace_folder, to_onnx
from visagist.deploy.quantize import quantize
from visagist.errors import ConfigError, ParityError
from visagist.runtime.session import make_session
from visagist.swap.config import SwapRecipe
from visagist.swap.data import open_triplets
from visagist.swap.encoder import FrozenEncoder
from visagist.swap.network import SwapNetwork
from visagist.swap.training import ENCODER, SwapTask, load_swap

__all__ = ["CONSTANTS", "INT8", "FrameNetwork", "SourceNetwork", "export_swap", "swap_files"]

MODEL, CONSTANTS, INT8 = "model.onnx", "constants.onnx", "model-int8.onnx"
KEPT = ("decoder.1", "heads", "mask_head")
"""Parts that stay in single precision: their errors go straight into the picture and the mask."""
EXAMPLES = 48
"""Triplets that the ranges of eight bits are taken from."""


class FrameNetwork(nn.Module):
    """What runs on every frame: the identity has become constants."""

    def __init__(self, network: SwapNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, target: Tensor, constants: Tensor, guide: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """(n, 3, s, s) in [-1, 1], (n, K) and (n, 4, s, s) to picture and mask at the full side."""
        out = self.network.draw(target, constants, guide, finest=True)
        return out.images[0], out.mask


class SourceNetwork(nn.Module):
    """What runs once a source."""

    def __init__(self, network: SwapNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, identity: Tensor) -> Tensor:
        """(n, d) unit vectors to (n, K)."""
        return self.network.identity_constants(identity)


def fold_before(model: nn.Module) -> nn.Module:
    """Fold a normalisation into the 1x1 convolution that follows it (in place).

    Larger kernels are left alone: their padding is zero after the normalisation, not before.
    """
    for module in model.modules():
        if not isinstance(module, nn.Sequential):
            continue
        for i in range(len(module) - 1):
            norm, conv = module[i], module[i + 1]
            if not (isinstance(norm, nn.BatchNorm2d) and isinstance(conv, nn.Conv2d)):
                continue
            if conv.kernel_size != (1, 1) or conv.groups != 1 or conv.bias is None:
                continue
            assert norm.running_mean is not None
            assert norm.running_var is not None
            gain = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
            offset = norm.bias - norm.running_mean * gain
            matrix = conv.weight[:, :, 0, 0]
            conv.bias.data = (conv.bias + matrix @ offset).detach()
            conv.weight.data = (conv.weight * gain[None, :, None, None]).detach()
            module[i] = nn.Identity()
    return model


def swap_files(network: SwapNetwork) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Both ONNX files of a network, compared with torch, and what they cost.

    Returns:
        The files by name; ``params`` as trained, the heads of the smaller scales among them, which
        no file needs; ``gmac`` a frame, ``constants`` K and the parity of each file.

    Raises:
        ParityError: ONNX Runtime and torch differ by more than the limit.
    """
    config = network.config
    generator = torch.Generator().manual_seed(7)
    side = config.image_size
    target = torch.rand((1, 3, side, side), generator=generator) * 2 - 1
    identity = nn.functional.normalize(torch.randn((1, config.embedding), generator=generator))
    network = copy.deepcopy(network).eval().requires_grad_(False)
    params = sum(p.numel() for p in network.parameters())
    with torch.no_grad():
        constants = network.identity_constants(identity)
    # eval of the wrapper, too: the exporter puts back the mode it finds there on everything below
    frame = FrameNetwork(fold_before(fold(copy.deepcopy(network)))).eval()  # type: ignore[arg-type]
    seen = {"target": target, "constants": constants}
    if config.guided:
        guide = torch.rand((1, 4, side, side), generator=generator)
        guide[:, :3] = 2 * guide[:, :3] - 1
        seen["guide"] = guide
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        frame(*seen.values())
    jobs: dict[str, tuple[nn.Module, Mapping[str, Tensor], tuple[str, ...]]] = {
        MODEL: (frame, seen, ("image", "mask")),
        CONSTANTS: (SourceNetwork(network).eval(), {"identity": identity}, ("constants",)),
    }
    files, errors = {}, {}
    for name, (model, example, outputs) in jobs.items():
        files[name] = to_onnx(model, list(example.values()), list(example), outputs)
        errors[name] = parity(files[name], model, example)
        if not errors[name] <= LIMITS[MODEL]:
            raise ParityError(f"{name} differs from torch by {errors[name]:.2g}")
    megabytes = sum(len(data) for data in files.values()) / 1e6
    return files, {
        "params": params,
        "gmac": round(counter.get_total_flops() / 2e9, 4),
        "megabytes": round(megabytes, 3),
        "constants": constants.shape[1],
        "files": {
            name: {"bytes": len(data), "parity": float(f"{errors[name]:.2e}")}
            for name, data in files.items()
        },
    }


def export_swap(
    run: Path,
    output: Path,
    *,
    version: str | None = None,
    shape: float | None = None,
    correction: float = 1.0,
    encoder: FrozenEncoder | None = None,
    int8: Sequence[Path] = (),
) -> dict[str, Any]:
    """Export a run of a swap network to a model folder.

    ``model.onnx`` takes (target, constants), and the guide where the network has one, and gives
    (image, mask), once a frame;
    ``constants.onnx`` makes the constants of an identity, once a source.

    Args:
        run: a finished run.
        output: the folder to make.
        version: of the model; the package's by default.
        shape: share of the source's build that the guide takes on; that of the training by default.
        correction: share of what the network changes of the guide that is used. Both are chosen on
            validation people: less of the first keeps more of the target's expression, less of the
            second more of the source's identity.
        encoder: the recogniser whose vectors the model will read; that of the training by default.
            One that was distilled from the same teacher may serve, too: evaluate the result.
        int8: folders of triplets, for the ranges of ``model-int8.onnx``; none is made without.
            It needs ``encoder``.

    Returns:
        Parameters, multiply-adds a frame in 1e9, megabytes, parity of each file, and of the network
        in eight bits its bytes and mean errors of picture (levels of 255) and mask.

    Raises:
        ConfigError: ``int8`` without ``encoder``, or for the paper's network.
        DataError: ``run`` holds no finished run of a swap network, or there are no triplets.
        ParityError: ONNX Runtime and torch differ by more than the limit.
    """
    recipe, network = load_swap(run)
    files, report = swap_files(network)
    told = {key: report[key] for key in ("params", "gmac", "megabytes", "constants")}
    # what a folder holds is its kind; which of the networks it is has another name
    settings = recipe.network.model_dump(exclude={"kind"})
    config = {"kind": "swap", "network": recipe.network.kind, **settings, **told}
    if recipe.network.guided:
        config["shape"] = recipe.network.shape if shape is None else shape
        config["correction"] = correction
    if (run / ENCODER).is_file():
        config["encoder"] = json.loads((run / ENCODER).read_text(encoding="utf-8"))["model_id"]
    if encoder is not None and encoder.model_id:
        config["encoder"] = encoder.model_id
    if int8:
        if encoder is None or recipe.network.kind == "paper":
            raise ConfigError(
                "eight bits need the recogniser of the training, and a network of kind patch"
            )
        report[INT8] = _in_eight_bits(files, recipe, network, encoder, int8)
    files["config.json"] = (json.dumps(config, indent=2) + "\n").encode()
    files["log.jsonl"] = (run / "log.jsonl").read_bytes()
    files["recipe.json"] = (run / "recipe.json").read_bytes()
    state = {k: v.contiguous() for k, v in network.state_dict().items()}
    replace_folder(output, files, state, "swap", version or visagist.__version__)
    return report


def _in_eight_bits(
    files: dict[str, bytes],
    recipe: SwapRecipe,
    network: SwapNetwork,
    encoder: FrozenEncoder,
    folders: Sequence[Path],
) -> dict[str, float]:
    """Add the network in eight bits to the files; its errors on other triplets."""
    ranges, fresh = (_feeds(recipe, network, encoder, folders, seed) for seed in (0, 1))
    files[INT8] = quantize(files[MODEL], ranges, keep=KEPT)
    exact, coarse = make_session(files[MODEL]), make_session(files[INT8])
    errors = []
    for feed in fresh:
        pairs = zip(exact.run(None, feed), coarse.run(None, feed), strict=True)
        errors.append([float(np.abs(np.asarray(a) - np.asarray(b)).mean()) for a, b in pairs])
    image, mask = np.mean(errors, axis=0)
    return {
        "bytes": len(files[INT8]),
        "image_error": round(float(image) * 127.5, 3),
        "mask_error": round(float(mask), 4),
    }


@torch.no_grad()
def _feeds(
    recipe: SwapRecipe,
    network: SwapNetwork,
    encoder: FrozenEncoder,
    folders: Sequence[Path],
    seed: int,
) -> list[dict[str, NDArray[np.float32]]]:
    """What the network reads for some triplets, one by one."""
    config = recipe.network
    triplets = open_triplets(
        folders,
        mix=recipe.data.mix,
        guide=recipe.data.size if config.guided else None,
        shape=config.shape,
        augment=None,
    )
    task = SwapTask(recipe, network, encoder, triplets, device=torch.device("cpu"))
    feeds = []
    for step in range(EXAMPLES):
        batch = task.prepared(triplets.draw(step, 1, seed))
        feed = {
            "target": batch.target,
            "constants": network.identity_constants(task.identity(batch)),
        }
        if batch.guide is not None:
            feed["guide"] = batch.guide
        feeds.append({name: np.asarray(value.numpy()) for name, value in feed.items()})
    return feeds
