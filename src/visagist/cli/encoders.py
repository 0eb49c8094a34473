"""The recognisers that a training may look through, frozen and ready."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from visagist.cli.output import needs_extra
from visagist.runtime.store import open_model

if TYPE_CHECKING:
    from visagist.swap.encoder import FrozenEncoder

__all__ = ["frozen_encoder"]


def frozen_encoder(name_or_path: str) -> FrozenEncoder:
    """A recogniser for injection and losses.

    Args:
        name_or_path: a model of ours by name or folder, or dlib's ``.dat`` file.

    Raises:
        ModelError: it is not there, damaged, or no recogniser.
        MissingExtraError: torch is not installed.
    """
    with needs_extra("train"):
        from safetensors.torch import load

        from visagist.recognition.config import NetworkConfig
        from visagist.recognition.crop import CENTRE, FIELD
        from visagist.recognition.inference import Recognizer
        from visagist.recognition.network import EmbeddingNetwork
        from visagist.recognition.teacher import INPUT_SIZE, Teacher
        from visagist.swap.encoder import FrozenEncoder

    if name_or_path.endswith(".dat"):
        teacher = Teacher.from_file(Path(name_or_path))
        taps = [teacher.blocks[number] for number in (2, 6)]
        # dlib's own crop shows the same part of a face (see recognition/crop.py)
        return FrozenEncoder(
            teacher, taps, side=INPUT_SIZE, field=FIELD, centre=CENTRE, low=0.0, model_id="dlib"
        )
    files = open_model(name_or_path)
    shape = {k: v for k, v in files.config.items() if k in NetworkConfig.model_fields}
    config = NetworkConfig.model_validate(shape | {"kind": files.config.get("network")})
    network = EmbeddingNetwork(config)
    network.load_state_dict(load(files.read("model.safetensors")))
    taps = [network.stem, network.stages[0], network.stages[1]]
    return FrozenEncoder(
        network,
        taps,
        side=config.input_size,
        field=FIELD,
        centre=CENTRE,
        model_id=Recognizer(files).model_id,
    )
