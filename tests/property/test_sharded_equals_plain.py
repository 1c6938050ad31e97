"""The sharded answer equals the answer of one plain PostgreSQL that holds the same rows.

Hypothesis draws here, and makes a query that differs shorter; ``support.random_queries`` draws many more by itself.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.catalogues import ALL, CATALOGUES
from support.plain import table_differences
from support.random_queries.comparing import compare, report
from support.random_queries.constants import constants_of
from support.random_queries.drawing import Drawing, RandomQuery
from support.random_queries.running import draw
from support.random_queries.shapes import queries
from support.servers import Servers

from qserv_py.executor import sent_rows

EXAMPLES = int(os.environ.get("QSERV_TEST_QUERIES", "1000"))
"""Random queries of the default run, over all catalogues."""


def check(servers: Servers, query: RandomQuery) -> None:
    """Compare the answers, and what is said of a query whose evaluation fails."""
    result = compare(servers, query)
    assert not result.found, report(query, result.found)


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=EXAMPLES // len(ALL), deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(data=st.data())
def test_random_queries_agree(servers: Servers, name: str, data: st.DataObject) -> None:
    check(servers, queries(Drawing(lambda bound: data.draw(st.integers(0, bound - 1)), name)))


@pytest.mark.parametrize("name", ALL)
def test_whole_tables_agree(servers: Servers, name: str) -> None:
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


def test_chunks_that_need_few_rows_of_a_long_list(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """The few are written into the statements then, the list would not be."""
    monkeypatch.setattr(sent_rows, "MAX_TEXT_VALUES", 100)
    ra, dec = constants_of("clustered").places[0]
    text = (
        "SELECT o.objectId, s.sourceId FROM clustered.Source s LEFT JOIN clustered.Object o ON o.objectId = s.objectId"
        " WHERE {} AND o.objectId IN (SELECT objectId FROM clustered.Source WHERE visit < 3)"
    )
    adql = text.format(f"1 = CONTAINS(POINT(o.coord_ra, o.coord_dec), CIRCLE({ra}, {dec}, 0.02))")
    sql = text.format(f"oracle.separation(o.coord_ra, o.coord_dec, {ra}, {dec}) <= 0.02")
    ours = servers.sharded.query(adql).to_arrow()
    assert not table_differences(ours, servers.plain.execute(sql.encode(), binary=True).fetchall(), ordered=False)


@dataclass(frozen=True)
class _Spoilt:
    """A connection whose answers are wrong in one value, or have a row too few."""

    sharded: Any

    def query(self, adql: str, **given: Any) -> _Spoilt:
        return replace(self, sharded=self.sharded.query(adql, **given))

    def to_arrow(self) -> pa.Table:
        table = self.sharded.to_arrow()
        place = next((place for place, kind in enumerate(table.schema.types) if pa.types.is_integer(kind)), None)
        if place is None:
            return table.slice(1)
        *values, last = table.column(place).to_pylist()
        wrong = [*values, None if last is not None else 3]
        return table.set_column(place, table.schema.field(place), pa.array(wrong, table.schema.types[place]))


def test_a_wrong_answer_is_found(servers: Servers) -> None:
    spoilt, tried = replace(servers, sharded=_Spoilt(servers.sharded)), 0
    for number in range(40):
        query, _, _ = draw(f"planted:{number}")
        if compare(servers, query).rows:
            tried += 1
            assert compare(spoilt, query).found, query.adql
    assert tried > 10
