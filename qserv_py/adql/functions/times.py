"""Functions of times."""

from __future__ import annotations

from qserv_py.adql.functions.signature import Function, function
from qserv_py.catalog.types import DataType


def _days(name: str, zero: str, doc: str) -> Function:
    """Return a count of days; ``zero`` is that of 1970-01-01."""
    return function(
        name,
        "time",
        DataType.DOUBLE,
        f"(extract(epoch from {{0}})::float8 / 86400 + {zero})",
        f"(epoch_us({{0}}) / 1e6 / 86400 + {zero})",
        doc,
        unit="d",
    )


TIMES = (
    _days("ivo_to_mjd", "40587.0", "Modified Julian date of a time; no time scale is converted."),
    _days("ivo_to_jd", "2440587.5", "Julian date of a time; no time scale is converted."),
    _days("gavo_to_mjd", "40587.0", "The same as ivo_to_mjd."),
    _days("gavo_to_jd", "2440587.5", "The same as ivo_to_jd."),
)
"""The functions."""
