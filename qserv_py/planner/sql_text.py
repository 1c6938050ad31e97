"""Our tree to SQL text, for PostgreSQL (chunk queries) and for DuckDB (merge queries).

Everything that a user wrote comes out again as quoted identifiers and typed literals made here. Places that differ from
chunk to chunk come out as marks between NUL characters, which no ADQL text can hold; ``Rendering.template`` turns them
into slots.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeGuard

import numpy as np

from qserv_py.adql.functions import AGGREGATE_FUNCTIONS
from qserv_py.adql.shapes import constant_numbers, constant_shape
from qserv_py.adql.tree import (
    Aggregate,
    Arithmetic,
    Between,
    Call,
    Case,
    Cast,
    Coalesce,
    ColumnRef,
    Comparison,
    ExistsQuery,
    Expr,
    InList,
    InQuery,
    InShape,
    InUnit,
    IsNull,
    Joined,
    Like,
    Literal,
    Logic,
    Negate,
    Not,
    OrderItem,
    Query,
    QuerySource,
    ScalarQuery,
    Select,
    SetQuery,
    Shape,
    ShapeKind,
    Source,
    TableSource,
    Window,
)
from qserv_py.catalog.model import HEALPIX_COLUMN, Table
from qserv_py.catalog.types import DataType
from qserv_py.errors import InternalError, LimitError, QueryNotSupportedError
from qserv_py.planner.plan import (
    BorderSlot,
    BucketSlot,
    ByKey,
    CellSlot,
    NearBy,
    Placing,
    RelationSlot,
    Slot,
    SpatialSlot,
    StageColumn,
    Template,
    ValuesForm,
    ValuesSlot,
)

_MARK = "\0"

MAX_SQL = 4_000_000
"""Characters of one expression: a short text can ask for a very long one by nesting."""


class Engine(Enum):
    """The two dialects."""

    POSTGRES = "postgres"
    DUCKDB = "duckdb"


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


def quoted(name: str) -> str:
    """Return an identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: bool | int | float | str | Sequence[float] | None, kind: DataType | None, engine: Engine) -> str:
    """Return a constant as SQL, with its type where the text alone would not say it."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return _integer(value, kind)
    if isinstance(value, float):
        name = "DOUBLE" if engine is Engine.DUCKDB else "float8"
        return f"'{value!r}'::{name}" if value != value or value in (np.inf, -np.inf) else f"{value!r}::{name}"
    if isinstance(value, str):
        return _string(value)
    if kind is None:
        raise InternalError("a list of numbers without a type")
    numbers = ", ".join(map(repr, value))
    written = f"[{numbers}]" if engine is Engine.DUCKDB else f"'{{{numbers}}}'"
    return f"{written}::{type_name(kind, engine)}"


def _integer(value: int, kind: DataType | None) -> str:
    text = str(value) if value >= 0 else f"({value})"
    if kind is DataType.LONG and -(2**31) <= value < 2**31:
        return f"{text}::bigint"
    return "(-9223372036854775807 - 1)" if value == -(2**63) else text


def _string(value: str) -> str:
    if _MARK in value:
        raise InternalError("a text constant holds a NUL character")
    return "'" + value.replace("'", "''") + "'"


def type_name(kind: DataType, engine: Engine) -> str:
    """Return the name of a type in an engine."""
    return kind.names.duckdb if engine is Engine.DUCKDB else kind.names.postgres


@dataclass(slots=True)
class Rendering:
    """Renders one statement and keeps what its slots stand for."""

    engine: Engine
    aliases: dict[int, str] = field(default_factory=dict)
    """Quoted alias of each source, by id."""

    slots: list[Slot | TableSource | StageSource | SameCell] = field(default_factory=list)
    used: dict[int, dict[str, DataType]] = field(default_factory=dict)
    """Columns read of each source, by id."""

    stages: list[str] = field(default_factory=list)
    """Earlier stages that the statement reads."""

    narrowing: frozenset[int] = frozenset()
    """Placed sources without whose rows a chunk has no rows of the answer."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Earlier stages that the statement reads, as often as it reads them."""
        return tuple(self.stages)

    def template(self, text: str) -> Template:
        """Return the text with its marks replaced by slots."""
        pieces: list[str | Slot] = []
        for index, part in enumerate(text.split(_MARK)):
            if index % 2 == 0:
                pieces.append(part)
                continue
            slot = self.slots[int(part)]
            pieces.append(self._filled(slot))
        return Template(pieces=tuple(piece for piece in pieces if piece != ""))

    def _filled(self, slot: Slot | Source | SameCell) -> Slot:
        """Return a slot with what is known only when the whole statement has been rendered."""
        match slot:
            case TableSource() | StageSource():
                return self._relation(slot)
            case SameCell():
                [values] = [self._values(kept) for kept in self.slots if _is_source(kept, slot.placed)]
                healpix = f"{self.aliases[slot.healpix.source]}.{quoted(slot.healpix.label)}"
                return CellSlot(healpix=healpix, table=slot.table, alias=self.aliases[slot.placed], values=values)
            case Source():
                raise InternalError(f"source {slot!r} has no slot")
        return slot

    def _relation(self, source: TableSource | StageSource) -> RelationSlot | ValuesSlot:
        if isinstance(source, StageSource):
            return self._values(source)
        used = self.used.get(source.id, {})
        if isinstance(source, NearSource):
            if source.ra:
                used = {**used, source.ra: DataType.DOUBLE, source.dec: DataType.DOUBLE}
            columns = tuple(StageColumn(label=label, type=kind) for label, kind in sorted(used.items()))
            near = _near_by(source)
            return RelationSlot(schema=source.database.physical, table=source.table, columns=columns, near=near)
        columns = tuple(StageColumn(label=label, type=kind) for label, kind in sorted(used.items()))
        return RelationSlot(schema=source.database.physical, table=source.table, columns=columns)

    def _values(self, source: StageSource) -> ValuesSlot:
        # Only what the statement reads is sent; a statement that reads no column still counts the rows.
        used = self.used.get(source.id, {})
        return ValuesSlot(
            stage=source.stage,
            columns=tuple(column for column in source.columns if column.label in used) or source.columns[:1],
            form=ValuesForm.RELATION,
            placing=source.placing,
            narrows=source.id in self.narrowing,
        )

    def _mark(self, slot: Slot | TableSource | StageSource | SameCell) -> str:
        self.slots.append(slot)
        return f"{_MARK}{len(self.slots) - 1}{_MARK}"

    # blocks

    def query(self, query: Query) -> str:
        """Return anything that answers rows."""
        return self.select(query) if isinstance(query, Select) else self._set_query(query)

    def _set_query(self, query: SetQuery) -> str:
        operator = query.operator.value + (" ALL" if query.keep_all else "")
        parts = [f"({self.query(query.left)}) {operator} ({self.query(query.right)})"]
        labels = [item.label for item in query.items]
        if query.order_by:
            parts.append("ORDER BY " + ", ".join(self._set_order_key(item, labels) for item in query.order_by))
        if query.top is not None:
            parts.append(f"LIMIT {query.top}")
        if query.offset:
            parts.append(f"OFFSET {query.offset}")
        return " ".join(parts)

    def _set_order_key(self, item: OrderItem, labels: list[str]) -> str:
        assert isinstance(item.expr, ColumnRef)
        direction = "DESC NULLS FIRST" if item.descending else "ASC NULLS LAST"
        return f"{labels.index(item.expr.label) + 1} {direction}"

    def select(self, select: Select) -> str:
        """Return a whole block."""
        if select.joined is None:
            sources = ", ".join(self._source(source) for source in select.sources)
        else:
            texts = {source.id: self._source(source) for source in select.sources}
            sources = self._joined(select.joined, texts)
        parts = ["SELECT DISTINCT" if select.distinct else "SELECT"]
        parts.append(", ".join(f"{self.expr(item.expr)} AS {quoted(item.label)}" for item in select.items))
        if sources:
            parts.append(f"FROM {sources}")
        if select.where:
            parts.append("WHERE " + " AND ".join(self._condition(part) for part in select.where))
        if select.group_by:
            parts.append("GROUP BY " + ", ".join(self._group_key(part) for part in select.group_by))
        if select.having:
            parts.append("HAVING " + " AND ".join(self._condition(part) for part in select.having))
        parts += self._tail(select)
        return " ".join(parts)

    def _tail(self, select: Select) -> list[str]:
        parts = []
        if select.order_by:
            parts.append("ORDER BY " + ", ".join(self._order_key(item, select) for item in select.order_by))
        if select.top is not None:
            parts.append(f"LIMIT {select.top}")
        if select.offset:
            parts.append(f"OFFSET {select.offset}")
        return parts

    def _joined(self, tree: Joined | int, texts: Mapping[int, str]) -> str:
        if isinstance(tree, int):
            return texts[tree]
        left, right = self._joined(tree.left, texts), self._joined(tree.right, texts)
        if not tree.on:
            return f"({left} CROSS JOIN {right})"
        condition = " AND ".join(self._condition(part) for part in tree.on)
        return f"({left} {tree.kind.value} JOIN {right} ON {condition})"

    def _group_key(self, expr: Expr) -> str:
        # a bare constant would be read as the number of an output column
        return f"({self.expr(expr)})" if not isinstance(expr, Literal) else f"CAST({self.expr(expr)} AS text)"

    def _order_key(self, item: OrderItem, select: Select) -> str:
        direction = "DESC NULLS FIRST" if item.descending else "ASC NULLS LAST"
        for number, output in enumerate(select.items, start=1):
            if output.expr == item.expr:
                return f"{number} {direction}"
        if isinstance(item.expr, Literal):
            return f"CAST({self.expr(item.expr)} AS text) {direction}"
        return f"{self.expr(item.expr)} {direction}"

    def _source(self, source: Source) -> str:
        alias = self._alias(source)
        if isinstance(source, NearSource) and source.received is not None:
            self.stages.append(source.received.stage)
        if isinstance(source, TableSource):
            return f"{self._mark(source)} AS {alias}"
        if isinstance(source, QuerySource):
            return f"({self.query(source.query)}) AS {alias}"
        if isinstance(source, StageSource):
            self.stages.append(source.stage)
            if self.engine is Engine.DUCKDB:
                return f"{quoted(source.stage)} AS {alias}"
            return f"{self._mark(source)} AS {alias}"
        raise InternalError(f"source {source!r} cannot be rendered")

    def _alias(self, source: Source) -> str:
        """Give a source an alias that no other source of the statement has."""
        # PostgreSQL keeps 63 bytes of a name: two long ones could become the same.
        base = source.alias.lower().encode()[:40].decode(errors="ignore")
        taken = set(self.aliases.values())
        alias = quoted(base)
        while alias in taken:
            base = f"{base}_{source.id}"
            alias = quoted(base)
        self.aliases[source.id] = alias
        return alias

    def _condition(self, expr: Expr) -> str:
        text = self.expr(expr)
        return f"({text})" if isinstance(expr, (Logic, Not, SqlTemplate)) else text

    # expressions

    def expr(self, expr: Expr) -> str:
        """Return an expression; brackets around everything that an operator could tear apart."""
        text = self._expr(expr)
        if len(text) > MAX_SQL:
            raise LimitError(f"the query makes an expression of more than {MAX_SQL} characters of SQL")
        return text

    def _expr(self, expr: Expr) -> str:
        match expr:
            case ColumnRef():
                return self._column(expr)
            case Literal():
                return literal(expr.value, expr.type, self.engine)
            case Negate():
                return f"(- {self.expr(expr.operand)})"
            case Arithmetic():
                return self._arithmetic(expr)
            case Comparison():
                return f"({self.expr(expr.left)} {expr.operator} {self.expr(expr.right)})"
            case Logic():
                return "(" + f" {expr.operator} ".join(self.expr(part) for part in expr.operands) + ")"
            case Not():
                return f"(NOT {self.expr(expr.operand)})"
            case IsNull():
                return f"({self.expr(expr.operand)} IS NULL)"
            case Between():
                return f"({self.expr(expr.operand)} BETWEEN {self.expr(expr.low)} AND {self.expr(expr.high)})"
            case InList():
                return f"({self.expr(expr.operand)} IN ({', '.join(self.expr(item) for item in expr.items)}))"
            case InQuery():
                return f"({self.expr(expr.operand)} IN ({self.query(expr.query)}))"
            case ExistsQuery():
                return f"EXISTS ({self.query(expr.query)})"
            case ScalarQuery():
                return f"({self.query(expr.query)})"
            case Like():
                return self._like(expr)
            case Case():
                return self._case(expr)
            case Coalesce():
                return f"COALESCE({', '.join(self._as(part, expr.type) for part in expr.operands)})"
            case Cast():
                return self._cast(expr)
            case InUnit():
                return self._in_unit(expr)
            case Call():
                return expr.function.sql(
                    [self.expr(argument) for argument in expr.arguments], duckdb=self.engine is Engine.DUCKDB
                )
            case Aggregate():
                return self._aggregate(expr)
            case Window():
                return self._window(expr)
            case InShape():
                return self._in_shape(expr)
            case Shape():
                return self._shape(expr)
            case SqlTemplate():
                return expr.text.format(*(self.expr(argument) for argument in expr.arguments))
            case InStage():
                return self._in_stage(expr)
            case SameBucket():
                return self._same_bucket(expr)
            case NearBorder():
                return self._mark(BorderSlot(column=self.expr(expr.column), radius=expr.radius))
            case SameCell():
                self._column(expr.healpix)
                return self._mark(expr)
            case StageExists():
                return self._stage_exists(expr)
            case StageValue():
                return self._stage_value(expr)
            case Ranges():
                return self._ranges(expr)
        raise InternalError(f"expression {expr!r} cannot be rendered")

    def _column(self, ref: ColumnRef) -> str:
        if ref.type is not None:
            self.used.setdefault(ref.source, {})[ref.label] = ref.type
        return f"{self.aliases[ref.source]}.{quoted(ref.label)}"

    def _arithmetic(self, expr: Arithmetic) -> str:
        left, right = self.expr(expr.left), self.expr(expr.right)
        if self.engine is Engine.POSTGRES or expr.operator == "||" or expr.type is None:
            return f"({left} {expr.operator} {right})"
        name = type_name(expr.type, self.engine)
        if expr.operator in {"<<", ">>"}:
            side = "left" if expr.operator == "<<" else "right"
            return f"CAST(qserv_shift_{side}({left}, {right}, {8 * expr.type.names.width}) AS {name})"
        left = left if expr.left.type is expr.type else f"CAST({left} AS {name})"
        right = right if expr.right.type is expr.type else f"CAST({right} AS {name})"
        if expr.operator == "#":
            return f"xor({left}, {right})"
        if expr.type.is_integer:
            macro = {"/": "qserv_divide_whole", "%": "qserv_remainder"}.get(expr.operator)
        else:
            macro = None if _stays_finite(expr) else _CHECKED[expr.operator]
        return f"{macro}({left}, {right})" if macro else f"({left} {expr.operator} {right})"

    def _in_unit(self, expr: InUnit) -> str:
        factor = Literal(type=DataType.DOUBLE, value=expr.factor)
        scaled = expr.operand
        if expr.factor != 1.0:
            scaled = Arithmetic(type=DataType.DOUBLE, operator="*", left=expr.operand, right=factor)
        if expr.shift:
            shift = Literal(type=DataType.DOUBLE, value=expr.shift)
            scaled = Arithmetic(type=DataType.DOUBLE, operator="+", left=scaled, right=shift)
        return self.expr(scaled)

    def _like(self, expr: Like) -> str:
        """Return LIKE without an escape character, as in ADQL: a backslash is PostgreSQL's, DuckDB has none."""
        operand, pattern = self.expr(expr.operand), self.expr(expr.pattern)
        if self.engine is Engine.POSTGRES:
            return f"({operand} {'ILIKE' if expr.fold else 'LIKE'} {pattern} ESCAPE '')"
        if expr.fold:
            # DuckDB's ILIKE folds every letter of Unicode, PostgreSQL's those of ASCII in the database's "C" locale
            return f"(qserv_lower({operand}) LIKE qserv_lower({pattern}))"
        return f"({operand} LIKE {pattern})"

    def _case(self, expr: Case) -> str:
        branches = " ".join(f"WHEN {self.expr(when)} THEN {self._as(then, expr.type)}" for when, then in expr.branches)
        return f"(CASE {branches} ELSE {self._as(expr.otherwise, expr.type)} END)"

    def _as(self, expr: Expr, kind: DataType | None) -> str:
        text = self.expr(expr)
        return text if kind is None or expr.type is kind else f"CAST({text} AS {type_name(kind, self.engine)})"

    def _cast(self, expr: Cast) -> str:
        if expr.type is None:
            raise InternalError("a cast without a type")
        operand, given = self.expr(expr.operand), expr.operand.type
        prefix = "qserv_" if self.engine is Engine.DUCKDB else "qserv."
        if given is not None and given.is_text and expr.type is DataType.TIMESTAMP:
            if not isinstance(expr.operand, Literal):
                return f"{prefix}to_time({operand})"
        elif given is not None and given.is_text and expr.type.is_numeric:
            operand = f"{prefix}{'whole_number' if expr.type.is_integer else 'number'}({operand})"
        name = type_name(expr.type, self.engine)
        text = f"CAST({operand} AS {name})"
        if self.engine is Engine.DUCKDB:
            text = _as_postgres_casts(operand, given, expr.type)
        if expr.length is None:
            return text
        return f"rpad({text}, {expr.length}, ' ')" if expr.type is DataType.CHAR else f"left({text}, {expr.length})"

    def _aggregate(self, expr: Aggregate) -> str:
        if expr.operand is None:
            return "COUNT(*)"
        operand = self.expr(expr.operand)
        further = AGGREGATE_FUNCTIONS.get(expr.name)
        if further is not None:
            parameters = [self.expr(part) for part in expr.parameters]
            return further.sql(operand, parameters, distinct=expr.distinct, duckdb=self.engine is Engine.DUCKDB)
        double = type_name(DataType.DOUBLE, self.engine)
        if expr.name in {"SUM", "AVG"} and expr.type is DataType.DOUBLE and expr.operand.type is not DataType.DOUBLE:
            operand = f"CAST({operand} AS {double})"
        text = f"{expr.name}({'DISTINCT ' if expr.distinct else ''}{operand})"
        return f"CAST({text} AS bigint)" if expr.name == "SUM" and expr.type is DataType.LONG else text

    def _window(self, expr: Window) -> str:
        double = expr.name in {"SUM", "AVG"} and expr.type is DataType.DOUBLE
        arguments = [self._as(part, DataType.DOUBLE) if double else self.expr(part) for part in expr.arguments]
        call = "COUNT(*)" if expr.name == "COUNT" and not arguments else f"{expr.name}({', '.join(arguments)})"
        over = []
        if expr.partition_by:
            over.append("PARTITION BY " + ", ".join(self.expr(part) for part in expr.partition_by))
        if expr.order_by:
            keys = (
                f"{self.expr(key)} {'DESC NULLS FIRST' if down else 'ASC NULLS LAST'}" for key, down in expr.order_by
            )
            over.append("ORDER BY " + ", ".join(keys))
        if expr.frame:
            over.append(expr.frame)
        text = f"{call} OVER ({' '.join(over)})"
        whole = expr.type is not None and expr.type.is_integer and expr.name in {"SUM", "NTILE"}
        return f"CAST({text} AS {type_name(expr.type, self.engine)})" if whole and expr.type is not None else text

    # geometry

    def _in_shape(self, expr: InShape) -> str:
        prefix = "qserv_" if self.engine is Engine.DUCKDB else "qserv."
        position = ", ".join(self.expr(number) for number in expr.point.numbers)
        if expr.shape.kind is ShapeKind.POLYGON:
            return f"{prefix}in_polygon({position}, {self._plane(expr.shape)})"
        name = "in_circle" if expr.shape.kind is ShapeKind.CIRCLE else "in_box"
        return f"{prefix}{name}({position}, {', '.join(self.expr(number) for number in expr.shape.numbers)})"

    def _shape(self, shape: Shape) -> str:
        """Return a shape as a list of numbers."""
        known = constant_shape(shape)
        if known is not None:
            return literal(known, shape.type, self.engine)
        prefix = "qserv_" if self.engine is Engine.DUCKDB else "qserv."
        numbers = ", ".join(self._as(number, DataType.DOUBLE) for number in shape.numbers)
        if shape.kind is ShapeKind.POLYGON:
            numbers = f"[{numbers}]" if self.engine is Engine.DUCKDB else f"ARRAY[{numbers}]"
        return f"{prefix}{shape.kind.lower()}({numbers})"

    def _plane(self, shape: Shape) -> str:
        """Return centre and plane coordinates of a polygon's vertices, as ``qserv.in_polygon`` wants them."""
        ra0, dec0, xs, ys = gnomonic(shape)
        suffix = "DOUBLE" if self.engine is Engine.DUCKDB else "float8"
        arrays = [", ".join(repr(float(value)) for value in values) for values in (xs, ys)]
        if self.engine is Engine.DUCKDB:
            lists = ", ".join(f"[{text}]::DOUBLE[]" for text in arrays)
        else:
            lists = ", ".join(f"'{{{text}}}'::float8[]" for text in arrays)
        return f"{ra0!r}::{suffix}, {dec0!r}::{suffix}, {lists}"

    def _in_stage(self, expr: InStage) -> str:
        operand = self.expr(expr.operand)
        self.stages.append(expr.stage)
        if self.engine is Engine.DUCKDB:
            return f"({operand} IN (SELECT {quoted(expr.column.label)} FROM {quoted(expr.stage)}))"
        slot = ValuesSlot(
            stage=expr.stage,
            columns=(expr.column,),
            form=ValuesForm.LIST,
            placing=expr.placing,
            narrows=expr.placing is not None,
        )
        return f"({operand} {self._mark(slot)})"

    def _same_bucket(self, expr: SameBucket) -> str:
        places = [self.expr(number) for number in (expr.ra, expr.dec, expr.near_ra, expr.near_dec)]
        ra, dec, near_ra, near_dec = places
        near = self.aliases[expr.near_ra.source]
        return self._mark(BucketSlot(ra=ra, dec=dec, near=near, near_ra=near_ra, near_dec=near_dec, radius=expr.radius))

    def _stage_exists(self, expr: StageExists) -> str:
        self.stages.append(expr.stage)
        if self.engine is Engine.DUCKDB:
            return f"EXISTS (SELECT 1 FROM {quoted(expr.stage)})"
        return self._mark(ValuesSlot(stage=expr.stage, columns=expr.columns, form=ValuesForm.EXISTS))

    def _stage_value(self, expr: StageValue) -> str:
        self.stages.append(expr.stage)
        if self.engine is Engine.DUCKDB:
            return f"(SELECT {quoted(expr.column.label)} FROM {quoted(expr.stage)})"
        return self._mark(ValuesSlot(stage=expr.stage, columns=(expr.column,), form=ValuesForm.SCALAR))

    def _ranges(self, expr: Ranges) -> str:
        exact = " AND ".join(self._condition(part) for part in expr.exact)
        slot = SpatialSlot(column=self.expr(expr.column), inside=expr.inside, maybe=expr.maybe, exact=exact)
        return self._mark(slot)


def _near_by(source: NearSource) -> NearBy:
    stage = source.received
    received = None
    if stage is not None:
        form = ValuesForm.RELATION
        received = ValuesSlot(stage=stage.stage, columns=stage.columns, form=form, index=HEALPIX_COLUMN)
    return NearBy(
        ra=source.ra,
        dec=source.dec,
        radius=source.radius,
        own=source.own,
        received=received,
        region=source.region,
    )


_CHECKED = {"+": "qserv_plus", "-": "qserv_minus", "*": "qserv_times", "/": "qserv_divide"}
"""Operators of doubles: PostgreSQL calls an overflow an error, DuckDB answers an infinity."""


def _stays_finite(expr: Arithmetic) -> bool:
    """Whether a sum, a difference or a product of doubles can neither overflow nor underflow."""
    return expr.operator in {"+", "-", "*"} and expr.type is DataType.DOUBLE and _digits(expr) < 300


def _digits(expr: Expr) -> float:
    """Return how many digits a finite value that is not zero can have before or after its point."""
    match expr:
        case Literal(value=int() | float() as value):
            return abs(math.log10(abs(value))) + 17 if value and math.isfinite(value) else 0.0
        case Cast(operand=operand, type=DataType.DOUBLE):
            return _digits(operand)
        case Negate(operand=operand):
            return _digits(operand)
        case Arithmetic(operator="*", left=left, right=right):
            return _digits(left) + _digits(right)
        case Arithmetic(operator="+" | "-", left=left, right=right):
            return max(_digits(left), _digits(right)) + 17
    if expr.type is not None and expr.type.is_integer:
        return 19.0
    return 45.0 if expr.type is DataType.FLOAT else math.inf


def _is_source(slot: object, number: int) -> TypeGuard[StageSource]:
    return isinstance(slot, StageSource) and slot.id == number


def _as_postgres_casts(operand: str, given: DataType | None, wanted: DataType) -> str:
    """Return a cast in DuckDB whose answer is PostgreSQL's."""
    real = given in {DataType.FLOAT, DataType.DOUBLE}
    text = f"CAST({operand} AS {wanted.names.duckdb})"
    if wanted.is_integer and real:
        return f"CAST(round_even({operand}, 0) AS {wanted.names.duckdb})"
    if wanted.is_text and real:
        return f"qserv_{'real' if given is DataType.FLOAT else 'double'}_text({operand})"
    if wanted is DataType.FLOAT and given is DataType.DOUBLE:
        return f"qserv_real({operand})"
    if wanted in {DataType.FLOAT, DataType.DOUBLE} and given is not None and given.is_text:
        return f"qserv_bounded({operand}, {text})"
    return text


def gnomonic(shape: Shape) -> tuple[float, float, np.ndarray, np.ndarray]:
    """Return the centre of a polygon and its vertices in the gnomonic plane around it.

    Returns
    -------
    ra0, dec0
        Centre, degrees.
    xs, ys
        Plane coordinates, shape (n,).

    Raises
    ------
    QueryNotSupportedError
        If no hemisphere around the mean of the vertices holds the polygon.
    """
    numbers = constant_numbers(shape)
    if numbers is None:
        raise InternalError("the plane of a POLYGON whose vertices are columns")
    lon, lat = np.radians(numbers[0::2]), np.radians(numbers[1::2])
    points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    mean = points.mean(axis=0)
    length = float(np.linalg.norm(mean))
    depths = points @ mean / length if length > 1e-9 else np.zeros(len(points))
    if (depths < 1e-3).any():
        raise QueryNotSupportedError(
            "the POLYGON is larger than a hemisphere", offset=shape.offset, hint="Split it into smaller ones with OR."
        )
    ra0, dec0 = np.arctan2(mean[1], mean[0]), np.arcsin(np.clip(mean[2] / length, -1, 1))
    depth = np.cos(dec0) * np.cos(lat) * np.cos(lon - ra0) + np.sin(dec0) * np.sin(lat)
    xs = np.cos(lat) * np.sin(lon - ra0) / depth
    ys = (np.cos(dec0) * np.sin(lat) - np.sin(dec0) * np.cos(lat) * np.cos(lon - ra0)) / depth
    return float(np.degrees(ra0)), float(np.degrees(dec0)), xs, ys


def plain_sql(query: Query, relations: Mapping[str, str]) -> str:
    """Return a whole query as one PostgreSQL statement over unsharded tables.

    Parameters
    ----------
    query
        The resolved query.
    relations
        SQL name of each table, by ``database.table``.
    """
    rendering = Rendering(Engine.POSTGRES)
    pieces = rendering.template(rendering.query(query)).pieces
    return "".join(
        relations[piece.table.qualified] if isinstance(piece, RelationSlot) else str(piece) for piece in pieces
    )
