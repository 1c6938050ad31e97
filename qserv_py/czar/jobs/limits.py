"""What one service allows its users: one place for every number."""

from __future__ import annotations

from dataclasses import dataclass, fields

from qserv_py.errors import ConfigError

HOUR = 3600
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLimits:
    """Limits of a service; each is at least 1."""

    rows: int = 100_000_000
    """Rows of a result at the most; MAXREC can ask for fewer."""

    sync_bytes: int = 4 << 30
    """Bytes of a synchronous result; more are left out, and the result says so."""

    sync_s: int = 600
    """Seconds that a synchronous query may run."""

    sync_running: int = 12
    """Synchronous queries that run at a time; others wait for their turn."""

    sync_each: int = 24
    """Synchronous queries that one requester may have running or waiting."""

    requests_per_minute: int = 6000
    """Queries and new jobs of one requester; a minute's worth may come at once."""

    job_bytes: int = 16 << 30
    """Bytes of a job's result."""

    job_s: int = HOUR
    """Seconds that a job may run, unless it asks for another time."""

    longest_job_s: int = DAY
    """Seconds that a job may ask for."""

    jobs_running: int = 4
    """Jobs that run at a time."""

    jobs_running_each: int = 2
    """Jobs of one requester that run at a time."""

    jobs_each: int = 500
    """Jobs of one requester that have not ended."""

    keep_s: int = 7 * DAY
    """Seconds after which a job and its result are removed."""

    wait_s: int = 60
    """Seconds that a request for a job may wait for a change."""

    query_bytes: int = 2 << 20
    """Bytes of a request without uploads."""

    def __post_init__(self) -> None:
        for spec in fields(self):
            if getattr(self, spec.name) < 1:
                raise ConfigError(f'limit "{spec.name}" is {getattr(self, spec.name)}, it must be 1 or more')
