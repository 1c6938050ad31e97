"""Every aggregate: over whole rows on both engines, and put together from the chunks of a partition of the rows.

The three answers must be one: PostgreSQL over all rows, DuckDB over all rows, and DuckDB over what PostgreSQL's chunk
queries sent of the parts.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.catalogs import resolved
from support.engines import Engines, assert_alike, open_engines, sql_over
from support.postgres import TestServer

from qserv_py.adql.functions import AGGREGATE_FUNCTIONS, FUNCTIONS, Kind
from qserv_py.adql.tree import Select
from qserv_py.errors import EvaluationError
from qserv_py.executor.arrow import schema_of
from qserv_py.planner.blocks.parts import map_expressions
from qserv_py.planner.plan.nodes import StageSource
from qserv_py.planner.plan.query_plan import MergeStage
from qserv_py.planner.plan.slots import StageColumn
from qserv_py.planner.stages import aggregate
from qserv_py.planner.writing.dialects import DUCKDB, POSTGRES
from qserv_py.planner.writing.statement import MergeStatement

_COLUMNS = {
    "nobs": "integer",
    "rflux": "double precision",
    "label": "text",
    "extended": "boolean",
    "objectid": "bigint",
}
_DUCKDB = {
    "nobs": pa.int32(),
    "rflux": pa.float64(),
    "label": pa.string(),
    "extended": pa.bool_(),
    "objectid": pa.int64(),
}
Row = tuple[int | None, float | None, str | None, bool | None, int | None]


@pytest.fixture(scope="module")
def engines(postgres_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    with open_engines(postgres_server, tmp_path_factory.mktemp("spill")) as opened:
        yield opened


@dataclass
class Answers:
    """The rows of one query, sorted; the text "error" for an error of the data."""

    postgres: Any
    duckdb: Any
    sharded: Any

    def assert_alike(self, size: float) -> None:
        """Compare; ``size`` is that of the numbers, whose rounding errors a difference of large ones keeps."""
        for ours in (self.duckdb, self.sharded):
            assert (ours == "error") == (self.postgres == "error"), self
            if ours != "error":
                assert len(ours) == len(self.postgres), self
                for row, other in zip(self.postgres, ours, strict=True):
                    for pair in zip(row, other, strict=True):
                        # a deviation of 0 may come out as the root of a rounding error
                        assert_alike(pair, relative=1e-9, absolute=1e-12 + size * 1e-7)


def answers(engines: Engines, query: str, parts: Sequence[Sequence[Row]]) -> Answers:
    """Answer a query over Object, whose rows lie in parts, in three ways."""
    select = resolved(query).query
    assert isinstance(select, Select)
    rows = [row for part in parts for row in part]
    return Answers(_postgres(engines, select, rows), _whole(engines, select, rows), _sharded(engines, select, parts))


def _sorted(rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    # the first column is the group
    return sorted((tuple(row) for row in rows), key=lambda row: (row[0] is None, str(row[0])))


def _postgres(engines: Engines, select: Select, rows: Sequence[Row]) -> Any:
    selected = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in _COLUMNS.items())
    values = " ".join("UNION ALL SELECT " + ", ".join(f"%s::{kind}" for kind in _COLUMNS.values()) for _ in rows)
    text = sql_over(select, POSTGRES).replace("%", "%%")
    text = text.replace('"one"', f"((SELECT {selected} LIMIT 0) {values})", 1)
    try:
        found = engines.connection.execute(text.encode(), [value for row in rows for value in row]).fetchall()
    except psycopg.errors.DataError:
        return "error"
    return _sorted(found)


def _merge(engines: Engines, name: str, table: pa.Table, text: str, columns: tuple[StageColumn, ...]) -> Any:
    engines.merge.add(name, table)
    try:
        batches = list(engines.merge.run(MergeStage(name="m", sql=text, columns=columns, reads=(name,))))
    except EvaluationError:
        return "error"
    return _sorted([list(row.values()) for batch in batches for row in batch.to_pylist()])


def _columns_of(select: Select) -> tuple[StageColumn, ...]:
    kinds = [(item.label, item.expr.type) for item in select.items]
    assert all(kind is not None for _, kind in kinds)
    return tuple(StageColumn(label=label, type=kind) for label, kind in kinds if kind is not None)


def _whole(engines: Engines, select: Select, rows: Sequence[Row]) -> Any:
    arrays = [pa.array([row[i] for row in rows], kind) for i, kind in enumerate(_DUCKDB.values())]
    table = pa.Table.from_arrays(arrays, list(_DUCKDB))
    return _merge(engines, "one", table, sql_over(select, DUCKDB), _columns_of(select))


def _sharded(engines: Engines, select: Select, parts: Sequence[Sequence[Row]]) -> Any:
    """Split the block as the planner does, run its halves."""
    halves = aggregate.split(select, source=99)
    shard = Select(
        items=halves.items,
        sources=select.sources,
        where=select.where,
        group_by=halves.group_by,
        distinct=halves.distinct,
    )
    columns = _columns_of(shard)
    tables = []
    for part in parts:
        sent = _postgres(engines, shard, part)
        if sent == "error":
            return "error"
        arrays = [pa.array([row[i] for row in sent], kind.type) for i, kind in enumerate(schema_of(columns))]
        tables.append(pa.Table.from_arrays(arrays, [column.label for column in columns]))
    source = StageSource(id=99, alias="s1", stage="s1", columns=columns)
    outer = map_expressions(replace(select, group_by=(), where=()), halves.to_merge)
    outer = replace(outer, sources=(source,), group_by=halves.merge_groups)
    text = MergeStatement(DUCKDB).select(outer)
    table = pa.concat_tables(tables) if tables else schema_of(columns).empty_table()
    return _merge(engines, "s1", table, text, _columns_of(select))


reals = st.one_of(st.none(), st.integers(-1000, 1000).map(lambda n: n / 8), st.sampled_from([0.1, 1e6, -1e6, 150.75]))
rows = st.tuples(
    st.sampled_from([None, 1, 2]),
    reals,
    st.one_of(st.none(), st.text("abAB é#,", max_size=2)),
    st.sampled_from([None, True, False]),
    st.one_of(st.none(), st.integers(-(2**62), 2**62)),
)
parts_of_rows = st.lists(st.lists(rows, max_size=6), min_size=1, max_size=4)

_WRITTEN = {
    "PERCENTILE": "PERCENTILE(rFlux, 0.3)",
    "SCISQL_PERCENTILE": "scisql_percentile(rFlux, 95)",
    "BOOL_AND": "BOOL_AND(rFlux > 3)",
    "BOOL_OR": "BOOL_OR(extended)",
    "EVERY": "EVERY(extended OR rFlux < 0)",
    "BIT_AND": "BIT_AND(objectId)",
    "BIT_OR": "BIT_OR(nObs)",
    "BIT_XOR": "BIT_XOR(objectId)",
    "IVO_HISTOGRAM": "ivo_histogram(rFlux, -10, 100.5, 7)",
    "GAVO_HISTOGRAM": "gavo_histogram(rFlux / 8, 50, -5e1, 2 + 1)",
    "IVO_BIT_AND_AGG": "ivo_bit_and_agg(nObs)",
    "IVO_BIT_OR_AGG": "ivo_bit_or_agg(objectId)",
    "IVO_STRING_AGG": "ivo_string_agg(label, ', ')",
    "STRING_AGG": "STRING_AGG(label || 'x', '')",
}


def written(name: str, *, distinct: bool = False) -> str:
    """Return a call of an aggregate; over the flux, where nothing else is said."""
    call = _WRITTEN.get(name, f"{name}(rFlux)")
    return call.replace("(", "(DISTINCT ", 1) if distinct else call


def size_of(parts: Sequence[Sequence[Row]], name: str) -> float:
    """Return the size of the largest number; of a variance, whose rounding errors are not under a root, its square."""
    largest = max((abs(row[1]) for part in parts for row in part if row[1] is not None), default=0.0)
    name = name.removeprefix("IVO_")
    spread = name.startswith(("STDDEV", "VAR"))
    return 0.0 if not spread else largest**2 * 1e-7 if name.startswith("VAR") else largest


@pytest.mark.parametrize("name", sorted(AGGREGATE_FUNCTIONS))
def test_aggregates(engines: Engines, name: str) -> None:
    @settings(max_examples=25)
    @given(parts_of_rows, st.booleans(), st.booleans())
    @example([[]], False, False)
    @example([[], [(1, 0.1, "a", True, 1)], [(1, 0.1, "a", True, 1)]], True, False)
    @example([[(1, 1e6, None, None, None)], [(1, 1e6 + 0.125, "b", False, 3)]], True, True)
    def check(parts: Sequence[Sequence[Row]], grouped: bool, distinct: bool) -> None:
        call = written(name, distinct=distinct and AGGREGATE_FUNCTIONS[name].distinct)
        query = f"SELECT {call} AS x FROM Object"
        if grouped:
            query = f"SELECT nObs, {call} AS x, COUNT(*) AS n, MIN(rFlux) AS m FROM Object GROUP BY nObs"
        answers(engines, query, parts).assert_alike(size_of(parts, name))

    check()


@pytest.mark.parametrize("distinct", ["", "DISTINCT "])
def test_null_counts_below_the_first_border_of_a_histogram(engines: Engines, distinct: str) -> None:
    numbers = [[None, 0.5, 0.5, None, -3.0], [9.5, float("nan")], [], [None, 10.0]]
    parts: list[list[Row]] = [[(1, number, None, None, None) for number in part] for part in numbers]
    found = answers(engines, f"SELECT ivo_histogram({distinct}rFlux, 0, 10, 2) AS x FROM Object", parts)
    expected = [2, 1, 1, 2] if distinct else [4, 2, 1, 2]
    assert found.postgres == found.duckdb == found.sharded == [(expected,)]


_IN_GROUPS = {
    Kind.NUMBER: "SUM(rFlux)",
    Kind.ANY_NUMBER: "SUM(nObs)",
    Kind.INTEGER: "COUNT(*)",
    Kind.TEXT: "MIN(label)",
    Kind.TIME: "'2020-01-01'",
    Kind.VALUE: "SUM(rFlux)",
}


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_can_stand_in_having(engines: Engines, name: str) -> None:
    # DuckDB reads some names inside a macro as columns of the block, in HAVING only
    function = FUNCTIONS[name]
    call = f"{name}({', '.join(_IN_GROUPS[kind] for kind in function.parameters)})"
    order = f"{name}({', '.join('nObs' for _ in function.parameters)})"
    if any(kind in {Kind.TEXT, Kind.TIME} for kind in function.parameters):
        order = "nObs"
    query = f"SELECT nObs AS v, COUNT(*) AS a FROM Object GROUP BY nObs HAVING {call} IS NULL ORDER BY {order}"
    parts: list[list[Row]] = [[(1, None, None, None, None), (2, None, None, None, None)], [(1, None, None, None, None)]]
    found = answers(engines, query, parts)
    assert found.duckdb == found.sharded == found.postgres


@pytest.mark.parametrize("name", sorted(AGGREGATE_FUNCTIONS))
def test_every_aggregate_can_stand_in_having(engines: Engines, name: str) -> None:
    call = written(name)
    parts: list[list[Row]] = [[(1, 1.5, "a", True, 3), (2, 2.5, "b", False, 4)], [(1, 9.0, "c", None, 5)], []]
    for having in (f"{call} IS NOT NULL", f"{call} IS NULL"):
        query = f"SELECT nObs AS v, {call} AS n FROM Object GROUP BY nObs HAVING {having} ORDER BY {call}"
        answers(engines, query, parts).assert_alike(0)


_SPECIAL = [float("nan"), float("inf"), float("-inf"), 1.0, 2.0, None]


@pytest.mark.parametrize(
    "name", ["STDDEV_SAMP", "STDDEV_POP", "VAR_SAMP", "VAR_POP", "MEDIAN", "PERCENTILE", "SUM", "AVG"]
)
def test_numbers_that_are_not_finite(engines: Engines, name: str) -> None:
    @settings(max_examples=40)
    @given(st.lists(st.lists(st.sampled_from(_SPECIAL), max_size=3), min_size=1, max_size=3))
    def check(numbers: list[list[float | None]]) -> None:
        parts = [[(1, number, None, None, None) for number in part] for part in numbers]
        answers(engines, f"SELECT {written(name)} AS x FROM Object", parts).assert_alike(1e-6)

    check()


@pytest.mark.parametrize("name", ["STDDEV_SAMP", "VAR_POP"])
def test_overflow_is_an_error(engines: Engines, name: str) -> None:
    parts = [[(1, 1e300, None, None, None), (1, -1e300, None, None, None)]]
    found = answers(engines, f"SELECT {name}(rFlux) AS x FROM Object", parts)
    assert (found.postgres, found.duckdb, found.sharded) == ("error", "error", "error")
    apart = [[(1, 1e300, None, None, None)], [(1, -1e300, None, None, None)]]
    assert answers(engines, f"SELECT {name}(rFlux) AS x FROM Object", apart).sharded == "error"


@pytest.mark.parametrize("call", ["SUM(rFlux)", "AVG(rFlux)", "SUM(rFlux * 2)", "AVG(rFlux) / 1e300"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_sum_of_doubles_that_overflows_is_an_error(engines: Engines, call: str, sign: int) -> None:
    large: list[Row] = [(1, sign * 8e307, None, None, None), (1, sign * 8e307, None, None, None)]
    more: list[Row] = [(1, sign * 7e307, None, None, None)]
    for query in (
        f"SELECT {call} AS x FROM Object",
        f"SELECT nObs AS v, {call} AS x FROM Object GROUP BY nObs",
        f"SELECT nObs AS v FROM Object GROUP BY nObs HAVING {call} > 0 ORDER BY {call}",
    ):
        assert answers(engines, query, [large[:1]]).sharded != "error"
        found = answers(engines, query, [[*large, *more]])
        assert (found.postgres, found.duckdb, found.sharded) == ("error", "error", "error")
        # no chunk overflows alone
        assert answers(engines, query, [large, more, []]).sharded == "error"


def test_a_sum_of_different_doubles_may_overflow_where_repeated_ones_do_not(engines: Engines) -> None:
    twice: list[list[Row]] = [[(1, 1e308, None, None, None)], [(1, 1e308, None, None, None)]]
    found = answers(engines, "SELECT SUM(DISTINCT rFlux) AS x, COUNT(*) AS n FROM Object", twice)
    assert found.postgres == found.duckdb == found.sharded == [(1e308, 2)]
    apart: list[list[Row]] = [[(1, 1e308, None, None, None)], [(1, 9e307, None, None, None)]]
    found = answers(engines, "SELECT SUM(DISTINCT rFlux) AS x, COUNT(*) AS n FROM Object", apart)
    assert (found.postgres, found.duckdb, found.sharded) == ("error", "error", "error")


@pytest.mark.parametrize("name", ["SUM", "AVG"])
def test_a_window_that_overflows_is_an_error(engines: Engines, name: str) -> None:
    query = (
        f"SELECT objectId, {name}(rFlux) OVER (PARTITION BY nObs ORDER BY objectId ROWS 1 PRECEDING) AS x FROM Object"
    )
    select = resolved(query).query
    assert isinstance(select, Select)
    rows: list[Row] = [(1, 1.5e308, None, None, 1), (2, 1.5e308, None, None, 2)]
    assert _whole(engines, select, rows) == _postgres(engines, select, rows) != "error"
    rows.append((2, 1.5e308, None, None, 3))
    assert (_whole(engines, select, rows), _postgres(engines, select, rows)) == ("error", "error")
    infinite: list[Row] = [(1, math.inf, None, None, 1), (1, 1.0, None, None, 2), (1, -math.inf, None, None, 3)]
    answered = _whole(engines, select, infinite)
    assert (
        [row[1] for row in answered[:2]]
        == [row[1] for row in _postgres(engines, select, infinite)[:2]]
        == [math.inf] * 2
    )


def test_reals_and_whole_numbers_cannot_overflow_a_sum_of_doubles(engines: Engines) -> None:
    # no check stands in the statement
    for call in ("SUM(gFlux)", "AVG(gFlux)", "AVG(nObs)"):
        select = resolved(f"SELECT {call} AS x FROM Object").query
        assert isinstance(select, Select)
        assert "qserv_finite" not in sql_over(select, DUCKDB)


def test_a_small_spread_of_large_numbers(engines: Engines) -> None:
    # the squares of 1e9 would leave nothing of a variance of 2/3
    parts = [[(1, 1e9 + step, None, None, None)] for step in (0.0, 1.0, 2.0)]
    found = answers(engines, "SELECT VAR_POP(rFlux) AS x, STDDEV(rFlux) AS y FROM Object", parts)
    for [(variance, deviation)] in (found.postgres, found.duckdb, found.sharded):
        assert variance == pytest.approx(2 / 3, rel=1e-12)
        assert deviation == pytest.approx(1, rel=1e-12)


def test_against_the_standard_library(engines: Engines) -> None:
    @settings(max_examples=30)
    @given(st.lists(st.integers(-1000, 1000).map(lambda n: n / 8), min_size=2, max_size=12), st.integers(1, 5))
    def check(numbers: list[float], size: int) -> None:
        every = [(1, number, None, None, None) for number in numbers]
        parts = [every[start : start + size] for start in range(0, len(every), size)]
        query = "SELECT VARIANCE(rFlux) AS a, STDDEV_POP(rFlux) AS b, MEDIAN(rFlux) AS c FROM Object"
        [(variance, deviation, median)] = answers(engines, query, parts).sharded
        assert variance == pytest.approx(statistics.variance(numbers), rel=1e-12, abs=1e-9)
        assert deviation == pytest.approx(statistics.pstdev(numbers), rel=1e-12, abs=1e-6)
        assert median == statistics.median(numbers)

    check()


@pytest.mark.parametrize("fraction", [0, 0.1, 0.25, 0.5, 0.975, 1])
def test_percentiles_are_interpolated(engines: Engines, fraction: float) -> None:
    parts = [[(1, 40.0, None, None, None)], [(1, 10.0, None, None, None), (1, 20.0, None, None, None)]]
    found = answers(engines, f"SELECT PERCENTILE(rFlux, {fraction}) AS x FROM Object", parts)
    place = fraction * 2
    expected = 10 + 10 * place if place <= 1 else 20 + 20 * (place - 1)
    for [(value,)] in (found.postgres, found.duckdb, found.sharded):
        assert math.isclose(value, expected, rel_tol=1e-12)


def test_texts_are_in_order(engines: Engines) -> None:
    parts = [[(1, None, label, None, None) for label in part] for part in (["b", None, "a"], ["é", "B", "b"])]
    found = answers(
        engines, "SELECT STRING_AGG(label, '/') AS x, ivo_string_agg(DISTINCT label, '') AS y FROM Object", parts
    )
    assert found.postgres == found.duckdb == found.sharded == [("B/a/b/b/é", "Babé")]
