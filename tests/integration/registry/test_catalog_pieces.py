"""The catalogue in pieces: chunks by cell, workers by name, and nothing is loaded that a query does not name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.catalogues import FELIS, PARTITION, Loaded, load_catalogue

from qserv_py.catalog.chunk import ChunkId
from qserv_py.catalog.grants import Grantee, GranteeKind
from qserv_py.catalog.snapshot import Worker
from qserv_py.czar.cluster import Cluster, cluster_of
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.czar.session import MOST_CHANGES, Session
from qserv_py.errors import ClusterError, WorkerUnavailableError
from qserv_py.ingest.publishing import publish_database
from qserv_py.ingest.run import run_ingest
from qserv_py.registry.grants import grant, revoke
from qserv_py.registry.statements import Connection

COUNT = "SELECT COUNT(*) AS n FROM field.Object WHERE objectId >= 0"
"""Not answered from the registry's own count."""

MANY = pa.table({"id": pa.array(range(10**12, 10**12 + 5000), pa.int64())})
JOINED = "SELECT COUNT(*) AS n FROM field.Object o JOIN TAP_UPLOAD.many u ON u.id = o.objectId"


def rows_of(session: Session, query: str, **options: object) -> list[dict[str, object]]:
    answer = session.answer(query, **options)  # type: ignore[arg-type]
    return pa.Table.from_batches(list(answer.batches()), schema=answer.schema).to_pylist()


@contextmanager
def changed_registry(cluster: Cluster, change: str, undo: str) -> Iterator[None]:
    """Change the registry by hand, as whoever repairs or drains a worker will, and change it back at the end."""
    raised = "UPDATE family SET version = version + 1; UPDATE catalog_version SET version = version + 1"

    def run(connection: Connection, text: str) -> None:
        connection.execute(f"{text}; {raised}".encode())

    with cluster.registry() as registry, registry.connection() as connection:
        run(connection, change)
        try:
            yield
        finally:
            run(connection, undo)


def chunks_of(session: Session) -> list[tuple[ChunkId, str]]:
    """Return the chunks of the catalogue "field" and the worker of each."""
    state = session.catalog_with_chunks(["field"]).families["field"]
    cells = zip(state.orders.tolist(), state.pixels.tolist(), strict=True)
    return [(ChunkId(*cell), state.worker_of(index)) for index, cell in enumerate(cells)]


@pytest.fixture
def session(cluster: Cluster, field: Loaded) -> Iterator[Session]:
    with Session(cluster) as opened:
        yield opened


def answer_or_error(session: Session, row: int) -> object:
    try:
        return rows_of(session, f"SELECT objectId, coord_ra FROM field.Object WHERE objectId = {row}")
    except WorkerUnavailableError as error:
        return error.message


@pytest.mark.parametrize("place", [0, 1, -1])
def test_a_chunk_that_is_placed_nowhere_concerns_only_who_asks_for_it(
    cluster: Cluster, session: Session, field: Loaded, place: int
) -> None:
    ids = field.tables["Object"]["objectId"].to_pylist()[:40]
    cell, worker = chunks_of(session)[place]
    before = {
        row: rows_of(session, f"SELECT objectId, coord_ra FROM field.Object WHERE objectId = {row}") for row in ids
    }
    chosen = (
        f"SELECT chunk_id FROM chunk JOIN family USING (family_id)"
        f" WHERE name = 'field' AND (healpix_order, pixel) = ({cell.order}, {cell.pixel})"
    )
    change = f"DELETE FROM placement WHERE chunk_id = ({chosen})"
    undo = f"INSERT INTO placement SELECT ({chosen}), worker_id FROM worker WHERE name = '{worker}'"
    with changed_registry(cluster, change, undo):
        nowhere = f"chunk {cell} is placed on no worker"
        with Session(cluster) as later:
            answers = {row: answer_or_error(later, row) for row in ids}
            with pytest.raises(WorkerUnavailableError, match=nowhere):
                rows_of(later, COUNT)
        refused = [row for row in ids if answers[row] == nowhere]
        assert len(refused) < len(ids)
        assert {row: before[row] if row in refused else answer for row, answer in answers.items()} == before
    assert rows_of(session, COUNT) == [{"n": len(field.tables["Object"])}]


def test_workers_may_stand_in_another_order(cluster: Cluster, session: Session, field: Loaded) -> None:
    config = replace(cluster.config, workers=tuple(reversed(cluster.config.workers)))
    with Session(cluster_of(config)) as other:
        assert rows_of(other, COUNT) == [{"n": len(field.tables["Object"])}]
        for row in field.tables["Object"]["objectId"].to_pylist()[:20]:
            query = f"SELECT objectId, coord_ra FROM field.Object WHERE objectId = {row}"
            assert rows_of(other, query) == rows_of(session, query)
        joined = rows_of(other, JOINED, uploads={"many": MANY})
    assert joined == rows_of(session, JOINED, uploads={"many": MANY})


def test_rows_go_to_the_chunks_workers_whatever_their_order(
    cluster: Cluster, field: Loaded, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = replace(cluster.config, workers=tuple(reversed(cluster.config.workers)))
    scratch = tmp_path_factory.mktemp("twice")
    halves = [field.tables["Object"].slice(0, 100), field.tables["Object"].slice(100)]
    load_catalogue(cluster, scratch, name="twice", tables={"Object": halves[0]}, target_rows=30)
    pq.write_table(halves[1], scratch / "more.parquet")
    with open_destination(cluster_of(config), sync=False) as destination:
        run_ingest(destination, database="twice", table="Object", files=[scratch / "more.parquet"])
        publish_database(destination, "twice")
    with Session(cluster) as session:
        assert rows_of(session, COUNT.replace("field", "twice")) == [{"n": len(field.tables["Object"])}]


def test_a_worker_that_came_later_is_found(cluster: Cluster, field: Loaded) -> None:
    first = replace(
        cluster, workers=cluster.workers[:1], admin={name: cluster.admin[name] for name in list(cluster.admin)[:1]}
    )
    with Session(first) as early:
        assert rows_of(early, COUNT) == [{"n": len(field.tables["Object"])}]
        assert rows_of(early, JOINED, uploads={"many": MANY})[0]["n"]


def test_a_worker_that_the_cluster_does_not_have_is_named(cluster: Cluster, session: Session, field: Loaded) -> None:
    cell, worker = chunks_of(session)[0]
    of_chunk = (
        f"chunk_id = (SELECT chunk_id FROM chunk JOIN family f USING (family_id)"
        f" WHERE f.name = 'field' AND (healpix_order, pixel) = ({cell.order}, {cell.pixel}))"
    )
    move = "UPDATE placement SET worker_id = (SELECT worker_id FROM worker WHERE name = '{}') WHERE " + of_chunk
    with cluster.registry() as registry:
        registry.put_worker(Worker(name="w9", conninfo="host=nowhere", parts_dir="/nowhere"))
    undo = f"{move.format(worker)}; DELETE FROM worker WHERE name = 'w9'"
    with (
        changed_registry(cluster, move.format("w9"), undo),
        pytest.raises(ClusterError, match=r'the registry names worker "w9", which .*/cluster.json does not have'),
    ):
        rows_of(session, COUNT)
    assert rows_of(session, COUNT) == [{"n": len(field.tables["Object"])}]


@pytest.fixture
def other(cluster: Cluster, field: Loaded, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A second catalogue, in a family of its own."""
    tables = {"Object": field.tables["Object"].slice(0, 50)}
    scratch = tmp_path_factory.mktemp("other")
    load_catalogue(cluster, scratch, name="other", tables=tables, target_rows=30, schema=(FELIS, PARTITION))
    return "other"


def watched(session: Session, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the database of each loading of chunks."""
    loaded: list[int] = []
    registry = session._chunks._registry
    load = registry.table_rows

    def table_rows(version: object) -> object:
        loaded.append(version.database_id)  # type: ignore[attr-defined]
        return load(version)  # type: ignore[arg-type]

    monkeypatch.setattr(registry, "table_rows", table_rows)
    return loaded


def test_chunks_are_loaded_when_they_are_named_and_changed(
    cluster: Cluster, session: Session, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = watched(session, monkeypatch)
    catalog = session.catalog()
    assert not set(catalog.snapshots) & {"field", other}, "names are known without chunks"
    for _ in range(2):
        rows_of(session, COUNT)
    assert loaded == [catalog.versions["field"].database_id]
    reader = Grantee(GranteeKind.USER, "pieces")
    with cluster.registry() as registry:
        grant(registry, "field", reader)
        rows_of(session, COUNT)
        assert reader in next(one for one in session.catalog().databases if one.name == "field").readers
        revoke(registry, "field", reader)
    assert len(loaded) == 1, "a grant changes no chunk"
    both = f"SELECT COUNT(*) AS n FROM field.Object a WHERE a.objectId IN (SELECT objectId FROM {other}.Object)"
    assert rows_of(session, both)
    assert loaded == [catalog.versions[name].database_id for name in ("field", other)]


def test_chunks_are_loaded_after_the_server_was_restarted(cluster: Cluster, session: Session, other: str) -> None:
    rows_of(session, COUNT)
    loader = session._chunks._registry
    with loader.connection() as broken, cluster.registry() as registry, registry.connection() as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", [broken.info.backend_pid])
    assert rows_of(session, COUNT.replace("field", other)) == [{"n": 50}]


def test_a_publishing_is_seen_at_once_and_by_no_query_before_it(
    cluster: Cluster, session: Session, tmp_path_factory: pytest.TempPathFactory, field: Loaded
) -> None:
    scratch = tmp_path_factory.mktemp("grows")
    whole = field.tables["Object"]
    load_catalogue(cluster, scratch, name="grows", tables={"Object": whole.slice(0, 60)}, target_rows=30)
    count = COUNT.replace("field", "grows")
    planned = session.answer(count)
    pq.write_table(whole.slice(60), scratch / "more.parquet")
    with open_destination(cluster, sync=False) as destination:
        run_ingest(destination, database="grows", table="Object", files=[scratch / "more.parquet"])
        assert rows_of(session, count) == [{"n": 60}], "committed is not published"
        publish_database(destination, "grows")
    assert rows_of(session, count) == [{"n": len(whole)}]
    assert rows_of(session, "SELECT COUNT(*) AS n FROM grows.Object") == [{"n": len(whole)}]
    assert [row["n"] for batch in planned.batches() for row in batch.to_pylist()] == [60]


def test_nobody_waits_for_the_chunks_of_another_database(
    session: Session, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows_of(session, COUNT)
    goes_on, entered = threading.Event(), threading.Event()
    load = session._chunks._registry.table_rows

    def slow(version: object) -> object:
        entered.set()
        assert goes_on.wait(60)
        return load(version)  # type: ignore[arg-type]

    monkeypatch.setattr(session._chunks._registry, "table_rows", slow)
    found: list[object] = []
    asking = threading.Thread(target=lambda: found.append(rows_of(session, COUNT.replace("field", other))))
    asking.start()
    try:
        assert entered.wait(60)
        assert rows_of(session, COUNT), "while the other's chunks are on their way"
    finally:
        goes_on.set()
        asking.join()
    assert found == [[{"n": 50}]]


@pytest.mark.parametrize("times", [1, MOST_CHANGES])
def test_a_database_published_while_a_query_is_planned(
    session: Session, monkeypatch: pytest.MonkeyPatch, field: Loaded, times: int
) -> None:
    left = times
    load: Callable[[object], object] = session._chunks._registry.table_rows  # type: ignore[assignment]

    def changing(version: object) -> object:
        nonlocal left
        left -= 1
        return None if left >= 0 else load(version)

    monkeypatch.setattr(session._chunks._registry, "table_rows", changing)
    if times < MOST_CHANGES:
        assert rows_of(session, COUNT) == [{"n": len(field.tables["Object"])}]
    else:
        with pytest.raises(ClusterError, match="were published 10 times while it was planned"):
            rows_of(session, COUNT)
