"""``LocalService``: BPS on one machine. ``wmsServiceClass: qserv_py.pipelines.workflow.local.LocalService`` chooses it.

The id of a run is its submit directory.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

from lsst.ctrl.bps import (
    BPS_DEFAULTS,
    BaseWmsService,
    BaseWmsWorkflow,
    BpsConfig,
    GenericWorkflow,
    WmsJobReport,
    WmsRunReport,
    WmsSpecificInfo,
    WmsStates,
)
from lsst.daf.butler import Config

from qserv_py.errors import NotFoundError, PipelineError, QservError
from qserv_py.pipelines.workflow.bps.generic import plan_of
from qserv_py.pipelines.workflow.bps.programs import program_variables
from qserv_py.pipelines.workflow.control import RunView, cancel, find_run, launch, look_at, look_at_all
from qserv_py.pipelines.workflow.plan import Job, JobKind, RunPlan
from qserv_py.pipelines.workflow.state import JobState

SERVICE = "qserv_py.pipelines.workflow.local.LocalService"
SECONDS_A_DAY = 86400
SHOWN_FAILURES = 5


class LocalWorkflow(BaseWmsWorkflow):  # type: ignore[misc]
    """A workflow that this machine shall run."""

    plan: RunPlan

    @classmethod
    def from_generic_workflow(
        cls, config: BpsConfig, generic_workflow: GenericWorkflow, out_prefix: str, service_class: str
    ) -> LocalWorkflow:
        """Return the workflow; nothing is written yet."""
        workflow = cls(generic_workflow.name, config)
        workflow.plan = plan_of(config, generic_workflow)
        workflow.service_class = service_class
        workflow.run_id = workflow.submit_path = str(Path(out_prefix).resolve())
        return workflow

    def write(self, out_prefix: str) -> None:
        """Write the plan of the run."""
        self.plan.save(Path(out_prefix))


class LocalService(BaseWmsService):  # type: ignore[misc]
    """Runs workflows on this machine, in processes that outlast the terminal."""

    @property
    def defaults(self) -> Config:
        """Settings that suit one machine; a user's file overrides them."""
        config = Config(
            {
                "computeSite": "local",
                "site": {"local": {"cores": len(os.sched_getaffinity(0))}},
                "clusterAlgorithm": "qserv_py.pipelines.workflow.clustering.cluster_by_work",
                "defaultPreCmdOpts": "--long-log --log-level=INFO",
                "numberOfRetries": 2,
                "finalJob": {"requestCpus": 1, "requestMemory": 4096, "numberOfRetries": 2},
            }
        )
        config.update(_commands_without_variables())
        return config

    def prepare(
        self, config: BpsConfig, generic_workflow: GenericWorkflow, out_prefix: str | None = None
    ) -> LocalWorkflow:
        """Write the plan of a workflow into its submit directory."""
        directory = out_prefix or str(config["submitPath"])
        workflow = LocalWorkflow.from_generic_workflow(config, generic_workflow, directory, SERVICE)
        workflow.write(directory)
        for file in Path(directory).glob("*.env.info.yaml"):
            file.chmod(0o600)  # BPS writes all variables there, passwords too
        return workflow

    def submit(self, workflow: LocalWorkflow, **kwargs: Any) -> LocalWorkflow:
        """Start the runner of a prepared run; it goes on after this program has ended."""
        launch(Path(workflow.submit_path))
        return workflow

    def restart(self, wms_workflow_id: str) -> tuple[str | None, str | None, str]:
        """Go on with a run: what succeeded stays, what still runs is waited for, all else runs."""
        try:
            directory = find_run(wms_workflow_id)
            launch(directory, restart=True)
        except QservError as error:
            return None, None, error.render()
        return str(directory), look_at(directory).plan.name, ""

    def get_status(
        self, wms_workflow_id: str | None = None, hist: float = 1, is_global: bool = False
    ) -> tuple[WmsStates, str]:
        """Return the state of a run, and what should be known beyond it."""
        try:
            view = look_at(find_run(wms_workflow_id))
        except QservError as error:
            return WmsStates.UNKNOWN, error.render()
        return WmsStates[view.state], view.message

    def report(
        self,
        wms_workflow_id: str | None = None,
        user: str | None = None,
        hist: float | None = None,
        pass_thru: str | None = None,
        is_global: bool = False,
        return_exit_codes: bool = False,
    ) -> tuple[list[WmsRunReport], str]:
        """Return reports of one run, or of those that run now or ended in the last ``hist`` days."""
        if wms_workflow_id is not None:
            try:
                view = look_at(find_run(wms_workflow_id))
            except NotFoundError:
                return [], ""
            except PipelineError as error:
                return [], error.render()
            return [_report(view)], view.message
        views, errors = look_at_all()
        since = time.time() - (hist or 0) * SECONDS_A_DAY
        shown = [
            view
            for view in views
            if (view.state == "RUNNING" or (hist and (view.record.ended or view.plan.created) > since))
            and user in (None, view.plan.operator)
        ]
        return [_report(view) for view in shown], "\n".join(error.render() for error in errors)

    def list_submitted_jobs(
        self,
        wms_id: str | None = None,
        user: str | None = None,
        require_bps: bool = True,
        pass_thru: str | None = None,
        is_global: bool = False,
    ) -> list[str]:
        """Return the ids of one run, or of those that run now."""
        if wms_id is not None:
            try:
                return [str(find_run(wms_id))]
            except NotFoundError:
                return []
        views, _ = look_at_all()
        return [str(view.directory) for view in views if view.state == "RUNNING" and user in (None, view.plan.operator)]

    def cancel(self, wms_id: str, pass_thru: str | None = None) -> tuple[bool, str]:
        """End a run and every process of it."""
        try:
            remark = cancel(Path(wms_id))
        except QservError as error:
            remark = error.render()
        return not remark, remark

    def run_submission_checks(self) -> None:
        """Refuse before a graph is built what could not run afterwards."""
        missing = [name for name in ("bash",) if shutil.which(name) is None]
        if missing:
            raise PipelineError(f"this machine has no {missing[0]}", hint="Jobs are run by bash; install it.")

    def ping(self, pass_thru: str | None = None) -> tuple[int, str]:
        """Return 0: there is no server to be reached."""
        return 0, ""


def _commands_without_variables() -> Config:
    """Return BPS's commands with the programs' place in them, for shells that do not name it.

    Rubin's stack sets a variable for each of its packages; an installation by pip has none, and BPS's defaults would
    call ``/bin/pipetask``.
    """
    missing = {f"${{{name}}}/": f"{place}/" for name, place in program_variables().items()}

    def rewritten(value: Any) -> Any:
        if isinstance(value, dict):
            inner = {name: rewritten(item) for name, item in value.items()}
            return {name: item for name, item in inner.items() if item is not None}
        if isinstance(value, str) and any(name in value for name in missing):
            for name, place in missing.items():
                value = value.replace(name, place)
            return value
        return None

    return Config(rewritten(BPS_DEFAULTS))


def _report(view: RunView) -> WmsRunReport:
    plan, record = view.plan, view.record
    shown = [job for job in plan.jobs if job.kind not in (JobKind.BARRIER, JobKind.TOLERANT)]
    jobs = [WmsJobReport(wms_id=job.name, name=job.name, label=job.label, state=_wms_state(view, job)) for job in shown]
    labels = Counter(job.label for job in shown)
    summary: dict[str, dict[WmsStates, int]] = {label: dict.fromkeys(WmsStates, 0) for label in labels}
    codes: dict[str, list[int]] = {label: [] for label in labels}
    for job, found in zip(shown, jobs, strict=True):
        summary[job.label][found.state] += 1
        code = record.jobs[job.name].exit_code
        if code:
            codes[job.label].append(code)
    counts = Counter(job.state for job in jobs)
    return WmsRunReport(
        wms_id=str(view.directory),
        global_wms_id=str(view.directory),
        path=str(view.directory),
        label="",
        run=plan.name,
        project=plan.project,
        campaign=plan.campaign,
        payload=plan.payload,
        operator=plan.operator,
        run_summary=";".join(f"{label}:{count}" for label, count in labels.items()),
        state=WmsStates[view.state],
        jobs=jobs,
        total_number_jobs=len(jobs),
        job_state_counts={state: counts[state] for state in WmsStates},
        job_summary=summary,
        exit_code_summary=codes,
        specific_info=_failures(view),
    )


def _wms_state(view: RunView, job: Job) -> WmsStates:
    record = view.record.jobs[job.name]
    waits = record.state is JobState.UNREADY and view.state == "RUNNING" and job.kind is not JobKind.FINAL
    if waits and all(view.record.jobs[parent].state is JobState.SUCCEEDED for parent in job.parents):
        return WmsStates.READY
    return WmsStates[record.state.value]


def _failures(view: RunView) -> WmsSpecificInfo:
    """Say which jobs failed, and where their logs are."""
    info = WmsSpecificInfo()
    failed = view.failed()
    for number, (job, _) in enumerate(failed[:SHOWN_FAILURES]):
        text = f"{job.name} failed, see {view.log_of(job)}: {view.why(job)}"
        info.add_message(f"{{failure_{number}}}", {f"failure_{number}": text})
    if len(failed) > SHOWN_FAILURES:
        info.add_message("... and {more_failures} more", {"more_failures": len(failed) - SHOWN_FAILURES})
    return info
