"""Jobs of a service as a client sees them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPResponse
from xml.etree.ElementTree import Element

import pyarrow as pa
import pyarrow.parquet as pq
from defusedxml.ElementTree import ParseError, fromstring

from qserv_py.errors import ClusterError, QservError, QueryCancelledError
from qserv_py.registry.jobs import UwsPhase
from qserv_py.remote.http import Service, told_error

_UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job at one moment."""

    job_id: str
    phase: UwsPhase
    run_id: str
    owner: str
    created_at: datetime | None
    ended_at: datetime | None = None
    destruction_at: datetime | None = None
    query: str = ""
    queue_place: int | None = None
    chunks_done: int = 0
    chunks: int = 0
    rows: int = 0
    overflow: bool = False
    result_bytes: int | None = None
    error: str = ""
    error_code: str = ""


class Jobs:
    """The jobs of a service."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def submit(
        self,
        adql: str,
        *,
        format: str,
        maxrec: int | None = None,
        run_id: str | None = None,
        uploads: Mapping[str, pa.Table] | None = None,
    ) -> str:
        """Send a query, with the tables that it brings along, as a job that waits for its turn; return its id."""
        form: dict[str, object] = {"LANG": "ADQL", "QUERY": adql, "FORMAT": format, "PHASE": "RUN"}
        form |= {"MAXREC": maxrec, "RUNID": run_id}
        return self.service.location("/tap/async", form, files=upload_files(uploads, form)).rpartition("/")[2]

    def list(self, *, phase: UwsPhase | None = None, last: int | None = None) -> list[JobView]:
        """Return the jobs of the one who asks, newest first."""
        wanted = {"PHASE": phase.value if phase else None, "LAST": last}
        root = _document(self.service.text("GET", "/tap/async", wanted))
        return [_entry(element) for element in root.iter(f"{_UWS}jobref")]

    def find(self, job_id: str, *, wait_s: int = 0) -> JobView:
        """Return a job, when its phase has changed or the seconds are over; NotFoundError if there is none."""
        wait = {"WAIT": wait_s} if wait_s else None
        return _view(_document(self.service.text("GET", f"/tap/async/{job_id}", wait, wait_s=wait_s + 30)))

    def watch(self, job_id: str, *, every_s: int = 1) -> Iterator[JobView]:
        """Yield a job again and again until it has ended."""
        view = self.find(job_id)
        yield view
        while not view.phase.has_ended:
            view = self.find(job_id, wait_s=every_s)
            yield view

    def abort(self, job_id: str) -> None:
        """End a job that has not ended."""
        self.service.text("POST", f"/tap/async/{job_id}/phase", {"PHASE": "ABORT"})

    def delete(self, job_id: str) -> None:
        """Remove a job and its result."""
        self.service.text("DELETE", f"/tap/async/{job_id}")

    @contextmanager
    def result(self, job_id: str) -> Iterator[HTTPResponse]:
        """Yield the reply that holds a job's result."""
        with self.service.request("GET", f"/tap/async/{job_id}/results/result") as reply:
            yield reply


def upload_files(uploads: Mapping[str, pa.Table] | None, form: dict[str, object]) -> dict[str, bytes]:
    """Return tables as files for a form, and name them in its UPLOAD."""
    files = {}
    for name, table in (uploads or {}).items():
        sink = io.BytesIO()
        pq.write_table(table, sink)
        files[name] = sink.getvalue()
    if files:
        form["UPLOAD"] = ";".join(f"{name},param:{name}" for name in files)
    return files


def failure_of(view: JobView) -> QservError | None:
    """Return why a job that has ended has no result; None when it has one."""
    if view.phase is UwsPhase.COMPLETED:
        return None
    if view.phase is UwsPhase.ABORTED:
        return QueryCancelledError(f"the job ended as {view.phase}")
    return told_error(view.error or f"the job ended as {view.phase}", code=view.error_code)


def _document(body: bytes) -> Element:
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, ValueError) as error:
        raise ClusterError("the service sent a document that cannot be read", detail=str(error)) from error
    return root


def _entry(element: Element) -> JobView:
    return JobView(
        job_id=element.get("id", ""),
        phase=_phase(element),
        run_id=element.findtext(f"{_UWS}runId") or "",
        owner=element.findtext(f"{_UWS}ownerId") or "",
        created_at=_moment(element, "creationTime"),
    )


def _view(root: Element) -> JobView:
    told = root.find(f"{_UWS}jobInfo")
    facts = {child.tag: child.text or "" for child in (told if told is not None else ())}
    query = next((one.text for one in root.iter(f"{_UWS}parameter") if one.get("id", "").upper() == "QUERY"), "")
    size = next((one.get("size") for one in root.iter(f"{_UWS}result")), None)
    return JobView(
        job_id=root.findtext(f"{_UWS}jobId") or "",
        phase=_phase(root),
        run_id=root.findtext(f"{_UWS}runId") or "",
        owner=root.findtext(f"{_UWS}ownerId") or "",
        created_at=_moment(root, "creationTime"),
        ended_at=_moment(root, "endTime"),
        destruction_at=_moment(root, "destruction"),
        query=query or "",
        queue_place=int(facts["queuePlace"]) if "queuePlace" in facts else None,
        chunks_done=int(facts.get("chunksDone", 0)),
        chunks=int(facts.get("chunks", 0)),
        rows=int(facts.get("rows", 0)),
        overflow=facts.get("overflow") == "true",
        result_bytes=int(size) if size and size.isdigit() else None,
        error=root.findtext(f"{_UWS}errorSummary/{_UWS}message") or "",
        error_code=facts.get("errorCode", ""),
    )


def _phase(element: Element) -> UwsPhase:
    text = element.findtext(f"{_UWS}phase") or ""
    if text not in set(UwsPhase):
        raise ClusterError(f'the service says that a job is "{text[:40]}", which is no phase known here')
    return UwsPhase(text)


def _moment(element: Element, name: str) -> datetime | None:
    text = element.findtext(f"{_UWS}{name}")
    return datetime.fromisoformat(text) if text else None
