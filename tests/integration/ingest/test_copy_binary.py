"""Arrow to PostgreSQL and back through the binary COPY encoder, for every type, on a real server."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from datetime import datetime

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from support.postgres import TestServer

from qserv_py.catalog.types import DataType
from qserv_py.errors import InternalError
from qserv_py.executor.arrow import arrow_type
from qserv_py.workers import copy_binary
from qserv_py.workers.copy_binary import CopyColumn, encode_copy

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
VALUES: dict[DataType, st.SearchStrategy[object]] = {
    DataType.BOOLEAN: st.booleans(),
    DataType.BYTE: st.integers(-128, 127),
    DataType.SHORT: st.integers(-(2**15), 2**15 - 1),
    DataType.INT: st.integers(-(2**31), 2**31 - 1),
    DataType.LONG: st.integers(-(2**63), 2**63 - 1),
    DataType.FLOAT: st.floats(width=32),
    DataType.DOUBLE: st.floats(),
    DataType.CHAR: TEXTS,
    DataType.STRING: TEXTS,
    DataType.UNICODE: TEXTS,
    DataType.TEXT: TEXTS,
    DataType.BINARY: st.binary(max_size=60),
    DataType.TIMESTAMP: st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)),
    DataType.COUNTS: st.lists(st.integers(-(2**63), 2**63 - 1), max_size=8),
    DataType.POLYGON: st.lists(st.floats(allow_nan=False), max_size=8),
}


@pytest.fixture(scope="module")
def connection(any_postgres_server: TestServer) -> Iterator[psycopg.Connection]:
    conninfo = any_postgres_server.create_database()
    with psycopg.connect(conninfo, autocommit=True, prepare_threshold=None) as opened:
        yield opened
    any_postgres_server.drop_database(conninfo)


@st.composite
def tables(draw: st.DrawFn) -> tuple[pa.Table, list[CopyColumn]]:
    types = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=8))
    rows = draw(st.integers(0, 30))
    columns = []
    for datatype in types:
        value = VALUES[datatype] if draw(st.booleans()) else st.none() | VALUES[datatype]
        values = draw(st.lists(value, min_size=rows, max_size=rows))
        columns.append(pa.array(values, arrow_type(datatype)))
    names = [f"c{place}" for place in range(len(types))]
    table = pa.table(columns, names=names)
    if rows > 2 and draw(st.booleans()):  # slices have offsets in their buffers
        table = table.slice(1, rows - 2)
    return table, [CopyColumn(name, datatype) for name, datatype in zip(names, types, strict=True)]


def send(connection: psycopg.Connection, table: pa.Table, columns: list[CopyColumn]) -> None:
    """Copy a table to the server."""
    connection.execute("DROP TABLE IF EXISTS sent")
    declared = [
        sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(column.datatype.names.postgres))
        for column in columns
    ]
    connection.execute(sql.SQL("CREATE TABLE sent ({})").format(sql.SQL(", ").join(declared)))
    with connection.cursor() as cursor:
        with cursor.copy("COPY sent FROM STDIN (FORMAT binary)") as copy:
            for block in encode_copy(table, columns):
                copy.write(block)
        assert cursor.rowcount == table.num_rows


def round_trip(connection: psycopg.Connection, table: pa.Table, columns: list[CopyColumn]) -> list[tuple[object, ...]]:
    """Copy a table to the server; return its rows as the server has them."""
    send(connection, table, columns)
    return connection.execute("SELECT * FROM sent ORDER BY ctid", binary=True).fetchall()


def bits(value: object) -> object:
    """Return floats as their bits, so that NaN equals NaN and -0.0 differs from 0.0."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else struct.pack(">d", value)
    return value


@given(sent=tables())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_what_arrives_is_what_was_sent(connection: psycopg.Connection, sent: tuple[pa.Table, list[CopyColumn]]) -> None:
    table, columns = sent
    arrived = round_trip(connection, table, columns)
    expected = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
    assert [tuple(map(bits, row)) for row in arrived] == [tuple(map(bits, row)) for row in expected]


def test_blocks_fit_together(connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy_binary, "ROWS_IN_BLOCK", 3)
    table = pa.table({"n": pa.array([*range(10), None]), "t": pa.array(["x" * place for place in range(11)])})
    parts = pa.concat_tables([table.slice(0, 4), table.slice(4)])  # several chunks of Arrow too
    arrived = round_trip(connection, parts, [CopyColumn("n", DataType.LONG), CopyColumn("t", DataType.STRING)])
    assert arrived == list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def test_columns_go_in_the_order_asked_for(connection: psycopg.Connection) -> None:
    table = pa.table({"a": pa.array(["x", None]), "b": pa.array([None, 1.5], pa.float32())})
    columns = [CopyColumn("b", DataType.FLOAT), CopyColumn("a", DataType.TEXT)]
    assert round_trip(connection, table, columns) == [(None, "x"), (1.5, None)]


def test_the_ends_of_time(connection: psycopg.Connection) -> None:
    first = -210_866_803_200_000_000
    table = pa.table({"t": pa.array([first, 2**63 - 1], pa.timestamp("us"))})
    send(connection, table, [CopyColumn("t", DataType.TIMESTAMP)])
    shown = connection.execute("SELECT t::text FROM sent ORDER BY ctid").fetchall()
    assert shown == [("4714-11-24 00:00:00 BC",), ("294247-01-10 04:00:54.775807",)]


def test_a_column_of_another_type_is_a_defect_of_ours() -> None:
    with pytest.raises(InternalError, match="Arrow type int32 cannot be encoded"):
        list(encode_copy(pa.table({"n": pa.array([1], pa.int32())}), [CopyColumn("n", DataType.LONG)]))
