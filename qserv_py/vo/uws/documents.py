"""Jobs as UWS 1.1 writes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from xml.etree.ElementTree import Element

from qserv_py.catalog.grants import NOBODY
from qserv_py.registry.jobs import JobEntry, Parameters, TapJob, UwsPhase
from qserv_py.vo.http.xml import XSI, element, iso_time

_NAMESPACES = {
    "xmlns:uws": "http://www.ivoa.net/xml/UWS/v1.0",
    "xmlns:xlink": "http://www.w3.org/1999/xlink",
    **XSI,
}
_NIL = {"xsi:nil": "true"}
_ROOT = {**_NAMESPACES, "version": "1.1"}


def job_document(job: TapJob, url: str) -> Element:
    """Return a job; ``url`` is its address."""
    return element(
        "uws:job",
        element("uws:jobId", job.job_id),
        element("uws:runId", job.run_id) if job.run_id else None,
        _owner(job.owner),
        element("uws:phase", job.phase.value),
        element("uws:quote", attributes=_NIL),
        element("uws:creationTime", iso_time(job.created_at)),
        _time("uws:startTime", job.started_at),
        _time("uws:endTime", job.ended_at),
        element("uws:executionDuration", str(job.execution_s)),
        element("uws:destruction", iso_time(job.destruction_at)),
        _parameters("uws:parameters", job.parameters),
        _results(job, url),
        _error(job),
        _info(job),
        attributes=_ROOT,
    )


def jobs_document(entries: Sequence[JobEntry], url: str) -> Element:
    """Return a list of jobs; ``url`` is the list's address."""
    return element(
        "uws:jobs",
        *(
            element(
                "uws:jobref",
                element("uws:phase", entry.phase.value),
                element("uws:runId", entry.run_id) if entry.run_id else None,
                _owner(entry.owner),
                element("uws:creationTime", iso_time(entry.created_at)),
                attributes={"id": entry.job_id, "xlink:href": f"{url}/{entry.job_id}"},
            )
            for entry in entries
        ),
        attributes=_ROOT,
    )


def parameters_document(job: TapJob) -> Element:
    """Return a job's parameters."""
    made = _parameters("uws:parameters", job.parameters)
    made.attrib.update(_NAMESPACES)
    return made


def results_document(job: TapJob, url: str) -> Element:
    """Return a job's list of results."""
    made = _results(job, url)
    made.attrib.update(_NAMESPACES)
    return made


def _owner(owner: str) -> Element:
    return element("uws:ownerId", attributes=_NIL) if owner == NOBODY else element("uws:ownerId", owner)


def _time(name: str, moment: datetime | None) -> Element:
    return element(name, iso_time(moment)) if moment else element(name, attributes=_NIL)


def _parameters(name: str, parameters: Parameters) -> Element:
    pairs = [
        (key, value)
        for key, values in parameters.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    return element(name, *(element("uws:parameter", value, attributes={"id": key}) for key, value in pairs))


def _results(job: TapJob, url: str) -> Element:
    if job.phase is not UwsPhase.COMPLETED:
        return element("uws:results")
    attributes = {
        "id": "result",
        "xlink:type": "simple",
        "xlink:href": f"{url}/results/result",
        "size": str(job.result_bytes),
        "mime-type": job.result_type or "",
    }
    return element("uws:results", element("uws:result", attributes=attributes))


def _error(job: TapJob) -> Element | None:
    if job.phase is not UwsPhase.ERROR:
        return None
    message = element("uws:message", job.error_message or "")
    return element("uws:errorSummary", message, attributes={"type": "fatal", "hasDetail": "true"})


def _info(job: TapJob) -> Element | None:
    """Return how far a job is."""
    if job.phase is UwsPhase.PENDING:
        return None
    figures = {
        "queuePlace": job.queue_place,
        "chunksDone": job.chunks_done if job.started_at else None,
        "chunks": job.chunks if job.started_at else None,
        "rows": job.rows if job.started_at else None,
        "overflow": str(job.overflow).lower() if job.phase is UwsPhase.COMPLETED else None,
        "errorCode": job.error_code,
    }
    known = [element(name, str(value)) for name, value in figures.items() if value is not None]
    return element("uws:jobInfo", *known)
