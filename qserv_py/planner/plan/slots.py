"""What a statement leaves open until it is written for a chunk: names of tables, rows of earlier stages, places."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from qserv_py.catalog.model import Table
from qserv_py.catalog.snapshot import IntArray
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
