"""The plan of a query: frozen, printable, made without I/O.

A plan is a list of stages. A *shard stage* is one statement that runs for every chunk that was kept; a *merge stage* is
one statement over the results of earlier stages. The last stage's rows are the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from qserv_py.adql.tree import OutputColumn
from qserv_py.catalog.chunk import ChunkId
from qserv_py.catalog.model import Table
from qserv_py.catalog.snapshot import Catalog, IntArray
from qserv_py.catalog.types import DataType


@dataclass(frozen=True, slots=True, kw_only=True)
class StageColumn:
    """A column of a stage's result."""

    label: str
    type: DataType


@dataclass(frozen=True, kw_only=True, eq=False)
class RelationSlot:
    """Where the name of a chunk table goes."""

    schema: str
    table: Table
    columns: tuple[StageColumn, ...]
    """The columns that the statement reads: a chunk without rows is an empty relation with these."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SpatialSlot:
    """Where the ranges of ``healpix29`` go that a region leaves of a chunk."""

    column: str
    """SQL of the table's ``healpix29``."""

    inside: IntArray
    """Ranges whose rows need no test, shape (n, 2)."""

    maybe: IntArray
    """Ranges that may hold rows, shape (n, 2); contains ``inside``."""

    exact: str
    """SQL of the exact test; empty when it stands elsewhere in the statement."""


@dataclass(frozen=True, kw_only=True)
class ValuesSlot:
    """Where the rows of an earlier stage go, written out as a list for IN or as an inline table."""

    stage: str
    columns: tuple[StageColumn, ...]
    as_list: bool


Slot = RelationSlot | SpatialSlot | ValuesSlot


@dataclass(frozen=True, kw_only=True, eq=False)
class Template:
    """A statement for any chunk: text and slots in turn."""

    pieces: tuple[str | Slot, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class ShardStage:
    """One statement for every chunk kept."""

    name: str
    template: Template
    family: str | None
    """None when only ref tables are read: the statement runs once, on any worker."""

    chunks: IntArray
    """Indices of the chunks kept in the family's chunk map, ascending."""

    chunks_known: int
    """Chunks of the tables before pruning."""

    columns: tuple[StageColumn, ...]
    row_limit: int | None = None
    """Rows after which the rest need not be asked for."""

    reads: tuple[str, ...] = ()
    """Earlier stages that the statement reads, as often as it reads them."""

    notes: tuple[str, ...] = ()
    """What pruned the chunks and what did not, for EXPLAIN."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MergeStage:
    """One DuckDB statement over earlier stages."""

    name: str
    sql: str
    columns: tuple[StageColumn, ...]
    reads: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class QueryPlan:
    """How a query is answered."""

    text: str
    stages: tuple[ShardStage | MergeStage, ...]
    columns: tuple[OutputColumn, ...]
    catalog: Catalog = field(repr=False)

    @property
    def result(self) -> ShardStage | MergeStage:
        """The stage whose rows are the answer."""
        return self.stages[-1]

    @property
    def chunks(self) -> int:
        """Chunk queries in all stages."""
        return sum(_chunk_queries(stage) for stage in self.stages if isinstance(stage, ShardStage))

    @property
    def chunks_known(self) -> int:
        """Chunks that the tables of all stages have."""
        return sum(max(stage.chunks_known, 0) for stage in self.stages if isinstance(stage, ShardStage))


def _chunk_queries(stage: ShardStage) -> int:
    return len(stage.chunks) if stage.family is not None else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkQuery:
    """The statement that one worker runs for one chunk."""

    chunk: ChunkId | None
    """None when the statement reads only ref tables."""

    worker: int
    """Index into ``Catalog.workers``."""

    sql: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLookup:
    """Ids whose chunks the director index should tell before planning."""

    database: str
    director: str
    values: tuple[int | str, ...]


KeyCells = Mapping[KeyLookup, IntArray]
"""``healpix29`` of the ids that exist, for each look-up."""
