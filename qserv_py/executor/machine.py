"""The life of one shard stage as a state machine: events in, instructions out, no I/O.

``runner`` does what the instructions say and reports what happened. Retries, cancelling and early ends are decided
here, so they are tested without servers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from qserv_py.errors import QservError, QueryCancelledError

MAX_ATTEMPTS = 3
"""Times that a batch of chunk queries is sent before its failure is the query's."""


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


@dataclass(frozen=True, slots=True)
class EnoughRows:
    """The reader needs no more rows."""


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """The reader went away."""


Event = BatchFinished | BatchFailed | EnoughRows | CancelRequested


@dataclass(frozen=True, slots=True)
class SendBatch:
    """Send a batch to its worker."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class CancelRunning:
    """Cancel every statement on its way."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The stage is done; nothing is on its way."""


@dataclass(frozen=True, slots=True)
class Fail:
    """The stage failed; nothing is on its way."""

    error: QservError


Instruction = SendBatch | CancelRunning | Finish | Fail


class _State(Enum):
    RUNNING = auto()
    STOPPING = auto()
    """Cancelled, or failed: waiting for the statements on their way to end."""
    ENDED = auto()


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
        self._on_the_way = 0
        self._state = _State.RUNNING
        self._error: QservError | None = None
        self.batches_done = 0
        self.batches_total = len(batches)

    @property
    def ended(self) -> bool:
        """Whether the last instruction was Finish or Fail."""
        return self._state is _State.ENDED

    def start(self) -> list[Instruction]:
        """Return the first instructions."""
        return self._send_all() or [self._end()]

    def handle(self, event: Event) -> list[Instruction]:
        """Return what to do after an event."""
        match event:
            case BatchFinished(batch=batch):
                self._arrived(batch)
                self.batches_done += 1
                return self._go_on(batch.worker)
            case BatchFailed(batch=batch):
                self._arrived(batch)
                return self._failed(event)
            case EnoughRows():
                return self._stop(None)
            case CancelRequested():
                return self._stop(QueryCancelledError("the query was cancelled"))

    def _failed(self, event: BatchFailed) -> list[Instruction]:
        batch = event.batch
        if self._state is not _State.RUNNING:
            return self._go_on(batch.worker)
        attempts = self._attempts.get(batch.number, 1)
        if event.error.retryable and event.rows == 0 and attempts < MAX_ATTEMPTS:
            self._attempts[batch.number] = attempts + 1
            self._waiting[batch.worker].appendleft(batch)
            return self._go_on(batch.worker)
        return self._stop(event.error)

    def _arrived(self, batch: Batch) -> None:
        self._on_the_way -= 1
        self._free[batch.worker] += 1

    def _go_on(self, worker: str) -> list[Instruction]:
        if self._state is _State.RUNNING:
            sent = self._send(worker)
            if sent:
                return sent
        nothing_waits = self._state is _State.STOPPING or not any(self._waiting.values())
        return [self._end()] if nothing_waits and not self._on_the_way else []

    def _stop(self, error: QservError | None) -> list[Instruction]:
        if self._state is not _State.RUNNING:
            return []
        self._state = _State.STOPPING
        self._error = error
        return [CancelRunning()] if self._on_the_way else [self._end()]

    def _end(self) -> Instruction:
        self._state = _State.ENDED
        return Fail(self._error) if self._error is not None else Finish()

    def _send_all(self) -> list[Instruction]:
        return [instruction for worker in self._waiting for instruction in self._send(worker)]

    def _send(self, worker: str) -> list[Instruction]:
        sent: list[Instruction] = []
        while self._free[worker] and self._waiting[worker]:
            self._free[worker] -= 1
            self._on_the_way += 1
            sent.append(SendBatch(self._waiting[worker].popleft()))
        return sent


def make_batches(
    chunks_by_worker: Mapping[str, Sequence[int]], *, slots: int, most: int, few_rows: bool = False
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
    """
    batches: list[Batch] = []
    for worker, chunks in chunks_by_worker.items():
        size = max(1, min(most, -(-len(chunks) // (slots * 3))))
        size = min(size, 4) if few_rows else size
        for start in range(0, len(chunks), size):
            batches.append(Batch(0, worker, tuple(chunks[start : start + size])))
    return [Batch(number, batch.worker, batch.chunks) for number, batch in enumerate(batches)]
