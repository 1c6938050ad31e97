"""A query that runs in the background of this process, on a cluster of this machine.

It is handled as a job of a service is, but nobody else sees it and it ends with the process; its rows wait in a file
without a name, so that memory stays small and nothing is left behind.
"""

from __future__ import annotations

import mmap
import secrets
import tempfile
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from qserv_py.client.result import Result
from qserv_py.client.streamed import StreamedAnswer
from qserv_py.czar.formats import find_format
from qserv_py.czar.session import Session
from qserv_py.errors import InternalError, QservError, QueryCancelledError, UserError
from qserv_py.registry.jobs import UwsPhase
from qserv_py.remote.jobs import JobView


class LocalJob:
    """A query in the background; it begins at once.

    Parameters
    ----------
    session
        Answers it.
    adql, maxrec, uploads
        As for ``Session.answer``.
    run_id
        A text of the user's.
    directory
        Where its rows wait.

    Raises
    ------
    UserError
        If the query is wrong.
    """

    def __init__(
        self,
        session: Session,
        adql: str,
        *,
        directory: Path,
        maxrec: int | None = None,
        run_id: str | None = None,
        uploads: Mapping[str, pa.Table] | None = None,
    ) -> None:
        self.job_id = secrets.token_hex(8)
        self._answer = session.answer(adql, maxrec=maxrec, uploads=uploads)
        self._file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 (closed by ``delete``)
        self._spilled = session.queries.spilled.account()
        self._failure: QservError | None = None
        self._view = JobView(
            job_id=self.job_id,
            phase=UwsPhase.EXECUTING,
            run_id=run_id or "",
            owner="",
            created_at=datetime.now(UTC),
            query=adql,
        )
        self._thread = threading.Thread(target=self._work, name=f"qserv-job-{self.job_id}", daemon=True)
        self._thread.start()

    @property
    def state(self) -> JobView:
        """Phase, chunks done, rows, error, as they are now."""
        done, chunks = self._answer.query.chunks
        stats = self._answer.stats
        return replace(
            self._view,
            chunks_done=done,
            chunks=chunks,
            rows=stats.rows,
            overflow=stats.overflow,
        )

    def wait(self) -> JobView:
        """Wait until the job has ended; raise why it has no result."""
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        return self.state

    def result(self) -> Result:
        """Wait for the job and return its result; each call returns one that can be read anew."""
        self.wait()
        if self.is_deleted:
            raise UserError(f"job {self.job_id} has been deleted")
        rows = pa.BufferReader(pa.py_buffer(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)))
        return Result(StreamedAnswer(self._view.query, rows, ExitStack()))

    def cancel(self) -> None:
        """End the job if it has not ended."""
        self._answer.cancel()
        self._thread.join()

    def delete(self) -> None:
        """End the job and remove its result."""
        self.cancel()
        self._file.close()
        self._spilled.give_back()

    @property
    def is_deleted(self) -> bool:
        """Whether its result has been removed."""
        return self._file.closed

    def _work(self) -> None:
        try:
            for piece in find_format("arrow").write(self._answer.stream(("QUERY", self._view.query))):
                self._spilled.take(len(piece))
                self._file.write(piece)
            self._file.flush()
            self._end(UwsPhase.COMPLETED, result_bytes=self._file.tell())
        except QueryCancelledError as error:
            self._fail(UwsPhase.ABORTED, error)
        except QservError as error:
            self._fail(UwsPhase.ERROR, error)
        except OSError as error:
            self._fail(UwsPhase.ERROR, QservError("the rows of a job cannot be kept", detail=str(error)))
        except Exception as error:
            failure = InternalError(f"the job failed in an unforeseen way: {type(error).__name__}")
            failure.__cause__ = error
            self._fail(UwsPhase.ERROR, failure)

    def _fail(self, phase: UwsPhase, failure: QservError) -> None:
        self._failure = failure
        self._end(phase, error=failure.message)

    def _end(self, phase: UwsPhase, *, error: str = "", result_bytes: int | None = None) -> None:
        self._view = replace(
            self._view, phase=phase, ended_at=datetime.now(UTC), error=error, result_bytes=result_bytes
        )

    def __repr__(self) -> str:
        return f"<qserv_py job {self.job_id}>"
