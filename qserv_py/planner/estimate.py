"""What a plan will read, from the registry's counts, and warnings of shapes that are slow on any large catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qserv_py.adql.tree import Aggregate, Query, QuerySource, Select, SetQuery, Window
from qserv_py.adql.walks import blocks, parts
from qserv_py.catalog.snapshot import Catalog, IntArray, TableSnapshot
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
        rows = int(_rows_by_chunk(snapshot, stage.chunks).sum())
    share = rows / snapshot.total_rows if snapshot.total_rows else 0.0
    return TableRead(slot.table.qualified, rows, int(snapshot.total_bytes * share))


def _rows_by_chunk(snapshot: TableSnapshot, chunks: IntArray) -> IntArray:
    """Return the rows of a table in each of some chunks, 0 where it has none."""
    rows = np.zeros(len(chunks), dtype=np.int64)
    if len(snapshot.chunks):
        places = np.minimum(np.searchsorted(snapshot.chunks, chunks), len(snapshot.chunks) - 1)
        found = snapshot.chunks[places] == chunks
        rows[found] = snapshot.rows[places[found]]
    return rows


def kept_rows(stage: ShardStage, catalog: Catalog) -> IntArray:
    """Return how many rows a server keeps of each chunk until a stage's statement ends: an upper bound, shape (n,).

    A chunk query that sorts, hashes or joins keeps rows of all that it reads, a join those of ref tables, too; one that
    only reads on keeps none.
    """
    rows = np.zeros(len(stage.chunks), dtype=np.int64)
    if not _keeps_rows(stage.select):
        return rows
    for slot in stage.template.pieces:
        if isinstance(slot, RelationSlot):
            snapshot = catalog.snapshot_of(slot.table.database, slot.table.name)
            if snapshot is not None:
                is_partitioned = slot.table.is_partitioned
                rows += _rows_by_chunk(snapshot, stage.chunks) if is_partitioned else snapshot.total_rows
    return rows


def _keeps_rows(select: Select) -> bool:
    found = blocks(select)
    sources = [source for block in found if isinstance(block, Select) for source in block.sources]
    is_joined = sum(not isinstance(source, QuerySource) for source in sources) > 1
    return is_joined or any(_sorts_or_hashes(block) for block in found)


def _sorts_or_hashes(block: Query) -> bool:
    if isinstance(block, SetQuery):
        return True
    ordered = bool(block.order_by) and block.top is None  # the first few rows are kept in a small heap
    sorting = any(isinstance(part, Window) or (isinstance(part, Aggregate) and part.distinct) for part in parts(block))
    return bool(block.group_by) or block.distinct or ordered or sorting


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
