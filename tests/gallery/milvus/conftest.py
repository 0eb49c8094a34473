from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pymilvus", reason="the extra milvus is not installed")
pytest.importorskip("milvus_lite", reason="the extra milvus is not installed")

from tests.gallery.milvus.lite import place
from visagist.gallery import backends, gallery


@pytest.fixture
def on_milvus(monkeypatch):
    """Galleries that a test makes as files lie in folders of Milvus Lite beside these names."""

    def moved(where):
        return place(where) if isinstance(where, Path) else where

    monkeypatch.setattr(
        gallery, "create_store", lambda where, *more: backends.create_store(moved(where), *more)
    )
    monkeypatch.setattr(gallery, "open_store", lambda where: backends.open_store(moved(where)))
