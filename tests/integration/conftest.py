"""The sky that the queries of most modules ask of: a catalogue with few rows a chunk."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.catalogues import Loaded, load_catalogue
from support.sky import catalogue

from qserv_py.czar.cluster import Cluster
from qserv_py.czar.session import Session


@pytest.fixture(scope="session")
def field(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """The database "field" of the session's cluster."""
    tables = catalogue(5, "sparse", count=800)
    return load_catalogue(cluster, tmp_path_factory.mktemp("field"), name="field", tables=tables, target_rows=30)


@pytest.fixture
def session(cluster: Cluster, field: Loaded) -> Iterator[Session]:
    """A session of the test's own, over "field"."""
    with Session(cluster) as opened:
        yield opened
