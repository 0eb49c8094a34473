from __future__ import annotations

import json

import yaml

from tests.corpus.small_corpus import drawn_corpus
from tests.makeup.model_folder import small_recipe
from visagist.makeup.training import MakeupRecipe, train
from visagist.training.run import RECIPE, WEIGHTS, read_run


def test_it_learns_on_drawn_faces(tmp_path):
    corpus = drawn_corpus(tmp_path / "corpus", train=4, validation=8, test=0, size=320, zoom=1.25)
    recipe = small_recipe(
        steps=60, lr=6e-3, warmup=4, log_every=10, validate_every=15, ema_gamma=3.0
    )
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(json.loads(recipe.model_dump_json())))
    out = train(path, data=corpus, output=tmp_path / "run", cache=tmp_path / "cache", workers=1)
    assert list((tmp_path / "cache").glob("faces-*/crops.npy"))
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    gains = [line["val_gain"] for line in log if "val_gain" in line]
    assert gains[-1] > gains[0] + 0.5
    assert gains[-1] > 0.1  # better than doing nothing
    assert (out / WEIGHTS).is_file()
    assert (out / RECIPE).is_file()
    resolved, _ = read_run(out, MakeupRecipe)
    assert resolved == recipe
