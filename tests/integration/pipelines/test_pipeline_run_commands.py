"""`qserv pipeline report|status|cancel|restart|environment` on runs of shell commands."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from support.workflows import final, job, kill_runner, over, prepared, wait_for

from qserv_py.cli.main import run as qserv
from qserv_py.errors import NothingToDoError
from qserv_py.pipelines.workflow.control import launch, look_at
from qserv_py.pipelines.workflow.logs import NOT_IN_GRAPH
from qserv_py.pipelines.workflow.submission import Submission

LOG = """\
INFO lsst.pipe.base.mp_graph_executor - Executed 1 quanta successfully, 0 failed and 2 remain out of total 3 quanta.
ERROR x - Execution of task 'isr' on quantum {instrument: 'Q', detector: 4} failed. Exception RuntimeError: no light
INFO lsst.pipe.base.mp_graph_executor - Executed 2 quanta successfully, 1 failed and 0 remain out of total 3 quanta.
"""


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def failing(directory: Path) -> Path:
    """A run with a job that fails as pipetask does, until a file is there."""
    directory.mkdir()
    (directory / "log").write_text(LOG)
    return prepared(
        directory,
        job("one", "[ -e mended ] || { cat log; exit 1; }", quanta={"isr": 3}),
        job("two", after=("one",), quanta={"calibrate": 1}),
        final("true"),
    )


def test_a_run_that_fails_is_mended_by_a_restart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = failing(tmp_path / "a")
    launch(run)
    over(run)
    assert qserv(["pipeline", "status"]) == 1
    assert capsys.readouterr().out == "FAILED\n"
    assert qserv(["pipeline", "report", "--format", "json", str(run)]) == 0
    told = capsys.readouterr()
    rows = {row["jobs"]: row for row in json.loads(told.out)}
    assert (rows["o"]["failed"], rows["o"]["quanta"], rows["t"]["pruned"]) == (1, 2, 1)
    assert f"FAILED: 2 of 4 quanta are done; {run}\n" in told.err
    assert f"one failed, see {run}/jobs/one/1.log\n" in told.err
    assert "isr {instrument: 'Q', detector: 4}: RuntimeError: no light\n" in told.err
    assert f"qserv pipeline restart {run} tries these again.\n" in told.err
    (run / "mended").touch()
    assert qserv(["pipeline", "restart", "--stay"]) == 0
    assert "SUCCEEDED: 4 of 4 quanta are done" in capsys.readouterr().err
    assert qserv(["pipeline", "status", str(run)]) == 0
    assert capsys.readouterr().out == "SUCCEEDED\n"


def test_runs_are_listed_and_found_by_the_end_of_their_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("first", "second"):
        launch(failing(tmp_path / name))
        over(tmp_path / name)
    assert qserv(["pipeline", "report", "--format", "json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(row["state"], row["run"]) for row in listed] == [
        ("FAILED", str(tmp_path / "first")),
        ("FAILED", str(tmp_path / "second")),
    ]
    assert qserv(["pipeline", "status", "first"]) == 1
    assert qserv(["pipeline", "status", "t"]) == 3, "an end of a name is not enough"
    assert 'no run ends with "third"' in (qserv(["pipeline", "status", "third"]), capsys.readouterr().err)[1]
    (tmp_path / "first/journal.jsonl").write_text("{}\n")
    capsys.readouterr()
    assert qserv(["pipeline", "report", "--format", "csv"]) == 0
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 2
    assert "line 1 is damaged" in told.err


def test_a_restart_is_not_advised_where_it_finds_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reason = f"no bias for exposure 4, detector 1 {NOT_IN_GRAPH}"
    said = f"Execution of task 'isr' on quantum {{detector: 1}} failed. Exception QuantumRefused: {reason}"
    (tmp_path / "log").write_text(f"ERROR x - {said}\n")
    run = prepared(tmp_path, job("one", "cat log; exit 1", quanta={"isr": 1}), final("true"))
    launch(run)
    over(run)
    assert qserv(["pipeline", "report", str(run)]) == 0
    told = capsys.readouterr().err
    assert reason in told
    assert "qserv pipeline run with the same options begins anew" in told
    assert "tries these again" not in told


STEPS = ("pipeline", "run", "repo", "-p", "drp-single-frame", "-i", "QCam/defaults", "--by-step")


def steps_as(monkeypatch: pytest.MonkeyPatch, directory: Path, commands: dict[str, str | None]) -> list[str]:
    """Make each step a run of one job with a command; None for a step without data. Return those that began."""
    begun: list[str] = []

    def submit(wanted: Submission) -> Path:
        step = wanted.pipeline.partition("#")[2]
        begun.append(f"{step} {' '.join(one.text for one in wanted.overrides)}".strip())
        if (command := commands[step]) is None:
            raise NothingToDoError("there is nothing to do")
        (directory / step).mkdir()
        run = prepared(directory / step, job("one", command, quanta={"isr": 3}), final("true"))
        launch(run)
        return run

    monkeypatch.setattr("qserv_py.pipelines.workflow.submission.submit", submit)
    return begun


def executed(done: int) -> str:
    return f"echo 'x - Executed {done} quanta successfully, {3 - done} failed and 0 remain'; exit 1"


@pytest.mark.parametrize(
    ("commands", "begun", "said"),
    [
        ({"step1": executed(0)}, ["step1"], "What follows step1 is left out: nothing of step1 succeeded."),
        (
            {"step1": executed(2), "step2": None},
            ["step1", "step2"],
            "step2 and what follows is left out: step1 brought nothing for it.",
        ),
        ({"step1": executed(2), "step2": "true", "step3": "true"}, ["step1", "step2", "step3"], "FAILED: 2 of 3"),
    ],
)
def test_steps_end_where_there_is_nothing_for_the_next(
    commands: dict[str, str | None],
    begun: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen = steps_as(monkeypatch, tmp_path, commands)
    assert qserv([*STEPS]) == 6
    assert seen == begun
    assert said in capsys.readouterr().err


def test_each_step_gets_the_settings_of_its_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = steps_as(monkeypatch, tmp_path, dict.fromkeys(("step1", "step2", "step3"), "true"))
    settings = ("isr:do_dark=False", "calibrateImage:characterise.threshold=4.5", "photometricFit:least_stars=3")
    assert qserv([*STEPS, *(word for one in settings for word in ("-c", one))]) == 0
    assert seen == [f"step1 {settings[0]} {settings[1]}", f"step2 {settings[2]}", "step3"]


def test_a_wrong_setting_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = steps_as(monkeypatch, tmp_path, {})
    assert qserv([*STEPS, "-c", "calibrateImage:characterise.treshold=4.5"]) == 2
    assert 'calibrateImage has no setting "characterise.treshold"' in capsys.readouterr().err
    assert not seen


def test_cancel_and_a_dead_runner(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = prepared(tmp_path, job("a", "touch began; sleep 1000"))
    launch(run)
    wait_for((run / "began").exists, "the job")
    assert qserv(["pipeline", "status"]) == 0
    assert qserv(["pipeline", "restart"]) == 1
    assert "is running" in capsys.readouterr().err
    kill_runner(run)
    assert qserv(["pipeline", "status"]) == 1
    assert "The runner died before the run was over; 1 of its jobs still run." in capsys.readouterr().err
    assert qserv(["pipeline", "cancel", str(run)]) == 0
    assert look_at(run).state == "DELETED"
    assert qserv(["pipeline", "cancel", str(run)]) == 1
    assert "The run was over already." in capsys.readouterr().err


def test_without_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert qserv(["pipeline", "status"]) == 3
    assert "this account has no runs" in capsys.readouterr().err
    assert qserv(["pipeline", "report"]) == 0
    assert qserv(["pipeline", "report", str(tmp_path)]) == 3


def test_the_environment_names_the_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert qserv(["pipeline", "environment"]) == 0
    place = Path(sys.executable).parent.parent
    assert capsys.readouterr().out == f"export CTRL_MPEXEC_DIR={place}\nexport DAF_BUTLER_DIR={place}\n"
