"""What answers 1 or 0 is a condition however it is asked: all spellings have one plan, so they prune alike."""

from __future__ import annotations

import pytest
from support.catalogs import plan

from qserv_py.planner.explain import explain

HOLDS = [
    "{0}",
    "{0} = 1",
    "{0} = 'true'",
    "'f' <> {0}",
    "1 = {0}",
    "{0} = TRUE",
    "{0} <> 0",
    "{0} > 0",
    "0 < {0}",
    "{0} >= 1",
    "{0} != FALSE",
]
FAILS = ["NOT {0}", "{0} = 'no'", "{0} = 0", "0 = {0}", "{0} = FALSE", "{0} <> 1", "{0} < 1", "{0} <= 0", "NOT {0} = 1"]
CONDITIONS = [
    "CONTAINS(POINT(ra, dec), CIRCLE(10, 20, 1))",
    "CONTAINS(POINT(ra, dec), POLYGON(10, 10, 12, 10, 11, 12))",
    "INTERSECTS(BOX(ra, dec, 0.1, 0.1), CIRCLE(10, 20, 1))",
    "scisql_s2PtInCircle(ra, dec, 10, 20, 1)",
    "scisql_s2PtInBox(ra, dec, 10, 20, 12, 22)",
    "scisql_s2PtInCPoly(ra, dec, 10, 10, 12, 10, 11, 12)",
    "qserv_areaspec_circle(10, 20, 1)",
    "qserv_areaspec_box(10, 20, 12, 22)",
    "q3c_radial_query(ra, dec, 10, 20, 1)",
    "extended",
    "ivo_hasword(label, 'x')",
]


def plan_of(condition: str) -> str:
    return explain(plan(f"SELECT objectId FROM Object WHERE {condition}"))


@pytest.mark.parametrize("condition", CONDITIONS)
def test_all_spellings_have_one_plan(condition: str) -> None:
    holds = {plan_of(spelling.format(condition)) for spelling in HOLDS}
    fails = {plan_of(spelling.format(condition)) for spelling in FAILS}
    assert len(holds) == len(fails) == 1
    assert holds != fails


@pytest.mark.parametrize("condition", CONDITIONS)
def test_they_stand_between_others(condition: str) -> None:
    for around in ("nObs = 3 AND {0}", "{0} OR gFlux > 3", "NOT ({0} OR nObs = 1) AND dec > 3"):
        assert plan_of(around.format(condition)) == plan_of(around.format(f"{condition} = 1"))


def test_in_joins_and_elsewhere() -> None:
    circle = "CONTAINS(POINT(o.ra, o.dec), CIRCLE(10, 20, 1))"
    for text in (
        "SELECT s.flux FROM Object AS o JOIN Source AS s ON s.objectId = o.objectId AND {0}",
        "SELECT COUNT(*) FROM Object AS o WHERE nObs = 1 GROUP BY nObs HAVING BOOL_OR({0})",
        "SELECT CASE WHEN {0} THEN 1 ELSE 2 END FROM Object AS o",
        "SELECT nObs FROM Object AS o WHERE objectId IN (SELECT o.objectId FROM Object AS o WHERE {0})",
    ):
        assert explain(plan(text.format(circle))) == explain(plan(text.format(f"1 = {circle}")))
