"""One attempt at a job: its script, its processes, its log and its exit code on disk.

A small bash leads each attempt in a session of its own. It outlives a killed runner, and leaves the exit code in a
file; so a runner that comes later knows how the attempt ended, or by its lock that it still runs.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from qserv_py.pipelines.workflow.plan import Job
from qserv_py.pipelines.workflow.processes import LockFile

# $1 script, $2 file for the exit code, $3 descriptor of the lock. The script inherits the lock too: as long as one of
# its processes lives, the job does.
_LEADER = 'echo $$ >&"$3"; bash "$1"; code=$?; echo "$code" > "$2.tmp"; mv "$2.tmp" "$2"; exit "$code"'


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a job of a run."""

    directory: Path
    """Of the job."""

    number: int

    @property
    def script(self) -> Path:
        """What bash runs; a user may run it by hand."""
        return self.directory / f"{self.number}.sh"

    @property
    def log(self) -> Path:
        """What it printed."""
        return self.directory / f"{self.number}.log"

    @property
    def lock(self) -> LockFile:
        """Held while a process of the attempt lives; one file for all attempts, so that two cannot run at once."""
        return LockFile(self.directory / "lock")

    def exit_code(self) -> int | None:
        """Return the exit code that the attempt left; None when it left none, as when it was killed."""
        try:
            return int((self.directory / f"{self.number}.exit").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def start(self, job: Job, environment: Mapping[str, str], working_directory: str) -> subprocess.Popen[bytes] | None:
        """Start it; return the process that leads it, or None when another attempt at the job still runs."""
        self.directory.mkdir(parents=True, exist_ok=True)
        lock = self.lock
        if not lock.acquire():
            return None
        try:
            lock.name_holder(0)
            self.script.write_text(_script_text(job, working_directory))
            exit_file = self.directory / f"{self.number}.exit"
            with open(self.log, "ab") as log:
                return subprocess.Popen(
                    ["/bin/bash", "-c", _LEADER, "qserv-job", self.script, exit_file, str(lock.descriptor)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self.directory,
                    env={**environment, **_thread_limits(job, environment), **job.environment},
                    pass_fds=(lock.descriptor,),
                    start_new_session=True,
                )
        finally:
            lock.release()


def _script_text(job: Job, working_directory: str) -> str:
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in job.environment.items())
    place = f"cd {shlex.quote(working_directory)} || exit 1"
    return f"#!/bin/bash\n# {job.name} ({job.label})\n{place}\n{exports}{job.command}\n"


def _thread_limits(job: Job, environment: Mapping[str, str]) -> dict[str, str]:
    """Keep the thread pools of numerical libraries to the cores that the job asked for."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    return {name: str(job.cores) for name in names if name not in environment}
