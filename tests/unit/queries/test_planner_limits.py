"""What the planner refuses because it would never end, and what makes it possible."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
from support import catalogs

from qserv_py.catalog.snapshot import Catalog, TableSnapshot
from qserv_py.errors import QueryNotSupportedError
from qserv_py.planner.build import plan_query
from qserv_py.planner.estimate import MANY_ROWS, warnings_of
from qserv_py.planner.plan.query_plan import QueryPlan, ShardStage

APART = "DISTANCE(a.ra, a.dec, b.ra, b.dec)"


def crowded() -> Catalog:
    """Return the catalogue with a million rows in each chunk."""

    def grown(table: TableSnapshot) -> TableSnapshot:
        rows = np.full(len(table.chunks), 1_000_000)
        return replace(table, rows=rows, total_rows=int(rows.sum()))

    known = catalogs.catalog()
    snapshots = {
        name: replace(snapshot, tables={table: grown(one) for table, one in snapshot.tables.items()})
        for name, snapshot in known.snapshots.items()
    }
    return replace(known, snapshots=MappingProxyType(snapshots))


def plan(text: str) -> QueryPlan:
    return plan_query(catalogs.resolved(text), crowded())


def exchanged(found: QueryPlan) -> list[int]:
    """Return the rows that each exchange of a plan sends."""
    stages = [stage for stage in found.stages if isinstance(stage, ShardStage)]
    return [stage.exchange.rows for stage in stages if stage.exchange is not None]


@pytest.mark.parametrize(
    "query",
    [
        f"SELECT COUNT(*) FROM Object a, Object b WHERE {APART} < 25",
        f"SELECT a.objectId FROM Object a LEFT JOIN Truth b ON {APART} < 179",
        f"SELECT a.objectId FROM Object a WHERE NOT EXISTS (SELECT 1 FROM Truth b WHERE {APART} < 25)",
    ],
)
def test_too_many_neighbours(query: str) -> None:
    with pytest.raises(QueryNotSupportedError, match=r'too many rows of "a", "b" are within .* deg') as raised:
        plan(query)
    assert "smaller radius" in raised.value.render()


def test_no_equality_at_all() -> None:
    with pytest.raises(QueryNotSupportedError, match="not joined by an equality"):
        plan("SELECT COUNT(*) FROM Object a, Truth b WHERE a.nObs < b.truthId")


def test_a_smaller_radius_sends_fewer_rows() -> None:
    query = f"SELECT COUNT(*) FROM Object a, Object b WHERE {APART} < "
    [wide], [narrow] = exchanged(plan(query + "0.1")), exchanged(plan(query + "0.0199"))
    assert 0 < narrow < wide / 4 < 120_000_000 / 40


def test_a_place_makes_it_possible() -> None:
    [rows] = exchanged(
        plan(f"SELECT COUNT(*) FROM Object a, Object b WHERE {APART} < 0.5 AND DISTANCE(b.ra, b.dec, 0, 41.81) < 0.5")
    )
    assert rows < 10_000_000


def test_the_side_that_sends_less_is_the_near_one() -> None:
    [stage, *_] = plan(f"SELECT COUNT(*) FROM Truth b, Object a WHERE {APART} < 0.1").stages
    assert isinstance(stage, ShardStage)
    assert stage.moves == "dr1.Truth"


def test_a_large_exchange_is_warned_of() -> None:
    found = plan(f"SELECT COUNT(*) FROM Object a, Object b WHERE {APART} < 0.3")
    [rows] = exchanged(found)
    assert rows >= MANY_ROWS
    assert any("a smaller radius or a place sends fewer" in text for text in warnings_of(found))
