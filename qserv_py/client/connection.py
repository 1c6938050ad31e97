"""A connection to a cluster of this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, overload

from qserv_py.client.arrow_tables import Upload, arrow_tables
from qserv_py.client.local_job import LocalJob
from qserv_py.client.result import Result
from qserv_py.closing import Closing
from qserv_py.config import cluster_directory
from qserv_py.czar.cluster import open_cluster
from qserv_py.czar.queries.queries import closed_error
from qserv_py.czar.session import Session
from qserv_py.errors import NotFoundError, UserError

if TYPE_CHECKING:
    from qserv_py.client.remote import RemoteConnection


@overload
def connect(cluster: str, *, token: str) -> RemoteConnection: ...


@overload
def connect(cluster: str | os.PathLike[str] | None = None) -> Connection: ...


def connect(cluster: str | os.PathLike[str] | None = None, *, token: str = "") -> Connection | RemoteConnection:
    """Open a connection to a cluster of this machine, or to a service.

    Parameters
    ----------
    cluster
        Directory of a running cluster, without it the one that ``QSERV_CLUSTER`` names; or the address of a service,
        such as ``https://data.example.org/vo``.
    token
        For a service: what proves who asks; without it the one in ``QSERV_TOKEN``.

    Raises
    ------
    ConfigError
        If no cluster was named.
    NotFoundError
        If the directory holds no cluster.
    ClusterError
        If the cluster does not run.
    """
    if isinstance(cluster, str) and cluster.startswith(("http://", "https://")):
        from qserv_py.client.remote import RemoteConnection

        return RemoteConnection(cluster, token=token or os.environ.get("QSERV_TOKEN", ""))
    session = Session(open_cluster(cluster_directory(cluster)))
    try:
        session.catalog()
    except BaseException:
        session.close()
        raise
    return Connection(session)


class Connection(Closing):
    """A connection to a cluster; threads may share it. Use it as a context manager, or close it."""

    def __init__(self, session: Session) -> None:
        self._opened = session
        self._is_closed = False
        self._jobs: dict[str, LocalJob] = {}

    def close(self) -> None:
        """End its jobs, and close it and everything it holds."""
        self._is_closed = True
        for job in self._jobs.values():
            job.delete()
        self._opened.close()

    @property
    def _session(self) -> Session:
        """The session; UserError when the connection has been closed."""
        if self._is_closed:
            raise closed_error()
        return self._opened

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
            Tables that the query reads as ``TAP_UPLOAD.name``, by name: Arrow or astropy tables, data frames of pandas
            or polars, paths of files.

        Raises
        ------
        UserError
            If the query is wrong; the message has the place in the text and what to do.
        """
        session = self._session
        return Result(session.answer(_text(adql), maxrec=maxrec, uploads=arrow_tables(uploads or {})))

    def submit(
        self,
        adql: str,
        *,
        maxrec: int | None = None,
        run_id: str | None = None,
        uploads: Mapping[str, Upload] | None = None,
    ) -> LocalJob:
        """Begin a query in the background, as long as this connection is open; parameters as for ``query``.

        A job that outlives the process is one of a service: ``connect("http://...").submit(...)``.
        """
        session, text = self._session, _text(adql)
        spill = session.cluster.config.czar_dir / "spill"
        spill.mkdir(parents=True, exist_ok=True)
        tables = arrow_tables(uploads or {})
        job = LocalJob(session, text, directory=spill, maxrec=maxrec, run_id=run_id, uploads=tables)
        self._jobs[job.job_id] = job
        return job

    def job(self, job_id: str) -> LocalJob:
        """Return a job by its id; NotFoundError if this connection has begun none of it."""
        job = self._jobs.get(job_id)
        if job is None or job.is_deleted:
            raise NotFoundError(f'there is no job "{job_id[:80]}"', hint="A connection knows the jobs it has begun.")
        return job

    def tables(self) -> list[str]:
        """Return the names of the tables, as queries write them."""
        found = self.query("SELECT table_name FROM tap_schema.tables ORDER BY table_name").to_arrow()
        return [str(name) for name in found.column(0).to_pylist()]

    def explain(self, adql: str, *, uploads: Mapping[str, Upload] | None = None) -> str:
        """Return how a query would be answered: chunks, chunk query, merge query; ``uploads`` as for ``query``."""
        return self._session.explain(_text(adql), uploads=arrow_tables(uploads or {}))


def _text(adql: object) -> str:
    """Return what is to be a query; UserError if it is no text."""
    if not isinstance(adql, str):
        raise UserError(
            f"the query is of type {type(adql).__name__}, it must be a text",
            hint='Write db.query("SELECT TOP 5 * FROM dr1.Object").',
        )
    return adql
