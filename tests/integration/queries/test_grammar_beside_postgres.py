"""Texts made wrong: what we accept and PostgreSQL's own parser does not is a leniency that is listed, or a defect.

The server has none of the tables: a text that it can parse fails at a name (42P01 and its like), and only one that it
cannot parse is a syntax error (42601).
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import psycopg
import pytest
from support.mutations import mutated, split

from qserv_py.adql.parse import parse
from qserv_py.errors import QservError

STATEMENTS = """
SELECT a, b AS c, t.d FROM s.t AS t WHERE a = 1 AND b <> 2 OR NOT c < 3 GROUP BY a, b HAVING COUNT(*) > 3 ORDER
    BY a DESC, b LIMIT 5 OFFSET 3;
SELECT DISTINCT a FROM t JOIN u ON t.a = u.b LEFT OUTER JOIN v USING (a, b) WHERE x IN (1, 2) AND y BETWEEN 1
    AND 2 AND z IS NOT NULL;
SELECT COUNT(DISTINCT a), SUM(b) FROM t, u AS w NATURAL INNER JOIN x CROSS JOIN y WHERE l LIKE 'a%' AND l NOT
    LIKE 'b' ORDER BY 1 ASC;
SELECT a FROM (SELECT b AS a FROM t WHERE b > 2 ORDER BY b) AS s WHERE EXISTS (SELECT 1 FROM u WHERE u.a = s.a)
    AND NOT EXISTS (SELECT c FROM v);
SELECT a FROM t UNION ALL SELECT b FROM u EXCEPT SELECT c FROM v INTERSECT (SELECT d FROM w ORDER BY d LIMIT 2)
    ORDER BY 1 LIMIT 4;
WITH q AS (SELECT a FROM t), r AS (SELECT b FROM q) SELECT q.a, r.b FROM q, r WHERE q.a = r.b;
SELECT CASE WHEN a = 1 THEN 2 WHEN b THEN 3 ELSE 4 END AS z, CASE a WHEN 1 THEN 'x' END, CAST(a AS INTEGER),
    b::DOUBLE PRECISION FROM t;
SELECT ROW_NUMBER() OVER (PARTITION BY a, b ORDER BY c DESC) AS n, SUM(a) OVER (ORDER BY c ROWS BETWEEN 1
    PRECEDING AND CURRENT ROW) FROM t;
SELECT a + b * -c / 2 % 3 - (d & 4 | 5 # 6 << 1 >> 2) || 'x', ~a, -1.5e3, .5, 0x1F FROM t WHERE (a, b) = (1, 2);
SELECT f(a, b), g(), "A b" AS "c d", t."x" FROM "s"."T" t WHERE (a = 1 OR b = 2) AND c = 'it''s' AND d IS NULL
    AND e = TRUE;
SELECT * FROM t AS a FULL OUTER JOIN (u AS b RIGHT JOIN v AS c ON b.x = c.x) ON a.x = b.x WHERE a.ra > (SELECT
    MAX(ra) FROM u);
SELECT t.*, COALESCE(a, 0), EXISTS (SELECT 1 FROM u) FROM t WHERE a IN (SELECT b FROM u WHERE u.c = t.c) AND a
    NOT IN (1) AND b ILIKE 'x';
SELECT a FROM t WHERE b NOT BETWEEN 1 AND 2 AND NOT NOT c AND d IS DISTINCT FROM e AND f = ALL (SELECT 1 FROM u)
    GROUP BY a OFFSET 2;
SELECT MAX(a) AS m FROM t GROUP BY a + 1, f(b) HAVING MAX(a) > 1 AND MIN(b) < 2 UNION SELECT 1 FROM u
""".strip().split(";\n")
"""In PostgreSQL's SQL and in lenient ADQL alike."""

WORDS = re.split(
    r"\s+",
    """
    SELECT FROM WHERE AND OR NOT IN IS NULL LIKE BETWEEN GROUP BY ORDER HAVING DISTINCT AS ASC DESC JOIN INNER LEFT FULL
    OUTER CROSS NATURAL ON USING UNION ALL EXCEPT INTERSECT WITH CASE WHEN THEN ELSE END EXISTS OVER PARTITION ROWS TRUE
    FALSE ( ) , . + - * / % || = <> < > <= >= :: & | # ^ ~ 1 1.5 'a' "b" c t.a f(x) (1) ANY SOME VALUES LATERAL
    FOR NULLS FIRST COLLATE ESCAPE ROW FILTER == [ ] { } : -> => @ ? date key value LIMIT OFFSET
    """.strip(),
)

RESERVED_HERE_NOT = {
    "LIMIT",
    "OFFSET",
    "FOR",
    "LATERAL",
    "PRECISION",
}
"""Words that PostgreSQL reserves and lenient mode takes for names."""

SEED, DRAWN = 5, 8_000


def _made() -> list[str]:
    rng = random.Random(SEED)
    texts = (mutated(rng, rng.choice(STATEMENTS), vocabulary=WORDS, harmless=True) for _ in range(DRAWN))
    return sorted(set(texts))


def _is_taken(text: str) -> bool:
    try:
        parse(text)
    except QservError:
        return False
    return True


def _is_intended(text: str, message: str) -> bool:
    """Return whether a text has a form that lenient mode takes and PostgreSQL does not."""
    tokens = [token.upper() for token in split(text) if not token.isspace()]
    words = Counter(word for before, word in pairwise(["", *tokens]) if before != ".")
    bare_joins = words["JOIN"] - words["CROSS"] - words["NATURAL"] - words["ON"] - words["USING"]
    return (
        not words.keys().isdisjoint(RESERVED_HERE_NOT)
        or bare_joins > 0  # JOIN without a condition pairs every row
        or "trailing junk after numeric literal" in message  # a word of the language at once: 1AND
        or re.search(r"\(\s*\w+ AS \w+\s*\)", text) is not None  # a table alone in parentheses
    )


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def _syntax_error(connection: psycopg.Connection, text: str) -> str:
    """Return why PostgreSQL cannot parse a text; nothing when it can."""
    try:
        connection.execute(f"EXPLAIN {text}")  # type: ignore[call-overload]
    except psycopg.errors.SyntaxError as error:
        return str(error)
    except psycopg.Error:
        return ""
    return ""


def test_the_statements_are_right_in_both(connection: psycopg.Connection) -> None:
    assert [text for text in STATEMENTS if not _is_taken(text) or _syntax_error(connection, text)] == []


def test_what_postgres_cannot_parse_is_refused_or_intended(connection: psycopg.Connection) -> None:
    taken = [text for text in _made() if _is_taken(text)]
    assert len(taken) > 300
    errors = {text: _syntax_error(connection, text) for text in taken}
    assert {text: error for text, error in errors.items() if error and not _is_intended(text, error)} == {}
