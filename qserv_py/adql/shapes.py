"""Shapes in ADQL: the several ways to write POINT, CIRCLE, BOX and POLYGON, brought to one."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from qserv_py.adql.constants import constant_number
from qserv_py.adql.places import Failures
from qserv_py.adql.tree import Expr, Literal, Shape, ShapeKind
from qserv_py.errors import TypeMismatchError, UnknownFunctionError

_ICRS = re.compile(r"(icrs|unknownframe)?(\s+(geocenter|barycenter|topocenter|unknownrefpos))?", re.IGNORECASE)

_FORMS = {
    ShapeKind.POINT: "POINT([coosys,] lon, lat)",
    ShapeKind.CIRCLE: "CIRCLE([coosys,] lon, lat, radius) or CIRCLE([coosys,] point, radius)",
    ShapeKind.BOX: "BOX([coosys,] lon, lat, width, height) or BOX([coosys,] point, width, height)",
    ShapeKind.POLYGON: "POLYGON([coosys,] lon, lat, lon, lat, lon, lat, ...) or POLYGON([coosys,] point, ...)",
}
_NUMBERS = {ShapeKind.POINT: 2, ShapeKind.CIRCLE: 3, ShapeKind.BOX: 4}


def build_shape(kind: ShapeKind, arguments: Sequence[Expr], failures: Failures, offset: int | None) -> Shape:
    """Return the shape that a call of POINT, CIRCLE, BOX or POLYGON makes.

    Raises
    ------
    UnknownFunctionError
        If the arguments are not one of the function's forms.
    TypeMismatchError
        If an argument is no number, or a constant is out of range.
    """
    numbers = _flatten(_without_frame(arguments, failures), kind)
    wanted = _NUMBERS.get(kind)
    right = len(numbers) == wanted if wanted else len(numbers) >= 6 and len(numbers) % 2 == 0
    if not right:
        raise failures.error(
            UnknownFunctionError, f"{kind} has the wrong number of arguments", offset, hint=f"Write {_FORMS[kind]}."
        )
    for number in numbers:
        if number.type is not None and not number.type.is_numeric:
            raise failures.error(TypeMismatchError, f"{kind} needs numbers (degrees)", number.offset or offset)
    shape = Shape(type=None, kind=kind, numbers=tuple(numbers), offset=offset)
    _check_constants(shape, failures)
    return shape


def _without_frame(arguments: Sequence[Expr], failures: Failures) -> Sequence[Expr]:
    """Drop the coordinate system, the deprecated first argument; only ICRS is understood."""
    if not arguments or not isinstance(arguments[0], Literal) or not isinstance(arguments[0].value, str):
        return arguments
    frame = arguments[0].value.strip()
    if not _ICRS.fullmatch(frame):
        raise failures.unsupported(
            f"positions are ICRS; coordinate system '{frame}' is not converted", arguments[0].offset
        )
    return arguments[1:]


def _flatten(arguments: Sequence[Expr], kind: ShapeKind) -> list[Expr]:
    """Replace points by their coordinates, where the form takes points."""
    numbers: list[Expr] = []
    for index, argument in enumerate(arguments):
        takes_point = kind is ShapeKind.POLYGON or (kind is not ShapeKind.POINT and index == 0)
        if isinstance(argument, Shape) and argument.kind is ShapeKind.POINT and takes_point:
            numbers += argument.numbers
        elif isinstance(argument, Shape):
            return []
        else:
            numbers.append(argument)
    return numbers


def _check_constants(shape: Shape, failures: Failures) -> None:
    values = [constant_number(number) for number in shape.numbers]
    sizes = values[2:] if shape.kind in {ShapeKind.CIRCLE, ShapeKind.BOX} else []
    latitudes = values[1::2] if shape.kind in {ShapeKind.POINT, ShapeKind.POLYGON} else values[1:2]
    for value in values:
        if value is not None and not math.isfinite(value):
            raise failures.error(TypeMismatchError, f"{shape.kind} needs finite numbers", shape.offset)
    for latitude in latitudes:
        if latitude is not None and not -90 <= latitude <= 90:
            raise failures.error(
                TypeMismatchError, f"declination {latitude:g} of {shape.kind} is outside [-90, 90]", shape.offset
            )
    for size in sizes:
        if size is not None and size < 0:
            raise failures.error(TypeMismatchError, f"{shape.kind} has the negative size {size:g}", shape.offset)
    if shape.kind is ShapeKind.BOX and any(size is not None and size >= 180 for size in sizes):
        raise failures.unsupported("a side of BOX is 180 degrees or more", shape.offset)
