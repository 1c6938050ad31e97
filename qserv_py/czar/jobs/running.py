"""A job that this process runs."""

from __future__ import annotations

from qserv_py.cancelling import Cancel
from qserv_py.czar.jobs.bounded import BoundedQuery
from qserv_py.registry.jobs import TapJob


class RunningJob:
    """A job that this process runs; it may be told to end before its query is there."""

    def __init__(self, job: TapJob) -> None:
        self.job = job
        self.cancel = Cancel()
        self.query: BoundedQuery | None = None
        """Its query, once it is there."""

    @property
    def chunks(self) -> tuple[int, int]:
        """Chunks done, and chunks in all."""
        return self.query.chunks if self.query is not None else (0, 0)

    @property
    def rows(self) -> int:
        """Rows written."""
        return self.query.rows if self.query is not None else 0
