"""The rows that a stage reads of earlier ones, as SQL of its statements: values, lists, relations, scratch tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from qserv_py.catalog.chunk import HEALPIX_ORDER, ChunkId
from qserv_py.catalog.snapshot import IntArray
from qserv_py.catalog.types import DataType
from qserv_py.errors import EvaluationError
from qserv_py.planner.plan.query_plan import ShardStage, values_slots
from qserv_py.planner.plan.slots import CELL_COLUMN, StageColumn, ValuesForm, ValuesSlot
from qserv_py.planner.writing.dialects import POSTGRES, Dialect, Value, quoted

MAX_IN_PLACE = 50
"""Rows of an earlier stage that are written into each chunk query; more stand once before all of them."""


@dataclass(frozen=True, slots=True)
class StageRows:
    """The rows of an earlier stage, column by column, for a ``ValuesSlot``."""

    columns: tuple[tuple[Value, ...], ...]

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(self.columns[0]) if self.columns else 0


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of placed rows."""

    order: int
    sorted: IntArray
    """The cell of each row, ascending."""

    @property
    def shift(self) -> int:
        """Bits between a cell of this order and one of order 29."""
        return 2 * (HEALPIX_ORDER - self.order)

    def around(self, chunk: ChunkId) -> tuple[int, int]:
        """Return the first and the last cell that a chunk shares anything with."""
        return chunk.first >> self.shift, (chunk.end - 1) >> self.shift

    def rows_of(self, chunk: ChunkId) -> int:
        """Return how many rows a chunk needs."""
        low, high = self.around(chunk)
        return int(np.searchsorted(self.sorted, high, side="right") - np.searchsorted(self.sorted, low))


@dataclass(frozen=True, slots=True)
class Written:
    """The rows of earlier stages as SQL for one stage."""

    slots: Mapping[ValuesSlot, str]
    prefix: str = ""
    """WITH and the long lists, once in a statement of many chunk queries; empty without long lists."""

    cells: Mapping[ValuesSlot, Cells] = field(default_factory=dict)
    """Of the rows that are placed: their SQL is a relation with ``CELL_COLUMN``, of which a chunk reads its part."""


def write_rows(
    stage: ShardStage, rows: Mapping[ValuesSlot, StageRows | str], cells: Mapping[ValuesSlot, Cells] | None = None
) -> Written:
    """Write what a stage reads of earlier ones; a long list stands once, before all chunk queries.

    Parameters
    ----------
    stage
        The stage.
    rows
        For each of ``values_slots(stage)`` the rows, or the SQL name of a relation that holds them.
    cells
        Cells of the rows that are placed; these rows have ``CELL_COLUMN`` as their last column, and their SQL is a
        relation, that of a list, too.
    """
    cells = cells or {}
    slots: dict[ValuesSlot, str] = {}
    named: dict[str, str] = {}
    for slot in values_slots(stage):
        found = rows[slot]
        form = ValuesForm.RELATION if slot in cells else slot.form
        columns = (*slot.columns, _CELL) if slot in cells else slot.columns
        many = form in {ValuesForm.LIST, ValuesForm.RELATION}
        if not isinstance(found, str) and not (many and found.count > MAX_IN_PLACE):
            slots[slot] = _values(replace(slot, columns=columns, form=form), found, POSTGRES)
            continue
        if not isinstance(found, str):
            name = quoted(slot.stage if quoted(slot.stage) not in named else f"{slot.stage}_{len(named)}")
            named[name] = f"{name} AS MATERIALIZED {_relation(columns, found, POSTGRES)}"
            found = name
        slots[slot] = found if slot in cells else _read_from(slot, found)
    return Written(slots, f"WITH {', '.join(named.values())} " if named else "", cells)


_CELL = StageColumn(label=CELL_COLUMN, type=DataType.LONG)


def _read_from(slot: ValuesSlot, relation: str) -> str:
    return f"IN (SELECT {quoted(slot.columns[0].label)} FROM {relation})" if slot.form is ValuesForm.LIST else relation


def shown(slot: ValuesSlot) -> str:
    """Return a slot for people to read: the name of the stage in place of its rows."""
    name = quoted(slot.stage)
    match slot.form:
        case ValuesForm.EXISTS:
            return f"EXISTS (SELECT 1 FROM {name})"
        case ValuesForm.SCALAR:
            return f"(SELECT {quoted(slot.columns[0].label)} FROM {name})"
    return _read_from(slot, name)


def _values(slot: ValuesSlot, found: StageRows, dialect: Dialect) -> str:
    """Return the rows of a stage as SQL that stands where they are used."""
    if slot.form is ValuesForm.EXISTS:
        return "TRUE" if found.count else "FALSE"
    if slot.form is ValuesForm.SCALAR:
        if found.count > 1:
            raise EvaluationError.of_servers("more than one row")
        return dialect.typed(found.columns[0][0] if found.count else None, slot.columns[0])
    if slot.form is ValuesForm.LIST:
        return dialect.in_values(slot.columns[0], found.columns[0])
    return _relation(slot.columns, found, dialect) if found.count else dialect.empty_relation(slot.columns)


def _relation(columns: Sequence[StageColumn], found: StageRows, dialect: Dialect) -> str:
    return dialect.rows(columns, zip(*found.columns, strict=True))
