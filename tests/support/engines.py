"""One expression on both engines: PostgreSQL, as in chunk queries, and DuckDB, as in merges.

An expression is resolved and rendered for each engine over a sub-query of some rows: the text is the planner's own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
from support.catalogs import resolved
from support.postgres import TestServer

from qserv_py.adql.tree import Select
from qserv_py.errors import EvaluationError
from qserv_py.executor.merge import MergeConnection, MergeEngine
from qserv_py.planner.plan.nodes import StageSource
from qserv_py.planner.plan.query_plan import MergeStage
from qserv_py.planner.plan.slots import StageColumn
from qserv_py.planner.writing.dialects import DUCKDB, POSTGRES, Dialect
from qserv_py.planner.writing.statement import ChunkStatement, MergeStatement

# the row that expressions read
_ROW = {
    "objectId": ("bigint", "BIGINT"),
    "ra": ("double precision", "DOUBLE"),
    "dec": ("double precision", "DOUBLE"),
    "gFlux": ("real", "FLOAT"),
    "rFlux": ("double precision", "DOUBLE"),
    "nObs": ("integer", "INTEGER"),
    "label": ("text", "VARCHAR"),
    "extended": ("boolean", "BOOLEAN"),
    "s_region": ("text", "VARCHAR"),
    "middle": ("text", "VARCHAR"),
    "note": ("text", "VARCHAR"),
    "size": ("double precision", "DOUBLE"),
}
Row = dict[str, Any]


class Engines:
    """Runs an expression over one row on both."""

    def __init__(self, connection: psycopg.Connection, merge: MergeConnection) -> None:
        self.connection = connection
        self.merge = merge

    def both(self, expression: str, row: Row, *, table: str = "Object") -> tuple[Any, Any]:
        """Return the two answers; an error of the data is the text "error"."""
        select = resolved(f"SELECT {expression} AS x FROM {table}").query
        assert isinstance(select, Select)
        return self._postgres(select, row), self._duckdb(select, row)

    def _postgres(self, select: Select, row: Row) -> Any:
        text = sql_over(select, POSTGRES)
        columns = ", ".join(f'%({name})s::{kind} AS "{name.lower()}"' for name, (kind, _) in _read_by(text))
        text = text.replace("%", "%%").replace('"one"', f"(SELECT {columns})", 1)
        values = {name: row.get(name) for name in _ROW}
        try:
            found = self.connection.execute(text.encode(), values).fetchone()
        except psycopg.errors.DataError:
            return "error"
        assert found is not None
        return found[0]

    def _duckdb(self, select: Select, row: Row) -> Any:
        text = sql_over(select, DUCKDB)
        columns = ", ".join(
            f'{_duckdb_literal(row.get(name), kind)} AS "{name.lower()}"' for name, (_, kind) in _read_by(text)
        )
        text = text.replace('"one"', f"(SELECT {columns})", 1)
        kind = select.items[0].expr.type
        assert kind is not None
        stage = MergeStage(name="m", sql=text, columns=(StageColumn(label="x", type=kind),), reads=())
        try:
            [batch] = list(self.merge.run(stage))
        except EvaluationError:
            return "error"
        return batch.column(0)[0].as_py()


def _read_by(statement: str) -> list[tuple[str, tuple[str, str]]]:
    """Return the columns of the row that a statement names: the others would take longer than the answer."""
    return [column for column in _ROW.items() if f'"{column[0].lower()}"' in statement] or list(_ROW.items())[:1]


def sql_over(select: Select, dialect: Dialect) -> str:
    """Return the statement with its table named "one"."""
    source = StageSource(id=select.sources[0].id, alias="object", stage="one", columns=())
    if dialect is DUCKDB:
        return MergeStatement(dialect).select(replace(select, sources=(source,)))
    template = ChunkStatement(dialect).template(select)
    return "".join(piece if isinstance(piece, str) else '"one"' for piece in template.pieces)


def _duckdb_literal(value: Any, kind: str) -> str:
    if value is None:
        return f"CAST(NULL AS {kind})"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return f"CAST('{value!r}' AS {kind})"


@contextmanager
def open_engines(postgres_server: TestServer, spill_dir: Path) -> Iterator[Engines]:
    """Make a shard and a merge engine for the tests of one module."""
    conninfo = postgres_server.create_shard()
    merge = MergeEngine(spill_dir=spill_dir, memory_bytes=1 << 30, spill_bytes=1 << 30)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        opened = merge.connection()
        yield Engines(connection, opened)
        opened.close()
    merge.close()
    postgres_server.drop_database(conninfo)


def assert_alike(answers: tuple[Any, Any], *, relative: float = 1e-12, absolute: float = 0.0) -> None:
    left, right = answers
    if isinstance(left, float) and isinstance(right, float):
        if math.isnan(left) or math.isnan(right):
            assert math.isnan(left)
            assert math.isnan(right)
        else:
            assert math.isclose(left, right, rel_tol=relative, abs_tol=absolute), answers
        return
    assert type(left) is type(right), answers
    if isinstance(left, list):
        assert len(left) == len(right), answers
        for pair in zip(left, right, strict=True):
            assert_alike(pair, relative=relative, absolute=absolute)
        return
    assert left == right, answers
