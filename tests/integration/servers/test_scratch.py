"""Scratch relations of one process on a shard: what is lost and what stays when connections are cut."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pyarrow as pa
import pytest

from qserv_py.cancelling import Cancel
from qserv_py.catalog.types import DataType
from qserv_py.workers import scratch
from qserv_py.workers.copy_binary import CopyColumn
from qserv_py.workers.scratch import SCRATCH_SCHEMA, ScratchStore, new_name, new_number

ROWS = pa.table({"x": pa.array([1, 2, 3], pa.int64())})
NUMBER = new_number()


@pytest.fixture
def store(shard: str) -> Iterator[ScratchStore]:
    made = ScratchStore("w1", shard, number=NUMBER, most_bytes=1 << 20)
    yield made
    made.close()


def put(store: ScratchStore) -> str:
    name = new_name(NUMBER)
    store.put(name, ROWS, [CopyColumn("x", DataType.LONG)], cancel=Cancel())
    return name


def relations(shard: str) -> set[str]:
    with psycopg.connect(shard) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [SCRATCH_SCHEMA])
        return {name for (name,) in rows}


def test_relations_stay_when_the_connection_that_holds_their_lock_is_cut(store: ScratchStore, shard: str) -> None:
    first = put(store)
    assert store._keeper is not None
    with psycopg.connect(shard, autocommit=True) as connection:
        held = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = %s::bigint::oid"
        [(pid,)] = connection.execute(held, [NUMBER]).fetchall()
        connection.execute("SELECT pg_terminate_backend(%s, 20000)", [pid])
        abandoned = new_name(NUMBER ^ 1)
        connection.execute(f"CREATE UNLOGGED TABLE {SCRATCH_SCHEMA}.{abandoned} (x int)")
        second = put(store)
        assert relations(shard) == {first, second}, "those of a process that is no more are swept"
        assert len(connection.execute(held, [NUMBER]).fetchall()) == 1


def test_what_could_not_be_dropped_is_dropped_before_the_next(
    store: ScratchStore, shard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "LOCK_TIMEOUT", "20ms")
    first = put(store)
    with psycopg.connect(shard) as reader:
        reader.execute(f"SELECT * FROM {SCRATCH_SCHEMA}.{first}")
        store.drop([first])
        second = put(store)
        assert relations(shard) == {first, second}
        assert set(store._bytes) == {first, second}, "it counts as long as it is there"
    third = put(store)
    assert relations(shard) == set(store._bytes) == {second, third}
