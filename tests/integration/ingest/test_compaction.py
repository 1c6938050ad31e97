"""Appended segments: only they are written, compaction changes no answer, and what a query reads stays till its end."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.catalogues import Loaded, load_catalogue
from support.ingested import Shards, add_small, check_parts, ingest, objects
from support.kill_driver import KillDriver
from support.schemas import small_database
from support.waiting import wait_until

from qserv_py.catalog.model import Database
from qserv_py.catalog.part import PartRole
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.czar.session import Session
from qserv_py.czar.upkeep import UpkeepThread
from qserv_py.errors import WorkerError
from qserv_py.ingest import publishing
from qserv_py.ingest.destination import Destination
from qserv_py.ingest.publishing import publish_database
from qserv_py.ingest.recovery import recover
from qserv_py.ingest.run import run_ingest
from qserv_py.ingest.storage import compaction
from qserv_py.ingest.storage.compaction import compact_database
from qserv_py.ingest.storage.upkeep import keep_up
from qserv_py.partitioner.healpix import healpix29_of
from qserv_py.registry.snapshots import parts_of, segments_of, snapshots_read
from qserv_py.registry.transactions import unfinished_transactions
from qserv_py.workers.row_store import RowStore

KILLS = int(os.environ.get("QSERV_TEST_KILLS", "16"))
"""Of the test of kills; the acceptance has 200."""

NEIGHBOURS = (
    "SELECT COUNT(*) AS n FROM compacted.Object a, compacted.Object b"
    " WHERE a.objectId < b.objectId AND DISTANCE(a.ra, a.dec, b.ra, b.dec) < 1"
)


@pytest.fixture
def destination(cluster: Cluster) -> Iterator[Destination]:
    with open_destination(cluster, sync=False) as opened:
        yield opened


def ids_on_shards(cluster: Cluster, database: Database) -> list[int]:
    """Return the ids that psql sees, sorted."""
    return sorted(int(str(one)) for (one,) in Shards(cluster, database).rows("Object", ["objectId"]))


def ids_of_queries(session: Session, database: Database) -> list[int]:
    """Return the ids that a query sees, sorted."""
    answer = session.answer(f"SELECT objectId FROM {database.name}.Object")
    return sorted(pa.Table.from_batches(list(answer.batches()), schema=answer.schema).column(0).to_pylist())


def segments_a_place(destination: Destination, database: Database) -> int:
    """Return the most segments that queries read of one chunk."""
    found: dict[object, int] = {}
    for segment in segments_of(destination.registry, database.name, pending=False):
        place = (segment.table, segment.chunk)
        found[place] = found.get(place, 0) + 1
    return max(found.values())


def test_an_append_writes_its_own_rows(
    cluster: Cluster, field: Loaded, destination: Destination, tmp_path: Path
) -> None:
    first = {"Object": field.tables["Object"].slice(0, 500)}
    load_catalogue(cluster, tmp_path, name="grown", tables=first, target_rows=100)
    path = tmp_path / "more.parquet"
    pq.write_table(field.tables["Object"].slice(500, 40), path)
    loading = []
    run_ingest(
        destination,
        database="grown",
        table="Object",
        files=[path],
        progress=lambda told: loading.append(told.total) if told.stage == "loading" else None,
    )
    overlap = sum(
        part.rows for part in parts_of(destination.registry, "grown", roles=[PartRole.OVERLAP], published=False)
    )
    assert set(loading) == {40 + overlap}


def test_compaction_changes_no_answer(cluster: Cluster, destination: Destination, tmp_path: Path) -> None:
    database = add_small(cluster, tmp_path, "compacted")
    present: list[int] = []
    with Session(cluster) as session:
        for number in range(8):
            rows = objects(80, seed=number // 4, first_id=1000 * number)
            ingest(destination, tmp_path, database.name, "Object", rows)
            present += rows.column("objectId").to_pylist()
            publish_database(destination, database.name)
            if number % 4 == 3:
                ingest(destination, tmp_path, database.name, "Object", objects(5, seed=77, first_id=500 + 10 * number))
                before = segments_a_place(destination, database)
                summary = compact_database(destination, database.name)
                assert 0 < summary.segments < summary.replaced
                assert segments_a_place(destination, database) < before
                assert ids_of_queries(session, database) == sorted(present), "rows that wait go on to wait"
                present += range(500 + 10 * number, 505 + 10 * number)
                publish_database(destination, database.name)
            assert ids_of_queries(session, database) == ids_on_shards(cluster, database) == sorted(present)
            neighbours = (
                "SELECT COUNT(*) AS n FROM compacted.Object a, compacted.Object b WHERE a.objectId < b.objectId"
            )
            near = f"{neighbours} AND DISTANCE(a.ra, a.dec, b.ra, b.dec) < 1"
            [count] = session.answer(near).batches()
            assert count.to_pylist() == [{"n": pairs_of(destination, database)}]
    wait_until(lambda: snapshots_read(destination.registry, database.name)[0] > 1)
    assert keep_up(destination, database).behind == ()
    check_parts(destination, database)
    held = sum(
        rows for (_, relation), rows in Shards(cluster, database).relations().items() if "overlap" not in relation
    )
    assert held == len(present), "what was replaced is gone"


def pairs_of(destination: Destination, database: Database) -> int:
    """Return the pairs of published objects within a degree, counted one by one."""
    parts = parts_of(destination.registry, database.name, tables=["Object"], roles=[PartRole.CHUNK], published=True)
    rows = pa.concat_tables(pq.ParquetFile(destination.file_of(part)).read(["ra", "dec"]) for part in parts)
    ra, dec = (np.radians(rows.column(name).to_numpy()) for name in ("ra", "dec"))
    places = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    return int((np.triu(apart < 2 * np.sin(np.radians(0.5)), k=1)).sum())


def test_what_a_query_reads_stays_until_it_has_ended(
    cluster: Cluster, destination: Destination, tmp_path: Path
) -> None:
    database = add_small(cluster, tmp_path, "long_read")
    ingest(destination, tmp_path, database.name, "Object", objects(60, seed=1))
    publish_database(destination, database.name)
    with Session(cluster) as session:
        answer = session.answer("SELECT objectId FROM long_read.Object")
        for number in range(1, 6):
            ingest(destination, tmp_path, database.name, "Object", objects(60, seed=1, first_id=100 * number))
            publish_database(destination, database.name)
            compact_database(destination, database.name)
        assert keep_up(destination, database).dropped == 0
        assert sum(batch.num_rows for batch in answer.batches()) == 60, "the snapshot that it began with"
        assert wait_until(lambda: keep_up(destination, database).dropped)
        assert ids_of_queries(session, database) == ids_on_shards(cluster, database)
    check_parts(destination, database)


def test_publishing_compacts_chunks_of_many_segments(
    cluster: Cluster, destination: Destination, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = add_small(cluster, tmp_path, "without_service")
    monkeypatch.setattr(publishing, "MANY", 5)
    for number in range(5):
        ingest(destination, tmp_path, database.name, "Object", objects(20, seed=1, first_id=100 * number))
        if number < 4:
            publish_database(destination, database.name)
            assert segments_a_place(destination, database) == number + 1
    with monkeypatch.context() as patched:
        patched.setattr(compaction, "write_part", broken_disk)
        publish_database(destination, database.name)
    assert segments_a_place(destination, database) == 5, "a full disk leaves all as it was, and fails no publishing"
    publish_database(destination, database.name)
    assert segments_a_place(destination, database) == 1
    expected = sorted(one for number in range(5) for one in range(100 * number, 100 * number + 20))
    assert ids_on_shards(cluster, database) == expected
    assert wait_until(lambda: not keep_up(destination, database).behind)
    check_parts(destination, database)


def broken_disk(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


def test_psql_counts_once_what_two_compactions_and_a_reader_leave(
    cluster: Cluster, destination: Destination, tmp_path: Path
) -> None:
    """A reader between two compactions: what only the first one's segments have goes, the second one's wait."""
    database = add_small(cluster, tmp_path, "amid")
    appended = iter(range(20))

    def append(times: int) -> None:
        for number, _ in zip(appended, range(times), strict=False):
            ingest(destination, tmp_path, database.name, "Object", objects(40, seed=5, first_id=100 * number))
            publish_database(destination, database.name)

    append(4)
    with Session(cluster) as before, Session(cluster) as between:
        first = before.answer("SELECT objectId FROM amid.Object")
        compact_database(destination, database.name)
        append(3)
        second = between.answer("SELECT objectId FROM amid.Object")
        append(3)
        compact_database(destination, database.name)
        present = ids_of_queries(before, database)
        assert ids_on_shards(cluster, database) == present
        assert sum(batch.num_rows for batch in first.batches()) == 160
        assert wait_until(lambda: keep_up(destination, database).dropped)
        assert ids_on_shards(cluster, database) == present
        assert sum(batch.num_rows for batch in second.batches()) < len(present)
    assert wait_until(lambda: keep_up(destination, database).dropped)
    assert ids_on_shards(cluster, database) == present
    check_parts(destination, database)


def test_a_compaction_that_cannot_be_loaded_is_undone(
    cluster: Cluster, destination: Destination, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = add_small(cluster, tmp_path, "no_room")
    for number in range(4):
        ingest(destination, tmp_path, database.name, "Object", objects(30, seed=1, first_id=100 * number))
        publish_database(destination, database.name)

    def full(*_: object, **__: object) -> int:
        raise WorkerError("could not extend file: No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(RowStore, "load", full)
        with pytest.raises(WorkerError, match="No space left"):
            compact_database(destination, database.name)
        publish_database(destination, database.name)
    check_parts(destination, database)
    assert compact_database(destination, database.name).segments
    assert len(ids_on_shards(cluster, database)) == 120


def sided(count: int, *, seed: int, first_id: int, side: int | None) -> pa.Table:
    """Return objects of a field, in the even or the odd cells of order 3, or in both."""
    random = np.random.default_rng(seed)
    ra, dec = random.uniform(0, 40, 20 * count), random.uniform(0, 30, 20 * count)
    chosen = np.ones(len(ra), dtype=bool) if side is None else (healpix29_of(ra, dec) >> 52) % 2 == side
    flux, label = pa.nulls(count, pa.float32()), ["x"] * count
    ids = first_id + np.arange(count)
    return pa.table(
        {"objectId": ids, "ra": ra[chosen][:count], "dec": dec[chosen][:count], "gFlux": flux, "label": label}
    )


def test_a_chunk_that_is_filled_after_a_compaction_has_its_neighbours_once(
    cluster: Cluster, destination: Destination, tmp_path: Path
) -> None:
    """Another database of the family made the chunk: rows from before stand not beside it, those from after do."""
    databases = []
    for name in ("filled", "filler"):
        database = small_database(tmp_path, name=name)
        family = replace(database.family, name="filled", overlap_arcsec=5400.0, min_order=3, target_rows=100_000)
        databases.append(replace(database, family=family))
        destination.registry.add_database(databases[-1])

    def add(name: str, rows: pa.Table) -> None:
        ingest(destination, tmp_path, name, "Object", rows)
        publish_database(destination, name)

    for number in range(4):
        add("filled", sided(60, seed=number, first_id=1000 * number, side=0))
    add("filler", sided(1000, seed=99, first_id=0, side=None))
    for number in range(4, 8):
        add("filled", sided(60, seed=number, first_id=1000 * number, side=0))
    assert compact_database(destination, "filled").segments
    add("filled", sided(200, seed=50, first_id=50_000, side=1))
    held: dict[object, list[int]] = {}
    for part in parts_of(destination.registry, "filled", tables=["Object"], roles=[PartRole.OVERLAP], published=True):
        ids = pq.ParquetFile(destination.file_of(part)).read(["objectId"]).column(0).to_pylist()
        held.setdefault(part.chunk, []).extend(ids)
    assert all(len(ids) == len(set(ids)) for ids in held.values()), "no neighbour twice"
    with Session(cluster) as session:
        [count] = session.answer(NEIGHBOURS.replace("compacted", "filled")).batches()
    assert count.to_pylist() == [{"n": pairs_of(destination, databases[0])}]


def test_a_service_compacts_by_itself(cluster: Cluster, destination: Destination, tmp_path: Path) -> None:
    database = add_small(cluster, tmp_path, "looked_after")
    for number in range(5):
        ingest(destination, tmp_path, database.name, "Object", objects(40, seed=1, first_id=100 * number))
        publish_database(destination, database.name)
    assert segments_a_place(destination, database) == 5
    with UpkeepThread(cluster, period_s=0.1) as upkeep:
        upkeep.start()
        assert wait_until(lambda: segments_a_place(destination, database) < 4)
        assert wait_until(
            lambda: all(segment.retired is None for segment in segments_of(destination.registry, database.name))
        )
    check_parts(destination, database)


def test_appends_killed_at_any_moment(cluster: Cluster, destination: Destination, tmp_path: Path) -> None:
    """Whatever a kill broke off, the next publishing shows each batch whole or not at all, to queries and to psql."""
    database = add_small(cluster, tmp_path, "cut_off")
    chooser = random.Random(13)
    driver = KillDriver("killed_appends.py")
    present: list[int] = []
    moments = 0
    try:
        for number in range(KILLS + 5):
            rows = objects(30, seed=3, first_id=100 * number)
            path = tmp_path / f"{number}.parquet"
            pq.write_table(rows, path)
            how = {"point": chooser.randrange(1, moments)} if number >= 5 else {}
            ended, passed = driver.run(cluster.config.directory, database.name, "Object", path, **how)
            assert ended == ("0" if number < 5 else "killed")
            moments = moments if how else passed
            recover(destination, database=database.name)
            assert unfinished_transactions(destination.registry, database=database.name) == ()
            publish_database(destination, database.name)
            seen = ids_on_shards(cluster, database)
            batch = sorted(rows.column("objectId").to_pylist())
            present += batch if set(batch) & set(seen) else []
            assert seen == sorted(present), f"after {how}"
            with Session(cluster) as session:
                assert ids_of_queries(session, database) == seen
    finally:
        driver.close()
    compact_database(destination, database.name)
    assert wait_until(lambda: not keep_up(destination, database).behind)
    check_parts(destination, database)
