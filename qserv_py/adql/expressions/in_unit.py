"""IN_UNIT: a value whose unit is known, in another one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlglot import exp

from qserv_py.adql.blocks.metadata import meaning_of
from qserv_py.adql.expressions.builder import Builder
from qserv_py.adql.expressions.operands import as_double, check_number
from qserv_py.adql.places import Failures, offset_of
from qserv_py.adql.tree import Expr, InUnit
from qserv_py.adql.units import UnitError, conversion, read_vounit
from qserv_py.catalog.types import DataType
from qserv_py.errors import TypeMismatchError, UnknownFunctionError


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


def _conversion(operand: Expr, unit: str, failures: Failures) -> tuple[float, float]:
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
