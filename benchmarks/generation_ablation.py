"""What does pre-training buy a small generator, and what do latents cost it?

    python benchmarks/generation_ablation.py --data CORPUS --data BLENDS --data HEADS --cache DIR \
        [--autoencoder DIR] [--seeds 2] [--seconds 40] [--json OUT]

Networks of about a million parameters learn faces of 32 pixels (64 against an autoencoder) on one
processor core. Every row has the same pictures and the same processor time, measured before the
run, except where its name says that stage 1 came on top. Results of single trainings are kept below
``--cache``, so that a sweep that was stopped goes on. ``--autoencoder`` names the folder with
taef2_encoder.pth and taef2_decoder.pth; without it latents are left out.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import taef2
import torch
from numpy.typing import NDArray
from torch import Tensor

from visagist.deploy.machine import machine
from visagist.face.topology import (
    LEFT_BROW,
    LEFT_EYE,
    RIGHT_BROW,
    RIGHT_EYE,
    canonical_points,
)
from visagist.generation.config import DataConfig, NetworkConfig
from visagist.generation.data import StoredPictures, corpus_pictures
from visagist.generation.denoise import clean_estimate, consistent_estimate
from visagist.generation.efficientnet import efficientnet_embedder
from visagist.generation.evaluation import (
    frechet_distance,
    high_frequencies,
    kernel_distance,
    manifolds,
)
from visagist.generation.network import forward_macs, parameter_count
from visagist.generation.samplers import clamped, multistep, picture_noise, sampling_levels
from visagist.generation.sets import Box, draw, draw_sets, ruined, sharpness
from visagist.generation.training import AnyRecipe, Recipe, make_task
from visagist.training.loop import train
from visagist.training.parallel import Part
from visagist.training.run import write_run

Bytes = NDArray[np.uint8]
CPU = torch.device("cpu")
ZOOM = 1.5
PRETRAIN_SHARE = 0.5
"""Processor time of stage 1 as a share of a stage-2 run's."""
STEPS = 16
JUDGED = 256
LEARNED = 800
"""Pictures of the comparison with latents; the encoder needs 34 ms for each."""
LATENT_SCALE = 2.0
"""TAEF2's latents have a standard deviation of about 1; the network expects one half."""
SHUFFLE = 4
"""Latents (32 channels and 16 of zeros) laid out as a picture of three channels, 4 x 4 each."""
NETWORK = {
    "depth": 3,
    "encoder_width": 96,
    "encoder_heads": 3,
    "decoder_width": 96,
    "decoder_heads": 3,
}
SPACES = {"32": (32, 4), "64": (64, 8), "latent": (8 * SHUFFLE, SHUFFLE)}


@dataclass(frozen=True, slots=True)
class Setting:
    """One training.

    Attributes:
        name: of the row.
        stage: pretrain, diffusion or consistency.
        share: of the budget of processor time.
        pretrained: starts from the encoder of stage 1 of the same seed.
        auxiliary: with the contrastive loss through that encoder.
        space: of the pictures.
    """

    name: str
    stage: str
    share: float = 1.0
    pretrained: bool = False
    auxiliary: bool = False
    space: str = "32"


PRETRAIN = Setting("stage 1", "pretrain", PRETRAIN_SHARE)
LESS = 1 - PRETRAIN_SHARE
SETTINGS = (
    PRETRAIN,
    Setting("diffusion, from scratch", "diffusion"),
    Setting("diffusion, pre-trained, equal time in all", "diffusion", LESS, True),
    Setting("diffusion, pre-trained, stage 1 on top", "diffusion", 1.0, True),
    Setting("consistency, from scratch", "consistency"),
    Setting("consistency, pre-trained, equal time in all", "consistency", LESS, True),
    Setting("consistency, pre-trained, stage 1 on top", "consistency", 1.0, True),
    Setting("consistency, pre-trained, auxiliary loss, stage 1 on top", "consistency", 1.0, True,
            auxiliary=True),
    Setting("diffusion in pixels, 64 px", "diffusion", space="64"),
    Setting("diffusion in latents, 64 px", "diffusion", space="latent"),
)  # fmt: skip


def recipe_of(setting: Setting, steps: int, seed: int) -> Recipe:
    """The recipes for two processor cores, at this size."""
    side, patch = SPACES[setting.space]
    batch = 32
    sections: dict[str, dict[str, object]] = {
        "pretrain": {
            "batch": batch, "hidden": 256, "projection": 64, "levels": [20, 160],
            "views": {"crop": [0.5, 1.0], "jitter": [0.2, 0.1, 0.0, 0.0], "grey": 0.0,
                      "blur": [0.2, 0.1], "solarize": [0.0, 0.0]},
        },
        "diffusion": {"batch": batch, "log_mean": 0.3, "log_std": 1.3, "uniform": 0.1,
                      "weight": "velocity"},
        "consistency": {"batch": batch, "stage_steps": max(1, steps // 5), "last_stage": 5,
                        "auxiliary": float(setting.auxiliary)},
    }  # fmt: skip
    return AnyRecipe.model_validate(
        {
            "stage": setting.stage,
            "data": {
                "faces": {"use": "generation", "size": side, "zoom": ZOOM},
                "flip": setting.space == "32",  # a mirrored latent is not that of the mirror image
            },
            "network": NETWORK | {"image_size": side, "patch": patch},
            setting.stage: sections[setting.stage],
            "loop": {
                "seed": seed, "steps": steps, "lr": 1e-3, "warmup": max(1, steps // 20),
                "betas": [0.9, 0.95], "ema_gamma": 6.94, "log_every": max(1, steps // 10),
                "validate_every": steps, "checkpoint_every": max(1, steps // 4),
                "weight_decay": 0.03,
            },
        }
    ).root  # fmt: skip


@dataclass(frozen=True, slots=True)
class Space:
    """Pictures to learn, pictures to validate on, and the real sets to be compared with."""

    pictures: StoredPictures
    held_out: StoredPictures
    reference: NDArray[np.float32]
    sharp: dict[str, float]
    shown: Callable[[Tensor], Bytes]
    limit: float


class Latents(StoredPictures):
    """Latents as float numbers that batches turn into themselves."""

    def __init__(self, latents: Tensor) -> None:
        super().__init__(np.zeros((len(latents), 1, 1, 3), np.uint8), CPU)
        self._latents = latents

    def get(self, index: NDArray[np.int64]) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Numbers that become the latents when a batch is scaled to [-1, 1]."""
        return (self._latents[torch.from_numpy(index)] + 1) * 127.5, None, None


def halved(pictures: Bytes) -> Bytes:
    """(N, S, S, 3) to half the side by averaging."""
    n, side = pictures.shape[:2]
    parts = pictures.reshape(n, side // 2, 2, side // 2, 2, 3).astype(np.float32)
    return np.rint(parts.mean((2, 4))).astype(np.uint8)


def eye_box(side: int) -> Box:
    """Eyes and brows of the canonical face in a picture that shows ZOOM canonical crops."""
    brows = [i for line in (*LEFT_BROW, *RIGHT_BROW) for i in line]
    points = canonical_points()[[*LEFT_EYE, *RIGHT_EYE, *brows], :2]
    points = side * (0.5 + (points / 256 - 0.5) / ZOOM)
    (x0, y0), (x1, y1) = points.min(0) - 1, points.max(0) + 1
    return int(x0), int(y0), int(np.ceil(x1)), int(np.ceil(y1))


def to_levels(x: Tensor) -> Bytes:
    return torch.round((x.clamp(-1, 1) + 1) * 127.5).byte().permute(0, 2, 3, 1).numpy()


def laid_out(latent: Tensor) -> Tensor:
    padded = torch.cat([latent / LATENT_SCALE, torch.zeros(len(latent), 16, 8, 8)], 1)
    return torch.nn.functional.pixel_shuffle(padded, SHUFFLE)


@torch.inference_mode()
def in_parts(network: torch.nn.Module, x: Tensor, batch: int = 16) -> Tensor:
    return torch.cat([network(part) for part in x.split(batch)]).clone()


class Bench:
    """Everything that the trainings share, made when it is first needed and kept on disk."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.cache: Path = arguments.cache
        self.autoencoder: Path | None = arguments.autoencoder
        self.seconds: float = arguments.seconds
        self.embed = efficientnet_embedder(arguments.efficientnet)
        config = DataConfig.model_validate(
            {
                "faces": {
                    "use": "generation", "size": 64, "zoom": ZOOM, "grey": False,
                    "without_generators": ["FLUX1_dev", "FLUX1_pro", "DALLE3"],
                },
                "shares": {"blends": 0.55, "heads": 0.08, "faces_easy": 0.05},
            }
        )  # fmt: skip
        self.split: dict[str, tuple[Bytes, NDArray[np.float64]]] = {}
        for split in ("train", "validation"):
            stored = corpus_pictures(
                arguments.data, config, cache=arguments.faces, split=split, device=CPU
            )
            pictures = stored.get(np.arange(len(stored.weights)))[0].permute(0, 2, 3, 1).numpy()
            self.split[split] = np.ascontiguousarray(pictures), stored.weights
        self.floors: dict[str, Any] = self._load("floors.json")
        self._spaces: dict[str, Space] = {}

    def _load(self, name: str) -> dict[str, Any]:
        path = self.cache / name
        return json.loads(path.read_text()) if path.is_file() else {}

    def _keep(self, name: str, what: dict[str, Any]) -> None:
        part = self.cache / f"{name}.part"
        part.write_text(json.dumps(what, indent=1))
        part.replace(self.cache / name)

    def space(self, name: str) -> Space:
        """Pictures of 32 or 64 pixels, or latents."""
        if name not in self._spaces:
            self._spaces[name] = self._pixels(32) if name == "32" else self._large(name)
        return self._spaces[name]

    def _pixels(self, side: int) -> Space:
        (training, weights), (held, held_weights) = self.split["train"], self.split["validation"]
        sets = draw_sets(weights, JUDGED)
        small, held_small = halved(training), halved(held)
        reference = self._compared(str(side), small[sets.reference], small[sets.floor], None)
        return Space(
            StoredPictures(small, CPU, weights=weights),
            StoredPictures(held_small, CPU, weights=held_weights),
            *reference,
            to_levels,
            1.0,
        )

    def _large(self, name: str) -> Space:
        """A part of the pictures at 64 px, as they are or as latents; both see the same."""
        training, weights = self.split["train"]
        chosen = draw(weights, LEARNED, seed=1)
        rest = np.delete(np.arange(len(training)), chosen)
        sets = draw_sets(weights[rest], JUDGED)
        real = [training[rest[s]] for s in (sets.reference, sets.floor)]
        held = self.split["validation"][0]
        held = held[draw(self.split["validation"][1], 256)]
        if name == "64":
            return Space(
                StoredPictures(training[chosen], CPU),
                StoredPictures(held, CPU),
                *self._compared("64", *real, None),
                to_levels,
                1.0,
            )
        assert self.autoencoder is not None
        encode, decode = taef2.encoder(self.autoencoder), taef2.decoder(self.autoencoder)

        def latents(pictures: Bytes, file: str) -> Tensor:
            path = self.cache / file
            if not path.is_file():
                began = time.process_time()
                x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
                np.save(path, in_parts(encode, x).numpy())
                self.floors[f"seconds {file}"] = round(time.process_time() - began, 1)
                self._keep("floors.json", self.floors)
            return torch.from_numpy(np.load(path))

        def shown(x: Tensor) -> Bytes:
            found = torch.nn.functional.pixel_unshuffle(x, SHUFFLE)[:, : taef2.LATENT]
            return to_levels(in_parts(decode, found * LATENT_SCALE) * 2 - 1)

        learned, validated = latents(training[chosen], "latents.npy"), latents(held, "held.npy")
        through = None
        if "64 through the autoencoder" not in self.floors:
            through = shown(laid_out(latents(real[1], "floor.npy")))
        return Space(
            Latents(laid_out(learned)),
            Latents(laid_out(validated)),
            *self._compared("64", *real, through),
            shown,
            3.0,
        )

    def _compared(
        self, name: str, reference: Bytes, floor: Bytes, through: Bytes | None
    ) -> tuple[NDArray[np.float32], dict[str, float]]:
        """Features and detail of the reference; floors are measured once."""
        path = self.cache / f"reference-{name}.npy"
        if not path.is_file():
            np.save(path, self.embed(reference))
        known = np.load(path)
        box = eye_box(reference.shape[1])
        sharp = {"high": high_frequencies(reference), "eyes": sharpness(reference, box)}
        rows = {f"{name} floor": floor, f"{name} ruined": ruined(floor)}
        if through is not None:
            rows[f"{name} through the autoencoder"] = through
        for row, pictures in rows.items():
            if row not in self.floors:
                self.floors[row] = self.figures(pictures, known, sharp)
                self._keep("floors.json", self.floors)
        return known, sharp

    def figures(
        self, pictures: Bytes, known: NDArray[np.float32], sharp: dict[str, float]
    ) -> dict[str, float]:
        """Distances, coverage, and detail as a share of real pictures'."""
        features = self.embed(pictures)
        cover = manifolds(known, features)
        box = eye_box(pictures.shape[1])
        return {
            "fd": frechet_distance(known, features),
            "kid": kernel_distance(known, features),
            "precision": cover.precision,
            "recall": cover.recall,
            "high_frequencies": high_frequencies(pictures) / sharp["high"],
            "eye_sharpness": sharpness(pictures, box) / sharp["eyes"],
        }

    def run(self, setting: Setting, seed: int) -> dict[str, Any]:
        """Train and judge, or read what was found before."""
        folder = self._folder(setting, seed)
        kept = folder / "result.json"
        if kept.is_file():
            return json.loads(kept.read_text())
        space = self.space(setting.space)
        begin = self._folder(PRETRAIN, seed) / "run" if setting.pretrained else None
        steps = self.steps(setting)
        recipe = recipe_of(setting, steps, seed)
        task = make_task(
            recipe, pictures=space.pictures, held_out=space.held_out, device=CPU, start=begin,
            encoder=begin if setting.auxiliary else None,
        )  # fmt: skip
        began = time.process_time()
        model = train(task, recipe.loop, folder / "run", resume=(folder / "run").exists())
        spent = time.process_time() - began
        write_run(folder / "run", model, recipe)
        found: dict[str, Any] = {
            "name": setting.name, "seed": seed, "steps": steps, "seconds": round(spent, 1),
            "pictures": steps * task.batch,
            **{f"val_{k}": v for k, v in task.validate(model.eval()).items()},
        }  # fmt: skip
        if setting.stage != "pretrain":
            samples = space.shown(sampled(model, recipe.network, setting.stage, seed, space.limit))
            found |= self.figures(samples, space.reference, space.sharp)
            np.save(folder / "samples.npy", samples[:64])
        kept.with_suffix(".part").write_text(json.dumps(found, indent=1))
        kept.with_suffix(".part").replace(kept)
        return found

    def _folder(self, setting: Setting, seed: int) -> Path:
        name = setting.name.replace(" ", "-").replace(",", "")
        return self.cache / f"{name}-{self.seconds:g}s-{seed}"

    def steps(self, setting: Setting) -> int:
        """Steps that fit into the setting's processor time."""
        return max(
            10, round(self.seconds * setting.share / self._load("rates.json")[_kind(setting)])
        )

    def time_steps(self, settings: list[Setting], rounds: int = 12) -> None:
        """Processor seconds of a step of each kind: medians, in turns, before the first run."""
        if (self.cache / "rates.json").is_file():
            return
        kinds = {_kind(s): s for s in settings}
        untrained = self.cache / "untrained"
        calls: dict[str, Callable[[], None]] = {}
        for kind, setting in sorted(kinds.items(), key=lambda item: item[1].stage != "pretrain"):
            recipe, space = recipe_of(setting, 100, 0), self.space(setting.space)
            judge = untrained if setting.auxiliary else None
            task = make_task(
                recipe, pictures=space.pictures, held_out=None, device=CPU, encoder=judge
            )
            if setting.stage == "pretrain":
                write_run(untrained, task.model, recipe)
            calls[kind] = _one_step(task)
        times: dict[str, list[float]] = {kind: [] for kind in calls}
        for turn in range(rounds + 2):
            for kind, call in calls.items():
                began = time.process_time()
                call()
                if turn >= 2:
                    times[kind].append(time.process_time() - began)
        self._keep("rates.json", {kind: float(np.median(found)) for kind, found in times.items()})


def _kind(setting: Setting) -> str:
    return f"{setting.stage}{' auxiliary' if setting.auxiliary else ''} {setting.space}"


def _one_step(task: Any) -> Callable[[], None]:  # noqa: ANN401
    optimiser = torch.optim.AdamW(task.model.parameters(), fused=True)

    def step() -> None:
        losses = task.part_losses(task.model, 0, Part())
        torch.stack(list(losses.values())).sum().backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


@torch.inference_mode()
def sampled(
    model: torch.nn.Module, network: NetworkConfig, stage: str, seed: int, limit: float
) -> Tensor:
    """(JUDGED, 3, S, S): one step of a consistency model, STEPS of a diffusion model."""
    side, parts = network.image_size, []
    for first in range(0, JUDGED, 64):
        count = min(64, JUDGED - first)
        noise = torch.from_numpy(picture_noise(seed, first, count, side))
        levels = sampling_levels(STEPS, side)

        def at(x: Tensor, sigma: float) -> Tensor:
            return clean_estimate(model, network, x, np.full(len(x), sigma))

        if stage == "consistency":
            high = np.full(count, levels[0])
            parts.append(consistent_estimate(model, network, noise * levels[0], high))
        else:
            parts.append(multistep(clamped(at, limit), noise, levels))
    return torch.cat(parts)


def wanted(arguments: argparse.Namespace) -> Iterator[tuple[Setting, int]]:
    for seed in range(arguments.seeds):
        for setting in SETTINGS:
            if setting.space == "32" or arguments.autoencoder is not None:
                yield setting, seed


def report(bench: Bench, rows: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    network = NetworkConfig.model_validate(NETWORK | {"image_size": 32, "patch": 4})
    document = {
        "machine": machine(),
        "threads": torch.get_num_threads(),
        "seconds": arguments.seconds,
        "pretrain_share": PRETRAIN_SHARE,
        "judged": JUDGED,
        "sampling_steps": STEPS,
        "params": parameter_count(network),
        "forward_macs": forward_macs(network),
        "training_pictures": len(bench.split["train"][0]),
        "pictures_with_latents": LEARNED,
        "step_seconds": bench._load("rates.json"),
        "floors": bench.floors,
        "rows": rows,
    }
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(document, indent=1) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--cache", type=Path, required=True, help="for runs and results")
    parser.add_argument("--faces", type=Path, help="for decoded faces; by default below --cache")
    parser.add_argument("--autoencoder", type=Path)
    parser.add_argument("--efficientnet", type=Path)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=40.0, help="processor time of a run")
    default = Path(__file__).parent / "results/0.4.0/generation_ablation.json"
    parser.add_argument("--json", type=Path, default=default)
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    arguments.faces = arguments.faces or arguments.cache / "faces"
    torch.set_num_threads(1)
    bench = Bench(arguments)
    rows: list[dict[str, Any]] = []
    plan = list(wanted(arguments))
    bench.time_steps([setting for setting, _ in plan])
    for setting, seed in plan:
        rows.append(bench.run(setting, seed))
        print({k: v for k, v in rows[-1].items() if k != "table"}, flush=True)
        report(bench, rows, arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
