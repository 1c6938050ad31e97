"""Expressions that a row makes fail: one error whoever evaluates, which says what to write instead."""

from __future__ import annotations

import pytest
from support.catalogues import Loaded

from qserv_py.czar.cluster import Cluster
from qserv_py.czar.session import Session
from qserv_py.errors import EvaluationError

FAILING = {
    "SELECT objectId / (objectId - objectId) AS x FROM field.Object": "NULLIF",
    "SELECT SUM(objectId) / (COUNT(*) - COUNT(*)) AS x FROM field.Object": "NULLIF",
    "SELECT SQRT(-1 - ABS(objectId)) AS x FROM field.Object": "CASE WHEN x >= 0",
    "SELECT LOG10(-1.0 * COUNT(*)) AS x FROM field.Object": "CASE WHEN x > 0",
    "SELECT objectId FROM field.Object WHERE objectId = (SELECT o.objectId FROM field.Object AS o)": "IN (SELECT",
    "SELECT o.objectId, (SELECT s.sourceId FROM field.Source AS s WHERE s.objectId = o.objectId) AS x"
    " FROM field.Object AS o": "IN (SELECT",
}


@pytest.mark.parametrize("query", FAILING)
def test_the_hint_says_what_to_write(cluster: Cluster, field: Loaded, query: str) -> None:
    with Session(cluster) as session, pytest.raises(EvaluationError) as caught:
        list(session.answer(query).batches())
    assert FAILING[query] in caught.value.hint, caught.value.render()
    assert caught.value.message.startswith("an expression of the query failed: ")
