"""Whatever text is sent, the answer is a plan or an error of ours."""

from __future__ import annotations

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.catalogs import plan

from qserv_py.adql.functions import AGGREGATES, FUNCTIONS, SHAPE_NAMES
from qserv_py.errors import InternalError, QservError
from qserv_py.planner.explain import explain

_WORDS = re.split(
    r"\s+",
    """
    SELECT FROM WHERE AND OR NOT IN IS NULL LIKE ILIKE BETWEEN GROUP BY ORDER HAVING TOP DISTINCT AS ASC DESC OFFSET
    JOIN INNER LEFT FULL OUTER CROSS NATURAL ON USING UNION ALL EXCEPT INTERSECT WITH CASE WHEN THEN ELSE END CAST
    COALESCE EXISTS OVER FILTER LIMIT ROLLUP LATERAL VALUES INTERVAL EXTRACT TRUE FALSE ARRAY ROW TABLE WINDOW FETCH
    DIV MOD && <=> UNKNOWN ` `ra` `Object`
    FIRST NEXT ROWS ONLY FOR UPDATE INTO INSERT DROP RETURNING TABLESAMPLE COLLATE ESCAPE SIMILAR TO ANY SOME
    Object Source Visit Mixed Shared Draft dr1 dr2 o s t objectId ra dec nObs gFlux label extended obsTime band stamp
    visit healpix29 * ( ) ( ) , . ; + - / % || = <> != < > <= >= :: : ? $1 @ # & | ^ ~ [ ] { } ' " -- /* */ \\
    0 1 2 -1 1.5 1e3 1e999 .5 0x1F 99999999999999999999 'a' '' 'it''s' '2020-01-01' "objectId" "" "a""b" é λ \U0001f52d
    """.strip(),
)
words = st.sampled_from([*_WORDS, *FUNCTIONS, *SHAPE_NAMES, *AGGREGATES])
soup = st.lists(words, max_size=30).map(" ".join)
middle = st.lists(words, max_size=12).map(" ".join)


def must_not_crash(text: str) -> None:
    try:
        explain(plan(text))
    except InternalError:
        raise
    except QservError as error:
        assert_is_readable(error)


def assert_is_readable(error: QservError) -> None:
    assert error.message
    assert error.render()


@settings(max_examples=800)
@given(soup)
def test_soup_of_words(text: str) -> None:
    must_not_crash(text)


@settings(max_examples=800)
@given(middle, middle)
def test_soup_in_a_query(items: str, rest: str) -> None:
    must_not_crash(f"SELECT {items} FROM Object {rest}")


@settings(max_examples=800)
@given(middle)
@example("x IN ?")
def test_soup_in_a_condition(condition: str) -> None:
    must_not_crash(f"SELECT objectId FROM Object WHERE ra > 1 AND {condition}")


@settings(max_examples=400)
@given(st.text(max_size=80))
@example("\x00")
@example("SELECT \ud800 FROM Object")
def test_any_text(text: str) -> None:
    must_not_crash(text)


_QUERY = (
    "SELECT TOP 5 o.objectId, COUNT(*) AS n FROM Object AS o JOIN Source s ON o.objectId = s.objectId WHERE "
    "1 = CONTAINS(POINT('ICRS', ra, dec), CIRCLE('ICRS', 10, 20, 1.5)) AND s.band IN ('r', 'i') GROUP BY o.objectId "
    "HAVING COUNT(*) > 3 ORDER BY n DESC"
)


@settings(max_examples=400)
@given(st.integers(0, len(_QUERY)), st.integers(0, 12), st.one_of(words, st.text(max_size=3)))
def test_a_right_query_made_wrong(place: int, cut: int, inserted: str) -> None:
    must_not_crash(_QUERY[:place] + inserted + _QUERY[place + cut :])
