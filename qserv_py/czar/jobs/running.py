"""A job that this process runs."""

from __future__ import annotations

import threading

from qserv_py.czar.jobs.bounded import BoundedQuery
from qserv_py.errors import QservError
from qserv_py.registry.jobs import TapJob


class RunningJob:
    """A job that this process runs; it may be stopped before its query is there."""

    def __init__(self, job: TapJob) -> None:
        self.job = job
        self._query: BoundedQuery | None = None
        self._reason: QservError | None = None
        self._lock = threading.Lock()

    def attach(self, query: BoundedQuery) -> None:
        """Tell which query the job is."""
        with self._lock:
            self._query = query
            if self._reason is not None:
                query.stop(self._reason)

    def stop(self, reason: QservError) -> None:
        """End its query, now or as soon as it is there; the first reason counts."""
        with self._lock:
            self._reason = self._reason or reason
            if self._query is not None:
                self._query.stop(self._reason)

    @property
    def chunks(self) -> tuple[int, int]:
        """Chunks done, and chunks in all."""
        return self._query.chunks if self._query is not None else (0, 0)

    @property
    def rows(self) -> int:
        """Rows written."""
        return self._query.rows if self._query is not None else 0
