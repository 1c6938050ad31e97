"""What the planner puts into the tree of a query: reads of earlier stages, regions as ranges, neighbours, cells.

They are expressions and sources like those of ``adql.tree``, so that the same walks and rewrites go through them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from qserv_py.adql.tree import ColumnRef, Expr, Source, TableSource
from qserv_py.catalog.model import Table
from qserv_py.planner.plan.slots import ByKey, Placing, StageColumn


@dataclass(frozen=True, kw_only=True)
class SqlTemplate(Expr):
    """SQL of the planner's own around expressions: ``{0}``, ``{1}``, ... are the arguments."""

    text: str
    arguments: tuple[Expr, ...] = ()


@dataclass(frozen=True, kw_only=True)
class InStage(Expr):
    """``IN`` over the rows of an earlier stage."""

    operand: Expr
    stage: str
    column: StageColumn
    placing: ByKey | None = None
    """Set where every row of the answer has its key in the list."""


@dataclass(frozen=True, kw_only=True)
class StageExists(Expr):
    """EXISTS over the rows of an earlier stage."""

    stage: str
    columns: tuple[StageColumn, ...]


@dataclass(frozen=True, kw_only=True)
class StageValue(Expr):
    """The one value of an earlier stage."""

    stage: str
    column: StageColumn


@dataclass(frozen=True, kw_only=True, eq=False)
class Ranges(Expr):
    """A region of one director as ranges of ``healpix29``; see ``SpatialSlot``."""

    column: ColumnRef
    inside: np.ndarray
    maybe: np.ndarray
    exact: tuple[Expr, ...]


@dataclass(frozen=True, kw_only=True)
class StageSource(Source):
    """The result of an earlier stage, as a source."""

    stage: str
    columns: tuple[StageColumn, ...]
    placing: Placing | None = None
    narrows: bool = False
    """As of ``ValuesSlot``, for the block that it is a source of."""


@dataclass(frozen=True, kw_only=True)
class NearSource(TableSource):
    """A director whose rows are looked for around those of an anchor: it reads rows of other chunks, too."""

    radius: float
    """Degrees."""

    ra: str
    dec: str
    """Labels of its position; empty when a key ties it."""

    place: int
    """Id of the source whose position tells where its rows are looked for."""

    exchanged: bool = False
    """Whether rows of other chunks are exchanged, as the overlap does not hold them all."""

    own: bool = True
    """Whether its chunks are the anchor's."""

    received: StageSource | None = None
    """The stage that brings them, once it is planned."""

    region: np.ndarray | None = field(default=None, compare=False)
    """Ranges of ``healpix29`` outside which no row is needed; None for anywhere."""


@dataclass(frozen=True, kw_only=True)
class NearBorder(Expr):
    """Whether a row stands so near the border of its chunk that a row of another chunk may be within a radius."""

    column: ColumnRef
    """The table's ``healpix29``."""

    radius: float
    """Degrees."""


@dataclass(frozen=True, kw_only=True)
class SameBucket(Expr):
    """Whether a row of the anchor and one of a near source share a bucket."""

    ra: ColumnRef
    dec: ColumnRef
    """Of the anchor."""

    near_ra: ColumnRef
    near_dec: ColumnRef
    """Of the near source."""

    radius: float


@dataclass(frozen=True, kw_only=True)
class SameCell(Expr):
    """Whether a director's row stands in the cell of a row that is placed by position."""

    healpix: ColumnRef
    table: Table = field(compare=False)
    placed: int
    """Id of the placed source."""
