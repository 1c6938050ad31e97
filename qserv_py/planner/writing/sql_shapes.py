"""Shapes on the sphere as SQL: values are lists of numbers, tests are calls of our functions."""

from __future__ import annotations

from qserv_py.adql.geometry.shapes import constant_shape
from qserv_py.adql.tree import InShape, Shape, ShapeKind
from qserv_py.catalog.types import DataType
from qserv_py.planner.sky.gnomonic import gnomonic
from qserv_py.planner.writing.dialects import Engine, Writer, as_type, literal


def in_shape(expr: InShape, writer: Writer) -> str:
    """Return whether a point lies in a shape that the query writes."""
    position = ", ".join(writer.expr(number) for number in expr.point.numbers)
    if expr.shape.kind is ShapeKind.POLYGON:
        return f"{writer.engine.prefix}in_polygon({position}, {_plane(expr.shape, writer.engine)})"
    name = "in_circle" if expr.shape.kind is ShapeKind.CIRCLE else "in_box"
    numbers = ", ".join(writer.expr(number) for number in expr.shape.numbers)
    return f"{writer.engine.prefix}{name}({position}, {numbers})"


def shape_value(shape: Shape, writer: Writer) -> str:
    """Return a shape as a list of numbers."""
    known = constant_shape(shape)
    if known is not None:
        return literal(known, shape.type, writer.engine)
    numbers = ", ".join(as_type(number, DataType.DOUBLE, writer) for number in shape.numbers)
    if shape.kind is ShapeKind.POLYGON:
        numbers = f"[{numbers}]" if writer.engine is Engine.DUCKDB else f"ARRAY[{numbers}]"
    return f"{writer.engine.prefix}{shape.kind.lower()}({numbers})"


def _plane(shape: Shape, engine: Engine) -> str:
    """Return centre and plane coordinates of a polygon's vertices, as ``qserv.in_polygon`` wants them."""
    ra0, dec0, xs, ys = gnomonic(shape)
    suffix = "DOUBLE" if engine is Engine.DUCKDB else "float8"
    arrays = [", ".join(repr(float(value)) for value in values) for values in (xs, ys)]
    if engine is Engine.DUCKDB:
        lists = ", ".join(f"[{text}]::DOUBLE[]" for text in arrays)
    else:
        lists = ", ".join(f"'{{{text}}}'::float8[]" for text in arrays)
    return f"{ra0!r}::{suffix}, {dec0!r}::{suffix}, {lists}"
