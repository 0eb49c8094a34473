"""The tables of docs/scale.md, from what benchmarks/corpus.py has measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from table import load, table

HOUR = 3600.0
MANY = (1_000_000, 100_000_000)
CORES = (2, 64, 1024)
_LABELS = {
    "read": "read the file",
    "decode": "decode",
    "detect": "find faces",
    "mesh": "fit the mesh",
    "align": "align and crop",
    "measure": "measure and fingerprint",
    "encode": "encode JPEG, labels, mesh",
    "write": "write and flush",
    "rest": "everything else",
}


@dataclass(frozen=True)
class Line:
    """What an engine's two runs say: a start, and so much for each photo."""

    engine: str
    workers: int
    start_seconds: float
    per_second: float
    cpu_ms: float
    driver_mib: float
    worker_mib: float
    all_mib: float


def lines(r: dict[str, Any]) -> list[Line]:
    """One for each engine and number of workers."""
    found = []
    for (engine, workers), runs in groupby(r["engines"], lambda e: (e["engine"], e["workers"])):
        few, many = runs
        photos = many["photos"] - few["photos"]
        seconds = (many["seconds"] - few["seconds"]) / photos
        cpu = (many["cpu_seconds"] - few["cpu_seconds"]) / photos
        found.append(
            Line(
                engine,
                workers,
                few["seconds"] - seconds * few["photos"],
                1 / seconds,
                1000 * cpu,
                many["driver_peak_mib"],
                many["worker_peak_mib"],
                many["all_peaks_mib"],
            )
        )
    return found


def _note(r: dict[str, Any], loads: list[float]) -> str:
    m, p = r["machine"], r["photos"]
    span = " to ".join(map(str, sorted({min(loads), max(loads)})))
    return (
        f"{m['cpu']}, {m['cores']} cores, {m['system']}, Python {m['python']}, ONNX Runtime "
        f"{m['onnxruntime']}, OpenCV {m['opencv-python-headless']}, Ray {m['ray']}; photos of "
        f"{p['median_longer_side']:.0f} pixels (median of the longer side) and "
        f"{p['mean_bytes'] / 1000:.0f} kB. The load of the machine before these runs was "
        f"{span}; `{r['command']}`."
    )


def stages() -> str:
    """Where the time of a photo goes."""
    r = load("corpus", "0.2.0")
    s = r["stages"]
    whole = s["chunk_cpu_ms"]
    rows = [
        (
            label,
            f"{s['stages_cpu_ms'].get(key, 0):.2f}",
            f"{s['stages_cpu_ms'].get(key, 0) / whole:.0%}",
        )
        for key, label in _LABELS.items()
    ]
    rows.append(("**together**", f"**{whole:.1f}**", ""))
    note = f"{s['photos']} photos in one process on one thread. {_note(r, [s['load_before']])}"
    return f"{table(('', 'processor ms a photo', 'share'), rows)}\n\n{note}"


def engines() -> str:
    """What each engine makes of the cores."""
    r = load("corpus", "0.2.0")
    pure = r["stages"]["prepare_cpu_ms"]
    rows = [
        (
            line.engine,
            line.workers,
            f"{line.per_second:.1f}",
            f"{line.start_seconds:.1f}",
            f"{line.cpu_ms:.1f}",
            f"{1000 / line.cpu_ms:.1f}",
            f"{line.cpu_ms / pure - 1:+.0%}",
            f"{line.driver_mib:.0f}",
            f"{line.worker_mib:.0f}" if line.worker_mib else "",
            f"{line.all_mib:.0f}",
        )
        for line in lines(r)
    ]
    head = (
        *("engine", "workers", "photos a second by the clock", "start, s"),
        *("processor ms a photo", "photos a second of processor time", "over pure preparing"),
        *("driver, MiB", "a worker, MiB", "all, MiB"),
    )
    note = (
        f"From runs over {r['engines'][0]['photos']} and {r['engines'][1]['photos']} photos in "
        f"chunks of {r['chunk']}; the rate is that of the photos between, the start is what is "
        f"left. Pure preparing is the function alone in a loop: {pure:.1f} ms. Memory is the sum "
        f"of peaks. {_note(r, [e['load_before'] for e in r['engines']])}"
    )
    return f"{table(head, rows)}\n\n{note}"


def growth() -> str:
    """Whole builds of growing size."""
    r = load("corpus", "0.2.0")
    rows = [
        (
            f"{g['photos']:,}",
            f"{g['kept']:,}",
            f"{g['seconds']:.1f}",
            f"{g['photos'] / g['prepare_seconds']:.1f}",
            f"{g['finish_seconds']:.1f}",
            f"{1000 * g['finish_cpu_seconds'] / g['kept']:.1f}",
            g["likely_pairs"],
        )
        for g in r["growth"]
    ]
    head = (
        *("photos", "kept", "seconds", "prepared a second", "finishing, s"),
        *("finishing, processor ms a sample", "pairs laid over each other"),
    )
    note = (
        f"Engine processes, {r['growth'][0]['workers']} workers, everything from an empty folder "
        f"to a corpus. {_note(r, [g['load_before'] for g in r['growth']])}"
    )
    return f"{table(head, rows)}\n\n{note}"


@dataclass(frozen=True)
class Inputs:
    """The measured numbers that the arithmetic starts from; bytes and seconds."""

    work: float
    finish: float
    photo: float
    sample: float
    index: float
    summary: float
    memory: float
    linear: float
    square: float
    pair: float
    chance: float

    @classmethod
    def read(cls, r: dict[str, Any]) -> Inputs:
        """From the results file."""
        few, many = r["duplicates"]
        a, b = few["samples"], many["samples"]
        # cpu = linear n + square n^2 through both runs
        square = (many["cpu_seconds"] / b - few["cpu_seconds"] / a) / (b - a)
        before, last = r["growth"][-2:]
        return cls(
            work=next(x.cpu_ms for x in lines(r) if (x.engine, x.workers) == ("processes", 2))
            / 1e3,
            finish=(last["finish_cpu_seconds"] - before["finish_cpu_seconds"])
            / (last["kept"] - before["kept"]),
            photo=r["photos"]["mean_bytes"],
            sample=last["shard_bytes_per_sample"],
            index=last["index_bytes_per_sample"],
            summary=r["gather"]["summary_bytes_per_sample"],
            memory=r["gather"]["bytes_per_sample"]
            + 2**20 * (many["peak_mib"] - few["peak_mib"]) / (b - a),
            linear=few["cpu_seconds"] / a - square * a,
            square=square * last["bucket_crowding"],
            pair=last["compare_cpu_ms"] / 1e3,
            chance=last["likely_pairs"] / last["kept"] ** 2,
        )


def inputs() -> str:
    """The inputs of the arithmetic, with their letters."""
    r = load("corpus", "0.2.0")
    i = Inputs.read(r)
    last = r["growth"][-1]
    rows = [
        ("c", "processor time a photo, processes with 2 workers", f"{1e3 * i.work:.1f} ms"),
        ("f", "processor time to finish a sample", f"{1e3 * i.finish:.2f} ms"),
        ("p", "a photo on disk", f"{i.photo / 1e3:.1f} kB"),
        ("s", "a sample in a shard: JPEG 256x256, mesh, labels", f"{i.sample / 1e3:.1f} kB"),
        ("x", "a row of the index", f"{i.index / 1e3:.2f} kB"),
        ("j", "a sample in the summary of its chunk", f"{i.summary / 1e3:.2f} kB"),
        ("m", "memory a sample while finishing", f"{i.memory:.0f} bytes"),
        ("a", "search for near-duplicates, linear part", f"{1e6 * i.linear:.1f} µs"),
        (
            "b",
            f"its quadratic part, for faces (fingerprints collide {last['bucket_crowding']:.0f} "
            "times as often as random numbers)",
            f"{1e12 * i.square:.0f} ps",
        ),
        ("d", "decode two crops and lay one over the other", f"{1e3 * i.pair:.1f} ms"),
        (
            "q",
            "share of all pairs of samples that are laid over each other, at most: some of the "
            f"{last['likely_pairs']} pairs among {last['kept']:,} samples are real copies",
            f"{2 * i.chance:.1e}",
        ),
    ]
    return table(("", "", "measured"), rows)


def _hours(seconds: float) -> str:
    hours = seconds / HOUR
    return f"{hours:,.1f} h" if hours < 100 else f"{hours:,.0f} h ({hours / 24:,.0f} days)"


def _bytes(count: float) -> str:
    return f"{count / 1e12:,.1f} TB" if count >= 1e12 else f"{count / 1e9:,.1f} GB"


def arithmetic() -> str:
    """One million and a hundred million photos."""
    i = Inputs.read(load("corpus", "0.2.0"))
    makers: list[tuple[str, Callable[[float], str]]] = [
        ("preparing, core-hours: N c", lambda n: f"{n * i.work / HOUR:,.0f}"),
        *(
            (
                f"preparing on {cores} cores: N c / {cores}",
                lambda n, k=cores: _hours(n * i.work / k),
            )
            for cores in CORES
        ),
        ("photos read: N p", lambda n: _bytes(n * i.photo)),
        ("chunks written, then shards: N s each", lambda n: _bytes(n * i.sample)),
        (
            "free disk needed at the end: N (2 s + x + j)",
            lambda n: _bytes(n * (2 * i.sample + i.index + i.summary)),
        ),
        ("index: N x", lambda n: _bytes(n * i.index)),
        (
            "network while preparing on 1024 cores: 1024 (p + s) / c",
            lambda _: f"{1024 * (i.photo + i.sample) / i.work / 1e6:,.0f} MB/s",
        ),
        ("finishing, one core: N f", lambda n: _hours(n * i.finish)),
        ("memory while finishing: N m", lambda n: _bytes(n * i.memory)),
        (
            "searching near-duplicates, one core: N a + N² b",
            lambda n: _hours(n * i.linear + n * n * i.square),
        ),
        (
            "laying pairs over each other, one core, at most: N² q d / 2",
            lambda n: _hours(n * n * i.chance * i.pair),
        ),
    ]
    rows = [(label, *(make(n) for n in MANY)) for label, make in makers]
    return table(("N", *(f"{n:,}" for n in MANY)), rows)


def build() -> str:
    """What became of our own pictures."""
    r = load("corpus_build", "0.2.0")
    rows = [
        ("pictures in", f"{r['items']:,}"),
        ("faces kept", f"{r['kept']:,}"),
        *((f"dropped: `{reason}`", n) for reason, n in r["dropped"].items()),
        ("people", f"{r['identities']:,}"),
        *((f"in {split}", f"{n:,}") for split, n in r["splits"].items()),
        (
            "copies found / under two names",
            "{pairs} / {across_identities}".format(**r["near_duplicates"]),
        ),
        ("pairs of one sitting", r["near_duplicates"]["alike"]),
    ]
    note = "`visagist corpus build --recipe recipes/corpus.yaml --data DIR -o corpus --json`."
    return f"{table(('', ''), rows)}\n\n{note}"


TABLES: dict[str, Callable[[], str]] = {
    "corpus-build": build,
    "corpus-stages": stages,
    "corpus-engines": engines,
    "corpus-growth": growth,
    "corpus-inputs": inputs,
    "corpus-arithmetic": arithmetic,
}
