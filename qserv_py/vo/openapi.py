"""``/api/openapi.json``: the JSON API as OpenAPI 3.1 describes it, for programs that make clients or tests of it."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from qserv_py.adql.parse import Mode

Schema = dict[str, Any]


async def openapi(_request: Request) -> Response:
    """Return the description."""
    return JSONResponse(openapi_document())


def openapi_document() -> Schema:
    """Return the description of every path below ``/api``."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "qserv_py: what TAP cannot say",
            "version": version("qserv-py"),
            "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
        },
        "servers": [{"url": "/api"}],
        "paths": {
            "/validate": {
                "post": _operation(
                    "validate",
                    "Say whether a query is right: its columns, or its error with the place.",
                    _reference("Validation"),
                    body=_object({"query": _QUERY, "mode": _MODE}, needed=("query",)),
                )
            },
            "/explain": {
                "post": _operation(
                    "explain",
                    "Say how a query would be answered, without running it.",
                    _reference("Explanation"),
                    body=_object({"query": _QUERY}, needed=("query",)),
                )
            },
            "/tables": {
                "get": _operation(
                    "userTables",
                    "List the tables that the requester keeps, those that others share, and the space that is taken.",
                    _reference("UserTables"),
                )
            },
            "/queries": {
                "get": _operation("queries", "List the queries of the requester that run.", _reference("Queries"))
            },
            "/queries/{query_id}": {
                "parameters": [{"name": "query_id", "in": "path", "required": True, "schema": _TEXT}],
                "delete": _operation(
                    "cancel", "End a query of the requester; the reply comes when it has ended.", _object({"id": _TEXT})
                ),
            },
        },
        "components": {
            "schemas": _SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _operation(name: str, summary: str, answer: Schema, *, body: Schema | None = None) -> Schema:
    failure = {"description": "An error.", "content": _json(_object({"error": _reference("Error")}))}
    operation: Schema = {
        "operationId": name,
        "summary": summary,
        "responses": {"200": {"description": "The answer.", "content": _json(answer)}}
        | dict.fromkeys(("400", "401", "404", "413", "429", "500", "503"), failure),
    }
    if body is not None:
        operation["requestBody"] = {"required": True, "content": _json(body)}
    return operation


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: Schema, *, needed: tuple[str, ...] | None = None) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties if needed is None else needed)}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_QUERY: Schema = {"type": "string", "description": "ADQL 2.1.", "examples": ["SELECT TOP 5 * FROM dr1.Object"]}
_MODE: Schema = {"enum": [mode.value for mode in Mode], "default": Mode.LENIENT.value}

_SCHEMAS: Schema = {
    "Error": _object(
        {"code": _TEXT, "message": _TEXT, "hint": _TEXT, "line": _COUNT, "column": _COUNT},
        needed=("code", "message", "hint"),
    ),
    "Column": _object(dict.fromkeys(("name", "datatype", "unit", "ucd", "description"), _TEXT)),
    "Validation": _object(
        {"ok": {"type": "boolean"}, "columns": _list(_reference("Column")), "error": _reference("Error")},
        needed=("ok",),
    ),
    "Explanation": _object(
        {
            "columns": _list(_reference("Column")),
            "chunks": _COUNT,
            "chunks_known": _COUNT,
            "estimate": _object({"rows": _COUNT, "bytes": _COUNT}),
            "stages": _list(_reference("Stage")),
            "warnings": _list(_TEXT),
            "text": _TEXT,
        }
    ),
    "Stage": _object(
        {
            "name": _TEXT,
            "chunks": _COUNT,
            "chunks_known": _COUNT,
            "notes": _list(_TEXT),
            "reads": _list(_object({"table": _TEXT, "rows": _COUNT, "bytes": _COUNT})),
        }
    ),
    "Queries": _object({"queries": _list(_reference("Query"))}),
    "Query": _object(
        {
            **dict.fromkeys(("id", "kind", "phase", "owner", "text"), _TEXT),
            "priority": _COUNT,
            "started": {"type": "string", "format": "date-time"},
            "snapshots": {"type": "object", "additionalProperties": _COUNT},
        }
    ),
    "UserTables": _object({"tables": _list(_reference("UserTable")), "bytes": _COUNT, "most_bytes": _COUNT}),
    "UserTable": _object(
        {
            "name": _TEXT,
            "owner": _TEXT,
            "rows": _COUNT,
            "bytes": _COUNT,
            "description": _TEXT,
            "created": {"type": "string", "format": "date-time"},
            "shared_with": _list(_TEXT),
        }
    ),
}
