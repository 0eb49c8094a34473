"""The numbers of torch-fidelity, for comparing with what others publish, where its weights are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from visagist.errors import MissingExtraError, ModelMissingError
from visagist.generation.protocol import FLOOR, Real
from visagist.generation.sets import draw_sets

Bytes = NDArray[np.uint8]
_NAMES = {
    "frechet_inception_distance": "fid",
    "kernel_inception_distance_mean": "kid",
    "precision": "precision",
    "recall": "recall",
}


class _Pictures(Dataset[Tensor]):
    """(N, S, S, 3) as torch-fidelity wants them: uint8 (3, S, S)."""

    def __init__(self, pictures: Bytes) -> None:
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self.pictures[index].transpose(2, 0, 1)))


def fidelity_numbers(
    made: Mapping[str, Bytes], real: Real, weights: Path, *, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Inception's FID and KID, precision and recall of each set and of the floor.

    The sets are those of :func:`~visagist.generation.protocol.judge` with the same seed. With few
    pictures FID is biased upwards: compare with the floor, not with published figures of 50 000.

    Args:
        made: sets of equally many pictures by name.
        real: what they are compared with.
        weights: ``weights-inception-2015-12-05-6726825d.pth`` as torch-fidelity publishes it.
        seed: of the draws.

    Raises:
        ModelMissingError: the file is not there.
        MissingExtraError: torch-fidelity or what it needs cannot be imported.
    """
    if not weights.is_file():
        raise ModelMissingError(f"{weights} is not there; torch-fidelity's release page has it")
    calculate_metrics = _calculate()
    count = len(next(iter(made.values())))
    sets = draw_sets(real.weights, count, seed=seed)
    reference = _Pictures(real.training[sets.reference])
    found = {}
    for name, pictures in {**made, FLOOR: real.training[sets.floor]}.items():
        numbers = calculate_metrics(
            input1=_Pictures(pictures),
            input2=reference,
            cuda=torch.cuda.is_available(),
            fid=True,
            kid=True,
            prc=True,
            kid_subset_size=min(1000, count),
            feature_extractor_weights_path=str(weights),
            save_cpu_ram=True,
            cache=False,
            verbose=False,
        )
        found[name] = {ours: float(numbers[theirs]) for theirs, ours in _NAMES.items()}
    return found


def _calculate() -> Any:  # noqa: ANN401  (a function of a package without types)
    # torchvision built for other hardware fails with a RuntimeError when it is imported
    try:
        from torch_fidelity import calculate_metrics  # noqa: PLC0415
    except (ImportError, RuntimeError) as error:
        raise MissingExtraError(
            f"torch-fidelity cannot be used ({str(error).splitlines()[0]}); install it beside a "
            "torchvision that fits this torch: pip install torch-fidelity"
        ) from error
    return calculate_metrics
