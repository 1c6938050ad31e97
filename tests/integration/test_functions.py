"""Every function and operator on both engines: PostgreSQL (chunk queries) and DuckDB (merges) answer alike.

An expression is resolved and rendered for each engine over a sub-query of one row: the text is the planner's own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.catalogs import resolved
from support.postgres import TestServer

from qserv_py.adql.functions import FUNCTIONS, Kind
from qserv_py.adql.tree import Select
from qserv_py.errors import EvaluationError
from qserv_py.executor.merge import MergeConnection, MergeEngine
from qserv_py.planner.plan import MergeStage, StageColumn
from qserv_py.planner.sql_text import Engine, Rendering, StageSource

# the row that expressions read
_ROW = {
    "objectId": ("bigint", "BIGINT"),
    "ra": ("double precision", "DOUBLE"),
    "dec": ("double precision", "DOUBLE"),
    "gFlux": ("real", "FLOAT"),
    "nObs": ("integer", "INTEGER"),
    "label": ("text", "VARCHAR"),
    "extended": ("boolean", "BOOLEAN"),
}
Row = dict[str, Any]


class Engines:
    """Runs an expression over one row on both."""

    def __init__(self, connection: psycopg.Connection, merge: MergeConnection) -> None:
        self.connection = connection
        self.merge = merge

    def both(self, expression: str, row: Row) -> tuple[Any, Any]:
        """Return the two answers; an error of the data is the text "error"."""
        select = resolved(f"SELECT {expression} AS x FROM Object").select
        return self._postgres(select, row), self._duckdb(select, row)

    def _postgres(self, select: Select, row: Row) -> Any:
        columns = ", ".join(f'%({name})s::{kind} AS "{name.lower()}"' for name, (kind, _) in _ROW.items())
        text = _sql(select, Engine.POSTGRES).replace("%", "%%").replace('"one"', f"(SELECT {columns})", 1)
        values = {name: row.get(name) for name in _ROW}
        try:
            found = self.connection.execute(text.encode(), values).fetchone()
        except psycopg.errors.DataError:
            return "error"
        assert found is not None
        return found[0]

    def _duckdb(self, select: Select, row: Row) -> Any:
        columns = ", ".join(
            f'{_duckdb_literal(row.get(name), kind)} AS "{name.lower()}"' for name, (_, kind) in _ROW.items()
        )
        text = _sql(select, Engine.DUCKDB).replace('"one"', f"(SELECT {columns})", 1)
        kind = select.items[0].expr.type
        assert kind is not None
        stage = MergeStage(name="m", sql=text, columns=(StageColumn(label="x", type=kind),), reads=())
        try:
            [batch] = list(self.merge.run(stage))
        except EvaluationError:
            return "error"
        return batch.column(0)[0].as_py()


def _sql(select: Select, engine: Engine) -> str:
    """Return the statement with its table named "one"."""
    source = StageSource(id=select.sources[0].id, alias="object", stage="one", columns=())
    text = Rendering(Engine.DUCKDB if engine is Engine.DUCKDB else engine)
    if engine is Engine.DUCKDB:
        return text.select(replace(select, sources=(source,)))
    template = text.template(text.select(select))
    return "".join(piece if isinstance(piece, str) else '"one"' for piece in template.pieces)


def _duckdb_literal(value: Any, kind: str) -> str:
    if value is None:
        return f"CAST(NULL AS {kind})"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return f"CAST('{value!r}' AS {kind})"


@pytest.fixture(scope="module")
def engines(postgres_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    conninfo = postgres_server.create_shard()
    merge = MergeEngine(spill_dir=Path(tmp_path_factory.mktemp("spill")))
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
    assert left == right, answers


numbers = st.one_of(
    st.sampled_from(
        [0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 90.0, 180.0, 360.0, 1e-300, 1e300, 709.0, 710.0, -745.0]
    ),
    st.integers(-(10**12), 10**12).map(lambda n: n / 1e6),
    st.integers(-(10**9), 10**9).map(lambda n: n / 5e8),
    st.none(),
)
texts = st.one_of(st.none(), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8))
_SCALARS = sorted(name for name, function in FUNCTIONS.items() if not function.volatile)


@pytest.mark.parametrize("name", _SCALARS)
def test_functions(engines: Engines, name: str) -> None:
    function = FUNCTIONS[name]

    @settings(max_examples=60)
    @given(numbers, numbers, texts, st.integers(-5, 12), st.integers(0, function.optional))
    def check(x: float | None, y: float | None, text: str | None, digits: int, left_out: int) -> None:
        given_arguments = iter(["ra", "dec"])
        arguments = [
            {Kind.TEXT: "label", Kind.INTEGER: str(digits)}.get(kind) or next(given_arguments)
            for kind in function.parameters[: len(function.parameters) - left_out]
        ]
        row = {"ra": x, "dec": y, "label": text}
        # what a rounding error of the argument's own size makes of the answer
        slack = 1e-9 if name in {"COT", "TAN"} else 1e-12
        assert_alike(engines.both(f"{name}({', '.join(arguments)})", row), relative=slack, absolute=1e-12)

    check()


@pytest.mark.parametrize("name", ["ABS", "ROUND"])
@pytest.mark.parametrize("column", ["nObs", "gFlux", "objectId", "ra"])
@pytest.mark.parametrize("value", [-3, 0, 7, None])
def test_the_type_of_the_argument_is_kept(engines: Engines, name: str, column: str, value: int | None) -> None:
    assert_alike(engines.both(f"{name}({column})", {column: value}))


def test_random_numbers(engines: Engines) -> None:
    for answer in engines.both("RAND(3)", {}):
        assert 0 <= answer < 1


angles = st.one_of(st.sampled_from([0.0, 90.0, 180.0, 359.9999999]), st.integers(0, 359_999_999).map(lambda n: n / 1e6))
latitudes = st.one_of(st.sampled_from([0.0, 90.0, -90.0]), st.integers(-90_000_000, 90_000_000).map(lambda n: n / 1e6))
_SHAPES = ["CIRCLE({}, {}, {})", "BOX({}, {}, {}, 4)", "POLYGON({}, {}, 30, 40, 20, {})"]


def test_distance(engines: Engines) -> None:
    @settings(max_examples=100)
    @given(angles, latitudes, angles, latitudes)
    def check(ra: float, dec: float, ra0: float, dec0: float) -> None:
        row = {"ra": ra, "dec": dec}
        # near the antipode the arc sine is steep
        assert_alike(engines.both(f"DISTANCE(ra, dec, {ra0!r}, {dec0!r})", row), relative=1e-12, absolute=1e-6)

    check()


@pytest.mark.parametrize(
    "shape", ["CIRCLE({0}, {1}, {2})", "BOX({0}, {1}, {2}, 4)", "POLYGON(10, 10, 40, 20, {0}, {1})"]
)
def test_shapes(engines: Engines, shape: str) -> None:
    @settings(max_examples=100)
    @given(st.integers(0, 60), st.integers(-30, 60), st.integers(1, 60), angles, latitudes)
    @example(10, 10, 10, 10.0, 10.0)
    @example(10, 10, 10, 12.5, 12.5)
    def check(ra0: int, dec0: int, size: int, ra: float, dec: float) -> None:
        written = shape.format(ra0, dec0, size)
        left, right = engines.both(f"CONTAINS(POINT(ra, dec), {written})", {"ra": ra, "dec": dec})
        assert left == right, (written, ra, dec)

    check()


def test_no_position_has_no_distance(engines: Engines) -> None:
    assert engines.both("DISTANCE(ra, dec, 1, 2)", {"ra": 2.0}) == (None, None)
    assert engines.both("DISTANCE(ra, dec, 1, 2)", {"dec": 2.0}) == (None, None)


@pytest.mark.parametrize("shape", ["CIRCLE(1, 2, 3)", "BOX(1, 2, 3, 4)", "POLYGON(1, 2, 3, 4, 5, 2)"])
def test_no_position_is_nowhere(engines: Engines, shape: str) -> None:
    assert engines.both(f"CONTAINS(POINT(ra, dec), {shape})", {"dec": 2.0}) == (None, None)


_INTEGERS = st.one_of(st.none(), st.sampled_from([0, 1, -1, 2, -7, 2**31 - 1, -(2**31)]), st.integers(-100, 100))


@pytest.mark.parametrize("operator", ["+", "-", "*", "/", "%"])
@pytest.mark.parametrize(
    "columns", [("nObs", "nObs"), ("nObs", "objectId"), ("ra", "dec"), ("nObs", "ra"), ("gFlux", "ra")]
)
def test_arithmetic(engines: Engines, operator: str, columns: tuple[str, str]) -> None:
    left, right = columns

    @settings(max_examples=40)
    @given(_INTEGERS, _INTEGERS)
    @example(7, -2)
    @example(-7, 2)
    @example(5, 0)
    def check(a: int | None, b: int | None) -> None:
        row: Row = {right: b, left: a} if left != right else {left: a}
        row = {name: float(v) if v is not None and name in {"ra", "dec", "gFlux"} else v for name, v in row.items()}
        second = right if left != right else str(b) if b is not None else "NULL"
        assert_alike(engines.both(f"{left} {operator} ({second})", row))

    check()


@pytest.mark.parametrize(
    "expression",
    [
        "objectId + 9223372036854775807",
        "objectId * 4611686018427387904",
        "nObs + 2147483647",
        "CAST(ra AS INTEGER)",
        "CAST(ra AS SMALLINT)",
        "CAST(ra AS BIGINT)",
        "CAST(gFlux AS INTEGER)",
        "CAST(nObs AS DOUBLE PRECISION)",
        "CAST(nObs AS VARCHAR)",
        "CAST(objectId AS VARCHAR)",
        "CAST(label AS VARCHAR)",
        "CASE WHEN nObs > 1 THEN 1 ELSE 2.5 END",
        "CASE nObs WHEN 1 THEN 'a' WHEN 2 THEN 'b' END",
        "COALESCE(nObs, objectId, 3)",
        "COALESCE(ra, nObs)",
        "label || 'x'",
        "-nObs",
        "- gFlux",
        "nObs / 2.0",
        "POWER(2, nObs)",
        "nObs / nObs * nObs",
    ],
)
@pytest.mark.parametrize(
    "row",
    [
        {"objectId": 1, "ra": 0.5, "dec": 1.0, "gFlux": 2.5, "nObs": 1, "label": "é'"},
        {"objectId": 3, "ra": 2.5, "dec": 1.0, "gFlux": -2.5, "nObs": 2, "label": ""},
        {"objectId": -1, "ra": -1.5, "dec": 1.0, "gFlux": 0.1, "nObs": 0, "label": "0"},
        {"objectId": 0, "ra": 1e10, "dec": 1.0, "gFlux": 3e9, "nObs": -3, "label": "\\"},
        {},
    ],
    ids=["one", "three", "minus", "large", "null"],
)
def test_expressions(engines: Engines, expression: str, row: Row) -> None:
    # psycopg reads a REAL as the shortest number that is that REAL
    assert_alike(engines.both(expression, row), relative=1e-7 if "gFlux" in expression else 1e-12)


_CONDITIONS = [
    "label LIKE 'a%'",
    "label LIKE '_'",
    "label LIKE '%\\%'",
    "label LIKE '\\_%'",
    "label LIKE 'É%'",
    "label ILIKE 'A%'",
    "label ILIKE 'É%'",
    "NOT label LIKE '%'",
    "label IN ('a', 'b')",
    "label NOT IN ('a', NULL)",
    "label BETWEEN 'a' AND 'b'",
    "label < 'b'",
    "nObs IS NULL OR nObs > 1",
    "NOT (nObs = 1)",
    "extended = 1",
    "extended <> 1",
]


@pytest.mark.parametrize("condition", _CONDITIONS)
@pytest.mark.parametrize(
    "label", [None, "", "a", "A", "ab", "b", "B", "é", "É", "\\", "%", "_", "\\x", "a%", "ä", "🔭", "z\n"]
)
def test_conditions(engines: Engines, condition: str, label: str | None) -> None:
    row: Row = {"label": label, "nObs": None if label is None else len(label), "extended": label == "a"}
    assert_alike(engines.both(f"CASE WHEN {condition} THEN 1 WHEN NOT ({condition}) THEN 0 END", row))
