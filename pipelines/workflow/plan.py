"""What a run shall do: its jobs, their order, what each may use. Written once, when the run is prepared."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from qserv_py.errors import NotFoundError, PipelineError
from qserv_py.whole_file import whole_file

PLAN_FILE = "workflow.json"
LAYOUT_VERSION = 1

DATASET_NAMES = 2
"""Counts the changes of names of dataset types; a graph has those of its time."""

_TASKS_RENAMED = frozenset({"calibrateImage", "photometricFit", "astrometricFit", "transformSourceTable"})
"""Tasks of ours that read or write a type which was called otherwise before."""


class JobKind(Enum):
    """What a node of the workflow is."""

    PAYLOAD = "payload"
    FINAL = "final"
    """Runs after all others, whatever became of them."""
    BARRIER = "barrier"
    """Runs nothing; succeeds when its parents have."""
    TOLERANT = "tolerant"
    """A barrier that succeeds when its parents have ended, in whatever way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job: a command and what it may use."""

    name: str
    label: str
    """What jobs of its kind are called in reports."""

    kind: JobKind = JobKind.PAYLOAD
    command: str = ""
    """Text for bash; it may name variables of the environment."""

    directory: str = ""
    """Where its script, logs and exit codes go, below the run's directory."""

    parents: tuple[str, ...] = ()
    cores: int = 1
    memory_mb: int = 0
    """Megabytes that it is expected to need; 0 when nobody said."""

    memory_max_mb: int | None = None
    memory_multiplier: float = 1.0
    """What its memory is multiplied with after an attempt that needed more."""

    retries: int = 0
    retry_unless_exit: tuple[int, ...] = ()
    abort_on_exit: int | None = None
    """Exit code that ends the whole run."""

    walltime_s: float | None = None
    priority: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    quanta: Mapping[str, int] = field(default_factory=dict)
    """Quanta by task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """A run: its jobs, each after its parents, and what it may use of the machine."""

    name: str
    jobs: tuple[Job, ...]
    cores: int
    memory_mb: int
    host: str
    """Machine that it was prepared on; processes can be watched there only."""

    working_directory: str
    """Where its jobs run: relative paths in their commands mean what they meant when the run was prepared."""

    project: str = ""
    campaign: str = ""
    payload: str = ""
    operator: str = ""
    output_run: str = ""
    created: float = 0.0
    """Seconds since 1970."""

    dataset_names: int = 1
    """Which names of dataset types its graph has; before they were counted, the first."""

    def check_names(self, directory: Path) -> None:
        """Raise PipelineError if its graph has dataset types that tasks do not know under these names any more."""
        tasks = {task for job in self.jobs for task in job.quanta}
        if self.dataset_names < DATASET_NAMES and tasks & _TASKS_RENAMED:
            raise PipelineError(
                f"the graph of the run in {directory} has the names that an earlier version gave to dataset types",
                hint="`qserv pipeline run` with the same pipeline, input and output begins it anew.",
            )

    def save(self, directory: Path) -> None:
        """Write the plan, whole or not at all."""
        text = {"version": LAYOUT_VERSION, **asdict(self)}
        for job in text["jobs"]:
            job["kind"] = job["kind"].value
        with whole_file(directory / PLAN_FILE) as file:
            file.write(json.dumps(text, indent=1).encode())
            file.flush()
            os.fsync(file.fileno())


def load_plan(directory: Path) -> RunPlan:
    """Read the plan of a run.

    Raises
    ------
    NotFoundError
        If the directory holds no run.
    PipelineError
        If its plan cannot be read.
    """
    path = directory / PLAN_FILE
    try:
        text = json.loads(path.read_text())
        if text.pop("version") != LAYOUT_VERSION:
            raise PipelineError(f"{path} was written by another version of qserv_py")
        return RunPlan(**{**text, "jobs": tuple(_job(job) for job in text["jobs"])})
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(
            f"there is no run of the local workflow service in {directory}",
            hint="`qserv pipeline report` lists the runs of this account; a run is named by its submit directory.",
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PipelineError(f"{path} cannot be read: {error}") from error


def _job(text: dict[str, Any]) -> Job:
    lists = {name: tuple(text[name]) for name in ("parents", "retry_unless_exit")}
    return Job(**{**text, **lists, "kind": JobKind(text["kind"])})
