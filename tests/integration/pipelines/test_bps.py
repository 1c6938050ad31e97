"""Pipelines under BPS: our local service from submission to restart, and the other services as far as they go here."""

from __future__ import annotations

import io
import os
import shlex
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from lsst.daf.butler import Butler
from support.processes import python_path
from support.toy_pipeline import INPUT, make_repository, write_pipeline
from support.workflows import kill_runner, over, states, wait_for

from qserv_py.cli.main import run as qserv
from qserv_py.errors import NotFoundError, PipelineError, UserError
from qserv_py.pipelines.workflow.attempts import Attempt
from qserv_py.pipelines.workflow.control import launch, look_at
from qserv_py.pipelines.workflow.overrides import parse_override
from qserv_py.pipelines.workflow.submission import Submission, bps_text, steps_of, submit

TESTS = Path(__file__).parents[2]
VISITS, DETECTORS = 2, 2
QUANTA = VISITS * DETECTORS * 2 + VISITS + 1
ALL = "instrument = 'ToyCam' AND visit.name != 'it\"s {odd}'"


@dataclass(frozen=True)
class Place:
    """A directory with a repository."""

    directory: Path

    @property
    def repository(self) -> Path:
        return self.directory / "repo"

    def submission(self, name: str, **settings: Any) -> Submission:
        """Return a submission of a toy pipeline; it writes to the ledger of its name."""
        trouble = settings.pop("trouble", {})
        pipeline = write_pipeline(self.directory / f"{name}.yaml", ledger=str(self.ledger(name)), **trouble)
        given = {"cores": 1, "inputs": (INPUT,), "where": ALL, **settings}
        return Submission(
            repository=str(self.repository),
            pipeline=str(pipeline),
            output=f"u/{name}",
            submit_directory=self.directory / "submit",
            **given,
        )

    def ledger(self, name: str) -> Path:
        return self.directory / f"{name}.ledger"

    def quanta(self, name: str) -> Counter[str]:
        """Return how often each quantum ran."""
        ledger = self.ledger(name)
        return Counter(ledger.read_text().splitlines()) if ledger.exists() else Counter()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    directory = tmp_path_factory.mktemp("bps")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(directory / "state"))
        patch.setenv("PYTHONPATH", python_path(TESTS))
        for name in ("CTRL_MPEXEC_DIR", "DAF_BUTLER_DIR", "BPS_WMS_SERVICE_CLASS"):
            patch.delenv(name, raising=False)
        make_repository(directory / "repo", visits=VISITS, detectors=DETECTORS)
        yield Place(directory)


@pytest.fixture(scope="module")
def uninterrupted(place: Place) -> Path:
    """A run that nothing happened to."""
    run = submit(place.submission("plain"))
    assert over(run).state == "SUCCEEDED"
    return run


def datasets(repository: Path, collection: str) -> dict[tuple[str, str], Any]:
    """Return what a collection holds, by dataset type and data id."""
    with Butler.from_config(str(repository)) as butler:
        refs = [
            ref
            for kind in ("toy_image", "toy_source_detector", "toy_source", "toy_total")
            for ref in butler.registry.queryDatasets(kind, collections=collection, findFirst=False)
        ]
        found = {(ref.datasetType.name, str(ref.dataId)): plain(butler.get(ref)) for ref in refs}
        assert len(found) == len(refs), "no dataset is there twice"
        return found


def plain(value: Any) -> Any:
    return value if isinstance(value, dict) else {name: list(value[name]) for name in value.colnames}


def test_a_run_makes_its_datasets(place: Place, uninterrupted: Path) -> None:
    found = datasets(place.repository, "u/plain")
    kinds = Counter(kind for kind, _ in found)
    assert kinds == {"toy_image": 4, "toy_source_detector": 4, "toy_source": 2, "toy_total": 1}
    assert next(value for (kind, _), value in found.items() if kind == "toy_total") == {"sum": 198.0, "rows": 4}
    view = look_at(uninterrupted)
    assert view.quanta() == (QUANTA, QUANTA)
    assert [job.label for job in view.plan.jobs] == ["pipetaskInit", "toyIsr-toyVisit", "toyNight", "finalJob"]
    assert set(place.quanta("plain").values()) == {1}
    [variables] = uninterrupted.glob("*.env.info.yaml")
    assert variables.stat().st_mode & 0o77 == 0, "BPS writes passwords of the environment there"


def test_bps_reports_a_run(uninterrupted: Path) -> None:
    from lsst.ctrl.bps import WmsStates
    from lsst.ctrl.bps.report import display_report, retrieve_report

    from qserv_py.pipelines.workflow.local import SERVICE, LocalService

    service = LocalService({})
    assert service.get_status(str(uninterrupted)) == (WmsStates.SUCCEEDED, "")
    assert service.ping() == (0, "")
    assert service.list_submitted_jobs() == [], "it does not run any more"
    assert service.list_submitted_jobs(wms_id=str(uninterrupted)) == [str(uninterrupted)]
    out = io.StringIO()
    runs, messages = retrieve_report(SERVICE, run_id=str(uninterrupted), return_exit_codes=True)
    display_report(runs, messages, is_detailed=True, return_exit_codes=True, file=out)
    assert "toyIsr-toyVisit" in out.getvalue()
    assert "SUCCEEDED" in out.getvalue()
    assert [run.path for run in retrieve_report(SERVICE, hist=1)[0]] == [str(uninterrupted)]
    assert retrieve_report(SERVICE)[0] == []
    assert retrieve_report(SERVICE, run_id="nothing")[0] == []
    assert service.get_status("nothing")[0] is WmsStates.UNKNOWN
    assert service.cancel(str(uninterrupted)) == (False, "the run was over already")


def test_a_killed_run_restarted_makes_the_same_datasets(place: Place, uninterrupted: Path) -> None:
    run = submit(place.submission("killed", trouble={"seconds": 0.6}))
    wait_for(lambda: place.quanta("killed").total() >= 3, "the third quantum")
    kill_runner(run)
    view = look_at(run)
    [job] = [job for job in view.plan.jobs if view.record.jobs[job.name].state.value == "RUNNING"]
    assert job.label == "toyIsr-toyVisit"
    lock = Attempt(run / job.directory, 1).lock
    leader = lock.holder()
    assert leader is not None
    os.killpg(leader, signal.SIGKILL)
    wait_for(lambda: not lock.is_held(), "the end of the job")
    view = look_at(run)
    assert (view.state, states(view)[job.name], view.message[:15]) == ("FAILED", "FAILED", "The runner died")
    launch(run, restart=True)
    assert over(run).state == "SUCCEEDED"
    assert datasets(place.repository, "u/killed") == datasets(place.repository, "u/plain")
    ran = place.quanta("killed")
    assert len(ran) == VISITS * DETECTORS * 2
    assert ran.total() == len(ran) + 1, "only the quantum that was killed ran twice"


def test_wrong_requests_are_told(place: Place, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match='there is no pipeline "nothing"'):
        submit(Submission(repository=str(place.repository), pipeline="nothing", inputs=(INPUT,)))
    with pytest.raises(NotFoundError, match="there is no Butler repository"):
        submit(replace(place.submission("wrong"), repository=str(tmp_path / "no")))
    assert steps_of(place.submission("wrong").pipeline) == ("single", "together")
    broken = tmp_path / "broken.yaml"
    broken.write_text("tasks: [")
    with pytest.raises(UserError, match="cannot be read"):
        steps_of(str(broken))
    for settings in ({"inputs": ("a; rm -rf /",)}, {"where": "visit = $HOME"}):
        with pytest.raises(UserError, match="BPS cannot take"):
            submit(place.submission("wrong", **settings))


@pytest.mark.parametrize(
    ("site", "machines"),
    [("local", "local"), ("parsl", "local"), ("slurm", "slurm"), ("htcondor", "condor"), ("panda", "panda")],
)
def test_cores_reach_the_machines_of_each_template(place: Place, site: str, machines: str) -> None:
    from lsst.ctrl.bps import BpsConfig

    file = place.directory / f"text-{site}.yaml"
    file.write_text(bps_text(place.submission("texts", site=site, cores=7, quanta_per_job=3)))
    config = BpsConfig(str(file))
    assert config["computeSite"] == machines
    assert config.search("cores", {"curvals": {"curr_site": machines}}) == (True, 7)
    assert config["clusterQuanta"] == 3


def test_a_condition_comes_through_bps_as_it_was_given(place: Place) -> None:
    from lsst.ctrl.bps import BPS_DEFAULTS, BpsConfig

    where = "instrument = 'ToyCam' AND visit.name != 'a \"b\" {c} \\d'"
    settings = ('toyIsr:trouble.fails_while=it\'s {a} "b" \\c', "toyVisit:x={'r': 1.5}")
    file = place.directory / "condition.yaml"
    file.write_text(bps_text(place.submission("texts", where=where)))
    command = shlex.split(BpsConfig(str(file), defaults=BPS_DEFAULTS)["createQuantumGraph"])
    assert command[command.index("-d") + 1] == where
    file.write_text(bps_text(place.submission("texts", overrides=tuple(map(parse_override, settings)))))
    command = shlex.split(BpsConfig(str(file), defaults=BPS_DEFAULTS)["createQuantumGraph"])
    assert tuple(command[place + 1] for place, word in enumerate(command) if word == "-c") == settings
    file.write_text(bps_text(place.submission("texts", where="")))
    assert "-d" not in shlex.split(BpsConfig(str(file), defaults=BPS_DEFAULTS)["createQuantumGraph"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"inputs": ("Toy/nothing",)}, "No collection with name 'Toy/nothing' found"),
        ({"where": "vist = 3"}, "Unrecognized identifier 'vist'"),
        ({"where": "instrument = 'ToyCam' AND visit = 3"}, "there is nothing to do"),
    ],
)
@pytest.mark.long
def test_a_graph_that_cannot_be_built_is_told(place: Place, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(PipelineError) as caught:
        submit(place.submission("wrong", **settings))
    assert message in caught.value.render()
    assert str(place.directory / "submit" / "graph-failed.log") in caught.value.hint
    assert (place.directory / "submit" / "graph-failed.log").stat().st_size
    assert not (place.directory / "submit/u/wrong").exists(), "a try that comes to nothing leaves nothing"


@pytest.mark.long
def test_a_setting_of_one_run_reaches_its_quanta(place: Place, uninterrupted: Path) -> None:
    submission = place.submission("set", overrides=(parse_override("toyIsr:trouble.detector=1"),))
    assert over(submit(submission)).state == "SUCCEEDED"
    with Butler.from_config(str(place.repository), collections="u/set") as butler:
        assert butler.get("toyIsr_config").trouble.detector == 1


@pytest.mark.long
def test_a_failure_leaves_the_rest_and_a_restart_mends_it(place: Place, uninterrupted: Path) -> None:
    from qserv_py.pipelines.workflow.local import LocalService

    trouble = place.directory / "trouble"
    trouble.touch()
    settings = {"fails_while": str(trouble), "detector": 1}
    run = submit(place.submission("failing", cores=2, quanta_per_job=1, trouble=settings))
    view = over(run)
    assert view.state == "FAILED"
    assert Counter(states(view).values()) == {"SUCCEEDED": 2, "FAILED": 2, "PRUNED": 1}
    assert len(view.failed()) == VISITS
    assert "was told to fail" in view.log_of(view.failed()[0][0]).read_text()
    made = Counter(kind for kind, _ in datasets(place.repository, "u/failing"))
    assert made == {"toy_image": 2, "toy_source_detector": 2}, "the final job brought what was made"
    trouble.unlink()
    assert LocalService({}).restart(str(run)) == (str(run), view.plan.name, "")
    assert over(run).state == "SUCCEEDED"
    assert datasets(place.repository, "u/failing") == datasets(place.repository, "u/plain")


@pytest.mark.long
def test_by_steps_a_failed_detector_stops_nothing_else(
    place: Place, uninterrupted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trouble = place.directory / "by-step"
    trouble.touch()
    submission = place.submission("steps", trouble={"fails_while": str(trouble), "detector": 1})
    options = ["-i", INPUT, "-p", submission.pipeline, "-o", "u/steps", "-j", "2", "-d", ALL, "--by-step"]
    code = qserv(["pipeline", "run", submission.repository, *options, "--submit-dir", str(place.directory / "submit")])
    told = capsys.readouterr().err
    assert code == 6, told
    assert told.count("building the graph") == 2
    assert "RuntimeError: toyIsr was told to fail" in told
    found = datasets(place.repository, "u/steps")
    [total] = [value for (kind, _), value in found.items() if kind == "toy_total"]
    assert total["rows"] == VISITS, "one detector of each visit"


@pytest.mark.long
def test_a_killed_process_is_tried_again(place: Place, uninterrupted: Path) -> None:
    trouble = place.directory / "kills"
    trouble.touch()
    run = submit(place.submission("kills", trouble={"kills_while": str(trouble)}))
    wait_for(lambda: any(record.failures for record in look_at(run).record.jobs.values()), "the kill")
    trouble.unlink()
    assert over(run).state == "SUCCEEDED"
    assert datasets(place.repository, "u/kills") == datasets(place.repository, "u/plain")


def bps(
    place: Place, command: str, site: str, *, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``bps`` on a file of a user's own that includes one of our templates."""
    submission = place.submission(site)
    file = place.directory / f"my-{site}.yaml"
    file.write_text(
        f"""\
includeConfigs: resource://qserv_py.pipelines.workflow.bps/{site}.yaml
pipelineYaml: {submission.pipeline}
submitPath: {place.directory}/submit/{{outputRun}}
payload:
  payloadName: toy
  butlerConfig: {place.repository}
  inCollection: {INPUT}
  dataQuery: "instrument = 'ToyCam'"
  output: u/{site}
"""
    )
    programs = str(Path(sys.executable).parent)
    shell = f'eval "$(qserv pipeline environment)"; exec bps --log-level ERROR {command} {file}'
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", **(variables or {})}
    return subprocess.run(
        ["bash", "-c", shell], cwd=place.directory, env=environment, capture_output=True, text=True, timeout=300
    )


def submitted(place: Place, site: str) -> Path:
    [directory] = (place.directory / "submit/u" / site).iterdir()
    return directory


def test_htcondor_is_prepared(place: Place) -> None:
    done = bps(place, "prepare", "htcondor")
    assert done.returncode == 0, done.stderr
    directory = submitted(place, "htcondor")
    [dag] = directory.glob("*.dag")
    text = dag.read_text()
    # Two detectors of two visits, the visits, the night, the first job.
    assert sum(line.startswith("JOB ") for line in text.splitlines()) == 8
    assert "FINAL finalJob" in text
    [job, *_] = sorted((directory / "jobs").rglob("toyIsr*.sub"))
    commands = dict(line.split("=", 1) for line in job.read_text().splitlines() if "=" in line)
    assert commands["executable"].strip().endswith("/bin/pipetask")
    assert "2048" in commands["request_memory"]
    assert "MemoryUsage" in commands["request_memory"], "it grows with the retry"
    assert commands["max_retries"].strip() == "3"


@pytest.mark.long
def test_slurm_is_prepared(place: Place) -> None:
    done = bps(place, "prepare", "slurm")
    assert done.returncode == 0, done.stderr
    config = (submitted(place, "slurm") / f"u_slurm_{submitted(place, 'slurm').name}_config.yaml").read_text()
    assert "lsst.ctrl.bps.parsl.sites.Slurm" in config


@pytest.mark.long
def test_panda_goes_as_far_as_its_server(place: Place) -> None:
    nowhere = dict.fromkeys(("PANDA_URL", "PANDA_URL_SSL", "PANDACACHE_URL", "PANDAMON_URL"), "http://127.0.0.1:9/")
    done = bps(place, "transform", "panda", variables=nowhere)
    assert done.returncode == 0, done.stderr
    done = bps(place, "prepare", "panda", variables=nowhere)
    assert done.returncode != 0
    assert "Error ping PanDA service" in done.stderr


def test_parsl_on_one_machine_stays_on_it(place: Place) -> None:
    """Rubin's own site asks api.ipify.org for the machine's address; that would fail this test (tests/conftest.py)."""
    from lsst.ctrl.bps import BpsConfig
    from lsst.ctrl.bps.parsl.site import SiteConfig

    file = place.directory / "parsl-here.yaml"
    file.write_text(bps_text(place.submission("texts", site="parsl", cores=3)))
    [executor] = SiteConfig.from_config(BpsConfig(str(file))).get_executors()
    assert (executor.all_addresses, executor.loopback_address) == ("127.0.0.1", "127.0.0.1")
    assert executor.max_workers_per_node == 3


@pytest.mark.long
def test_parsl_runs(place: Place, uninterrupted: Path) -> None:
    done = bps(place, "submit", "parsl")
    assert done.returncode == 0, done.stderr
    assert datasets(place.repository, "u/parsl") == datasets(place.repository, "u/plain")


@pytest.mark.long
def test_a_users_own_file_runs_on_the_local_service(place: Place, uninterrupted: Path) -> None:
    done = bps(place, "submit", "local")
    assert done.returncode == 0, done.stderr
    assert over(submitted(place, "local")).state == "SUCCEEDED"
    assert datasets(place.repository, "u/local") == datasets(place.repository, "u/plain")
