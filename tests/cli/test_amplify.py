import pytest

pytest.importorskip("cv2")
pytest.importorskip("torch")


def test_wrong_arguments_end_in_one_line(run, tmp_path):
    (tmp_path / "empty").mkdir()
    common = ["--faces", tmp_path / "corpus", "-o", tmp_path / "out"]
    nothing = run("amplify", tmp_path / "empty", *common)
    assert nothing.code == 2
    assert "holds no pair" in nothing.err
    strength = run("amplify", tmp_path / "empty", *common, "--strength", "much")
    assert strength.code == 2
    assert "0.7:1.0" in strength.err
    order = run("amplify", tmp_path / "empty", *common, "--strength", "1:0.5", "--json")
    assert order.code == 2
    assert order.json["error"]["type"] == "ConfigError"
    assert not (tmp_path / "out").exists()


def test_a_photo_without_a_face_is_no_template(run, tmp_path):
    np = pytest.importorskip("numpy")
    from visagist.photo import Photo

    photo = tmp_path / "grey.png"
    Photo.from_array(np.full((96, 96, 3), 127, np.uint8)).save(photo)
    common = ["--faces", tmp_path / "corpus", "-o", tmp_path / "out"]
    found = run("amplify", photo, *common, "--from-photo", "--json")
    assert found.json["error"]["type"] == "PairFaceError"
    assert not (tmp_path / "out").exists()
