"""A connection to a service over HTTP: the same calls as on a cluster of this machine, and jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cached_property
from typing import Any

import pyarrow as pa

from qserv_py.client.arrow_tables import Upload, arrow_tables
from qserv_py.client.result import Result, optional
from qserv_py.client.streamed import StreamedAnswer
from qserv_py.closing import Closing
from qserv_py.remote.http import Service
from qserv_py.remote.jobs import Jobs, JobView, failure_of, upload_files

SILENCE_S = 900
"""Seconds that a service may work before the first rows come."""


class RemoteConnection(Closing):
    """A connection to a service; threads may share it.

    Parameters
    ----------
    url
        Address of the service.
    token
        What proves who asks.
    """

    def __init__(self, url: str, *, token: str = "") -> None:
        self._service = Service(url, token=token)
        self._jobs = Jobs(self._service)
        self._token = token

    def close(self) -> None:
        """Do nothing: each request has a connection of its own."""

    def query(self, adql: str, *, maxrec: int | None = None, uploads: Mapping[str, Upload] | None = None) -> Result:
        """Return the answer of a query; its rows come when they are read.

        Parameters
        ----------
        adql
            The query.
        maxrec
            Rows at the most; ``Result.stats.overflow`` says whether there were more. With 0 the query is planned and
            not run, and the answer has the columns alone.
        uploads
            Tables that the query reads as ``TAP_UPLOAD.name``, by name, as for ``Connection.query``.

        Raises
        ------
        UserError
            If the query is wrong; the message has the place in the text and what to do.
        """
        form: dict[str, object] = {"LANG": "ADQL", "QUERY": adql, "FORMAT": "arrow", "MAXREC": maxrec}
        files = upload_files(arrow_tables(uploads or {}), form)
        stack = ExitStack()
        asking = self._service.request("POST", "/tap/sync", form, files=files, wait_s=SILENCE_S)
        reply = stack.enter_context(asking)
        return Result(StreamedAnswer(adql, pa.PythonFile(reply, mode="r"), stack))

    def submit(
        self,
        adql: str,
        *,
        maxrec: int | None = None,
        run_id: str | None = None,
        uploads: Mapping[str, Upload] | None = None,
    ) -> RemoteJob:
        """Send a query as a job, which runs whether or not anybody waits; ``uploads`` as for ``query``."""
        tables = arrow_tables(uploads or {})
        job_id = self._jobs.submit(adql, format="arrow", maxrec=maxrec, run_id=run_id, uploads=tables)
        return RemoteJob(self._jobs, job_id, adql)

    def job(self, job_id: str) -> RemoteJob:
        """Return a job by its id; NotFoundError if there is none."""
        return RemoteJob(self._jobs, job_id, self._jobs.find(job_id).query)

    def tables(self) -> list[str]:
        """Return the names of the tables, as queries write them."""
        found = self.query("SELECT table_name FROM tap_schema.tables ORDER BY table_name").to_arrow()
        return [str(name) for name in found.column(0).to_pylist()]

    def explain(self, adql: str) -> str:
        """Return how a query would be answered: chunks, chunk query, merge query."""
        body = self._service.text("POST", "/api/explain", json.dumps({"query": adql}))
        return str(json.loads(body)["text"])

    @cached_property
    def tap(self) -> Any:
        """The service as pyvo sees it; ConfigError if pyvo is not installed."""
        pyvo, requests = optional("pyvo"), optional("requests")
        session = requests.Session()
        if self._token:
            session.headers["Authorization"] = f"Bearer {self._token}"
        return pyvo.dal.TAPService(f"{self._service.url}/tap", session=session)


class RemoteJob:
    """A job of a service."""

    def __init__(self, jobs: Jobs, job_id: str, adql: str) -> None:
        self._jobs = jobs
        self._adql = adql
        self.job_id = job_id

    @property
    def state(self) -> JobView:
        """Phase, chunks done, rows, error, as they are now."""
        return self._jobs.find(self.job_id)

    def wait(self) -> JobView:
        """Wait until the job has ended; raise why it has no result."""
        *_, view = self._jobs.watch(self.job_id, every_s=10)
        failure = failure_of(view)
        if failure is not None:
            raise failure
        return view

    def result(self) -> Result:
        """Wait for the job and return its result."""
        self.wait()
        stack = ExitStack()
        reply = stack.enter_context(self._jobs.result(self.job_id))
        return Result(StreamedAnswer(self._adql, pa.PythonFile(reply, mode="r"), stack))

    def cancel(self) -> None:
        """End the job if it has not ended."""
        self._jobs.abort(self.job_id)

    def delete(self) -> None:
        """Remove the job and its result."""
        self._jobs.delete(self.job_id)

    def __repr__(self) -> str:
        return f"<qserv_py job {self.job_id}>"
