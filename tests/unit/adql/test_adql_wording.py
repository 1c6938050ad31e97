"""What is not answered is named in the user's words, in its place, and never by a class of sqlglot."""

from __future__ import annotations

import inspect
import re

import pytest
from sqlglot import exp
from support.catalogs import resolved

from qserv_py import errors
from qserv_py.adql.functions import AGGREGATE_FUNCTIONS, AGGREGATES, FUNCTIONS, SHAPE_NAMES
from qserv_py.adql.parse import parse
from qserv_py.adql.wording import describe, remedy
from qserv_py.adql.words import FOREIGN_FUNCTIONS

MARK = "¦"
REFUSED = """
SELECT nObs FROM Object WHERE ¦label SIMILAR TO 'a' => SIMILAR TO is not answered
SELECT nObs FROM Object WHERE ¦label ~ 'a' => "~" is not answered
SELECT nObs FROM Object WHERE ¦label ~* 'a' => "~*" is not answered
SELECT ¦$1 FROM Object => a parameter is not answered
SELECT nObs FROM Object WHERE nObs = ¦? => a parameter is not answered
SELECT nObs FROM Object WHERE nObs = ¦:x => ":" is not answered
SELECT nObs FROM Object WHERE nObs = ¦@x => a parameter is not answered
SELECT ARRAY[¦1] FROM Object => ARRAY is not answered
SELECT nObs¦[1] FROM Object => an index in brackets is not answered
SELECT nObs FROM Object WHERE nObs = ANY (SELECT ¦ccd FROM Source) => ANY before a sub-query is not answered
SELECT nObs FROM Object WHERE nObs > ALL (SELECT ¦ccd FROM Source) => ALL before a sub-query is not answered
SELECT ¦E'a' FROM Object => a string E'...' is not answered
SELECT ¦$$abc$$ FROM Object => a string $$...$$ is not answered
SELECT ¦U&'abc' FROM Object => a string U&'...' is not answered
SELECT ¦x'41' FROM Object => a string X'...' is not answered
SELECT ¦CURRENT_USER FROM Object => CURRENT_USER is not answered
SELECT ¦CURRENT_TIMESTAMP FROM Object => CURRENT_TIMESTAMP is not answered
SELECT ¦INTERVAL '1' DAY FROM Object => INTERVAL is not answered
SELECT nObs FROM Object WHERE (¦nObs, nObs) = (1, 2) => a list of values is not answered
SELECT nObs FROM Object WHERE ¦label LIKE 'a' ESCAPE 'b' => ESCAPE after LIKE is not answered
SELECT ¦COUNT(*) FILTER (WHERE nObs = 1) FROM Object => FILTER after an aggregate is not answered
SELECT label ¦COLLATE "C" FROM Object => COLLATE is not answered
SELECT ¦obsTime AT TIME ZONE 'UTC' FROM Source => AT TIME ZONE is not answered
SELECT ¦label -> 'a' FROM Object => "->" is not answered
SELECT ROW_NUMBER() OVER (ORDER BY ¦nObs + RAND()) FROM Object => RAND() as a key of a window is not answered
SELECT COUNT(*) OVER (PARTITION BY ¦RAND(3)) FROM Object => RAND() as a key of a window is not answered
SELECT nObs FROM Object GROUP BY ALL ¦nObs => ALL in GROUP BY is not answered
SELECT nObs FROM Object ¦FETCH FIRST 3 ROWS ONLY => FETCH FIRST is not answered
""".strip()


@pytest.mark.parametrize(("marked", "message"), [line.split(" => ") for line in REFUSED.splitlines()])
def test_a_refusal_names_what_was_written(marked: str, message: str) -> None:
    with pytest.raises(errors.QueryNotSupportedError) as caught:
        resolved(marked.replace(MARK, ""))
    assert caught.value.message == message
    assert caught.value.offset == marked.index(MARK)


def test_no_class_of_sqlglot_is_a_name() -> None:
    classes = [kind for _, kind in inspect.getmembers(exp, inspect.isclass) if issubclass(kind, exp.Expression)]
    assert len(classes) > 500
    for kind in classes:
        if inspect.isabstract(kind):
            continue
        node = kind()
        assert not re.search(r"[a-z][A-Z]|^[A-Z][a-z]", describe(node).replace("IS NOT", "")), kind
        assert not re.search(r"[a-z][A-Z]", remedy(node)), kind


def test_a_name_after_a_dot_is_no_keyword() -> None:
    parse('SELECT t.current_user, t."current_date" AS "fetch" FROM t')
    parse("SELECT glob, t.xor, regexp FROM t WHERE COALESCE(a, limit) = 1")


@pytest.mark.parametrize("name", ["number", "text", "t.date", "t.number", "t.mod", "mod", '"date"', "t.limit"])
@pytest.mark.parametrize("operator", ["MOD", "DIV"])
def test_keywords_that_are_names_stand_before_an_operator(name: str, operator: str) -> None:
    parse(f"SELECT {name} {operator} 7 FROM a AS t")
    parse(f"SELECT 7 {operator} {name} FROM a AS t WHERE ({name}) {operator} 2 = 1")


@pytest.mark.parametrize(
    "text", ["SELECT mod FROM t", "SELECT 1 AS mod FROM t ORDER BY mod DESC", "SELECT a FROM t AS mod LIMIT 3",
             "SELECT a FROM t mod LIMIT 3", "SELECT TOP 3 mod x FROM t", "SELECT mod x FROM t",
             "SELECT a mod FROM t", "SELECT CASE WHEN a = 1 THEN mod ELSE mod END FROM t", "SELECT ALL mod x FROM t",
             "SELECT a FROM t mod LEFT JOIN b ON mod.a = b.a", "SELECT MOD(a, 3) FROM t"]
)  # fmt: skip
def test_words_of_operators_are_names(text: str) -> None:
    parse(text)


def test_functions_of_other_systems_are_none_of_ours() -> None:
    ours = {*FUNCTIONS, *AGGREGATE_FUNCTIONS, *AGGREGATES, *SHAPE_NAMES}
    assert FOREIGN_FUNCTIONS
    assert ours.isdisjoint(FOREIGN_FUNCTIONS)
    named = {name.upper() for hint in FOREIGN_FUNCTIONS.values() for name in re.findall(r"(\w+)\(", hint)}
    assert named <= ours | {"CAST", "COALESCE"}
