"""The sharded answer equals the answer of one plain PostgreSQL that holds the same rows."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.catalogues import CATALOGUES, GAPS
from support.plain import differences, is_part
from support.random_adql import RandomQuery, queries
from support.servers import Servers

from qserv_py.errors import EvaluationError
from qserv_py.executor import sent_rows

EXAMPLES = int(os.environ.get("QSERV_TEST_QUERIES", "1000"))
"""Random queries of the default run, over all catalogues."""

ALL = (*CATALOGUES, GAPS)

LONG_EXAMPLES = int(os.environ.get("QSERV_TEST_LONG_QUERIES", "20000"))


def check(servers: Servers, query: RandomQuery) -> None:
    """Compare the answers; a query whose evaluation fails on the plain server says nothing.

    Every second query copies its rows to the workers, however few they are.
    """
    with pytest.MonkeyPatch.context() as patched:
        if len(query.adql) % 2:
            patched.setattr(sent_rows, "MAX_TEXT_VALUES", 0)
        _check(servers, query)


def _check(servers: Servers, query: RandomQuery) -> None:
    try:
        theirs = [tuple(row) for row in servers.plain.execute(query.sql, binary=True).fetchall()]  # type: ignore[call-overload]
    except (psycopg.errors.DataError, psycopg.errors.NumericValueOutOfRange):
        with pytest.raises(EvaluationError):
            servers.sharded.query(query.adql, uploads=servers.uploads).to_arrow()
        return
    table = servers.sharded.query(query.adql, uploads=servers.uploads).to_arrow()
    ours = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
    if query.any_of:
        everything = servers.plain.execute(query.any_of, binary=True).fetchall()  # type: ignore[call-overload]
        assert len(ours) == len(theirs), query.adql
        assert is_part(ours, everything), query.adql
        return
    found = differences(ours, theirs, ordered=query.ordered)
    assert not found, f"{found}\nADQL: {query.adql}\nSQL: {query.sql}"


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=EXAMPLES // len(ALL), deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(data=st.data())
def test_random_queries_agree(servers: Servers, name: str, data: st.DataObject) -> None:
    check(servers, data.draw(queries(name)))


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", ALL)
@settings(
    max_examples=LONG_EXAMPLES // len(ALL),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
@given(data=st.data())
def test_many_random_queries_agree(servers: Servers, name: str, data: st.DataObject) -> None:
    check(servers, data.draw(queries(name)))


@pytest.mark.parametrize("name", ALL)
def test_whole_tables_agree(servers: Servers, name: str, tmp_path: Path) -> None:
    for table in ("Object", "Source", "Visit"):
        check(servers, RandomQuery(f"SELECT * FROM {name}.{table}", f'SELECT * FROM "{name}"."{table.lower()}"'))


@pytest.mark.parametrize("negated", ["", "NOT "])
@pytest.mark.parametrize("name", CATALOGUES)
def test_a_key_that_an_outer_join_made_null_is_in_no_list(servers: Servers, name: str, negated: str) -> None:
    text = (
        "SELECT s.sourceId AS a FROM {0}.Source s LEFT JOIN {0}.Object o ON o.objectId = s.objectId AND s.band = 'none'"
        " WHERE o.objectId {1}IN (SELECT objectId FROM {0}.Source WHERE flux < 0.5)"
    )
    adql = text.format(name, negated)
    check(servers, RandomQuery(adql, adql))


@pytest.mark.parametrize("name", CATALOGUES)
def test_a_list_of_ids_of_a_near_source_does_not_narrow_the_chunks(servers: Servers, name: str) -> None:
    text = (
        "SELECT o.gFlux AS a, p.objectId AS b FROM {0}.Object o RIGHT JOIN {0}.Object p ON {1} < 0.003"
        " WHERE o.objectId IN (SELECT objectId FROM {0}.Source WHERE flux IS NULL)"
    )
    places = "o.coord_ra, o.coord_dec, p.coord_ra, p.coord_dec"
    check(
        servers,
        RandomQuery(text.format(name, f"DISTANCE({places})"), text.format(name, f"oracle.separation({places})")),
    )
