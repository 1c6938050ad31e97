"""Workflows of BPS as plans: commands, groups, limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lsst.ctrl.bps import (
    BpsConfig,
    GenericWorkflow,
    GenericWorkflowExec,
    GenericWorkflowFile,
    GenericWorkflowJob,
)

from qserv_py.errors import PipelineError
from qserv_py.pipelines.workflow.bps.generic import plan_of
from qserv_py.pipelines.workflow.plan import Job, JobKind, load_plan
from qserv_py.pipelines.workflow.submission import _graph_error, _kept_log


def gw_job(name: str, label: str = "label", **settings: Any) -> GenericWorkflowJob:
    given = {"arguments": f"--name {name}", "executable": GenericWorkflowExec("tool", "/bin/tool"), **settings}
    return GenericWorkflowJob(name, label, **given)


def planned(workflow: GenericWorkflow, **site: Any) -> dict[str, Job]:
    config = BpsConfig({"computeSite": "here", "site": {"here": site}, "outputRun": "u/run"})
    return {job.name: job for job in plan_of(config, workflow).jobs}


def of_one(job: GenericWorkflowJob) -> Job:
    workflow = GenericWorkflow("one")
    workflow.add_job(job)
    return planned(workflow)[job.name]


def test_places_in_a_command_are_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    workflow = GenericWorkflow("one")
    job = gw_job("a", arguments="run <FILE:graph> -n {node} <ENV:WHERE>", cmdvals={"node": "1,2"})
    workflow.add_job(job)
    workflow.add_job_inputs("a", [GenericWorkflowFile("graph", "<ENV:BASE>/g.qg")])
    assert planned(workflow)["a"].command == "/bin/tool run ${BASE}/g.qg -n 1,2 ${WHERE}"
    monkeypatch.setenv("BASE", "/data")
    assert of_one(gw_job("a", environment={"X": "<ENV:BASE>/x", "N": 3})).environment.items() >= {
        ("X", "/data/x"),
        ("N", "3"),
    }


def test_what_runs_before_and_after() -> None:
    made = of_one(gw_job("a", pre_cmdline="before", post_cmdline="after"))
    assert made.command == "before\n/bin/tool --name a\ncode=$?\nafter\nexit $code"


def test_limits_and_retries() -> None:
    made = of_one(
        gw_job(
            "a",
            request_cpus=3,
            request_memory=100,
            request_memory_max=800,
            memory_multiplier=2,
            number_of_retries=4,
            retry_unless_exit=[1, 2],
            request_walltime="2",
            abort_on_value=9,
            priority="5",
        )
    )
    assert (made.cores, made.memory_mb, made.memory_max_mb, made.memory_multiplier) == (3, 100, 800, 2.0)
    assert (made.retries, made.retry_unless_exit, made.walltime_s) == (4, (1, 2), 120.0)
    assert (made.abort_on_exit, made.priority) == (9, 5)
    assert of_one(gw_job("a", retry_unless_exit=7)).retry_unless_exit == (7,)


@pytest.mark.parametrize(("site", "name"), [({"cores": 0}, "cores"), ({"cores": 2, "memory": "much"}, "memory")])
def test_wrong_numbers_of_a_site_are_told(site: dict[str, Any], name: str) -> None:
    workflow = GenericWorkflow("one")
    workflow.add_job(gw_job("a"))
    with pytest.raises(PipelineError, match=f'{name} of site "here" is'):
        planned(workflow, **site)


def test_a_wrong_walltime_is_told() -> None:
    with pytest.raises(PipelineError, match='requestWalltime of "label" is "long"'):
        of_one(gw_job("a", request_walltime="long"))


def two_nights() -> GenericWorkflow:
    """Images of two nights, and a sum of each night."""
    workflow = GenericWorkflow("nights")
    for night in (1, 2):
        for visit in "ab":
            workflow.add_job(gw_job(f"image{night}{visit}", "image", tags={"night": night}))
        workflow.add_job(gw_job(f"sum{night}", "sum", tags={"night": night}), [f"image{night}a", f"image{night}b"])
    workflow.add_job(gw_job("all"), ["sum1", "sum2"])
    return workflow


@pytest.mark.parametrize(("blocking", "kind"), [(True, JobKind.BARRIER), (False, JobKind.TOLERANT)])
def test_groups_follow_each_other(blocking: bool, kind: JobKind) -> None:
    workflow = two_nights()
    workflow.add_special_job_ordering(
        {"nights": {"labels": "image,sum", "dimensions": "night", "blocking": blocking, "implementation": "group"}}
    )
    jobs = planned(workflow)
    assert [name for name, job in jobs.items() if job.kind is kind] == ["group_nights_1", "group_nights_2"]
    assert {*jobs["group_nights_1"].parents} == {"image1a", "image1b", "sum1"}
    assert jobs["image2a"].parents == ("group_nights_1",)
    assert {*jobs["sum2"].parents} == {"image2a", "image2b", "group_nights_1"}
    assert "group_nights_2" in jobs["all"].parents
    places = {name: place for place, name in enumerate(jobs)}
    assert all(places[parent] < places[name] for name, job in jobs.items() for parent in job.parents)


def test_jobs_without_work_are_barriers() -> None:
    workflow = two_nights()
    workflow.add_special_job_ordering(
        {"nights": {"labels": "image,sum", "dimensions": "night", "implementation": "noop"}}
    )
    jobs = planned(workflow)
    assert jobs["noop_nights_1"].kind is JobKind.BARRIER
    assert jobs["noop_nights_1"].parents == ("sum1",)
    assert "noop_nights_1" in jobs["image2a"].parents


def test_a_plan_is_read_as_it_was_written(tmp_path: Any) -> None:
    workflow = two_nights()
    workflow.add_final(gw_job("finalJob"))
    config = BpsConfig({"computeSite": "here", "site": {"here": {"cores": 2, "memory": 100}}, "outputRun": "u/run"})
    plan = plan_of(config, workflow)
    plan.save(tmp_path)
    assert load_plan(tmp_path) == plan
    assert plan.jobs[-1].kind is JobKind.FINAL
    assert len({job.directory for job in plan.jobs}) == len(plan.jobs)


def test_what_a_graph_says_is_said_without_the_names_of_classes(tmp_path: Path) -> None:
    said = "lsst.daf.butler._exceptions.InvalidQueryError: Unrecognized identifier 'visti'."
    log = tmp_path / "graph.log"
    log.write_text(f"INFO begin\nTraceback\n{said}\n")
    error = _graph_error(log)
    assert error.detail == "Unrecognized identifier 'visti'."
    assert str(log) in error.hint


def test_a_try_without_a_graph_leaves_its_log_alone(tmp_path: Path) -> None:
    for number in range(2):
        run = tmp_path / f"u/me/drp/{number}"
        (run / "input").mkdir(parents=True)
        (run / "quantumGraphGeneration.out").write_text(f"try {number}")
        assert _kept_log(run, tmp_path) == tmp_path / "graph-failed.log"
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["graph-failed.log"]
    assert (tmp_path / "graph-failed.log").read_text() == "try 1"
    for other in ("u/me/drp/2", "u/me/drp/3"):
        (tmp_path / other).mkdir(parents=True)
    _kept_log(tmp_path / "u/me/drp/3", tmp_path)
    assert (tmp_path / "u/me/drp/2").is_dir(), "another run's stays"
