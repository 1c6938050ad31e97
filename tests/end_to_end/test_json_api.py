"""The JSON API as its own description says it is: schemathesis asks right and wrong things of every path."""

from __future__ import annotations

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from support.tap_server import TapServer

from qserv_py.vo.json_api import API_ROUTES
from qserv_py.vo.openapi import openapi_document

SCHEMA = schemathesis.openapi.from_dict(openapi_document())
QUERIES = (
    "SELECT TOP 5 objectId FROM clustered.Object",
    "SELECT COUNT(*) FROM clustered.Object WHERE 1 = CONTAINS(POINT(coord_ra, coord_dec), CIRCLE(10, -5, 1))",
    "SELECT nope FROM clustered.Object",
    "SELECT",
)


@SCHEMA.parametrize()
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_asked_the_answer_is_as_described(case: Case, tap: TapServer) -> None:
    right_by_grammar_only = [schemathesis.checks.CHECKS.get_one("positive_data_acceptance")]
    case.call_and_validate(base_url=f"{tap.root}/api", timeout=30, excluded_checks=right_by_grammar_only)


def test_answers_to_queries_are_as_described(tap: TapServer) -> None:
    for name in ("validate", "explain"):
        operation = SCHEMA[f"/{name}"]["POST"]
        for query in QUERIES:
            reply = operation.Case(body={"query": query}).call(base_url=f"{tap.root}/api")
            operation.validate_response(reply)


def test_the_description_has_every_path(tap: TapServer) -> None:
    served = tap.get("/api/openapi.json").json()
    assert served == openapi_document()
    assert {route.path for route in API_ROUTES} == {*served["paths"], "/openapi.json"}
