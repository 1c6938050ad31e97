"""What a plan will read, from the registry's counts, and warnings of shapes that are slow on any large catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qserv_py.catalog.snapshot import TableSnapshot
from qserv_py.planner.plan.query_plan import QueryPlan, ShardStage
from qserv_py.planner.plan.slots import RelationSlot

MANY_ROWS = 10_000_000
"""Rows from which reading all of a table is worth a warning."""


@dataclass(frozen=True, slots=True)
class TableRead:
    """What a stage reads of one table: an upper bound, as no condition but those on chunks is counted."""

    table: str
    rows: int
    bytes: int
    """Of the parts."""


def reads_of(stage: ShardStage, plan: QueryPlan) -> list[TableRead]:
    """Return what a stage reads, table by table."""
    found = []
    for slot in stage.template.pieces:
        if isinstance(slot, RelationSlot):
            snapshot = plan.catalog.snapshot_of(slot.table.database, slot.table.name)
            if snapshot is not None:
                found.append(_read(slot, snapshot, stage))
    return found


def _read(slot: RelationSlot, snapshot: TableSnapshot, stage: ShardStage) -> TableRead:
    rows = snapshot.total_rows
    if slot.table.is_partitioned:
        places = np.searchsorted(snapshot.chunks, stage.chunks)
        inside = places < len(snapshot.chunks)
        places, wanted = places[inside], stage.chunks[inside]
        rows = int(snapshot.rows[places[snapshot.chunks[places] == wanted]].sum())
    share = rows / snapshot.total_rows if snapshot.total_rows else 0.0
    return TableRead(slot.table.qualified, rows, int(snapshot.total_bytes * share))


def warnings_of(plan: QueryPlan) -> Iterator[str]:
    """Yield what makes a plan slow on a large catalogue, and what would help."""
    for stage in plan.stages:
        if not isinstance(stage, ShardStage):
            continue
        rows = max((read.rows for read in reads_of(stage, plan)), default=0)
        if rows < MANY_ROWS:
            continue
        if stage.exchange is not None:
            if stage.exchange.rows >= MANY_ROWS:
                yield (
                    f"stage {stage.name} sends about {stage.exchange.rows:,} rows of {stage.moves} to other chunks; "
                    "a smaller radius or a place sends fewer"
                )
        elif stage.moves:
            yield f"stage {stage.name} brings up to {rows:,} rows of {stage.moves} to the czar; a place cuts them"
        elif not stage.notes and stage.row_limit is None:
            yield f"stage {stage.name} reads all chunks, {rows:,} rows; a place or an id would prune them"
