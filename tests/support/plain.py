"""The same rows in one plain PostgreSQL, and the comparison of two answers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from qserv_py.catalog.model import Database
from qserv_py.catalog.types import DataType

ORACLE = Path(__file__).parent / "oracle.sql"


def make_plain(conninfo: str, database: Database, tables: Mapping[str, pa.Table]) -> None:
    """Put the rows of a catalogue into plain tables: one schema, no chunks, our functions not needed."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(ORACLE.read_text())  # type: ignore[arg-type]
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(database.name)))
        for name, rows in tables.items():
            _make_table(connection, database, name, rows)


def _make_table(connection: psycopg.Connection, database: Database, name: str, rows: pa.Table) -> None:
    table = database.table(name)
    relation = sql.Identifier(database.name, name.lower())
    columns = [table.column(column) for column in rows.column_names]
    definitions = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(c.name.lower()), sql.SQL(c.datatype.names.postgres)) for c in columns
    )
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(relation, definitions))
    with connection.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(relation)) as copy:
        for row in zip(*(column.to_pylist() for column in rows.columns), strict=True):
            copy.write_row(row)
    if key := database.table(name).primary_key:
        names = sql.SQL(", ").join(sql.Identifier(column.lower()) for column in key)
        connection.execute(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(relation, names))
    for column in columns:
        if column.datatype is DataType.LONG:  # mostly a key of another table
            connection.execute(sql.SQL("CREATE INDEX ON {} ({})").format(relation, sql.Identifier(column.name.lower())))
    connection.execute(sql.SQL("ANALYZE {}").format(relation))


def table_differences(ours: pa.Table, theirs: Sequence[tuple], *, ordered: bool) -> str:
    """Return what differs between two answers, nothing when they agree; most are found equal by columns, fast."""
    if _columns_agree(ours, theirs, ordered=ordered):
        return ""
    return differences(rows_of(ours), theirs, ordered=ordered)


def rows_of(table: pa.Table) -> list[tuple]:
    """Return the rows of a table."""
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def _columns_agree(ours: pa.Table, theirs: Sequence[tuple], *, ordered: bool) -> bool:
    """Whether two answers surely agree; where this cannot tell, they do not.

    Rows are sorted by what must be equal, then by their floats as REAL, of which nearly equal ones do not part.
    """
    if ours.num_rows != len(theirs):
        return False
    if not theirs:
        return True
    pairs = [_pair(one, other) for one, other in zip(ours.columns, zip(*theirs, strict=True), strict=True)]
    if any(pair is None for pair in pairs):
        return False
    exact = [values for pair in pairs if pair for values in pair if values[0].dtype != np.float64]
    floats = [values for pair in pairs if pair for values in pair if values[0].dtype == np.float64]
    if not ordered:
        with np.errstate(over="ignore"):
            keys = [*floats, *(tuple(side.astype(np.float32) for side in values) for values in floats), *exact]
        first, second = (np.lexsort([values[side] for values in keys]) for side in (0, 1))
        exact, floats = ([(one[first], other[second]) for one, other in found] for found in (exact, floats))
    return all(np.array_equal(*values) for values in exact) and all(_floats_agree(*values) for values in floats)


Values = tuple[np.ndarray, np.ndarray]
"""One column of both answers."""


def _pair(ours: pa.ChunkedArray, theirs: Sequence[object]) -> list[Values] | None:
    """Return a column of both answers as numbers, and where it is NULL; None for those of different types."""
    try:
        one, other = ours.combine_chunks(), pa.array(theirs)
    except pa.ArrowException:
        return None
    nulls = tuple(side.is_null().to_numpy(zero_copy_only=False) for side in (one, other))
    if nulls[0].all() or nulls[1].all():
        return [nulls]  # type: ignore[list-item]
    values = _values(one, other)
    return None if values is None else [nulls, *values]  # type: ignore[list-item]


def _values(one: pa.Array, other: pa.Array) -> list[Values] | None:
    """Return the values of one column as numbers, those of a column of lists element by element."""
    kinds = (_kind(one.type), _kind(other.type))
    if kinds in {("float", "float"), ("float", "integer")}:
        return [tuple(side.cast(pa.float64(), safe=False).fill_null(0.0).to_numpy() for side in (one, other))]  # type: ignore[list-item]
    if kinds[0] != kinds[1] or kinds[0] == "other":
        return None
    if kinds[0] == "list":
        return _elements(one, other)
    if kinds[0] == "text":
        codes = pa.concat_arrays([one.cast(pa.string()), other]).dictionary_encode().indices.fill_null(-1).to_numpy()
        return [(codes[: len(one)], codes[len(one) :])]
    return [tuple(side.cast(pa.int64()).fill_null(0).to_numpy() for side in (one, other))]  # type: ignore[list-item]


def _elements(one: pa.Array, other: pa.Array) -> list[Values] | None:
    lengths = set(pc.list_value_length(pa.concat_arrays([one.cast(other.type), other])).drop_null().to_pylist())
    if len(lengths) != 1:
        return None
    found = []
    for place in range(lengths.pop()):
        parts = []
        for side in (one, other):
            values = np.zeros(len(side))
            values[side.is_valid().to_numpy(zero_copy_only=False)] = pc.list_element(side.drop_null(), place).to_numpy()
            parts.append(values)
        found.append((parts[0], parts[1]))
    return found


def _kind(datatype: pa.DataType) -> str:
    types = pa.types
    tests = {
        "boolean": types.is_boolean,
        "integer": types.is_integer,
        "float": types.is_floating,
        "text": lambda one: types.is_string(one) or types.is_large_string(one),
        "list": lambda one: types.is_list(one) and types.is_floating(one.value_type),
        "time": lambda one: types.is_timestamp(one) and one.unit == "us",
    }
    return next((name for name, test in tests.items() if test(datatype)), "other")


def _floats_agree(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether all pairs agree as ``same`` says."""
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.abs(one - other) <= np.maximum(1e-12, 1e-12 * np.maximum(np.abs(one), np.abs(other)))
    finite = np.isfinite(one) & np.isfinite(other)
    return bool(np.all((one == other) | (near & finite) | (np.isnan(one) & np.isnan(other))))


def differences(ours: Sequence[tuple], theirs: Sequence[tuple], *, ordered: bool) -> str:
    """Return what differs between two answers, nothing when they agree.

    Floats agree within 1e-12 of their size: sums run in another order on the shards.
    """
    if len(ours) != len(theirs):
        return f"{len(ours)} rows, the plain server has {len(theirs)}"
    if not ordered:
        ours, theirs = sorted(ours, key=_order), sorted(theirs, key=_order)
    for place, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        if not all(map(same, one, other)):
            return f"row {place}: {one}, the plain server has {other}"
    return ""


def same(one: object, other: object) -> bool:
    """Whether two values agree."""
    if isinstance(one, float) and isinstance(other, (int, float)):
        other = float(other)
        if math.isnan(one) or math.isnan(other):
            return math.isnan(one) and math.isnan(other)
        return one == other or math.isclose(one, other, rel_tol=1e-12, abs_tol=1e-12)
    return one == other and type(one) is type(other)


def is_part(ours: Sequence[tuple], theirs: Sequence[tuple]) -> bool:
    """Whether every row of ours is one of theirs, as often at the most."""
    left = Counter(_rounded(row) for row in theirs)
    left.subtract(Counter(_rounded(row) for row in ours))
    return min(left.values(), default=0) >= 0


def _rounded(row: tuple) -> tuple:
    return tuple(
        repr(float(f"{value:.10g}")) if isinstance(value, float) else tuple(value) if isinstance(value, list) else value
        for value in row
    )


def _order(row: tuple) -> tuple:
    """Return a key that sorts like rows together; floats are rounded so that nearly equal ones do not part.

    Rows that rounding makes alike, such as large ids as floats, are sorted by their exact values.
    """
    rounded = tuple(
        (value is None, type(value).__name__, f"{value:+.9e}" if isinstance(value, float) else str(value))
        for value in row
    )
    exact = tuple(value if isinstance(value, float) and value == value else 0.0 for value in row)
    return rounded, exact
