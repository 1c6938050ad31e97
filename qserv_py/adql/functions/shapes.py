"""What is asked of shapes that only the rows know: SQL for both engines.

The resolver puts calls of these where CONTAINS, INTERSECTS, AREA and the others have no simpler meaning. PostgreSQL
looks at the bodies of shapes (sql/worker/shape_functions.sql), which it computes once for those of constants.
"""

from __future__ import annotations

from qserv_py.adql.functions.signature import function
from qserv_py.catalog.types import DataType

IN_REGION = function(
    "CONTAINS",
    "shape, shape",
    DataType.BOOLEAN,
    "qserv.contains(qserv.body({0}), qserv.body({1}))",
    "qserv_contains({0}, {1})",
    "Whether the second shape holds the first.",
)

MEETING = function(
    "INTERSECTS",
    "shape, shape",
    DataType.BOOLEAN,
    "qserv.intersects(qserv.body({0}), qserv.body({1}))",
    "qserv_intersects({0}, {1})",
    "Whether two shapes have a point in common.",
)

CONVEX = function(
    "scisql_s2PtInCPoly",
    "shape",
    None,
    "qserv.convex({0})",
    "qserv_convex({0})",
    "The polygon itself when it is convex; NULL when it is not.",
)

AREA_OF_SHAPE = function(
    "AREA",
    "shape",
    DataType.DOUBLE,
    "qserv.area({0})",
    "qserv_area({0})",
    "Area of a shape, square degrees.",
    unit="deg**2",
)

CENTROID_OF_SHAPE = function(
    "CENTROID", "shape", DataType.POINT, "qserv.centroid({0})", "qserv_centroid({0})", "The centre of a shape."
)

COORDINATE = function(
    "COORD",
    "shape, integer",
    DataType.DOUBLE,
    "({0})[{1}]",
    "({0})[{1}]",
    "A number of a shape, counted from 1.",
    unit="deg",
)

REGION_OF_TEXT = function(
    "REGION",
    "text, text",
    None,
    "qserv.only(qserv.region({0}), {1})",
    "qserv_region({0}, {1})",
    "The shape of a kind that a column of text holds; NULL when it holds none.",
)

CAST_TO_SHAPE = function(
    "CAST",
    "text, text",
    None,
    "qserv.region_as({0}, {1})",
    "qserv_region_as({0}, {1})",
    "The shape of a kind that a text writes; an error when it writes none.",
)

TRANSFORMED = function(
    "ivo_geom_transform",
    "shape, text, text",
    None,
    "qserv.rotated({0}, qserv.rotation_between({1}, {2}))",
    "qserv_transformed({0}, {1}, {2})",
    "A shape in another frame.",
)
