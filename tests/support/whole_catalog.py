"""The catalogue with the chunks of all databases."""

from __future__ import annotations

from qserv_py.catalog.snapshot import Catalog
from qserv_py.czar.chunk_loader import ChunkLoader
from qserv_py.registry.connection import Registry


def whole_catalog(registry: Registry) -> Catalog:
    """Return everything that queries may see at this moment."""
    catalog = registry.describe({}).catalog()
    whole = ChunkLoader(registry).put_into(catalog, [database.name for database in catalog.databases])
    assert whole is not None
    return whole
