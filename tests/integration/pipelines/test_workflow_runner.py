"""The runner of the local workflow service on real processes: limits, kills at any moment, cancels, restarts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from support.workflows import final, job, kill_runner, over, prepared, states, wait_for

from qserv_py.errors import NotFoundError, PipelineError
from qserv_py.pipelines.workflow.control import cancel, find_run, known_runs, launch, look_at
from qserv_py.pipelines.workflow.journal import JOURNAL_FILE, read_journal
from qserv_py.pipelines.workflow.plan import PLAN_FILE, Job
from qserv_py.pipelines.workflow.processes import LockFile, sessions_in_use
from qserv_py.pipelines.workflow.runner import BUSY, LOCK_FILE

SLOW = "echo begin >> {name}.txt; while [ ! -e go ]; do sleep 0.05; done; echo end >> {name}.txt"
"""A command that waits for a file; {name}.txt shows how often it ran."""


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def slow(name: str, *, after: tuple[str, ...] = (), **settings: object) -> Job:
    return job(name, SLOW.format(name=name), after=after, **settings)


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that ended and that nobody has asked about does not."""
    return any(pid in use.pids for use in sessions_in_use().values())


def test_a_run_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    run = prepared(
        tmp_path,
        job("a", "echo a >> order; echo said"),
        job("b", "echo b >> order", after=("a",)),
        job("bad", "echo trouble; exit 3"),
        job("c", "true", after=("bad",)),
        final("echo $FINAL_SAYS >> order"),
    )
    assert look_at(run).state == "UNREADY"
    launch(run)
    view = over(run)
    assert states(view) == {"a": "SUCCEEDED", "b": "SUCCEEDED", "bad": "FAILED", "c": "PRUNED", "final": "SUCCEEDED"}
    assert view.state == "FAILED"
    assert lines(run / "order")[:2] == ["a", "b"]
    [(failed, record)] = view.failed()
    assert (failed.name, record.exit_code) == ("bad", 3)
    assert view.log_of(failed).read_text() == "trouble\n"
    assert known_runs() == [run]
    assert find_run(None) == find_run(str(run)) == find_run(run.name) == run


def test_jobs_have_their_environment_and_their_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("FROM_OUTSIDE", "there")
    odd = 'it\'s "odd" $HOME'
    run = prepared(
        tmp_path, job("a", 'echo "$ODD|$FROM_OUTSIDE|$OMP_NUM_THREADS|$PWD"', cores=3, environment={"ODD": odd})
    )
    launch(run)
    view = over(run)
    assert view.log_of(view.plan.jobs[0]).read_text() == f"{odd}|there|3|{run}\n"


def test_retries_have_logs_of_their_own(tmp_path: Path) -> None:
    run = prepared(tmp_path, job("a", "echo x >> tries; [ $(wc -l < tries) = 3 ]", retries=5))
    launch(run)
    view = over(run)
    assert view.state == "SUCCEEDED"
    assert sorted(path.name for path in (run / "jobs/a").glob("*.log")) == ["1.log", "2.log", "3.log"]


def test_memory_is_limited_and_grows_with_the_retry(tmp_path: Path) -> None:
    hungry = f"{sys.executable} -c 'x = bytearray(150 * 2**20); import time; time.sleep(1.5)'"
    run = prepared(tmp_path, job("a", hungry, memory_mb=80, memory_multiplier=4.0, retries=1))
    launch(run)
    view = over(run)
    assert view.state == "SUCCEEDED"
    events = [event for event in read_journal(run) if type(event).__name__ == "JobEnded"]
    assert [event.reason for event in events] == ["memory", ""]
    assert view.record.jobs["a"].memory_mb == 320
    assert view.record.jobs["a"].peak_mb > 140


def test_walltime_ends_the_whole_group(tmp_path: Path) -> None:
    run = prepared(tmp_path, job("a", "sleep 1000 & echo $! > child; sleep 1000", walltime_s=0.5))
    launch(run)
    view = over(run)
    assert view.state == "FAILED"
    assert view.record.jobs["a"].reason == "walltime"
    assert not is_alive(int(lines(run / "child")[0]))


def test_what_a_job_leaves_in_the_background_is_ended(tmp_path: Path) -> None:
    run = prepared(tmp_path, job("a", "sleep 1000 & echo $! > child"), job("b", after=("a",)))
    launch(run)
    assert over(run).state == "SUCCEEDED"
    assert not is_alive(int(lines(run / "child")[0]))


def test_a_killed_runner_is_told_and_its_jobs_are_taken_over(tmp_path: Path) -> None:
    run = prepared(tmp_path, slow("a"), job("b", "echo b >> order", after=("a",)), final("echo f >> order"))
    launch(run)
    wait_for((run / "a.txt").exists, "the job")
    kill_runner(run)
    view = look_at(run)
    assert (view.state, states(view)["a"]) == ("FAILED", "RUNNING")
    assert (
        view.message == "The runner died before the run was over; 1 of its jobs still run. A restart goes on from here."
    )
    launch(run, restart=True)
    assert look_at(run).state == "RUNNING"
    time.sleep(0.7)  # the new runner has looked around
    (run / "go").touch()
    assert over(run).state == "SUCCEEDED"
    assert lines(run / "a.txt") == ["begin", "end"], "the job that still ran was not started twice"
    assert lines(run / "order") == ["b", "f"]


def test_a_job_that_ended_without_its_runner_counts(tmp_path: Path) -> None:
    run = prepared(tmp_path, slow("a"), slow("b"), job("c", after=("a",)))
    launch(run)
    wait_for(lambda: (run / "a.txt").exists() and (run / "b.txt").exists(), "the jobs")
    kill_runner(run)
    lock = LockFile(run / "jobs/b/lock")
    leader = lock.holder()
    assert leader is not None
    os.killpg(leader, signal.SIGKILL)  # one job dies, the other one ends by itself
    (run / "go").touch()
    wait_for(lambda: not LockFile(run / "jobs/a/lock").is_held() and not lock.is_held(), "the ends of the jobs")
    view = look_at(run)
    assert states(view) == {"a": "SUCCEEDED", "b": "FAILED", "c": "UNREADY"}
    assert view.message == "The runner died before the run was over. A restart goes on from here."
    launch(run, restart=True)
    assert over(run).state == "SUCCEEDED"
    assert lines(run / "a.txt") == ["begin", "end"]
    assert lines(run / "b.txt") == ["begin", "begin", "end"]


@pytest.mark.parametrize("pause_s", [0.0, 0.02, 0.06, 0.15, 0.3])
def test_killed_at_any_moment_every_job_succeeds_once(tmp_path: Path, pause_s: float) -> None:
    count = 12
    run = prepared(tmp_path, *(job(f"j{n}", f"echo end >> {n}.txt") for n in range(count)), final("echo f >> order"))
    launch(run)
    for _ in range(4):
        time.sleep(pause_s)
        if look_at(run).record.ended:
            break
        if LockFile(run / LOCK_FILE).holder():
            kill_runner(run)
            with open(run / JOURNAL_FILE, "ab") as journal:
                journal.write(b'{"event":"JobEn')  # as a kill in the middle of a line leaves it
            launch(run, restart=True)
    assert over(run).state == "SUCCEEDED"
    # A job may be killed before it left its exit code and run again, but never after it was seen to succeed.
    ended = [event.job for event in read_journal(run) if getattr(event, "exit_code", None) == 0]
    assert sorted(ended) == sorted({*ended})
    assert len(ended) == count + 1


def test_cancel_ends_every_process_and_nothing_else(tmp_path: Path) -> None:
    bystander = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    try:
        stubborn = "trap '' TERM; (trap '' TERM; sleep 1000) & echo $! > child; echo x > a.txt; wait; sleep 1000"
        run = prepared(tmp_path, job("a", stubborn), slow("b"), job("c", after=("b",)), final("touch final"))
        launch(run)
        wait_for(lambda: (run / "a.txt").exists() and (run / "b.txt").exists(), "the jobs")
        sessions = [LockFile(run / "jobs" / name / "lock").holder() for name in "ab"]
        assert cancel(run) == ""
        view = look_at(run)
        assert view.state == "DELETED"
        assert set(states(view).values()) == {"DELETED"}
        assert not {*sessions} & {*sessions_in_use()}
        assert not (run / "final").exists()
        assert bystander.poll() is None
        assert cancel(run) == "the run was over already"
        (run / "go").touch()
        subprocess.run(["sed", "-i", "s/trap.*1000/true/", run / PLAN_FILE], check=True)
        launch(run, restart=True)
        assert over(run).state == "SUCCEEDED"
    finally:
        bystander.kill()
        bystander.wait()


def test_cancel_without_a_runner_ends_what_it_left(tmp_path: Path) -> None:
    run = prepared(tmp_path, slow("a"), job("b", after=("a",)))
    launch(run)
    wait_for((run / "a.txt").exists, "the job")
    kill_runner(run)
    session = LockFile(run / "jobs/a/lock").holder()
    assert session in sessions_in_use()
    assert cancel(run) == ""
    assert session not in sessions_in_use()
    assert look_at(run).state == "DELETED"


def test_an_exit_code_ends_the_run(tmp_path: Path) -> None:
    run = prepared(
        tmp_path, job("a", "exit 9", abort_on_exit=9), slow("b"), job("c", after=("b",)), final("touch final")
    )
    launch(run)
    view = over(run)
    assert states(view) == {"a": "FAILED", "b": "DELETED", "c": "PRUNED", "final": "SUCCEEDED"}
    assert view.state == "FAILED"


def test_a_run_has_one_runner(tmp_path: Path) -> None:
    run = prepared(tmp_path, slow("a"))
    launch(run)
    with pytest.raises(PipelineError, match="is running"):
        launch(run, restart=True)
    second = subprocess.run(
        [sys.executable, "-m", "qserv_py.pipelines.workflow.runner", run], capture_output=True, text=True
    )
    assert second.returncode == BUSY
    assert "another runner has this run" in second.stdout
    (run / "go").touch()
    assert over(run).state == "SUCCEEDED"


def test_looks_stand_in_nobody_s_way(tmp_path: Path) -> None:
    run = prepared(tmp_path, *(job(f"j{n}", "true") for n in range(30)))
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            look_at(run)
            for n in range(30):
                LockFile(run / f"jobs/j{n}/lock").is_held()

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    try:
        launch(run)
        assert over(run).state == "SUCCEEDED"
    finally:
        stop.set()
        for looker in lookers:
            looker.join()


def test_wrong_places_and_damaged_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no run of the local workflow service in"):
        look_at(tmp_path)
    with pytest.raises(NotFoundError, match="this account has no runs"):
        find_run(None)
    with pytest.raises(NotFoundError, match='no run ends with "elsewhere"'):
        find_run("elsewhere")
    run = prepared(tmp_path, job("a"))
    (run / JOURNAL_FILE).write_text('{"event":"Nonsense"}\n')
    with pytest.raises(PipelineError, match="line 1 is damaged"):
        look_at(run)
    (run / PLAN_FILE).write_text('{"version": 1, "jobs": [')
    with pytest.raises(PipelineError, match=r"workflow\.json cannot be read"):
        look_at(run)


def test_half_a_line_that_is_cut_off_during_the_read_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new runner cuts off what a kill left; who reads just then gets the first bytes of before, the rest of after."""
    run = prepared(tmp_path, job("a"))
    launch(run)
    over(run)
    whole = (run / JOURNAL_FILE).read_bytes()
    torn = b'{"event":"JobEn'
    reads = iter([torn + whole[len(torn) :], whole])
    monkeypatch.setattr(Path, "read_bytes", lambda path: next(reads))
    assert [type(event).__name__ for event in read_journal(run)][::3] == ["RunnerStarted", "RunEnded"]
    damaged = torn + whole[len(torn) :]
    monkeypatch.setattr(Path, "read_bytes", lambda path: damaged)
    with pytest.raises(PipelineError, match="line 1 is damaged"):
        read_journal(run)


def test_a_run_of_another_machine_is_not_judged_from_here(tmp_path: Path) -> None:
    run = prepared(tmp_path, job("a"))
    launch(run)
    over(run)
    (run / JOURNAL_FILE).write_text("".join((run / JOURNAL_FILE).read_text().splitlines(keepends=True)[:1]))
    text = (run / PLAN_FILE).read_text()
    (run / PLAN_FILE).write_text(text.replace(f'"host": "{look_at(run).plan.host}"', '"host": "elsewhere"'))
    assert look_at(run).state == "UNKNOWN"
    assert cancel(run) == 'the run belongs to the machine "elsewhere"; cancel it there'
    with pytest.raises(PipelineError, match="belongs to the machine"):
        launch(run, restart=True)
