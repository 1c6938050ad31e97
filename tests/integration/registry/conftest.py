"""A registry of the test's own, as it is after all migrations."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.postgres import TestServer

from qserv_py.registry.connection import Registry


@pytest.fixture
def registry_database(postgres_server: TestServer) -> Iterator[str]:
    """Connection string of a registry's database."""
    conninfo = postgres_server.create_registry()
    yield conninfo
    postgres_server.drop_database(conninfo)


@pytest.fixture
def registry(registry_database: str) -> Iterator[Registry]:
    """The registry in it."""
    with Registry(registry_database) as opened:
        yield opened
