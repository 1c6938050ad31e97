"""Ingest killed at many moments: after recovery its rows are there exactly once, or not at all, and no file is left."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.ingested import Shards, add_small, check_parts, followers, ingest, objects
from support.kill_driver import KillDriver
from support.schemas import places_database

from qserv_py.catalog.model import Database
from qserv_py.catalog.part import PartRole
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.ingest.destination import Destination
from qserv_py.ingest.publishing import publish_database
from qserv_py.ingest.recovery import recover
from qserv_py.registry.snapshots import parts_of
from qserv_py.registry.transactions import TransactionState, unfinished_transactions

POINTS = 24
TIMED = 8
ORPHAN_POINTS = 6


@pytest.fixture(scope="module")
def driver() -> Iterator[KillDriver]:
    made = KillDriver("killed_ingest.py")
    yield made
    made.close()


def test_killed_at_any_moment(cluster: Cluster, driver: KillDriver, tmp_path: Path) -> None:
    database = add_small(cluster, tmp_path, "killed")
    shards = Shards(cluster, database)
    chooser = random.Random(20)
    with open_destination(cluster, sync=False) as destination:
        present: dict[str, list[int]] = {"Object": [], "Source": []}
        moments = {}
        for table in present:
            ended, moments[table] = driver.run(cluster.config.directory, "killed", table, batch(tmp_path, table, 0))
            assert ended == "0"
            present[table] += settled(destination, database, table, 0)
        assert min(moments.values()) > 30, "many moments to be killed at"
        kills = {True: 0, False: 0}
        for number in range(1, POINTS + TIMED + 1):
            table = "Object" if number % 3 else "Source"
            if number <= POINTS:
                step = (moments[table] - 2) / POINTS
                how = {"point": 1 + int((number - 1) * step) + chooser.randrange(max(1, int(step)))}
            else:
                how = {"delay_ms": chooser.randrange(20, 600)}
            ended, _ = driver.run(cluster.config.directory, "killed", table, batch(tmp_path, table, number), **how)
            there = settled(destination, database, table, number)
            assert there == [] or there == ids_of(table, number), f"half of a batch after {how}"
            present[table] += there
            kills[bool(there)] += ended == "killed"
            if number % 8 == 0:
                publish_database(destination, "killed")
                for name, key in (("Object", "objectId"), ("Source", "sourceId")):
                    assert [one for (one,) in shards.rows(name, [key])] == sorted(
                        present[name], key=lambda i: repr((i,))
                    )
        check_rows_once(destination, database, shards)
        assert sum(kills.values()) >= 20
        assert min(kills.values()) >= 4, "some kills before the commit, some after it"


def batch(directory: Path, table: str, number: int) -> Path:
    """Write the rows of an ingest."""
    rows = objects(240, seed=number, first_id=1000 * number, ra=7.0 * number)
    if table == "Source":
        rows = objects(240, seed=0, first_id=0)
        sources = followers(rows, seed=number)["Source"]
        rows = sources.set_column(0, "sourceId", pa.array(ids_of(table, number)))
    path = directory / f"{table}-{number}.parquet"
    pq.write_table(rows, path)
    return path


def ids_of(table: str, number: int) -> list[int]:
    return list(range(1000 * number, 1000 * number + (240 if table == "Object" else 720)))


def settled(destination: Destination, database: Database, table: str, number: int) -> list[int]:
    """Recover, check that nothing is left half done, and return the ids of a batch that are in the parts."""
    recover(destination, database=database.name)
    assert unfinished_transactions(destination.registry, database=database.name) == ()
    check_parts(destination, database)
    key = "objectId" if table == "Object" else "sourceId"
    found: list[int] = []
    for part in parts_of(destination.registry, database.name, tables=[table], roles=[PartRole.CHUNK]):
        found += pq.ParquetFile(destination.file_of(part)).read([key]).column(key).to_pylist()
    assert len(found) == len(set(found)), "no row twice"
    return sorted(set(found) & set(ids_of(table, number)))


def check_rows_once(destination: Destination, database: Database, shards: Shards) -> None:
    """Check that each relation holds its parts once, those of the overlap among them."""
    publish_database(destination, database.name)
    expected: dict[tuple[str, bool], int] = {}
    for part in parts_of(destination.registry, database.name, roles=[PartRole.CHUNK, PartRole.OVERLAP]):
        name = (part.table.lower(), part.role is PartRole.OVERLAP)
        expected[name] = expected.get(name, 0) + part.rows
    held: dict[tuple[str, bool], int] = {}
    for (_, relation), rows in shards.relations().items():
        key = (relation.partition("_")[0], "_overlap_" in relation)
        held[key] = held.get(key, 0) + rows
    assert held == expected


def test_orphans_killed_at_any_moment(cluster: Cluster, driver: KillDriver, tmp_path: Path) -> None:
    """The keys of orphans are in the index exactly when their rows are in the table."""
    database = places_database(tmp_path, name="strays")
    with cluster.registry() as registry:
        registry.add_database(database)

    def orphans(number: int) -> list[tuple[int, int | None]]:
        keys = [None, 1, 100 + number, 100 + number, 101 + number, 7]  # some of them are another batch's, too
        return [(10 * number + place, key) for place, key in enumerate(keys)]

    def write(number: int) -> Path:
        rows = orphans(number)
        path = tmp_path / f"orphans-{number}.csv"
        lines = [f"{'' if key is None else key},{row},{(37 * row) % 360},{row % 80 - 40}" for row, key in rows]
        path.write_text("\n".join(["id,number,ra,dec", *lines]) + "\n")
        return path

    with open_destination(cluster, sync=False) as destination:
        first = tmp_path / "first.csv"
        first.write_text("id,ra,dec\n1,10,10\n")
        driver.run(cluster.config.directory, "strays", "Object", first)
        ended, moments = driver.run(cluster.config.directory, "strays", "Source", write(0))
        assert ended == "0"
        present = list(orphans(0))
        for number in range(1, ORPHAN_POINTS + 1):
            point = 1 + (number - 1) * (moments - 2) // (ORPHAN_POINTS - 1)
            driver.run(cluster.config.directory, "strays", "Source", write(number), point=point)
            recover(destination, database="strays")
            check_parts(destination, database)
            rows = rows_of(destination, "strays", PartRole.CHUNK)
            there = [row for row in zip(rows["number"], rows["id"], strict=True) if row in orphans(number)]
            assert there in ([], orphans(number)) or sorted(there) == orphans(number), f"half of a batch at {point}"
            present += there
            assert sorted(rows["number"]) == sorted(row for row, _ in present)
            index = rows_of(destination, "strays", PartRole.INDEX)
            places = dict(zip(index["id"], index["healpix29"], strict=True))
            assert len(places) == len(index["id"]), "no key twice"
            assert places.keys() == {key for _, key in present} - {None, 1}
            of_keys = {(k, c) for k, c in zip(rows["id"], rows["healpix29"], strict=True) if k not in {None, 1}}
            assert of_keys == set(places.items()), "all rows of a key where the index says"
        assert 2 < len({row // 10 for row, _ in present}) <= ORPHAN_POINTS, "some kills before the commit, some after"


def rows_of(destination: Destination, database: str, role: PartRole) -> dict[str, list[Any]]:
    """Return the columns of the committed parts of Source."""
    found: dict[str, list[Any]] = {}
    for part in parts_of(destination.registry, database, tables=["Source"], roles=[role]):
        file = destination.file_of(part)
        rows = pq.read_table(file) if role is PartRole.CHUNK else pa.ipc.open_file(str(file)).read_all()
        for name in rows.column_names:
            found.setdefault(name, []).extend(rows.column(name).to_pylist())
    return found


def test_the_spool_goes_and_others_are_left_alone(cluster: Cluster, driver: KillDriver, tmp_path: Path) -> None:
    add_small(cluster, tmp_path, "killed2")
    database = add_small(cluster, tmp_path, "alive")
    with open_destination(cluster, sync=False) as destination, open_destination(cluster, sync=False) as other:
        from qserv_py.registry.transactions import begin_transaction

        busy = begin_transaction(other.registry, "alive")
        file = tmp_path / "x.parquet"
        pq.write_table(objects(240, seed=3), file)
        ended, _ = driver.run(cluster.config.directory, "killed2", "Object", file, point=20)
        assert ended == "killed"
        ends = recover(destination)
        assert [(end.database, end.state) for end in ends] == [("killed2", TransactionState.ABORTED)]
        assert [left.transaction_id for left in unfinished_transactions(destination.registry)] == [busy]
        ingest(destination, tmp_path, database.name, "Object", objects(10, seed=1))
        other.registry.close()
        assert [end.transaction_id for end in recover(destination)] == [busy]
