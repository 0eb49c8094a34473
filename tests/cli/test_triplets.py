import json

import pytest

pytest.importorskip("cv2")
pytest.importorskip("pyarrow")

from tests.swap.triplets.small_triplets import OPEN, PEOPLE, SIZE, people_corpus
from visagist.cli import main


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return people_corpus(tmp_path_factory.mktemp("faces") / "corpus")


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.yaml"
    fields = {
        "mix": {"wear_on_target": 1},
        "target_edits": {"hat": 1},
        "size": SIZE,
        "gates": OPEN.model_dump(),
        "people": PEOPLE.model_dump(mode="json"),
    }
    path.write_text(json.dumps(fields))  # JSON is YAML
    return path


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return stopped.value.code, out, err


def test_a_set_its_report_and_a_sheet(capsys, corpus, recipe, tmp_path):
    out, sheet = tmp_path / "set", tmp_path / "sheet.png"
    arguments = ["triplets", corpus, "-n", 3, "-o", out, "--recipe", recipe, "--engine", "serial"]
    code, text, _ = run(capsys, *arguments, "--sheet", sheet, "--json")
    assert code == 0
    report = json.loads(text)
    assert report["built"]
    assert report["triplets"] == 3
    assert report["kinds"] == {"wear_on_target": 3}
    assert report["edits"] == {"hat": 3}
    assert sheet.stat().st_size > 1000
    code, text, _ = run(capsys, *arguments)
    assert code == 0
    assert "nothing to do" in text


def test_faults_end_in_one_line(capsys, corpus, recipe, tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("mix: {nothing: 1}")
    code, _, err = run(capsys, "triplets", corpus, "-n", 1, "-o", tmp_path / "a", "--recipe", wrong)
    assert code == 2
    assert "mix" in err
    code, _, err = run(capsys, "triplets", tmp_path, "-n", 1, "-o", tmp_path / "b")
    assert code == 3
    assert "no finished corpus" in err
    code, _, err = run(
        capsys, "triplets", corpus, "-n", 1, "-o", tmp_path / "c", "--recipe", recipe,
        "--embedder", tmp_path,
    )  # fmt: skip
    assert code == 6
