"""``/async``: the job list, jobs and their children, by UWS 1.1. Blocking work runs in threads."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from qserv_py.catalog.grants import NOBODY
from qserv_py.errors import NotFoundError, QservError, UserError
from qserv_py.registry.jobs import TapJob, UwsPhase
from qserv_py.vo.http.parameters import Parameters, read_parameters
from qserv_py.vo.http.replies import VOTABLE, error_votable, see_other, text_reply, xml_reply
from qserv_py.vo.http.requester import requester_of
from qserv_py.vo.http.upload_source import UploadSource
from qserv_py.vo.http.xml import iso_time
from qserv_py.vo.service import Service, service_of
from qserv_py.vo.uws.documents import job_document, jobs_document, parameters_document, results_document

MOST_LISTED = 1000
"""Jobs that a list shows at the most, the newest ones. A client that deletes a job is redirected to the list."""

LOOK_AGAIN_S = 2.0
"""How often a waiting request looks at the registry: another process may run the job."""

_CONTROL = ("PHASE", "ACTION", "RUNID", "WAIT", "EXECUTIONDURATION", "DESTRUCTION")
"""Parameters that control the job and are not part of the query."""

Result = TypeVar("Result")


async def job_list(request: Request) -> Response:
    """Return the requester's jobs."""
    service, requester = service_of(request), requester_of(request)
    parameters = await read_parameters(request, most_bytes=service.limits.query_bytes)
    if requester.identity.is_anonymous and not service.sees_addresses:
        return xml_reply(request, jobs_document([], _list_url(request)))
    phases = [_phase(text) for text in parameters.all("PHASE")]
    after = _moment(parameters.get("AFTER"), "AFTER") if "AFTER" in parameters else None
    last = _number(parameters.get("LAST"), "LAST") if "LAST" in parameters else MOST_LISTED
    found = await run_in_threadpool(
        service.jobs.list, requester.key, phases=phases, after=after, most=min(last, MOST_LISTED)
    )
    return xml_reply(request, jobs_document(found, _list_url(request)))


async def create(request: Request) -> Response:
    """Write down a new job; with PHASE=RUN it waits for its turn at once."""
    service, requester = service_of(request), requester_of(request)
    service.admission.count(requester)
    parameters = await _read_with_uploads(request)
    phase = parameters.get("PHASE").upper()
    if phase not in {"", "RUN"}:
        raise UserError(f'PHASE is "{phase[:40]}", a new job can only be told to RUN')

    def make() -> str:
        job_id = service.jobs.create(
            identity=requester.identity,
            requester=requester.key,
            parameters=parameters.without(*_CONTROL),
            run_id=parameters.get("RUNID"),
        )
        try:
            _keep_uploads(request, job_id, parameters)
        except QservError:
            service.jobs.delete(job_id)
            raise
        _set_times(request, job_id, parameters)
        if phase:
            service.jobs.run(job_id, requester.identity)
        return job_id

    return see_other(f"{_list_url(request)}/{await _in_thread(service, parameters, make)}")


async def job(request: Request) -> Response:
    """Return a job; with WAIT, as soon as its phase has changed or the time is over."""
    found = await _own_job(request)
    parameters = await read_parameters(request, most_bytes=service_of(request).limits.query_bytes)
    if "WAIT" in parameters:
        found = await _wait(service_of(request), found, parameters)
    return xml_reply(request, job_document(found, _job_url(request)))


async def change_job(request: Request) -> Response:
    """Delete a job (ACTION=DELETE), or change properties of it."""
    found = await _own_job(request)
    parameters = await _read_with_uploads(request)
    action = parameters.get("ACTION").upper()
    if action == "DELETE":
        return await _delete(request, found)
    if action:
        raise UserError(f'ACTION is "{action[:40]}", it can only be DELETE')
    return await _change(request, found, parameters)


async def delete_job(request: Request) -> Response:
    """Delete a job."""
    return await _delete(request, await _own_job(request))


async def child(request: Request) -> Response:
    """Return one property of a job."""
    found = await _own_job(request)
    texts: dict[str, Callable[[], str]] = {
        "phase": lambda: found.phase.value,
        "quote": lambda: "",
        "executionduration": lambda: str(found.execution_s),
        "destruction": lambda: iso_time(found.destruction_at),
        "owner": lambda: "" if found.owner == NOBODY else found.owner,
    }
    name = request.path_params["child"].lower()
    if name in texts:
        return text_reply(texts[name]())
    if name == "parameters":
        return xml_reply(request, parameters_document(found))
    if name == "results":
        return xml_reply(request, results_document(found, _job_url(request)))
    if name == "error":
        return _error(found)
    raise NotFoundError(f'a job has nothing called "{name[:40]}"')


async def change_child(request: Request) -> Response:
    """Change one property of a job."""
    found = await _own_job(request)
    name = request.path_params["child"].lower()
    if name not in {"phase", "executionduration", "destruction", "parameters"}:
        raise UserError(f'"{name[:40]}" of a job cannot be changed')
    parameters = await _read_with_uploads(request)
    if name != "parameters" and name.upper() not in parameters:
        raise UserError(f"parameter {name.upper()} is missing")
    return await _change(request, found, parameters)


async def parameter(request: Request) -> Response:
    """Return one parameter of a job."""
    found = await _own_job(request)
    value = found.parameters.get(request.path_params["name"].upper())
    if value is None:
        raise NotFoundError("the job has no such parameter")
    return text_reply(value if isinstance(value, str) else "\n".join(value))


async def result(request: Request) -> Response:
    """Return a job's result, or the part of it that a Range asks for."""
    found = await _own_job(request)
    if request.path_params["name"].lower() != "result" or found.phase is not UwsPhase.COMPLETED:
        raise NotFoundError(f'the job has no result "{request.path_params["name"][:40]}"; it is {found.phase}')
    assert found.result_file is not None
    path = await run_in_threadpool(service_of(request).jobs.files.path, found.result_file)
    reply = FileResponse(path, filename=path.name, content_disposition_type="inline")
    reply.headers["Content-Type"] = found.result_type or ""
    return reply


def _error(found: TapJob) -> Response:
    if found.phase is not UwsPhase.ERROR:
        raise NotFoundError(f"the job has no error; it is {found.phase}")
    return Response(error_votable(found.error_message or ""), media_type=VOTABLE)


async def _delete(request: Request, found: TapJob) -> Response:
    await run_in_threadpool(service_of(request).jobs.delete, found.job_id)
    return see_other(_list_url(request))


async def _change(request: Request, found: TapJob, parameters: Parameters) -> Response:
    service = service_of(request)
    phase = parameters.get("PHASE").upper()
    if phase not in {"", "RUN", "ABORT"}:
        raise UserError(f'PHASE is "{phase[:40]}", it can be RUN or ABORT')

    def change() -> None:
        posted = parameters.without(*_CONTROL)
        run_id = parameters.get("RUNID") if "RUNID" in parameters else None
        if posted or run_id is not None:
            changed = service.jobs.change(found.job_id, posted, run_id=run_id)
            _check_not_started(changed, "its parameters cannot be changed any more")
        _keep_uploads(request, found.job_id, parameters)
        _set_times(request, found.job_id, parameters)
        if phase == "ABORT":
            service.jobs.abort(found.job_id)
        elif phase == "RUN" and not service.jobs.run(found.job_id, requester_of(request).identity):
            has_ended = service.jobs.find(found.job_id).phase.has_ended
            _check_not_started(not has_ended, "it cannot run again; send the query as a new job")

    await _in_thread(service, parameters, change)
    return see_other(_job_url(request))


async def _in_thread(service: Service, parameters: Parameters, work: Callable[[], Result]) -> Result:
    """Return what work in a thread gives; where tables may have to be fetched, in one of the threads for that."""
    if not parameters.all("UPLOAD"):
        return await run_in_threadpool(work)
    async with service.reading:
        return await asyncio.get_running_loop().run_in_executor(service.readers, work)


def _keep_uploads(request: Request, job_id: str, parameters: Parameters) -> None:
    service = service_of(request)
    most_bytes = service.rules.limits_for(requester_of(request).identity).upload_bytes
    with closing(parameters):
        source = UploadSource(parameters, service.settings.upload_hosts, most_bytes)
        source.save(service.jobs.files.uploads(job_id))


def _check_not_started(right: bool, what: str) -> None:
    if not right:
        raise UserError(f"the job was started; {what}")


def _set_times(request: Request, job_id: str, parameters: Parameters) -> None:
    service = service_of(request)
    if "EXECUTIONDURATION" in parameters:
        seconds = _number(parameters.get("EXECUTIONDURATION"), "EXECUTIONDURATION")
        service.jobs.change_duration(job_id, seconds, requester_of(request).identity)
    if "DESTRUCTION" in parameters:
        moment = _moment(parameters.get("DESTRUCTION"), "DESTRUCTION")
        service.jobs.change_destruction(job_id, moment)


async def _wait(service: Service, found: TapJob, parameters: Parameters) -> TapJob:
    """Return the job when its phase has changed, the time is over or the service stops."""
    seconds = _number(parameters.get("WAIT"), "WAIT", least=-1)
    longest = service.limits.wait_s
    guard = _phase(parameters.get("PHASE")) if "PHASE" in parameters else found.phase
    if found.phase.has_ended or guard is not found.phase:
        return found
    loop = asyncio.get_running_loop()
    ends = loop.time() + (longest if seconds < 0 else min(seconds, longest))
    news = asyncio.Event()

    def tell() -> None:
        loop.call_soon_threadsafe(news.set)

    service.jobs.watch(found.job_id, tell)
    try:
        while (left := ends - loop.time()) > 0 and not service.stopping.is_set():
            news.clear()
            now = await run_in_threadpool(service.jobs.find, found.job_id)
            if now.phase is not found.phase:
                return now
            await _first_of(news, service.stopping, timeout=min(left, LOOK_AGAIN_S))
    finally:
        service.jobs.unwatch(found.job_id, tell)
    return await run_in_threadpool(service.jobs.find, found.job_id)


async def _first_of(*events: asyncio.Event, timeout: float) -> None:
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()


async def _read_with_uploads(request: Request) -> Parameters:
    service = service_of(request)
    allowed = service.rules.limits_for(requester_of(request).identity)
    return await read_parameters(request, most_bytes=service.limits.query_bytes, upload_bytes=allowed.upload_bytes)


async def _own_job(request: Request) -> TapJob:
    """Return the job of the address."""
    job_id: str = request.path_params["job_id"]
    request.state.job = job_id
    return await own_job(request, job_id)


async def own_job(request: Request, job_id: str) -> TapJob:
    """Return a job of the requester; for the job of somebody else the error is that there is no such job."""
    found = await run_in_threadpool(service_of(request).jobs.find, job_id)
    if found.owner != requester_of(request).owner:
        raise NotFoundError(f'there is no job "{job_id}"', hint="Jobs are removed at their destruction time.")
    return found


def _phase(text: str) -> UwsPhase:
    try:
        return UwsPhase(text.upper())
    except ValueError:
        raise UserError(f'"{text[:40]}" is no phase', hint=f"Phases are {', '.join(UwsPhase)}.") from None


def _number(text: str, name: str, *, least: int = 0) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", text.strip()) or int(text) < least:
        raise UserError(f'{name} is "{text[:40]}", it must be a whole number, {least} or more')
    return int(text)


def _moment(text: str, name: str) -> datetime:
    """Return a time, UTC where the text says nothing else."""
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UserError(
            f'{name} is "{text[:40]}", it must be a time', hint="Write it like 2026-11-20T12:00:00Z."
        ) from None


def _list_url(request: Request) -> str:
    return f"{service_of(request).base_url(request)}/tap/async"


def _job_url(request: Request) -> str:
    return f"{_list_url(request)}/{request.path_params['job_id']}"


JOB_ROUTES = [
    Route("/async", job_list, methods=["GET"]),
    Route("/async", create, methods=["POST"]),
    Route("/async/{job_id}", job, methods=["GET"]),
    Route("/async/{job_id}", change_job, methods=["POST"]),
    Route("/async/{job_id}", delete_job, methods=["DELETE"]),
    Route("/async/{job_id}/parameters/{name}", parameter, methods=["GET"]),
    Route("/async/{job_id}/results/{name}", result, methods=["GET"]),
    Route("/async/{job_id}/{child}", child, methods=["GET"]),
    Route("/async/{job_id}/{child}", change_child, methods=["POST"]),
]
"""Routes below ``/tap``."""
