"""Hostile texts end in an error of ours, whatever they nest or repeat; none may end in RecursionError or hang."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from functools import cache

import pytest
from support.catalogs import plan

from qserv_py import errors
from qserv_py.adql.parse import MAX_CHAIN, MAX_DEPTH, MAX_TEXT, Mode, parse
from qserv_py.planner.explain import explain

REFUSED = {
    "long text": "SELECT nObs FROM Object WHERE label = '" + "x" * MAX_TEXT + "'",
    "AND": "SELECT nObs FROM Object WHERE " + " AND ".join(["nObs=1"] * 50_000),
    "plus": "SELECT " + "+".join(["nObs"] * 4900) + " FROM Object",
    "minus": "SELECT " + "-".join(["nObs"] * 500) + " FROM Object",
    "concatenation": "SELECT " + "||".join(["label"] * 4900) + " FROM Object",
    "NOT": "SELECT nObs FROM Object WHERE " + "NOT " * 4900 + "nObs = 1",
    "signs": "SELECT " + "- " * 4900 + "nObs FROM Object",
    "comparisons": "SELECT nObs FROM Object WHERE nObs" + " = 1" * 2400,
    "IS NULL": "SELECT nObs FROM Object WHERE nObs" + " IS NULL" * 2400,
    "CASE": "SELECT " + "CASE WHEN nObs = 1 THEN " * 800 + "1" + " END" * 800 + " FROM Object",
    "parentheses": "SELECT " + "(" * 100_000 + "nObs" + ")" * 100_000 + " FROM Object",
    "parentheses that do not close": "SELECT " + "(" * MAX_DEPTH + " FROM Object",
    "sub-queries": "SELECT * FROM " + "(SELECT * FROM " * 90 + "Object" + "".join(f") t{n}" for n in range(90)),
    "columns": "SELECT " + ", ".join(["nObs"] * 50_000) + " FROM Object",
    "columns of stars": "SELECT " + ", ".join(["*"] * 300) + " FROM Object",
    "aggregates": "SELECT " + ", ".join(f"AVG(nObs + {n})" for n in range(1200)) + " FROM Object",
    "groups": "SELECT COUNT(*) FROM Object GROUP BY " + ", ".join(["nObs"] * 50_000),
    "order": "SELECT nObs FROM Object ORDER BY " + ", ".join(["nObs"] * 50_000),
    "tables": "SELECT 1 FROM " + ", ".join(f"Visit v{n}" for n in range(3000)),
    "joins": "SELECT 1 FROM Visit v" + "".join(f" JOIN Visit v{n} USING (visit)" for n in range(1200)),
    "digits": "SELECT nObs FROM Object WHERE nObs = " + "9" * 900_000,
    "exponent": "SELECT nObs FROM Object WHERE nObs = 1e" + "9" * 9000,
    "TOP": "SELECT TOP " + "9" * 9000 + " nObs FROM Object",
    "ordinal": "SELECT nObs FROM Object ORDER BY " + "9" * 9000,
    "strange digit": "SELECT TOP ² nObs FROM Object",
    "long name": "SELECT " + "a" * 900_000 + " FROM Object",
    "dots": "SELECT " + ".".join(["a"] * 50_000) + " FROM Object",
    "comments": "SELECT nObs FROM Object " + "/*" * 100_000 + "*/" * 100_000,
    "brackets": "SELECT " + "[" * 2000 + "1" + "]" * 2000 + " FROM Object",
    "UNION": " UNION ALL ".join(["SELECT nObs FROM Object"] * 800),
    "polygon": "SELECT nObs FROM Object WHERE 1 = CONTAINS(POINT(ra, dec), POLYGON("
    + ", ".join(["1, -1"] * 20_000)
    + "))",
    "bits": "SELECT " + "|".join(["nObs"] * 4900) + " FROM Object",
    "complements": "SELECT " + "~" * 4900 + "nObs FROM Object",
    "shifts": "SELECT " + "<<".join(["nObs"] * 2400) + " FROM Object",
    "hexadecimal": "SELECT 0x" + "F" * 900_000 + " FROM Object",
    "casts": "SELECT " + "CAST(" * 99 + "label" + " AS CHAR(99999999999999999999999))" * 99 + " FROM Object",
    "length": "SELECT CAST(label AS CHAR(1000000000)) FROM Object",
    "unit": "SELECT IN_UNIT(ra, '" + "(" * 900_000 + "') FROM Object",
    "power of a unit": "SELECT IN_UNIT(ra, '10**99999999999999') FROM Object",
    "time": "SELECT CAST('" + "2" * 900_000 + "' AS TIMESTAMP) FROM Object",
    "quote": "SELECT nObs FROM Object WHERE label = '" + "x" * 900_000,
    "name": 'SELECT "' + "x" * 900_000 + " FROM Object",
    "quotes": "SELECT nObs FROM Object WHERE label = " + "'" * 900_001,
    "comment": "SELECT nObs /*" + "x" * 900_000,
    "brackets that do not open": "SELECT nObs FROM Object" + ")" * 900_000,
}

ANSWERED = {
    "parentheses": "SELECT " + "(" * (MAX_DEPTH - 1) + "nObs" + ")" * (MAX_DEPTH - 1) + " FROM Object",
    "AND": "SELECT nObs FROM Object WHERE " + " AND ".join(["nObs=1"] * (MAX_CHAIN // 2 - 5)),
    "OR": "SELECT nObs FROM Object WHERE " + " OR ".join(["nObs=1"] * 1000),
    "calls": "SELECT " + "POWER(1," * (MAX_DEPTH - 1) + "nObs" + ")" * (MAX_DEPTH - 1) + " FROM Object",
    "calls in the merge": "SELECT " + "MOD(" * 98 + "AVG(nObs)" + ", 3)" * 98 + " FROM Object",
    "IN": "SELECT nObs FROM Object WHERE objectId IN (" + ", ".join(map(str, range(20_000))) + ")",
    "IN of IN": "SELECT objectId FROM Object WHERE "
    + "nObs IN (SELECT nObs FROM Object WHERE " * 25
    + "nObs = 1"
    + ")" * 25,
    "literal": "SELECT nObs FROM Object WHERE label = '" + "x" * 900_000 + "'",
    "comments": "SELECT nObs FROM Object " + "/* */" * 50_000,
    "comment": "SELECT nObs FROM Object /*" + "x" * 900_000 + "*/",
    "comment to the end of the line": "SELECT nObs FROM Object --" + "x" * 900_000,
    "long IN": "SELECT nObs FROM Object WHERE nObs IN (" + ", ".join(map(str, range(100_000))) + ")",
    "long IN of hexadecimal": "SELECT nObs FROM Object WHERE nObs IN (" + ", ".join(map(hex, range(20_000))) + ")",
    "casts": "SELECT " + "CAST(" * 98 + "label" + " AS CHAR(9))" * 98 + " FROM Object",
    "bits": "SELECT " + "|".join(["nObs"] * 190) + " FROM Object",
    "units": "SELECT " + ", ".join(f"IN_UNIT(ra * {n}, 'arcsec') * dec" for n in range(400)) + " FROM Object",
    "metadata": "SELECT "
    + ", ".join(["x"] * 1000)
    + " FROM (SELECT "
    + "+".join(["COALESCE(ra, dec)"] * 150)
    + " AS x FROM Object) t",
    "metadata of metadata": "SELECT x + x AS x FROM (" * 25 + "SELECT ra AS x FROM Object" + ") t" * 25,
    "circles": "SELECT nObs FROM Object WHERE " + " OR ".join(f"DISTANCE(ra, dec, {n}, 5) < 1" for n in range(200)),
    "polygon": "SELECT nObs FROM Object WHERE 1 = CONTAINS(POINT(ra, dec), POLYGON("
    + ", ".join(f"{10 + 5 * math.cos(n / 300):.9f}, {5 * math.sin(n / 300):.9f}" for n in range(1880))
    + "))",
}


MOST_S = 15.0
"""Seconds of a processor that no text may take; the longest takes two."""


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    begin = time.process_time()
    yield
    assert time.process_time() - begin < MOST_S


@cache
def refusal(query: str) -> errors.QservError:
    """Return the error of a query, which is asked for by more than one test."""
    with pytest.raises((errors.LimitError, errors.AdqlError)) as caught:
        explain(plan(query))
    return caught.value.with_traceback(None)


@pytest.mark.parametrize("query", REFUSED.values(), ids=REFUSED)
def test_refused(query: str) -> None:
    message = refusal(query).message
    assert len(message) < 200 or message.startswith(("the number", '"Object" has no'))


LONG = ["9", "9e", "1.", "_", "é", "'", '"', ".", "a.", "+", ";", "\\", "(", "'a'\n", "0xF", "/*", "-- ", "1 "]


@pytest.mark.parametrize("repeated", LONG)
def test_one_sign_over_and_over_is_refused_in_strict_mode(repeated: str) -> None:
    with pytest.raises((errors.LimitError, errors.AdqlError)):
        parse("SELECT " + repeated * (150_000 // len(repeated)) + " FROM Object WHERE", mode=Mode.STRICT)


@pytest.mark.parametrize("query", ANSWERED.values(), ids=ANSWERED)
def test_answered(query: str) -> None:
    assert "result" in explain(plan(query))


MESSAGES = {
    "long text": r"(?m)^the query has 1000040 characters, the most is 1000000$",
    "parentheses": r"(?m)^the query nests parentheses more than 100 deep$",
    "AND": r"(?m)^the query has 100003 operators and keywords, the most is 5000$",
    "minus": r"(?m)^an expression nests more than 200 operators$",
    "NOT": r"(?m)^the query is nested too deeply$",
    "tables": r"(?m)^the query has more than 50 tables in FROM$",
    "columns": r"(?m)^the select list has more than 1600 expressions$",
    "aggregates": r"^the query needs 2400 columns of a chunk, PostgreSQL answers at most",
}


@pytest.mark.parametrize("name", MESSAGES)
def test_message_of_a_bound(name: str) -> None:
    error = refusal(REFUSED[name])
    assert isinstance(error, errors.LimitError)
    assert re.search(MESSAGES[name], str(error))


def test_message_of_the_bound_of_words() -> None:
    with pytest.raises(errors.LimitError, match=r"(?m)^the query has 980004 words and symbols, the most is 250000$"):
        plan("SELECT " + "1," * 490_000 + "1 FROM Object")
