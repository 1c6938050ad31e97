"""Rows that are placed (``slots.Placing``): in which HEALPix cells each belongs, and which chunks need any of them.

For example, an upload of stars is joined with ``Object`` within 1 arc second. Each star belongs to the cells that the
disc of that radius around it touches. A chunk gets the stars whose cells lie in it; a chunk without any is not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from qserv_py.catalog.chunk import HEALPIX_ORDER
from qserv_py.catalog.snapshot import Catalog, FloatArray, IntArray
from qserv_py.counts import counted
from qserv_py.partitioner.discs import cells_of_discs, order_of_discs
from qserv_py.planner.plan.query_plan import CzarStage, QueryPlan, ShardStage, Stage, values_slots
from qserv_py.planner.plan.slots import CELL_COLUMN, ByKey, ByPosition, ValuesSlot
from qserv_py.planner.sky.chunks import chunk_map, in_both
from qserv_py.planner.writing.written_rows import Cells

CellsOfIds = Callable[[str, str, pa.ChunkedArray, Catalog], IntArray | None]
"""Asks the director index (database, director) for the ``healpix29`` of each id, -1 for an unknown one; None without
an index."""

_SKY_DEG2 = 129_600 / np.pi


@dataclass(frozen=True, eq=False)
class PlacedRows:
    """Rows sorted by cell. A row that belongs to two cells stands here twice, once for each."""

    table: pa.Table
    """The rows in the order in which they came."""

    rows: IntArray
    """Index into ``table`` of the row at each place."""

    cells: Cells

    def part(self, labels: Iterable[str], places: IntArray | slice) -> pa.Table:
        """Return the columns of some of the rows, with ``CELL_COLUMN`` as the last."""
        found = self.table.select(list(labels)).take(pa.array(self.rows[places]))
        return found.append_column(CELL_COLUMN, pa.array(self.cells.sorted[places]))

    def needed_by(self, firsts: IntArray, ends: IntArray) -> IntArray:
        """Return the places of the rows that some chunks need, which are given by their ranges of ``healpix29``."""
        low = np.searchsorted(self.cells.sorted, firsts >> self.cells.shift)
        high = np.searchsorted(self.cells.sorted, (ends - 1) >> self.cells.shift, side="right")
        marks = np.zeros(len(self.cells.sorted) + 1, dtype=np.int64)
        np.add.at(marks, low, 1)
        np.add.at(marks, high, -1)
        return np.flatnonzero(np.cumsum(marks[:-1]))

    def chunks(self, firsts: IntArray, ends: IntArray) -> IntArray:
        """Return which of some chunks need at least one row, as indices into the arguments."""
        low = np.searchsorted(self.cells.sorted, firsts >> self.cells.shift)
        high = np.searchsorted(self.cells.sorted, (ends - 1) >> self.cells.shift, side="right")
        return np.flatnonzero(high > low)


def place_rows(slot: ValuesSlot, table: pa.Table, catalog: Catalog, cells_of_ids: CellsOfIds) -> PlacedRows | None:
    """Return the rows of a slot by the cells where chunks need them; None when every chunk needs all rows."""
    match slot.placing:
        case ByPosition() as placing:
            rows, cells, order = _by_position(placing, table, catalog)
        case ByKey() as placing:
            found = cells_of_ids(placing.database, placing.director, table.column(placing.column), catalog)
            if found is None:
                return None
            rows, order = np.flatnonzero(found >= 0), HEALPIX_ORDER
            cells = found[rows]
        case None:
            return None
    by_cell = np.argsort(cells, kind="stable")
    return PlacedRows(table, rows[by_cell], Cells(order, cells[by_cell]))


def narrowed(stage: ShardStage, placed: Mapping[ValuesSlot, PlacedRows], catalog: Catalog) -> ShardStage:
    """Return a stage cut down to the chunks that have a part of all rows that the answer needs.

    A single chunk stays: its statement may make the whole answer, and COUNT(*) over no rows is one row.
    """
    if stage.family is None or len(stage.chunks) <= 1:
        return stage
    known = chunk_map(catalog.families[stage.family])
    chunks, notes = stage.chunks, list(stage.notes)
    for slot, found in placed.items():
        if slot.narrows:
            kept = chunks[found.chunks(known.firsts[chunks], known.ends[chunks])]
            notes.append(f"rows of {slot.stage}: {len(kept)} of {counted(len(chunks), 'chunk')} kept")
            chunks = in_both(chunks, kept)
    return replace(stage, chunks=chunks, notes=tuple(notes))


def narrowed_plan(plan: QueryPlan, held: Mapping[str, pa.Table], cells_of_ids: CellsOfIds) -> QueryPlan:
    """Return a plan without the chunks that no row of the tables held by the czar needs."""
    tables = {stage.name: held[stage.table.qualified] for stage in plan.stages if isinstance(stage, CzarStage)}
    stages: list[Stage] = []
    for stage in plan.stages:
        if isinstance(stage, ShardStage):
            found = {
                slot: place_rows(slot, tables[slot.stage], plan.catalog, cells_of_ids)
                for slot in values_slots(stage)
                if slot.stage in tables and slot.narrows
            }
            known = {slot: placed for slot, placed in found.items() if placed is not None}
            stages.append(narrowed(stage, known, plan.catalog))
        else:
            stages.append(stage)
    return replace(plan, stages=tuple(stages))


def _by_position(placing: ByPosition, table: pa.Table, catalog: Catalog) -> tuple[IntArray, IntArray, int]:
    radius: FloatArray | float
    if isinstance(placing.radius, str):
        radius = _numbers(table.column(placing.radius))
        largest = float(np.nanmax(radius, initial=0.0))
    else:
        radius = largest = placing.radius
    order = order_of_discs(max(largest, 0.0), per_deg2=_density(placing, catalog))
    rows, cells = cells_of_discs(
        _numbers(table.column(placing.ra)), _numbers(table.column(placing.dec)), radius, order=order
    )
    return rows, cells, order


def _density(placing: ByPosition, catalog: Catalog) -> float:
    """Return how many rows of the director there are in a square degree, on average."""
    database = next(one for one in catalog.databases if one.name == placing.database)
    snapshot = catalog.snapshot_of(placing.database, placing.director)
    if snapshot is None or not len(snapshot.chunks):
        return 0.0
    orders = catalog.families[database.family.name].orders[snapshot.chunks]
    return snapshot.total_rows / float((_SKY_DEG2 / 12 / 4.0**orders).sum())


def _numbers(column: pa.ChunkedArray) -> FloatArray:
    """Return a column as numbers, NaN for NULL."""
    numbers: FloatArray = column.cast(pa.float64(), safe=False).to_numpy()
    return numbers
