"""The generator of random queries: what it draws, how it compares, makes shorter, and goes on after a stop."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from support.catalogues import ALL
from support.plain import differences, rows_of, table_differences
from support.random_queries.comparing import Comparison, compare
from support.random_queries.drawing import RandomQuery
from support.random_queries.log import mend_log, read_log, summary
from support.random_queries.running import Run, draw, run_numbers, run_one

from qserv_py.errors import EvaluationError, InternalError

_DRAWS = 3000

_FORMS = [
    r"SELECT DISTINCT", r"TOP \d+ .*ORDER BY", r"SELECT TOP \d+ (?!.*ORDER BY)", r"OFFSET", r"GROUP BY", r"HAVING",
    r"OVER \(PARTITION", r"ROWS BETWEEN", r"WITH w AS", r"FROM \(SELECT", r"COUNT\(DISTINCT", r"SUM\(", r"AVG\(",
    r"UNION", r"UNION ALL", r"EXCEPT", r"EXCEPT ALL", r"INTERSECT SELECT", r"INTERSECT ALL",
    r" JOIN", r"LEFT JOIN", r"RIGHT JOIN", r"FULL JOIN", r"TAP_UPLOAD", r"Pairs", r"FarPairs", r"Detection", r"Visit",
    r"NOT EXISTS", r"NOT IN \(SELECT", r"> \(SELECT", r"SELECT MIN\(DISTANCE", r"LIKE", r"BETWEEN", r"IS NULL",
    r"CONTAINS\(POINT", r"CONTAINS\(CIRCLE", r"INTERSECTS", r"POLYGON", r"BOX", r"REGION", r"DISTANCE\(POINT",
    r"DISTANCE\(\d", r"scisql_angSep", r"IN_UNIT", r"CAST\(.* AS CHAR", r"0x", r"<<", r">>", r"~", r"WIDTH_BUCKET",
    r"COALESCE", r"NULLIF", r"SELECT 100 / |MAX\(100 / ", r"SQRT\(\S+ - ", r"POWER", r"CAST\(\S+ AS INTEGER\)",
    r"isPrimary = 'true'", r"WHERE \((o\.)?isPrimary\)", r"SUM\((o\.|p\.)?isPrimary\)", r"MAX\((o\.|p\.)?isPrimary\)",
    r"(WHERE|AND|NOT) CONTAINS\(", r"scisql_s2PtInCircle\([^)]*\)(?! =)", r"SELECT (?!\S*objectId).* GROUP BY objectId",
    r"qserv_areaspec_circle", r"qserv_areaspec_poly", r"qserv_areaspec_box", r"<=>",
    r"ON \S+ <=>", r"IS DISTINCT FROM", r"IS NOT DISTINCT FROM", r"&&", r"IS NOT TRUE", r"IS FALSE", r" DIV 4",
    r" MOD 7", r"(n|k|Id|visit|target|uid|rank) LIKE", r"HEX\(", r"HAVING c\d", r"GROUP BY c0", r"`\.`",
    r"TAP_UPLOAD\S+ u .*JOIN \S+Source s ON s.objectId = o.* WHERE .*CONTAINS\(",
]  # fmt: skip


@pytest.fixture(scope="module")
def drawn() -> list[RandomQuery]:
    return [draw(f"forms:{number}")[0] for number in range(_DRAWS)]


@pytest.mark.parametrize("form", _FORMS)
def test_each_form_is_drawn(drawn: list[RandomQuery], form: str) -> None:
    assert any(re.search(form, query.adql) for query in drawn)


def test_few_queries_are_drawn_twice(drawn: list[RandomQuery]) -> None:
    assert len({query.adql for query in drawn}) > 0.97 * _DRAWS


def test_all_catalogues_are_drawn(drawn: list[RandomQuery]) -> None:
    found = Counter(re.findall(r"FROM \(?(?:SELECT.*?FROM )?(?:TAP_UPLOAD\.)?`?([a-z]+)", q.adql)[0] for q in drawn)
    assert set(found) >= set(ALL)


def test_a_seed_is_one_query() -> None:
    assert draw("1:5")[0] == draw("1:5")[0]
    assert draw("1:5")[0] != draw("2:5")[0]


_TABLE = pa.table(
    {
        "a": pa.array([3, None, 1], pa.int32()),
        "x": pa.array([0.5, 1e300, float("nan")]),
        "r": pa.array([0.1, None, 3.0], pa.float32()),
        "t": ["b", None, ""],
        "p": [[1.0, 2.0], None, [3.0, 4.0]],
        "b": [True, False, None],
    }
)


def _edited(row: int, column: int, value: object) -> list[tuple]:
    rows = [list(one) for one in rows_of(_TABLE)]
    rows[row][column] = value
    return [tuple(one) for one in rows]


def test_equal_answers_agree_in_any_order() -> None:
    rows = rows_of(_TABLE)
    assert table_differences(_TABLE, rows[::-1], ordered=False) == ""
    assert table_differences(_TABLE, rows[::-1], ordered=True)
    assert table_differences(_TABLE, rows, ordered=True) == ""
    assert table_differences(_TABLE, _edited(0, 1, 0.5 + 1e-13), ordered=False) == ""
    assert table_differences(_TABLE.slice(0, 0), [], ordered=False) == ""


@pytest.mark.parametrize(
    ("row", "column", "value"),
    [
        (0, 0, 4), (0, 0, None), (1, 0, 0), (0, 0, 3.0), (0, 0, "3"), (0, 1, 0.5 + 1e-9), (1, 1, float("inf")),
        (2, 1, 0.0), (2, 1, None), (1, 2, 0.0), (0, 3, "B"), (2, 3, None), (1, 3, ""), (0, 4, [1.0, 2.5]),
        (1, 4, [0.0, 0.0]), (0, 4, [1.0]), (0, 5, False), (2, 5, False), (0, 5, 1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ordered", [True, False])
def test_one_wrong_value_is_found(row: int, column: int, value: object, ordered: bool) -> None:
    wrong = _edited(row, column, value)
    assert table_differences(_TABLE, wrong, ordered=ordered)
    assert differences(rows_of(_TABLE), wrong, ordered=ordered)


def test_a_row_more_or_less_is_found() -> None:
    rows = rows_of(_TABLE)
    assert table_differences(_TABLE, rows[1:], ordered=False)
    assert table_differences(_TABLE, [*rows, rows[0]], ordered=False)


class _Sharded:
    def __init__(self, answer: pa.Table | Exception) -> None:
        self.answer = answer

    def query(self, adql: str, **_: Any) -> _Sharded:
        return self

    def to_arrow(self) -> pa.Table:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class _Plain:
    def __init__(self, answer: list[tuple] | Exception) -> None:
        self.answer = answer

    def execute(self, sql: str, **_: Any) -> SimpleNamespace:
        if isinstance(self.answer, Exception):
            raise self.answer
        return SimpleNamespace(fetchall=lambda: self.answer)


_BY_ZERO = psycopg.errors.DivisionByZero("division by zero")


@pytest.mark.parametrize(
    ("ours", "theirs", "agree"),
    [
        (EvaluationError("an expression of the query failed: division by zero"), _BY_ZERO, True),
        (EvaluationError("an expression of the query failed: integer out of range"), _BY_ZERO, False),
        (InternalError("division by zero"), _BY_ZERO, False),
        (_TABLE, _BY_ZERO, False),
        (EvaluationError("division by zero"), rows_of(_TABLE), False),
        (_TABLE, rows_of(_TABLE), True),
    ],
    ids=["both", "otherwise", "another class", "only the plain one", "only ours", "none"],
)
def test_failures_are_compared(ours: Any, theirs: Any, agree: bool) -> None:
    servers = SimpleNamespace(sharded=_Sharded(ours), plain=_Plain(theirs), uploads={})
    result = compare(servers, RandomQuery("SELECT 1", "SELECT 1"))  # type: ignore[arg-type]
    assert bool(result.found) is not agree


def _differ_in_windows(query: RandomQuery) -> Comparison:
    return Comparison("planted" if "NTILE" in query.adql else "", rows=len(query.adql) % 2)


def test_a_difference_is_made_shorter() -> None:
    found = [seed for seed in map("shrink:{}".format, range(800)) if "NTILE" in draw(seed)[0].adql]
    assert found
    for seed in found[:5]:
        entry = run_one(seed, _differ_in_windows, set())
        assert entry.end == "differs"
        shrunk = re.search("ADQL: (.*)", entry.shrunk)
        assert shrunk
        assert "NTILE" in shrunk[1]
        assert len(shrunk[1]) <= min(250, len(draw(seed)[0].adql))


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    asked: list[str] = []

    def ask(query: RandomQuery) -> Comparison:
        if len(asked) == 20:
            asked.append("stop")
            raise KeyboardInterrupt
        asked.append(query.adql)
        return Comparison("", rows=len(query.adql) % 3)

    run = Run("resume", 60, tmp_path / "log.jsonl", 2)
    with pytest.raises(KeyboardInterrupt):
        run_numbers(run, 0, ask)
    with run.log.open("a") as file:
        file.write('{"seed": "resume:')  # cut off
    mend_log(run.log)
    run_numbers(run, 1, ask)
    run_numbers(run, 0, ask)
    entries = read_log(run.log, "resume")
    assert Counter(entry.number for entry in entries) == Counter(range(60))
    assert len(asked) == 61
    assert "0 differences" in summary(entries, processes=2)
