"""The program that carries a run out: ``python -m qserv_py.pipelines.workflow.runner DIRECTORY``.

With ``--detach`` it goes on in a session of its own, and outlasts the terminal it was started from. SIGTERM cancels the
run. It may be killed at any moment: what it had started goes on, and the next runner takes that over.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from qserv_py.pipelines.workflow.attempts import Attempt
from qserv_py.pipelines.workflow.journal import (
    Event,
    JobEnded,
    JobPassed,
    JobStarted,
    Journal,
    RunEnded,
    RunnerStarted,
    RunStopped,
    read_journal,
)
from qserv_py.pipelines.workflow.machine import End, Instruction, Pass, Scheduler, Start
from qserv_py.pipelines.workflow.plan import Job, load_plan
from qserv_py.pipelines.workflow.processes import LockFile, end_session, sessions_in_use, signal_session
from qserv_py.pipelines.workflow.state import JobState, record_of

LOCK_FILE = "runner.lock"
LOG_FILE = "runner.log"
BUSY = 75
"""Exit code when another runner has the run."""

GRACE_S = 10.0
"""Seconds that a job has between SIGTERM and SIGKILL."""

LOOK_S = 0.5
"""Seconds between two looks at what jobs use, and at jobs that an earlier runner started."""


@dataclass(slots=True)
class Running:
    """An attempt that is on its way."""

    job: Job
    attempt: Attempt
    memory_mb: int
    started: float
    process: subprocess.Popen[bytes] | None
    """None when an earlier runner started it."""

    ended_for: str = ""
    """Why we are ending it; empty while we are not."""

    kill_at: float = 0.0
    peak_mb: float = 0.0

    @property
    def session(self) -> int | None:
        """Number of its session; None when it has none any more."""
        return self.process.pid if self.process else self.attempt.lock.holder()

    def has_ended(self) -> bool:
        """Return whether it no longer runs."""
        return self.process.poll() is not None if self.process else not self.attempt.lock.is_held()

    def exit_code(self) -> int | None:
        """Return the exit code as a shell gives it; None when nobody knows it."""
        if self.process is None:
            return self.attempt.exit_code()
        code = self.process.returncode
        return code if code >= 0 else 128 - code


class Runner:
    """Carries a run out, from wherever it is.

    Parameters
    ----------
    directory
        Of the run; the caller holds its lock.
    restart
        Whether jobs that failed shall be tried again.
    """

    def __init__(self, directory: Path, *, restart: bool) -> None:
        self._directory = directory
        self._plan = load_plan(directory)
        self._record = record_of(self._plan, read_journal(directory))
        self._journal = Journal(directory)
        self._running: dict[str, Running] = {}
        self._cancelled = False
        self._next_look = 0.0
        self._wake, self._woken = socket.socketpair()
        started = RunnerStarted(
            pid=os.getpid(),
            host=self._plan.host,
            cores=self._plan.cores,
            memory_mb=self._plan.memory_mb,
            restart=restart,
        )
        self._note(started)
        self._scheduler = Scheduler(self._plan, self._record, cores=self._plan.cores, memory_mb=self._plan.memory_mb)

    def run(self) -> None:
        """Carry the run out to its end."""
        self._hear_signals()
        self._take_over()
        while True:
            while steps := self._scheduler.decide():
                for step in steps:
                    self._do(step)
                if self._record.ended:
                    return
            self._wait()
            if self._cancelled and not self._record.stopped:
                self._stop()
            self._reap()
            if time.monotonic() >= self._next_look:
                self._next_look = time.monotonic() + LOOK_S
                self._look()

    def _hear_signals(self) -> None:
        for end in (self._wake, self._woken):
            end.setblocking(False)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear_cancel)

    def _hear_cancel(self, _number: int, _frame: FrameType | None) -> None:
        self._cancelled = True

    def _take_over(self) -> None:
        """Find out what became of the attempts that an earlier runner started."""
        for job in self._plan.jobs:
            record = self._record.jobs[job.name]
            if record.state is not JobState.RUNNING:
                continue
            attempt = Attempt(self._directory / job.directory, record.attempt)
            running = Running(job, attempt, record.memory_mb, record.started, None)
            if running.has_ended():
                self._end(running)
            else:
                _say(f"{job.name} still runs, attempt {attempt.number} of an earlier runner")
                self._running[job.name] = running

    def _do(self, step: Instruction) -> None:
        match step:
            case Start():
                self._start(step)
            case Pass():
                self._note(JobPassed(job=step.job, pruned_by=step.pruned_by))
                if step.pruned_by:
                    _say(f"{step.job} will not run: {step.pruned_by} failed")
            case End():
                self._note(RunEnded())
                use = resource.getrusage(resource.RUSAGE_CHILDREN)
                _say(f"the run is over; the jobs of this runner took {use.ru_utime + use.ru_stime:.1f} s of processors")

    def _start(self, step: Start) -> None:
        job = step.job
        attempt = Attempt(self._directory / job.directory, step.attempt)
        self._note(JobStarted(job=job.name, attempt=step.attempt, memory_mb=step.memory_mb))
        process = attempt.start(job, os.environ, self._plan.working_directory)
        if process is None:
            _say(f"{job.name} cannot start: a process of an earlier attempt still runs")
            self._note(JobEnded(job=job.name, exit_code=None, reason="blocked"))
            return
        _say(f"{job.name} started, attempt {step.attempt}, process {process.pid}")
        self._running[job.name] = Running(job, attempt, step.memory_mb, time.time(), process)

    def _wait(self) -> None:
        """Sleep until a child ends, a signal comes, or it is time to look."""
        select.select([self._woken], [], [], max(0.0, self._next_look - time.monotonic()))
        try:
            while self._woken.recv(4096):
                pass
        except BlockingIOError:
            pass

    def _reap(self) -> None:
        for running in list(self._running.values()):
            if running.has_ended():
                del self._running[running.job.name]
                if running.process:
                    end_session(running.process.pid, grace_s=0)  # what it left in the background
                self._end(running)

    def _end(self, running: Running) -> None:
        job, code = running.job, running.exit_code()
        reason = "" if code == 0 else running.ended_for or ("lost" if code is None else "")
        again = self._scheduler.is_tried_again(job, exit_code=code, reason=reason)
        self._note(JobEnded(job=job.name, exit_code=code, reason=reason, again=again, peak_mb=round(running.peak_mb)))
        said = f"exit {code}" if code is not None else "no exit code"
        _say(
            f"{job.name} ended after {time.time() - running.started:.1f} s: {said}"
            + (f", {reason}" if reason else "")
            + (", will be tried again" if again else "")
        )
        if code is not None and code == job.abort_on_exit and not self._record.stopped:
            self._stop(aborted_by=job.name)

    def _stop(self, *, aborted_by: str = "") -> None:
        _say(f"{aborted_by} ends the run" if aborted_by else "cancelled")
        self._note(RunStopped(aborted_by=aborted_by))
        for running in self._running.values():
            self._end_early(running, "cancelled")

    def _look(self) -> None:
        """End what uses more than it may, and kill what was told to end long ago."""
        if not self._running:
            return
        sessions = sessions_in_use()
        for running in self._running.values():
            session = running.session
            use = sessions.get(session) if session is not None else None
            running.peak_mb = max(running.peak_mb, use.memory_mb if use else 0.0)
            walltime = running.job.walltime_s
            if running.ended_for:
                if use is not None and time.monotonic() > running.kill_at and session is not None:
                    signal_session(session, signal.SIGKILL)
            elif use is not None and running.memory_mb and use.memory_mb > running.memory_mb:
                self._end_early(running, "memory")
            elif walltime is not None and time.time() - running.started > walltime:
                self._end_early(running, "walltime")

    def _end_early(self, running: Running, reason: str) -> None:
        if not running.ended_for:
            running.ended_for, running.kill_at = reason, time.monotonic() + GRACE_S
            if running.session is not None:
                signal_session(running.session, signal.SIGTERM)

    def _note(self, event: Event) -> None:
        self._journal.append(event)
        self._record.apply(event)


def _say(text: str) -> None:
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}", flush=True)


def main(arguments: list[str]) -> int:
    """Run the run of a directory; return the exit code."""
    directory = Path(arguments[0])
    lock = LockFile(directory / LOCK_FILE)
    if not lock.acquire():
        _say("another runner has this run")
        return BUSY
    if "--detach" in arguments[1:]:
        if os.fork():
            os._exit(0)  # the child has the lock too, so the run is never without
        os.setsid()
    lock.name_holder(os.getpid())
    Runner(directory, restart="--restart" in arguments[1:]).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
