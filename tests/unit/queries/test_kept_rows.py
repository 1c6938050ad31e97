"""Which statements make a server keep rows, and of how many: those that sort, hash or join keep all that they read."""

from __future__ import annotations

import numpy as np
import pytest
from support.catalogs import catalog, plan

from qserv_py.planner.estimate import kept_rows
from qserv_py.planner.plan.query_plan import ShardStage

SKY = "CONTAINS(POINT(ra, dec), CIRCLE(10, 10, 20)) = 1"


def kept(adql: str) -> tuple[ShardStage, list[int]]:
    """Return the first stage over chunks of a query, and the rows kept of each chunk."""
    made = plan(adql)
    stage = next(stage for stage in made.stages if isinstance(stage, ShardStage) and stage.family is not None)
    return stage, kept_rows(stage, made.catalog).tolist()


def rows_of(stage: ShardStage, *tables: str) -> list[int]:
    """Return the rows of tables in each chunk of a stage, counted one by one."""
    held = [catalog().snapshots["dr1"].tables[name] for name in tables]
    found = []
    for chunk in stage.chunks.tolist():
        counts = [dict(zip(one.chunks.tolist(), one.rows.tolist(), strict=True)) for one in held]
        found.append(sum(of.get(chunk, 0) for of in counts))
    return found


@pytest.mark.parametrize(
    "adql",
    [
        "SELECT objectId FROM Object",
        f"SELECT objectId FROM Object WHERE {SKY}",
        "SELECT COUNT(*), AVG(ra) FROM Object",
        "SELECT TOP 10 objectId FROM Object ORDER BY ra",
        "SELECT objectId FROM Object WHERE objectId IN (1, 2, 3)",
    ],
)
def test_rows_that_pass_are_not_kept(adql: str) -> None:
    stage, rows = kept(adql)
    assert rows == [0] * len(stage.chunks)


@pytest.mark.parametrize(
    ("adql", "tables"),
    [
        ("SELECT objectId, COUNT(*) FROM Source GROUP BY objectId", ["Source"]),
        ("SELECT MAX(n) FROM (SELECT objectId, COUNT(*) AS n FROM Source GROUP BY objectId) AS q", ["Source"]),
        ("SELECT DISTINCT objectId FROM Source", ["Source"]),
        ("SELECT o.ra FROM Object o JOIN Source s ON s.objectId = o.objectId", ["Object", "Source"]),
        (
            "SELECT COUNT(*) FROM Object a, Object b WHERE a.objectId < b.objectId"
            " AND 1 = CONTAINS(POINT(a.ra, a.dec), CIRCLE(b.ra, b.dec, 0.001))",
            ["Object", "Object"],
        ),
        ("SELECT objectId, ROW_NUMBER() OVER (PARTITION BY objectId ORDER BY ra) FROM Object", ["Object"]),
        (
            "SELECT ra FROM Object o WHERE objectId IN (SELECT s.objectId FROM Source s WHERE s.objectId = o.objectId)",
            ["Object", "Source"],
        ),
    ],
)
def test_what_sorts_hashes_or_joins_keeps_what_it_reads(adql: str, tables: list[str]) -> None:
    stage, rows = kept(adql)
    assert rows == rows_of(stage, *tables)
    assert np.sum(rows) > 0


def test_each_chunk_keeps_the_rows_of_a_ref_table_once_more() -> None:
    stage, rows = kept("SELECT s.flux FROM Source s JOIN Visit v ON v.visit = s.visit")
    assert rows == [own + 5 for own in rows_of(stage, "Source")]
