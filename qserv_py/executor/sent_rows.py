"""Rows that chunk queries read besides those of their chunk: results of earlier stages, uploads, tables of the czar.

Few rows are written into the text of the statements. More are copied once to each worker that runs a statement of the
stage, into scratch relations (``workers.scratch``); they go when the query ends, however it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, wait
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.cancelling import Cancel
from qserv_py.catalog.snapshot import Catalog
from qserv_py.catalog.types import DataType
from qserv_py.executor.budget import Account
from qserv_py.executor.placed_rows import CellsOfIds, PlacedRows, narrowed, place_rows
from qserv_py.planner.plan.query_plan import ShardStage, values_slots
from qserv_py.planner.plan.slots import CELL_COLUMN, StageColumn, ValuesForm, ValuesSlot
from qserv_py.planner.sky.chunks import chunk_map
from qserv_py.planner.writing.dialects import POSTGRES, Value
from qserv_py.planner.writing.written_rows import Cells, StageRows, Written, write_rows
from qserv_py.workers.copy_binary import CopyColumn
from qserv_py.workers.scratch import SCRATCH_SCHEMA, ScratchStore, new_name

MAX_TEXT_VALUES = 1_000
"""Values of one relation that are written into the statements; more are copied to the workers.

Measured with benchmarks/uploads.py: below it a join over 108 chunks takes as long either way, and one over few chunks
is spared the 5 to 10 ms of a copy; at 6,000 values text takes 268 ms, a copy 164.
"""


class SentRows:
    """The rows that one query sends to the workers.

    Parameters
    ----------
    stores
        The scratch relations of a worker, by its name.
    number
        Number of this process; the names of its scratch relations begin with it.
    threads
        Runs the copies to several workers side by side.
    cells_of_ids
        Asks the director index.
    account
        Counts the bytes of the copies that are being sent.
    cancel
        Says when the query is to end.
    """

    def __init__(
        self,
        stores: Callable[[str], ScratchStore],
        *,
        number: int,
        threads: Executor,
        cells_of_ids: CellsOfIds,
        account: Account,
        cancel: Cancel,
    ) -> None:
        self._stores = stores
        self._number = number
        self._threads = threads
        self._cells_of_ids = cells_of_ids
        self._account = account
        self._cancel = cancel
        self._made: dict[str, list[str]] = {}

    def send(self, stage: ShardStage, catalog: Catalog, tables: Mapping[str, pa.Table]) -> tuple[ShardStage, Written]:
        """Send the rows that a stage reads to the workers.

        Parameters
        ----------
        stage
            The stage.
        catalog
            The catalogue that the plan was made with.
        tables
            The rows of the stages that it reads.

        Returns
        -------
        stage
            Cut down to the chunks that have a part of the rows, where the answer needs them.
        written
            The rows as SQL.

        Raises
        ------
        LimitError
            If the rows are more than a worker may hold for queries.
        QueryCancelledError
            If the query was cancelled.
        """
        slots = values_slots(stage)
        if not slots:
            return stage, Written({})
        found = {slot: place_rows(slot, tables[slot.stage], catalog, self._cells_of_ids) for slot in slots}
        placed = {slot: rows for slot, rows in found.items() if rows is not None}
        stage = narrowed(stage, placed, catalog)
        sent: dict[ValuesSlot, StageRows | str] = {}
        cells: dict[ValuesSlot, Cells] = {}
        for slot in slots:
            rows = _rows_of(slot, tables[slot.stage])
            if slot in placed and not (slot.form is ValuesForm.LIST and _is_small(slot, rows)):
                cells[slot] = placed[slot].cells
                sent[slot] = self._send_placed(slot, placed[slot], stage, catalog)
            elif slot.form in {ValuesForm.SCALAR, ValuesForm.EXISTS} or _is_small(slot, rows):
                sent[slot] = _as_values(rows, slot.columns)
            else:
                sent[slot] = self._copy(slot, dict.fromkeys(_workers_of(stage, catalog), rows), slot.index)
        return stage, write_rows(stage, sent, cells)

    def drop(self) -> None:
        """Remove what was copied to the workers; returns at once."""
        made, self._made = self._made, {}
        with suppress(RuntimeError):  # the session is being closed, which drops what is left
            for worker, names in made.items():
                self._threads.submit(self._stores(worker).drop, names)

    def _send_placed(
        self, slot: ValuesSlot, placed: PlacedRows, stage: ShardStage, catalog: Catalog
    ) -> StageRows | str:
        """Send to each worker the rows that its chunks need, in the order of their cells."""
        assert stage.family is not None
        labels = [column.label for column in slot.columns]
        state = catalog.families[stage.family]
        known = chunk_map(state)
        parts = {}
        for worker, chunks in state.by_worker(stage.chunks).items():
            parts[worker] = placed.needed_by(known.firsts[chunks], known.ends[chunks])
        needed = np.unique(np.concatenate(list(parts.values()))) if parts else np.empty(0, dtype=np.int64)
        if len(needed) * (len(labels) + 1) <= MAX_TEXT_VALUES and not _has_bytes(slot):
            return _as_values(placed.part(labels, needed), (*slot.columns, _CELL))
        return self._copy(
            replace(slot, columns=(*slot.columns, _CELL)),
            {worker: placed.part(labels, places) for worker, places in parts.items()},
            CELL_COLUMN,
        )

    def _copy(self, slot: ValuesSlot, parts: Mapping[str, pa.Table], index: str) -> str:
        """Copy rows into a scratch relation on each worker; return its SQL name.

        Sorted rows, and those of each worker, stand in memory beside the ones that they were made of.
        """
        name = new_name(self._number)
        columns = [CopyColumn(column.label, column.type) for column in slot.columns]
        different = {id(rows): rows for rows in parts.values()}
        size = sum(rows.nbytes for rows in different.values())
        self._account.take(size, cancel=self._cancel)
        try:
            if slot.index:
                different = {key: rows.sort_by(slot.index) for key, rows in different.items()}
            copies = []
            for worker, rows in parts.items():
                self._made.setdefault(worker, []).append(name)
                put, sent = self._stores(worker).put, different[id(rows)]
                copies.append(self._threads.submit(put, name, sent, columns, index=index or None, cancel=self._cancel))
            wait(copies)
            for copy in copies:
                copy.result()
        finally:
            self._account.give_back(size)
        return POSTGRES.relation(SCRATCH_SCHEMA, name)


_CELL = StageColumn(label=CELL_COLUMN, type=DataType.LONG)


def _workers_of(stage: ShardStage, catalog: Catalog) -> list[str]:
    """Return the names of the workers that run a statement of the stage."""
    if stage.family is None:
        return [catalog.any_worker]
    return list(catalog.families[stage.family].by_worker(stage.chunks))


def _is_small(slot: ValuesSlot, rows: pa.Table) -> bool:
    """Whether rows are written into the statements."""
    return not rows.num_rows or (rows.num_rows * rows.num_columns <= MAX_TEXT_VALUES and not _has_bytes(slot))


def _has_bytes(slot: ValuesSlot) -> bool:
    return any(column.type is DataType.BINARY for column in slot.columns)


def _rows_of(slot: ValuesSlot, table: pa.Table) -> pa.Table:
    """Return the rows that a slot needs: the columns that it reads, and of a list (``IN``) each value once."""
    rows = table.select([column.label for column in slot.columns])
    if slot.form is ValuesForm.LIST:
        return pa.table({slot.columns[0].label: pc.unique(rows.column(0))})
    return rows.slice(0, 2) if slot.form in {ValuesForm.SCALAR, ValuesForm.EXISTS} else rows


def _as_values(rows: pa.Table, columns: Sequence[StageColumn]) -> StageRows:
    return StageRows(tuple(_values(rows.column(column.label), column) for column in columns))


def _values(column: pa.ChunkedArray, about: StageColumn) -> tuple[Value, ...]:
    if about.type is DataType.TIMESTAMP:
        column = column.cast(pa.string())
    return tuple(column.to_pylist())
