"""Functions of positions on the sky and of their spellings.

Most geometric functions are no calls: the resolver turns them into shapes, conditions and numbers, so that the planner
sees the region. They are listed in ``FORMS``.
"""

from __future__ import annotations

from dataclasses import dataclass

from qserv_py.adql.functions.signature import Function, Kind, function
from qserv_py.catalog.types import DataType

DISTANCE = Function(
    name="DISTANCE",
    parameters=(Kind.NUMBER,) * 4,
    returns=DataType.DOUBLE,
    postgres=("qserv.distance({0}, {1}, {2}, {3})",),
    duckdb=("qserv_distance({0}, {1}, {2}, {3})",),
    doc="Angle between two positions, degrees.",
    unit="deg",
)
"""Not in ``FUNCTIONS``: it takes two points or four numbers, so the resolver reads it with the shapes."""

HEALPIX_INDEX = function(
    "ivo_healpix_index",
    "integer, number, number",
    DataType.LONG,
    "qserv.healpix_index({0}, {1}, {2})",
    "qserv_healpix_index({0}, {1}, {2})",
    "Number of the HEALPix cell (NESTED) of an order, 0 to 29, that holds a position; takes a POINT too.",
    max_order=29,
)

HEALPIX_PARENT = function(
    "HEALPIX_PARENT",
    "integer, integer",
    DataType.LONG,
    "({0} >> {1})",
    "({0} >> {1})",
    "The cell around a cell of order 29.",
)
"""Not for users: what ``HEALPIX_INDEX`` of a row's own position is."""

IN_ELLIPSE = function(
    "IN_ELLIPSE",
    ", ".join(["number"] * 7),
    DataType.BOOLEAN,
    "qserv.in_ellipse({0}, {1}, {2}, {3}, {4}, {5}, {6})",
    "qserv_in_ellipse({0}, {1}, {2}, {3}, {4}, {5}, {6})",
    "Whether a position lies in an ellipse.",
)
"""Not for users: it does not tell the ellipse from its mirror image on the other side of the sky."""

TURN = function(
    "TURN", "number", DataType.DOUBLE, "qserv.turn({0})", "qserv_turn({0})", "An angle brought to [0, 360)."
)
"""Not for users."""

AREA_OF_CIRCLE = function(
    "AREA",
    "number",
    DataType.DOUBLE,
    "qserv.area_of_circle({0})",
    "qserv_area_of_circle({0})",
    "Area of a circle of a radius, square degrees.",
    unit="deg**2",
)
"""AREA of a CIRCLE."""

AREA_OF_BOX = function(
    "AREA",
    "number, number",
    DataType.DOUBLE,
    "qserv.area_of_box({0}, {1})",
    "qserv_area_of_box({0}, {1})",
    "Area of a box of a width and a height, square degrees.",
    unit="deg**2",
)
"""AREA of a BOX."""


def _epoch_prop_pos(name: str, doc: str) -> Function:
    arguments = ", ".join(f"{{{number}}}" for number in range(8))
    kinds = ", ".join(["number"] * 8)
    return function(
        name,
        kinds,
        DataType.POINT,
        f"qserv.epoch_prop_pos({arguments})",
        f"qserv_epoch_prop_pos({arguments})",
        doc,
        needed=(0, 1, 6, 7),
    )


POSITIONS = (
    HEALPIX_INDEX,
    function(
        "gaia_healpix_index",
        "integer, integer",
        DataType.LONG,
        "qserv.gaia_healpix_index({0}, {1})",
        "qserv_gaia_healpix_index({0}, {1})",
        "Number of the HEALPix cell (NESTED) of an order, 0 to 12, that a source_id of Gaia names.",
        max_order=12,
    ),
    function(
        "ivo_hms_to_degrees",
        "text",
        DataType.DOUBLE,
        "qserv.hms_to_degrees({0})",
        "qserv_hms_to_degrees({0})",
        "Degrees of hours, minutes and seconds: `'10:31:02.5'`, `'10 31 02.5'`, `'103102.5'` or `'10h31m02.5s'`, in "
        "small letters or capitals; NULL for any other text, and from 24 hours on.",
        unit="deg",
    ),
    function(
        "ivo_dms_to_degrees",
        "text",
        DataType.DOUBLE,
        "qserv.dms_to_degrees({0})",
        "qserv_dms_to_degrees({0})",
        "Degrees of degrees, minutes and seconds: `'-0:31:02.5'`, `'-0 31 02.5'`, `'-003102.5'` or `'-0d31m02.5s'`, in "
        "small letters or capitals; NULL for any other text.",
        unit="deg",
    ),
    function(
        "ivo_healpix_center",
        "integer, integer",
        DataType.POINT,
        "qserv.healpix_center({0}, {1})",
        "qserv_healpix_center({0}, {1})",
        "The middle, a POINT, of a HEALPix cell (NESTED) of an order, 0 to 29; NULL when there is no such cell.",
        max_order=29,
    ),
    _epoch_prop_pos(
        "ivo_epoch_prop_pos",
        "The POINT where a star stands at another epoch: ra, dec, parallax (mas), pmra, pmdec (mas/yr), radial "
        "velocity (km/s), the epoch of these and the other one (Julian years). It moves straight on in space; NULL for "
        "the parallax, a motion or the velocity counts as 0, as a negative parallax does. NULL for a coordinate or an "
        "epoch is an error, as the IVOA's catalogue says.",
    ),
    _epoch_prop_pos("epoch_prop_pos", "The same as ivo_epoch_prop_pos, under the name of Gaia's archive."),
)
"""Functions of positions that are calls."""


@dataclass(frozen=True, slots=True)
class Form:
    """A geometric function that the resolver turns into something else than a call."""

    signature: str
    doc: str
    returns: str = "INTEGER"
    """Type of the answer in ADQL: conditions are 1 or 0."""

    @property
    def name(self) -> str:
        """Its name as documents write it."""
        return self.signature.split("(", 1)[0]


FORMS = (
    Form("COORD1(point)", "Right ascension of a point, degrees.", "DOUBLE PRECISION"),
    Form("COORD2(point)", "Declination of a point, degrees.", "DOUBLE PRECISION"),
    Form("COORDSYS(shape)", "The coordinate system of a shape: always ICRS.", "VARCHAR"),
    Form(
        "CENTROID(shape)", "The centre of a shape, a point; of a POLYGON, the direction of its centre of mass.", "POINT"
    ),
    Form("AREA(shape)", "Area of a CIRCLE, BOX or POLYGON, square degrees.", "DOUBLE PRECISION"),
    Form(
        "ivo_geom_transform('from', 'to', shape)",
        "The shape in another frame: ICRS, FK5 (J2000), GALACTIC, SUPER_GALACTIC or ECLIPTIC.",
        "REGION",
    ),
    Form(
        "scisql_angSep(ra1, dec1, ra2, dec2)", "Angle between two positions, degrees, as DISTANCE.", "DOUBLE PRECISION"
    ),
    Form("scisql_s2PtInCircle(ra, dec, ra0, dec0, radius)", "1 if a position lies within a radius in degrees, else 0."),
    Form(
        "scisql_s2PtInBox(ra, dec, ra_min, dec_min, ra_max, dec_max)",
        "1 if a position lies between two meridians and two parallels, else 0; the box may cross ra = 0.",
    ),
    Form(
        "scisql_s2PtInEllipse(ra, dec, ra0, dec0, major, minor, angle)",
        "1 if a position lies in an ellipse of semi-axes in arcseconds and a position angle in degrees, else 0.",
    ),
    Form(
        "scisql_s2PtInCPoly(ra, dec, ra1, dec1, ra2, dec2, ra3, dec3, ...)",
        "1 if a position lies in a convex polygon, else 0; the corners go either way round.",
    ),
    Form(
        "qserv_areaspec_circle(ra0, dec0, radius)",
        "As scisql_s2PtInCircle, of the position of every partitioned table of the block.",
    ),
    Form(
        "qserv_areaspec_box(ra_min, dec_min, ra_max, dec_max)",
        "As scisql_s2PtInBox, of the position of every partitioned table of the block.",
    ),
    Form(
        "qserv_areaspec_ellipse(ra0, dec0, major, minor, angle)",
        "As scisql_s2PtInEllipse, of the position of every partitioned table of the block.",
    ),
    Form(
        "qserv_areaspec_poly(ra1, dec1, ra2, dec2, ra3, dec3, ...)",
        "As scisql_s2PtInCPoly, of the position of every partitioned table of the block.",
    ),
    Form("q3c_dist(ra1, dec1, ra2, dec2)", "Angle between two positions, degrees, as DISTANCE.", "DOUBLE PRECISION"),
    Form(
        "q3c_join(ra1, dec1, ra2, dec2, radius)",
        "Whether two positions are closer than a radius in degrees.",
        "BOOLEAN",
    ),
    Form(
        "q3c_radial_query(ra, dec, ra0, dec0, radius)",
        "Whether a position is closer to another than a radius in degrees.",
        "BOOLEAN",
    ),
    Form(
        "q3c_poly_query(ra, dec, ARRAY[ra1, dec1, ra2, dec2, ra3, dec3, ...])",
        "Whether a position lies in a polygon.",
        "BOOLEAN",
    ),
)
"""The geometric functions beside the shapes themselves, CONTAINS and DISTANCE."""

SHAPE_NAMES = (
    "POINT", "CIRCLE", "BOX", "POLYGON", "REGION", "CONTAINS", "INTERSECTS", "DISTANCE",
    *(form.name.upper() for form in FORMS),
)  # fmt: skip
"""Names of the geometric functions, which the resolver treats by themselves."""
