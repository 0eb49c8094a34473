"""A swap network as the proxy of cycle triplets: its swaps become targets, real pictures truths."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from visagist.errors import InputError
from visagist.swap.inference import Swapper
from visagist.swap.triplets.views import identity_view
from visagist.swap.types import Look


class NetworkProxy:
    """Swaps canonical crops with a model; see :class:`~visagist.swap.triplets.kinds.SwapFunction`.

    Args:
        swapper: the model.
        embed: a (112, 112, 3) view -> the unit vector of the recogniser it was trained with.
    """

    def __init__(
        self, swapper: Swapper, embed: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    ) -> None:
        self._swapper, self._embed = swapper, embed

    def __call__(
        self,
        source: NDArray[np.uint8],
        source_mesh: NDArray[np.float32],
        target: NDArray[np.uint8],
        target_mesh: NDArray[np.float32],
    ) -> NDArray[np.uint8]:
        """(S, S, 3) the target with the source's face.

        Raises:
            InputError: the crops are not of the model's size.
        """
        side = self._swapper.size
        if target.shape != (side, side, 3):
            raise InputError(
                f"this swap model works at {side} pixels; give the recipe size: {side}"
            )
        look = Look(source, np.asarray(source_mesh, np.float32))
        identity = self._swapper.identity(self._embed(identity_view(source)), looks=[look])
        laid = self._swapper.laid(target, target_mesh, identity.looks)
        image, mask = self._swapper.render(target, identity.constants, laid)
        mixed = target + (image - target) * mask[..., None]
        return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
