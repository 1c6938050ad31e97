"""The ASGI application of the VO services."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qserv_py.errors import InternalError, QservError
from qserv_py.vo.cone import CONE_ROUTES
from qserv_py.vo.http.replies import error_reply, handled_error_reply, http_error_reply
from qserv_py.vo.http.requester import Identification
from qserv_py.vo.json_api import API_ROUTES
from qserv_py.vo.resource_record import RECORD_ROUTE
from qserv_py.vo.service import Service, service_of
from qserv_py.vo.tap.routes import TAP_ROUTES, problem_of
from qserv_py.vo.tap.sync import BrokenResultError

log = logging.getLogger("qserv.http")

Routes = list[Mount | Route]

SERVICES: dict[str, Callable[[], Routes]] = {
    "cone": lambda: [Mount("/cone", routes=CONE_ROUTES)],
    "tap": lambda: [Mount("/tap", routes=TAP_ROUTES), Mount("/api", routes=API_ROUTES)],
}
"""What can be served, by the name that ``qserv serve`` takes."""


def make_app(service: Service, *, services: tuple[str, ...] = tuple(SERVICES)) -> Starlette:
    """Return the application; whoever runs it starts and stops the service."""
    routes: Routes = [
        Route("/", _front),
        Route("/healthz", _health),
        Route("/metrics", _metrics),
        RECORD_ROUTE,
        *(route for name in services for route in SERVICES[name]()),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={
            QservError: handled_error_reply,
            HTTPException: http_error_reply,
        },
    )
    app.state.service = service
    app.state.services = services
    app.add_middleware(Identification, authenticator=service.authenticator)
    app.add_middleware(RequestLog, service=service)
    return app


async def _front(_request: Request) -> Response:
    return RedirectResponse("tap/examples", status_code=302)


async def _health(request: Request) -> Response:
    problem = await run_in_threadpool(problem_of, service_of(request))
    return PlainTextResponse(problem or "ok", 503 if problem else 200)


async def _metrics(request: Request) -> Response:
    service = service_of(request)
    body, mime = service.metrics.exposition(await run_in_threadpool(service.jobs.counts))
    return Response(body, media_type=mime)


def _defect_reply(path: str, error: Exception) -> Response:
    failure = InternalError(f"the request failed in an unforeseen way: {type(error).__name__}")
    failure.__cause__ = error
    return error_reply(path, failure)


class RequestLog:
    """Writes one line for each request, gives it an id, and counts it."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = secrets.token_hex(6)
        seen = {"status": 0, "bytes": 0}

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            elif message["type"] == "http.response.body":
                seen["bytes"] += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except BrokenResultError as error:
            log.info("result broken off: %s", error, extra={"request": request_id})
            raise  # the server breaks the connection
        except Exception as error:
            if seen["status"]:
                raise
            await _defect_reply(scope["path"], error)(scope, receive, watched)
        finally:
            route = _route_of(scope)
            self._service.metrics.requests.labels(route, str(seen["status"])).inc()
            log.log(
                logging.DEBUG if route in {"/healthz", "/metrics"} else logging.INFO,
                "request",
                extra={
                    "request": request_id,
                    "method": scope["method"],
                    "path": scope["path"][:200],
                    "status": seen["status"] or 499,
                    "ms": round((time.perf_counter() - started) * 1000, 1),
                    "bytes": seen["bytes"],
                    "owner": getattr(scope.get("state", {}).get("requester"), "owner", None),
                    "job": scope.get("path_params", {}).get("job_id"),
                },
            )


def _route_of(scope: Scope) -> str:
    """Return the pattern of a request's route: a figure for each, not for each job."""
    path: str = scope["path"]
    for name, value in scope.get("path_params", {}).items():
        if isinstance(value, str) and value:
            path = path.replace(f"/{value}", f"/{{{name}}}", 1)
    return path if "endpoint" in scope else "other"
