"""What one service allows: one place for every number that is not one user's."""

from __future__ import annotations

from dataclasses import dataclass, fields

from qserv_py.errors import ConfigError

HOUR = 3600
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLimits:
    """Limits of a service as a whole; each is at least 1. Those of one user are ``identity.limits.Limits``."""

    sync_s: int = 600
    """Seconds that a synchronous query may run, if its user may let one run so long."""

    sync_bytes: int = 4 << 30
    """Bytes of a synchronous result, if its user may have so many; more are cut off, and the result says so."""

    sync_running: int = 12
    """Synchronous queries that run at a time; others wait for their turn."""

    sync_present: int = 1000
    """Synchronous queries that run or wait; further ones are refused."""

    job_s: int = HOUR
    """Seconds that a job may run, unless it asks for another time."""

    jobs_running: int = 4
    """Jobs that run at a time."""

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
