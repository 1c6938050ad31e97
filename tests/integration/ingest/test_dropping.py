"""A database is dropped from a shard in batches, and by a second call where the first was broken off."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from support.ingested import Shards, add_small, followers, ingest, objects

from qserv_py.czar.cluster import Cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.errors import QservError
from qserv_py.ingest.publishing import publish_database
from qserv_py.workers import row_store
from qserv_py.workers.row_store import RowStore

LEFT = """
SELECT (SELECT count(*) FROM pg_namespace WHERE nspname = 'dropped'),
       (SELECT count(*) FROM qserv.loaded_part WHERE schema_name = 'dropped')
"""


def test_a_database_goes_in_batches(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_store, "DROPPED_AT_ONCE", 3)
    database = add_small(cluster, tmp_path, "dropped")
    rows = objects(600, seed=5)
    with open_destination(cluster, sync=False) as destination:
        ingest(destination, tmp_path, "dropped", "Object", rows)
        ingest(destination, tmp_path, "dropped", "Visit", followers(rows, seed=6)["Visit"])
        publish_database(destination, "dropped")  # partitions, and a view that reads the ref table
    before = Shards(cluster, database).relations()
    assert min(sum(worker == name for name, _ in before) for worker in cluster.admin) > 5
    with RowStore("w1", cluster.admin["w1"]) as store, psycopg.connect(cluster.admin["w1"], autocommit=True) as other:
        held = sorted(relation for worker, relation in before if worker == "w1")
        store._connection.execute("SET lock_timeout = '100ms'")
        with other.transaction():
            other.execute(f"SELECT FROM dropped.{held[4]}".encode())
            with pytest.raises(QservError, match='worker "w1": a running query still reads'):
                store.drop_database("dropped")
            assert [relation.relation for relation in store.held_relations("dropped")] == held[3:]
        store.drop_database("dropped")
        assert other.execute(LEFT).fetchone() == (0, 0)
        store.drop_database("dropped")  # nothing is there any more
    for worker, conninfo in cluster.admin.items():
        with RowStore(worker, conninfo) as store, psycopg.connect(conninfo) as other:
            store.drop_database("dropped")
            assert other.execute(LEFT).fetchone() == (0, 0)
    with cluster.registry() as registry:
        registry.drop_database("dropped")
