"""Replies other than results: XML documents, texts, redirections, and errors.

Errors are VOTables, whatever format was asked for: every VO client shows the message of a VOTable with status 4xx, of a
JSON error none does. The JSON API alone answers in JSON.
"""

from __future__ import annotations

import gzip
import logging
import math

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from qserv_py.errors import (
    AdqlError,
    AuthenticationError,
    ClusterError,
    IdentityProviderError,
    InternalError,
    LimitError,
    NotFoundError,
    QservError,
    QueryCancelledError,
    TooLargeError,
    TooManyRequestsError,
    UserError,
    WorkerUnavailableError,
)
from qserv_py.vo.http.xml import Element, document, element

XML = "text/xml; charset=utf-8"
VOTABLE = "application/x-votable+xml"
GZIP_FROM = 1000
"""Bytes from which a document is worth compressing."""

log = logging.getLogger("qserv.http")


def status_of(error: QservError) -> int:
    """Return the HTTP status of an error."""
    kinds: tuple[tuple[type[QservError], int], ...] = (
        (TooManyRequestsError, 429),
        (TooLargeError, 413),
        (AuthenticationError, 401),
        (IdentityProviderError, 503),
        (NotFoundError, 404),
        (UserError, 400),
        (LimitError, 400),
        (ClusterError, 503),
        (WorkerUnavailableError, 503),
        (QueryCancelledError, 503),
    )
    return next((status for kind, status in kinds if isinstance(error, kind)), 500)


def headers_of(error: QservError) -> dict[str, str]:
    """Return further headers of a reply with an error."""
    code = {"X-Qserv-Error": error.code}
    if isinstance(error, TooManyRequestsError):
        return {**code, "Retry-After": str(max(1, math.ceil(error.retry_after_s)))}
    return {**code, "Retry-After": "10"} if status_of(error) == 503 else code


def public_text(error: QservError) -> str:
    """Return what a user may read of an error; the details of an InternalError stay in the log."""
    if isinstance(error, InternalError):
        return f"{error.message}\nHINT: This is a defect of the service; its log has the details."
    return error.render()


def error_votable(message: str) -> bytes:
    """Return a VOTable that says that a query failed."""
    status = element("INFO", message, attributes={"name": "QUERY_STATUS", "value": "ERROR"})
    return document(votable(element("RESOURCE", status, attributes={"type": "results"})))


def votable(*content: Element) -> Element:
    """Return the root of a VOTable."""
    attributes = {"version": "1.4", "xmlns": "http://www.ivoa.net/xml/VOTable/v1.3"}
    return element("VOTABLE", *content, attributes=attributes)


def error_reply(path: str, error: QservError) -> Response:
    """Return the reply that tells of an error: JSON to who asked the JSON API, a VOTable to all others."""
    if isinstance(error, InternalError):
        log.error("defect: %s", error.render(), exc_info=error)
    return _challenging(
        error, _error_body(path, error_json(error), public_text(error), status_of(error), headers_of(error))
    )


def _error_body(path: str, record: dict[str, object], text: str, status: int, headers: dict[str, str]) -> Response:
    if path.startswith("/api/"):
        return JSONResponse({"error": record}, status, headers)
    return Response(error_votable(text), status, headers, VOTABLE)


def _challenging(error: QservError, reply: Response) -> Response:
    """Add to the reply to wrong credentials the headers that say which credentials are taken."""
    for challenge in error.challenges if isinstance(error, AuthenticationError) else ():
        reply.headers.append("WWW-Authenticate", challenge)
    return reply


def http_error_reply(request: Request, error: Exception) -> Response:
    """Return the reply to a request that no route takes; Starlette calls this handler."""
    assert isinstance(error, HTTPException)
    code, text = {
        404: ("not_found", "there is nothing at this address"),
        405: ("method", "this address does not take that method"),
    }.get(error.status_code, ("http", error.detail))
    record: dict[str, object] = {"code": code, "message": text, "hint": ""}
    return _error_body(request.url.path, record, text, error.status_code, dict(error.headers or {}))


def handled_error_reply(request: Request, error: Exception) -> Response:
    """Return the reply to a QservError that a route raised; Starlette calls this handler."""
    assert isinstance(error, QservError)
    return error_reply(request.url.path, error)


def xml_reply(request: Request, root: Element | bytes, *, status: int = 200, mime: str = XML) -> Response:
    """Return a document, compressed if the client takes that and it pays."""
    body = root if isinstance(root, bytes) else document(root)
    headers = {"Vary": "Accept-Encoding"}
    if len(body) >= GZIP_FROM and "gzip" in accepted_codings(request.headers.get("accept-encoding", "")):
        body, headers["Content-Encoding"] = gzip.compress(body, 6, mtime=0), "gzip"
    return Response(body, status, headers, mime)


def text_reply(text: str) -> Response:
    """Return a text."""
    return PlainTextResponse(text)


def see_other(url: str) -> Response:
    """Return the redirection that follows a change."""
    return Response(status_code=303, headers={"Location": url})


def accepted_codings(header: str) -> set[str]:
    """Return the content codings that an Accept-Encoding header takes, besides none."""
    accepted = set()
    for part in header.lower().split(","):
        name, _, weight = part.strip().partition(";")
        quality = weight.strip().removeprefix("q=").strip() if weight else "1"
        try:
            wanted = float(quality) > 0
        except ValueError:
            wanted = False
        if wanted and name.strip():
            accepted.add(name.strip())
    return accepted


def error_json(error: QservError) -> dict[str, object]:
    """Return an error as the JSON API tells it."""
    record: dict[str, object] = {"code": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, AdqlError):
        record |= {"line": error.line, "column": error.column}
    return record
