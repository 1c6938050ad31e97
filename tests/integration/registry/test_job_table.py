"""The job table: phases change only as they may, the queue is fair, jobs of dead runners go on."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from qserv_py.errors import NotFoundError, UserError
from qserv_py.registry import jobs
from qserv_py.registry.connection import Registry
from qserv_py.registry.jobs import MOST_ATTEMPTS, UwsPhase
from qserv_py.registry.statements import run


def add(registry: Registry, owner: str, *, queued: bool = True, most: int = 10) -> str:
    made = jobs.add_job(
        registry,
        owner=owner,
        requester=owner,
        identity={"user": owner},
        most_running=most,
        parameters={"QUERY": "q"},
        run_id="",
        execution_s=60,
        keep_s=3600,
    )
    if queued:
        assert jobs.queue_job(registry, made, identity={"user": owner}, most_running=most)
    return made


def owners_served(registry: Registry, count: int, *, ends: bool = False) -> list[str]:
    served = []
    for _ in range(count):
        job = jobs.claim_job(registry, runner="r1")
        if job is None:
            break
        served.append(job.owner)
        if ends:
            jobs.fail_job(registry, job.job_id, runner="r1", error=UserError("done"))
    return served


def recovered(registry: Registry) -> list[str]:
    """Recover jobs as soon as the server has noticed that a connection was closed."""
    for _ in range(200):
        if found := jobs.recover_jobs(registry, besides="r9"):
            return found
        time.sleep(0.05)
    return []


def test_requesters_take_turns_however_many_jobs_one_has(registry: Registry) -> None:
    for owner in ("ada", "ada", "ada", "ada", "bob", "cyd", "bob"):
        add(registry, owner)
    assert owners_served(registry, 5) == ["ada", "bob", "cyd", "ada", "bob"]


def test_turns_are_taken_when_one_job_runs_at_a_time(registry: Registry) -> None:
    for owner in ("ada", "ada", "ada", "bob", "bob"):
        add(registry, owner)
    assert owners_served(registry, 9, ends=True) == ["ada", "bob", "ada", "bob", "ada"]


def test_a_requester_has_a_bounded_number_of_running_jobs(registry: Registry) -> None:
    for owner in ("ada", "ada", "ada", "bob"):
        add(registry, owner, most=2)
    assert owners_served(registry, 9) == ["ada", "bob", "ada"]


def test_the_place_in_the_queue(registry: Registry) -> None:
    first, second = add(registry, "ada"), add(registry, "bob")
    assert [jobs.find_job(registry, job).queue_place for job in (first, second)] == [1, 2]
    jobs.claim_job(registry, runner="r1")
    assert [jobs.find_job(registry, job).queue_place for job in (first, second)] == [None, 1]


def test_a_job_that_ended_does_not_change(registry: Registry) -> None:
    job = add(registry, "ada")
    claimed = jobs.claim_job(registry, runner="r1")
    assert claimed is not None
    assert jobs.report_job(registry, job, runner="r1", chunks_done=1, chunks=3, rows=7)
    figures = {"result_file": "f", "result_type": "t", "result_bytes": 1, "rows": 9, "overflow": False}
    assert not jobs.complete_job(registry, job, runner="other", **figures)
    assert jobs.complete_job(registry, job, runner="r1", **figures)
    assert not jobs.complete_job(registry, job, runner="r1", **figures)
    assert not jobs.fail_job(registry, job, runner="r1", error=UserError("late"))
    assert not jobs.abort_job(registry, job)
    assert not jobs.queue_job(registry, job, identity={"user": "bob"}, most_running=1)
    assert jobs.find_job(registry, job).identity == {"user": "ada"}
    assert not jobs.change_parameters(registry, job, {"QUERY": "other"}, run_id=None)
    found = jobs.find_job(registry, job)
    assert (found.phase, found.rows, found.chunks_done, found.chunks) == (UwsPhase.COMPLETED, 9, 3, 3)


def test_a_job_whose_runner_died_is_tried_again_and_then_fails(registry: Registry, registry_database: str) -> None:
    job = add(registry, "ada")
    for attempt in range(1, MOST_ATTEMPTS + 1):
        name = f"runner {attempt}"
        with Registry(registry_database) as dying, dying.lock(jobs.lock_name(name)):
            assert jobs.claim_job(registry, runner=name)
            assert jobs.recover_jobs(registry, besides="r9") == []  # it lives
        assert jobs.recover_jobs(registry, besides=name) == []  # it is this process
        assert recovered(registry) == [job]
        found = jobs.find_job(registry, job)
        assert found.phase is (UwsPhase.QUEUED if attempt < MOST_ATTEMPTS else UwsPhase.ERROR)
    assert "the service was stopped 2 times while the job ran" in (found.error_message or "")


def test_a_job_that_was_released_counts_as_not_started(registry: Registry) -> None:
    job = add(registry, "ada")
    for _ in range(MOST_ATTEMPTS + 2):
        assert jobs.claim_job(registry, runner="r1")
        assert jobs.release_jobs(registry, runner="r1") == [job]
    found = jobs.find_job(registry, job)
    assert (found.phase, found.started_at) == (UwsPhase.QUEUED, None)


def test_destruction(registry: Registry) -> None:
    gone, kept = add(registry, "ada"), add(registry, "ada", queued=False)
    past, far = datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(days=999)
    jobs.change_times(registry, gone, execution_s=None, destruction_at=past, keep_s=60)
    jobs.change_times(registry, kept, execution_s=5, destruction_at=far, keep_s=60)
    assert jobs.delete_expired(registry) == [gone]
    found = jobs.find_job(registry, kept)
    assert found.execution_s == 5
    assert found.destruction_at < datetime.now(UTC) + timedelta(seconds=120)
    with pytest.raises(NotFoundError, match=f'there is no job "{gone}"'):
        jobs.find_job(registry, gone)
    assert jobs.known_jobs(registry, [gone, kept, "x"]) == {kept}
    assert jobs.count_phases(registry)[UwsPhase.PENDING] == 1


def test_claiming_at_the_same_moment_gives_a_job_once(registry: Registry, registry_database: str) -> None:
    """The second claimer waits for the first one's row, sees that it is not QUEUED any more, and gets nothing."""
    add(registry, "ada")
    with Registry(registry_database) as other, registry.transaction() as first:
        assert run(first, "claim_job", runner="r1").fetchone() is not None
        found: list[object] = []
        thread = threading.Thread(target=lambda: found.append(jobs.claim_job(other, runner="r2")))
        thread.start()
        thread.join(0.3)
        assert found == []
        first.execute("COMMIT")
        thread.join(10)
        assert found == [None]
        first.execute("BEGIN")
