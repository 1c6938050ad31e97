"""Any run of any graph ends, and on the way no job starts too early, twice at once, or beyond the limits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from support.workflows import final, job, plan

from qserv_py.pipelines.workflow.journal import JobEnded, JobPassed, JobStarted, RunEnded, RunnerStarted, RunStopped
from qserv_py.pipelines.workflow.machine import End, Pass, Scheduler, Start
from qserv_py.pipelines.workflow.plan import Job, JobKind, RunPlan
from qserv_py.pipelines.workflow.state import JobState, RunRecord, record_of

KINDS = (JobKind.PAYLOAD,) * 6 + (JobKind.BARRIER, JobKind.TOLERANT)


@st.composite
def plans(draw: st.DrawFn) -> RunPlan:
    jobs: list[Job] = []
    for number in range(draw(st.integers(1, 12))):
        parents = draw(st.sets(st.sampled_from([job.name for job in jobs]))) if jobs else set()
        made = job(
            f"j{number}",
            after=tuple(sorted(parents)),
            kind=draw(st.sampled_from(KINDS)) if parents else JobKind.PAYLOAD,
            cores=draw(st.integers(1, 4)),
            memory_mb=draw(st.integers(0, 60)),
            memory_multiplier=draw(st.sampled_from([1.0, 2.0])),
            retries=draw(st.integers(0, 2)),
            priority=draw(st.integers(0, 2)),
        )
        jobs.append(made)
    if draw(st.booleans()):
        jobs.append(final(""))
    return plan(*jobs, cores=draw(st.integers(1, 6)), memory_mb=draw(st.integers(1, 100)))


def drive(made: RunPlan, record: RunRecord, data: st.DataObject, *, may_stop: bool) -> None:
    """Play a run to its end with drawn outcomes; check every start."""
    scheduler = Scheduler(made, record, cores=made.cores, memory_mb=made.memory_mb)
    by_name = {job.name: job for job in made.jobs}
    running: list[str] = []
    for _ in range(1000):
        while steps := scheduler.decide():
            for step in steps:
                match step:
                    case Start():
                        check_start(step, running, by_name, record, made)
                        running.append(step.job.name)
                        record.apply(JobStarted(job=step.job.name, attempt=step.attempt, memory_mb=step.memory_mb))
                    case Pass():
                        assert by_name[step.job].kind is not JobKind.FINAL
                        record.apply(JobPassed(job=step.job, pruned_by=step.pruned_by))
                    case End():
                        assert not running
                        record.apply(RunEnded())
        if record.ended:
            return
        assert running, "who waits for nothing never ends"
        if may_stop and not record.stopped and data.draw(st.integers(0, 9)) == 0:
            record.apply(RunStopped(aborted_by=data.draw(st.sampled_from(["", running[0]]))))
            continue
        name = running.pop(data.draw(st.integers(0, len(running) - 1)))
        code, reason = data.draw(st.sampled_from([(0, ""), (0, ""), (1, ""), (137, "memory"), (None, "lost")]))
        reason = "cancelled" if record.stopped and code else reason
        again = scheduler.is_tried_again(by_name[name], exit_code=code, reason=reason)
        record.apply(JobEnded(job=name, exit_code=code, reason=reason, again=again))
    raise AssertionError("the run does not end")


def check_start(step: Start, running: list[str], by_name: dict[str, Job], record: RunRecord, made: RunPlan) -> None:
    job = step.job
    assert job.name not in running
    assert job.kind in (JobKind.PAYLOAD, JobKind.FINAL)
    assert all(record.jobs[parent].state is JobState.SUCCEEDED for parent in job.parents)
    if job.kind is JobKind.FINAL:
        assert not running
        assert all(other.state.ended for name, other in record.jobs.items() if by_name[name].kind is not JobKind.FINAL)
    if running:
        assert job.cores + sum(by_name[name].cores for name in running) <= made.cores
        assert step.memory_mb + sum(record.jobs[name].memory_mb for name in running) <= made.memory_mb


@given(plans(), st.data())
def test_every_run_ends_and_keeps_to_its_limits(made: RunPlan, data: st.DataObject) -> None:
    record = record_of(made, [])
    drive(made, record, data, may_stop=True)
    assert all(job.state.ended for job in record.jobs.values())
    assert record.counts.total() == len(made.jobs)
    if not record.stopped:
        for planned in made.jobs:
            states = [record.jobs[parent].state for parent in planned.parents]
            wrong = any(state is not JobState.SUCCEEDED for state in states)
            is_pruned = record.jobs[planned.name].state is JobState.PRUNED
            assert is_pruned == (wrong and planned.kind is not JobKind.TOLERANT)


@given(plans(), st.data())
def test_a_restart_runs_what_did_not_succeed_and_nothing_else(made: RunPlan, data: st.DataObject) -> None:
    record = record_of(made, [])
    drive(made, record, data, may_stop=True)
    before = {name: (job.state, job.attempt) for name, job in record.jobs.items()}
    record.apply(RunnerStarted(pid=1, host="", cores=1, memory_mb=1, restart=True))
    drive(made, record, data, may_stop=False)
    for ran in made.jobs:
        state, attempt = before[ran.name]
        if state is JobState.SUCCEEDED and ran.kind is JobKind.PAYLOAD:
            assert record.jobs[ran.name].attempt == attempt
