"""Time the parser, layouts near it, and makeup with and without it; one thread.

    python benchmarks/parser.py                       # prints
    python benchmarks/parser.py --into RESULTS.json   # replaces `speed` and `layouts` there

Networks are timed in turns, so that a busy moment of the machine meets all of them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from visagist.deploy.export import fold, to_onnx
from visagist.deploy.machine import machine
from visagist.deploy.timing import fit, in_turns
from visagist.face.find import find_faces
from visagist.face.parser.config import ParserNetworkConfig
from visagist.face.parser.inference import Parser
from visagist.face.parser.network import ParserNetwork
from visagist.makeup.inference import Makeup
from visagist.makeup.preview import drawn_face
from visagist.photo import Photo
from visagist.runtime.session import make_session
from visagist.runtime.store import open_model

LAYOUTS: dict[str, dict[str, Any]] = {
    "as bundled: logits at 128x128": {},
    "logits at 64x64": {"upsample": 1},
    "logits at 256x256": {"upsample": 4},
    "one level less": {"widths": (32, 48, 64), "depths": (0, 0, 1)},
    "a residual block at 1/8 more": {"depths": (0, 1, 1, 1)},
    "half as wide again": {"widths": (48, 64, 96, 144)},
}


def layouts(runs: int) -> list[dict[str, Any]]:
    """GFLOP and milliseconds of untrained networks of other layouts."""
    image = torch.zeros(1, 3, 256, 256)
    work: dict[str, Callable[[], object]] = {}
    gflops = {}
    for name, change in LAYOUTS.items():
        network = fold(ParserNetwork(ParserNetworkConfig(**change)).eval())
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(image)
        gflops[name] = round(counter.get_total_flops() / 1e9, 3)
        session: Any = make_session(to_onnx(network, [image], ["image"], ["logits"]), threads=1)
        work[name] = lambda s=session: s.run(None, {"image": image.numpy()})
    times = in_turns(work, runs=runs)
    return [{"layout": name, "gflops": gflops[name], **times[name]} for name in LAYOUTS]


def speed(runs: int) -> dict[str, Any]:
    """The bundled network, what makeup asks of it, and makeup with and without it."""
    encoded = Photo.from_array(fit(drawn_face()[0], (1024, 1024))).to_bytes("JPEG")
    photo = Photo.open(encoded)
    face = find_faces(photo.pixels)[0]
    files = open_model("makeup-tiny")
    parser = Parser.from_pretrained()
    bare, guarded = Makeup(files), Makeup(files, parser=parser)
    view = np.zeros((parser.size, parser.size, 3), np.float32).transpose(2, 0, 1)[None]
    session: Any = make_session(open_model("face-parser").onnx, threads=1)

    def all_steps(makeup: Makeup) -> bytes:
        return makeup.apply(Photo.open(encoded), faces="largest").photo.to_bytes("JPEG")

    quick = in_turns(
        {
            "network": lambda: session.run(None, {"image": view}),
            "uncovered": lambda: parser.uncovered(photo.pixels, face.alignment()),
        },
        runs=runs,
    )
    slow = in_turns(
        {"without": lambda: all_steps(bare), "with": lambda: all_steps(guarded)},
        runs=max(5, runs // 5),
    )
    size = f"{photo.pixels.shape[1]}x{photo.pixels.shape[0]}"
    return {**quick, **slow, "photo": size, "machine": machine()}


def main() -> None:
    """Time, print, and write where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--into", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    result = {"speed": speed(options.runs), "layouts": layouts(options.runs)}
    print(json.dumps(result, indent=2))
    if options.into is not None:
        before = {}
        if options.into.is_file():
            before = json.loads(options.into.read_text(encoding="utf-8"))
        text = json.dumps(before | result, indent=2) + "\n"
        options.into.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
