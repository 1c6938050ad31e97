"""The functions of shapes that merge statements call, such as ``qserv_area``, in Python.

A macro in DuckDB's SQL could walk the corners of a polygon by functions of lists alone, which are hard to read.

Chunk queries have the same functions in PostgreSQL, where nearly all shapes are looked at; a merge needs them for rows
that had to be brought together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from typing import Any

import pyarrow as pa

from qserv_py.adql.geometry import astrometry, sphere
from qserv_py.adql.geometry.frames import between
from qserv_py.adql.geometry.region_text import numbers_of

Shape = Sequence[float]
_KINDS = {2: "POINT", 3: "CIRCLE"}


def register(connection: Any) -> None:
    """Make the functions known to a DuckDB database."""
    for name, (function, parameters, returns) in _FUNCTIONS.items():
        nullable = name == "qserv_epoch_prop_pos"
        connection.create_function(
            name, _by_rows(function, returns, nullable), parameters, returns, type="arrow", null_handling="special"
        )


def _by_rows(function: Callable[..., Any], returns: str, nullable: bool) -> Callable[..., pa.Array]:
    """Return a function of whole columns; a NULL argument gives NULL, unless the function handles it itself."""
    kind = _ARROW[returns]

    @wraps(function)  # DuckDB finds the number of arguments by the signature of the Python function
    def over(*columns: pa.ChunkedArray) -> pa.Array:
        rows = zip(*(column.to_pylist() for column in columns), strict=True)
        found = [None if not nullable and None in row else function(*row) for row in rows]
        return pa.array(found, kind)

    return over


_ARROW = {"BOOLEAN": pa.bool_(), "DOUBLE": pa.float64(), "DOUBLE[]": pa.list_(pa.float64())}


@lru_cache(maxsize=4096)
def _body(numbers: tuple[float, ...]) -> tuple[float, ...] | None:
    return sphere.body_of(numbers)


def _contains(inner: Shape, outer: Shape) -> bool | None:
    one, other = _body(tuple(inner)), _body(tuple(outer))
    return None if one is None or other is None else sphere.contains(one, other)


def _intersects(first: Shape, second: Shape) -> bool | None:
    one, other = _body(tuple(first)), _body(tuple(second))
    return None if one is None or other is None else sphere.intersects(one, other)


def _area(shape: Shape) -> float | None:
    return None if _body(tuple(shape)) is None else sphere.area(shape)


def _centroid(shape: Shape) -> Shape | None:
    return None if _body(tuple(shape)) is None else sphere.centroid(shape)


def _polygon(numbers: Sequence[float | None]) -> Sequence[float | None] | None:
    return numbers if len(numbers) > 3 and sphere.is_shape(numbers) else None


def _box(ra: float, dec: float, width: float, height: float) -> Shape | None:
    if not sphere.is_shape((ra, dec)) or not all(0 <= size < 180 for size in (width, height)):
        return None
    return sphere.corners_of_box(ra, dec, width, height)


def _region(text: str, kind: str) -> Shape | None:
    numbers = numbers_of(text)
    if numbers is None or kind not in {"REGION", _KINDS.get(len(numbers), "POLYGON")}:
        return None
    return numbers


def _region_as(text: str, kind: str) -> Shape:
    found = _region(text, kind)
    if found is None:
        raise ValueError(f'invalid {kind}: "{text[:100]}"')
    return found


def _transformed(shape: Shape, source: str, target: str) -> Shape:
    return sphere.rotated(shape, between(source, target))


def _convex(shape: Shape) -> Shape | None:
    return shape if sphere.is_convex(tuple(shape)) else None


def _healpix_center(order: int, cell: int) -> Shape | None:
    return astrometry.healpix_center(order, cell) if 0 <= order <= 29 else None


def _epoch_prop_pos(
    ra: float | None,
    dec: float | None,
    parallax: float | None,
    pmra: float | None,
    pmdec: float | None,
    radial_velocity: float | None,
    ref_epoch: float | None,
    out_epoch: float | None,
) -> Shape | None:
    if ra is None or dec is None or ref_epoch is None or out_epoch is None:
        raise ValueError("a coordinate or an epoch of ivo_epoch_prop_pos is NULL")
    return astrometry.epoch_prop_pos(ra, dec, parallax, pmra, pmdec, radial_velocity, ref_epoch, out_epoch)


_FUNCTIONS: dict[str, tuple[Callable[..., Any], list[str], str]] = {
    "qserv_contains": (_contains, ["DOUBLE[]", "DOUBLE[]"], "BOOLEAN"),
    "qserv_intersects": (_intersects, ["DOUBLE[]", "DOUBLE[]"], "BOOLEAN"),
    "qserv_area": (_area, ["DOUBLE[]"], "DOUBLE"),
    "qserv_centroid": (_centroid, ["DOUBLE[]"], "DOUBLE[]"),
    "qserv_convex": (_convex, ["DOUBLE[]"], "DOUBLE[]"),
    "qserv_polygon": (_polygon, ["DOUBLE[]"], "DOUBLE[]"),
    "qserv_box": (_box, ["DOUBLE"] * 4, "DOUBLE[]"),
    "qserv_region": (_region, ["VARCHAR", "VARCHAR"], "DOUBLE[]"),
    "qserv_region_as": (_region_as, ["VARCHAR", "VARCHAR"], "DOUBLE[]"),
    "qserv_transformed": (_transformed, ["DOUBLE[]", "VARCHAR", "VARCHAR"], "DOUBLE[]"),
    "qserv_healpix_center": (_healpix_center, ["BIGINT", "BIGINT"], "DOUBLE[]"),
    "qserv_epoch_prop_pos": (_epoch_prop_pos, ["DOUBLE"] * 8, "DOUBLE[]"),
}
"""Each function with the types of its arguments and of its answer, as DuckDB calls them."""
