"""Sexagesimal positions to degrees, on whole columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.catalog.model import PositionFormat
from qserv_py.catalog.snapshot import BoolArray, FloatArray

_LETTER = {PositionFormat.HMS: "h", PositionFormat.DMS: "d"}
_PATTERN = (
    r"(?i)^\s*(?P<sign>[+-]?)(?P<whole>[0-9]{{1,3}})(?:[:\s]|\s*{letter}\s*)"
    r"(?P<minutes>[0-9]{{1,2}})(?:[:\s]|\s*[m']\s*)(?P<seconds>[0-9]{{1,2}}(?:\.[0-9]*)?)(?:\s*[s\"])?\s*$"
)
"""``00:08:27.05``, ``-12 49 22.3``, ``0h8m27.05s``, ``10H 8M 22 s``, ``+27d43m03.6s``; hours are not degrees."""

_SECONDS_PER_DEGREE = {PositionFormat.HMS: 240.0, PositionFormat.DMS: 3600.0}


def degrees_of(texts: pa.Array, format: PositionFormat) -> tuple[FloatArray, BoolArray]:
    """Return angles in degrees.

    Parameters
    ----------
    texts
        Angles as text, shape (n,); NULL gives NaN.
    format
        HMS or DMS.

    Returns
    -------
    degrees, bad
        ``bad`` says which texts are no angle (60 minutes or more, other signs); they give NaN.
    """
    fields = pc.extract_regex(texts, _PATTERN.format(letter=_LETTER[format]))
    whole, minutes, seconds = (_numbers(fields, name) for name in ("whole", "minutes", "seconds"))
    negative = pc.fill_null(pc.equal(_field(fields, "sign"), "-"), False).to_numpy(zero_copy_only=False)
    values = (whole * 3600.0 + minutes * 60.0 + seconds) / _SECONDS_PER_DEGREE[format]
    good = ~np.isnan(values) & (minutes < 60.0) & (seconds < 60.0)
    if format is PositionFormat.HMS:
        good &= (whole < 24.0) & ~negative
    present = texts.is_valid().to_numpy(zero_copy_only=False)
    return np.where(good, np.where(negative, -values, values), np.nan), present & ~good


def _field(fields: pa.StructArray, name: str) -> pa.Array:
    """Return one group of the pattern, NULL where the text does not match."""
    return pc.struct_field(fields, name)


def _numbers(fields: pa.StructArray, name: str) -> FloatArray:
    numbers: FloatArray = pc.fill_null(pc.cast(_field(fields, name), pa.float64()), np.nan).to_numpy(
        zero_copy_only=False
    )
    return numbers
