"""The plan of a query: frozen, printable, made without I/O.

A plan is a list of stages. A *czar stage* stands for a table whose rows the czar holds; a *shard stage* is one
statement that runs for every chunk that was kept; a *merge stage* is one statement over the results of earlier stages.
The last stage's rows are the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from qserv_py.adql.tree import OutputColumn, Select
from qserv_py.catalog.chunk import ChunkId
from qserv_py.catalog.model import Table
from qserv_py.catalog.snapshot import Catalog, IntArray
from qserv_py.counts import counted
from qserv_py.errors import InternalError
from qserv_py.planner.plan.slots import RelationSlot, Slot, StageColumn, Template, ValuesSlot


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """Rows that neighbours in other chunks need."""

    radius: float
    """Degrees."""

    rows: int
    """About how many, at the most."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RowStore:
    """An access path: the workers' PostgreSQL, where the rows of a chunk are a table, with indexes."""

    template: Template
    """The statement, for any chunk."""

    reads: tuple[str, ...]
    """Earlier stages that it reads, as often as it reads them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ShardStage:
    """One statement for every chunk kept: what it asks, and by which access path the rows are read."""

    name: str
    select: Select
    """What is asked of each chunk. It is the same for every access path, so that one can still be chosen anew."""

    narrowing: frozenset[int] = frozenset()
    """Ids of its placed sources without whose rows a chunk has no rows of the answer."""

    access: RowStore | None = None
    """How the rows are read; chosen when all stages are known."""

    family: str | None
    """None when only ref tables are read: the statement runs once, on any worker."""

    chunks: IntArray
    """Indices of the chunks kept in the family's chunk map, ascending."""

    chunks_known: int
    """Chunks of the tables before pruning."""

    columns: tuple[StageColumn, ...]
    row_limit: int | None = None
    """Rows after which the rest need not be asked for."""

    moves: str = ""
    """Table whose rows are brought to the czar as they are: their size is bounded."""

    exchange: Exchanged | None = None
    """Set when they go on to other chunks, which have neighbours of them."""

    notes: tuple[str, ...] = ()
    """What pruned the chunks and what did not, for EXPLAIN."""

    @property
    def template(self) -> Template:
        """The statement for any chunk, as its access path reads the rows."""
        return self._chosen.template

    @property
    def reads(self) -> tuple[str, ...]:
        """Earlier stages that the statement reads, as often as it reads them."""
        return self._chosen.reads

    @property
    def _chosen(self) -> RowStore:
        if self.access is None:
            raise InternalError(f"stage {self.name} has no access path")
        return self.access


@dataclass(frozen=True, kw_only=True, eq=False)
class CzarStage:
    """The rows of a table that the czar holds; nothing runs for it."""

    name: str
    table: Table
    columns: tuple[StageColumn, ...]
    rows: int
    reads: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class MergeStage:
    """One DuckDB statement over earlier stages."""

    name: str
    sql: str
    columns: tuple[StageColumn, ...]
    reads: tuple[str, ...]


Stage = CzarStage | ShardStage | MergeStage


@dataclass(frozen=True, kw_only=True, eq=False)
class QueryPlan:
    """How a query is answered."""

    text: str
    stages: tuple[Stage, ...]
    columns: tuple[OutputColumn, ...]
    catalog: Catalog = field(repr=False)

    @property
    def result(self) -> Stage:
        """The stage whose rows are the answer."""
        return self.stages[-1]

    @property
    def chunks(self) -> int:
        """Chunk queries in all stages."""
        return sum(_chunk_queries(stage) for stage in self.stages if isinstance(stage, ShardStage))

    @property
    def chunks_known(self) -> int:
        """Chunk queries that there could be at most: of all chunks, and one where a stage reads ref tables alone."""
        stages = (stage for stage in self.stages if isinstance(stage, ShardStage))
        return sum(max(stage.chunks_known, 0) if stage.family is not None else 1 for stage in stages)


def values_slots(stage: ShardStage) -> tuple[ValuesSlot, ...]:
    """Return where the rows of earlier stages go in a stage's statement, each once."""
    found = (_values_slot(piece) for piece in stage.template.pieces)
    return tuple(dict.fromkeys(slot for slot in found if slot is not None))


def _values_slot(piece: str | Slot) -> ValuesSlot | None:
    if isinstance(piece, RelationSlot) and piece.near is not None:
        return piece.near.received
    return piece if isinstance(piece, ValuesSlot) else None


def _chunk_queries(stage: ShardStage) -> int:
    return len(stage.chunks) if stage.family is not None else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkQuery:
    """The statement that one worker runs for one chunk."""

    chunk: ChunkId | None
    """None when the statement reads only ref tables."""

    worker: str
    """Name of the worker."""

    sql: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLookup:
    """Ids whose chunks the director index should tell: a list, or a range of whole numbers."""

    database: str
    director: str
    values: tuple[int | str, ...] = ()
    low: int | None = None
    high: int | None = None
    """Borders of a range, included; None where there is none. Both None: the ids are ``values``."""

    @property
    def is_range(self) -> bool:
        """Whether it asks for a range."""
        return self.low is not None or self.high is not None

    def __str__(self) -> str:
        if self.is_range:
            shown = f"{'' if self.low is None else self.low}..{'' if self.high is None else self.high}"
            return f"ids {shown} of {self.director}"
        return f"{counted(len(self.values), 'id')} of {self.director}"


KeyCells = Mapping[KeyLookup, IntArray]
"""``healpix29`` of the ids that exist, for each look-up."""
