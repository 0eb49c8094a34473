from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from visagist.corpus.build import BuildConfig, CorpusRecipe
from visagist.corpus.prepare import PhotoConfig
from visagist.errors import ConfigError

ROOT = Path(__file__).parents[3]


def knobs(prefix: str, config: BaseModel) -> Iterator[str]:
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            yield from knobs(f"{prefix}.{name}", value)
            continue
        assert field.description, f"{prefix}.{name} is not described"
        shown = ", ".join(value) if isinstance(value, tuple) else value
        yield f"| `{prefix}.{name}` | {shown} | {field.description} |"


def table() -> str:
    rows = [*knobs("photos", PhotoConfig()), *knobs("build", BuildConfig())]
    return "\n".join(["| field | default | meaning |", "| --- | --- | --- |", *rows])


def test_every_knob_is_described_and_documented():
    """To write the table anew: python -m tests.corpus.build.test_config."""
    text = (ROOT / "docs" / "corpus.md").read_text(encoding="utf-8")
    assert text.partition("<!-- knobs -->\n")[2].partition("\n<!-- /knobs -->")[0] == table()


def test_the_recipe_of_the_bundled_networks_is_valid():
    recipe = CorpusRecipe.read(ROOT / "recipes" / "corpus.yaml")
    assert [source.name for source in recipe.sources][:2] == ["congress", "faces_easy"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("photos: {size: big}", "photos.size"),
        ("build: {duplicates: {bits: 9}}", "build.duplicates.bits"),
        ("colour: red", "colour: Extra inputs"),
        ("a: [", "not YAML"),
        ("- 1", "the recipe"),
    ],
)
def test_a_wrong_recipe_is_named(tmp_path, text, message):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        CorpusRecipe.read(path)


def test_a_recipe_that_is_no_text(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        CorpusRecipe.read(tmp_path / "gone.yaml")
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not a text file"):
        CorpusRecipe.read(tmp_path / "x.yaml")


if __name__ == "__main__":
    page = ROOT / "docs" / "corpus.md"
    before, _, rest = page.read_text(encoding="utf-8").partition("<!-- knobs -->\n")
    after = rest.partition("<!-- /knobs -->")[2]
    page.write_text(f"{before}<!-- knobs -->\n{table()}\n<!-- /knobs -->{after}", encoding="utf-8")
