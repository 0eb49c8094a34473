"""Write the lists of the recognition protocols from a labelled tree.

    python benchmarks/recognition_lists.py --data DIR --into LISTS

LISTS is src/visagist/recognition/evaluation/lists. The files are part of the package, so that
everybody's numbers are of the same comparisons; this says how they came about. The draws are
seeded: the same tree gives the same files.
"""

from __future__ import annotations

import argparse
import csv
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from visagist.corpus.labelled import read_splits

SPLITS = 200
"""Random half-splits."""

Row = tuple[str, str, str, str]
Splits = dict[str, tuple[str, str]]


def by_identity(splits: Splits, folder: str, split: str) -> dict[str, list[str]]:
    """Identity -> sorted pictures of one folder and split."""
    people = defaultdict(list)
    for name, (identity, home) in sorted(splits.items()):
        if home == split and name.startswith(f"{folder}/"):
            people[identity].append(name)
    return people


def pairs(data: Path, splits: Splits, split: str, named: str) -> Iterator[Row]:
    """Colour enrolled, grey as mate."""
    with (data / "portraits_pairs.csv").open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            identity, home = splits[row["portraits"]]
            if home == split:
                yield named, identity, "enrolled", row["portraits"]
                yield named, identity, "mate", row["portraits_grey"]


def singles(splits: Splits, split: str, taken: set[str]) -> Iterator[Row]:
    """People with one portrait, and generated people: strangers."""
    people = defaultdict(list)
    for folder in ("portraits", "portraits_grey"):
        for identity, names in by_identity(splits, folder, split).items():
            people[identity] += names
    for identity, names in sorted(people.items()):
        if identity not in taken and len(names) == 1:
            yield "singles", identity, "stranger", names[0]
    for identity, names in sorted(by_identity(splits, "generated", split).items()):
        if len(names) == 1:
            yield "generated", identity, "stranger", names[0]


def test_rows(data: Path, splits: Splits) -> Iterator[Row]:
    """London neutral against smiling, portrait pairs, and strangers of the test split."""
    for identity, names in sorted(by_identity(splits, "london", "test").items()):
        neutral, smiling = sorted(names)
        yield "london", identity, "enrolled", neutral
        yield "london", identity, "mate", smiling
    paired = list(pairs(data, splits, "test", "pairs"))
    yield from paired
    yield from singles(splits, "test", {row[1] for row in paired})
    for identity, names in sorted(by_identity(splits, "faces_easy", "test").items()):
        for name in names:
            yield "snapshots", identity, "stranger", name


def validation_rows(data: Path, splits: Splits) -> Iterator[Row]:
    """Portrait pairs of validation and train, snapshots, and strangers of validation."""
    paired = list(pairs(data, splits, "validation", "pairs"))
    yield from paired
    yield from pairs(data, splits, "train", "pairs_train")
    for identity, names in sorted(by_identity(splits, "faces_easy", "validation").items()):
        yield "snapshots", identity, "enrolled", names[0]
        for name in names[1:]:
            yield "snapshots", identity, "mate", name
    yield from singles(splits, "validation", {row[1] for row in paired})


def halves(rows: Sequence[Row]) -> dict[str, str]:
    """Identity -> a digit for each half-split; half of every set is enrolled each time."""
    sets = defaultdict(list)
    for named, identity, role, _ in rows:
        if role == "enrolled":
            sets[named].append(identity)
    digits: dict[str, list[str]] = {i: ["0"] * SPLITS for people in sets.values() for i in people}
    rng = random.Random(0)
    for number in range(SPLITS):
        for people in sets.values():
            # an odd one goes to either side in turn
            for identity in rng.sample(people, (len(people) + number % 2) // 2):
                digits[identity][number] = "1"
    return {identity: "".join(row) for identity, row in digits.items()}


def write(path: Path, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows([head, *rows])


def main() -> None:
    """Write both splits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--into", type=Path, required=True)
    options = parser.parse_args()
    splits = read_splits(options.data / "splits.csv")
    for split, make in (("test", test_rows), ("validation", validation_rows)):
        rows = list(make(options.data, splits))
        write(options.into / f"{split}.csv", ("set", "identity", "role", "file"), rows)
        write(
            options.into / f"{split}_halves.csv", ("identity", "halves"), list(halves(rows).items())
        )


if __name__ == "__main__":
    main()
