"""Merge statements in DuckDB: rows in, rows out, errors as ours, nothing of the machine within reach."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from qserv_py.catalog.types import DataType
from qserv_py.errors import EvaluationError, InternalError, LimitError, QservError, QueryCancelledError
from qserv_py.executor.merge import MergeEngine
from qserv_py.planner.plan.query_plan import MergeStage
from qserv_py.planner.plan.slots import StageColumn


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[MergeEngine]:
    made = MergeEngine(spill_dir=tmp_path / "spill", memory_bytes=256 << 20, spill_bytes=1 << 30)
    yield made
    made.close()


def stage(sql: str, kind: DataType = DataType.LONG) -> MergeStage:
    return MergeStage(name="m2", sql=sql, columns=(StageColumn(label="x", type=kind),), reads=("s1",))


def run(engine: MergeEngine, sql: str, kind: DataType = DataType.LONG, rows: pa.Table | None = None) -> list[object]:
    connection = engine.connection()
    try:
        connection.add("s1", pa.table({"x": [1, 2, 3]}) if rows is None else rows)
        return [value for batch in connection.run(stage(sql, kind)) for value in batch.column(0).to_pylist()]
    finally:
        connection.close()


def test_rows(engine: MergeEngine) -> None:
    assert run(engine, 'SELECT SUM(x) AS "x" FROM "s1"') == [6]
    assert run(engine, 'SELECT x FROM "s1" WHERE x > 5') == []


def test_a_stream_is_read_as_it_comes(engine: MergeEngine) -> None:
    batches = [pa.record_batch({"x": list(range(number, number + 1000))}) for number in range(0, 200_000, 1000)]
    connection = engine.connection()
    connection.add("s1", pa.RecordBatchReader.from_batches(batches[0].schema, iter(batches)))
    found = list(connection.run(stage('SELECT x FROM "s1" ORDER BY x')))
    connection.close()
    assert [value for batch in found for value in batch.column(0).to_pylist()] == list(range(200_000))


def test_queries_do_not_see_each_other(engine: MergeEngine) -> None:
    first, second = engine.connection(), engine.connection()
    first.add("s1", pa.table({"x": [1]}))
    second.add("s1", pa.table({"x": [2]}))
    assert [batch.column(0).to_pylist() for batch in first.run(stage('SELECT x FROM "s1"'))] == [[1]]
    assert [batch.column(0).to_pylist() for batch in second.run(stage('SELECT x FROM "s1"'))] == [[2]]
    first.close()
    second.close()


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ('SELECT qserv_divide_whole(x, 0) AS "x" FROM "s1"', EvaluationError),
        ('SELECT qserv_sqrt(-x) AS "x" FROM "s1"', EvaluationError),
        ('SELECT CAST(\'a\' AS BIGINT) AS "x" FROM "s1"', EvaluationError),
        ('SELECT x + 9223372036854775807 AS "x" FROM "s1"', EvaluationError),
        ('SELECT nothing AS "x" FROM "s1"', InternalError),
    ],
)
def test_errors(engine: MergeEngine, sql: str, kind: type[QservError]) -> None:
    with pytest.raises(kind):
        run(engine, sql)


def test_division_by_zero_says_so(engine: MergeEngine) -> None:
    with pytest.raises(EvaluationError, match="division by zero"):
        run(engine, 'SELECT qserv_divide(x, 0) AS "x" FROM "s1"', DataType.DOUBLE)


def test_a_sum_beyond_64_bits(engine: MergeEngine) -> None:
    sql = 'SELECT CAST(SUM(CAST(x AS HUGEINT)) AS BIGINT) AS "x" FROM "s1"'
    assert run(engine, sql, rows=pa.table({"x": ["9223372036854775807", "1", "-5"]})) == [2**63 - 5]
    with pytest.raises(EvaluationError):
        run(engine, sql, rows=pa.table({"x": ["9223372036854775807", "1"]}))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/*')",
    ],
)
def test_no_file_can_be_read(engine: MergeEngine, sql: str) -> None:
    with pytest.raises(QservError):
        run(engine, sql)


def test_more_than_the_memory_spills(engine: MergeEngine) -> None:
    found = run(engine, 'SELECT COUNT(*) AS "x" FROM (SELECT DISTINCT range FROM range(4000000)), "s1" WHERE x = 1')
    assert found == [4_000_000]


def test_out_of_memory_is_a_limit(tmp_path: Path) -> None:
    small = MergeEngine(spill_dir=tmp_path, memory_bytes=20 << 20, spill_bytes=1 << 30, threads=1)
    with pytest.raises(LimitError, match="would need more memory or disk than they may use") as caught:
        run(small, 'SELECT len(list(range)) AS "x" FROM range(20000000)')
    assert '"process_bytes"' in caught.value.hint
    small.close()


def test_the_spill_is_bounded(tmp_path: Path) -> None:
    small = MergeEngine(spill_dir=tmp_path, memory_bytes=32 << 20, spill_bytes=8 << 20, threads=1)
    with pytest.raises(LimitError, match="would need more memory or disk than they may use"):
        run(small, 'SELECT COUNT(*) AS "x" FROM (SELECT DISTINCT range FROM range(8000000))')
    small.close()


def test_what_waits_for_the_reader_is_a_batch(tmp_path: Path) -> None:
    small = MergeEngine(spill_dir=tmp_path, memory_bytes=64 << 20, spill_bytes=1 << 30, batch_bytes=64 << 10)
    connection = small.connection()
    sizes = [batch.nbytes for batch in connection.run(stage('SELECT range AS "x" FROM range(200000)'))]
    assert sum(sizes) >= 200_000 * 8
    assert max(sizes) <= 2 * (64 << 10)
    (found,) = connection.run(stage("SELECT (current_setting('streaming_buffer_size') = '64.0 KiB')::BIGINT AS \"x\""))
    assert found["x"].to_pylist() == [1]
    with pytest.raises(EvaluationError, match="configuration has been locked"):
        list(connection.run(stage("SELECT 1 AS \"x\"; SET memory_limit = '1GB'")))
    connection.close()
    small.close()


def test_interrupt(engine: MergeEngine) -> None:
    import threading

    connection = engine.connection()
    timer = threading.Timer(0.2, connection.interrupt)
    timer.start()
    sql = 'SELECT COUNT(*) AS "x" FROM range(100000000) a, range(100000) b WHERE (a.range * b.range) % 7 = 3'
    with pytest.raises(QueryCancelledError):
        list(connection.run(stage(sql)))
    timer.join()
    connection.close()
