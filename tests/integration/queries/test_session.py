"""Queries of one session on a real cluster: cancelling, errors, limits, restarts, threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.catalogues import Loaded
from support.cluster import count_statements
from support.slow_queries import SLOW
from support.waiting import wait_until

import qserv_py
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.session import Session
from qserv_py.errors import (
    EvaluationError,
    LimitError,
    NotFoundError,
    QueryCancelledError,
    QueryNotSupportedError,
    UnknownTableError,
    UserError,
)
from qserv_py.executor import execute, runner
from qserv_py.executor.execute import Execution


@pytest.fixture
def db(cluster: Cluster, field: Loaded) -> Iterator[qserv_py.Connection]:
    with qserv_py.connect(cluster.config.directory) as connection:
        yield connection


def test_cancel_reaches_the_servers(cluster: Cluster, session: Session) -> None:
    answer = session.answer(SLOW)
    seen: list[BaseException] = []

    def read() -> None:
        try:
            list(answer.batches())
        except QueryCancelledError as error:
            seen.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    assert wait_until(lambda: count_statements(cluster) > 0)
    answer.cancel()
    reader.join(20)
    assert not reader.is_alive()
    assert len(seen) == 1
    assert wait_until(lambda: count_statements(cluster) == 0)
    assert session.answer("SELECT COUNT(*) FROM field.Object").batches().__next__()["count"].to_pylist() == [800]


def test_leaving_the_rows_early_stops_the_servers(cluster: Cluster, session: Session) -> None:
    query = SLOW.replace("COUNT(*)", "a.sourceId")
    rows = session.answer(query).batches()
    next(rows)
    rows.close()  # type: ignore[attr-defined]
    assert wait_until(lambda: count_statements(cluster) == 0)


def test_closing_stops_a_query_whose_rows_are_half_read(cluster: Cluster, field: Loaded) -> None:
    """As in ``qserv query ... | head``: writing fails while the rows are on their way."""
    with Session(cluster) as opened:
        rows = opened.answer(SLOW.replace("COUNT(*)", "a.sourceId")).batches()
        assert next(rows).num_rows > 0
    assert wait_until(lambda: count_statements(cluster) == 0)
    assert next(rows, None) is None


@pytest.mark.timeout(60)
def test_a_closed_connection_answers_nothing(cluster: Cluster, field: Loaded) -> None:
    db = qserv_py.connect(cluster.config.directory)
    text = "SELECT TOP 1 objectId FROM field.Object"
    unread = db.query(text)
    db.close()
    for ask in (
        lambda: db.query(text),
        lambda: db.submit(text),
        lambda: db.explain(text),
        db.tables,
        unread.to_arrow,
    ):
        with pytest.raises(UserError, match="the connection has been closed") as caught:
            ask()
        assert "qserv_py.connect()" in caught.value.hint
    db.close()


def test_closing_ends_what_another_thread_reads(cluster: Cluster, field: Loaded) -> None:
    failures: list[BaseException] = []

    def read(answer: qserv_py.Result) -> None:
        try:
            answer.to_arrow()
        except QueryCancelledError as error:
            failures.append(error)

    with qserv_py.connect(cluster.config.directory) as db:
        reader = threading.Thread(target=read, args=(db.query(SLOW),), daemon=True)
        reader.start()
        assert wait_until(lambda: count_statements(cluster) > 0)
    reader.join(20)
    assert [str(failure) for failure in failures] == ["the connection was closed while the query ran"]
    assert wait_until(lambda: count_statements(cluster) == 0)


@pytest.mark.parametrize("wrong", [None, 5, b"SELECT 1", ["SELECT 1"]])
def test_what_is_no_text_is_refused(db: qserv_py.Connection, wrong: Any) -> None:
    for ask in (db.query, db.submit, db.explain):
        with pytest.raises(UserError, match=f"the query is of type {type(wrong).__name__}, it must be a text"):
            ask(wrong)


def test_closing_waits_for_whoever_tidies_up_behind_a_query(
    cluster: Cluster, field: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They use connections to DuckDB, which must not be closed under them."""
    monkeypatch.setattr(execute, "LEAVE_S", 0.0)
    monkeypatch.setattr(execute.SentRows, "drop", lambda self: time.sleep(0.5))
    with Session(cluster) as session:
        answer = session.answer("SELECT COUNT(*) AS n FROM field.Object GROUP BY k ORDER BY n")
        rows = answer.batches()
        next(rows)
        rows.close()
        assert tidying()
    assert not tidying()


def tidying() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "qserv-tidy"]


def test_a_merge_that_needs_few_rows_lets_the_rest_go(
    cluster: Cluster, field: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB reads a part of the first sub-query's rows; the stages after it need the same connections."""
    monkeypatch.setattr(runner, "QUEUE_LENGTH", 1)
    query = "SELECT COUNT(*) AS n FROM field.Object WHERE EXISTS (SELECT sourceId FROM field.Source) AND k >= 0"
    with Session(cluster, slots=1) as opened:
        for _ in range(5):
            assert next(opened.answer(query).batches())["n"].to_pylist() == [800]


def test_a_failing_expression_ends_the_query_and_the_next_one_works(session: Session) -> None:
    for query in (
        "SELECT 1 / (k - k) AS x FROM field.Object",
        "SELECT COUNT(*) / (MIN(k) - MIN(k)) AS x FROM field.Object",
        "SELECT MAX(LOG(k - k)) FROM field.Object",
    ):
        with pytest.raises(EvaluationError, match="division by zero|logarithm"):
            list(session.answer(query).batches())
    with pytest.raises(EvaluationError, match="BIGINT|out of range"):
        list(session.answer("SELECT SUM(objectId * 9000000) FROM field.Object").batches())
    assert len(list(session.answer("SELECT COUNT(*) FROM field.Object").batches())) == 1


def test_a_dropped_connection_is_opened_again(cluster: Cluster, session: Session) -> None:
    count = "SELECT COUNT(*) FROM field.Object"
    list(session.answer(count).batches())
    for conninfo in cluster.admin.values():
        with psycopg.connect(conninfo) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'qserv_reader'"
                " AND state = 'idle'"
            )
    assert wait_until(lambda: count_statements(cluster) == 0)
    assert next(session.answer(count).batches())["count"].to_pylist() == [800]


def test_the_reader_role_cannot_write(cluster: Cluster, field: Loaded) -> None:
    with psycopg.connect(cluster.workers[0].conninfo, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.Error, match="read-only|permission denied"):
            connection.execute("CREATE TABLE field.mine (x int)")
        connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE field.mine (x int)")


def test_maxrec_cuts_and_says_so(db: qserv_py.Connection) -> None:
    result = db.query("SELECT objectId FROM field.Object", maxrec=10)
    assert len(result) == 10
    assert result.stats.overflow
    exact = db.query("SELECT TOP 10 objectId FROM field.Object", maxrec=10)
    assert len(exact) == 10
    assert not exact.stats.overflow
    for query in ("SELECT objectId FROM field.Object", "SELECT 1/(objectId - objectId) AS x FROM field.Object"):
        columns_alone = db.query(query, maxrec=0)
        assert len(columns_alone) == 0
        assert (columns_alone.stats.overflow, columns_alone.stats.chunks) == (True, 0)
    with pytest.raises(LimitError, match="maxrec is -1"):
        db.query("SELECT objectId FROM field.Object", maxrec=-1)


def test_results_come_in_many_forms(db: qserv_py.Connection, tmp_path: Path) -> None:
    result = db.query("SELECT objectId, gFlux, label, isPrimary FROM field.Object ORDER BY objectId")
    table = result.to_arrow()
    assert table.schema.field("gFlux").metadata == {b"unit": b"nJy"}
    sky = result.to_astropy()
    assert str(sky["gFlux"].unit) == "nJy"
    assert sky["gFlux"].mask.sum() == table["gFlux"].null_count
    result.to_parquet(tmp_path / "x.parquet")
    assert pq.read_table(tmp_path / "x.parquet").num_rows == 800
    streamed = db.query("SELECT objectId FROM field.Object")
    assert sum(batch.num_rows for batch in streamed.batches()) == 800
    with pytest.raises(UserError, match="have been read"):
        list(streamed.batches())


def test_a_time_that_no_reader_could_take_is_refused(db: qserv_py.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ingest and casts take none any more; a catalogue that was loaded long ago may have one."""

    def rows(_: Execution) -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"t": pa.array([2**63 - 1], pa.timestamp("us"))})

    monkeypatch.setattr(Execution, "_answer", rows)
    with pytest.raises(EvaluationError, match=r'(?m)^column "t" holds a time outside of the years 1 to 9999$'):
        db.query("SELECT seenAt AS t FROM field.Source").to_arrow()


def test_repeated_names_are_numbered(db: qserv_py.Connection) -> None:
    result = db.query("SELECT o.*, s.* FROM field.Object o JOIN field.Source s ON o.objectId = s.objectId")
    names = [column.name for column in result.columns]
    assert (names.count("objectId"), names.count("objectId_2")) == (1, 1)
    table = result.to_arrow()
    assert table.column_names == result.schema.names == names
    assert table["objectId"].equals(table["objectId_2"])
    assert result.to_astropy().colnames == list(result.to_pandas().columns) == result.to_polars().columns == names


def test_pruning_counts_chunks(db: qserv_py.Connection, field: Loaded) -> None:
    key = field.tables["Object"]["objectId"][3].as_py()
    one = db.query(f"SELECT * FROM field.Source WHERE objectId = {key}")
    one.to_arrow()
    assert one.stats.chunks <= 1
    assert one.stats.chunks_total > 10
    cone = db.query("SELECT * FROM field.Object WHERE DISTANCE(coord_ra, coord_dec, 10, 10) < 5")
    assert 0 < cone.stats.chunks < cone.stats.chunks_total
    nothing = db.query("SELECT COUNT(*) AS n FROM field.Object WHERE objectId = 12")
    assert nothing.to_arrow()["n"].to_pylist() == [0]
    assert nothing.stats.chunks == 0


def test_long_lists_reach_the_chunks(db: qserv_py.Connection, field: Loaded) -> None:
    sources = field.tables["Source"]
    ids, fluxes = sources["sourceId"].to_pylist(), sources["flux"].to_pylist()
    listed = db.query("SELECT COUNT(*) AS n FROM field.Source WHERE visit IN (SELECT sourceId FROM field.Source)")
    visits = sources["visit"].to_pylist()
    assert listed.to_arrow()["n"].to_pylist() == [sum(visit in set(ids) for visit in visits)]
    joined = db.query(
        "SELECT COUNT(*) AS n FROM field.Source s JOIN"
        " (SELECT flux, MIN(sourceId) AS least FROM field.Source GROUP BY flux) t ON t.least = s.sourceId"
    )
    assert joined.to_arrow()["n"].to_pylist() == [len(set(fluxes))]
    assert len(ids) > 1500


def test_threads_share_a_connection(db: qserv_py.Connection) -> None:
    queries = [
        "SELECT COUNT(*) FROM field.Object",
        "SELECT k, COUNT(*) FROM field.Object GROUP BY k",
        "SELECT TOP 3 objectId FROM field.Object ORDER BY objectId",
        "SELECT objectId FROM field.Object WHERE k = 1",
    ] * 6
    with ThreadPoolExecutor(8) as threads:
        tables: list[pa.Table] = list(threads.map(lambda text: db.query(text).to_arrow(), queries))
    assert {table.num_rows for table in tables[0::4]} == {1}
    assert len({table.num_rows for table in tables[3::4]}) == 1


def test_mistakes_get_one_message(db: qserv_py.Connection) -> None:
    with pytest.raises(UnknownTableError, match='table "field.Objekt" is not known') as caught:
        db.query("SELECT *\nFROM field.Objekt")
    assert "line 2, column 6" in caught.value.render()
    assert caught.value.hint == 'Did you mean "field.Object"?'
    with pytest.raises(QueryNotSupportedError, match="4.2e\\+09 pairs of rows would have to be compared"):
        db.query(
            "SELECT 1 FROM field.Source a, field.Source b, field.Object c WHERE a.flux < b.flux AND b.flux < c.gFlux"
        )
    with pytest.raises(NotFoundError, match="there is no cluster in /nowhere"):
        qserv_py.connect("/nowhere")
