"""The row store's statements: a template and a chunk to the statement for that chunk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from qserv_py.catalog.chunk import ChunkId
from qserv_py.catalog.model import HEALPIX_COLUMN, Table
from qserv_py.catalog.snapshot import Catalog, IntArray, TableSnapshot
from qserv_py.errors import InternalError
from qserv_py.partitioner import ranges
from qserv_py.partitioner.dilation import around, border_of
from qserv_py.partitioner.healpix import centre_dec
from qserv_py.planner.plan.query_plan import ChunkQuery, ShardStage, values_slots
from qserv_py.planner.plan.slots import (
    CELL_COLUMN,
    BorderSlot,
    BucketSlot,
    CellSlot,
    NearBy,
    RelationSlot,
    Slot,
    SpatialSlot,
    ValuesForm,
    ValuesSlot,
)
from qserv_py.planner.sky.buckets import Buckets, buckets_of
from qserv_py.planner.sky.chunks import chunk_map
from qserv_py.planner.writing.dialects import POSTGRES, Dialect, quoted
from qserv_py.planner.writing.written_rows import Written, shown

MAX_RANGES = 60
"""Ranges of one kind in a chunk query; more are made fewer by filling gaps."""

ROWS_READ_PER_LOOKUP = 20
"""Rows of a chunk that are read in the time of one look-up in the index on ``healpix29``."""


def chunk_queries(stage: ShardStage, catalog: Catalog, written: Written | None = None) -> Iterator[ChunkQuery]:
    """Yield the statements of a stage, chunk by chunk; ``written.prefix`` goes before them.

    Parameters
    ----------
    stage
        The stage.
    catalog
        The catalogue that the plan was made with.
    written
        Results of the stages that this one reads; without them the stages' names stand in their place.
    """
    if written is None:
        written = Written({slot: shown(slot) for slot in values_slots(stage)})
    if stage.family is None:
        filler = _Filler(POSTGRES, catalog, None, 0, written)
        yield ChunkQuery(chunk=None, worker=catalog.any_worker, sql=filler.statement(stage))
        return
    state = catalog.families[stage.family]
    known = chunk_map(state)
    for index in stage.chunks:
        filler = _Filler(POSTGRES, catalog, known.chunk(int(index)), int(index), written)
        yield ChunkQuery(chunk=filler.chunk, worker=state.worker_of(int(index)), sql=filler.statement(stage))


def statement_of(stage: ShardStage, catalog: Catalog, written: Written) -> str:
    """Return one statement that answers the rows of all chunks of a stage, which one worker has."""
    texts = [query.sql for query in chunk_queries(stage, catalog, written)]
    return written.prefix + (texts[0] if len(texts) == 1 else " UNION ALL ".join(f"({text})" for text in texts))


@dataclass(frozen=True, slots=True)
class _Filler:
    dialect: Dialect
    catalog: Catalog
    chunk: ChunkId | None
    index: int
    written: Written

    def statement(self, stage: ShardStage) -> str:
        return "".join(self._text(piece) for piece in stage.template.pieces)

    def _text(self, piece: str | Slot) -> str:
        match piece:
            case str():
                return piece
            case RelationSlot():
                return self._relation(piece)
            case SpatialSlot():
                return self._ranges(piece)
            case ValuesSlot():
                return self._rows(piece)
            case BucketSlot():
                return self._same_bucket(piece)
            case BorderSlot():
                return self._near_border(piece)
            case CellSlot():
                return self._same_cell(piece)

    def _rows(self, slot: ValuesSlot) -> str:
        """Return the rows of an earlier stage; of placed ones those that the chunk needs."""
        cells = self.written.cells.get(slot)
        relation = self.written.slots[slot]
        if cells is None or self.chunk is None:
            return relation
        low, high = cells.around(self.chunk)
        part = f"{relation} AS r WHERE {quoted(CELL_COLUMN)} BETWEEN {low} AND {high}"
        if slot.form is ValuesForm.LIST:
            return f"IN (SELECT {quoted(slot.columns[0].label)} FROM {part})"
        return f"(SELECT * FROM {part})"

    def _same_cell(self, slot: CellSlot) -> str:
        """Return that a director's row stands in the cell of a placed one.

        For few placed rows as ranges of the index on ``healpix29``; for many as an equality, which makes a hash join.
        """
        cell = f"{slot.alias}.{quoted(CELL_COLUMN)}"
        cells = self.written.cells.get(slot.values)
        if cells is None or self.chunk is None:
            return f"{slot.healpix} IN CELL {cell}"  # for people to read
        if cells.rows_of(self.chunk) * ROWS_READ_PER_LOOKUP < self._rows_of_chunk(slot.table):
            first = f"({cell} << {cells.shift})"
            return f"({slot.healpix} >= {first} AND {slot.healpix} < {first} + {1 << cells.shift})"
        return f"({slot.healpix} >> {cells.shift}) = {cell}"

    def _rows_of_chunk(self, table: Table) -> int:
        snapshot = self._snapshot(table)
        place = None if snapshot is None else self._place(snapshot.chunks)
        return 0 if snapshot is None or place is None else int(snapshot.rows[place])

    def _relation(self, slot: RelationSlot) -> str:
        table = slot.table
        if slot.near is not None:
            return self._near_relation(slot, slot.near)
        relations = self._relations(slot)
        if not relations:
            return self.dialect.empty_relation(slot.columns)
        absent = [self.dialect.null_column(column) for column in slot.columns if column.label in _absent(table)]
        if len(relations) == 1 and not absent:
            return relations[0]
        columns = ", ".join(["*", *absent])
        return f"({' UNION ALL '.join(f'SELECT {columns} FROM {relation}' for relation in relations)})"

    def _near_relation(self, slot: RelationSlot, near: NearBy) -> str:
        """Return own and foreign rows; for a join by distance in their buckets, columns ``_zone`` and ``_bin``.

        A row stands once in every bucket that the circle around it reaches: in two zones at the most and, as a bin is
        four reaches wide, in two bins.
        """
        rows = self._near_rows(slot, near)
        if not near.ra:
            return f"({rows})"
        shape = self._buckets(near.radius)
        dec, ra = f"u.{quoted(near.dec)}", f"u.{quoted(near.ra)}"
        far = _with_rounding(near.radius)
        low = self.dialect.floor(f"({dec} + 90 - {far!r}) / {shape.height!r}")
        high = self.dialect.floor(f"({dec} + 90 + {far!r}) / {shape.height!r}")
        columns = ", ".join(f"u.{quoted(column.label)}" for column in slot.columns)
        text = f"SELECT {columns}, {low} + z.step AS _zone"
        more = f" JOIN (VALUES (0), (1)) AS z (step) ON z.step <= {high} - {low}"
        if shape.bins == 1:
            return f"({text}, {self.dialect.as_long('0')} AS _bin FROM ({rows}) AS u{more})"
        west = self.dialect.floor(f"({ra} - {shape.reach!r}) / {shape.width!r}")
        east = self.dialect.floor(f"({ra} + {shape.reach!r}) / {shape.width!r}")
        text += f", mod({west} + b.step + {shape.bins}, {shape.bins}) AS _bin"
        more += f" JOIN (VALUES (0), (1)) AS b (step) ON b.step <= {east} - {west}"
        return f"({text} FROM ({rows}) AS u{more})"

    def _near_rows(self, slot: RelationSlot, near: NearBy) -> str:
        """Return the chunk's own rows, and those of other chunks that may be partners: the overlap, or what came."""
        if self.chunk is None:
            raise InternalError("neighbours in a statement without a chunk")
        names = ", ".join(quoted(column.label) for column in slot.columns)
        absent = _absent(slot.table)
        held = ", ".join(
            self.dialect.null_column(one) if one.label in absent else quoted(one.label) for one in slot.columns
        )
        parts = []
        if near.own:
            region = self._own_region(near)
            parts += [f"SELECT {held} FROM {relation}{region}" for relation in self._relations(slot)]
        if near.received is not None:
            rows = self.written.slots[near.received]
            parts.append(f"SELECT {names} FROM {rows} AS r WHERE {self._elsewhere(near)}")
        else:
            parts += [f"SELECT {held} FROM {relation}" for relation in self._relations(slot, overlap=True)]
        parts = parts or [f"SELECT {names} FROM {self.dialect.empty_relation(slot.columns)} AS e"]
        return " UNION ALL ".join(parts)

    def _own_region(self, near: NearBy) -> str:
        """Return the condition that a row of the chunk may have a partner, by the place of the partners."""
        assert self.chunk is not None
        if near.region is None:
            return ""
        found = ranges.clipped(near.region, self.chunk.first, self.chunk.end)
        if _is_whole(found, self.chunk.first, self.chunk.end):
            return ""
        column = quoted(HEALPIX_COLUMN)
        return f" WHERE {_either(column, found, self.chunk.first, self.chunk.end) if len(found) else 'FALSE'}"

    def _elsewhere(self, near: NearBy) -> str:
        """Return the condition that a row that came from the czar is not the chunk's own, and not far from it."""
        assert self.chunk is not None
        found = around(self.chunk, near.radius)
        if near.own:
            found = ranges.difference(found, np.array([[self.chunk.first, self.chunk.end]], dtype=np.int64))
        tests = [f"{quoted(HEALPIX_COLUMN)} BETWEEN {low} AND {high - 1}" for low, high in found.tolist()]
        return f"({' OR '.join(tests)})" if tests else "FALSE"

    def _near_border(self, slot: BorderSlot) -> str:
        if self.chunk is None:
            raise InternalError("the border of a chunk in a statement without one")
        border = border_of(self.chunk, slot.radius)
        if border is None:
            return "TRUE"
        cell = f"({slot.column} >> {border.shift})"
        x, y = f"{cell} & {border.x_bits}", f"{cell} & {border.y_bits}"
        low, high = border.low, border.high
        return f"(({x}) < {low} OR ({x}) >= {high} OR ({y}) < {low << 1} OR ({y}) >= {high << 1})"

    def _same_bucket(self, slot: BucketSlot) -> str:
        """Return the equality of buckets, and bounds of the differences: they cost less than a distance."""
        shape = self._buckets(slot.radius)
        zone = f"{self.dialect.floor(f'({slot.dec} + 90) / {shape.height!r}')} = {slot.near}._zone"
        high = f"abs({slot.dec} - {slot.near_dec}) <= {_with_rounding(slot.radius)!r}"
        if shape.bins == 1:
            return f"{zone} AND {high}"
        bin_ = f"mod({self.dialect.floor(f'{slot.ra} / {shape.width!r}')}, {shape.bins}) = {slot.near}._bin"
        apart = f"abs({slot.ra} - {slot.near_ra})"
        wide = f"({apart} <= {shape.reach!r} OR {apart} >= {360 - shape.reach!r})"
        return f"{zone} AND {bin_} AND {high} AND {wide}"

    def _buckets(self, radius: float) -> Buckets:
        assert self.chunk is not None
        return buckets_of(self.chunk, radius=radius, centre_dec=centre_dec(self.chunk))

    def _relations(self, slot: RelationSlot, *, overlap: bool = False) -> list[str]:
        """Return the relations that hold the rows of a table in this chunk, one a segment."""
        table, chunk = slot.table, self.chunk if slot.table.is_partitioned else None
        names = [
            table.relation(chunk, generation=generation, overlap=overlap)
            for generation in self._generations(table, overlap=overlap)
        ]
        return [self.dialect.relation(slot.schema, name) for name in names]

    def _generations(self, table: Table, *, overlap: bool) -> Sequence[int]:
        snapshot = self._snapshot(table)
        if snapshot is None:
            return ()
        if not table.is_partitioned:
            return snapshot.ref_generations
        place = self._place(snapshot.overlap_chunks if overlap else snapshot.chunks)
        segments = snapshot.overlap if overlap else snapshot.own
        return () if place is None else segments.of(place)

    def _snapshot(self, table: Table) -> TableSnapshot | None:
        return self.catalog.snapshot_of(table.database, table.name)

    def _place(self, chunks: IntArray) -> int | None:
        """Return where the chunk stands among some chunks, None when it is not there."""
        place = int(np.searchsorted(chunks, self.index))
        return place if place < len(chunks) and chunks[place] == self.index else None

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


def _absent(table: Table) -> set[str]:
    """Return the columns of a table that no shard has, by their physical names."""
    return {column.physical for column in table.columns if column.absent}


def _with_rounding(radius: float) -> float:
    """Return a radius that no pair at just the radius exceeds."""
    return radius * (1 + 1e-9) + 1e-12


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
