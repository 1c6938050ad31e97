"""Calls by their names: functions, shapes, geometric forms, aggregates, conversions of units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlglot import exp

from qserv_py.adql.blocks.column_hints import covering_name, quoting_hint
from qserv_py.adql.blocks.metadata import meaning_of
from qserv_py.adql.blocks.scope import column_names
from qserv_py.adql.error_places import ErrorFactory, offset_of
from qserv_py.adql.expressions.aggregates import further_aggregate
from qserv_py.adql.expressions.arithmetic import whole_quotient
from qserv_py.adql.expressions.builder import Builder
from qserv_py.adql.expressions.calls import checked_call
from qserv_py.adql.expressions.operands import as_double, check_number
from qserv_py.adql.functions import AGGREGATE_FUNCTIONS, AGGREGATES, FUNCTIONS, SHAPE_NAMES, Function
from qserv_py.adql.functions.positions import HEALPIX_INDEX
from qserv_py.adql.functions.text import HEX_OF_BYTES, HEX_OF_TEXT
from qserv_py.adql.geometry.areas import PREFIX, area_restriction
from qserv_py.adql.geometry.forms import GeometricForms, is_form
from qserv_py.adql.geometry.relations import Relations
from qserv_py.adql.geometry.shapes import build_shape, region_shape
from qserv_py.adql.text.tokens import MARK
from qserv_py.adql.tree import Call, Expr, InUnit, ShapeKind
from qserv_py.adql.units import UnitError, conversion, read_vounit
from qserv_py.adql.words import FOREIGN_FUNCTIONS
from qserv_py.catalog.types import DataType
from qserv_py.errors import TypeMismatchError, UnknownFunctionError
from qserv_py.hints import did_you_mean


def call(node: Any, builder: Builder) -> Expr:
    """Return what a name with arguments means."""
    written = str(node.this).removeprefix(MARK)
    name, place = written.upper(), offset_of(node)
    if name in AGGREGATE_FUNCTIONS:
        return further_aggregate(AGGREGATE_FUNCTIONS[name], node.expressions, place, builder)
    if name == "IN_UNIT":
        return in_unit(node.expressions, place, builder)
    arguments = [builder.build(part) for part in _without_array(name, node.expressions)]
    if name in SHAPE_NAMES:
        return _geometry(name, node, arguments, builder)
    function = FUNCTIONS.get(name)
    if function is None:
        known = [*FUNCTIONS, *SHAPE_NAMES, *AGGREGATES, "COALESCE", "CAST", "IN_UNIT"]
        columns = [column for source in builder.scope.sources for column in column_names(source)]
        unquoted = covering_name(columns, builder.failures.text, place)
        hint = quoting_hint(unquoted) if unquoted else FOREIGN_FUNCTIONS.get(name, "")
        hint = hint or did_you_mean(written, known)
        hint = hint or "The reference of ADQL lists the functions that are answered."
        raise builder.failures.error(UnknownFunctionError, f'function "{written}" is not known', place, hint=hint)
    if function is HEALPIX_INDEX:
        return GeometricForms(builder.scope).healpix_index(arguments, place)
    return _call_by_types(function, arguments, place, builder.failures)


def _call_by_types(function: Function, arguments: Sequence[Expr], place: int | None, failures: ErrorFactory) -> Expr:
    """Return a call of the table, which may mean another one for arguments of other types."""
    kinds = [argument.type for argument in arguments]
    if function is FUNCTIONS["DIV"] and len(kinds) == 2 and all(kind is not None and kind.is_integer for kind in kinds):
        return whole_quotient(arguments[0], arguments[1])
    if function is FUNCTIONS["HEX"] and kinds == [DataType.BINARY]:
        return Call(type=DataType.TEXT, function=HEX_OF_BYTES, arguments=tuple(arguments), offset=place)
    if function is FUNCTIONS["HEX"] and kinds and kinds[0] is not None and kinds[0].is_text:
        function = HEX_OF_TEXT
    return checked_call(function, arguments, place, failures)


def _geometry(name: str, node: Any, arguments: Sequence[Expr], builder: Builder) -> Expr:
    place = offset_of(node)
    if name in {"CONTAINS", "INTERSECTS"}:
        return Relations(builder.failures).build(name, arguments, place)
    if name == "DISTANCE":
        return Relations(builder.failures).distance(arguments, place)
    if name == "REGION":
        return region_shape(arguments, builder.failures, place)
    if name.startswith(PREFIX):
        return area_restriction(node, arguments, place, builder)
    if is_form(name):
        return GeometricForms(builder.scope).build(name, arguments, place)
    return build_shape(ShapeKind(name), arguments, builder.failures, place)


def _without_array(name: str, parts: Sequence[Any]) -> Sequence[Any]:
    """Return the arguments of a call; the array of vertices that Q3C's form has last is the numbers in it."""
    if name == "Q3C_POLY_QUERY" and len(parts) == 3 and isinstance(parts[2], exp.Array):
        return [*parts[:2], *parts[2].expressions]
    return parts


def in_unit(parts: Sequence[Any], place: int | None, builder: Builder) -> Expr:
    """Return the conversion of the first of two arguments to the unit that the second names."""
    failures = builder.failures
    if len(parts) != 2:
        raise failures.error(
            UnknownFunctionError, "IN_UNIT has the wrong arguments", place, hint="Write IN_UNIT(x, 'unit')."
        )
    operand, wanted = builder.value(parts[0]), parts[1]
    at = place if offset_of(wanted) is None else offset_of(wanted)
    check_number(operand, "IN_UNIT", parts[0], failures)
    if not isinstance(wanted, exp.Literal) or not wanted.is_string:
        raise failures.error(
            TypeMismatchError, "the unit of IN_UNIT must be a text constant", at, hint="Write IN_UNIT(x, 'deg')."
        )
    unit = str(wanted.this)
    try:
        factor, shift = _conversion(operand, unit, failures)
    except UnitError as error:
        raise failures.error(TypeMismatchError, str(error), at, hint=error.hint) from error
    return InUnit(type=DataType.DOUBLE, operand=as_double(operand), factor=factor, shift=shift, unit=unit, offset=place)


def _conversion(operand: Expr, unit: str, failures: ErrorFactory) -> tuple[float, float]:
    """Return the factor and the shift that give a value in a unit."""
    read_vounit(unit)
    given = meaning_of(operand).unit
    if not given:
        raise failures.error(
            TypeMismatchError,
            "IN_UNIT needs a value whose unit is known",
            operand.offset,
            hint="A pure number has no unit." if given == "" else "The columns' units are in the schema.",
        )
    return conversion(given, unit)
