"""The plan of a query: frozen, printable, made without I/O.

A plan is a list of stages. A *czar stage* stands for a table whose rows the czar holds; a *shard stage* is one
statement that runs for every chunk that was kept; a *merge stage* is one statement over the results of earlier stages.
The last stage's rows are the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

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


@dataclass(frozen=True, slots=True, kw_only=True)
class NearBy:
    """Which rows the near side of a neighbour join reads in a chunk, and whether they are put into buckets."""

    ra: str
    dec: str
    """Labels of its position; empty when a key ties it, which needs no buckets."""

    radius: float
    """Degrees."""

    own: bool
    """Whether it reads the chunk's own rows; not when its chunks are those of another family."""

    received: ValuesSlot | None
    """The earlier stage that brings the rows of other chunks; None for the overlap beside the chunk."""

    region: IntArray | None
    """Ranges of ``healpix29`` without which no row of the chunk is needed, shape (n, 2); None for anywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketSlot:
    """Where the equality of buckets of a neighbour join goes."""

    ra: str
    dec: str
    """SQL of the anchor's position."""

    near: str
    """Alias of the relation that is put into buckets."""

    near_ra: str
    near_dec: str
    """SQL of its position."""

    radius: float


@dataclass(frozen=True, kw_only=True, eq=False)
class RelationSlot:
    """Where the name of a chunk table goes."""

    schema: str
    table: Table
    columns: tuple[StageColumn, ...]
    """The columns that the statement reads: a chunk without rows is an empty relation with these."""

    near: NearBy | None = None
    """Set for the side of a neighbour join that reads the overlap, too."""


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


class ValuesForm(Enum):
    """How the rows of an earlier stage are written into a statement."""

    LIST = "list"
    """The right side of IN."""

    RELATION = "relation"
    """A table in FROM."""

    SCALAR = "scalar"
    """One value, NULL when there is no row."""

    EXISTS = "exists"
    """TRUE when there is a row."""


CELL_COLUMN = "_CELL"
"""Column of placed rows that holds their HEALPix cell; labels are lower case, so no other column has its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ByPosition:
    """Rows are needed where the disc around their position lies: they stand once in each cell that it touches."""

    ra: str
    dec: str
    """Labels of columns of the stage."""

    radius: float | str
    """Degrees, or the label of the column that holds them."""

    database: str
    director: str
    """The table whose rows are looked for in the discs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ByKey:
    """Rows are needed where the director's row of their key stands; those of an unknown key are needed nowhere."""

    column: str
    """Label of the column of the stage that holds the key."""

    database: str
    director: str


Placing = ByPosition | ByKey


@dataclass(frozen=True, kw_only=True)
class ValuesSlot:
    """Where the rows of an earlier stage go."""

    stage: str
    columns: tuple[StageColumn, ...]
    """The columns that the statement reads."""

    form: ValuesForm
    index: str = ""
    """Column by which each statement picks its rows of a RELATION; empty when it reads them all."""

    placing: Placing | None = None
    """Which of the rows a chunk needs; None when all."""

    narrows: bool = False
    """Whether a chunk without rows of its own has no rows of the answer."""


@dataclass(frozen=True, kw_only=True)
class CellSlot:
    """Where the condition goes that a row of a director stands in the cell of a row that is placed by position."""

    healpix: str
    """SQL of the director's ``healpix29``."""

    table: Table = field(compare=False)
    """The director."""

    alias: str
    """SQL name of the placed rows."""

    values: ValuesSlot
    """Where they go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BorderSlot:
    """Where the condition goes that a row stands so near the border of its chunk that another may need it."""

    column: str
    """SQL of the table's ``healpix29``."""

    radius: float
    """Degrees."""


Slot = RelationSlot | SpatialSlot | ValuesSlot | BucketSlot | BorderSlot | CellSlot


@dataclass(frozen=True, kw_only=True, eq=False)
class Template:
    """A statement for any chunk: text and slots in turn."""

    pieces: tuple[str | Slot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """Rows that neighbours in other chunks need."""

    radius: float
    """Degrees."""

    rows: int
    """About how many, at the most."""


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

    moves: str = ""
    """Table whose rows are brought to the czar as they are: their size is bounded."""

    exchange: Exchanged | None = None
    """Set when they go on to other chunks, which have neighbours of them."""

    reads: tuple[str, ...] = ()
    """Earlier stages that the statement reads, as often as it reads them."""

    notes: tuple[str, ...] = ()
    """What pruned the chunks and what did not, for EXPLAIN."""


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
        """Chunks that the tables of all stages have."""
        return sum(max(stage.chunks_known, 0) for stage in self.stages if isinstance(stage, ShardStage))


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

    worker: int
    """Index into ``Catalog.workers``."""

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
        return f"{len(self.values)} id{'s' if len(self.values) > 1 else ''} of {self.director}"


KeyCells = Mapping[KeyLookup, IntArray]
"""``healpix29`` of the ids that exist, for each look-up."""
