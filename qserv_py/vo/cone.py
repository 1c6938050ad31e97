"""``/cone/DATABASE.TABLE``: Simple Cone Search of each director table, as a query like any other.

Its errors are VOTables with an INFO called Error and HTTP status 200, as the standard wants; what is no fault of the
request keeps its status.
"""

from __future__ import annotations

import math
from dataclasses import replace

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from qserv_py.adql.words import written_name, written_table
from qserv_py.catalog.model import DirectorTable
from qserv_py.catalog.snapshot import Catalog
from qserv_py.czar.queries.request import QueryRequest, query_request
from qserv_py.czar.tables.tap_schema import written_column
from qserv_py.errors import NotFoundError, UserError
from qserv_py.vo.http.parameters import Parameters, read_parameters
from qserv_py.vo.http.replies import VOTABLE
from qserv_py.vo.http.requester import requester_of
from qserv_py.vo.http.xml import document, element
from qserv_py.vo.service import service_of
from qserv_py.vo.tap.sync import sync_reply

USUAL_COLUMNS = 30
"""How many columns an answer with VERB=2 has, beside the id and the position."""


async def cone(request: Request) -> ASGIApp:
    """Answer a cone search."""
    service, requester = service_of(request), requester_of(request)
    service.admission.count(requester)
    catalog = await run_in_threadpool(service.session.catalog, requester.identity)
    table = _director(catalog, request.path_params["table"])
    parameters = await read_parameters(request, most_bytes=service.limits.query_bytes)
    try:
        asked = cone_request(table, parameters, most_rows=service.rules.limits_for(requester.identity).rows)
    except UserError as error:
        return _error(error.render())
    return sync_reply(request, asked, parameters)


def cone_request(table: DirectorTable, parameters: Parameters, *, most_rows: int) -> QueryRequest:
    """Return the query of a cone search; UserError if a parameter is missing or wrong."""
    ra = _number(parameters, "RA", -360.0, 360.0)
    dec = _number(parameters, "DEC", -90.0, 90.0)
    radius = _number(parameters, "SR", 0.0, 180.0)
    verbosity = parameters.get("VERB", "2").strip()
    if verbosity not in {"1", "2", "3"}:
        raise UserError(f'VERB is "{verbosity[:40]}", it can be 1, 2 or 3')
    needed = (table.id, table.ra.column, table.dec.column)
    shown = [column for column in table.columns if not column.hidden]
    further = {"1": [], "2": shown[:USUAL_COLUMNS], "3": shown}[verbosity]
    chosen = [table.column(name) for name in needed] + [column for column in further if column.name not in needed]
    names = ", ".join(written_column(table, column) for column in chosen)
    position = ", ".join(written_name(column) for column in needed[1:])
    where = f"CONTAINS(POINT({position}), CIRCLE({ra!r}, {dec!r}, {radius!r})) = 1"
    adql = f"SELECT {names} FROM {written_table(table)} WHERE {where}"  # noqa: S608 (ADQL of catalogue names and numbers)
    maxrec = "0" if radius == 0 else parameters.get("MAXREC")
    form = parameters.get("RESPONSEFORMAT")
    asked = query_request({"QUERY": adql, "MAXREC": maxrec, "RESPONSEFORMAT": form}, most_rows=most_rows)
    roles = ("meta.id;meta.main", "pos.eq.ra;meta.main", "pos.eq.dec;meta.main")
    return replace(asked, ucds=dict(zip(needed, roles, strict=True)))


def _director(catalog: Catalog, name: str) -> DirectorTable:
    for database in catalog.databases:
        for table in database.tables:
            if isinstance(table, DirectorTable) and name.lower() == table.qualified.lower():
                return table
    raise NotFoundError(f'there is no cone search of "{name[:80]}"', hint="Tables with positions have one.")


def _number(parameters: Parameters, name: str, least: float, most: float) -> float:
    text = parameters.get(name).strip()
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise UserError(f'{name} is "{text[:40]}", it must be a number from {least:g} to {most:g}, degrees')
    return value


def _error(text: str) -> Response:
    info = element("INFO", attributes={"ID": "Error", "name": "Error", "value": text})
    root = element("VOTABLE", info, attributes={"version": "1.4", "xmlns": "http://www.ivoa.net/xml/VOTable/v1.3"})
    return Response(document(root), media_type=VOTABLE)


CONE_ROUTES = [Route("/{table}", cone, methods=["GET", "POST"])]
"""Routes below ``/cone``."""
