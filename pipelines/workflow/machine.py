"""What to do next in a run: a pure function of the plan and of what happened so far.

``runner`` does what the instructions say, writes what happened into the journal, and asks again.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable
from dataclasses import dataclass

from qserv_py.pipelines.workflow.plan import Job, JobKind, RunPlan
from qserv_py.pipelines.workflow.state import JobState, RunRecord

LOOKED_AT = 50
"""Ready jobs that are looked at beyond the free cores: one that is too large lets smaller ones behind it pass."""


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
        self._record = record
        self._cores = cores
        self._memory_mb = memory_mb
        self._order = {job.name: number for number, job in enumerate(plan.jobs)}
        self._children: dict[str, list[Job]] = {job.name: [] for job in plan.jobs}
        # Each job that is not over is in one of these: waiting for parents (how many), ready, last of all, or watched
        # because it runs, or because it has ended and its children have not heard of it.
        self._waiting: dict[str, int] = {}
        self._ready: list[tuple[int, int, Job]] = []  # the most urgent first, else in the plan's order
        self._finals: dict[str, Job] = {}
        self._watched: dict[str, Job] = {}
        for job in plan.jobs:
            for parent in job.parents:
                self._children[parent].append(job)
            self._place(job)

    def decide(self) -> list[Instruction]:
        """Return what to do now; empty while running jobs are to be waited for.

        The caller applies the events of the returned instructions to the record before it asks again.
        """
        passed = [*self._stop(), *self._hear()]
        if passed:
            return [*passed]
        if not (self._waiting or self._ready or self._watched):
            for job in self._finals.values():
                self._make_ready(job)
            self._finals = {}
            if not self._ready:
                return [] if self._record.ended else [End()]
        return [*self._starts()]

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

    def _place(self, job: Job) -> None:
        if self._record.jobs[job.name].state is not JobState.UNREADY:
            self._watched[job.name] = job
        elif job.kind is JobKind.FINAL:
            self._finals[job.name] = job
        elif job.parents:
            self._waiting[job.name] = len(job.parents)
        else:
            self._make_ready(job)

    def _make_ready(self, job: Job) -> None:
        bisect.insort(self._ready, (-job.priority, self._order[job.name], job))

    def _stop(self) -> list[Pass]:
        """Let go of everything that has not begun, once the run is stopped."""
        if self._record.cancelled:
            self._waiting, self._ready, self._finals = {}, [], {}
        if not self._record.aborted_by:
            return []
        names = [*self._waiting, *(job.name for *_, job in self._ready if job.kind is not JobKind.FINAL)]
        self._waiting = {}
        self._ready = [entry for entry in self._ready if entry[-1].kind is JobKind.FINAL]
        return [Pass(job=name, pruned_by=self._record.aborted_by) for name in names]

    def _hear(self) -> list[Pass]:
        """Tell children of the jobs that have ended; return what this decides at once."""
        passed: list[Pass] = []
        for name, job in list(self._watched.items()):
            state = self._record.jobs[name].state
            if state is JobState.RUNNING:
                continue
            del self._watched[name]
            if state is JobState.UNREADY:  # it is tried again
                self._make_ready(job)
            else:
                passed += [step for child in self._children[name] if (step := self._tell(child, name, state))]
        return passed

    def _tell(self, child: Job, parent: str, state: JobState) -> Pass | None:
        if child.name not in self._waiting:
            return None
        if state is not JobState.SUCCEEDED and child.kind is not JobKind.TOLERANT:
            # The failure itself is named, not a parent that did not run for it.
            reason = self._record.jobs[parent].reason if state is JobState.PRUNED else parent
            return self._pass(child, pruned_by=reason)
        self._waiting[child.name] -= 1
        if self._waiting[child.name]:
            return None
        if child.kind in (JobKind.BARRIER, JobKind.TOLERANT):
            return self._pass(child)
        del self._waiting[child.name]
        self._make_ready(child)
        return None

    def _pass(self, job: Job, *, pruned_by: str = "") -> Pass:
        del self._waiting[job.name]
        self._watched[job.name] = job
        return Pass(job=job.name, pruned_by=pruned_by)

    def _starts(self) -> Iterable[Start]:
        """Yield the jobs that fit beside those that run, the most urgent ones first."""
        cores = self._cores - sum(job.cores for job in self._watched.values())
        memory = self._memory_mb - sum(self._record.jobs[name].memory_mb for name in self._watched)
        for entry in tuple(self._ready[: self._cores - len(self._watched) + LOOKED_AT]):
            job = entry[-1]
            if cores <= 0 and self._watched:
                return
            record = self._record.jobs[job.name]
            allowed = self.allowance(job, kills=record.memory_kills)
            if not self._watched or (job.cores <= cores and allowed <= memory):
                self._ready.remove(entry)
                self._watched[job.name] = job
                yield Start(job=job, attempt=record.attempt + 1, memory_mb=allowed)
                cores, memory = cores - job.cores, memory - allowed
