"""Bit operators, casts and overflow: both engines answer alike, and as PostgreSQL itself does."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.catalogs import plan, resolved
from support.engines import Engines, Row, assert_alike, open_engines
from support.postgres import TestServer

from qserv_py.adql.error_places import ErrorFactory
from qserv_py.adql.expressions.casts import time_constant
from qserv_py.adql.tree import Literal
from qserv_py.catalog.types import DataType
from qserv_py.errors import QueryNotSupportedError, TypeMismatchError
from qserv_py.planner.explain import explain


@pytest.fixture(scope="module")
def engines(postgres_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    with open_engines(postgres_server, tmp_path_factory.mktemp("spill")) as opened:
        yield opened


def told(engines: Engines, sql: str, **values: Any) -> Any:
    """Return what PostgreSQL makes of a text that was written for it; an error of the data is the text "error"."""
    try:
        row = engines.connection.execute(sql, values).fetchone()  # type: ignore[call-overload]
    except psycopg.errors.DataError:
        return "error"
    return row[0]


whole = st.one_of(
    st.sampled_from([0, 1, -1, 2**31 - 1, -(2**31), 255, -256]), st.integers(-(2**31), 2**31 - 1), st.none()
)
large = st.one_of(st.sampled_from([2**63 - 1, -(2**63), 2**32, -1]), st.integers(-(2**63), 2**63 - 1), st.none())
counts = st.one_of(st.sampled_from([0, 1, 31, 32, 63, 64, -1, 200]), st.integers(-100, 100))


@pytest.mark.parametrize("operator", ["&", "|", "^", "#", "<<", ">>"])
@pytest.mark.parametrize("column", ["nObs", "objectId", "CAST(nObs AS SMALLINT)"])
def test_bits_are_those_of_postgresql(engines: Engines, operator: str, column: str) -> None:
    kind = {"nObs": "integer", "objectId": "bigint"}.get(column, "smallint")
    mine = large if kind == "bigint" else st.integers(-(2**15), 2**15 - 1) if kind == "smallint" else whole
    other = counts if operator in {"<<", ">>"} else whole

    @settings(max_examples=40)
    @given(mine, other)
    def check(left: int | None, right: int | None) -> None:
        if right is None:
            right = 5
        row: Row = {"objectId": left} if kind == "bigint" else {"nObs": left}
        sql = f"SELECT %(a)s::{kind} {operator.replace('^', '#')} %(b)s::integer"
        expected = told(engines, sql, a=left, b=right)
        assert engines.both(f"{column} {operator} ({right})", row) == (expected, expected)

    check()


@pytest.mark.parametrize("value", [0, 1, -1, 255, 2**31 - 1, -(2**31), None])
def test_complement(engines: Engines, value: int | None) -> None:
    expected = told(engines, "SELECT ~ %(a)s::integer", a=value)
    assert engines.both("~nObs", {"nObs": value}) == (expected, expected)
    assert engines.both("~ ~nObs", {"nObs": value}) == (value, value)
    assert engines.both("~objectId", {"objectId": value}) == (expected, expected)


PRECEDENCE = """\
nObs & 12 = 4
nObs & 3 + 4
nObs * 2 & 6
nObs | 1 & 6
nObs & 6 | 1
nObs << 1 + 2
nObs << 2 | 1
nObs | 1 << 2
1 + nObs << 2
nObs - 1 & nObs
- nObs & 7
~nObs & 7
7 & ~nObs
7 & -nObs
nObs # 3 | 4
nObs ^ 3 & 4
nObs >> 1 << 1
nObs << 1 >> 1
nObs % 4 & 2
nObs & 2 = 2 OR nObs = 1
NOT nObs & 2 = 2
nObs & 5 BETWEEN 1 AND 4
nObs & 7 IN (1, 2 | 4)
0xFF & nObs
nObs & 0x7fffffff
"""


@pytest.mark.parametrize("expression", PRECEDENCE.splitlines())
def test_operators_bind_as_in_postgresql(engines: Engines, expression: str) -> None:
    sql = expression.replace("^", "#").replace("0xFF", "255").replace("0x7fffffff", "2147483647")
    condition = any(word in expression for word in ("=", "OR", "NOT", "BETWEEN", "IN"))
    written = f"CASE WHEN {expression} THEN 1 ELSE 0 END" if condition else expression
    for value in (0, 1, 2, 5, 6, 13, -3, 1000):
        number = f"CAST(({sql.replace('nObs', f'({value})').replace('%', '%%')}) AS integer)"
        expected = told(engines, f"SELECT {number}")
        assert engines.both(written, {"nObs": value}) == (expected, expected), value


@pytest.mark.parametrize(
    "marked",
    ["¦~nObs + 1", "¦~nObs * 2", "2 + ¦~nObs + 1", "2 * ¦~nObs - 1", "-¦~nObs + 1", "2 & ¦~nObs + 1", "1 - ¦~nObs % 5"],
)
def test_a_complement_before_a_sum_needs_brackets(marked: str) -> None:
    with pytest.raises(QueryNotSupportedError, match=r'"~" before "[-+*%]" needs brackets') as caught:
        resolved(f"SELECT {marked.replace('¦', '')} FROM Object")
    assert caught.value.offset == len("SELECT ") + marked.index("¦")


@pytest.mark.parametrize("expression", ["(~nObs) + 1", "~(nObs + 1)", "1 + ~nObs", "~nObs | 1", "~(~nObs)", "~ -nObs"])
def test_with_brackets_it_is_clear(engines: Engines, expression: str) -> None:
    expected = told(engines, f"SELECT {expression.replace('nObs', '(6)')}")
    assert engines.both(expression, {"nObs": 6}) == (expected, expected)


# casts

lengths = st.integers(1, 8)
words = st.one_of(st.none(), st.text(st.sampled_from("ab é🔭ß  "), max_size=9))


def test_varchar_cuts(engines: Engines) -> None:
    @settings(max_examples=60)
    @given(words, lengths)
    def check(word: str | None, length: int) -> None:
        expected = told(engines, f"SELECT CAST(%(w)s::text AS varchar({length}))", w=word)
        assert engines.both(f"CAST(label AS VARCHAR({length}))", {"label": word}) == (expected, expected)

    check()


def test_char_cuts_and_fills(engines: Engines) -> None:
    @settings(max_examples=60)
    @given(words, lengths)
    def check(word: str | None, length: int) -> None:
        expected = told(engines, f"SELECT CAST(%(w)s::text AS char({length}))", w=word)
        assert engines.both(f"CAST(label AS CHAR({length}))", {"label": word}) == (expected, expected)

    check()


BLANKS = """\
CAST(label AS CHAR(5)) = 'ab'
CAST(label AS CHAR(5)) <> 'ab'
CAST(label AS CHAR(5)) = CAST(label AS CHAR(3))
CAST(label AS CHAR(5)) IN ('ab', 'a')
CAST(label AS CHAR(5)) BETWEEN 'a' AND 'b'
CAST(label AS CHAR(5)) LIKE 'ab%'
CAST(label AS CHAR(5)) LIKE 'ab'
CAST(label AS CHAR(5)) || 'c' = 'abc'
LENGTH(CAST(label AS CHAR(5))) = 2
UPPER(CAST(label AS CHAR(5))) = 'AB'
CAST(CAST(label AS CHAR(5)) AS VARCHAR) = 'ab'
CAST(label AS CHAR) = 'a'
"""


@pytest.mark.parametrize("condition", BLANKS.splitlines())
@pytest.mark.parametrize("word", ["ab", "a", "abc", "abcdefg", "", None])
def test_blanks_at_the_end_do_not_count(engines: Engines, condition: str, word: str | None) -> None:
    sql = condition.replace("label", "%(w)s::text").replace("%'", "%%'")
    expected = told(engines, f"SELECT CASE WHEN {sql} THEN 1 ELSE 0 END", w=word)
    assert engines.both(f"CASE WHEN {condition} THEN 1 ELSE 0 END", {"label": word}) == (expected, expected)


numbers = st.one_of(
    st.floats(allow_nan=True),
    st.floats(-1e6, 1e6),
    st.integers(-30, 30).map(lambda n: 1.5 * 10.0**n),
    st.sampled_from([0.0, -0.0, 1e15, 1e16, 1e17, 123456789012345678.0, 1e-4, 1e-5, 0.1, 2.5, -3.5, 1e6, 1e22, 1e300]),
)


def real(number: float) -> float:
    try:
        value: float = struct.unpack("f", struct.pack("f", number))[0]
    except OverflowError:
        return 1.5
    return value


@pytest.mark.parametrize(("column", "kind"), [("ra", "float8"), ("gFlux", "float4")])
def test_texts_of_numbers(engines: Engines, column: str, kind: str) -> None:
    @settings(max_examples=250)
    @given(numbers)
    def check(number: float) -> None:
        value = real(number) if kind == "float4" else number
        expected = told(engines, f"SELECT CAST(%(x)s::{kind} AS text)", x=value)
        # DuckDB writes powers of two, and what is beyond whole numbers' precision, with another last digit.
        is_power = abs(math.frexp(value)[0]) == 0.5
        if is_power or 2.0 ** (24 if kind == "float4" else 53) <= abs(value) < math.inf:
            for answer in engines.both(f"CAST({column} AS VARCHAR)", {column: value}):
                assert ("e" in answer, float(answer)) == ("e" in expected, pytest.approx(value, rel=1e-7))
            return
        assert engines.both(f"CAST({column} AS VARCHAR)", {column: value}) == (expected, expected)

    check()


TARGETS = {
    "SMALLINT": "smallint",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "REAL": "real",
    "DOUBLE PRECISION": "double precision",
}
EDGES = [
    *(bound + delta for bound in (2.0**15, -(2.0**15), 2.0**31, -(2.0**31)) for delta in (-1, -0.5, 0, 0.5, 1)),
    2.0**63, -(2.0**63), 9.3e18, 3.4028235e38, 3.5e38, 1e-46, 1e-40, 5e-324, float("nan"), float("inf"), -0.0, 0.5, 1.5,
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("column", ["ra", "gFlux", "objectId", "nObs"])
def test_numbers_out_of_range(engines: Engines, target: str, column: str) -> None:
    kind = {"ra": "float8", "gFlux": "float4", "objectId": "bigint", "nObs": "integer"}[column]
    values: list[float] = (
        [real(edge) for edge in EDGES if abs(edge) > 1e-39 or not edge]
        if kind == "float4"
        else EDGES
        if kind == "float8"
        else [0, 2**15, 2**15 - 1, -(2**15) - 1, 2**31 - 1, -(2**31), 16777217, *([2**53 + 1] * (kind == "bigint"))]
    )
    for value in values:
        expected = told(engines, f"SELECT CAST(%(x)s::{kind} AS {TARGETS[target]})", x=value)
        for answer in engines.both(f"CAST({column} AS {target})", {column: value}):
            assert_alike((answer, expected), relative=1e-7 if target == "REAL" else 1e-15, absolute=1e-44)


TEXTS = [
    "1", " 12 ", "-7", "+7", "", " ", "x", "1.5", ".5", "5.", "1e3", "1E-3", "1e400", "1e-400", "nan", "NaN", "inf",
    "-Infinity", "infinity", "0x1F", "1_000", "1,5", "99999999999999999999", "32768", "2147483648", "1e", "--1", "1 2",
    "true", "\uff11", "\t5\n",
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("text", TEXTS)
def test_numbers_from_texts(engines: Engines, target: str, text: str) -> None:
    ours = engines.both(f"CAST(label AS {target})", {"label": text})
    assert_alike((ours[0], ours[1]), relative=1e-7 if target == "REAL" else 1e-15)


TIMES = [
    "2026-01-31", "2026-01-31T12:00:00", "2026-01-31 12:00:00", "2026-01-31T12:00:00Z", "2026-01-31T12:00",
    "2026-01-31T12:00:00.5", "2026-01-31T12:00:00.1234567", " 2026-01-31 ", "2026-02-30", "2026-13-01", "now", "today",
    "infinity", "epoch", "", "x", "20260131", "31.1.2026", "2026-01-31T24:00:00", "2026-01-31T23:59:60",
    "2026-01-31T12:00:00+02", "0001-01-01", "0000-01-01", "9999-12-31T23:59:59.999999", "2026-1-1", "2026-01",
    "2026-01-31T12", "2026-01-31Z", "\uff12026-01-31",
]  # fmt: skip


@pytest.mark.parametrize("text", TIMES)
def test_times_from_texts(engines: Engines, text: str) -> None:
    ours = engines.both("CAST(CAST(label AS TIMESTAMP) AS VARCHAR)", {"label": text})
    assert ours[0] == ours[1]
    try:
        time_constant(Literal(type=DataType.TEXT, value=text), ErrorFactory(""))
    except TypeMismatchError:
        assert ours[0] == "error"
    else:
        assert ours[0] != "error"


# overflow

extremes = st.one_of(
    st.sampled_from([1e308, -1e308, 1.7e308, 1e154, 1e155, 1e-308, 5e-324, 1e-200, 0.0, -0.0, 1.0, 2.0, 0.5]),
    st.sampled_from([math.inf, -math.inf, math.nan]),
    st.floats(),
)


@pytest.mark.parametrize("operator", ["+", "-", "*", "/", "%"])
def test_doubles_overflow_as_in_postgresql(engines: Engines, operator: str) -> None:
    @settings(max_examples=150)
    @given(extremes, extremes)
    def check(left: float, right: float) -> None:
        row: Row = {"ra": left, "dec": right}
        assert_alike(engines.both(f"ra {operator} dec", row))
        if operator != "%":
            expected = told(engines, f"SELECT %(a)s::float8 {operator} %(b)s::float8", a=left, b=right)
            assert_alike((engines.both(f"ra {operator} dec", row)[1], expected))

    check()


@pytest.mark.parametrize("operator", ["+", "-", "*", "/"])
def test_reals_overflow_as_in_postgresql(engines: Engines, operator: str) -> None:
    @settings(max_examples=80)
    @given(
        st.one_of(st.sampled_from([3e38, -3e38, 1e-38, 1e-30, 1e30, 0.0, 1.0, math.inf, math.nan]), st.floats(width=32))
    )
    def check(value: float) -> None:
        expected = told(engines, f"SELECT %(a)s::float4 {operator} %(a)s::float4", a=value)
        for answer in engines.both(f"gFlux {operator} gFlux", {"gFlux": value}):
            assert_alike((answer, expected), relative=1e-6, absolute=1e-44)

    check()


NESTED = [
    "ra * ra * ra",
    "(ra + ra) - (ra + ra)",
    "ra * 1e300",
    "nObs * 1e308",
    "gFlux * 1e300",
    "gFlux * gFlux * rFlux",
    "nObs * 1.5 + objectId * 2.5",
    "MOD(ra * 2, 7)",
    "IN_UNIT(rFlux, 'Jy')",
    "IN_UNIT(rFlux * 1e300, 'fJy')",
    "2 * -ra",
    "SQRT(ABS(ra)) * SQRT(ABS(ra))",
]


@pytest.mark.parametrize("expression", NESTED)
@pytest.mark.parametrize("value", [1e308, -1e308, 1e103, 1e-200, 1.5, 0.0, None])
def test_nested_expressions_overflow_alike(engines: Engines, expression: str, value: float | None) -> None:
    small = None if value is None else max(-3e38, min(3e38, value))
    row: Row = {"ra": value, "rFlux": value, "gFlux": 1e-30 if small == 1e-200 else small, "nObs": 7, "objectId": 2**60}
    assert_alike(engines.both(expression, row), relative=1e-6 if "gFlux" in expression else 1e-12)


INTEGERS = [
    "nObs + 2147483647", "-nObs - 2147483647", "nObs * 65536", "objectId * objectId", "-objectId", "ABS(objectId)",
    "objectId % -1", "objectId / -1", "nObs / 0", "nObs % 0", "MOD(nObs, 0)", "CAST(objectId AS INTEGER)", "-nObs",
    "CAST(nObs AS SMALLINT) * CAST(nObs AS SMALLINT)", "CAST(objectId AS REAL)",
]  # fmt: skip


@pytest.mark.parametrize("expression", INTEGERS)
@pytest.mark.parametrize("value", [0, 1, -1, 2**15, 200, -(2**31), 2**31 - 1, None])
@pytest.mark.parametrize("large", [0, 2**63 - 1, -(2**63), 2**40])
def test_integers_overflow_alike(engines: Engines, expression: str, value: int | None, large: int) -> None:
    assert_alike(engines.both(expression, {"nObs": value, "objectId": large}), relative=1e-7)


# functions that other archives have


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("WIDTH_BUCKET(5.35, 0.024, 10.06, 5)", 3),
        ("WIDTH_BUCKET(0, 0, 10, 5)", 1),
        ("WIDTH_BUCKET(9.999, 0, 10, 5)", 5),
        ("WIDTH_BUCKET(10, 0, 10, 5)", 6),
        ("WIDTH_BUCKET(-1, 0, 10, 5)", 0),
        ("WIDTH_BUCKET(8, 10, 0, 5)", 2),
        ("WIDTH_BUCKET(11, 10, 0, 5)", 0),
        ("WIDTH_BUCKET(1e308, -1.7e308, 1.7e308, 4)", 4),
        ("WIDTH_BUCKET(1, 0, 10, 0)", "error"),
        ("WIDTH_BUCKET(1, 2, 2, 3)", "error"),
        ("WIDTH_BUCKET(NULL, 0, 10, 0)", None),
        ("DIV(7, 2)", 3),
        ("DIV(-7, 2)", -3),
        ("DIV(7, 0)", "error"),
        ("DIV(1e300, 1)", "error"),
        ("NULLIF(3, 3)", None),
        ("NULLIF(3, 4)", 3),
        ("NULLIF('a', 'b')", "a"),
        ("LEFT('abcdef', 2)", "ab"),
        ("LEFT('abcdef', -2)", "abcd"),
        ("RIGHT('abcdef', 2)", "ef"),
        ("RIGHT('abcdef', -2)", "cdef"),
        ("RIGHT('abcdef', 0)", ""),
        ("TRANSLATE('12345', '143', 'ax')", "a2x5"),
        ("LOWERCASE('AbC') || UPPERCASE('AbC')", "abcABC"),
    ],
)
def test_examples(engines: Engines, expression: str, expected: Any) -> None:
    assert engines.both(expression, {}) == (expected, expected)


def test_width_bucket_is_that_of_postgresql(engines: Engines) -> None:
    bounds = st.integers(-50, 50)

    @settings(max_examples=100)
    @given(st.floats(-120, 120), bounds, bounds, st.integers(0, 20))
    def check(value: float, low: int, high: int, count: int) -> None:
        sql = "SELECT width_bucket(%(x)s::float8, %(a)s::float8, %(b)s::float8, %(n)s::integer)"
        expected = told(engines, sql, x=value, a=low, b=high, n=count)
        row: Row = {"ra": value, "nObs": count}
        assert engines.both(f"WIDTH_BUCKET(ra, {low}, {high}, nObs)", row) == (expected, expected)

    check()


def test_bits_of_a_flag_column_are_asked_of_the_chunks() -> None:
    shown = explain(plan("SELECT COUNT(*) AS n FROM Object WHERE nObs & 0x0C = 4 AND ra < 20"))
    chunk_query, merge = shown.split("stage m", 1)
    assert '(("object"."nobs" & 12) = 4)' in chunk_query
    assert "&" not in merge
