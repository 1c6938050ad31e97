"""Rows that chunk queries need besides their chunk: of earlier stages, of tables that the czar holds.

Few rows are written into the text of the statements. More are copied once to each worker that runs a statement of the
stage, into scratch relations (``workers.scratch``); they go when the query ends, however it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, wait

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.catalog.snapshot import Catalog
from qserv_py.catalog.types import DataType
from qserv_py.planner.fill import StageRows, Written, write_rows
from qserv_py.planner.plan import ShardStage, StageColumn, ValuesForm, ValuesSlot, values_slots
from qserv_py.planner.sql_text import quoted
from qserv_py.workers.copy_binary import CopyColumn
from qserv_py.workers.scratch import SCRATCH_SCHEMA, ScratchStore, new_name

MAX_TEXT_VALUES = 1_000
"""Values of one relation that are written into the statements; more are copied to the workers.

Measured with benchmarks/uploads.py: below it a join over 108 chunks takes as long either way, and one over few chunks is
spared the 5 to 10 ms of a copy; at 6,000 values text takes 268 ms, a copy 164.
"""


class SentRows:
    """The rows that one query sends to the workers.

    Parameters
    ----------
    stores
        The scratch relations of each worker, in the order of ``Catalog.workers``.
    number
        Number that begins the names of scratch relations.
    threads
        Runs the copies to several workers side by side.
    cancelled
        Whether the query was cancelled.
    """

    def __init__(
        self, stores: Sequence[ScratchStore], *, number: int, threads: Executor, cancelled: Callable[[], bool]
    ) -> None:
        self._stores = stores
        self._number = number
        self._threads = threads
        self._cancelled = cancelled
        self._made: dict[int, list[str]] = {}

    def written(self, stage: ShardStage, catalog: Catalog, tables: Mapping[str, pa.Table]) -> Written:
        """Return the rows that a stage reads as SQL, after the workers have what is not in its text.

        Parameters
        ----------
        stage
            The stage, with the chunks that will be asked.
        catalog
            The catalogue that the plan was made with.
        tables
            The rows of the stages that it reads.

        Raises
        ------
        LimitError
            If the rows are more than a worker may hold for queries.
        QueryCancelledError
            If the query was cancelled.
        """
        workers = _workers_of(stage, catalog)
        return write_rows(
            stage, {slot: self._sent(slot, _rows_of(slot, tables[slot.stage]), workers) for slot in values_slots(stage)}
        )

    def drop(self) -> None:
        """Remove what was copied to the workers; returns at once."""
        made, self._made = self._made, {}
        for worker, names in made.items():
            self._threads.submit(self._stores[worker].drop, names)

    def _sent(self, slot: ValuesSlot, rows: pa.Table, workers: Iterable[int]) -> StageRows | str:
        small = rows.num_rows * rows.num_columns <= MAX_TEXT_VALUES
        has_bytes = any(column.type is DataType.BINARY for column in slot.columns)
        if slot.form in {ValuesForm.SCALAR, ValuesForm.EXISTS} or not rows.num_rows or (small and not has_bytes):
            return _as_values(rows, slot.columns)
        name = new_name(self._number)
        columns = [CopyColumn(column.label, column.type) for column in slot.columns]
        index = slot.index or None
        if index is not None:
            rows = rows.sort_by(index)
        copies = []
        for worker in workers:
            self._made.setdefault(worker, []).append(name)
            store = self._stores[worker]
            copies.append(self._threads.submit(store.put, name, rows, columns, index=index, cancelled=self._cancelled))
        wait(copies)
        for copy in copies:
            copy.result()
        return f"{quoted(SCRATCH_SCHEMA)}.{quoted(name)}"


def _workers_of(stage: ShardStage, catalog: Catalog) -> list[int]:
    """Return the workers that run a statement of the stage, as indices."""
    if stage.family is None:
        return [0]
    found: list[int] = np.unique(catalog.families[stage.family].workers[stage.chunks]).tolist()
    return found


def _rows_of(slot: ValuesSlot, table: pa.Table) -> pa.Table:
    """Return the rows that a slot needs: its columns, a list without repetitions."""
    rows = table.select([column.label for column in slot.columns])
    if slot.form is ValuesForm.LIST:
        return pa.table({slot.columns[0].label: pc.unique(rows.column(0))})
    return rows.slice(0, 2) if slot.form in {ValuesForm.SCALAR, ValuesForm.EXISTS} else rows


def _as_values(rows: pa.Table, columns: Sequence[StageColumn]) -> StageRows:
    return StageRows(tuple(_values(rows.column(column.label), column) for column in columns))


def _values(column: pa.ChunkedArray, about: StageColumn) -> tuple[bool | int | float | str | None, ...]:
    if about.type is DataType.TIMESTAMP:
        column = column.cast(pa.string())
    return tuple(column.to_pylist())
