"""Calls of the functions of our table: how many arguments, of which types, and the type of the answer."""

from __future__ import annotations

from collections.abc import Sequence

from qserv_py.adql.error_places import ErrorFactory
from qserv_py.adql.expressions.casts import time_constant
from qserv_py.adql.expressions.constants import constant_number, degrees_hint
from qserv_py.adql.expressions.operands import as_double, common_operand_type, mismatch, typed, unfilled
from qserv_py.adql.functions import Function, Kind
from qserv_py.adql.tree import Call, Cast, Expr, Literal
from qserv_py.catalog.types import DataType
from qserv_py.errors import TypeMismatchError, UnknownFunctionError

TYPE_OF_NULL = {
    Kind.NUMBER: DataType.DOUBLE,
    Kind.ANY_NUMBER: DataType.DOUBLE,
    Kind.INTEGER: DataType.INT,
    Kind.TEXT: DataType.TEXT,
    Kind.TIME: DataType.TIMESTAMP,
    Kind.VALUE: DataType.DOUBLE,
    Kind.CONDITION: DataType.BOOLEAN,
    Kind.SHAPE: DataType.POINT,
}
"""The type that a bare NULL gets as an argument."""


def checked_call(function: Function, arguments: Sequence[Expr], place: int | None, failures: ErrorFactory) -> Expr:
    """Return a call, its arguments brought to the types that the function takes."""
    if not function.accepts(len(arguments)):
        raise failures.error(
            UnknownFunctionError,
            f"{function.name} does not take {len(arguments)} arguments",
            place,
            hint=f"Write {function.signature}.",
        )
    _check_constants(function, arguments, place, failures)
    passed = [_argument(function, index, argument, failures) for index, argument in enumerate(arguments)]
    if Kind.VALUE in function.parameters:
        common = common_operand_type(passed, function.name, place, failures) or TYPE_OF_NULL[Kind.VALUE]
        passed = [
            part if part.type is common else Cast(type=common, operand=part, offset=part.offset) for part in passed
        ]
    kind_of_result = function.returns or (passed[0].type if passed else None)
    return Call(type=kind_of_result, function=function, arguments=tuple(passed), offset=place)


def _check_constants(function: Function, arguments: Sequence[Expr], place: int | None, failures: ErrorFactory) -> None:
    """Refuse a constant that is no HEALPix order, and NULL where the function does not take it."""
    for index in function.needed:
        if _is_null(arguments[index]):
            message = f"argument {index + 1} of {function.name} is NULL"
            raise failures.error(TypeMismatchError, message, arguments[index].offset or place)
    order = constant_number(arguments[0]) if function.max_order is not None else None
    if order is not None and not 0 <= order <= (function.max_order or 0):
        message = f"the HEALPix order {order:g} is not in 0 to {function.max_order}"
        hint = f"Write an order from 0 (12 cells) to {function.max_order}."
        raise failures.error(TypeMismatchError, message, arguments[0].offset or place, hint=hint)


def _is_null(expr: Expr) -> bool:
    while isinstance(expr, Cast):
        expr = expr.operand
    return isinstance(expr, Literal) and expr.value is None


def _argument(function: Function, index: int, argument: Expr, failures: ErrorFactory) -> Expr:
    kind = function.kind_of(index)
    if kind is Kind.TIME and isinstance(argument, Literal) and isinstance(argument.value, str):
        argument = time_constant(argument, failures)
    argument = unfilled(argument)
    if not accepts(kind, argument.type):
        hint = degrees_hint(argument) if kind is Kind.NUMBER else ""
        if not hint and argument.type is not DataType.BOOLEAN:
            hint = f"Write {function.signature}."
        if kind is Kind.TEXT and _becomes_text(argument.type):
            hint = f"{hint} CAST(x AS VARCHAR) makes a text of it."
        raise mismatch(f"{function.name} needs {kind.value}", argument, argument.offset, failures, hint=hint)
    if kind is Kind.VALUE:
        return argument
    return as_double(argument) if kind is Kind.NUMBER else typed(argument, TYPE_OF_NULL[kind])


def _becomes_text(given: DataType | None) -> bool:
    return given is not None and (given.is_numeric or given is DataType.TIMESTAMP)


def accepts(kind: Kind, given: DataType | None) -> bool:
    """Whether an argument of a type can be given where a kind is wanted; a bare NULL always."""
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
