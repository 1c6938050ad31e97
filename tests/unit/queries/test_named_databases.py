"""The databases whose chunks a query needs: those of every table in it, wherever it stands."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest
from support.catalogs import catalog, resolved

from qserv_py.catalog.snapshot import Catalog, DatabaseVersion
from qserv_py.czar.chunk_loader import databases_of
from qserv_py.errors import InternalError
from qserv_py.planner.build import plan_query
from qserv_py.planner.plan.query_plan import ShardStage
from qserv_py.planner.writing.fill import chunk_queries

BOTH = frozenset({"dr1", "dr2"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT a FROM dr2.Shared", {"dr2"}),
        ("SELECT ra FROM Object WHERE objectId IN (SELECT starId FROM Star)", BOTH),
        ("SELECT ra FROM Object o WHERE EXISTS (SELECT 1 FROM Star s WHERE s.starId = o.objectId)", BOTH),
        ("SELECT ra, (SELECT MAX(mag) FROM Star) AS most FROM Object", BOTH),
        ("SELECT ra FROM Object ORDER BY (SELECT MAX(mag) FROM Star)", BOTH),
        ("SELECT COUNT(*) FROM Object HAVING COUNT(*) > (SELECT COUNT(*) FROM Star)", BOTH),
        ("WITH s AS (SELECT starId FROM Star) SELECT ra FROM Object JOIN s ON s.starId = objectId", BOTH),
        ("SELECT t.n FROM (SELECT COUNT(*) AS n FROM (SELECT starId FROM Star) u) t, dr1.Shared", BOTH),
        ("SELECT objectId FROM Object UNION ALL SELECT starId FROM Star", BOTH),
        (
            "SELECT v.a FROM dr1.Shared v LEFT JOIN dr1.Mixed ON v.a > (SELECT MIN(mag) FROM Star)",
            BOTH,
        ),
        ("SELECT CASE WHEN EXISTS (SELECT 1 FROM Star) THEN ra ELSE dec END AS x FROM Object", BOTH),
    ],
)
def test_every_table_counts(text: str, expected: set[str]) -> None:
    assert databases_of(resolved(text)) == expected


def without_chunks(known: Catalog) -> Catalog:
    versions = {name: DatabaseVersion(database_id=1, version=1, family=1, snapshot=1) for name in known.snapshots}
    return replace(known, snapshots=MappingProxyType({}), versions=MappingProxyType(versions))


def plan_and_write(text: str, known: Catalog) -> list[str]:
    """Return the statements of a query."""
    plan = plan_query(resolved(text), known, {})
    shards = [stage for stage in plan.stages if isinstance(stage, ShardStage)]
    return [plan.text, *(query.sql for stage in shards for query in chunk_queries(stage, known))]


@pytest.mark.parametrize("text", ["SELECT ra FROM Object", "SELECT COUNT(*) FROM Object", "SELECT visit FROM Visit"])
def test_a_plan_without_the_chunks_it_needs_is_a_defect(text: str) -> None:
    """Not an answer without rows."""
    bare = without_chunks(catalog())
    with pytest.raises(InternalError, match='a plan needs the chunks of "dr1", which its catalogue is without'):
        plan_and_write(text, bare)
    assert plan_and_write(text, catalog())
