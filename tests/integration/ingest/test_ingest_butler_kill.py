"""Ingests of datasets killed at many moments: the next one goes on, and in the end every row is there exactly once."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.butler_repository import FakeRepository, make_repository, source_id
from support.ingested import check_parts
from support.kill_driver import KillDriver

from qserv_py.catalog.part import PartRole
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.ingest.butler.prompt_schema import prompt_database
from qserv_py.ingest.destination import Destination
from qserv_py.ingest.recovery import recover
from qserv_py.registry.snapshots import parts_of

VISITS = 4
"""Of each round: two super-transactions."""

ROWS = 6


@pytest.fixture(scope="module")
def driver() -> Iterator[KillDriver]:
    made = KillDriver("killed_butler_ingest.py")
    yield made
    made.close()


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[FakeRepository]:
    made = make_repository(tmp_path / "repo")
    yield made
    made.close()


@pytest.mark.parametrize("kills", [8, pytest.param(40, marks=pytest.mark.long)])
def test_killed_at_any_moment(
    cluster: Cluster, driver: KillDriver, repository: FakeRepository, tmp_path: Path, kills: int
) -> None:
    name = f"killed_datasets_{kills}"
    with cluster.registry() as registry:
        registry.add_database(prompt_database(name))
    words = (cluster.config.directory, name, repository.path, "all")
    chooser = random.Random(kills)
    visits = list(range(1, VISITS + 1))
    repository.process(visits, "all", rows=ROWS)
    ended, moments = driver.run(*words)
    assert ended == "0"
    assert moments > 60, "many moments to be killed at"
    begun = killed = 0
    with open_destination(cluster, sync=False) as destination:
        check(destination, name, visits)
        while killed < kills:
            visits += range(visits[-1] + 1, visits[-1] + VISITS + 1)
            repository.process(visits[-VISITS:], "all", rows=ROWS)
            begun += 1
            for _ in range(3):  # the one after a kill is killed, too
                point = 1 + int((killed % 12 + chooser.random()) * moments / 12)
                ended, _ = driver.run(*words, point=point)
                killed += ended == "killed"
                recover(destination, database=name)
                found = loaded(destination, name)
                assert found <= set(visits)
                check_ids(destination, name, found)
            ended, _ = driver.run(*words)
            assert ended == "0"
            check(destination, name, visits)
    assert begun >= 3


def loaded(destination: Destination, database: str) -> set[int]:
    """Return the visits that are written down as loaded, published or not."""
    with destination.registry.connection() as connection:
        rows = connection.execute(
            "SELECT data_id ->> 'visit' FROM dataset JOIN catalog_table USING (table_id)"
            " JOIN catalog_database d USING (database_id) WHERE d.name = %s",
            [database],
        ).fetchall()
    assert len(rows) == len(set(rows)), "no dataset twice"
    return {int(visit) for (visit,) in rows}


def check_ids(destination: Destination, database: str, visits: set[int]) -> None:
    """Check that exactly the rows of some visits are in the parts, once, and that there is no other file."""
    check_parts(destination, destination.registry.database(database))
    found: list[int] = []
    for part in parts_of(destination.registry, database, tables=["Source"], roles=[PartRole.CHUNK]):
        found += pq.ParquetFile(destination.file_of(part)).read(["sourceId"]).column(0).to_pylist()
    assert sorted(found) == sorted(
        source_id(visit, detector, number) for visit in visits for detector in range(2) for number in range(ROWS // 2)
    )


def check(destination: Destination, database: str, visits: list[int]) -> None:
    """Check that all visits are loaded and published, with their images."""
    check_ids(destination, database, set(visits))
    with destination.registry.connection() as connection:
        datasets = connection.execute(
            "SELECT (data_id ->> 'visit')::int, rows FROM dataset JOIN catalog_table USING (table_id)"
            " JOIN catalog_database d USING (database_id) WHERE d.name = %s AND snapshot IS NOT NULL ORDER BY 1",
            [database],
        ).fetchall()
        images = connection.execute(
            "SELECT visit, detector FROM image JOIN catalog_database d USING (database_id)"
            " WHERE d.name = %s AND snapshot IS NOT NULL ORDER BY 1, 2",
            [database],
        ).fetchall()
    assert datasets == [(visit, ROWS) for visit in visits]
    assert images == [(visit, detector) for visit in visits for detector in range(2)]
