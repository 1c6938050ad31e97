"""A running query: what everybody who works for it, waits for it or wants it to end has in common."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from qserv_py.cancelling import Cancel
from qserv_py.czar.identity.identity import Identity
from qserv_py.errors import LimitError
from qserv_py.executor.budget import Account
from qserv_py.executor.runner import Progress
from qserv_py.executor.turns import Priority
from qserv_py.planner.plan.query_plan import QueryPlan, ShardStage
from qserv_py.planner.plan.slots import RelationSlot

MOST_CHUNKS_OF_LOOK_UP = 10
"""Chunk queries of a query that counts as a look-up; Qserv's limit of interactive queries, too."""


class QueryKind(StrEnum):
    """Which front door a query came through."""

    SYNC = "SYNC"
    """Somebody waits for the reply of a service."""

    JOB = "JOB"
    LOCAL = "LOCAL"
    """A connection of this machine."""


class QueryPhase(StrEnum):
    """How far a query is."""

    WAITING = "WAITING"
    """For its turn, or for its plan."""

    RUNNING = "RUNNING"


@dataclass(slots=True)
class QueryStats:
    """Figures of one query; complete when its rows have been read."""

    chunks: int
    """Chunk queries asked for."""

    chunks_total: int
    """Chunks that the query's tables have."""

    rows: int = 0
    overflow: bool = False
    """Whether rows beyond ``maxrec`` were left out."""

    planning_s: float = 0.0
    seconds: float = 0.0
    """From the start of planning to the last row."""


@dataclass(slots=True, weakref_slot=True, kw_only=True, eq=False)
class RunningQuery:
    """One query; ``Queries.make`` makes it."""

    id: str
    identity: Identity
    """Who asks."""

    kind: QueryKind
    text: str
    rows_held: Account
    """Bytes of the rows that are kept in memory for it, those of tables that come along among them."""

    cancel: Cancel
    """Ends everything that works for it, and the waiting."""

    longest_s: float | None = None
    """Seconds that it may run; None for any."""

    late: LimitError | None = None
    """What it ends with after that."""

    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    begun: float = field(default_factory=time.monotonic)
    bytes: int = 0
    """Of the written result, so far."""

    _uploaded: int = 0
    """Bytes of the tables that came along."""

    plan: QueryPlan | None = None
    stats: QueryStats = field(default_factory=lambda: QueryStats(chunks=0, chunks_total=0))
    _stages: dict[str, Progress] = field(default_factory=dict)
    end_reading: Callable[[], object] = lambda: None
    """Lets go of the snapshots that it reads; also called when nobody has the query any more."""

    @property
    def priority(self) -> Priority:
        """How urgent it is; a query that has not been planned may turn out to be a look-up."""
        if self.kind is QueryKind.JOB:
            return Priority.JOB
        return Priority.LOOK_UP if self.plan is not None and _is_look_up(self.plan) else Priority.SCAN

    @property
    def phase(self) -> QueryPhase:
        """How far it is."""
        return QueryPhase.WAITING if self.plan is None else QueryPhase.RUNNING

    @property
    def snapshots(self) -> Mapping[str, int]:
        """The snapshots that it reads, by the names of the databases; none until it has been planned."""
        if self.plan is None:
            return {}
        stages = (stage for stage in self.plan.stages if isinstance(stage, ShardStage))
        known = self.plan.catalog.snapshots
        names = sorted({slot.table.database for stage in stages for slot in _relations(stage)} & known.keys())
        return {name: known[name].number for name in names}

    @property
    def chunks(self) -> tuple[int, int]:
        """Chunk queries that are done, and in all."""
        done = sum(progress.chunks_done for progress in list(self._stages.values()))
        return done, max(done, self.stats.chunks)

    @property
    def rows(self) -> int:
        """Rows so far."""
        return self.stats.rows

    def hold_upload(self, size: int) -> None:
        """Count the bytes of a table that came along; LimitError if they are too many."""
        self.rows_held.take(size)
        self._uploaded += size

    def forget_uploads(self) -> None:
        """Give back what the tables that came along took."""
        uploaded, self._uploaded = self._uploaded, 0
        self.rows_held.give_back(uploaded)

    def noting(self, on_progress: Callable[[Progress], None] | None) -> Callable[[Progress], None]:
        """Return what is told of the query's progress, and passes it on."""

        def note(progress: Progress) -> None:
            self._stages[progress.stage] = progress
            if on_progress is not None:
                on_progress(progress)

        return note


def _is_look_up(plan: QueryPlan) -> bool:
    """Whether a plan asks few chunks, and joins no tables without any: nothing bounds what such a join does."""
    joins_whole_tables = any(
        isinstance(stage, ShardStage) and stage.family is None and len(_relations(stage)) > 1 for stage in plan.stages
    )
    return plan.chunks <= MOST_CHUNKS_OF_LOOK_UP and not joins_whole_tables


def _relations(stage: ShardStage) -> list[RelationSlot]:
    """Return where the tables stand in a stage's statements."""
    return [piece for piece in stage.template.pieces if isinstance(piece, RelationSlot)]
