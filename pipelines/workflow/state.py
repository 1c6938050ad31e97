"""What became of a run so far: its journal, read from the first event to the last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from qserv_py.pipelines.workflow.journal import (
    Event,
    JobEnded,
    JobPassed,
    JobStarted,
    RunEnded,
    RunnerStarted,
    RunStopped,
)
from qserv_py.pipelines.workflow.plan import JobKind, RunPlan


class JobState(Enum):
    """Where a job is; the names are those of BPS."""

    UNREADY = "UNREADY"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    PRUNED = "PRUNED"
    DELETED = "DELETED"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to the job in this run."""
        return self not in (JobState.UNREADY, JobState.RUNNING)


@dataclass(slots=True)
class JobRecord:
    """What became of one job."""

    state: JobState = JobState.UNREADY
    attempt: int = 0
    """Number of the last attempt, from 1 on."""

    failures: int = 0
    """Failed attempts since the run was started, or started again."""

    memory_kills: int = 0
    """Attempts that needed more memory than they had."""

    memory_mb: int = 0
    """What the last attempt may use, or might."""

    exit_code: int | None = None
    reason: str = ""
    started: float = 0.0
    ended: float = 0.0
    peak_mb: int = 0


@dataclass(slots=True)
class RunRecord:
    """What became of a run."""

    jobs: dict[str, JobRecord]
    repeated: frozenset[str]
    """Jobs that run again after a restart although they succeeded: they depend on how others ended."""

    runner: RunnerStarted | None = None
    """The last one; it may be dead."""

    stopped: bool = False
    aborted_by: str = ""
    """The job whose exit code stopped the run; empty when a user cancelled it."""

    ended: float = 0.0
    """Seconds since 1970; 0 while there is something left to do."""

    counts: Counter[JobState] = field(default_factory=Counter)

    @property
    def cancelled(self) -> bool:
        """Whether a user stopped the run."""
        return self.stopped and not self.aborted_by

    def apply(self, event: Event) -> None:
        """Take one event in."""
        match event:
            case RunnerStarted():
                self.runner, self.ended = event, 0.0
                if event.restart:
                    self._wait_again()
            case JobStarted():
                record = self._move(event.job, JobState.RUNNING)
                record.attempt, record.memory_mb, record.started = event.attempt, event.memory_mb, event.at
                record.exit_code, record.reason, record.ended = None, "", 0.0
            case JobEnded():
                self._end(event)
            case JobPassed():
                record = self._move(event.job, JobState.PRUNED if event.pruned_by else JobState.SUCCEEDED)
                record.reason, record.ended = event.pruned_by, event.at
            case RunStopped():
                self.stopped, self.aborted_by = True, event.aborted_by
                if self.cancelled:
                    self._delete_waiting()
            case RunEnded():
                self.ended = event.at

    def _end(self, event: JobEnded) -> None:
        if event.again:
            state = JobState.UNREADY
        elif event.exit_code == 0:
            state = JobState.SUCCEEDED
        else:
            state = JobState.DELETED if event.reason == "cancelled" else JobState.FAILED
        record = self._move(event.job, state)
        record.exit_code, record.reason, record.ended = event.exit_code, event.reason, event.at
        record.peak_mb = max(record.peak_mb, event.peak_mb)
        record.memory_kills += event.reason == "memory"
        # An attempt that died with its runner, or by the user's wish, says nothing against the job.
        record.failures += event.exit_code != 0 and event.reason not in ("lost", "cancelled")

    def _wait_again(self) -> None:
        self.stopped, self.aborted_by = False, ""
        waiting = [name for name, record in self.jobs.items() if record.state is not JobState.SUCCEEDED]
        for name in waiting and {*waiting, *self.repeated}:
            record = self.jobs[name]
            if record.state is not JobState.RUNNING:
                self._move(name, JobState.UNREADY)
                record.failures, record.reason = 0, ""

    def _delete_waiting(self) -> None:
        for name, record in self.jobs.items():
            if record.state is JobState.UNREADY:
                self._move(name, JobState.DELETED)

    def _move(self, name: str, state: JobState) -> JobRecord:
        record = self.jobs[name]
        self.counts[record.state] -= 1
        self.counts[state] += 1
        record.state = state
        return record


def record_of(plan: RunPlan, events: Iterable[Event]) -> RunRecord:
    """Return what events made of a run."""
    repeated = frozenset(job.name for job in plan.jobs if job.kind in (JobKind.FINAL, JobKind.TOLERANT))
    record = RunRecord(jobs={job.name: JobRecord() for job in plan.jobs}, repeated=repeated)
    record.counts[JobState.UNREADY] = len(plan.jobs)
    for event in events:
        record.apply(event)
    return record
