"""What users do with a run: look at it, start it, cancel it, start it again. None of it needs Rubin's packages."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from qserv_py.config import state_directory
from qserv_py.errors import NotFoundError, PipelineError
from qserv_py.pipelines.workflow.attempts import Attempt
from qserv_py.pipelines.workflow.journal import JobEnded, Journal, RunEnded, RunStopped, read_journal
from qserv_py.pipelines.workflow.logs import first_failure, quanta_executed
from qserv_py.pipelines.workflow.plan import PLAN_FILE, Job, RunPlan, load_plan
from qserv_py.pipelines.workflow.processes import LockFile, end_session, signal_holder
from qserv_py.pipelines.workflow.runner import GRACE_S, LOCK_FILE, LOG_FILE
from qserv_py.pipelines.workflow.state import JobRecord, JobState, RunRecord, record_of

START_S = 30.0
"""Seconds within which a runner must have begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """How a run is now, as far as one can see from here."""

    directory: Path
    plan: RunPlan
    record: RunRecord
    state: str
    """A state of BPS: UNREADY, RUNNING, SUCCEEDED, FAILED, DELETED or UNKNOWN."""

    message: str = ""
    """What a user should know beyond the state; empty when there is nothing."""

    def failed(self) -> list[tuple[Job, JobRecord]]:
        """Return the jobs that failed themselves, in the order of the plan."""
        jobs = ((job, self.record.jobs[job.name]) for job in self.plan.jobs)
        return [(job, record) for job, record in jobs if record.state is JobState.FAILED]

    def log_of(self, job: Job) -> Path:
        """Return the log of the last attempt at a job."""
        return Attempt(self.directory / job.directory, self.record.jobs[job.name].attempt).log

    def quanta_of(self, job: Job) -> tuple[int, int]:
        """Return how many quanta of a job are done, and how many it has."""
        total, record = sum(job.quanta.values()), self.record.jobs[job.name]
        if record.state is JobState.SUCCEEDED:
            return total, total
        return min(total, quanta_executed(self.log_of(job))) if total and record.attempt else 0, total

    def quanta(self) -> tuple[int, int]:
        """Return how many quanta of the run are done, and how many there are."""
        counts = [self.quanta_of(job) for job in self.plan.jobs]
        return sum(done for done, _ in counts), sum(total for _, total in counts)

    def progress(self) -> dict[str, tuple[int, int]]:
        """Return how many quanta are done and how many there are, for each kind of job that has begun."""
        found: dict[str, tuple[int, int]] = {}
        begun = {job.label for job in self.plan.jobs if job.quanta and self.record.jobs[job.name].attempt}
        for job in self.plan.jobs:
            if job.label in begun:
                done, total = self.quanta_of(job)
                so_far = found.get(job.label, (0, 0))
                found[job.label] = (so_far[0] + done, so_far[1] + total)
        return found

    def why(self, job: Job) -> str:
        """Return why a job failed, in a line."""
        record = self.record.jobs[job.name]
        return first_failure(self.log_of(job)) or record.reason or f"exit {record.exit_code}"


def look_at(directory: Path, *, plan: RunPlan | None = None) -> RunView:
    """Return how a run is.

    Parameters
    ----------
    directory
        Of the run.
    plan
        Its plan, when it was read before; it does not change.

    Raises
    ------
    NotFoundError
        If the directory holds no run.
    PipelineError
        If its files are damaged.
    """
    plan = plan or load_plan(directory)
    lock = LockFile(directory / LOCK_FILE)
    # Before the journal is read: a runner that ends in between has written its last event by then.
    has_runner = lock.is_held()
    record = record_of(plan, read_journal(directory))
    if record.runner is None:
        state, message = ("RUNNING", "") if has_runner else ("UNREADY", "The run was prepared, not submitted.")
    elif record.ended:
        state, message = _final_state(record), ""
    elif plan.host != socket.gethostname():
        state, message = "UNKNOWN", f'The run belongs to the machine "{plan.host}"; ask there.'
    elif has_runner:
        state, message = "RUNNING", ""
    else:
        state, message = "FAILED", _settle(directory, plan, record)
    return RunView(directory=directory, plan=plan, record=record, state=state, message=message)


def _final_state(record: RunRecord) -> str:
    if record.cancelled:
        return "DELETED"
    return "SUCCEEDED" if record.counts[JobState.SUCCEEDED] == len(record.jobs) else "FAILED"


def _settle(directory: Path, plan: RunPlan, record: RunRecord) -> str:
    """Say what became of the jobs of a dead runner, in the record and in words."""
    alive = 0
    for job, attempt in _started(directory, plan, record):
        if attempt.lock.is_held():
            alive += 1
        else:
            code = attempt.exit_code()
            record.apply(JobEnded(job=job.name, exit_code=code, reason="lost" if code is None else ""))
    still = f"; {alive} of its jobs still run" if alive else ""
    return f"The runner died before the run was over{still}. A restart goes on from here."


def _started(directory: Path, plan: RunPlan, record: RunRecord) -> list[tuple[Job, Attempt]]:
    return [
        (job, Attempt(directory / job.directory, record.jobs[job.name].attempt))
        for job in plan.jobs
        if record.jobs[job.name].state is JobState.RUNNING
    ]


def launch(directory: Path, *, restart: bool = False) -> None:
    """Start the runner of a run, and return when it has begun.

    Raises
    ------
    PipelineError
        If the run has a runner already, if its graph is of an earlier version, or if the runner does not begin.
    """
    plan = load_plan(directory)
    plan.check_names(directory)
    if plan.host != socket.gethostname():
        raise PipelineError(f'the run in {directory} belongs to the machine "{plan.host}"', hint="Start it there.")
    known = len(read_journal(directory))
    if LockFile(directory / LOCK_FILE).is_held():
        raise PipelineError(f"the run in {directory} is running", hint="Cancel it first, or wait for its end.")
    options = ["--detach", *["--restart"] * restart]
    with open(directory / LOG_FILE, "ab") as log:
        subprocess.run(
            [sys.executable, "-m", "qserv_py.pipelines.workflow.runner", directory, *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    remember(directory)
    lock = LockFile(directory / LOCK_FILE)
    deadline = time.monotonic() + START_S
    while len(read_journal(directory)) == known:
        is_dead = not lock.is_held() and len(read_journal(directory)) == known
        if is_dead or time.monotonic() > deadline:
            raise PipelineError(f"the runner of {directory} did not begin", hint=f"{directory / LOG_FILE} says more.")
        time.sleep(0.02)


def cancel(directory: Path) -> str:
    """End a run and every process of it; return a remark, empty when all is ended.

    Raises
    ------
    NotFoundError
        If the directory holds no run.
    """
    plan = load_plan(directory)
    lock = LockFile(directory / LOCK_FILE)
    if plan.host != socket.gethostname():
        return f'the run belongs to the machine "{plan.host}"; cancel it there'
    deadline = time.monotonic() + GRACE_S + 5
    asked = signal_holder(lock, signal.SIGTERM)
    while lock.is_held():
        if time.monotonic() > deadline:  # it hangs; its jobs are ours to end then
            signal_holder(lock, signal.SIGKILL)
        time.sleep(0.05)
    if asked and record_of(plan, read_journal(directory)).ended:
        return ""
    return _end_without_runner(directory, plan, lock)


def _end_without_runner(directory: Path, plan: RunPlan, lock: LockFile) -> str:
    if not lock.acquire():
        return "another runner has just taken the run over"
    try:
        lock.name_holder(os.getpid())
        record = record_of(plan, read_journal(directory))
        if record.ended:
            return "the run was over already"
        journal = Journal(directory)
        journal.append(RunStopped())
        for job, attempt in _started(directory, plan, record):
            holder = attempt.lock.holder()
            if holder is not None:
                end_session(holder, grace_s=GRACE_S)
            code = attempt.exit_code()
            journal.append(JobEnded(job=job.name, exit_code=code, reason="" if code == 0 else "cancelled"))
        journal.append(RunEnded())
        journal.close()
        return ""
    finally:
        lock.release()


def remember(directory: Path) -> None:
    """Note a run, so that lists of runs have it."""
    index = state_directory() / "runs"
    index.mkdir(parents=True, exist_ok=True)
    path = str(directory.resolve())
    (index / hashlib.sha256(path.encode()).hexdigest()[:16]).write_text(path + "\n")


def known_runs() -> list[Path]:
    """Return the directories of the runs of this account that still exist, the newest last."""
    index = state_directory() / "runs"
    entries = sorted(index.iterdir(), key=lambda entry: entry.stat().st_mtime) if index.is_dir() else []
    runs = [Path(entry.read_text().rstrip("\n")) for entry in entries]
    return [run for run in runs if (run / PLAN_FILE).exists()]


def look_at_all() -> tuple[list[RunView], list[PipelineError]]:
    """Return how the runs of this account are, the newest last, and what is wrong with those that cannot be read."""
    views, errors = [], []
    for run in known_runs():
        try:
            views.append(look_at(run))
        except PipelineError as error:
            errors.append(error)
    return views, errors


def find_run(name: str | None) -> Path:
    """Return the directory of a run.

    Parameters
    ----------
    name
        The directory, or the end of its path; None for the newest run of this account.

    Raises
    ------
    NotFoundError
        If there is no such run, or several.
    """
    if name is not None and (Path(name) / PLAN_FILE).exists():
        return Path(name).resolve()
    runs = known_runs()
    if name is None:
        if not runs:
            raise NotFoundError("this account has no runs", hint="`qserv pipeline submit` makes one.")
        return runs[-1]
    found = [run for run in runs if str(run).endswith(f"/{name}")]
    if len(found) != 1:
        what = f"{len(found)} runs end" if found else "no run ends"
        raise NotFoundError(
            f'{what} with "{name}"',
            hint="`qserv pipeline report` lists the runs of this account; `qserv pipeline show` looks at a repository.",
        )
    return found[0]
