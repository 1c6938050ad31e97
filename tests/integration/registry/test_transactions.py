"""Super-transactions in the registry: all of one or nothing, one owner, and what publishing makes visible."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.postgres import TestServer
from support.schemas import small_database
from support.waiting import wait_until
from support.whole_catalog import whole_catalog

from qserv_py.catalog.chunk import ChunkId
from qserv_py.catalog.part import NewChunk, NewPart, PartRole
from qserv_py.catalog.snapshot import Worker
from qserv_py.errors import NotFoundError, TransactionStateError
from qserv_py.registry import snapshots, transactions
from qserv_py.registry.connection import Registry
from qserv_py.registry.listing import list_chunks, list_tables, list_workers
from qserv_py.registry.queries import delete_readers, put_reader
from qserv_py.registry.queries import lock_name as lock_name_of_czar
from qserv_py.registry.statements import run
from qserv_py.registry.transaction_steps import lock_name
from qserv_py.registry.transactions import TransactionState

ONE, TWO, THREE = ChunkId(2, 100), ChunkId(3, 5), ChunkId(2, 0)


@pytest.fixture
def registry(registry_database: str, tmp_path: Path) -> Iterator[Registry]:
    with Registry(registry_database) as made:
        for name in ("w1", "w2"):
            made.put_worker(Worker(name=name, conninfo=f"host={name} port=5", parts_dir=f"/{name}"))
        made.add_database(small_database(tmp_path))
        yield made


def part(table: str, chunk: ChunkId | None, worker: str | None, path: str, **further: object) -> NewPart:
    """Return a part of ten rows."""
    role = further.pop("role", PartRole.CHUNK)
    assert isinstance(role, PartRole)
    return NewPart(table=table, role=role, chunk=chunk, worker=worker, path=path, rows=10, bytes=99, sha256="a" * 64)


def ingest(registry: Registry, parts: list[NewPart], chunks: list[NewChunk] | None = None) -> int:
    """Commit and load parts; return the transaction."""
    transaction_id = transactions.begin_transaction(registry, "small", context={"host": "here"})
    transactions.commit_transaction(registry, transaction_id, parts=parts, chunks=chunks or [])
    transactions.mark_loaded(registry, transaction_id)
    return transaction_id


FIRST_CHUNKS = [NewChunk(chunk=ONE, worker="w2"), NewChunk(chunk=TWO, worker="w1")]
FIRST_PARTS = [
    part("Object", ONE, "w2", "a"),
    part("Object", TWO, "w1", "b"),
    part("Object", ONE, "w2", "c", role=PartRole.OVERLAP),
    part("Object", None, None, "d", role=PartRole.INDEX),
    part("Visit", None, None, "e", role=PartRole.REF),
]


def test_a_committed_transaction_is_there_and_unseen_until_published(registry: Registry) -> None:
    transaction_id = transactions.begin_transaction(registry, "small")
    parts = transactions.commit_transaction(registry, transaction_id, parts=FIRST_PARTS, chunks=FIRST_CHUNKS)
    assert [(known.path, known.transaction_id, known.snapshot) for known in parts] == [
        (name, transaction_id, None) for name in "abcde"
    ]
    assert snapshots.parts_of(registry, "small") == parts
    state = registry.family("small").state
    assert list(zip(state.orders, state.pixels, state.workers, strict=True)) == [(3, 5, 0), (2, 100, 1)]
    assert whole_catalog(registry).snapshots == {}
    with pytest.raises(TransactionStateError, match='1 super-transactions of database "small" are committed and not'):
        snapshots.publish_snapshot(registry, "small")
    transactions.mark_loaded(registry, transaction_id)
    before = registry.catalog_version()
    assert snapshots.publish_snapshot(registry, "small") == 1
    assert registry.catalog_version() > before
    catalog = whole_catalog(registry)
    assert catalog.databases[0].state == "published"
    tables = catalog.snapshots["small"].tables
    assert tables["Object"].chunks.tolist() == [0, 1]
    assert tables["Object"].rows.tolist() == [10, 10]
    assert [tables["Object"].own.of(place) for place in (0, 1)] == [[1], [1]]
    assert (tables["Object"].total_rows, tables["Object"].index_runs) == (20, ("d",))
    assert (tables["Visit"].ref_generations, tables["Visit"].total_rows) == ((1,), 10)
    assert (tables["Source"].chunks.size, tables["Source"].total_rows) == (0, 0)
    assert not tables["Object"].rows.flags.writeable


def test_appended_rows_get_a_segment_of_their_own_once_others_are_published(registry: Registry) -> None:
    ingest(registry, FIRST_PARTS, FIRST_CHUNKS)
    ingest(registry, [part("Object", ONE, "w2", "f")])  # not published yet: in the first segment, too
    both = ("w1", "w2")
    found = snapshots.segments_of(registry, "small")
    assert [(one.table, one.chunk, one.workers, one.generation, one.since, one.retired) for one in found] == [
        ("Object", TWO, ("w1",), 1, None, None),
        ("Object", ONE, ("w2",), 1, None, None),
        ("Visit", None, both, 1, None, None),
    ]
    assert snapshots.publish_snapshot(registry, "small") == 1
    appended = ingest(registry, [part("Object", ONE, "w2", "g"), part("Visit", None, None, "h", role=PartRole.REF)])
    waiting = snapshots.segments_of(registry, "small", pending=True)
    assert [(entry.table, entry.generation, entry.since) for entry in waiting] == [
        ("Object", 2, None),
        ("Visit", 2, None),
    ]
    assert snapshots.segments_of(registry, "small", transaction_id=appended) == waiting
    held = snapshots.parts_of_segments(registry, waiting)
    assert [[entry.path for entry in held[one.segment_id]] for one in waiting] == [["g"], ["h"]]
    assert whole_catalog(registry).snapshots["small"].number == 1
    assert whole_catalog(registry).snapshots["small"].tables["Object"].total_rows == 30
    assert snapshots.publish_snapshot(registry, "small") == 2
    assert snapshots.publish_snapshot(registry, "small") == 2  # nothing new
    tables = whole_catalog(registry).snapshots["small"].tables
    assert tables["Object"].rows.tolist() == [10, 30]
    assert [tables["Object"].own.of(place) for place in (0, 1)] == [[1], [1, 2]]
    assert tables["Visit"].ref_generations == (1, 2)
    assert [entry.snapshot for entry in snapshots.parts_of(registry, "small", published=True)] == [1] * 6 + [2] * 2


def compact(registry: Registry, replaced: list[str], parts: list[NewPart]) -> int:
    """Commit and load a compaction of the parts of some paths; it is not published."""
    transaction_id = transactions.begin_transaction(registry, "small", compacts=True)
    ids = [one.part_id for one in snapshots.parts_of(registry, "small") if one.path in replaced]
    transactions.commit_transaction(registry, transaction_id, parts=parts, replaced=ids)
    transactions.mark_loaded(registry, transaction_id)
    return transaction_id


def test_a_compaction_takes_the_place_of_segments_and_shows_no_waiting_row(registry: Registry) -> None:
    ingest(registry, FIRST_PARTS, FIRST_CHUNKS)
    snapshots.publish_snapshot(registry, "small")
    ingest(registry, [part("Object", ONE, "w2", "f"), part("Object", None, None, "i", role=PartRole.INDEX)])
    snapshots.publish_snapshot(registry, "small")
    ingest(registry, [part("Object", ONE, "w2", "g")])
    before = snapshots.parts_of(registry, "small")
    merged = [
        replace(part("Object", ONE, "w2", "m"), rows=20),
        part("Object", ONE, "w2", "n", role=PartRole.OVERLAP),
        part("Object", None, None, "o", role=PartRole.INDEX),
    ]
    compact(registry, ["a", "c", "d", "f", "i"], merged)
    assert snapshots.parts_of(registry, "small") == before, "no row twice before it is published"
    assert [line.waiting for line in list_tables(registry) if line.table == "Object"] == [10]
    assert snapshots.publish_compactions(registry, "small") == 3
    assert snapshots.publish_compactions(registry, "small") == 3  # nothing new
    object_rows = whole_catalog(registry).snapshots["small"].tables["Object"]
    assert (object_rows.rows.tolist(), object_rows.total_rows, object_rows.index_runs) == ([10, 20], 30, ("o",))
    assert [object_rows.own.of(place) for place in (0, 1)] == [[1], [4]]
    assert object_rows.overlap.of(0) == [4]
    assert "".join(one.path for one in snapshots.parts_of(registry, "small")) == "begmno"
    assert snapshots.publish_snapshot(registry, "small") == 4
    assert whole_catalog(registry).snapshots["small"].tables["Object"].own.of(1) == [3, 4]
    assert whole_catalog(registry).snapshots["small"].tables["Object"].total_rows == 40


def test_parts_are_replaced_once(registry: Registry) -> None:
    ingest(registry, FIRST_PARTS, FIRST_CHUNKS)
    snapshots.publish_snapshot(registry, "small")
    compact(registry, ["a"], [part("Object", ONE, "w2", "m")])
    with pytest.raises(
        TransactionStateError, match="1 of the 2 parts that a compaction holds again are replaced already"
    ):
        compact(registry, ["a", "b"], [part("Object", ONE, "w2", "n")])


def test_what_a_process_reads_is_not_yet_to_be_dropped(registry: Registry) -> None:
    ingest(registry, FIRST_PARTS, FIRST_CHUNKS)
    snapshots.publish_snapshot(registry, "small")
    ingest(registry, [part("Object", ONE, "w2", "f")])
    snapshots.publish_snapshot(registry, "small")
    compact(registry, ["a", "c", "f"], [replace(part("Object", ONE, "w2", "m"), rows=20)])
    reading = transactions.begin_transaction(registry, "small")
    snapshots.publish_compactions(registry, "small")
    later = transactions.begin_transaction(registry, "small")
    [database_id] = [piece.version.database_id for piece in registry.describe({}).pieces]
    czar = "0123456789abcdef"
    with Registry(registry.conninfo) as other:
        with other.connection() as connection:
            run(connection, "lock", name=lock_name_of_czar(czar))
        put_reader(other, czar=czar, database_id=database_id, number=2)
        assert snapshots.snapshots_read(registry, "small") == (2, 3)
        assert snapshots.retired_segments(registry, "small", number=2) == ()
        delete_readers(other, czar=czar, snapshots=[(database_id, 2)])
    assert snapshots.snapshots_read(registry, "small") == (3, 3)
    retired = snapshots.retired_segments(registry, "small", number=3)
    assert [one.generation for one in retired] == [1, 2]
    in_place = snapshots.segments_in_place_of(registry, retired, number=2)
    assert [one.generation for one in in_place] == [1, 2]
    in_place = snapshots.segments_in_place_of(registry, retired, number=3)
    assert [one.generation for one in in_place] == [3]
    assert snapshots.retired_parts(registry, "small", number=3) == (), "an ingest that began before may read them"
    transactions.abort_transaction(registry, reading)
    gone = snapshots.retired_parts(registry, "small", number=3)
    assert "".join(one.path for one in gone) == "acf"
    for one in gone:  # as many calls as parts: a segment goes with its last part
        snapshots.forget_parts(registry, [one.part_id])
        assert [line.rows for line in list_workers(registry)] == held_rows(registry)
    assert snapshots.retired_segments(registry, "small", number=3) == ()
    assert held_rows(registry) == [10, 20]
    transactions.abort_transaction(registry, later)


def held_rows(registry: Registry) -> list[int]:
    """Return the rows of the chunk parts of each worker, counted one by one."""
    counted = (
        "SELECT coalesce(sum(p.rows) FILTER (WHERE p.role = 'chunk'), 0)::bigint FROM worker w LEFT JOIN part p"
        " USING (worker_id) GROUP BY w.worker_id ORDER BY w.worker_id"
    )
    with registry.connection() as connection:
        return [rows for (rows,) in connection.execute(counted.encode())]


def test_a_compaction_that_is_not_loaded_can_be_undone(registry: Registry) -> None:
    ingest(registry, FIRST_PARTS, FIRST_CHUNKS)
    snapshots.publish_snapshot(registry, "small")
    before = snapshots.segments_of(registry, "small"), snapshots.parts_of(registry, "small")
    transaction_id = transactions.begin_transaction(registry, "small", compacts=True)
    ids = [one.part_id for one in before[1] if one.path in "ac"]
    transactions.commit_transaction(registry, transaction_id, parts=[part("Object", ONE, "w2", "m")], replaced=ids)
    assert len(snapshots.segments_of(registry, "small")) == len(before[0]) + 1
    transactions.undo_compaction(registry, transaction_id, reason="the disk is full")
    transactions.undo_compaction(registry, transaction_id, reason="again")
    assert (snapshots.segments_of(registry, "small"), snapshots.parts_of(registry, "small")) == before
    assert transactions.transaction(registry, transaction_id).state is TransactionState.ABORTED
    assert [line.rows for line in list_workers(registry)] == held_rows(registry)
    compact(registry, ["a", "c"], [part("Object", ONE, "w2", "n")])
    assert snapshots.publish_compactions(registry, "small") == 2


def test_chunks_of_overlap_alone_are_not_queried(registry: Registry) -> None:
    ingest(registry, [part("Object", ONE, "w2", "a"), part("Truth", ONE, "w2", "b", role=PartRole.OVERLAP)],
           [NewChunk(chunk=ONE, worker="w2")])  # fmt: skip
    snapshots.publish_snapshot(registry, "small")
    assert whole_catalog(registry).snapshots["small"].tables["Truth"].chunks.size == 0


def test_parts_are_narrowed(registry: Registry) -> None:
    first = ingest(registry, FIRST_PARTS, FIRST_CHUNKS)
    ingest(registry, [part("Source", ONE, "w2", "s")])

    def paths(**narrow: object) -> str:
        return "".join(found.path for found in snapshots.parts_of(registry, "small", **narrow))  # type: ignore[arg-type]

    assert paths() == "abcdes"
    assert paths(tables=["Object"]) == "abcd"
    assert paths(roles=[PartRole.INDEX, PartRole.REF]) == "de"
    assert paths(chunks=[ONE]) == "acs"
    assert paths(chunks=[ChunkId(3, 400)]) == ""  # the first quarter of ONE is not ONE
    assert paths(transaction_id=first, chunks=[TWO]) == "b"
    assert paths(published=True) == ""


def test_an_aborted_transaction_leaves_nothing_and_cannot_commit(registry: Registry) -> None:
    transaction_id = transactions.begin_transaction(registry, "small")
    transactions.abort_transaction(registry, transaction_id, reason="a test")
    transactions.abort_transaction(registry, transaction_id)
    with pytest.raises(TransactionStateError, match=f"super-transaction {transaction_id} .* is ABORTED, not OPEN"):
        transactions.commit_transaction(registry, transaction_id, parts=FIRST_PARTS, chunks=FIRST_CHUNKS)
    assert snapshots.parts_of(registry, "small") == ()
    assert registry.family("small").state.orders.size == 0
    assert transactions.transaction(registry, transaction_id).state is TransactionState.ABORTED


def test_a_committed_transaction_cannot_be_aborted(registry: Registry) -> None:
    transaction_id = ingest(registry, FIRST_PARTS, FIRST_CHUNKS)
    transactions.mark_loaded(registry, transaction_id)
    with pytest.raises(TransactionStateError, match="is LOADED, not ABORTED or OPEN"):
        transactions.abort_transaction(registry, transaction_id)
    with pytest.raises(NotFoundError, match="there is no super-transaction 999"):
        transactions.mark_loaded(registry, 999)


REFUSED = [
    ([part("Object", THREE, "w1", "x")], [], r"0 of 1 parts of super-transaction \d+ could be recorded"),
    ([part("Objekt", None, None, "x", role=PartRole.REF)], [], r"the others name a table, a chunk or a worker"),
    ([part("Object", THREE, "w9", "x")], [NewChunk(chunk=THREE, worker="w1")], "0 of 1 parts"),
    ([], [NewChunk(chunk=THREE, worker="w9")], '0 of 1 new chunks of family "small" could be placed'),
    ([], [NewChunk(chunk=ChunkId(1, 25), worker="w1")], r'a new chunk of family "small" begins where an existing one'),
    ([], [NewChunk(chunk=ChunkId(3, 401), worker="w1")], r'chunks 2/100 and 3/401 of family "small" share sky'),
]


@pytest.mark.parametrize(("parts", "chunks", "message"), REFUSED)
def test_a_commit_that_does_not_fit_changes_nothing(
    registry: Registry, parts: list[NewPart], chunks: list[NewChunk], message: str
) -> None:
    ingest(registry, FIRST_PARTS, FIRST_CHUNKS)
    before = (snapshots.parts_of(registry, "small"), registry.family("small").state.pixels.tolist())
    transaction_id = transactions.begin_transaction(registry, "small")
    with pytest.raises(TransactionStateError, match=message):
        transactions.commit_transaction(registry, transaction_id, parts=parts, chunks=chunks)
    assert (snapshots.parts_of(registry, "small"), registry.family("small").state.pixels.tolist()) == before
    assert transactions.transaction(registry, transaction_id).state is TransactionState.OPEN


def test_only_the_transactions_of_the_dead_can_be_claimed(registry: Registry) -> None:
    owner = Registry(registry.conninfo)
    transaction_id = transactions.begin_transaction(owner, "small")
    assert transactions.claim_transaction(owner, transaction_id)
    assert not transactions.claim_transaction(registry, transaction_id)
    assert [found.transaction_id for found in transactions.unfinished_transactions(registry)] == [transaction_id]
    owner.close()
    assert wait_until(lambda: transactions.claim_transaction(registry, transaction_id))
    with Registry(registry.conninfo) as third:
        assert not transactions.claim_transaction(third, transaction_id)
        transactions.abort_transaction(registry, transaction_id)
        assert transactions.claim_transaction(third, transaction_id)  # the claim has ended
    assert transactions.unfinished_transactions(registry, database="small") == ()


def test_nobody_sees_a_transaction_before_it_has_its_owner(registry: Registry) -> None:
    """Else a recovery at that moment would take it for abandoned."""
    following = transactions.begin_transaction(registry, "small") + 1
    own = Registry(registry.conninfo)
    with registry.lock(lock_name(following)):
        beginning = threading.Thread(target=transactions.begin_transaction, args=[own, "small"])
        beginning.start()
        beginning.join(0.3)
        assert beginning.is_alive()  # it waits for its claim, which this test holds
        with Registry(registry.conninfo) as other:
            seen = [transaction.transaction_id for transaction in transactions.unfinished_transactions(other)]
        assert following not in seen
    beginning.join(10)
    assert not beginning.is_alive()
    own.close()


def test_locks_exclude_threads_and_processes(registry: Registry) -> None:
    order: list[str] = []
    with transactions.family_lock(registry, "small"), transactions.database_lock(registry, "small"):

        def wait() -> None:
            with transactions.family_lock(registry, "small"):
                order.append("second")

        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(timeout=0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_contributions_are_recorded(registry: Registry) -> None:
    transaction_id = transactions.begin_transaction(registry, "small")
    counts = {"bytes": 7, "rows_read": 3, "rows_loaded": 2, "rows_rejected": 1}
    args = {"source": "a.csv", "format": "csv", "reject_file": "r", **counts}
    assert transactions.record_contribution(registry, transaction_id, table="Object", **args) > 0  # type: ignore[arg-type]
    with pytest.raises(NotFoundError, match='has no table "Objekt" in its database'):
        transactions.record_contribution(registry, transaction_id, table="Objekt", **args)  # type: ignore[arg-type]
    with pytest.raises(NotFoundError, match='database "big" is not known'):
        transactions.begin_transaction(registry, "big")
    with pytest.raises(NotFoundError, match='database "big" is not known'):
        snapshots.publish_snapshot(registry, "big")


def test_lists_count_what_there_is(registry: Registry) -> None:
    ingest(registry, FIRST_PARTS, FIRST_CHUNKS)
    snapshots.publish_snapshot(registry, "small")
    ingest(registry, [part("Object", ONE, "w2", "g")])
    lines = {line.table: (line.rows, line.waiting, line.chunks) for line in list_tables(registry, database="SMALL")}
    assert lines == {"Object": (20, 10, 2), "Source": (0, 0, 0), "ObjectMatch": (0, 0, 0), "Truth": (0, 0, 0),
                     "Visit": (10, 0, 0)}  # fmt: skip
    chunks = [(str(line.chunk), line.worker, line.rows, line.overlap_rows) for line in list_chunks(registry)]
    assert chunks == [("3/5", "w1", 10, 0), ("2/100", "w2", 20, 10)]
    assert list_chunks(registry, database="small", table="source") == ()
    assert [(line.worker, line.port, line.chunks, line.rows) for line in list_workers(registry)] == [
        ("w1", 5, 1, 10),
        ("w2", 5, 1, 20),
    ]


def test_lists_of_tables_and_workers_agree_with_the_parts(registry: Registry) -> None:
    """The counts that are kept, against sums over everything."""
    ingest(registry, FIRST_PARTS, FIRST_CHUNKS)
    snapshots.publish_snapshot(registry, "small")
    ingest(registry, [part("Object", ONE, "w2", "g"), part("Object", ONE, "w2", "h")])
    with registry.connection() as connection:
        tables = connection.execute(
            "SELECT t.name, coalesce(sum(rows) FILTER (WHERE snapshot IS NOT NULL), 0), coalesce(sum(p.bytes), 0)"
            "  FROM catalog_table t LEFT JOIN part p ON p.table_id = t.table_id AND role IN ('chunk', 'ref')"
            " GROUP BY t.table_id"
        ).fetchall()
        workers = connection.execute(
            "SELECT w.name, count(p.part_id), coalesce(sum(p.bytes), 0)"
            "  FROM worker w LEFT JOIN part p USING (worker_id)"
            " GROUP BY w.worker_id"
        ).fetchall()
    assert sorted((line.table, line.rows, line.bytes) for line in list_tables(registry)) == sorted(tables)
    assert sorted((line.worker, line.parts, line.bytes) for line in list_workers(registry)) == sorted(workers)
    assert max(size for _, _, size in workers) > 0


@pytest.fixture(scope="module")
def shared_registry(postgres_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    conninfo = postgres_server.create_registry()
    with Registry(conninfo) as made:
        made.put_worker(Worker(name="w1", conninfo="host=w1", parts_dir="/w1"))
        made.add_database(small_database(tmp_path_factory.mktemp("schema")))
        yield made
    postgres_server.drop_database(conninfo)


CELLS = st.integers(0, 4).flatmap(lambda order: st.builds(ChunkId, st.just(order), st.integers(0, 12 * 4**order - 1)))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cells=st.lists(CELLS, min_size=1, max_size=8, unique=True))
def test_a_chunk_map_never_overlaps(shared_registry: Registry, cells: list[ChunkId]) -> None:
    """Cells are added one transaction at a time; exactly those that touch no earlier one get in."""
    state = shared_registry.family("small").state
    pairs = zip(state.orders.tolist(), state.pixels.tolist(), strict=True)
    held = {ChunkId(order, pixel) for order, pixel in pairs}
    for cell in cells:
        transaction_id = transactions.begin_transaction(shared_registry, "small")
        fits = all(cell.end <= other.first or other.end <= cell.first for other in held)
        new = [NewChunk(chunk=cell, worker="w1")]
        if fits:
            transactions.commit_transaction(shared_registry, transaction_id, parts=[], chunks=new)
            transactions.mark_loaded(shared_registry, transaction_id)
            held.add(cell)
        else:
            with pytest.raises(TransactionStateError):
                transactions.commit_transaction(shared_registry, transaction_id, parts=[], chunks=new)
            transactions.abort_transaction(shared_registry, transaction_id)
    state = shared_registry.family("small").state
    first = state.pixels << (2 * (29 - state.orders))
    assert np.all(np.diff(first) > 0)
    assert len(held) == first.size
