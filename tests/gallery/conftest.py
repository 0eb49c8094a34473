from __future__ import annotations

import pytest

from visagist.gallery import sqlite


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    """No test cuts the power, and a busy disk would make hundreds of changes slow."""
    monkeypatch.setattr(sqlite, "SYNCHRONOUS", "OFF")
