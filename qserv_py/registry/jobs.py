"""The job table: queries that run in the background, and the only ways in which a job's phase changes.

A job is run by one process, its *runner*, whose name stands in the row and which holds an advisory lock of that name
while it lives. Whoever gets the lock knows that the runner is dead. Every statement that ends or reports a job names
the runner, so a process that lost its job to another one changes nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from psycopg.types.json import Jsonb

from qserv_py.errors import JobInterruptedError, NotFoundError, QservError
from qserv_py.registry.connection import Registry
from qserv_py.registry.statements import lock_if_free, run

MOST_ATTEMPTS = 2
"""Starts after which a job whose runner died is not run again: it may be what kills the runners."""


class UwsPhase(StrEnum):
    """Phase of a job, as the Universal Worker Service names it."""

    PENDING = "PENDING"
    QUEUED = "QUEUED"
    EXECUTING = "EXECUTING"
    COMPLETED = "COMPLETED"
    ERROR = "ERROR"
    ABORTED = "ABORTED"

    @property
    def has_ended(self) -> bool:
        """Whether the phase never changes any more."""
        return self in {UwsPhase.COMPLETED, UwsPhase.ERROR, UwsPhase.ABORTED}


Parameters = Mapping[str, str | list[str]]
"""Parameters of a job by upper-case name, as they were posted; UPLOAD has a list of values, all others one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TapJob:
    """A query that a service answers in the background, as its row in the registry says."""

    job_id: str
    owner: str
    identity: Mapping[str, Any]
    """User, groups and proof of its owner, as of when the job was told to run."""

    phase: UwsPhase
    run_id: str
    parameters: Parameters
    execution_s: int
    """Seconds that it may run."""

    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    destruction_at: datetime
    chunks_done: int
    chunks: int
    rows: int
    """Rows written so far, or in all."""

    result_file: str | None
    result_type: str | None
    """MIME type of the result."""

    result_bytes: int | None
    overflow: bool
    """Whether rows were left out."""

    error_code: str | None
    error_message: str | None
    queue_place: int | None = None
    """Place in the queue, from 1, while the job is QUEUED."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEntry:
    """A job as the list shows it."""

    job_id: str
    phase: UwsPhase
    run_id: str
    created_at: datetime
    owner: str


def add_job(
    registry: Registry,
    *,
    owner: str,
    requester: str,
    identity: Mapping[str, Any],
    most_running: int,
    parameters: Parameters,
    run_id: str,
    execution_s: int,
    keep_s: int,
) -> str:
    """Write down a new job, PENDING; return its id, which cannot be guessed."""
    job_id = secrets.token_hex(10)
    with registry.connection() as connection:
        run(
            connection,
            "insert_job",
            job_id=job_id,
            owner=owner,
            requester=requester,
            identity=Jsonb(dict(identity)),
            most_running=most_running,
            run_id=run_id,
            parameters=Jsonb(dict(parameters)),
            execution_s=execution_s,
            keep_s=keep_s,
        )
    return job_id


def find_job(registry: Registry, job_id: str) -> TapJob:
    """Return a job; NotFoundError if there is none of this id."""
    with registry.connection() as connection:
        row = run(connection, "job", job_id=job_id).fetchone()
    if row is None:
        raise NotFoundError(f'there is no job "{job_id}"', hint="Jobs are removed at their destruction time.")
    return _job(row)


def list_jobs(
    registry: Registry, requester: str, *, phases: Iterable[UwsPhase] = (), after: datetime | None = None, most: int
) -> list[JobEntry]:
    """Return the jobs of a requester, newest first."""
    wanted = [phase.value for phase in phases] or None
    with registry.connection() as connection:
        rows = run(connection, "list_jobs", requester=requester, phases=wanted, after=after, most=most).fetchall()
    return [
        JobEntry(job_id=job_id, phase=UwsPhase(phase), run_id=run_id, created_at=created_at, owner=owner)
        for job_id, phase, run_id, created_at, owner in rows
    ]


def unfinished_jobs(registry: Registry, requester: str) -> int:
    """Return how many jobs of a requester have not ended."""
    return int(_value(registry, "count_jobs", requester=requester))


def change_parameters(registry: Registry, job_id: str, parameters: Parameters, *, run_id: str | None) -> bool:
    """Set parameters of a job, and its run id unless None; False when it was started already."""
    values = Jsonb(dict(parameters))
    return _changed(registry, "change_job_parameters", job_id=job_id, parameters=values, run_id=run_id)


def change_times(
    registry: Registry, job_id: str, *, execution_s: int | None, destruction_at: datetime | None, keep_s: int
) -> None:
    """Set how long a job may run and when it is destroyed, within ``keep_s`` seconds; None keeps what is set."""
    times = {"execution_s": execution_s, "destruction_at": destruction_at, "keep_s": keep_s}
    _changed(registry, "change_job_times", job_id=job_id, **times)


def queue_job(registry: Registry, job_id: str, *, identity: Mapping[str, Any], most_running: int) -> bool:
    """Let a PENDING job wait for its turn, as its owner is known now; False when it was not PENDING."""
    known = {"identity": Jsonb(dict(identity)), "most_running": most_running}
    return _changed(registry, "queue_job", job_id=job_id, **known)


def claim_job(registry: Registry, *, runner: str) -> TapJob | None:
    """Start the next job, fair between requesters; None when none may start."""
    with registry.connection() as connection:
        row = run(connection, "claim_job", runner=runner).fetchone()
    return None if row is None else _job(row)


def report_job(registry: Registry, job_id: str, *, runner: str, chunks_done: int, chunks: int, rows: int) -> bool:
    """Write down how far a running job is; False when it is no more this runner's to run."""
    figures = {"chunks_done": chunks_done, "chunks": chunks, "rows": rows}
    return _changed(registry, "report_job", job_id=job_id, runner=runner, **figures)


def complete_job(
    registry: Registry,
    job_id: str,
    *,
    runner: str,
    result_file: str,
    result_type: str,
    result_bytes: int,
    rows: int,
    overflow: bool,
) -> bool:
    """End a job with a result; False when it is no more this runner's."""
    return _changed(
        registry,
        "complete_job",
        job_id=job_id,
        runner=runner,
        result_file=result_file,
        result_type=result_type,
        result_bytes=result_bytes,
        rows=rows,
        overflow=overflow,
    )


def fail_job(registry: Registry, job_id: str, *, runner: str, error: QservError) -> bool:
    """End a job with an error; False when it is no more this runner's."""
    message = error.render().replace("\x00", "")
    return _changed(registry, "fail_job", job_id=job_id, runner=runner, code=error.code, message=message)


def abort_job(registry: Registry, job_id: str) -> bool:
    """End a job as ABORTED; False when it had ended already."""
    return _changed(registry, "abort_job", job_id=job_id)


def delete_job(registry: Registry, job_id: str) -> bool:
    """Forget a job; False when there was none."""
    return _changed(registry, "delete_job", job_id=job_id)


def delete_expired(registry: Registry) -> list[str]:
    """Forget the jobs whose destruction time has come; return their ids."""
    return _names(registry, "delete_expired_jobs")


def known_jobs(registry: Registry, job_ids: Sequence[str]) -> set[str]:
    """Return which of some ids are ids of jobs."""
    return set(_names(registry, "known_jobs", job_ids=list(job_ids)))


def count_phases(registry: Registry) -> dict[UwsPhase, int]:
    """Return how many jobs there are in each phase."""
    with registry.connection() as connection:
        found = {UwsPhase(phase): number for phase, number in run(connection, "job_counts")}
    return {phase: found.get(phase, 0) for phase in UwsPhase}


def lock_name(runner: str) -> str:
    """Return the name of the advisory lock that a runner holds."""
    return f"qserv job runner {runner}"


def recover_jobs(registry: Registry, *, besides: str) -> list[str]:
    """Let the jobs of dead runners wait again, or end those that were tried often enough; return their ids."""
    error = JobInterruptedError(
        f"the service was stopped {MOST_ATTEMPTS} times while the job ran; it is not tried again"
    )
    how = {"code": error.code, "message": error.message, "attempts": MOST_ATTEMPTS}
    found = []
    for runner in _names(registry, "job_runners"):
        if runner == besides:
            continue
        with registry.connection() as connection, lock_if_free(connection, lock_name(runner)) as is_dead:
            if is_dead:
                found += [row[0] for row in run(connection, "release_jobs", runner=runner, **how)]
    return found


def release_jobs(registry: Registry, *, runner: str) -> list[str]:
    """Let the jobs of a runner that stops wait again, as if they had not been started; return their ids."""
    return _names(registry, "release_jobs", runner=runner, code="", message="", attempts=None)


def _job(row: tuple[Any, ...]) -> TapJob:
    return TapJob(
        job_id=row[0],
        owner=row[1],
        phase=UwsPhase(row[2]),
        run_id=row[3],
        parameters=row[4],
        execution_s=row[5],
        created_at=row[6],
        started_at=row[7],
        ended_at=row[8],
        destruction_at=row[9],
        chunks_done=row[10],
        chunks=row[11],
        rows=row[12],
        result_file=row[13],
        result_type=row[14],
        result_bytes=row[15],
        overflow=row[16],
        error_code=row[17],
        error_message=row[18],
        identity=row[19],
        queue_place=row[20] if len(row) > 20 else None,
    )


def _changed(registry: Registry, statement: str, **values: object) -> bool:
    with registry.connection() as connection:
        return run(connection, statement, **values).fetchone() is not None


def _names(registry: Registry, statement: str, **values: object) -> list[str]:
    with registry.connection() as connection:
        return [row[0] for row in run(connection, statement, **values)]


def _value(registry: Registry, statement: str, **values: object) -> Any:
    with registry.connection() as connection:
        row = run(connection, statement, **values).fetchone()
    return None if row is None else row[0]
