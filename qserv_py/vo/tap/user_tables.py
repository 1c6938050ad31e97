"""``/tables/mydb.NAME`` and ``/load/mydb.NAME``: the tables that users keep.

The convention is that of CADC's youcat, which pyvo speaks: PUT makes a table, POST to ``/load`` adds rows, DELETE drops
it. Here PUT takes rows, too, and POST to the table keeps a job's result or shares the table.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import pyarrow as pa
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qserv_py.catalog.grants import parse_grantee
from qserv_py.czar.identity.limits import Limits
from qserv_py.czar.jobs.result_rows import check_result, read_result
from qserv_py.czar.queries.checked_uploads import read_uploads
from qserv_py.czar.queries.requester import Requester
from qserv_py.czar.user_tables.user_tables import DATABASE
from qserv_py.errors import UserError
from qserv_py.executor.turns import Priority
from qserv_py.vo.http.parameters import read_parameters, save_body
from qserv_py.vo.http.replies import see_other
from qserv_py.vo.http.requester import known_requester_of
from qserv_py.vo.service import Service, service_of
from qserv_py.vo.tap.table_definition import table_definition
from qserv_py.vo.uws.routes import own_job

Result = TypeVar("Result")
Hold = Callable[[int], object]
"""Counts bytes that are held in memory."""


async def put(request: Request) -> Response:
    """Make a table of the rows that are sent, or an empty one of a definition."""
    service, requester, name = _asked(request)
    described = {key.lower(): value for key, value in request.query_params.items()}.get("description", "")
    allowed = service.rules.limits_for(requester.identity)
    async with _body(request, allowed) as path:

        def make(hold: Hold) -> None:
            schema = table_definition(path)
            rows = _rows(read_uploads({name: path}, hold=hold)[name]) if schema is None else (schema, [])
            service.session.user_tables.create(
                requester.identity, name, rows, limits=allowed, description=described[:1000]
            )

        await _in_turn(service, requester, make)
    return Response(status_code=201, headers={"Location": _url(request, name)})


async def load(request: Request) -> Response:
    """Add the rows that are sent to a table."""
    service, requester, name = _asked(request)
    await run_in_threadpool(service.session.user_tables.find, requester.identity, name)  # before the rows are taken
    allowed = service.rules.limits_for(requester.identity)
    async with _body(request, allowed) as path:

        def add(hold: Hold) -> None:
            rows = _rows(read_uploads({name: path}, hold=hold)[name])
            service.session.user_tables.append(requester.identity, name, rows, limits=allowed)

        await _in_turn(service, requester, add)
    return see_other(_url(request, name))


async def change(request: Request) -> Response:
    """Keep a job's result under this name, or share the table with others, or no longer."""
    service, requester, name = _asked(request)
    parameters = await read_parameters(request, most_bytes=service.limits.query_bytes)
    shares = [
        (parse_grantee(text), shared)
        for shared, texts in ((True, parameters.all("SHARE")), (False, parameters.all("UNSHARE")))
        for text in texts
    ]
    if not shares and "JOB" not in parameters:
        raise UserError("JOB, SHARE or UNSHARE must say what to do with the table")
    if "JOB" in parameters:
        await _keep_result(request, parameters.get("JOB"), name, parameters.get("DESCRIPTION"))

    def share() -> None:
        for grantee, shared in shares:
            service.session.user_tables.share(requester.identity, name, grantee, shared=shared)

    await run_in_threadpool(share)
    return see_other(_url(request, name))


async def drop(request: Request) -> Response:
    """Drop a table."""
    service, requester, name = _asked(request)
    await run_in_threadpool(service.session.user_tables.drop, requester.identity, name)
    return Response(status_code=204)


async def _keep_result(request: Request, job_id: str, name: str, description: str) -> None:
    service, requester, job = service_of(request), known_requester_of(request), await own_job(request, job_id)
    allowed = service.rules.limits_for(requester.identity)
    check_result(job)

    def keep(hold: Hold) -> None:
        path = service.jobs.files.path(job.result_file or "")
        rows = _rows(read_result(job, path, most_bytes=allowed.upload_bytes, hold=hold))
        service.session.user_tables.create(
            requester.identity, name, rows, limits=allowed, description=description[:1000]
        )

    await _in_turn(service, requester, keep)


def _asked(request: Request) -> tuple[Service, Requester, str]:
    """Return the service, who asks, and the table's name without ``mydb``.

    Raises
    ------
    AuthenticationError
        If nobody is known to ask.
    UserError
        If the address does not name a table of one's own.
    """
    service, requester = service_of(request), known_requester_of(request)
    service.admission.count(requester)
    written = request.path_params["name"]
    database, _, name = written.partition(".")
    if database.lower() != DATABASE or not name:
        raise UserError(f'"{written[:80]}" names no table of yours', hint=f"Yours are {DATABASE}.name.")
    return service, requester, name


@asynccontextmanager
async def _body(request: Request, allowed: Limits) -> AsyncIterator[Path]:
    """Yield the body as a file; its name ends in ``.tsv`` for values between tabs, which its bytes do not show."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    with TemporaryDirectory(prefix="table-", dir=service_of(request).spill_dir) as place:
        path = Path(place) / ("rows.tsv" if kind == "text/tab-separated-values" else "rows")
        await save_body(request, path, most_bytes=allowed.upload_bytes)
        yield path


async def _in_turn(service: Service, requester: Requester, work: Callable[[Hold], Result]) -> Result:
    """Run work that reads whole tables as one of the requester's queries; ``work`` counts what it holds."""
    account = service.session.queries.rows_held.account()

    def counted() -> Result:
        try:
            return work(account.take)
        finally:
            account.give_back()

    async with service.admission.presence(requester), service.admission.turn(requester, Priority.SCAN):
        return await asyncio.get_running_loop().run_in_executor(service.threads, counted)


def _rows(table: pa.Table) -> tuple[pa.Schema, list[pa.RecordBatch]]:
    return table.schema, table.to_batches()


def _url(request: Request, name: str) -> str:
    return f"{service_of(request).base_url(request)}/tap/tables/{DATABASE}.{name}"


USER_TABLE_ROUTES = [
    Route("/tables/{name}", put, methods=["PUT"]),
    Route("/tables/{name}", change, methods=["POST"]),
    Route("/tables/{name}", drop, methods=["DELETE"]),
    Route("/load/{name}", load, methods=["POST"]),
]
"""Routes below ``/tap``."""
