"""Every function and operator on both engines: PostgreSQL (chunk queries) and DuckDB (merges) answer alike.

An expression is resolved and rendered for each engine over a sub-query of one row: the text is the planner's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.engines import Engines, Row, assert_alike, open_engines
from support.postgres import TestServer

from qserv_py.adql.functions import FUNCTIONS, Kind


@pytest.fixture(scope="module")
def engines(postgres_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    with open_engines(postgres_server, tmp_path_factory.mktemp("spill")) as opened:
        yield opened


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


# texts that some function has an opinion on
_SPOKEN = [
    "10:31:02.5", "-0 31 02.5", "10h31m2s", "-5d60m0s", "24:00:00", "1:2", "red#Green#blue", "green", "a Word, a\tword",
    "WORD", "Österreich ÖSTERREICH", "a.c", "a_", "%C", "  both  ", "",
]  # fmt: skip
_texts = st.one_of(texts, st.sampled_from(_SPOKEN))
_times = st.datetimes().map(lambda moment: moment.isoformat(" "))
_values: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.NUMBER: st.one_of(numbers, st.sampled_from([float("nan"), float("inf"), float("-inf")])),
    Kind.ANY_NUMBER: numbers,
    Kind.INTEGER: st.integers(-5, 30),
    Kind.TEXT: _texts,
    Kind.TIME: _times,
    Kind.VALUE: numbers,
}
_columns = {
    Kind.NUMBER: ["ra", "dec", "rFlux"],
    Kind.ANY_NUMBER: ["ra"],
    # not a constant: of one, ivo_healpix_index reads the row's own cell
    Kind.INTEGER: ["nObs"],
    Kind.TEXT: ["label"],
    Kind.VALUE: ["ra", "dec"],
}


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    # infinite numbers have no spelling
    return repr(value) if value == value and abs(value) != float("inf") else "0.25"


def call(draw: Callable[[Any], Any], name: str) -> tuple[str, Row]:
    """Return a call with random arguments, and the row that it reads."""
    function = FUNCTIONS[name]
    least = len(function.parameters) - function.optional
    count = draw(st.integers(least, len(function.parameters) + (2 if function.repeats else 0)))
    free = {kind: list(names) for kind, names in _columns.items()}
    arguments, row = [], {}
    for index in range(count):
        kind = function.kind_of(index)
        value = draw(_values[kind])
        if free.get(kind):
            column = free[kind].pop(0)
            row[column] = value
            arguments.append(column)
        else:
            # a constant NULL is refused where none is taken
            arguments.append(_literal(0.25 if value is None and index in function.needed else value))
    return f"{name}({', '.join(arguments)})", row


@pytest.mark.parametrize("name", _SCALARS)
def test_functions(engines: Engines, name: str) -> None:
    @settings(max_examples=80)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        written, row = call(data.draw, name)
        # what a rounding error of the argument's own size makes of the answer
        slack = 1e-9 if name in {"COT", "TAN"} else 1e-12
        answers = engines.both(written, row)
        assert_alike(answers, relative=slack, absolute=1e-12)

    check()


@pytest.mark.parametrize("name", ["ABS", "ROUND"])
@pytest.mark.parametrize("column", ["nObs", "gFlux", "objectId", "ra"])
@pytest.mark.parametrize("value", [-3, 0, 7, None])
def test_the_type_of_the_argument_is_kept(engines: Engines, name: str, column: str, value: int | None) -> None:
    assert_alike(engines.both(f"{name}({column})", {column: value}))


@pytest.mark.parametrize("name", ["ROUND", "TRUNCATE"])
def test_digits_at_the_edges_of_double_precision(engines: Engines, name: str) -> None:
    @settings(max_examples=150)
    @given(st.floats(allow_nan=False), st.one_of(st.integers(-340, 340), st.sampled_from([1 - 2**31, 2**31 - 1])))
    @example(5e-324, -1)
    @example(-0.0, 309)
    @example(1.7976931348623157e308, 5)
    @example(float("inf"), -400)
    @example(483.5, -400)
    def check(number: float, digits: int) -> None:
        row = {"ra": number, "nObs": digits}
        answers = engines.both(f"{name}(ra, nObs)", row)
        assert_alike(answers)
        if math.isfinite(number) and math.floor(math.log10(abs(number) or 1)) + digits < -1:
            assert list(answers) == [0, 0], "far below the digit"
        elif math.isinf(number) or digits > 308 or (digits > 0 and abs(number) > 2.0**53):
            assert list(answers) == pytest.approx([number, number], rel=1e-15, abs=0), "no digit goes"

    check()


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


@pytest.mark.parametrize(
    ("place", "shape"),
    [
        ((0.0, 0.0), "POLYGON(0, 0, 1, 0, 1, 1, 0, 1)"),
        ((1.0, 0.5), "POLYGON(0, 0, 1, 0, 1, 1, 0, 1)"),
        ((0.5, 0.0), "POLYGON(0, 0, 1, 0, 1, 1, 0, 1)"),
        ((0.0, 0.25), "POLYGON(359.9, 0, 0.1, 0, 0, 0.25)"),
        ((77.0, 90.0), "POLYGON(0, 80, 120, 80, 0, 90)"),
        ((15.0, 90.0), "POINT(200, 90)"),
        ((15.0, -3.0), "POINT(15, -3)"),
    ],
)
def test_borders_are_inside(engines: Engines, place: tuple[float, float], shape: str) -> None:
    row = {"ra": place[0], "dec": place[1]}
    for relation in (
        "CONTAINS(POINT(ra, dec), {})",
        "INTERSECTS({}, POINT(ra, dec))",
        "CONTAINS(CIRCLE(ra, dec, 0), {})",
    ):
        assert engines.both(relation.format(shape), row) == (1, 1), relation


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
