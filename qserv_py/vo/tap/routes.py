"""The resources of TAP and where they are."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qserv_py.czar.identity.identity import Identity
from qserv_py.czar.obscore.standard import DataModel, data_models
from qserv_py.errors import ClusterError, QservError, UserError
from qserv_py.vo.http.replies import xml_reply
from qserv_py.vo.http.requester import requester_of
from qserv_py.vo.service import Service, service_of
from qserv_py.vo.tap.availability import availability_document
from qserv_py.vo.tap.capabilities import capabilities_document
from qserv_py.vo.tap.examples import examples_document, examples_of
from qserv_py.vo.tap.sync import sync
from qserv_py.vo.tap.tables import (
    astroquery_tables_document,
    chosen_tables_document,
    table_document,
    table_list_document,
    tables_document,
    with_flags,
)
from qserv_py.vo.tap.user_tables import USER_TABLE_ROUTES
from qserv_py.vo.uws.routes import JOB_ROUTES


async def capabilities(request: Request) -> Response:
    """Return what the service offers."""
    service = service_of(request)
    identity = requester_of(request).identity
    allowed = service.rules.limits_for(identity)
    models = await run_in_threadpool(_models, service, identity)
    fetches = bool(service.settings.upload_hosts)
    base = service.base_url(request)
    return xml_reply(request, capabilities_document(base, service.limits, allowed, fetches=fetches, models=models))


def _models(service: Service, identity: Identity) -> tuple[DataModel, ...]:
    """Return the data models of the tables; none while the registry does not answer."""
    try:
        return data_models(service.session.catalog(identity))
    except ClusterError:
        return ()


async def availability(request: Request) -> Response:
    """Return whether the service answers queries."""
    service = service_of(request)
    problem = await run_in_threadpool(problem_of, service)
    return xml_reply(request, availability_document(up_since=service.started_at, problem=problem))


def problem_of(service: Service) -> str:
    """Return why the service does not answer queries, empty when it does."""
    if service.stopping.is_set():
        return "the service is being stopped"
    try:
        service.check()
    except QservError as error:
        return error.message
    return ""


async def tables(request: Request) -> Response:
    """Return the tables; ``detail=min`` leaves out the columns."""
    service = service_of(request)
    folded = {name.lower(): value for name, value in request.query_params.items()}
    detail = folded.get("detail", "max").lower()
    if detail not in {"min", "max"}:
        raise UserError(f'detail is "{detail[:40]}", it can be min or max')
    if chosen := folded.get("tables", ""):
        catalog = await run_in_threadpool(service.session.catalog, requester_of(request).identity)
        root = chosen_tables_document(catalog, chosen)
        return xml_reply(request, with_flags(root) if _is_astroquery(request) else root)
    in_short = detail == "min" or folded.get("only_tables", "").lower() == "true"
    if in_short:
        make = table_list_document
    else:
        make = astroquery_tables_document if _is_astroquery(request) else tables_document
    reply = xml_reply(request, await run_in_threadpool(service.cached, make, request))
    reply.headers.append("Vary", "Accept, User-Agent")
    return reply


async def table(request: Request) -> Response:
    """Return one table."""
    catalog = await run_in_threadpool(service_of(request).session.catalog, requester_of(request).identity)
    found = table_document(catalog, request.path_params["name"])
    return xml_reply(request, with_flags(found) if _is_astroquery(request) else found)


def _is_astroquery(request: Request) -> bool:
    """Tell whether a client names neither itself nor a format, as astroquery does; validators name themselves."""
    return not {"accept", "user-agent"} & set(request.headers.keys())


async def examples(request: Request) -> Response:
    """Return queries to begin with."""
    body = await run_in_threadpool(service_of(request).cached, examples_document, request, chunks_of=examples_of)
    return xml_reply(request, body, mime="application/xhtml+xml; charset=utf-8")


TAP_ROUTES = [
    Route("/sync", sync, methods=["GET", "POST"]),
    *JOB_ROUTES,
    Route("/capabilities", capabilities),
    Route("/availability", availability),
    Route("/tables", tables),
    Route("/tables/{name}", table),
    *USER_TABLE_ROUTES,
    Route("/examples", examples),
]
"""Routes below ``/tap``."""
