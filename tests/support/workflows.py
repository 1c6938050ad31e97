"""Runs of the local workflow service made of shell commands."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qserv_py.pipelines.workflow.control import RunView, look_at
from qserv_py.pipelines.workflow.plan import Job, JobKind, RunPlan
from qserv_py.pipelines.workflow.processes import LockFile
from qserv_py.pipelines.workflow.runner import LOCK_FILE

WAIT_S = 60.0
RUN_S = 600.0
"""For whole runs, also on a machine that does much else."""


def job(name: str, command: str = "true", *, after: tuple[str, ...] = (), **settings: Any) -> Job:
    """Return a job that runs a shell command after others."""
    return Job(name=name, label=name[0], command=command, directory=f"jobs/{name}", parents=after, **settings)


def final(command: str) -> Job:
    """Return a final job."""
    return job("final", command, kind=JobKind.FINAL)


def plan(*jobs: Job, cores: int = 4, memory_mb: int = 1000, directory: Path | None = None) -> RunPlan:
    """Return a plan of jobs."""
    return RunPlan(
        name="toy",
        jobs=jobs,
        cores=cores,
        memory_mb=memory_mb,
        host=socket.gethostname(),
        working_directory=str(directory or Path.cwd()),
        created=time.time(),
    )


def prepared(directory: Path, *jobs: Job, **settings: Any) -> Path:
    """Write the plan of a run whose jobs work in its directory; return the directory."""
    plan(*jobs, directory=directory, **settings).save(directory)
    return directory


def wait_for(condition: Callable[[], bool], what: str, *, seconds: float = WAIT_S) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def over(directory: Path) -> RunView:
    """Wait for the end of a run and of its runner; return how it ended."""
    wait_for(lambda: bool(look_at(directory).record.ended), "the end of the run", seconds=RUN_S)
    wait_for(lambda: not LockFile(directory / LOCK_FILE).is_held(), "the end of the runner")
    return look_at(directory)


def kill_runner(directory: Path) -> None:
    """Kill the runner of a run as the kernel does."""
    pid = LockFile(directory / LOCK_FILE).holder()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not LockFile(directory / LOCK_FILE).is_held(), "the death of the runner")


def states(view: RunView) -> dict[str, str]:
    """Return the state of each job."""
    return {name: record.state.value for name, record in view.record.jobs.items()}
