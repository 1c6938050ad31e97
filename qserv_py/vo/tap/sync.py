"""``/sync``: a query is planned, waits for its turn, and is run in a thread while its rows go to the client.

It is planned first, as the plan says how urgent it is: a look-up does not wait behind scans.

Nothing is sent before the first rows are there, so that an error that shows before them still has its HTTP status. An
error after that ends a VOTable with an INFO that tells of it; other formats cannot say it, and the connection is broken
so that nobody takes half a result for a whole one. A client that leaves cancels its query.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from qserv_py.czar.formats.compression import CODINGS, compressed
from qserv_py.czar.queries.elastic import ElasticBuffer
from qserv_py.czar.queries.request import QueryRequest, query_request
from qserv_py.czar.queries.requester import Requester
from qserv_py.czar.queries.running import QueryKind
from qserv_py.czar.queries.written import WrittenQuery
from qserv_py.errors import InternalError, LimitError, QservError, QueryCancelledError
from qserv_py.vo.http.parameters import Parameters, read_parameters
from qserv_py.vo.http.replies import accepted_codings, error_reply
from qserv_py.vo.http.requester import requester_of
from qserv_py.vo.http.upload_source import UploadSource
from qserv_py.vo.service import Service, service_of

STALL_S = 60.0
"""Seconds after which a client that takes nothing is given up."""

log = logging.getLogger("qserv.sync")

Result = TypeVar("Result")


class BrokenResultError(Exception):
    """A result broke off in a format that has no place for an error; the server breaks the connection."""


class SyncQuery:
    """The reply to one synchronous query; an ASGI application."""

    def __init__(
        self, service: Service, request: QueryRequest, requester: Requester, *, parameters: Parameters, coding: str
    ) -> None:
        self._service = service
        self._request = request
        self._parameters = parameters
        self._requester = requester
        self._allowed = service.rules.limits_for(requester.identity)
        self._coding = coding
        longest = min(service.limits.sync_s, self._allowed.execution_s)
        late = LimitError(f"the query ran longer than {longest} s", hint="Send it as a job to /async.")
        self._query = service.session.queries.make(
            kind=QueryKind.SYNC, identity=requester.identity, text=request.adql, longest_s=longest, late=late
        )
        self._cancel = self._query.cancel
        self._waits = False
        """Whether it waits for its turn, so that nobody works for it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the query and send its result.

        The reply begins with the first bytes, or with whatever ends the query before them: there is one way to hear
        of all of them, the buffer.
        """
        loop = asyncio.get_running_loop()
        queries = self._service.session.queries
        buffer = ElasticBuffer(self._service.spill_dir, queries.spilled.account(), queries.replies.account())
        leaving = asyncio.create_task(self._watch(receive))
        working = asyncio.create_task(self._work(buffer))

        def end_waiting() -> None:
            if self._waits:
                working.cancel()

        def cancelled() -> None:
            buffer.give_up(self._cancel.reason)
            with suppress(RuntimeError):  # the event loop has ended
                loop.call_soon_threadsafe(end_waiting)

        with self._service.session.queries.running(self._query):
            try:
                with self._cancel.calling(cancelled):
                    await self._reply(buffer, scope, receive, send)
            finally:
                self._parameters.close()
                leaving.cancel()
                self._cancel.cancel(QueryCancelledError("the client has gone"))
                buffer.close()
                end_waiting()
                await asyncio.wait([working])

    async def _reply(self, buffer: ElasticBuffer, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await buffer.first()
        except QservError as error:
            self._service.metrics.failures.labels(error.code).inc()
            await error_reply(scope["path"], error)(scope, receive, send)
            return
        await self._send(buffer, send)

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._cancel.cancel(QueryCancelledError("the client has gone"))

    async def _work(self, buffer: ElasticBuffer) -> None:
        """Plan the query, run it in its turn, and let the buffer know how it ended."""
        service = self._service
        if self._parameters.all("UPLOAD"):
            async with self._waiting(service.reading):
                written = await self._in_thread(service.readers, self._plan, buffer)
        else:
            written = await self._in_thread(service.planners, self._plan, buffer)
        if written is None or self._cancel.is_cancelled:
            return
        async with self._waiting(service.admission.turn(self._requester, self._query.priority)):
            await self._in_thread(service.threads, partial(self._run, buffer, written), buffer)

    @asynccontextmanager
    async def _waiting(self, turn: AbstractAsyncContextManager[Any]) -> AsyncIterator[None]:
        """Wait for something, during which the task may be cancelled, and hold it."""
        async with AsyncExitStack() as stack:
            self._waits = True
            if self._cancel.is_cancelled:  # it was told so while somebody worked for it
                raise asyncio.CancelledError
            await stack.enter_async_context(turn)
            self._waits = False
            yield

    async def _in_thread(self, threads: Executor, work: Callable[[], Result], buffer: ElasticBuffer) -> Result | None:
        """Return what work in a thread gives; None if it failed, which is how the query ends."""

        def guarded() -> Result | None:
            failure: QservError
            try:
                self._cancel.raise_if_cancelled()
                return work()
            except QservError as error:
                failure = error
            except Exception as error:
                log.exception("a query met a defect")
                failure = InternalError(f"the query failed in an unforeseen way: {type(error).__name__}")
            self._end(buffer, failure)
            return None

        return await asyncio.get_running_loop().run_in_executor(threads, guarded)

    def _end(self, buffer: ElasticBuffer, failure: QservError | None = None) -> None:
        buffer.finish(failure)
        self._service.metrics.seconds.observe(time.monotonic() - self._query.begun)

    def _plan(self) -> WrittenQuery:
        """Read the tables that come along and plan the query; in a thread."""
        service = self._service
        with TemporaryDirectory(prefix="upload-", dir=service.spill_dir) as place:
            source = UploadSource(
                self._parameters, service.settings.upload_hosts, self._allowed.upload_bytes, cancel=self._cancel
            )
            uploads = source.save(Path(place))
            self._cancel.raise_if_cancelled()
            most = min(service.limits.sync_bytes, self._allowed.result_bytes)
            return WrittenQuery(service.session, self._query, self._request, uploads=uploads, most_bytes=most)

    def _run(self, buffer: ElasticBuffer, written: WrittenQuery) -> None:
        """Write the result into the buffer; in a thread."""
        service = self._service
        try:
            pieces = self._pieces(written)
            for piece in compressed(pieces, self._coding) if self._coding else pieces:
                buffer.write(piece)
        finally:
            service.metrics.rows.labels(self._request.format.name).inc(self._query.rows)
            service.metrics.bytes.labels(self._request.format.name).inc(self._query.bytes)
        self._end(buffer)

    def _pieces(self, written: WrittenQuery) -> Iterator[bytes]:
        """Yield the result. A document that has said why it broke off is whole, and its error goes to the log."""
        try:
            yield from written.result(self._request.format)
        except QservError as error:
            if not self._query.bytes or not self._request.format.tells_errors:
                raise
            self._service.metrics.failures.labels(error.code).inc()
            log.info("a result broke off: %s", error.message, extra={"code": error.code})

    async def _send(self, buffer: ElasticBuffer, send: Send) -> None:
        headers = [(b"content-type", self._request.format.mime.encode()), (b"vary", b"Accept-Encoding")]
        if self._coding:
            headers.append((b"content-encoding", self._coding.encode()))
        if buffer.is_whole:
            headers.append((b"content-length", str(buffer.held).encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            while piece := await buffer.read():
                async with asyncio.timeout(STALL_S):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        except QservError as error:
            raise BrokenResultError(error.message) from error
        except TimeoutError:
            raise BrokenResultError(f"the client took nothing for {STALL_S:.0f} s") from None
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class SyncReply:
    """Lets a query in and keeps its place among its requester's until the reply has been sent."""

    def __init__(self, service: Service, query: SyncQuery, requester: Requester) -> None:
        self._service = service
        self._query = query
        self._requester = requester

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        async with self._service.admission.presence(self._requester):
            await self._query(scope, receive, send)


async def sync(request: Request) -> SyncReply:
    """Answer a synchronous query."""
    service, requester = service_of(request), requester_of(request)
    service.admission.count(requester)
    allowed = service.rules.limits_for(requester.identity)
    parameters = await read_parameters(
        request, most_bytes=service.limits.query_bytes, upload_bytes=allowed.upload_bytes
    )
    values = parameters.without()
    if request.method == "HEAD":
        values["MAXREC"] = "0"
    return sync_reply(request, query_request(values, most_rows=allowed.rows), parameters)


def sync_reply(request: Request, asked: QueryRequest, parameters: Parameters) -> SyncReply:
    """Return the reply to a query that is answered at once."""
    service, requester = service_of(request), requester_of(request)
    accepted = accepted_codings(request.headers.get("accept-encoding", ""))
    coding = next((coding for coding in CODINGS if coding in accepted), "")
    return SyncReply(service, SyncQuery(service, asked, requester, parameters=parameters, coding=coding), requester)
