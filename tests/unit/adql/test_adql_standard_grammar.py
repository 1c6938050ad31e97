"""Strict mode against the standard's own grammar: sentences that it derives are taken, others are refused."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from random import Random

import pytest
from sqlglot.dialects.postgres import Postgres
from support import adql_bnf
from support.adql_recogniser import derivable
from support.adql_sentences import Sentence, sentences

from qserv_py.adql.parse import Mode, parse
from qserv_py.adql.words import RESERVED

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "adql.md"


# the grammar that is asked


def test_every_word_of_the_grammar_is_reserved() -> None:
    symbols = {symbol for options in adql_bnf.plain_rules().values() for option in options for symbol in option}
    words = {symbol for symbol in symbols - set(adql_bnf.TOKENS) if symbol.isidentifier()}
    assert words >= {"SELECT", "OFFSET", "ILIKE", "PRECISION", "IN_UNIT", "COORD1", "USING"}
    assert words <= adql_bnf.reserved_words()


def test_the_reserved_words_are_those_of_the_grammar() -> None:
    assert adql_bnf.reserved_words() == RESERVED


def test_the_page_says_of_each_amendment_why() -> None:
    section = PAGE.read_text().split("## Where the grammar is read otherwise\n", 1)[1].split("\n## ", 1)[0]
    told = set(re.findall(r"`<(\w+)>`", section))
    changed = set(adql_bnf.amendments()) & set(adql_bnf.standard())
    helpers = set(adql_bnf.amendments()) - changed
    assert changed
    assert changed <= told
    assert all(any(f"<{name}>" in text for text in adql_bnf.amendments().values()) or name in told for name in helpers)


def tokens(text: str) -> list[frozenset[str]]:
    """Return tokens by hand: small words are names, 1 a number, s a string, all else stands for itself."""
    kinds = {"1": {"unsigned_decimal", "exact_numeric_literal"}, "s": {"character_string_literal"}}
    return [frozenset(kinds.get(word, {"regular_identifier"} if word.islower() else {word})) for word in text.split()]


DERIVED = """
SELECT * FROM t
SELECT ALL TOP 1 a . * , b AS c FROM a . b . c d , e
SELECT a FROM t JOIN u JOIN v ON a = b USING ( c )
SELECT a FROM ( ( SELECT a FROM t ) UNION ALL SELECT b FROM u ORDER BY 1 OFFSET 1 ) AS x
WITH a AS ( SELECT * FROM t ) , b AS ( SELECT * FROM a ) SELECT * FROM b
SELECT a FROM t WHERE NOT ( a = 1 OR b NOT IN ( 1 ) ) AND c IS NOT NULL AND EXISTS ( SELECT * FROM u )
SELECT - a + ( b * 1 ) / ABS ( a ) FROM t WHERE a || s LIKE s
SELECT POLYGON ( s , 1 , 1 , 1 , 1 , 1 , 1 ) , CIRCLE ( p , 1 ) , f ( NULL , s ) FROM t
SELECT CAST ( NULL AS CHAR ( 1 ) ) , COALESCE ( NULL , a ) , IN_UNIT ( a , s ) FROM t GROUP BY a HAVING COUNT ( * ) > 1
""".strip().splitlines()

UNDERIVED = """
SELECT FROM t
SELECT * , a FROM t
SELECT a FROM ( SELECT a FROM t )
SELECT a FROM t ON a = b
SELECT a FROM t NATURAL JOIN u ON a = b
SELECT a FROM t WHERE a
SELECT a FROM t WHERE NOT NOT a = 1
SELECT a FROM t WHERE a + 1 IS NULL
SELECT NULL + 1 FROM t
SELECT a || b + 1 FROM t
SELECT - - a FROM t
SELECT a FROM t LIMIT 1
SELECT POINT ( 1 ) , CIRCLE ( s , 1 , 1 ) FROM t
SELECT COALESCE ( NULL ) FROM t
SELECT a . b . c . d . e FROM t
SELECT a FROM t OFFSET 1 ORDER BY a
SELECT a FROM t WHERE a IN ( t JOIN u )
""".strip().splitlines()


@pytest.mark.parametrize("text", DERIVED)
def test_the_recogniser_knows_queries(text: str) -> None:
    assert derivable(tokens(text))


@pytest.mark.parametrize("text", UNDERIVED)
def test_the_recogniser_knows_what_is_no_query(text: str) -> None:
    assert not derivable(tokens(text))


# strict mode


def misjudged(draws: range, *, seed: int) -> list[Sentence]:
    return [one for number in draws for one in sentences(number, seed=seed) if one.taken is not one.valid]


def test_random_sentences_are_judged_as_the_grammar_judges_them() -> None:
    assert misjudged(range(40), seed=2) == []


@pytest.mark.long
def test_many_random_sentences() -> None:
    seed = Random().randrange(10**6) if os.environ.get("QSERV_TEST_RANDOM") == "1" else 3
    assert misjudged(range(2_000), seed=seed) == []


def test_lenient_mode_reads_adql_as_strict_mode_does() -> None:
    valid = [one for number in range(30) for one in sentences(number, seed=4) if one.valid]
    assert len(valid) >= 30
    for one in valid:
        strict = parse(one.text, mode=Mode.STRICT, functions=one.functions)
        assert parse(one.text).tree == strict.tree, one.text


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("SELECT ALL .2, .5E+1 FROM t", "SELECT ALL 0.2, 0.5E+1 FROM t"),
        (
            "SELECT DISTINCT .5, -.5*.5 FROM t WHERE a>.5 AND .5<b",
            "SELECT DISTINCT 0.5, -0.5*0.5 FROM t WHERE a>0.5 AND 0.5<b",
        ),
        ("SELECT a FROM t GROUP -- of\nBY a ORDER --\n\n BY a", "SELECT a FROM t GROUP BY a ORDER BY a"),
        ("SELECT CAST(a AS DOUBLE --\nPRECISION) FROM t", "SELECT CAST(a AS DOUBLE PRECISION) FROM t"),
    ],
)
def test_texts_that_sqlglot_takes_apart(text: str, same: str, mode: Mode) -> None:
    assert parse(text, mode=mode).tree == parse(same, mode=mode).tree


# names that SQL takes for more

WORDS = sorted(
    {"ASYMMETRIC", "CONNECT_BY_ROOT", "IF", "ROW", "SYMMETRIC", "VARIADIC", "PERCENT", "WITHIN", "FILTER"}
    | {word for word in Postgres.Tokenizer.KEYWORDS if re.fullmatch("[A-Z][A-Z_]*", word) and word not in RESERVED}
)
FORMS = (
    "SELECT DISTINCT TOP 5 {0} FROM t",
    'SELECT TOP 5 "{0}", "{0}"."{0}" FROM "{0}"',
    "SELECT TOP 3 {0} {0}, b {0}, {0}.{0} FROM {0}.t {0}, t AS {0}",
    "SELECT a FROM (SELECT {0} FROM t) {0} LEFT JOIN {0} ON {0} = 1, ({0} JOIN u {0} USING ({0})) "
    "WHERE {0} IN (1, {0})",
    "WITH {0} AS (SELECT 1 FROM t) SELECT {0}.* FROM {0} WHERE {0} BETWEEN {0} AND {0} OR {0} IS NULL "
    "GROUP BY {0}, a HAVING {0} > 1 ORDER BY {0} DESC, {0} OFFSET 5",
)


@cache
def with_a_plain_name(form: str, length: int) -> str:
    """Return what is read where the name has no meaning anywhere."""
    return parse(form.format("z" * length), mode=Mode.STRICT, functions={"Z" * length}).tree.sql()


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("form", FORMS)
def test_a_word_that_adql_does_not_reserve_is_a_name(form: str, mode: Mode) -> None:
    for word in WORDS:
        name = f"{word[0].upper()}{word[1:].lower()}"  # as no keyword is written
        found = parse(form.format(name), mode=mode, functions={word}).tree.sql()
        assert found.replace(name, "z" * len(word)) == with_a_plain_name(form, len(word)), word


def test_a_name_that_sql_gives_a_meaning_may_be_a_function_of_a_service() -> None:
    for word in WORDS:
        tree = parse(f"SELECT {word}({word}, 2), {word}() FROM t", mode=Mode.STRICT, functions={word}).tree
        assert [call.name for call in tree.expressions] == [f"adql__{word}"] * 2
