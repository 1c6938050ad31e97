"""Coordinates of an image as columns of a row, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from qserv_py.errors import PipelineError
from qserv_py.pipelines.kernels.wcs import Wcs

MAX_ORDER = 5
"""Of the polynomial that the columns hold."""


def wcs_columns(wcs: Wcs) -> dict[str, Any]:
    """Return the values of the columns: the FITS keywords in small letters; ``sip_a`` and ``sip_b`` are 6 x 6.

    Raises
    ------
    PipelineError
        If the polynomial has a higher order than the columns.
    """
    if wcs.order > MAX_ORDER:
        raise PipelineError(f"coordinates of order {wcs.order}; a row holds {MAX_ORDER}")
    terms = np.zeros((2, MAX_ORDER + 1, MAX_ORDER + 1))
    for place, values in enumerate((wcs.a, wcs.b)):
        if values is not None:
            terms[place, : wcs.order + 1, : wcs.order + 1] = values
    return {
        "crval1": wcs.ra0,
        "crval2": wcs.dec0,
        "crpix1": wcs.x0 + 1,
        "crpix2": wcs.y0 + 1,
        **{f"cd{i + 1}_{j + 1}": float(wcs.cd[i, j]) for i in range(2) for j in range(2)},
        "sip_order": wcs.order,
        "sip_a": terms[0],
        "sip_b": terms[1],
    }


def wcs_of_row(row: Any) -> Wcs:
    """Return the coordinates of a row."""
    order = int(row["sip_order"])
    a, b = (np.array(row[name])[: order + 1, : order + 1] if order > 1 else None for name in ("sip_a", "sip_b"))
    return Wcs(
        ra0=float(row["crval1"]),
        dec0=float(row["crval2"]),
        x0=float(row["crpix1"]) - 1,
        y0=float(row["crpix2"]) - 1,
        cd=np.array([[float(row[f"cd{i + 1}_{j + 1}"]) for j in range(2)] for i in range(2)]),
        order=order,
        a=a,
        b=b,
    )
