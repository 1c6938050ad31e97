"""A template and a chunk to the statement for that chunk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from qserv_py.catalog.chunk import ChunkId
from qserv_py.catalog.model import Table
from qserv_py.catalog.snapshot import Catalog, IntArray, TableSnapshot
from qserv_py.errors import InternalError
from qserv_py.partitioner import ranges
from qserv_py.planner.chunks import chunk_map
from qserv_py.planner.plan import ChunkQuery, RelationSlot, ShardStage, SpatialSlot, StageColumn, ValuesSlot
from qserv_py.planner.sql_text import Engine, literal, quoted, type_name

MAX_RANGES = 60
"""Ranges of one kind in a chunk query; more are made fewer by filling gaps."""


@dataclass(frozen=True, slots=True)
class StageRows:
    """The rows of an earlier stage, column by column, for a ``ValuesSlot``."""

    columns: tuple[tuple[bool | int | float | str | None, ...], ...]

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(self.columns[0]) if self.columns else 0


def chunk_queries(
    stage: ShardStage, catalog: Catalog, rows: Mapping[str, StageRows] | None = None
) -> Iterator[ChunkQuery]:
    """Yield the statements of a stage, chunk by chunk.

    Parameters
    ----------
    stage
        The stage.
    catalog
        The catalogue that the plan was made with.
    rows
        Results of the stages that this one reads.
    """
    values = {slot: _values(slot, rows or {}) for slot in stage.template.pieces if isinstance(slot, ValuesSlot)}
    if stage.family is None:
        filler = _Filler(catalog, None, 0, values)
        yield ChunkQuery(chunk=None, worker=0, sql=filler.statement(stage))
        return
    state = catalog.families[stage.family]
    known = chunk_map(state)
    for index in stage.chunks:
        filler = _Filler(catalog, known.chunk(int(index)), int(index), values)
        yield ChunkQuery(chunk=filler.chunk, worker=int(state.workers[index]), sql=filler.statement(stage))


@dataclass(frozen=True, slots=True)
class _Filler:
    catalog: Catalog
    chunk: ChunkId | None
    index: int
    values: Mapping[ValuesSlot, str]

    def statement(self, stage: ShardStage) -> str:
        return "".join(self._text(piece) for piece in stage.template.pieces)

    def _text(self, piece: str | RelationSlot | SpatialSlot | ValuesSlot) -> str:
        match piece:
            case str():
                return piece
            case RelationSlot():
                return self._relation(piece)
            case SpatialSlot():
                return self._ranges(piece)
            case ValuesSlot():
                return self.values[piece]

    def _relation(self, slot: RelationSlot) -> str:
        table = slot.table
        generation = self._generation(table)
        if generation == 0:
            return empty_relation(slot.columns)
        chunk = self.chunk if table.is_partitioned else None
        return f"{quoted(slot.schema)}.{quoted(table.relation(chunk, generation=generation))}"

    def _generation(self, table: Table) -> int:
        """Return the generation of the table's relation in this chunk, 0 when there is none."""
        snapshot: TableSnapshot | None = None
        if table.database in self.catalog.snapshots:
            snapshot = self.catalog.snapshots[table.database].tables.get(table.name)
        if snapshot is None:
            return 0
        if not table.is_partitioned:
            return snapshot.ref_generation
        place = int(np.searchsorted(snapshot.chunks, self.index))
        found = place < len(snapshot.chunks) and snapshot.chunks[place] == self.index
        return int(snapshot.generations[place]) if found else 0

    def _ranges(self, slot: SpatialSlot) -> str:
        if self.chunk is None:
            raise InternalError("a region in a statement without a chunk")
        first, end = self.chunk.first, self.chunk.end
        maybe = ranges.clipped(slot.maybe, first, end)
        inside = ranges.clipped(slot.inside, first, end)
        if not len(maybe):
            return "FALSE"
        if not slot.exact:
            return _either(slot.column, maybe, first, end)
        if _is_whole(inside, first, end):
            return "TRUE"
        border = ranges.difference(maybe, inside)
        if not len(inside):
            return _tested(slot, border, first, end)
        return f"({_either(slot.column, inside, first, end, exact=True)} OR {_tested(slot, border, first, end)})"


def _tested(slot: SpatialSlot, border: IntArray, first: int, end: int) -> str:
    if not len(border):
        return "FALSE"
    return f"({_either(slot.column, border, first, end)} AND {slot.exact})"


def _is_whole(found: IntArray, first: int, end: int) -> bool:
    return len(found) == 1 and found[0, 0] <= first and found[0, 1] >= end


def _either(column: str, found: IntArray, first: int, end: int, *, exact: bool = False) -> str:
    """Return the condition that ``healpix29`` lies in one of the ranges; ``exact`` ones must not be widened."""
    if _is_whole(found, first, end):
        return "TRUE"
    if exact and len(found) > MAX_RANGES:
        sizes = found[:, 1] - found[:, 0]
        found = found[np.sort(np.argpartition(-sizes, MAX_RANGES)[:MAX_RANGES])]
    elif not exact:
        found = ranges.simplified(found, MAX_RANGES)
    return "(" + " OR ".join(f"{column} BETWEEN {low} AND {high - 1}" for low, high in found.tolist()) + ")"


def empty_relation(columns: tuple[StageColumn, ...]) -> str:
    """Return a relation without rows that has these columns."""
    items = ", ".join(
        f"CAST(NULL AS {type_name(column.type, Engine.POSTGRES)}) AS {quoted(column.label)}" for column in columns
    )
    return f"(SELECT {items or '1'} WHERE FALSE)"


def _values(slot: ValuesSlot, rows: Mapping[str, StageRows]) -> str:
    """Return the rows of a stage as SQL: the right side of IN, or a relation."""
    found = rows[slot.stage]
    if slot.as_list:
        column = slot.columns[0]
        if not found.count:
            return f"IN (SELECT CAST(NULL AS {type_name(column.type, Engine.POSTGRES)}) WHERE FALSE)"
        return "IN (" + ", ".join(_typed(value, column) for value in dict.fromkeys(found.columns[0])) + ")"
    if not found.count:
        return empty_relation(slot.columns)
    names = ", ".join(quoted(column.label) for column in slot.columns)
    lines = (
        "(" + ", ".join(_typed(value, column) for value, column in zip(row, slot.columns, strict=True)) + ")"
        for row in zip(*found.columns, strict=True)
    )
    return f"(SELECT * FROM (VALUES {', '.join(lines)}) AS v ({names}))"


def _typed(value: bool | int | float | str | None, column: StageColumn) -> str:
    return f"CAST({literal(value, column.type, Engine.POSTGRES)} AS {type_name(column.type, Engine.POSTGRES)})"
