"""sqlglot's expressions to ours: names bound, types checked, everything that is not listed here refused."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from sqlglot import exp

from qserv_py.adql.casts import cast_target, time_constant
from qserv_py.adql.constants import constant_number
from qserv_py.adql.functions import (
    AGGREGATE_FUNCTIONS,
    AGGREGATES,
    FUNCTIONS,
    SHAPE_NAMES,
    AggregateFunction,
    Function,
    Kind,
)
from qserv_py.adql.functions.positions import HEALPIX_INDEX
from qserv_py.adql.functions.shapes import CAST_TO_SHAPE
from qserv_py.adql.geometry import GeometricForms, is_form
from qserv_py.adql.metadata import meaning_of
from qserv_py.adql.parse import MARK
from qserv_py.adql.places import Failures, offset_of
from qserv_py.adql.relations import Relations, as_double
from qserv_py.adql.scope import Scope
from qserv_py.adql.shapes import build_shape, region_shape, shape_of_text
from qserv_py.adql.tree import (
    Aggregate,
    Arithmetic,
    Between,
    Call,
    Case,
    Cast,
    Coalesce,
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
    ScalarQuery,
    Shape,
    ShapeKind,
    Window,
    contains_aggregate,
)
from qserv_py.adql.typing_rules import arithmetic_type, common_type, comparable, literal_type, sum_type
from qserv_py.adql.units import UnitError, conversion, read_vounit
from qserv_py.adql.wording import describe, remedy
from qserv_py.catalog.types import DataType
from qserv_py.errors import AdqlSyntaxError, LimitError, TypeMismatchError, UnknownFunctionError
from qserv_py.hints import did_you_mean

_COMPARISONS = {exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}
_MIRROR = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_ARITHMETIC = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}
_BITWISE = {
    exp.BitwiseAnd: "&",
    exp.BitwiseOr: "|",
    exp.BitwiseXor: "#",
    exp.BitwiseLeftShift: "<<",
    exp.BitwiseRightShift: ">>",
}
_AGGREGATE_NODES = {exp.Count: "COUNT", exp.Sum: "SUM", exp.Avg: "AVG", exp.Min: "MIN", exp.Max: "MAX"}
_USUAL_PARTS = {"this", "expression"}
_ANY_PARTS = {
    "with_",
    "expressions",
    "from_",
    "joins",
    "where",
    "group",
    "having",
    "order",
    "limit",
    "offset",
    "distinct",
    "kind",
}
"""Of a query in an expression; ``resolve`` looks at its parts."""

_PARTS = {
    exp.Column: {"this", "table", "db", "catalog"},
    exp.Literal: {"this", "is_string"},
    exp.HexString: {"this", "is_integer"},
    exp.Is: {"this", "expression", "negate"},
    exp.Between: {"this", "low", "high", "symmetric"},
    exp.In: {"this", "expressions", "query", "unnest", "field"},
    exp.Like: {"this", "expression", "negate"},
    exp.ILike: {"this", "expression", "negate"},
    exp.Case: {"this", "ifs", "default"},
    exp.Coalesce: {"this", "expressions"},
    exp.Cast: {"this", "to"},
    exp.DPipe: {"this", "expression", "safe"},
    exp.Div: {"this", "expression", "typed", "safe"},
    exp.Anonymous: {"this", "expressions"},
    exp.Window: {"this", "partition_by", "order", "spec", "over"},
    exp.Count: {"this", "expressions", "big_int"},
    exp.Min: {"this", "expressions"},
    exp.Max: {"this", "expressions"},
}

WINDOW_FUNCTIONS: dict[str, tuple[int, int, DataType | None]] = {
    "ROW_NUMBER": (0, 0, DataType.LONG),
    "RANK": (0, 0, DataType.LONG),
    "DENSE_RANK": (0, 0, DataType.LONG),
    "PERCENT_RANK": (0, 0, DataType.DOUBLE),
    "CUME_DIST": (0, 0, DataType.DOUBLE),
    "NTILE": (1, 1, DataType.INT),
    "LAG": (1, 2, None),
    "LEAD": (1, 2, None),
    "FIRST_VALUE": (1, 1, None),
    "LAST_VALUE": (1, 1, None),
    "NTH_VALUE": (2, 2, None),
}
"""Functions that only a window has: fewest and most arguments, type (None: that of the first argument)."""

_BORDER = re.compile(r"UNBOUNDED (PRECEDING|FOLLOWING)|CURRENT ROW|\d{1,18} (PRECEDING|FOLLOWING)")

MAX_NESTING = 200
"""Operators and calls inside one another; whatever walks our tree recurses."""


class ExpressionBuilder:
    """Builds the expressions of one block."""

    def __init__(self, scope: Scope, subquery: Callable[[Any, Scope], Query]) -> None:
        self.scope = scope
        self.failures: Failures = scope.failures
        self._subquery = subquery
        self._nesting = 0
        self._handlers: dict[type, Callable[[Any], Expr]] = {
            exp.Column: self._column,
            exp.Literal: self._literal,
            exp.Null: lambda node: Literal(type=None, value=None, offset=offset_of(node)),
            exp.Boolean: lambda node: Literal(type=DataType.BOOLEAN, value=bool(node.this), offset=offset_of(node)),
            exp.Paren: lambda node: self.build(node.this),
            exp.Neg: self._negate,
            exp.And: self._logic,
            exp.Or: self._logic,
            exp.Not: lambda node: _negated(self.condition(node.this, "NOT")),
            exp.Is: self._is,
            exp.Between: self._between,
            exp.In: self._in,
            exp.Exists: self._exists,
            exp.Window: self._window,
            exp.Subquery: self._scalar_query,
            exp.Select: self._scalar_query,
            exp.Like: self._like,
            exp.ILike: self._like,
            exp.Case: self._case,
            exp.Coalesce: self._coalesce,
            exp.Cast: self._cast,
            exp.DPipe: self._concatenate,
            exp.Anonymous: self._call,
            exp.HexString: self._hexadecimal,
            exp.BitwiseNot: self._bit_not,
            **dict.fromkeys(_BITWISE, self._bitwise),
            **dict.fromkeys(_COMPARISONS, self._comparison),
            **dict.fromkeys(_ARITHMETIC, self._arithmetic),
            **dict.fromkeys(_AGGREGATE_NODES, self._aggregate),
        }

    def build(self, node: Any) -> Expr:
        """Return our expression for one of sqlglot's."""
        handler = self._handlers.get(type(node))
        if handler is None:
            raise self._refuse(node)
        # A part that no handler looks at would be lost in silence: "x IS NOT NULL" is an Is with a part `negate`.
        known = set(node.args) if isinstance(node, exp.Query) else _PARTS.get(type(node), _USUAL_PARTS)
        unknown = [key for key, value in node.args.items() if value not in (None, [], False) and key not in known]
        if unknown:
            raise self.failures.unsupported(f"{describe(node)} is not answered in this form", node)
        if self._nesting >= MAX_NESTING:
            raise LimitError(
                f"an expression nests more than {MAX_NESTING} operators",
                hint="Take a long sum in parts: (a + b + ...) + (c + d + ...).",
            )
        self._nesting += 1
        try:
            return handler(node)
        finally:
            self._nesting -= 1

    def condition(self, node: Any, clause: str) -> Expr:
        """Return an expression that is true or false."""
        built = self.build(node)
        if built.type not in {DataType.BOOLEAN, None}:
            hint = ""
            if isinstance(built, Cast) and isinstance(built.operand, (InShape, Call, Comparison)):
                hint = "CONTAINS and INTERSECTS answer 1 or 0: write 1 = CONTAINS(...)."
            raise self.failures.error(TypeMismatchError, f"{clause} needs a condition, found a value", node, hint=hint)
        return built

    def value(self, node: Any) -> Expr:
        """Return an expression that is a value."""
        built = self.build(node)
        if built.type is DataType.REGION:
            raise self.failures.unsupported(
                "a REGION whose kind the rows tell can stand only inside geometric functions",
                built.offset,
                hint="CAST it to POINT, CIRCLE or POLYGON, or select the column itself.",
            )
        return built

    def _refuse(self, node: Any) -> Exception:
        if isinstance(node, exp.Star):
            return self.failures.error(AdqlSyntaxError, '"*" can stand only alone or in COUNT(*)', node)
        return self.failures.unsupported(f"{describe(node)} is not answered", node, hint=remedy(node))

    # leaves

    def _column(self, node: Any) -> Expr:
        if node.args.get("catalog"):
            raise self.failures.unsupported("names have at most three parts: database.table.column", node)
        identifier = node.this
        if isinstance(identifier, exp.Star):
            raise self.failures.error(AdqlSyntaxError, '"*" cannot stand in an expression', node)
        qualifier = None
        if node.args.get("table") is not None:
            table = node.args["table"]
            qualifier = self.scope.source(table.name, exact=bool(table.args.get("quoted")), node=node)
        return self.scope.column(
            identifier.name,
            exact=bool(identifier.args.get("quoted")),
            qualifier=qualifier,
            node=node,
            offset=offset_of(node),
        )

    def _literal(self, node: Any) -> Expr:
        text, place = str(node.this), offset_of(node)
        if node.is_string:
            return Literal(type=DataType.TEXT, value=text, offset=place)
        try:
            whole = int(text)
        except ValueError:
            return self._real_literal(text, place)
        kind = literal_type(whole)
        return Literal(type=kind, value=float(whole) if kind is DataType.DOUBLE else whole, offset=place)

    def _real_literal(self, text: str, place: int | None) -> Expr:
        try:
            value = float(text)
        except ValueError:
            raise self.failures.error(AdqlSyntaxError, f'"{text}" is not a number', place) from None
        if math.isinf(value):
            raise self.failures.error(TypeMismatchError, f"the number {text} is out of range", place)
        return Literal(type=DataType.DOUBLE, value=value, offset=place)

    def _hexadecimal(self, node: Any) -> Expr:
        place = offset_of(node)
        if place is None or self.failures.text[place : place + 2].lower() != "0x":
            raise self._refuse(node)
        value = int(str(node.this), 16)
        kind = literal_type(value)
        if not kind.is_integer:
            raise self.failures.error(TypeMismatchError, f"the number 0x{node.this} is beyond BIGINT", place)
        return Literal(type=kind, value=value, offset=place)

    # operators

    def _negate(self, node: Any) -> Expr:
        operand = self.value(node.this)
        self._need_number(operand, "unary minus", node)
        if (
            isinstance(operand, Literal)
            and isinstance(operand.value, (int, float))
            and not isinstance(operand.value, bool)
        ):
            value = -operand.value
            literal = literal_type(value) if isinstance(value, int) else DataType.DOUBLE
            return Literal(type=literal, value=value, offset=operand.offset)
        kind = arithmetic_type(operand.type, None) or DataType.INT
        return Negate(type=kind, operand=_typed(operand, kind), offset=operand.offset)

    def _logic(self, node: Any) -> Expr:
        operator = "AND" if isinstance(node, exp.And) else "OR"
        operands = [self.condition(part, operator) for part in _chain(node, type(node))]
        return Logic(type=DataType.BOOLEAN, operator=operator, operands=tuple(operands), offset=operands[0].offset)

    def _arithmetic(self, node: Any) -> Expr:
        operator = _ARITHMETIC[type(node)]
        self._check_complement(node)
        left, right = self.value(node.left), self.value(node.right)
        kind = arithmetic_type(left.type, right.type)
        if kind is None:
            culprit = left if left.type is not None and not left.type.is_numeric else right
            raise self._mismatch(f'"{operator}" needs numbers', culprit, node)
        if operator == "%" and not kind.is_integer:
            arguments = (as_double(left), as_double(right))
            return Call(type=DataType.DOUBLE, function=FUNCTIONS["MOD"], arguments=arguments, offset=left.offset)
        left, right = _typed(left, kind), _typed(right, kind)
        return Arithmetic(type=kind, operator=operator, left=left, right=right, offset=left.offset)

    def _check_complement(self, node: Any) -> None:
        """Refuse ``~a + b``: it is ``~(a + b)`` in PostgreSQL and ``(~a) + b`` in most languages."""
        part = node.left
        while type(part) in _ARITHMETIC or isinstance(part, exp.Neg):
            part = part.right if type(part) in _ARITHMETIC else part.this
        if isinstance(part, exp.BitwiseNot):
            operator = _ARITHMETIC[type(node)]
            raise self.failures.unsupported(
                f'"~" before "{operator}" needs brackets',
                self.failures.text.rfind("~", 0, offset_of(part)),
                hint=f"Write (~a) {operator} b or ~(a {operator} b).",
            )

    def _bitwise(self, node: Any) -> Expr:
        operator = _BITWISE[type(node)]
        left, right = self.value(node.left), self.value(node.right)
        for side in (left, right):
            if side.type is not None and not side.type.is_integer:
                hint = "Write POWER(x, y) for a power." if operator == "#" else ""
                raise self._mismatch(f"{describe(node)} needs whole numbers", side, node, hint=hint)
        if operator in {"<<", ">>"}:
            kind = arithmetic_type(left.type, None) or DataType.INT
            right = Cast(type=DataType.INT, operand=right) if right.type is not DataType.INT else right
        else:
            kind = arithmetic_type(left.type, right.type) or DataType.INT
            right = _typed(right, kind)
        return Arithmetic(type=kind, operator=operator, left=_typed(left, kind), right=right, offset=left.offset)

    def _bit_not(self, node: Any) -> Expr:
        operand = self.value(node.this)
        if operand.type is not None and not operand.type.is_integer:
            raise self._mismatch('"~" needs a whole number', operand, node)
        kind = arithmetic_type(operand.type, None) or DataType.INT
        ones = Literal(type=DataType.INT, value=-1)
        return Arithmetic(type=kind, operator="#", left=_typed(operand, kind), right=ones, offset=operand.offset)

    def _concatenate(self, node: Any) -> Expr:
        left, right = _unfilled(self.value(node.left)), _unfilled(self.value(node.right))
        for side in (left, right):
            if side.type is not None and not side.type.is_text:
                raise self._mismatch('"||" needs text', side, node)
        return Arithmetic(type=DataType.TEXT, operator="||", left=left, right=right, offset=left.offset)

    def _comparison(self, node: Any) -> Expr:
        return self._compare(_COMPARISONS[type(node)], self.value(node.left), self.value(node.right), node)

    def _compare(self, operator: str, left: Expr, right: Expr, node: Any) -> Expr:
        if isinstance(left, Literal) and not isinstance(right, Literal):
            left, right, operator = right, left, _MIRROR[operator]
        flag = _truth_test(operator, left, right)
        if flag is not None:
            return flag
        left, right = self._comparable_pair(left, right, node)
        return Comparison(type=DataType.BOOLEAN, operator=operator, left=left, right=right, offset=left.offset)

    def _comparable_pair(self, left: Expr, right: Expr, node: Any) -> tuple[Expr, Expr]:
        """Both sides brought to types that can be compared; ``node`` is the place that an error names."""
        left, right = (_unfilled(side) for side in self._coerced(left, right))
        if not comparable(left.type, right.type):
            raise self._mismatch(
                f"{_type_name(left)} and {_type_name(right)} cannot be compared",
                right,
                node,
                hint=_quote_hint(left, right),
            )
        return left, right

    def _is(self, node: Any) -> Expr:
        operand = self.value(node.this)
        if not isinstance(node.expression, exp.Null):
            raise self.failures.unsupported("IS can be followed only by NULL or NOT NULL", node)
        null = IsNull(type=DataType.BOOLEAN, operand=operand, offset=operand.offset)
        return _negated(null) if node.args.get("negate") else null

    def _between(self, node: Any) -> Expr:
        if node.args.get("symmetric"):
            raise self.failures.unsupported("BETWEEN SYMMETRIC is not ADQL", node)
        operand = self.value(node.this)
        bounds = []
        for part in (node.args["low"], node.args["high"]):
            operand, bound = self._comparable_pair(operand, self.value(part), part)
            bounds.append(bound)
        return Between(type=DataType.BOOLEAN, operand=operand, low=bounds[0], high=bounds[1], offset=operand.offset)

    def _in(self, node: Any) -> Expr:
        operand = self.value(node.this)
        query = node.args.get("query")
        if query is not None:
            inner = self._subquery(query, self.scope)
            if len(inner.items) != 1:
                raise self.failures.error(
                    TypeMismatchError, f"the sub-query of IN has {len(inner.items)} columns, it needs one", node
                )
            if not comparable(operand.type, inner.items[0].expr.type):
                raise self._mismatch("IN compares different types", operand, node)
            return InQuery(type=DataType.BOOLEAN, operand=operand, query=inner, offset=operand.offset)
        if node.args.get("unnest") is not None or node.args.get("field") is not None:
            raise self.failures.unsupported("this form of IN is not ADQL", node)
        items = []
        for part in node.expressions:
            operand, item = self._comparable_pair(operand, self.value(part), part)
            items.append(item)
        if not items:
            raise self.failures.error(AdqlSyntaxError, "IN needs at least one value", node)
        return InList(type=DataType.BOOLEAN, operand=operand, items=tuple(items), offset=operand.offset)

    def _window(self, node: Any) -> Expr:
        function = node.this
        if isinstance(function, exp.Anonymous):
            name = str(function.this).removeprefix(MARK).upper()
            arguments = [self.value(part) for part in function.expressions]
            kind = self._window_type(name, arguments, function)
        else:
            built = self.build(function)
            if not isinstance(built, Aggregate) or built.distinct:
                raise self.failures.unsupported("OVER can follow only an aggregate or a window function", node)
            name, kind = built.name, built.type
            arguments = [built.operand] if built.operand is not None else []
        order = node.args.get("order")
        keys = []
        for part in order.expressions if order is not None else ():
            descending = bool(part.args.get("desc"))
            if bool(part.args.get("nulls_first")) != descending:
                raise self.failures.unsupported("NULLS FIRST and NULLS LAST are not answered", part)
            keys.append((self.value(part.this), descending))
        return Window(
            type=kind,
            name=name,
            arguments=tuple(arguments),
            partition_by=tuple(self.value(part) for part in node.args.get("partition_by") or ()),
            order_by=tuple(keys),
            frame=self._frame(node.args.get("spec"), node),
            offset=offset_of(node),
        )

    def _window_type(self, name: str, arguments: Sequence[Expr], node: Any) -> DataType | None:
        if name in AGGREGATE_FUNCTIONS:
            raise self.failures.unsupported(
                f"{AGGREGATE_FUNCTIONS[name].name} with OVER is not answered",
                node,
                hint="Group in a sub-query of FROM and join it.",
            )
        known = WINDOW_FUNCTIONS.get(name)
        if known is None:
            raise self.failures.error(
                UnknownFunctionError,
                f'window function "{name}" is not known',
                node,
                hint=did_you_mean(name, [*WINDOW_FUNCTIONS, *AGGREGATES]),
            )
        least, most, kind = known
        if not least <= len(arguments) <= most:
            raise self.failures.error(UnknownFunctionError, f"{name} does not take {len(arguments)} arguments", node)
        for count in arguments[1:2] if kind is None else arguments:
            if count.type is None or not count.type.is_integer:
                raise self._mismatch(f"{name} needs a whole number", count, node)
        return kind or arguments[0].type

    def _frame(self, spec: Any, node: Any) -> str:
        """Return a frame as SQL, made of its known words and numbers."""
        if spec is None:
            return ""
        kind = str(spec.args.get("kind") or "").upper()
        borders = []
        for end in ("start", "end"):
            border = spec.args.get(end)
            if border is None:
                continue
            side = str(spec.args.get(f"{end}_side") or "").upper()
            if isinstance(border, exp.Literal) and not border.is_string and str(border.this).isdigit():
                text = str(int(str(border.this)))
            else:
                text = str(border).upper()
            shown = f"{text} {side}".strip()
            if not _BORDER.fullmatch(shown):
                raise self.failures.unsupported(f"the frame border {shown} is not answered", node)
            borders.append(shown)
        if kind not in {"ROWS", "RANGE", "GROUPS"} or spec.args.get("exclude") or not borders:
            raise self.failures.unsupported("this frame of a window is not answered", node)
        return f"{kind} BETWEEN {borders[0]} AND {borders[1] if len(borders) > 1 else 'CURRENT ROW'}"

    def _exists(self, node: Any) -> Expr:
        inner = self._subquery(node.this, self.scope)
        return ExistsQuery(type=DataType.BOOLEAN, query=inner, offset=offset_of(node))

    def _scalar_query(self, node: Any) -> Expr:
        inner = self._subquery(node, self.scope)
        if len(inner.items) != 1:
            raise self.failures.error(
                TypeMismatchError, f"a sub-query that stands for a value has {len(inner.items)} columns", node
            )
        return ScalarQuery(type=inner.items[0].expr.type, query=inner, offset=offset_of(node))

    def _like(self, node: Any) -> Expr:
        operand, pattern = self.value(node.this), self.value(node.expression)
        for side in (operand, pattern):
            if side.type is not None and not side.type.is_text:
                raise self._mismatch("LIKE needs text", side, node)
        fold = isinstance(node, exp.ILike)
        like = Like(type=DataType.BOOLEAN, operand=operand, pattern=pattern, fold=fold, offset=operand.offset)
        return _negated(like) if node.args.get("negate") else like

    def _case(self, node: Any) -> Expr:
        subject = self.value(node.this) if node.this is not None else None
        branches = []
        for branch in node.args["ifs"]:
            if subject is None:
                when = self.condition(branch.this, "WHEN")
            else:
                when = self._compare("=", subject, self.value(branch.this), branch)
            branches.append((when, self.value(branch.args["true"])))
        default = node.args.get("default")
        otherwise = self.value(default) if default is not None else Literal(type=None, value=None)
        kind = self._common([then for _, then in branches] + [otherwise], "CASE", node)
        return Case(type=kind, branches=tuple(branches), otherwise=otherwise, offset=offset_of(node))

    def _coalesce(self, node: Any) -> Expr:
        values = [self.value(part) for part in [node.this, *node.expressions]]
        kind = self._common(values, "COALESCE", node)
        return Coalesce(type=kind, operands=tuple(values), offset=values[0].offset)

    def _common(self, values: Sequence[Expr], what: str, node: Any) -> DataType | None:
        kind: DataType | None = None
        for value in values:
            joined = common_type(kind, value.type)
            if joined is None and not (kind is None and value.type is None):
                raise self._mismatch(f"{what} mixes {kind} and {value.type}", value, node)
            kind = joined
        return kind

    def _cast(self, node: Any) -> Expr:
        operand = self.value(node.this)
        shape = _shape_type(node.args["to"])
        if shape is not None:
            return self._cast_to_shape(operand, shape, node)
        kind, length = cast_target(node.args["to"], self.failures, node)
        if operand.type is not None and not _can_cast(operand.type, kind):
            raise self._mismatch(f"CAST to {kind.names.adql} is not possible", operand, node)
        if kind is DataType.TIMESTAMP and isinstance(operand, Literal) and isinstance(operand.value, str):
            return time_constant(operand, self.failures)
        return Cast(type=kind, operand=_unfilled(operand), length=length, offset=operand.offset)

    def _cast_to_shape(self, operand: Expr, kind: DataType, node: Any) -> Expr:
        """Return the shape that a text writes; of a row, the query fails where the text is none."""
        if operand.type is kind:
            return operand
        if operand.type is None:
            return Cast(type=kind, operand=operand, offset=operand.offset)
        if not operand.type.is_text:
            raise self._mismatch(f"CAST to {kind.names.adql} takes text", operand, node)
        if isinstance(operand, Literal) and isinstance(operand.value, str):
            shape = shape_of_text(operand.value, self.failures, operand.offset)
            if kind not in {shape.type, DataType.REGION}:
                raise self._mismatch(f"CAST to {kind.names.adql} takes the text of one", shape, node)
            return shape
        word = Literal(type=DataType.TEXT, value=kind.name)
        return Call(type=kind, function=CAST_TO_SHAPE, arguments=(operand, word), offset=operand.offset)

    # calls

    def _aggregate(self, node: Any) -> Expr:
        name = _AGGREGATE_NODES[type(node)]
        inner, distinct = node.this, False
        extra = [key for key, value in node.args.items() if value and key not in {"this", "big_int"}]
        if extra:
            raise self.failures.unsupported(f"{name} takes one argument", node)
        if isinstance(inner, exp.Distinct):
            if len(inner.expressions) != 1:
                raise self.failures.unsupported(f"{name}(DISTINCT ...) takes one expression", node)
            inner, distinct = inner.expressions[0], True
        if isinstance(inner, exp.Star):
            if name != "COUNT" or distinct:
                raise self.failures.error(AdqlSyntaxError, f"{name}(*) is not ADQL", node)
            return Aggregate(type=DataType.LONG, name=name, operand=None, offset=offset_of(node))
        if inner is None:
            raise self.failures.error(UnknownFunctionError, f"{name} needs an argument", node)
        return self._typed_aggregate(name, self.value(inner), distinct=distinct, node=node)

    def _typed_aggregate(self, name: str, operand: Expr, *, distinct: bool, node: Any) -> Expr:
        if contains_aggregate(operand):
            raise self.failures.error(TypeMismatchError, f"{name} holds another aggregate", operand.offset)
        kind = operand.type
        if name in {"SUM", "AVG"}:
            self._need_number(operand, name, node)
            kind = DataType.DOUBLE if name == "AVG" or kind is None else sum_type(kind)
        elif name == "COUNT":
            kind = DataType.LONG
        elif kind in {DataType.BOOLEAN, DataType.BINARY} or (kind is not None and kind.is_list):
            raise self._mismatch(f"{name} needs numbers, text or times", operand, node)
        return Aggregate(type=kind, name=name, operand=operand, distinct=distinct, offset=operand.offset)

    def _call(self, node: Any) -> Expr:
        name = str(node.this)
        written = name.removeprefix(MARK)
        upper, place = written.upper(), offset_of(node)
        if upper in AGGREGATE_FUNCTIONS:
            return self._further_aggregate(AGGREGATE_FUNCTIONS[upper], node.expressions, place)
        if upper == "IN_UNIT":
            return self._in_unit(node.expressions, place)
        arguments = [self.build(part) for part in _without_array(upper, node.expressions)]
        if upper in SHAPE_NAMES:
            return self._geometry(upper, arguments, place)
        function = FUNCTIONS.get(upper)
        if function is None:
            known = [*FUNCTIONS, *SHAPE_NAMES, *AGGREGATES, "COALESCE", "CAST", "IN_UNIT"]
            raise self.failures.error(
                UnknownFunctionError, f'function "{written}" is not known', place, hint=did_you_mean(written, known)
            )
        if function is HEALPIX_INDEX:
            return GeometricForms(self.scope, self._checked_call).healpix_index(arguments, place)
        return self._checked_call(function, arguments, place)

    def _in_unit(self, parts: Sequence[Any], place: int | None) -> Expr:
        if len(parts) != 2:
            raise self.failures.error(
                UnknownFunctionError, "IN_UNIT has the wrong arguments", place, hint="Write IN_UNIT(x, 'unit')."
            )
        operand, wanted = self.value(parts[0]), parts[1]
        at = place if offset_of(wanted) is None else offset_of(wanted)
        self._need_number(operand, "IN_UNIT", parts[0])
        if not isinstance(wanted, exp.Literal) or not wanted.is_string:
            raise self.failures.error(
                TypeMismatchError,
                "the unit of IN_UNIT must be a text constant",
                at,
                hint="Write IN_UNIT(x, 'deg').",
            )
        unit = str(wanted.this)
        try:
            read_vounit(unit)
            given = meaning_of(operand).unit
            if not given:
                raise self.failures.error(
                    TypeMismatchError,
                    "IN_UNIT needs a value whose unit is known",
                    operand.offset,
                    hint="A pure number has no unit." if given == "" else "The columns' units are in the schema.",
                )
            factor, shift = conversion(given, unit)
        except UnitError as error:
            raise self.failures.error(TypeMismatchError, str(error), at, hint=error.hint) from error
        return InUnit(
            type=DataType.DOUBLE, operand=as_double(operand), factor=factor, shift=shift, unit=unit, offset=place
        )

    def _further_aggregate(self, function: AggregateFunction, parts: Sequence[Any], place: int | None) -> Expr:
        distinct = bool(parts) and isinstance(parts[0], exp.Distinct)
        if distinct:
            parts = [*parts[0].expressions, *parts[1:]]
        if len(parts) != 1 + len(function.parameters) or (distinct and not function.distinct):
            what = "DISTINCT" if distinct and not function.distinct else f"{len(parts)} arguments"
            raise self.failures.error(
                UnknownFunctionError,
                f"{function.name} does not take {what}",
                place,
                hint=f"Write {function.signature}.",
            )
        condition = function.operand is Kind.CONDITION
        operand = self.condition(parts[0], function.name) if condition else self.value(parts[0])
        if contains_aggregate(operand):
            raise self.failures.error(TypeMismatchError, f"{function.name} holds another aggregate", operand.offset)
        if not _accepts(function.operand, operand.type):
            raise self._mismatch(f"{function.name} needs {function.operand.value}", operand, place)
        operand = as_double(operand) if function.operand is Kind.NUMBER else operand
        operand = _typed(operand, _TYPE_OF_NULL[function.operand])
        return Aggregate(
            type=function.returns or operand.type,
            name=function.name.upper(),
            operand=operand,
            distinct=distinct and function.repeats_matter,
            parameters=tuple(self._parameter(function, place, part) for place, part in enumerate(parts[1:])),
            offset=place,
        )

    def _parameter(self, function: AggregateFunction, place: int, part: Any) -> Expr:
        """Return a constant after the operand of an aggregate."""
        given, kind = self.value(part), function.parameters[place]
        if kind is Kind.TEXT:
            if not isinstance(given, Literal) or not isinstance(given.value, str):
                raise self._mismatch(f"{function.name} needs a text constant", given, part)
            return given
        number = constant_number(given)
        least, most = function.bounds[place]
        whole = kind is Kind.INTEGER
        if number is None or not least <= number <= most or (whole and not number.is_integer()):
            what = "a whole constant" if whole else "a constant"
            within = f", {least:g} to {most:g}" if math.isfinite(most) else ""
            raise self.failures.error(TypeMismatchError, f"{function.name} needs {what}{within}", part)
        if whole:
            return Literal(type=DataType.INT, value=int(number), offset=given.offset)
        return Literal(type=DataType.DOUBLE, value=number, offset=given.offset)

    def _checked_call(self, function: Function, arguments: Sequence[Expr], place: int | None) -> Expr:
        if not function.accepts(len(arguments)):
            raise self.failures.error(
                UnknownFunctionError,
                f"{function.name} does not take {len(arguments)} arguments",
                place,
                hint=f"Write {function.signature}.",
            )
        passed = []
        for index, argument in enumerate(arguments):
            kind = function.kind_of(index)
            if kind is Kind.TIME and isinstance(argument, Literal) and isinstance(argument.value, str):
                argument = time_constant(argument, self.failures)
            argument = _unfilled(argument)
            if not _accepts(kind, argument.type):
                raise self._mismatch(
                    f"{function.name} needs {kind.value}",
                    argument,
                    argument.offset,
                    hint=f"Write {function.signature}.",
                )
            if kind is Kind.VALUE:
                passed.append(argument)
            else:
                passed.append(as_double(argument) if kind is Kind.NUMBER else _typed(argument, _TYPE_OF_NULL[kind]))
        if Kind.VALUE in function.parameters:
            common = self._common(passed, function.name, place) or _TYPE_OF_NULL[Kind.VALUE]
            passed = [
                part if part.type is common else Cast(type=common, operand=part, offset=part.offset) for part in passed
            ]
        kind_of_result = function.returns or (passed[0].type if passed else None)
        return Call(type=kind_of_result, function=function, arguments=tuple(passed), offset=place)

    def _geometry(self, name: str, arguments: Sequence[Expr], place: int | None) -> Expr:
        if name in {"CONTAINS", "INTERSECTS"}:
            return Relations(self.failures, self._checked_call).build(name, arguments, place)
        if name == "DISTANCE":
            return Relations(self.failures, self._checked_call).distance(arguments, place)
        if name == "REGION":
            return region_shape(arguments, self.failures, place)
        if is_form(name):
            return GeometricForms(self.scope, self._checked_call).build(name, arguments, place)
        return build_shape(ShapeKind(name), arguments, self.failures, place)

    # checks

    def _coerced(self, left: Expr, right: Expr) -> tuple[Expr, Expr]:
        """Give a text literal beside a time the type of the time."""
        if left.type is DataType.TIMESTAMP and isinstance(right, Literal) and isinstance(right.value, str):
            return left, time_constant(right, self.failures)
        if right.type is DataType.TIMESTAMP and isinstance(left, Literal) and isinstance(left.value, str):
            return time_constant(left, self.failures), right
        return left, right

    def _need_number(self, operand: Expr, what: str, node: Any) -> None:
        if operand.type is not None and not operand.type.is_numeric:
            raise self._mismatch(f"{what} needs a number", operand, node)

    def _mismatch(self, message: str, culprit: Expr, node: Any, *, hint: str = "") -> Exception:
        place = culprit.offset if culprit.offset is not None else node
        return self.failures.error(TypeMismatchError, f"{message}, found {_type_name(culprit)}", place, hint=hint)


def _without_array(name: str, parts: Sequence[Any]) -> Sequence[Any]:
    """Return the arguments of a call; the array of vertices that Q3C's form has last is the numbers in it."""
    if name == "Q3C_POLY_QUERY" and len(parts) == 3 and isinstance(parts[2], exp.Array):
        return [*parts[:2], *parts[2].expressions]
    return parts


def _chain(node: Any, kind: Any) -> list[Any]:
    """Return the operands of a left-leaning chain of one operator, without recursion."""
    operands: list[Any] = []
    while type(node) is kind:
        operands.append(node.right)
        node = node.left
    operands.append(node)
    return operands[::-1]


def _negated(operand: Expr) -> Expr:
    return (
        operand.operand
        if isinstance(operand, Not)
        else Not(type=DataType.BOOLEAN, operand=operand, offset=operand.offset)
    )


_TYPE_OF_NULL = {
    Kind.NUMBER: DataType.DOUBLE,
    Kind.ANY_NUMBER: DataType.DOUBLE,
    Kind.INTEGER: DataType.INT,
    Kind.TEXT: DataType.TEXT,
    Kind.TIME: DataType.TIMESTAMP,
    Kind.VALUE: DataType.DOUBLE,
    Kind.CONDITION: DataType.BOOLEAN,
    Kind.SHAPE: DataType.POINT,
}


def _typed(expr: Expr, kind: DataType) -> Expr:
    """Give a bare NULL a type: PostgreSQL could not choose an operator for it."""
    return Cast(type=kind, operand=expr, offset=expr.offset) if expr.type is None else expr


def _shape_type(target: Any) -> DataType | None:
    """Return the shape that CAST names as its type; None when it names another."""
    kind = target.args.get("kind")
    name = kind.name if isinstance(kind, exp.Identifier) else getattr(target.this, "value", "")
    known = DataType.__members__.get(str(name).upper())
    return known if known is not None and known.is_shape else None


def _can_cast(given: DataType, wanted: DataType) -> bool:
    if given.is_list or wanted.is_list or DataType.BINARY in {given, wanted}:
        return given is wanted
    if DataType.BOOLEAN in {given, wanted}:
        return given is wanted or wanted is DataType.INT
    if DataType.TIMESTAMP in {given, wanted}:
        return given is wanted or given.is_text or wanted.is_text
    return True


def _accepts(kind: Kind, given: DataType | None) -> bool:
    if given is None:
        return True
    match kind:
        case Kind.NUMBER | Kind.ANY_NUMBER:
            return given.is_numeric
        case Kind.INTEGER:
            return given.is_integer
        case Kind.TEXT:
            return given.is_text
        case Kind.SHAPE:
            return given.is_shape
        case Kind.TIME:
            return given is DataType.TIMESTAMP
        case Kind.VALUE:
            return given.is_numeric or given.is_text or given is DataType.TIMESTAMP
        case Kind.CONDITION:
            return given is DataType.BOOLEAN


def _truth_test(operator: str, left: Expr, right: Expr) -> Expr | None:
    """Turn ``CONTAINS(...) = 1`` and ``boolean column = 0`` into conditions; None when it is neither."""
    if operator not in {"=", "<>"} or not isinstance(right, Literal) or isinstance(right.value, bool):
        return None
    if right.value not in {0, 1} or not isinstance(right.value, int):
        return None
    wanted = (right.value == 1) == (operator == "=")
    if isinstance(left, Cast) and left.operand.type is DataType.BOOLEAN:
        return left.operand if wanted else _negated(left.operand)
    if left.type is DataType.BOOLEAN:
        return left if wanted else _negated(left)
    return None


def _unfilled(expr: Expr) -> Expr:
    """Take away the blanks that CHAR(n) fills a value with: only the result shows them."""
    if isinstance(expr, Cast) and expr.length is not None and expr.type is DataType.CHAR:
        return Call(type=DataType.TEXT, function=FUNCTIONS["RTRIM"], arguments=(expr,), offset=expr.offset)
    return expr


def _type_name(expr: Expr) -> str:
    if isinstance(expr, Shape):
        return expr.kind.value
    return "NULL" if expr.type is None else expr.type.names.adql


def _quote_hint(left: Expr, right: Expr) -> str:
    number = left.type is not None and left.type.is_numeric
    if number and isinstance(right, Literal) and isinstance(right.value, str):
        return f"Write {right.value} without quotes." if right.value.replace(".", "").isdigit() else ""
    text = left.type is not None and left.type.is_text
    if text and isinstance(right, Literal) and not isinstance(right.value, str):
        return f"Write '{right.value}'."
    return ""
