"""Compare recognisers on the fixed lists, harder conditions and time; one table for all.

    python benchmarks/recognition.py --data DIR --into RESULTS.json --model "visagist=recognizer"
        --model "without UIR=DIR1" --model "without UIR=DIR2" --model "softmax=DIR3"
        --dlib dlib_face_recognition_resnet_model_v1.dat --judge judge.onnx

Models of one label are the same training with other seeds; their mean is reported, and each. The
first model is the one whose faces are also found instead of labelled. Networks are timed in turns,
so that a busy moment of the machine meets all of them. ``--cache FILE`` keeps the vectors of dlib
and the judge and the faces that are found, none of which change, between runs (they are biometric
data: delete the file after); ``--fill`` only makes them. ``--no-found`` leaves the found faces out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from visagist.deploy.export import to_onnx
from visagist.deploy.machine import machine
from visagist.deploy.timing import in_turns
from visagist.face.align import Alignment, crop
from visagist.face.find import find_faces
from visagist.face.types import Detection, Face
from visagist.recognition.evaluation.conditions import CONDITIONS
from visagist.recognition.evaluation.dlib import dlib_embedder
from visagist.recognition.evaluation.embedders import Embedder, judge_embedder, model_embedder
from visagist.recognition.evaluation.lists import read_list
from visagist.recognition.evaluation.pictures import see
from visagist.recognition.evaluation.protocol import evaluate
from visagist.recognition.teacher import INPUT_SIZE, Teacher, chip_matrix
from visagist.runtime.session import make_session
from visagist.runtime.store import open_model

Vectors = dict[str, NDArray[np.float32]]
FLAT = ("london_tar_far_1e-3", "pairs_tar_far_1e-2", "rank1", "fnir_fpir_1e-2")


def main() -> None:
    """Measure, print, and write where asked to."""
    options = _options()
    torch.set_num_threads(1)
    vectors: Vectors = {}
    if options.cache is not None and options.cache.is_file():
        with np.load(options.cache) as kept:
            vectors = {name: kept[name] for name in kept.files}
    labels, embedders, networks = _open(options, vectors)
    conditions = list(CONDITIONS) if options.conditions else []
    if options.fill:
        _fill(options, embedders, conditions, vectors)
        return
    ours = embedders[0].name
    common = {"split": options.split, "resamples": options.resamples}
    report = evaluate(
        options.data,
        model=options.model[0].partition("=")[2],
        embedders=embedders[1:],
        conditions=conditions,
        progress=_progress("labelled"),
        **common,
    )
    reports = {ours: report, **report["embedders"]}
    found = None
    if options.found:
        found = evaluate(
            options.data,
            model=options.model[0].partition("=")[2],
            conditions=conditions,
            aligned="found",
            find=_finder(vectors),
            progress=_progress("found"),
            **common,
        )
    if options.cache is not None:
        _keep(options.cache, vectors)
    opened = {e.name: e for e in embedders}
    table = [
        _row(label, opened[names[0]], [reports[name] for name in names])
        for label, names in labels.items()
    ]
    result = {
        "split": options.split,
        "resamples": options.resamples,
        "n_identities": report["n_identities"],
        "embedders": table,
        "found": found and _slim(found) | {"failures": found["failures"]},
        "speed": _speed(networks, options.runs),
        "machine": machine(),
        "load": [round(v, 2) for v in os.getloadavg()],
    }
    text = json.dumps(result, indent=1, allow_nan=False) + "\n"
    if options.into is None:
        sys.stdout.write(text)
    else:
        options.into.parent.mkdir(parents=True, exist_ok=True)
        options.into.write_text(text, encoding="utf-8")


def _fill(
    options: argparse.Namespace,
    embedders: list[Embedder],
    conditions: list[str],
    vectors: Vectors,
) -> None:
    """Vectors of those who never change, or the faces that are found."""
    fixed = read_list(options.split)
    tell = _progress(options.fill)

    def progress(done: int, total: int) -> None:
        tell(done, total)
        if done % 50 == 0 or done == total:
            _keep(options.cache, vectors)

    common = {"conditions": conditions, "progress": progress}
    if options.fill == "labelled":
        see(options.data, fixed, [e for e in embedders if e.name in {"dlib", "judge"}], **common)
    else:
        see(options.data, fixed, (), aligned="found", find=_finder(vectors), **common)


def _keep(path: Path, vectors: Vectors) -> None:
    """Write a cache whole or not at all."""
    part = path.with_suffix(".part.npz")
    np.savez(part, **vectors)
    part.replace(path)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", action="append", required=True, metavar="LABEL=NAME")
    parser.add_argument("--dlib", type=Path)
    parser.add_argument("--judge", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--no-conditions", dest="conditions", action="store_false")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--into", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--fill", choices=("labelled", "found"), help="only fill the cache")
    parser.add_argument("--no-found", dest="found", action="store_false")
    return parser.parse_args()


def _open(
    options: argparse.Namespace, vectors: Vectors
) -> tuple[dict[str, list[str]], list[Embedder], dict[str, bytes]]:
    """Labels with the names under them, the embedders, and one network a label to be timed."""
    labels: dict[str, list[str]] = defaultdict(list)
    embedders: list[Embedder] = []
    networks: dict[str, bytes] = {}

    def add(label: str, embedder: Embedder, network: bytes) -> None:
        name = label if label not in labels else f"{label}, seed {len(labels[label]) + 1}"
        labels[label].append(name)
        params = embedder.params or _parameters(network)
        embedders.append(replace(embedder, name=name, params=params))
        networks.setdefault(label, network)

    for number, text in enumerate(options.model):
        label, _, where = text.partition("=")
        add(label, model_embedder(where), open_model(where).onnx)
        if number == 0:
            labels[label] = [label]
    if options.dlib is not None:
        teacher = Teacher.from_file(options.dlib)
        image = torch.zeros(1, 3, INPUT_SIZE, INPUT_SIZE)
        network = to_onnx(teacher, [image], ["image"], ["embedding"])
        add("dlib", _remembered(_faster(dlib_embedder(options.dlib), network), vectors), network)
    if options.judge is not None:
        judge = replace(judge_embedder(options.judge), name="judge")
        add("judge", _remembered(judge, vectors), options.judge.read_bytes())
    return dict(labels), embedders, networks


def _faster(embedder: Embedder, network: bytes) -> Embedder:
    """The embedder of dlib on ONNX Runtime, five times faster than in torch."""
    session: Any = make_session(network, threads=1)

    def embed(pixels: NDArray[np.uint8], face: Face) -> NDArray[np.float32]:
        view = crop(pixels, Alignment(chip_matrix(face.mesh), INPUT_SIZE))
        image = view.transpose(2, 0, 1)[None].astype(np.float32) / 255
        return np.asarray(session.run(None, {"image": image})[0][0])

    return replace(embedder, embed=embed)


def _finder(vectors: Vectors) -> Callable[[NDArray[np.uint8]], list[Face]]:
    """Faces of a picture; only the mesh of the largest is kept: embedders read no more."""

    def find(pixels: NDArray[np.uint8]) -> list[Face]:
        name = f"mesh-{hashlib.sha256(np.ascontiguousarray(pixels)).hexdigest()}"
        if name not in vectors:
            found = find_faces(pixels)
            vectors[name] = found[0].mesh if found else np.empty((0, 3), np.float32)
        mesh = vectors[name]
        return [Face(Detection((0.0, 0.0, 0.0, 0.0), 1.0), mesh, 1.0)] if len(mesh) else []

    return find


def _remembered(embedder: Embedder, vectors: Vectors) -> Embedder:
    """The embedder, asked only for faces whose vectors are not kept."""

    def embed(pixels: NDArray[np.uint8], face: Face) -> NDArray[np.float32]:
        seen = hashlib.sha256(np.ascontiguousarray(pixels))
        seen.update(np.ascontiguousarray(face.mesh))
        name = f"{embedder.name}-{seen.hexdigest()}"
        if name not in vectors:
            vectors[name] = embedder.embed(pixels, face)
        return vectors[name]

    return replace(embedder, embed=embed)


def _parameters(network: bytes) -> int:
    """Numbers in the weights of an ONNX file."""
    graph = onnx.load_from_string(network).graph
    return sum(int(np.prod(w.dims)) for w in graph.initializer)


def _row(label: str, embedder: Embedder, reports: list[dict[str, Any]]) -> dict[str, Any]:
    """One label: the tables of its first seed, and the flat fields of all."""
    seeds = [{name: r[name] for name in FLAT} for r in reports]
    means = {
        name: None
        if any(s[name] is None for s in seeds)
        else round(float(np.mean([s[name] for s in seeds])), 5)
        for name in FLAT
    }
    return {
        "label": label,
        "params": embedder.params,
        "megabytes": embedder.megabytes,
        **means,
        "seeds": seeds,
        **{k: v for k, v in _slim(reports[0]).items() if k not in FLAT},
    }


def _slim(report: Mapping[str, Any]) -> dict[str, Any]:
    """What a table can need; no name of a picture."""
    return {
        **{name: report[name] for name in FLAT},
        "sets": report["sets"],
        "strangers": report["strangers"],
        "groups": report["groups"],
        "conditions": {
            name: {
                **{field: part[field] for field in FLAT},
                "tar_far_1e-3": part["sets"]["both"]["tar_far_1e-3"],
                "half_splits": part["sets"]["both"]["half_splits"],
                "strangers": {k: v for k, v in part["strangers"].items() if k != "det"},
            }
            for name, part in report["conditions"].items()
        },
    }


def _speed(networks: Mapping[str, bytes], runs: int) -> dict[str, dict[str, float]]:
    """Milliseconds of each network beside a network that does nothing: the cost of a call."""
    work: dict[str, Callable[[], object]] = {}
    for label, data in {**networks, "floor (one pointwise layer)": _floor()}.items():
        session: Any = make_session(data, threads=1)
        shape = [d if isinstance(d, int) else 1 for d in session.get_inputs()[0].shape]
        image = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
        feed = {session.get_inputs()[0].name: image}
        work[label] = lambda s=session, f=feed: s.run(None, f)
    return in_turns(work, runs=runs)


def _floor() -> bytes:
    shape = [1, 3, 112, 112]
    graph = helper.make_graph(
        [helper.make_node("Add", ["image", "one"], ["sum"])],
        "floor",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.ones(1, np.float32), "one")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return model.SerializeToString()


def _progress(what: str) -> Callable[[int, int], None]:
    def tell(done: int, total: int) -> None:
        if done % 50 == 0 or done == total:
            print(f"{what}: {done} of {total} pictures", file=sys.stderr)

    return tell


if __name__ == "__main__":
    main()
