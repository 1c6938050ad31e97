"""A connection to a service over HTTP: the same calls as on a cluster of this machine, and jobs."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack
from functools import cached_property
from types import TracebackType
from typing import Any

import pyarrow as pa

from qserv_py.adql.tree import OutputColumn
from qserv_py.catalog.types import DataType
from qserv_py.client.result import Result, optional
from qserv_py.client.uploads import Upload, arrow_tables
from qserv_py.czar.formats.stream import ResultStream
from qserv_py.czar.session import QueryStats
from qserv_py.errors import ClusterError, UserError
from qserv_py.vo.remote.http import Service
from qserv_py.vo.remote.jobs import Jobs, JobView, failure_of, upload_files

SILENCE_S = 900
"""Seconds that a service may work before the first rows come."""


class RemoteConnection:
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

    def __enter__(self) -> RemoteConnection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Do nothing: each request has a connection of its own."""

    def query(self, adql: str, *, maxrec: int | None = None, uploads: Mapping[str, Upload] | None = None) -> Result:
        """Return the answer of a query; its rows come when they are read.

        Parameters
        ----------
        adql
            The query.
        maxrec
            Rows at the most; ``Result.stats.overflow`` says whether there were more.
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
        return Result(RemoteAnswer(adql, reply, stack))

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
        return Result(RemoteAnswer(self._adql, stack.enter_context(self._jobs.result(self.job_id)), stack))

    def cancel(self) -> None:
        """End the job if it has not ended."""
        self._jobs.abort(self.job_id)

    def delete(self) -> None:
        """Remove the job and its result."""
        self._jobs.delete(self.job_id)

    def __repr__(self) -> str:
        return f"<qserv_py job {self.job_id}>"


class RemoteAnswer:
    """Rows that come over HTTP as an Arrow stream. ``batches`` may be iterated once."""

    def __init__(self, adql: str, reply: http.client.HTTPResponse, stack: ExitStack) -> None:
        self.text = adql
        self.stats = QueryStats(chunks=0, chunks_total=0)
        self._stack = stack
        self._started = time.perf_counter()
        try:
            self._reader = pa.ipc.open_stream(pa.PythonFile(reply, mode="r"))
        except (pa.ArrowException, OSError, http.client.HTTPException) as error:
            stack.close()
            raise ClusterError("the service sent no Arrow stream", detail=str(error)) from error

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the answer."""
        return self._reader.schema

    @property
    def columns(self) -> tuple[OutputColumn, ...]:
        """The columns of the answer."""
        return tuple(_column(field) for field in self.schema)

    def batches(self) -> Generator[pa.RecordBatch, None, None]:
        """Yield the rows; ClusterError if they break off."""
        status = ""
        with self._stack:
            for batch, metadata in self._read():
                status = (metadata or {}).get(b"QUERY_STATUS", b"").decode() or status
                self.stats.rows += batch.num_rows
                if batch.num_rows:
                    yield batch
        self.stats.overflow = status == "OVERFLOW"
        self.stats.seconds = time.perf_counter() - self._started
        if not status:
            raise ClusterError("the rows broke off: the service did not say that they are all there")

    def _read(self) -> Iterator[tuple[pa.RecordBatch, Any]]:
        while True:
            try:
                yield self._reader.read_next_batch_with_custom_metadata()
            except StopIteration:
                return
            except (pa.ArrowException, OSError, http.client.HTTPException) as error:
                raise ClusterError("the rows broke off", detail=str(error)) from error

    def stream(self, *infos: tuple[str, str]) -> ResultStream:
        """Return the rows for a writer of ``czar.formats``."""
        is_cut = lambda: self.stats.overflow  # noqa: E731
        return ResultStream(
            columns=self.columns, schema=self.schema, batches=self.batches(), infos=infos, is_cut=is_cut
        )

    def cancel(self) -> None:
        """Leave; the service stops the query."""
        self._stack.close()


def _column(field: pa.Field) -> OutputColumn:
    told = {key.decode(): text.decode() for key, text in (field.metadata or {}).items()}
    kinds = {kind.names.arrow: kind for kind in reversed(DataType)}
    kind = (
        field.type.value_type if pa.types.is_list(field.type) or pa.types.is_fixed_size_list(field.type) else field.type
    )
    known = next((name for alias, name in kinds.items() if pa.type_for_alias(alias) == kind), None)
    if known is None:
        raise UserError(f'column "{field.name}" is of type {field.type}, which is not known here')
    return OutputColumn(
        name=field.name,
        datatype=known,
        unit=told.get("unit", ""),
        ucd=told.get("ucd", ""),
        description=told.get("description", ""),
        xtype=told.get("xtype", ""),
    )
