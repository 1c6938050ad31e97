"""What to do next in a run: a pure function of the plan and of what happened so far.

``runner`` does what the instructions say, writes what happened into the journal, and asks again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from qserv_py.pipelines.workflow.plan import Job, JobKind, RunPlan
from qserv_py.pipelines.workflow.state import JobRecord, JobState, RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Start an attempt at a job."""

    job: Job
    attempt: int
    memory_mb: int
    """What it may use; 0 for no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """Note that a barrier succeeded, or that a job can no longer run because ``pruned_by`` failed."""

    job: str
    pruned_by: str = ""


@dataclass(frozen=True, slots=True)
class End:
    """Note that nothing is left to do."""


Instruction = Start | Pass | End


class Scheduler:
    """Decides which jobs start, which never will, and when the run is over.

    Parameters
    ----------
    plan
        What the run shall do.
    record
        What became of it so far; somebody else applies events to it.
    cores, memory_mb
        What the run may use. A job that wants more than that runs alone.
    """

    def __init__(self, plan: RunPlan, record: RunRecord, *, cores: int, memory_mb: int) -> None:
        self._plan = plan
        self._record = record
        self._cores = cores
        self._memory_mb = memory_mb
        self._by_name = {job.name: job for job in plan.jobs}
        self._waiting = [job for job in plan.jobs if not record.jobs[job.name].state.ended]

    def decide(self) -> list[Instruction]:
        """Return what to do now; empty while running jobs are to be waited for.

        The caller applies the events of the returned instructions to the record before it asks again.
        """
        self._waiting = [job for job in self._waiting if not self._record.jobs[job.name].state.ended]
        unready = [job for job in self._waiting if self._record.jobs[job.name].state is JobState.UNREADY]
        passed = [step for job in unready if (step := self._passed(job))]
        if passed:
            return [*passed]
        if not self._waiting:
            return [] if self._record.ended else [End()]
        return [*self._starts(job for job in unready if self._is_ready(job))]

    def is_tried_again(self, job: Job, *, exit_code: int | None, reason: str) -> bool:
        """Return whether a failed attempt is followed by another one."""
        record = self._record.jobs[job.name]
        if self._record.stopped or exit_code == 0 or reason == "cancelled":
            return False
        if reason == "lost":
            return True
        if exit_code in job.retry_unless_exit and not reason:
            return False
        if reason == "memory" and self.allowance(job, kills=record.memory_kills + 1) <= record.memory_mb:
            return False  # it cannot get more than it had
        return record.failures < job.retries

    def allowance(self, job: Job, *, kills: int) -> int:
        """Return the megabytes that an attempt may use after so many that needed more than they had; 0 for no limit."""
        wanted = math.ceil(job.memory_mb * job.memory_multiplier**kills)
        return min(wanted, job.memory_max_mb or wanted, max(self._memory_mb, job.memory_mb))

    def _passed(self, job: Job) -> Pass | None:
        if job.kind is JobKind.FINAL:
            return None
        if self._record.aborted_by:
            return Pass(job=job.name, pruned_by=self._record.aborted_by)
        parents = [(parent, self._record.jobs[parent]) for parent in job.parents]
        if job.kind is JobKind.TOLERANT:
            return Pass(job=job.name) if all(record.state.ended for _, record in parents) else None
        for name, record in parents:
            if record.state.ended and record.state is not JobState.SUCCEEDED:
                return Pass(job=job.name, pruned_by=record.reason if record.state is JobState.PRUNED else name)
        is_met = job.kind is JobKind.BARRIER and _all_succeeded(record for _, record in parents)
        return Pass(job=job.name) if is_met else None

    def _is_ready(self, job: Job) -> bool:
        if job.kind is JobKind.FINAL:
            return all(other.kind is JobKind.FINAL for other in self._waiting)
        return _all_succeeded(self._record.jobs[parent] for parent in job.parents)

    def _starts(self, ready: Iterable[Job]) -> Iterable[Start]:
        """Yield the jobs that fit beside those that run, the most urgent ones first."""
        running = [job for job in self._waiting if self._record.jobs[job.name].state is JobState.RUNNING]
        cores = self._cores - sum(job.cores for job in running)
        memory = self._memory_mb - sum(self._record.jobs[job.name].memory_mb for job in running)
        is_idle = not running
        for job in sorted(ready, key=lambda job: -job.priority):  # the sort keeps the plan's order among equals
            record = self._record.jobs[job.name]
            allowed = self.allowance(job, kills=record.memory_kills)
            if is_idle or (job.cores <= cores and allowed <= memory):
                yield Start(job=job, attempt=record.attempt + 1, memory_mb=allowed)
                cores, memory, is_idle = cores - job.cores, memory - allowed, False


def _all_succeeded(records: Iterable[JobRecord]) -> bool:
    return all(record.state is JobState.SUCCEEDED for record in records)
