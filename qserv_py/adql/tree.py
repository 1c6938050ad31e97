"""The resolved query: our own frozen tree, every name bound, every expression typed.

sqlglot's tree stops at the border of ``adql.resolve``. A tree of our own is frozen, so two equal expressions compare
equal (that is how a GROUP BY expression is found again in the select list), carries a type and a place in every node,
and is rendered for either engine without being copied.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from qserv_py.adql.functions import Function
from qserv_py.catalog.model import Column, Database, Table
from qserv_py.catalog.types import DataType


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What is known of a value beyond its type."""

    length: int | None = None
    """Characters at the most."""

    unit: str | None = None
    """None when it is not known, empty for a pure number."""

    ucd: str = ""
    description: str = ""
    xtype: str = ""
    utype: str = ""


@dataclass(frozen=True, kw_only=True)
class Expr:
    """An expression. ``type`` is None for a bare NULL; ``offset`` is its place in the ADQL text."""

    type: DataType | None
    offset: int | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class ColumnRef(Expr):
    """A column of a source of this block or, when correlated, of a block around it."""

    source: int
    """``Source.id``, unique in the whole query."""

    label: str
    """Physical name of a table's column, label of a sub-query's item."""

    name: str = field(default="", compare=False, repr=False)
    """As the schema or the sub-query spells it."""

    about: Column | Meaning | None = field(default=None, compare=False, repr=False)
    """The catalogue's description of a table's column; what is known of a sub-query's item."""


@dataclass(frozen=True, kw_only=True)
class Literal(Expr):
    """A constant."""

    value: bool | int | float | str | None


@dataclass(frozen=True, kw_only=True)
class Negate(Expr):
    """Unary minus."""

    operand: Expr


@dataclass(frozen=True, kw_only=True)
class Arithmetic(Expr):
    """``+ - * / %``, ``||`` and, of whole numbers, ``& | # << >>``."""

    operator: str
    left: Expr
    right: Expr


@dataclass(frozen=True, kw_only=True)
class Comparison(Expr):
    """``= <> < <= > >=``."""

    operator: str
    left: Expr
    right: Expr


@dataclass(frozen=True, kw_only=True)
class SameOrNull(Expr):
    """``IS NOT DISTINCT FROM``: equal, or both NULL; never NULL itself. ``IS DISTINCT FROM`` is a Not around it."""

    left: Expr
    right: Expr


@dataclass(frozen=True, kw_only=True)
class Logic(Expr):
    """AND or OR of two or more conditions."""

    operator: str
    operands: tuple[Expr, ...]


@dataclass(frozen=True, kw_only=True)
class Not(Expr):
    """NOT."""

    operand: Expr


@dataclass(frozen=True, kw_only=True)
class IsNull(Expr):
    """``IS NULL``; ``IS NOT NULL`` is a Not around it."""

    operand: Expr


@dataclass(frozen=True, kw_only=True)
class Between(Expr):
    """``BETWEEN low AND high``."""

    operand: Expr
    low: Expr
    high: Expr


@dataclass(frozen=True, kw_only=True)
class InList(Expr):
    """``IN (a, b, ...)``."""

    operand: Expr
    items: tuple[Expr, ...]


@dataclass(frozen=True, kw_only=True)
class InQuery(Expr):
    """``IN (SELECT ...)``; the query has one item."""

    operand: Expr
    query: Query


@dataclass(frozen=True, kw_only=True)
class ExistsQuery(Expr):
    """``EXISTS (SELECT ...)``."""

    query: Query


@dataclass(frozen=True, kw_only=True)
class ScalarQuery(Expr):
    """A sub-query as a value: one item, one row at the most; NULL without one."""

    query: Query


@dataclass(frozen=True, kw_only=True)
class Like(Expr):
    """LIKE, or ILIKE when ``fold`` is set."""

    operand: Expr
    pattern: Expr
    fold: bool = False


@dataclass(frozen=True, kw_only=True)
class Case(Expr):
    """CASE WHEN ... THEN ... ELSE ... END; ``otherwise`` is NULL when there is no ELSE."""

    branches: tuple[tuple[Expr, Expr], ...]
    otherwise: Expr


@dataclass(frozen=True, kw_only=True)
class Coalesce(Expr):
    """The first operand that is not NULL."""

    operands: tuple[Expr, ...]


@dataclass(frozen=True, kw_only=True)
class Cast(Expr):
    """CAST to the expression's own type."""

    operand: Expr
    length: int | None = None
    """Characters of CHAR(n), which is filled with blanks, or of VARCHAR(n), which is only cut."""


@dataclass(frozen=True, kw_only=True)
class InUnit(Expr):
    """``IN_UNIT(operand, 'unit')``: ``operand * factor + shift``."""

    operand: Expr
    factor: float
    shift: float
    unit: str
    """As VOUnit writes it."""


@dataclass(frozen=True, kw_only=True)
class Call(Expr):
    """A function of the function table."""

    function: Function
    arguments: tuple[Expr, ...]


@dataclass(frozen=True, kw_only=True)
class Aggregate(Expr):
    """An aggregate, by its upper-case name; ``operand`` is None for ``COUNT(*)``."""

    name: str
    operand: Expr | None
    distinct: bool = False
    parameters: tuple[Expr, ...] = ()
    """Constants after the operand: the fraction of a percentile, the delimiter of a list of texts."""


@dataclass(frozen=True, kw_only=True)
class Window(Expr):
    """A window function: ``name(arguments) OVER (PARTITION BY ... ORDER BY ... frame)``.

    Its name and arguments stand here and not in an Aggregate: SUM(x) OVER () makes no groups.
    """

    name: str
    arguments: tuple[Expr, ...]
    """Empty for ``COUNT(*)`` and the ranking functions."""

    partition_by: tuple[Expr, ...] = ()
    order_by: tuple[tuple[Expr, bool], ...] = ()
    """Keys, each with whether it descends."""

    frame: str = ""
    """SQL of the frame; empty for the default."""


class ShapeKind(StrEnum):
    """Shapes on the sphere."""

    POINT = "POINT"
    CIRCLE = "CIRCLE"
    BOX = "BOX"
    POLYGON = "POLYGON"

    @property
    def datatype(self) -> DataType:
        """Type of such a shape as a value; a BOX is the polygon of its corners."""
        return DataType.POLYGON if self is ShapeKind.BOX else DataType[self.value]


@dataclass(frozen=True, kw_only=True)
class Shape(Expr):
    """A shape on the sphere, degrees, whose kind and numbers are written in the query.

    ``numbers`` are: POINT lon, lat; CIRCLE lon, lat, radius; BOX lon, lat, width, height; POLYGON lon, lat of each
    vertex.
    """

    kind: ShapeKind
    numbers: tuple[Expr, ...]


@dataclass(frozen=True, kw_only=True)
class InShape(Expr):
    """Whether a point lies in a shape, its border included: ``1 = CONTAINS(point, shape)``."""

    point: Shape
    shape: Shape


@dataclass(frozen=True, kw_only=True)
class Source:
    """Something in FROM: a table or a sub-query, under an alias."""

    id: int
    alias: str


@dataclass(frozen=True, kw_only=True)
class TableSource(Source):
    """A table of the catalogue."""

    database: Database = field(compare=False)
    table: Table = field(compare=False)


@dataclass(frozen=True, kw_only=True)
class QuerySource(Source):
    """A sub-query."""

    query: Query


class JoinKind(StrEnum):
    """How the rows of two sides are paired."""

    INNER = "INNER"
    LEFT = "LEFT"
    RIGHT = "RIGHT"
    FULL = "FULL"


@dataclass(frozen=True, kw_only=True)
class Joined:
    """Two sides of a join and its conditions. Leaves are ids of the block's sources."""

    kind: JoinKind
    left: Joined | int
    right: Joined | int
    on: tuple[Expr, ...]
    """Conditions that all must hold."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One output column of a block."""

    expr: Expr
    name: str
    """As the user sees it; two items may share it."""

    label: str
    """Unique in the block; names the column inside generated SQL."""

    about: Meaning = field(default=Meaning(), compare=False, repr=False)
    """What is known of it, for the result's description."""


@dataclass(frozen=True, kw_only=True)
class OrderItem:
    """One ORDER BY key. NULLs order as PostgreSQL does: as if larger than every value."""

    expr: Expr
    descending: bool


@dataclass(frozen=True, kw_only=True)
class Select:
    """One query block."""

    items: tuple[Item, ...]
    sources: tuple[Source, ...]
    joined: Joined | None = None
    """How the sources are joined, where an outer join is among them; all of them are in it. Without one they are all
    inner joins, and their conditions stand among ``where``'s conjuncts."""

    where: tuple[Expr, ...] = ()
    """Conditions that all must hold."""

    group_by: tuple[Expr, ...] = ()
    having: tuple[Expr, ...] = ()
    order_by: tuple[OrderItem, ...] = ()
    distinct: bool = False
    top: int | None = None
    offset: int = 0


class SetOperator(StrEnum):
    """What is made of the rows of two queries."""

    UNION = "UNION"
    EXCEPT = "EXCEPT"
    INTERSECT = "INTERSECT"


@dataclass(frozen=True, kw_only=True)
class SetQuery:
    """Two queries put together. Both have items of the same types; names are those of the left one."""

    operator: SetOperator
    keep_all: bool
    """ALL: repeated rows are kept."""

    left: Query
    right: Query
    items: tuple[Item, ...]
    """The columns: references to source ``id`` by the labels of the left side."""

    id: int
    """Source id of the columns in ``items`` and ``order_by``."""

    order_by: tuple[OrderItem, ...] = ()
    top: int | None = None
    offset: int = 0


Query = Select | SetQuery
"""Anything that answers rows."""


@dataclass(frozen=True, kw_only=True)
class OutputColumn:
    """What is known of a column of the result."""

    name: str
    datatype: DataType
    length: int | None = None
    unit: str = ""
    ucd: str = ""
    description: str = ""
    xtype: str = ""
    utype: str = ""


@dataclass(frozen=True, kw_only=True)
class ResolvedQuery:
    """A query whose every name and type is known."""

    text: str
    query: Query
    columns: tuple[OutputColumn, ...]
