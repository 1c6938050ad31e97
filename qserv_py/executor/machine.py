"""The life of one shard stage as a state machine: events in, instructions out, no I/O.

``runner`` does what the instructions say and reports what happened. Order, retries and ends are decided here, so they
are tested without servers. A reader who wants no more rows is no event here: ``runner`` ends the statements then.

For example, with two batches for worker w1 and one slot, ``start()`` returns ``SendBatch`` of the first. After its
``BatchFinished`` the machine returns ``SendBatch`` of the second, and after the second's ``BatchFinished`` it returns
``Finish``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qserv_py.errors import QservError

PAUSES_S = (0.1, 0.3, 1.0, 2.0, 4.0)
"""Seconds before each further attempt to send a batch of chunk queries to a worker that went away.

A server that is restarted is there again after 0.2 to 3 s; after the last attempt the query fails.
"""

MAX_ATTEMPTS = 1 + len(PAUSES_S)
"""How often a batch is sent."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Chunk queries that travel to one worker as one statement."""

    number: int
    worker: str
    chunks: tuple[int, ...]
    """Indices of the chunks; empty for a statement that reads only ref tables."""


@dataclass(frozen=True, slots=True)
class BatchFinished:
    """All rows of a batch have arrived."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class BatchFailed:
    """A batch ended with an error."""

    batch: Batch
    error: QservError
    rows: int
    """Rows that had arrived before; after the first one a batch cannot be repeated."""


Event = BatchFinished | BatchFailed


@dataclass(frozen=True, slots=True)
class SendBatch:
    """Send a batch to its worker."""

    batch: Batch
    after_s: float = 0.0
    """Seconds to wait before; the batch has its place on the worker while it waits."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The stage is done; nothing is on its way."""


@dataclass(frozen=True, slots=True)
class Fail:
    """The stage failed; rows that are still on their way are to be thrown away."""

    error: QservError


Instruction = SendBatch | Finish | Fail


class StageMachine:
    """Decides what to send when.

    Parameters
    ----------
    batches
        All work of the stage.
    slots
        Statements that one worker runs at a time.
    """

    def __init__(self, batches: Sequence[Batch], *, slots: int) -> None:
        self._waiting: dict[str, deque[Batch]] = {}
        for batch in batches:
            self._waiting.setdefault(batch.worker, deque()).append(batch)
        self._free = dict.fromkeys(self._waiting, slots)
        self._attempts: dict[int, int] = {}
        self.on_the_way = 0
        """Batches that were sent and have not arrived."""

        self.ended = False
        """Whether the last instruction was Finish or Fail."""

        self.batches_done = 0
        self.batches_total = len(batches)

    def start(self) -> list[Instruction]:
        """Return the first instructions."""
        return self._send_all() or [self._end(Finish())]

    def handle(self, event: Event) -> list[Instruction]:
        """Return what to do after an event."""
        batch = event.batch
        self.on_the_way -= 1
        self._free[batch.worker] += 1
        if self.ended:
            return []
        if isinstance(event, BatchFailed):
            return self._failed(event)
        self.batches_done += 1
        return self._go_on(batch.worker)

    def _failed(self, event: BatchFailed) -> list[Instruction]:
        batch = event.batch
        attempts = self._attempts.get(batch.number, 1)
        if event.error.retryable and event.rows == 0 and attempts < MAX_ATTEMPTS:
            self._attempts[batch.number] = attempts + 1
            self._free[batch.worker] -= 1
            self.on_the_way += 1
            return [SendBatch(batch, after_s=PAUSES_S[attempts - 1])]
        return [self._end(Fail(event.error))]

    def _go_on(self, worker: str) -> list[Instruction]:
        sent = self._send(worker)
        if sent:
            return sent
        return [] if self.on_the_way or any(self._waiting.values()) else [self._end(Finish())]

    def _end(self, instruction: Instruction) -> Instruction:
        self.ended = True
        return instruction

    def _send_all(self) -> list[Instruction]:
        return [instruction for worker in self._waiting for instruction in self._send(worker)]

    def _send(self, worker: str) -> list[Instruction]:
        sent: list[Instruction] = []
        while self._free[worker] and self._waiting[worker]:
            self._free[worker] -= 1
            self.on_the_way += 1
            sent.append(SendBatch(self._waiting[worker].popleft()))
        return sent


def make_batches(
    chunks_by_worker: Mapping[str, Sequence[int]],
    *,
    slots: int,
    most: int,
    few_rows: bool = False,
    kept_rows: Mapping[int, int] | None = None,
    most_rows: int = 0,
) -> list[Batch]:
    """Divide the chunks of a stage into batches.

    Parameters
    ----------
    chunks_by_worker
        Chunk indices of each worker, by its name.
    slots
        Statements that one worker runs at a time; each gets a few batches, so that a slow one does not hold up the
        rest.
    most
        Chunks of a batch at the most.
    few_rows
        Whether the first rows may be all that is wanted: then batches are small.
    kept_rows
        Rows that a server keeps of each chunk until the statement of its batch ends, by the chunk's index.
    most_rows
        Those of a batch at the most, unless one chunk alone has more.
    """
    batches: list[tuple[str, list[int]]] = []
    for worker, chunks in chunks_by_worker.items():
        size = max(1, min(most, -(-len(chunks) // (slots * 3))))
        size = min(size, 4) if few_rows else size
        room, rows_left = 0, 0
        for chunk in chunks:
            rows = kept_rows[chunk] if kept_rows else 0
            if room == 0 or rows > rows_left:
                batches.append((worker, []))
                room, rows_left = size, max(most_rows, rows)
            batches[-1][1].append(chunk)
            room, rows_left = room - 1, rows_left - rows
    return [Batch(number, worker, tuple(chunks)) for number, (worker, chunks) in enumerate(batches)]
