"""Face detectors behind one small protocol."""

from __future__ import annotations

from functools import cache

from visagist.face.detect.mtcnn import MtcnnDetector
from visagist.face.detect.protocol import Detector
from visagist.face.detect.yunet import YuNetDetector

__all__ = ["Detector", "MtcnnDetector", "YuNetDetector", "default_detector"]


@cache
def default_detector() -> Detector:
    """The detector used when none is named; loaded once per process.

    Raises:
        ModelMissingError: its weights are not installed.
        ModelDamagedError: its weights are not the tested ones.
    """
    return MtcnnDetector()
