"""Tables of visits: summaries of all detectors put together, and DP1's Visit and DP2's VisitDetector out of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.table import Table, vstack

from qserv_py.errors import PipelineError
from qserv_py.pipelines.single_frame.tables.summary import limiting_magnitude, sky_columns
from qserv_py.pipelines.single_frame.tables.wcs_columns import wcs_columns, wcs_of_row

VISIT_COLUMNS = (
    "visit", "physical_filter", "band", "ra", "dec", "skyRotation", "azimuth", "altitude", "zenithDistance", "airmass",
    "expTime", "expMidpt", "expMidptMJD", "obsStart", "obsStartMJD",
)  # fmt: skip
"""Of DP1's Visit, all of them."""

VISIT_DETECTOR_COLUMNS = (
    "ccdVisitId", "visitId", "detector", "physical_filter", "band", "ra", "dec", "pixelScale", "zenithDistance",
    "expTime", "zeroPoint", "psfSigma", "skyBg", "skyNoise", "astromOffsetMean", "astromOffsetStd", "nPsfStar",
    "psfStarDeltaE1Median", "psfStarDeltaE2Median", "psfStarDeltaE1Scatter", "psfStarDeltaE2Scatter",
    "psfStarDeltaSizeMedian", "psfStarDeltaSizeScatter", "psfStarScaledDeltaSizeScatter", "psfTraceRadiusDelta",
    "psfApFluxDelta", "psfApCorrSigmaScaledDelta", "maxDistToNearestPsf", "seeing", "skyRotation", "expMidpt",
    "expMidptMJD", "obsStart", "obsStartMJD", "darkTime", "xSize", "ySize", "llcra", "llcdec", "ulcra", "ulcdec",
    "urcra", "urcdec", "lrcra", "lrcdec", "effTime", "effTimePsfSigmaScale", "effTimeSkyBgScale",
    "effTimeZeroPointScale", "magLim",
)  # fmt: skip
"""Of DP1's CcdVisit, all of them; DP2 calls the table VisitDetector."""

_FLOATS = {"pixelScale", "zenithDistance", "zeroPoint", "psfSigma", "skyBg", "skyNoise"}
_LONGS = {"ccdVisitId", "visitId", "visit", "detector", "xSize", "ySize"}


def visit_summary(rows: Sequence[Any]) -> Any:
    """Return the summary of a visit from those of its detectors, by detector.

    Raises
    ------
    PipelineError
        If there is none, or they are of several visits.
    """
    if not rows:
        raise PipelineError("no detector of this visit was calibrated")
    table = vstack(list(rows), metadata_conflicts="silent") if len(rows) > 1 else rows[0].copy()
    if len(np.unique(table["visitId"])) > 1:
        raise PipelineError(
            f"detectors of the visits {', '.join(map(str, np.unique(table['visitId'])))} in one summary"
        )
    table.sort("detector")
    table.meta |= {"table": "VisitDetector"}
    return table


def updated_summary(preliminary: Any, *, photometry: Any = None, astrometry: Any = None) -> Any:
    """Return a visit's summary with zero points and coordinates from fits over all visits.

    Parameters
    ----------
    preliminary
        Of the visit, by its own fits.
    photometry
        Rows of ``solve_zero_points``; None for none.
    astrometry
        Rows of ``solve_coordinates``; None for none.

    Returns
    -------
    summary
        Detectors that a fit lacks keep what they had; ``photometricFit`` and ``astrometricFit`` say which have which.
    """
    table = preliminary.copy()
    for name in ("zeroPointSlopeX", "zeroPointSlopeY"):
        table[name] = np.zeros(len(table))
    for name in ("photometricFit", "astrometricFit"):
        table[name] = np.zeros(len(table), bool)
    for number, row in enumerate(table):
        zero = _row_of(photometry, row)
        if zero is not None:
            for name in ("zeroPoint", "zeroPointErr", "zeroPointSlopeX", "zeroPointSlopeY"):
                table[name][number] = zero[name]
            limit = limiting_magnitude(float(zero["zeroPoint"]), float(row["skyNoise"]), float(row["psfArea"]))
            table["magLim"][number], table["photometricFit"][number] = limit, True
        place = _row_of(astrometry, row)
        if place is not None:
            wcs = wcs_of_row(place)
            columns = wcs_columns(wcs) | sky_columns(wcs, (int(row["ySize"]), int(row["xSize"])))
            for name, value in columns.items():
                table[name][number] = value
            table["astrometricFit"][number] = True
    return table


def _row_of(fit: Any, row: Any) -> Any:
    if fit is None:
        return None
    same = (np.asarray(fit["visit"]) == row["visitId"]) & (np.asarray(fit["detector"]) == row["detector"])
    found = np.nonzero(same)[0]
    return fit[int(found[0])] if len(found) else None


def visit_table(summaries: Sequence[Any]) -> Any:
    """Return DP1's Visit, one row a visit: what is the same for all its detectors."""
    rows = []
    for summary in summaries:
        one = summary[0]
        values = {name: one[name] for name in VISIT_COLUMNS if name in summary.colnames}
        rows.append(values | {"visit": one["visitId"], "ra": one["boresightRa"], "dec": one["boresightDec"]})
    table = _typed(rows, VISIT_COLUMNS, floats=set())
    table.sort("visit")
    table.meta |= {"table": "Visit"}
    return table


def visit_detector_table(summaries: Sequence[Any]) -> Any:
    """Return DP1's CcdVisit, one row a detector of a visit."""
    rows = [{name: row[name] for name in VISIT_DETECTOR_COLUMNS} for summary in summaries for row in summary]
    table = _typed(rows, VISIT_DETECTOR_COLUMNS, floats=_FLOATS)
    table.sort("ccdVisitId")
    table.meta |= {"table": "VisitDetector"}
    return table


def _typed(rows: list[dict[str, Any]], names: Sequence[str], *, floats: set[str]) -> Any:
    table = Table()
    for name in names:
        values = np.array([row[name] for row in rows])
        if name in _LONGS:
            values = values.astype(np.int64)
        elif name == "nPsfStar":
            values = values.astype(np.int32)
        elif name in floats:
            values = values.astype(np.float32)
        table[name] = values
    return table
