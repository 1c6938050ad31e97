"""Publishing lists what has changed, and shards that could not follow do so at the next publishing."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest
from support.catalogues import Loaded, load_catalogue

from qserv_py.czar.cluster import Cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.czar.session import Session
from qserv_py.errors import WorkerError
from qserv_py.ingest.destination import Destination
from qserv_py.ingest.publishing import publish_database
from qserv_py.ingest.run import run_ingest
from qserv_py.ingest.storage.upkeep import Upkeep
from qserv_py.registry import snapshots
from qserv_py.registry.listing import list_workers
from qserv_py.registry.snapshots import count_served
from qserv_py.registry.snapshots import segments_of as listed
from qserv_py.workers.row_store import RowStore


def rows_on_shards(cluster: Cluster, table: str) -> int:
    """Return the rows that psql sees in a table, on all shards."""
    total = 0
    for conninfo in cluster.admin.values():
        with psycopg.connect(conninfo) as connection:
            row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
            total += row[0] if row else 0
    return total


def append(destination: Destination, field: Loaded, name: str, scratch: Path, *, start: int, rows: int) -> None:
    path = scratch / f"{name}-{start}.parquet"
    pq.write_table(field.tables["Object"].slice(start, rows), path)
    run_ingest(destination, database=name, table="Object", files=[path])


def test_an_appended_row_lists_its_chunk(
    cluster: Cluster, field: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = {"Object": field.tables["Object"].slice(0, 150)}
    load_catalogue(cluster, tmp_path, name="appended", tables=first, target_rows=10)
    made: list[object] = []
    make = snapshots.segment_of

    def counting(row: tuple[object, ...]) -> object:
        made.append(row[:3])
        return make(row)

    monkeypatch.setattr(snapshots, "segment_of", counting)
    with open_destination(cluster, sync=False) as destination:
        known = len(listed(destination.registry, "appended"))
        append(destination, field, "appended", tmp_path, start=150, rows=1)
        made.clear()
        summary = publish_database(destination, "appended")
        changed, served = set(made), count_served(destination.registry, "appended")
        assert 1 <= len(changed) <= 5 < known // 4, "the row's chunk, and those that have it as overlap"
        assert known <= summary.chunk_tables == served <= known + 1
        made.clear()
        assert publish_database(destination, "appended").upkeep == Upkeep()
        assert made == [], "nothing has changed"
    assert rows_on_shards(cluster, "appended.object") == 151


def test_shards_that_did_not_follow_do_so_at_the_next_publishing(
    cluster: Cluster, field: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = {"Object": field.tables["Object"].slice(0, 100)}
    load_catalogue(cluster, tmp_path, name="followed", tables=first, target_rows=30)
    with open_destination(cluster, sync=False) as destination:
        append(destination, field, "followed", tmp_path, start=100, rows=40)

        def busy(*_: object, **__: object) -> None:
            raise WorkerError("a running query still reads it")

        with monkeypatch.context() as patched:
            patched.setattr(RowStore, "show", busy)
            summary = publish_database(destination, "followed")
        assert summary.upkeep.behind, "publishing is no worse for it"
        with Session(cluster) as session:
            [count] = session.answer("SELECT COUNT(*) AS n FROM followed.Object").batches()
            assert count.to_pylist() == [{"n": 140}]
        assert rows_on_shards(cluster, "followed.object") == 100
        append(destination, field, "followed", tmp_path, start=140, rows=10)
        assert publish_database(destination, "followed").upkeep.behind == ()
        assert rows_on_shards(cluster, "followed.object") == 150


def test_rows_are_counted_for_each_worker(cluster: Cluster, field: Loaded, tmp_path: Path) -> None:
    with cluster.registry() as registry:
        before = {line.worker: line.rows for line in list_workers(registry)}
        load_catalogue(
            cluster, tmp_path, name="counted", tables={"Object": field.tables["Object"].slice(0, 90)}, target_rows=30
        )
        after = {line.worker: line.rows for line in list_workers(registry)}
        assert sum(after.values()) - sum(before.values()) == 90
        with registry.connection() as connection:
            rows = (
                "SELECT w.name, sum(p.rows) FROM part p JOIN worker w USING (worker_id) WHERE role = 'chunk' GROUP BY 1"
            )
            assert {name: count for name, count in after.items() if count} == dict(
                connection.execute(rows.encode()).fetchall()
            )
