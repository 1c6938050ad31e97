"""``/api``: answers in JSON to what TAP does not answer: is a query right, what will it do, what runs, end it."""

from __future__ import annotations

import json
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from qserv_py.adql.blocks.resolve import resolve
from qserv_py.adql.parse import Mode, parse
from qserv_py.adql.tree import OutputColumn
from qserv_py.catalog.snapshot import Catalog
from qserv_py.czar.identity.identity import Identity
from qserv_py.czar.queries.cancel_orders import cancel_query, queries_of
from qserv_py.czar.user_tables.user_tables import database_of
from qserv_py.errors import QservError, UserError
from qserv_py.planner.estimate import reads_of, warnings_of
from qserv_py.planner.explain import explain as explained
from qserv_py.planner.plan.query_plan import QueryPlan, ShardStage
from qserv_py.registry.queries import QueryEntry
from qserv_py.registry.user_tables import UserTable
from qserv_py.vo.http.parameters import bounded_body
from qserv_py.vo.http.replies import error_json
from qserv_py.vo.http.requester import known_requester_of, requester_of
from qserv_py.vo.http.xml import iso_time
from qserv_py.vo.openapi import openapi
from qserv_py.vo.service import service_of


async def validate(request: Request) -> Response:
    """Say whether a query is right: its columns, or its error with the place."""
    service, body = service_of(request), await _body(request)
    adql, mode = _text(body, "query"), _mode(body)
    catalog = await run_in_threadpool(service.session.catalog, requester_of(request).identity)
    return JSONResponse(await run_in_threadpool(_validated, catalog, adql, mode))


async def explain(request: Request) -> Response:
    """Say how a query would be answered: columns, stages, an estimate, warnings, and the plan as text."""
    service, body = service_of(request), await _body(request)
    identity = requester_of(request).identity
    plan = await run_in_threadpool(service.session.plan, _text(body, "query"), identity)
    return JSONResponse(await run_in_threadpool(_plan, plan))


async def user_tables(request: Request) -> Response:
    """List the tables that the requester keeps, those that others share, and the space that is taken."""
    service, identity = service_of(request), known_requester_of(request).identity
    kept = service.session.user_tables
    tables = await run_in_threadpool(kept.tables, identity)
    taken = await run_in_threadpool(kept.kept_bytes, identity)
    most = service.rules.limits_for(identity).user_table_bytes
    return JSONResponse({"tables": [_table(table, identity) for table in tables], "bytes": taken, "most_bytes": most})


async def queries(request: Request) -> Response:
    """List the queries of the requester that run, at this service or in another process of the cluster."""
    service, identity = service_of(request), known_requester_of(request).identity

    def read() -> list[QueryEntry]:
        with service.session.cluster.registry() as registry:
            return queries_of(registry, identity)

    return JSONResponse({"queries": [_query(entry) for entry in await run_in_threadpool(read)]})


async def cancel(request: Request) -> Response:
    """End a query of the requester; the reply comes when it has ended."""
    service, requester = service_of(request), known_requester_of(request)
    service.admission.count(requester)
    query_id = request.path_params["query_id"]

    def end() -> None:
        with service.session.cluster.registry() as registry:
            cancel_query(registry, query_id, requester.identity)

    await run_in_threadpool(end)
    return JSONResponse({"id": query_id})


def _query(entry: QueryEntry) -> dict[str, Any]:
    return {
        "id": entry.query_id,
        "kind": entry.kind,
        "priority": entry.priority,
        "phase": entry.phase,
        "owner": entry.owner,
        "started": iso_time(entry.started_at),
        "snapshots": dict(entry.snapshots),
        "text": entry.text,
    }


def _table(table: UserTable, identity: Identity) -> dict[str, Any]:
    is_own = table.owner == identity.user
    return {
        "name": f"{database_of(table, identity)}.{table.name}",
        "owner": table.owner,
        "rows": table.rows,
        "bytes": table.bytes,
        "description": table.description,
        "created": iso_time(table.created_at),
        "shared_with": sorted(map(str, table.shared_with)) if is_own else [],
    }


def _validated(catalog: Catalog, adql: str, mode: Mode) -> dict[str, Any]:
    try:
        resolved = resolve(parse(adql, mode=mode), catalog)
    except RecursionError:
        return {"ok": False, "error": error_json(UserError("the query is nested too deeply"))}
    except QservError as error:
        return {"ok": False, "error": error_json(error)}
    return {"ok": True, "columns": [_column(column) for column in resolved.columns]}


def _plan(plan: QueryPlan) -> dict[str, Any]:
    stages = [_stage(stage, plan) for stage in plan.stages if isinstance(stage, ShardStage)]
    return {
        "columns": [_column(column) for column in plan.columns],
        "chunks": plan.chunks,
        "chunks_known": plan.chunks_known,
        "estimate": {
            "rows": sum(read["rows"] for stage in stages for read in stage["reads"]),
            "bytes": sum(read["bytes"] for stage in stages for read in stage["reads"]),
        },
        "stages": stages,
        "warnings": list(warnings_of(plan)),
        "text": explained(plan),
    }


def _stage(stage: ShardStage, plan: QueryPlan) -> dict[str, Any]:
    return {
        "name": stage.name,
        "chunks": len(stage.chunks),
        "chunks_known": stage.chunks_known,
        "notes": list(stage.notes),
        "reads": [{"table": read.table, "rows": read.rows, "bytes": read.bytes} for read in reads_of(stage, plan)],
    }


def _column(column: OutputColumn) -> dict[str, Any]:
    return {
        "name": column.name,
        "datatype": column.datatype.names.adql,
        "unit": column.unit,
        "ucd": column.ucd,
        "description": column.description,
    }


async def _body(request: Request) -> dict[str, Any]:
    service = service_of(request)
    service.admission.count(requester_of(request))
    try:
        raw = b"".join([chunk async for chunk in bounded_body(request, service.limits.query_bytes)])
        body = json.loads(raw)
    except ClientDisconnect:
        raise UserError("the client left before it had sent its request") from None
    except (ValueError, RecursionError) as error:
        raise UserError("the request is not JSON", detail=str(error)[:200]) from error
    if not isinstance(body, dict):
        raise UserError("the request is not a JSON object", hint='Send {"query": "SELECT ..."}.')
    return body


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise UserError(f'"{name}" must be a text', hint='Send {"query": "SELECT ..."}.')
    return value


def _mode(body: dict[str, Any]) -> Mode:
    value = body.get("mode", Mode.LENIENT.value)
    if value not in [mode.value for mode in Mode]:  # compared in a list, as what the client sent may have no hash
        raise UserError('"mode" can be "lenient" or "strict"')
    return Mode(value)


API_ROUTES = [
    Route("/validate", validate, methods=["POST"]),
    Route("/explain", explain, methods=["POST"]),
    Route("/tables", user_tables, methods=["GET"]),
    Route("/queries", queries, methods=["GET"]),
    Route("/queries/{query_id}", cancel, methods=["DELETE"]),
    Route("/openapi.json", openapi, methods=["GET"]),
]
"""Routes below ``/api``."""
