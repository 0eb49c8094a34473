"""Measure a large gallery on Milvus beside our own exact search of the same vectors.

    python benchmarks/gallery_scale.py --store milvus://127.0.0.1:19530/scale [--people 1000000]
        [--index HNSW --index FLAT] [--server-pid PID] [--json OUT] [--label NAME]

One made-up vector a person, directions drawn evenly from the sphere (hardest for a graph, whose
neighbours then are hardly nearer than anybody else); a mated probe is its person's vector with
noise, about 0.75 from it; a stranger's is another draw. Everything goes through the store as a
gallery uses it: sealed records, vectors turned by the gallery's rotation, changes of 10,000 people.
People's own records are left out; looking one up costs a search another read (``get_ms``).

Recall is against exact search: of mated probes, whether the right person comes first; of
strangers, whether the nearest of all people does (a miss only lowers the best score).
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymilvus import MilvusClient

from visagist.deploy.machine import machine
from visagist.gallery.crypto import Vault
from visagist.gallery.ledger import Draft, Ledger
from visagist.gallery.milvus import MilvusStore
from visagist.gallery.milvus.address import MilvusAddress
from visagist.gallery.milvus.server import EXACT, GRAPH, Index
from visagist.gallery.payload import TemplateFields
from visagist.gallery.search import ExactIndex
from visagist.gallery.store import Kind

DIMENSION = 128
BATCH = 10_000
PROBES = 500
NOISE = 0.88  # of length, beside a person's vector of length 1: cosine 0.75
MODEL = "made-up"
INDICES = {
    "HNSW": GRAPH,
    "FLAT": EXACT,
    "IVF_FLAT": Index("IVF_FLAT", {"nlist": 4096}, {"nprobe": 64}),
    "IVF_SQ8": Index("IVF_SQ8", {"nlist": 4096}, {"nprobe": 64}),
}
Vectors = NDArray[np.float32]


def unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


def batch(number: int) -> Vectors:
    """Vectors of 10,000 people."""
    return unit(np.random.default_rng([1, number]).standard_normal((BATCH, DIMENSION), np.float32))


def person(number: int) -> bytes:
    return number.to_bytes(16, "big")


def probes(people: int, count: int) -> tuple[NDArray[np.int64], Vectors, Vectors]:
    """People who are looked for, a probe of each, and strangers."""
    draw = np.random.default_rng(2)
    wanted = np.sort(draw.choice(people, count, replace=False))
    theirs = np.stack([batch(int(n) // BATCH)[int(n) % BATCH] for n in wanted])
    noise = unit(draw.standard_normal(theirs.shape, np.float32))
    strangers = unit(draw.standard_normal(theirs.shape, np.float32))
    return wanted, unit(theirs + NOISE * noise), strangers


def timed(action: Callable[[Vectors], Any], vectors: Vectors) -> tuple[list[Any], dict[str, float]]:
    """What an action gives for each vector, and p50 and p95 of its milliseconds."""
    answers, spent = [], []
    for vector in vectors:
        start = time.perf_counter()
        answers.append(action(vector))
        spent.append(1e3 * (time.perf_counter() - start))
    p50, p95 = np.percentile(spent[1:] or spent, [50, 95])
    return answers, {"p50_ms": round(float(p50), 2), "p95_ms": round(float(p95), 2)}


def megabytes(pid: int) -> float:
    """Resident memory of a process; 0 for none."""
    if not pid:
        return 0.0
    status = Path(f"/proc/{pid}/status").read_text()
    return round(int(status.split("VmRSS:")[1].split()[0]) / 1024, 1)


def processor_seconds(pid: int) -> float:
    """Processor time that this process and the server's have used; hardly moved by other work."""
    spent = time.process_time()
    if pid and pid != os.getpid():
        ticks = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
        spent += sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return spent


def exact(people: int, mated: Vectors, strangers: Vectors) -> tuple[dict[str, Any], list[int]]:
    """Our own search of everybody; also who is nearest to each stranger."""
    before = megabytes(os.getpid())
    index = ExactIndex(DIMENSION)
    start = time.perf_counter()
    for number in range(people // BATCH):
        for row, vector in enumerate(batch(number)):
            id = person(number * BATCH + row)
            index.set_person(id, None)
            index.add(id, vector)
    built = time.perf_counter() - start

    def search(vector: Vectors) -> int:
        hits = index.search(vector, threshold=0.2, limit=1, today=1)
        return int.from_bytes(hits[0].person, "big")

    _, times = timed(search, mated[:100])
    spent = time.process_time()
    nearest = [search(vector) for vector in strangers]
    each = 1e3 * (time.process_time() - spent) / len(strangers)
    memory = megabytes(os.getpid()) - before
    result = {"build_s": round(built, 1), "megabytes": round(memory, 1), **times}
    return result | {"processor_ms": round(each, 2)}, nearest


def changes(vault: Vault, ledger: Ledger, people: int) -> Iterator[Any]:
    """Everybody's templates, sealed, as changes of 10,000."""
    turn = vault.rotation(DIMENSION)
    now = datetime.now(UTC).replace(microsecond=0)
    for number in range(people // BATCH):
        draft = Draft(vault, ledger, model=MODEL, dimension=DIMENSION)
        vectors = batch(number)
        for row, (vector, turned) in enumerate(zip(vectors, vectors @ turn.T, strict=True)):
            data = TemplateFields(vector, "", b"", now, bytes(32)).to_bytes()
            id, tag = secrets.token_bytes(16), secrets.token_bytes(32)
            owner = person(number * BATCH + row)
            draft.put(
                vault.seal(data, Kind.TEMPLATE, id, owner, model=MODEL, tag=tag, vector=turned)
            )
        change, ledger = draft.finish("enroll", (), {"templates": BATCH})
        yield change


def indexed(store: MilvusStore, address: MilvusAddress, seconds: float) -> float:
    """Have everything written out and indexed; how long that took."""
    table = store._models[MODEL]
    start = time.perf_counter()
    client = MilvusClient(address.uri, token=os.environ.get("VISAGIST_MILVUS_TOKEN", ""))
    client.flush(table, timeout=seconds)
    last = -1
    while time.perf_counter() - start < seconds:
        state = client.describe_index(table, "vector")
        rows, total = int(state["indexed_rows"]), int(state["total_rows"])
        if state.get("state") == "Finished" and rows >= total and rows == last:
            break
        last = rows
        time.sleep(5)
    client.refresh_load(table, timeout=seconds) if address.folder is None else None
    client.close()
    return time.perf_counter() - start


def measure(args: argparse.Namespace, name: str, nearest: list[int]) -> dict[str, Any]:
    """Fill a gallery, search it, and drop it."""
    probed = probes(args.people, args.probes)
    name_of = args.store if args.store.endswith(".db") else f"{args.store}_{name.lower()}"
    where = f"{name_of}?seconds=300"
    address = MilvusAddress.parse(where)
    key = bytes(32)
    header = Vault.new_header(key)
    vault = Vault(key, header)
    first, ledger = Draft(vault, None, model=MODEL, dimension=DIMENSION).finish("create", (), {})
    store = MilvusStore.create(where, header, first, index=INDICES[name])
    server = args.server_pid or (os.getpid() if address.folder else 0)
    try:
        start, spent = time.perf_counter(), [processor_seconds(server)]
        for number, change in enumerate(changes(vault, ledger, args.people)):
            store.commit(change)
            if number % 10 == 9:
                print(f"{name}: {(number + 1) * BATCH} after {time.perf_counter() - start:.0f} s")
        written = time.perf_counter() - start
        spent.append(processor_seconds(server))
        built = indexed(store, address, args.wait)
        print(f"{name}: indexed after {built:.0f} s more")
        spent.append(processor_seconds(server))
        turn = vault.rotation(DIMENSION)
        result = searched(store, turn, probed, nearest)
        return {
            "index": {"kind": name, **INDICES[name].build, **INDICES[name].search},
            "write_s": round(written, 1),
            "written_per_s": round(args.people / written, 1),
            "write_processor_s": round(spent[1] - spent[0], 1),
            "index_s": round(built, 1),
            "index_processor_s": round(spent[2] - spent[1], 1),
            "server_megabytes": megabytes(server),
            **result,
        }
    finally:
        if not args.keep:
            for table in (*store._models.values(), store._rows, store._heads):
                store._server.drop(table)
        store.close()


def searched(
    store: MilvusStore,
    turn: Vectors,
    probed: tuple[NDArray[np.int64], Vectors, Vectors],
    nearest: list[int],
) -> dict[str, Any]:
    """Recall and times of a filled store."""
    wanted, mated, strangers = probed

    def best(vector: Vectors) -> tuple[int, float]:
        hits = store.search(turn @ vector, model=MODEL, threshold=-1, limit=1)
        return (int.from_bytes(hits[0].person, "big"), hits[0].score) if hits else (-1, -1.0)

    def whole(vector: Vectors) -> tuple[int, float]:
        store.head()
        return best(vector)

    store.head()
    best(mated[0])  # the first one loads what lies on the disk
    spent = time.process_time()
    found, times = timed(best, mated)
    spent = 1e3 * (time.process_time() - spent) / len(mated)
    missed, _ = timed(best, strangers)
    _, with_head = timed(whole, mated[:100])
    _, one = timed(lambda v: store.get(Kind.TEMPLATE, v.tobytes()[:16]), mated[:50])
    hits = np.array([who for who, _ in found]) == wanted
    right = np.array([who for who, _ in missed]) == np.array(nearest)
    return {
        "recall_mated": round(float(hits.mean()), 4),
        "recall_strangers": round(float(right.mean()), 4),
        "search": times | {"client_processor_ms": round(spent, 2)},
        "search_with_head": with_head,
        "get_ms": one["p50_ms"],
        "count": store.count(Kind.TEMPLATE),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--store", default="", help="address, without an index's name")
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument(
        "--index", action="append", choices=[*INDICES, "none"], help="none: only our own search"
    )
    parser.add_argument("--probes", type=int, default=PROBES)
    parser.add_argument("--server-pid", type=int, default=0)
    parser.add_argument("--wait", type=float, default=3600, help="seconds, for the index at most")
    parser.add_argument("--label", default="milvus", help="what the results are called")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    args.people -= args.people % BATCH
    _, mated, strangers = probes(args.people, args.probes)
    ours, nearest = exact(args.people, mated, strangers)
    print(f"exact: {ours}")
    result = {
        "people": args.people,
        "probes": args.probes,
        "load": os.getloadavg()[0],
        "exact": ours,
    }
    for name in args.index or ["HNSW"]:
        if name != "none":
            result[name.lower()] = measure(args, name, nearest)
            print(f"{name}: {result[name.lower()]}")
        write(args, result)


def write(args: argparse.Namespace, result: dict[str, Any]) -> None:
    """Put the results beside those of other labels."""
    if args.json is None:
        return
    document = json.loads(args.json.read_text()) if args.json.exists() else {}
    packages = ("pymilvus", "milvus-lite", "faiss-cpu")
    document["machine"] = machine() | {name: metadata.version(name) for name in packages}
    document[args.label] = result
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
