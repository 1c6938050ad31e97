"""What the local workflow service decides to do next."""

from __future__ import annotations

from support.workflows import final, job, plan

from qserv_py.pipelines.workflow.journal import (
    Event,
    JobEnded,
    JobPassed,
    JobStarted,
    RunEnded,
    RunnerStarted,
    RunStopped,
)
from qserv_py.pipelines.workflow.machine import End, Pass, Scheduler, Start
from qserv_py.pipelines.workflow.plan import JobKind, RunPlan
from qserv_py.pipelines.workflow.state import JobState, RunRecord, record_of


class Game:
    """A run that is played without processes."""

    def __init__(self, made: RunPlan, record: RunRecord | None = None) -> None:
        self.plan = made
        self.record = record or record_of(made, [])
        self.scheduler = Scheduler(made, self.record, cores=made.cores, memory_mb=made.memory_mb)

    def step(self) -> list[str]:
        """Do what is to be done now; return the jobs that started."""
        started = []
        while steps := self.scheduler.decide():
            for step in steps:
                match step:
                    case Start():
                        self.apply(JobStarted(job=step.job.name, attempt=step.attempt, memory_mb=step.memory_mb))
                        started.append(step.job.name)
                    case Pass():
                        self.apply(JobPassed(job=step.job, pruned_by=step.pruned_by))
                    case End():
                        self.apply(RunEnded())
                        return started
        return started

    def end(self, name: str, code: int = 0, reason: str = "") -> list[str]:
        """End a running job; return what started then."""
        found = next(job for job in self.plan.jobs if job.name == name)
        again = self.scheduler.is_tried_again(found, exit_code=code, reason=reason)
        self.apply(JobEnded(job=name, exit_code=code, reason=reason, again=again))
        return self.step()

    def apply(self, event: Event) -> None:
        self.record.apply(event)

    def restarted(self) -> Game:
        self.apply(RunnerStarted(pid=1, host="h", cores=1, memory_mb=1, restart=True))
        return Game(self.plan, self.record)

    def state(self, name: str) -> JobState:
        return self.record.jobs[name].state


def test_children_follow_parents_and_the_final_job_all() -> None:
    game = Game(plan(job("a"), job("b"), job("c", after=("a", "b")), final("")))
    assert game.step() == ["a", "b"]
    assert game.end("a") == []
    assert game.end("b") == ["c"]
    assert game.end("c") == ["final"]
    assert not game.record.ended
    assert game.end("final") == []
    assert game.record.ended


def test_what_depends_on_a_failure_does_not_run_and_the_rest_does() -> None:
    game = Game(
        plan(job("a"), job("b"), job("c", after=("a",)), job("d", after=("c",)), job("e", after=("b",)), final(""))
    )
    game.step()
    assert game.end("a", 1) == []
    assert game.state("c") is game.state("d") is JobState.PRUNED
    assert game.record.jobs["d"].reason == "a", "the failure itself is named, not the pruned parent"
    assert game.end("b") == ["e"]
    assert game.end("e") == ["final"]


def test_retries_end() -> None:
    game = Game(plan(job("a", retries=2)))
    assert game.step() == ["a"]
    assert game.end("a", 3) == ["a"]
    assert game.end("a", 3) == ["a"]
    assert game.end("a", 3) == []
    assert game.state("a") is JobState.FAILED
    assert game.record.jobs["a"].attempt == 3


def test_some_exit_codes_are_not_worth_a_retry() -> None:
    game = Game(plan(job("a", retries=2, retry_unless_exit=(2,))))
    game.step()
    assert game.end("a", 2) == []
    assert game.state("a") is JobState.FAILED


def test_memory_grows_up_to_its_limit() -> None:
    game = Game(plan(job("a", retries=9, memory_mb=100, memory_multiplier=2.0, memory_max_mb=350)))
    game.step()
    had = []
    while game.state("a") is JobState.RUNNING:
        had.append(game.record.jobs["a"].memory_mb)
        game.end("a", 137, "memory")
    assert had == [100, 200, 350]
    assert game.state("a") is JobState.FAILED


def test_memory_without_a_multiplier_is_asked_for_once() -> None:
    game = Game(plan(job("a", retries=9, memory_mb=100)))
    game.step()
    assert game.end("a", 137, "memory") == []


def test_cores_and_memory_are_not_overdrawn() -> None:
    jobs = [job(name, cores=2, memory_mb=10) for name in "abc"]
    assert Game(plan(*jobs, cores=5)).step() == ["a", "b"]
    assert Game(plan(*jobs, cores=9, memory_mb=25)).step() == ["a", "b"]


def test_a_job_too_large_for_the_machine_runs_alone() -> None:
    game = Game(plan(job("a", cores=99, memory_mb=99999), job("b"), cores=2))
    assert game.step() == ["a"]
    assert game.end("a") == ["b"]


def test_urgent_jobs_start_first() -> None:
    game = Game(plan(job("a"), job("b", priority=5), cores=1))
    assert game.step() == ["b"]


def test_a_barrier_waits_and_passes_failures_on() -> None:
    barrier = job("x", after=("a", "b"), kind=JobKind.BARRIER)
    game = Game(plan(job("a"), job("b"), barrier, job("c", after=("x",))))
    game.step()
    game.end("a")
    assert game.end("b") == ["c"]
    game = Game(plan(job("a"), job("b"), barrier, job("c", after=("x",))))
    game.step()
    game.end("a", 1)
    assert game.end("b") == []
    assert game.state("c") is JobState.PRUNED


def test_a_tolerant_barrier_waits_only() -> None:
    game = Game(plan(job("a"), job("b"), job("x", after=("a", "b"), kind=JobKind.TOLERANT), job("c", after=("x",))))
    game.step()
    game.end("a", 1)
    assert game.end("b") == ["c"]


def test_an_exit_code_can_end_the_run() -> None:
    game = Game(plan(job("a"), job("b"), job("c", after=("b",)), final("")))
    game.step()
    game.apply(JobEnded(job="a", exit_code=9))
    game.apply(RunStopped(aborted_by="a"))
    assert game.end("b", 143, "cancelled") == ["final"]
    assert game.state("c") is JobState.PRUNED


def test_after_a_cancel_nothing_starts() -> None:
    game = Game(plan(job("a", retries=5), job("b", after=("a",)), final("")))
    game.step()
    game.apply(RunStopped())
    assert game.end("a", 143, "cancelled") == []
    assert {game.state(name) for name in ("a", "b", "final")} == {JobState.DELETED}
    assert game.record.ended


def test_a_restart_runs_what_has_not_succeeded_and_the_final_job() -> None:
    game = Game(plan(job("a"), job("b", retries=1), job("c", after=("b",)), final("")))
    game.step()
    game.end("a")
    game.end("b", 1)
    game.end("b", 1)
    game.end("final")
    again = game.restarted()
    assert again.step() == ["b"]
    assert again.end("b", 1) == ["b"], "retries are counted anew"
    assert again.end("b") == ["c"]
    assert again.end("c") == ["final"]
    assert again.record.jobs["final"].attempt == 2


def test_a_restart_of_a_run_that_succeeded_runs_nothing() -> None:
    game = Game(plan(job("a"), final("")))
    game.step()
    game.end("a")
    game.end("final")
    again = game.restarted()
    assert again.step() == []
    assert again.record.ended


def test_an_attempt_that_died_with_its_runner_costs_no_retry() -> None:
    game = Game(plan(job("a")))
    game.step()
    assert game.end("a", -1, "lost") == ["a"]
