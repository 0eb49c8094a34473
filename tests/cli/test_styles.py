from __future__ import annotations

from pathlib import Path

from visagist.makeup.style import builtin_styles
from visagist.photo import Photo


def test_styles_are_listed_with_their_descriptions(run) -> None:
    ran = run("styles")
    assert ran.code == 0
    assert [line.split()[0] for line in ran.out.splitlines()] == list(builtin_styles())


def test_styles_as_json(run) -> None:
    styles = run("styles", "--json").json["styles"]
    assert [style["name"] for style in styles] == list(builtin_styles())
    assert all(style["description"] for style in styles)


def test_the_preview_sheet(run, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    assert run("styles", "bare", "--preview", sheet).out.splitlines()[-1] == str(sheet)
    assert Photo.open(sheet).width > 500
    assert run("styles", "bare", "--preview", sheet).code == 3
    assert run("styles", "bare", "--preview", sheet, "--overwrite").code == 0


def test_a_style_of_ones_own(run, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\ndescription: my lips\nlips: {colour: '#aa2233'}\n")
    ran = run("styles", file, "bare")
    assert ran.code == 0
    assert ran.out.startswith("mine  my lips\nbare  ")
    file.write_text("name: mine\nlips: {color: '#aa2233'}\n")
    ran = run("styles", file)
    assert ran.code == 2
    assert "did you mean 'colour'" in ran.err
    assert "did you mean 'smoky'" in run("styles", "smokey").err
