"""A workflow of BPS as a plan of ours."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from qserv_py.errors import PipelineError
from qserv_py.pipelines.workflow.bps.site import site_number
from qserv_py.pipelines.workflow.plan import DATASET_NAMES, Job, JobKind, RunPlan

if TYPE_CHECKING:
    from lsst.ctrl.bps import BpsConfig, GenericWorkflow, GenericWorkflowJob

KEPT_VARIABLES = ("PYTHONPATH", "CTRL_MPEXEC_DIR", "DAF_BUTLER_DIR")
"""Variables that jobs get as they were when the run was prepared, so that a restart from any shell does the same."""

_FILE = re.compile(r"<FILE:([^>]+)>")
_VARIABLE = re.compile(r"<ENV:([^>]+)>")


def plan_of(config: BpsConfig, workflow: GenericWorkflow) -> RunPlan:
    """Return the plan of a workflow.

    Raises
    ------
    PipelineError
        If the workflow or the site's settings ask for something that one machine cannot do.
    """
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    jobs = list(_jobs(workflow, kept))
    final = workflow.get_final()
    if final is not None:
        if not hasattr(final, "arguments"):
            raise PipelineError("a workflow as final step is not supported", hint="Make the final step one job.")
        jobs.append(_payload(final, workflow, kept, parents=(), kind=JobKind.FINAL))
    attributes = {name: str(workflow.run_attrs.get(f"bps_{name}", "")) for name in _ATTRIBUTES}
    return RunPlan(
        name=workflow.name,
        jobs=_with_directories(jobs),
        cores=site_number(config, "cores", len(os.sched_getaffinity(0))),
        memory_mb=site_number(config, "memory", _machine_memory_mb()),
        host=socket.gethostname(),
        working_directory=os.getcwd(),
        output_run=str(config.get("outputRun")),
        created=time.time(),
        dataset_names=DATASET_NAMES,
        **attributes,
    )


_ATTRIBUTES = ("project", "campaign", "payload", "operator")


def _jobs(workflow: GenericWorkflow, kept: Mapping[str, str]) -> list[Job]:
    """Return the jobs of a workflow, each after its parents; a group is its jobs and a barrier behind them."""
    from lsst.ctrl.bps import GenericWorkflowNodeType

    jobs = []
    for name in workflow:
        node, parents = workflow.get_job(name), tuple(sorted(workflow.predecessors(name)))
        match node.node_type:
            case GenericWorkflowNodeType.PAYLOAD:
                jobs.append(_payload(node, workflow, kept, parents=parents))
            case GenericWorkflowNodeType.NOOP:
                jobs.append(Job(name=name, label=node.label, kind=JobKind.BARRIER, parents=parents))
            case _:
                inside = [
                    _payload(node.get_job(inner), node, kept, parents=(*node.predecessors(inner), *parents))
                    for inner in node
                ]
                kind = JobKind.BARRIER if node.blocking else JobKind.TOLERANT
                names = tuple(job.name for job in inside)
                jobs += [*inside, Job(name=name, label=node.label, kind=kind, parents=names)]
    return jobs


def _payload(
    job: GenericWorkflowJob,
    workflow: GenericWorkflow,
    kept: Mapping[str, str],
    *,
    parents: tuple[str, ...],
    kind: JobKind = JobKind.PAYLOAD,
) -> Job:
    unless = job.retry_unless_exit
    command = _command(job, workflow)
    environment = {name: _shell(str(value)) for name, value in job.environment.items()}
    return Job(
        name=job.name,
        label=job.label,
        kind=kind,
        command="\n".join(part for part in (job.pre_cmdline, _with_post(command, job.post_cmdline)) if part),
        parents=parents,
        cores=int(job.request_cpus or 1),
        memory_mb=int(job.request_memory or 0),
        memory_max_mb=int(job.request_memory_max) if job.request_memory_max else None,
        memory_multiplier=float(job.memory_multiplier or 1.0),
        retries=int(job.number_of_retries or 0),
        retry_unless_exit=tuple(unless) if isinstance(unless, list) else () if unless is None else (int(unless),),
        abort_on_exit=job.abort_on_value,
        walltime_s=_walltime_s(job),
        priority=int(job.priority or 0),
        environment={**kept, **{name: os.path.expandvars(value) for name, value in environment.items()}},
        quanta=dict(job.quanta_counts),
    )


def _command(job: GenericWorkflowJob, workflow: GenericWorkflow) -> str:
    """Return a job's command as bash reads it."""
    text = f"{job.executable.src_uri} {job.arguments or ''}".strip()
    if job.cmdvals:
        text = text.format(**job.cmdvals)
    files = {file.name: file.src_uri for file in workflow.get_job_inputs(job.name)}
    before = ""
    while text != before:  # the value of one name may hold another
        before = text
        text = _shell(_FILE.sub(lambda match: str(files[match[1]]), text))
    return text


def _shell(text: str) -> str:
    return _VARIABLE.sub(r"${\1}", text)


def _with_post(command: str, post: str | None) -> str:
    """Add what runs after a command however that ended; the command's exit code stays the job's."""
    return f"{command}\ncode=$?\n{post}\nexit $code" if post else command


def _walltime_s(job: GenericWorkflowJob) -> float | None:
    """Return the limit in seconds; BPS gives minutes."""
    if not job.request_walltime:
        return None
    try:
        return float(job.request_walltime) * 60
    except ValueError:
        raise PipelineError(
            f'requestWalltime of "{job.label}" is "{job.request_walltime}"', hint="Give a number of minutes."
        ) from None


def _with_directories(jobs: list[Job]) -> tuple[Job, ...]:
    """Give each job a directory of its own, named so that a user finds it."""
    from dataclasses import replace

    taken: set[str] = set()
    placed = []
    for job in jobs:
        wanted = "/".join(
            ("jobs", *(re.sub(r"[^\w.+=-]", "_", part)[:120].lstrip(".") for part in (job.label, job.name)))
        )
        directory = next(
            name for number in range(len(jobs) + 1) if (name := f"{wanted}~{number}" if number else wanted) not in taken
        )
        taken.add(directory)
        placed.append(replace(job, directory=directory))
    return tuple(placed)


def _machine_memory_mb() -> int:
    """Return what jobs may use of this machine's memory: nine tenths of it."""
    return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20 * 0.9)
