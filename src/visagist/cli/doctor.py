"""``visagist doctor``: what is installed, what is whole, how fast this machine is."""

from __future__ import annotations

from dataclasses import asdict

import typer

from visagist.cli.output import Json, print_json, table

__all__ = ["doctor"]


def doctor(as_json: Json = False) -> None:
    """Say what is installed, which model files are whole and how fast this machine is.

    Ends with one line a problem and its fix; the exit code is 1 if there is one.
    """
    from visagist.deploy.doctor import examine

    report = examine()
    if as_json:
        print_json(asdict(report))
    else:
        rows = [
            ("python", f"{report.python} on {report.system}"),
            *((name, version or "-") for name, version in report.packages.items()),
            ("engines", ", ".join(report.engine["providers"])),
            ("cpu", report.cpu["name"]),
            (
                "cores",
                "{cores}, {usable_cores} usable, {threads_by_default} used".format(**report.cpu),
            ),
            ("cpu features", " ".join(report.cpu["features"]) or "unknown"),
            ("face detector", report.detector or "none"),
            *(("models in", place) for place in report.places),
            *(("model", _model(entry)) for entry in report.models),
            *(("speed", f"{ms:8.2f} ms  {what}") for what, ms in report.speed.items()),
        ]
        table(rows)
        print()
        for note in report.notes:
            print(f"note: {note}")
        for problem in report.problems:
            print(f"problem: {problem.what} -> {problem.fix}")
        if not report.problems:
            print("no problem found")
    if report.problems:
        raise typer.Exit(1)


def _model(entry: dict[str, object]) -> str:
    if not entry["whole"]:
        return f"{entry['name']}: damaged"
    files = entry["files"]
    assert isinstance(files, dict)
    size = sum(file["bytes"] for file in files.values())
    digest = files["model.onnx"]["sha256"][:12]
    return (
        f"{entry['name']} {entry['version']}: whole, {len(files)} files, {size:,} bytes, {digest}"
    )
