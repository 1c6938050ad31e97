"""Expressions as SQL text, for PostgreSQL (chunk queries) and for DuckDB (merge queries).

Everything that a user wrote comes out again as quoted identifiers and typed literals made here.
"""

from __future__ import annotations

from collections.abc import Callable

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
    Window,
)
from qserv_py.errors import InternalError, LimitError
from qserv_py.planner.plan.nodes import (
    InStage,
    NearBorder,
    Ranges,
    SameBucket,
    SameCell,
    SqlTemplate,
    StageExists,
    StageValue,
)
from qserv_py.planner.plan.slots import BorderSlot, BucketSlot, SpatialSlot, ValuesForm, ValuesSlot
from qserv_py.planner.writing.dialects import Engine, as_type, cast, literal, quoted
from qserv_py.planner.writing.sql_aggregates import aggregate, window
from qserv_py.planner.writing.sql_arithmetic import arithmetic, in_unit
from qserv_py.planner.writing.sql_shapes import in_shape, shape_value
from qserv_py.planner.writing.statement import Statement

MAX_SQL = 4_000_000
"""Characters of one expression: a short text can ask for a very long one by nesting."""


class ExpressionWriter:
    """Writes the expressions of one statement.

    Parameters
    ----------
    statement
        The statement.
    query
        Writes a query that stands in an expression.
    """

    def __init__(self, statement: Statement, query: Callable[[Query], str]) -> None:
        self.engine = statement.engine
        self._statement = statement
        self._query = query

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
                return self._statement.column(expr)
            case Literal():
                return literal(expr.value, expr.type, self.engine)
            case Negate():
                return f"(- {self.expr(expr.operand)})"
            case Arithmetic():
                return arithmetic(expr, self)
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
                return f"({self.expr(expr.operand)} IN ({self._query(expr.query)}))"
            case ExistsQuery():
                return f"EXISTS ({self._query(expr.query)})"
            case ScalarQuery():
                return f"({self._query(expr.query)})"
            case Like():
                return self._like(expr)
            case Case():
                return self._case(expr)
            case Coalesce():
                return f"COALESCE({', '.join(as_type(part, expr.type, self) for part in expr.operands)})"
            case Cast():
                return cast(expr, self)
            case InUnit():
                return in_unit(expr, self)
            case Call():
                return expr.function.sql(
                    [self.expr(argument) for argument in expr.arguments], duckdb=self.engine is Engine.DUCKDB
                )
            case Aggregate():
                return aggregate(expr, self)
            case Window():
                return window(expr, self)
            case InShape():
                return in_shape(expr, self)
            case Shape():
                return shape_value(expr, self)
            case SqlTemplate():
                return expr.text.format(*(self.expr(argument) for argument in expr.arguments))
            case InStage():
                return in_stage(expr, self.expr(expr.operand), self._statement)
            case SameBucket():
                return self._same_bucket(expr)
            case NearBorder():
                return self._statement.mark(BorderSlot(column=self.expr(expr.column), radius=expr.radius))
            case SameCell():
                self._statement.column(expr.healpix)
                return self._statement.mark(expr)
            case StageExists():
                return stage_exists(expr, self._statement)
            case StageValue():
                return stage_value(expr, self._statement)
            case Ranges():
                return self._ranges(expr)
        raise InternalError(f"expression {expr!r} cannot be rendered")

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
        branches = (f"WHEN {self.expr(when)} THEN {as_type(then, expr.type, self)}" for when, then in expr.branches)
        return f"(CASE {' '.join(branches)} ELSE {as_type(expr.otherwise, expr.type, self)} END)"

    def _same_bucket(self, expr: SameBucket) -> str:
        slot = BucketSlot(
            ra=self.expr(expr.ra),
            dec=self.expr(expr.dec),
            near=self._statement.aliases[expr.near_ra.source],
            near_ra=self.expr(expr.near_ra),
            near_dec=self.expr(expr.near_dec),
            radius=expr.radius,
        )
        return self._statement.mark(slot)

    def _ranges(self, expr: Ranges) -> str:
        exact = " AND ".join(self.condition(part) for part in expr.exact)
        slot = SpatialSlot(column=self.expr(expr.column), inside=expr.inside, maybe=expr.maybe, exact=exact)
        return self._statement.mark(slot)


def in_stage(expr: InStage, operand: str, statement: Statement) -> str:
    """Return whether the operand, SQL already, is among the rows of a stage."""
    statement.reads.append(expr.stage)
    if statement.engine is Engine.DUCKDB:
        return f"({operand} IN (SELECT {quoted(expr.column.label)} FROM {quoted(expr.stage)}))"
    slot = ValuesSlot(
        stage=expr.stage,
        columns=(expr.column,),
        form=ValuesForm.LIST,
        placing=expr.placing,
        narrows=expr.placing is not None,
    )
    return f"({operand} {statement.mark(slot)})"


def stage_exists(expr: StageExists, statement: Statement) -> str:
    """Return whether a stage has rows."""
    statement.reads.append(expr.stage)
    if statement.engine is Engine.DUCKDB:
        return f"EXISTS (SELECT 1 FROM {quoted(expr.stage)})"
    return statement.mark(ValuesSlot(stage=expr.stage, columns=expr.columns, form=ValuesForm.EXISTS))


def stage_value(expr: StageValue, statement: Statement) -> str:
    """Return the one value of a stage."""
    statement.reads.append(expr.stage)
    if statement.engine is Engine.DUCKDB:
        return f"(SELECT {quoted(expr.column.label)} FROM {quoted(expr.stage)})"
    return statement.mark(ValuesSlot(stage=expr.stage, columns=(expr.column,), form=ValuesForm.SCALAR))
