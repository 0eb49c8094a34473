"""A gallery on a Milvus server, for more people than one machine holds; needs the extra milvus."""

from __future__ import annotations

from visagist.gallery.milvus.store import MilvusStore

__all__ = ["MilvusStore"]
