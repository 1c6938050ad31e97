"""Expressions as SQL text; what the dialects write differently, they say.

Everything that a user wrote comes out again as quoted identifiers and typed literals made here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from qserv_py.adql.functions import AGGREGATE_FUNCTIONS
from qserv_py.adql.geometry.shapes import constant_shape
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
    Like,
    Literal,
    Logic,
    Negate,
    Not,
    Query,
    SameOrNull,
    ScalarQuery,
    Shape,
    ShapeKind,
    TableSource,
    Window,
)
from qserv_py.catalog.types import DataType
from qserv_py.errors import InternalError, LimitError
from qserv_py.planner.plan.nodes import (
    InStage,
    NearBorder,
    Ranges,
    SameBucket,
    SameCell,
    SqlTemplate,
    StageExists,
    StageSource,
    StageValue,
)
from qserv_py.planner.plan.slots import BorderSlot, BucketSlot, Slot, SpatialSlot
from qserv_py.planner.sky.shape_covers import gnomonic
from qserv_py.planner.writing.dialects import MARK, Dialect, may_overflow, quoted

MAX_SQL = 4_000_000
"""Characters of one expression: a short text can ask for a very long one by nesting."""

Marked = Slot | TableSource | StageSource | SameCell
"""What a mark stands for: a slot, or what becomes one."""


@dataclass(slots=True)
class ExpressionWriter(ABC):
    """Writes the expressions of one statement, and remembers what they read."""

    dialect: Dialect
    aliases: dict[int, str] = field(default_factory=dict)
    """Quoted alias of each source, by id."""

    reads: list[str] = field(default_factory=list)
    """Earlier stages that the statement reads, as often as it reads them."""

    marked: list[Marked] = field(default_factory=list)
    """What differs from chunk to chunk; a mark stands for each in the text."""

    used: dict[int, dict[str, DataType]] = field(default_factory=dict)
    """Columns read of each source, by id."""

    @abstractmethod
    def query(self, query: Query) -> str:
        """Return anything that answers rows."""

    @abstractmethod
    def in_stage(self, expr: InStage) -> str:
        """Return the right side of IN over the rows of an earlier stage."""

    @abstractmethod
    def stage_exists(self, expr: StageExists) -> str:
        """Return whether an earlier stage has rows."""

    @abstractmethod
    def stage_value(self, expr: StageValue) -> str:
        """Return the one value of an earlier stage."""

    def mark(self, marked: Marked) -> str:
        """Return a mark for what is filled in when the statement is complete."""
        self.marked.append(marked)
        return f"{MARK}{len(self.marked) - 1}{MARK}"

    def column(self, ref: ColumnRef) -> str:
        """Return a column of a source, and remember that it is read."""
        if ref.type is not None:
            self.used.setdefault(ref.source, {})[ref.label] = ref.type
        return f"{self.aliases[ref.source]}.{quoted(ref.label)}"

    def expr(self, expr: Expr) -> str:
        """Return an expression; brackets around everything that an operator could tear apart."""
        text = self._expr(expr)
        if len(text) > MAX_SQL:
            raise LimitError(f"the query makes an expression of more than {MAX_SQL} characters of SQL")
        return text

    def condition(self, expr: Expr) -> str:
        """Return a condition that can stand between ANDs."""
        text = self.expr(expr)
        return f"({text})" if isinstance(expr, (Logic, Not, SqlTemplate)) else text

    def _expr(self, expr: Expr) -> str:
        match expr:
            case ColumnRef():
                return self.column(expr)
            case Literal():
                return self.dialect.literal(expr.value, expr.type)
            case Negate():
                return f"(- {self.expr(expr.operand)})"
            case Arithmetic():
                return self.dialect.arithmetic(expr, self.expr(expr.left), self.expr(expr.right))
            case Comparison():
                return f"({self.expr(expr.left)} {expr.operator} {self.expr(expr.right)})"
            case SameOrNull():
                return f"({self.expr(expr.left)} IS NOT DISTINCT FROM {self.expr(expr.right)})"
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
                return self.dialect.like(self.expr(expr.operand), self.expr(expr.pattern), fold=expr.fold)
            case Case():
                return self._case(expr)
            case Coalesce():
                return f"COALESCE({', '.join(self._as_type(part, expr.type) for part in expr.operands)})"
            case Cast():
                return self.dialect.cast(expr, self.expr(expr.operand))
            case InUnit():
                return self._in_unit(expr)
            case Call():
                return self.dialect.call(expr.function, [self.expr(argument) for argument in expr.arguments])
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
                return f"({self.expr(expr.operand)} {self.in_stage(expr)})"
            case SameBucket():
                return self._same_bucket(expr)
            case NearBorder():
                return self.mark(BorderSlot(column=self.expr(expr.column), radius=expr.radius))
            case SameCell():
                self.column(expr.healpix)
                return self.mark(expr)
            case StageExists():
                return self.stage_exists(expr)
            case StageValue():
                return self.stage_value(expr)
            case Ranges():
                return self._ranges(expr)
        raise InternalError(f"expression {expr!r} cannot be rendered")

    def _as_type(self, expr: Expr, kind: DataType | None) -> str:
        return self.dialect.as_type(self.expr(expr), expr.type, kind)

    def _case(self, expr: Case) -> str:
        branches = (f"WHEN {self.expr(when)} THEN {self._as_type(then, expr.type)}" for when, then in expr.branches)
        return f"(CASE {' '.join(branches)} ELSE {self._as_type(expr.otherwise, expr.type)} END)"

    def _same_bucket(self, expr: SameBucket) -> str:
        slot = BucketSlot(
            ra=self.expr(expr.ra),
            dec=self.expr(expr.dec),
            near=self.aliases[expr.near_ra.source],
            near_ra=self.expr(expr.near_ra),
            near_dec=self.expr(expr.near_dec),
            radius=expr.radius,
        )
        return self.mark(slot)

    def _ranges(self, expr: Ranges) -> str:
        exact = " AND ".join(self.condition(part) for part in expr.exact)
        slot = SpatialSlot(column=self.expr(expr.column), inside=expr.inside, maybe=expr.maybe, exact=exact)
        return self.mark(slot)

    def _in_unit(self, expr: InUnit) -> str:
        """Return a value in another unit: times a factor, plus a shift."""
        scaled = expr.operand
        if expr.factor != 1.0:
            factor = Literal(type=DataType.DOUBLE, value=expr.factor)
            scaled = Arithmetic(type=DataType.DOUBLE, operator="*", left=expr.operand, right=factor)
        if expr.shift:
            shift = Literal(type=DataType.DOUBLE, value=expr.shift)
            scaled = Arithmetic(type=DataType.DOUBLE, operator="+", left=scaled, right=shift)
        return self.expr(scaled)

    def _aggregate(self, expr: Aggregate) -> str:
        """Return an aggregate; sums have the type and the width that PostgreSQL gives them."""
        if expr.operand is None:
            return "COUNT(*)"
        further = AGGREGATE_FUNCTIONS.get(expr.name)
        if further is not None:
            parameters = [self.expr(part) for part in expr.parameters]
            return self.dialect.aggregate(further, self.expr(expr.operand), parameters, distinct=expr.distinct)
        of_doubles = expr.name in {"SUM", "AVG"} and expr.type is DataType.DOUBLE
        operand = self._as_type(expr.operand, DataType.DOUBLE if of_doubles else None)
        text = f"{expr.name}({'DISTINCT ' if expr.distinct else ''}{operand})"
        if of_doubles and may_overflow(expr.operand):
            return self.dialect.finite(text, f"MAX(ABS({operand}))")
        return f"CAST({text} AS bigint)" if expr.name == "SUM" and expr.type is DataType.LONG else text

    def _window(self, expr: Window) -> str:
        """Return a window function with its window."""
        of_doubles = expr.name in {"SUM", "AVG"} and expr.type is DataType.DOUBLE
        arguments = [self._as_type(part, DataType.DOUBLE if of_doubles else None) for part in expr.arguments]
        call = "COUNT(*)" if expr.name == "COUNT" and not arguments else f"{expr.name}({', '.join(arguments)})"
        over = f"OVER ({self._over(expr)})"
        text = f"{call} {over}"
        if of_doubles and may_overflow(expr.arguments[0]):
            return self.dialect.finite(text, f"MAX(ABS({arguments[0]})) {over}")
        if expr.type is not None and expr.type.is_integer and expr.name in {"SUM", "NTILE"}:
            return f"CAST({text} AS {self.dialect.type_name(expr.type)})"
        return text

    def _over(self, expr: Window) -> str:
        parts = []
        if expr.partition_by:
            parts.append("PARTITION BY " + ", ".join(self.expr(part) for part in expr.partition_by))
        if expr.order_by:
            keys = (f"{self.expr(key)} {ordered_as(descending=down)}" for key, down in expr.order_by)
            parts.append("ORDER BY " + ", ".join(keys))
        if expr.frame:
            parts.append(expr.frame)
        return " ".join(parts)

    def _in_shape(self, expr: InShape) -> str:
        """Return whether a point lies in a shape that the query writes: a call of one of our functions."""
        position = ", ".join(self.expr(number) for number in expr.point.numbers)
        if expr.shape.kind is ShapeKind.POLYGON:
            return f"{self.dialect.prefix}in_polygon({position}, {self._plane(expr.shape)})"
        name = "in_circle" if expr.shape.kind is ShapeKind.CIRCLE else "in_box"
        numbers = ", ".join(self.expr(number) for number in expr.shape.numbers)
        return f"{self.dialect.prefix}{name}({position}, {numbers})"

    def _shape(self, shape: Shape) -> str:
        """Return a shape as a list of numbers."""
        known = constant_shape(shape)
        if known is not None:
            return self.dialect.literal(known, shape.type)
        numbers = [self._as_type(number, DataType.DOUBLE) for number in shape.numbers]
        inside = self.dialect.array(numbers) if shape.kind is ShapeKind.POLYGON else ", ".join(numbers)
        return f"{self.dialect.prefix}{shape.kind.lower()}({inside})"

    def _plane(self, shape: Shape) -> str:
        """Return centre and plane coordinates of a polygon's vertices, as ``qserv.in_polygon`` wants them."""
        ra0, dec0, xs, ys = gnomonic(shape)
        double = self.dialect.double
        lists = (self.dialect.numbers([float(value) for value in values], f"{double}[]") for values in (xs, ys))
        return f"{ra0!r}::{double}, {dec0!r}::{double}, {', '.join(lists)}"


def ordered_as(*, descending: bool) -> str:
    """Return what follows a key of an order: NULL is above all values."""
    return "DESC NULLS FIRST" if descending else "ASC NULLS LAST"
