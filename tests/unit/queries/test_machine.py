"""The state machine of a shard stage: every path, and random events against its promises."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from qserv_py.errors import ChunkQueryError, WorkerUnavailableError
from qserv_py.executor.machine import (
    MAX_ATTEMPTS,
    PAUSES_S,
    Batch,
    BatchFailed,
    BatchFinished,
    Fail,
    Finish,
    Instruction,
    SendBatch,
    StageMachine,
    make_batches,
)

BROKEN = WorkerUnavailableError('worker "w1" broke the connection')
REFUSED = ChunkQueryError('worker "w1" refused a chunk query')


def batches(*workers: int) -> list[Batch]:
    return [Batch(number, f"w{worker}", (number,)) for number, worker in enumerate(workers)]


def sent(instructions: list[Instruction]) -> list[int]:
    return [instruction.batch.number for instruction in instructions if isinstance(instruction, SendBatch)]


def test_nothing_to_do() -> None:
    assert StageMachine([], slots=2).start() == [Finish()]


def test_each_worker_has_its_own_slots() -> None:
    work = batches(0, 0, 0, 1, 1)
    machine = StageMachine(work, slots=1)
    assert sent(machine.start()) == [0, 3]
    assert sent(machine.handle(BatchFinished(work[3]))) == [4]
    assert machine.handle(BatchFinished(work[4])) == []
    assert sent(machine.handle(BatchFinished(work[0]))) == [1]
    assert sent(machine.handle(BatchFinished(work[1]))) == [2]
    assert machine.handle(BatchFinished(work[2])) == [Finish()]
    assert (machine.batches_done, machine.batches_total) == (5, 5)


def test_a_worker_that_went_away_is_asked_again() -> None:
    work = batches(0, 0)
    machine = StageMachine(work, slots=1)
    machine.start()
    for pause in PAUSES_S:
        assert machine.handle(BatchFailed(work[0], BROKEN, rows=0)) == [SendBatch(work[0], after_s=pause)]
    assert machine.handle(BatchFailed(work[0], BROKEN, rows=0)) == [Fail(BROKEN)]


def test_no_second_attempt_after_the_first_row() -> None:
    work = batches(0)
    machine = StageMachine(work, slots=1)
    machine.start()
    assert machine.handle(BatchFailed(work[0], BROKEN, rows=1)) == [Fail(BROKEN)]


def test_an_error_of_the_query_is_final_and_nothing_else_is_waited_for() -> None:
    work = batches(0, 1, 1)
    machine = StageMachine(work, slots=1)
    machine.start()
    assert machine.handle(BatchFailed(work[0], REFUSED, rows=0)) == [Fail(REFUSED)]
    assert (machine.ended, machine.on_the_way) == (True, 1)
    assert machine.handle(BatchFailed(work[1], BROKEN, rows=0)) == []
    assert machine.on_the_way == 0


@given(
    st.lists(st.integers(0, 3), max_size=20),
    st.integers(1, 3),
    st.data(),
)
def test_random_events_keep_the_promises(workers: list[int], slots: int, data: st.DataObject) -> None:
    work = batches(*workers)
    machine = StageMachine(work, slots=slots)
    running: dict[int, Batch] = {}
    attempts: Counter[int] = Counter()
    finished: set[int] = set()
    failed = False
    instructions = machine.start()
    while True:
        for instruction in instructions:
            if isinstance(instruction, SendBatch):
                batch = instruction.batch
                assert not failed, "nothing is sent after a failure"
                assert batch.number not in running
                assert batch.number not in finished
                running[batch.number] = batch
                attempts[batch.number] += 1
        assert all(count <= slots for count in Counter(batch.worker for batch in running.values()).values())
        ends = [instruction for instruction in instructions if isinstance(instruction, (Finish, Fail))]
        if ends:
            break
        assert running, "the machine waits for something that is on its way"
        kind = data.draw(st.sampled_from(["finish", "finish", "finish", "broken", "refused"]))
        batch = running.pop(data.draw(st.sampled_from(sorted(running))))
        if kind == "finish":
            finished.add(batch.number)
            instructions = machine.handle(BatchFinished(batch))
        else:
            rows = data.draw(st.integers(0, 1))
            error = BROKEN if kind == "broken" else REFUSED
            final = kind == "refused" or rows > 0 or attempts[batch.number] >= MAX_ATTEMPTS
            failed = failed or final
            instructions = machine.handle(BatchFailed(batch, error, rows))
    assert len(ends) == 1
    assert machine.on_the_way == len(running)
    for batch in running.values():
        assert machine.handle(BatchFailed(batch, BROKEN, rows=0)) == [], "what comes after the end changes nothing"
    assert machine.on_the_way == 0
    assert all(count <= MAX_ATTEMPTS for count in attempts.values())
    if not failed:
        assert ends == [Finish()]
        assert not running, "it finishes when nothing is on its way"
        assert finished == set(range(len(work)))


@given(
    st.dictionaries(st.integers(0, 5), st.lists(st.integers(0, 10_000), min_size=1, max_size=300, unique=True)),
    st.integers(1, 4),
    st.integers(1, 64),
    st.booleans(),
)
def test_batches_hold_every_chunk_once(chunks: dict[int, list[int]], slots: int, most: int, few_rows: bool) -> None:
    made = make_batches(chunks, slots=slots, most=most, few_rows=few_rows)
    assert [batch.number for batch in made] == list(range(len(made)))
    for worker, expected in chunks.items():
        assert [chunk for batch in made if batch.worker == worker for chunk in batch.chunks] == expected
    assert all(0 < len(batch.chunks) <= (min(most, 4) if few_rows else most) for batch in made)


@given(
    st.lists(st.integers(0, 1000), max_size=200),
    st.integers(1, 4),
    st.integers(1, 64),
    st.integers(1, 3000),
)
def test_batches_make_a_server_keep_few_rows(rows: list[int], slots: int, most: int, most_rows: int) -> None:
    kept = dict(enumerate(rows))
    bounded = make_batches({"w1": range(len(rows))}, slots=slots, most=most, kept_rows=kept, most_rows=most_rows)
    sums = [sum(kept[chunk] for chunk in batch.chunks) for batch in bounded]
    sizes = [len(batch.chunks) for batch in bounded]
    assert [chunk for batch in bounded for chunk in batch.chunks] == list(range(len(rows)))
    largest = [max(most_rows, kept[batch.chunks[0]]) for batch in bounded]
    assert all(total <= most for total, most in zip(sums, largest, strict=True))
    unbounded = make_batches({"w1": range(len(rows))}, slots=slots, most=most)
    size = len(unbounded[0].chunks) if unbounded else 0
    assert all(own <= size for own in sizes)
    first_rows = [kept[batch.chunks[0]] for batch in bounded[1:]]
    for own, total, following in zip(sizes, sums, first_rows, strict=False):
        assert own == size or total + following > most_rows, "no more batches than are needed"
