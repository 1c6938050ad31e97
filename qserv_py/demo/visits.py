"""When the simulated telescope looked where: fields in rings around the sky, sixteen visits to each.

A field is found from a position by arithmetic, so that the visits of an object need no search.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from qserv_py.catalog.snapshot import FloatArray, IntArray

VISITS_PER_FIELD = 16
FIELD_BANDS = "grizrigyirzugrzy"
"""Band of each visit of a field, in the order of time."""

FIRST_VISIT = 2_025_000_000_000
FIRST_NIGHT_MJD = 60980.0
EXPOSURE_S = 30.0
MJD_1970 = 40587.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RingGrid:
    """Cells of near-equal size in rings of declination; used for fields and for tracts."""

    height_deg: float
    """Height of a ring; divides 180."""

    @property
    def rings(self) -> int:
        """Number of rings."""
        return round(180.0 / self.height_deg)

    @property
    def cells_of_rings(self) -> IntArray:
        """Cells in each ring, shape (rings,)."""
        middle = -90.0 + (np.arange(self.rings) + 0.5) * self.height_deg
        cells: IntArray = np.maximum(1, np.rint(360.0 * np.cos(np.radians(middle)) / self.height_deg)).astype(np.int64)
        return cells

    def locate(self, ra: FloatArray, dec: FloatArray) -> tuple[IntArray, FloatArray, FloatArray]:
        """Return the cell of each position, and how far along it is in its cell in ra and in dec, each in [0, 1)."""
        cells = self.cells_of_rings
        starts = np.concatenate(([0], np.cumsum(cells)[:-1]))
        up = np.clip((dec + 90.0) / self.height_deg, 0.0, np.nextafter(self.rings, 0.0))
        ring = up.astype(np.int64)
        along = np.minimum(ra / 360.0 * cells[ring], np.nextafter(cells[ring], 0.0))
        column = along.astype(np.int64)
        return starts[ring] + column, along - column, up - ring

    def centres(self) -> tuple[FloatArray, FloatArray]:
        """Return ra and dec of the middles of all cells, degrees, shape (n,)."""
        cells = self.cells_of_rings
        ring = np.repeat(np.arange(self.rings), cells)
        column = np.arange(len(ring)) - np.repeat(np.concatenate(([0], np.cumsum(cells)[:-1])), cells)
        ra: FloatArray = (column + 0.5) * 360.0 / cells[ring]
        dec: FloatArray = np.asarray(-90.0 + (ring + 0.5) * self.height_deg, dtype=np.float64)
        return ra, dec


FIELDS = RingGrid(height_deg=7.5)
TRACTS = RingGrid(height_deg=1.5)


def visit_times(visit: IntArray) -> FloatArray:
    """Return the middle of each visit, MJD (TAI): one night a week for a field, fields in turn through the night."""
    field, turn = np.divmod(visit - FIRST_VISIT, VISITS_PER_FIELD)
    night = turn * 7 + (field * 5 + turn * 3) % 7
    times: FloatArray = FIRST_NIGHT_MJD + night + 0.35 * ((field * 37) % 997) / 997.0
    return times


def visit_bands(visit: IntArray) -> IntArray:
    """Return the band of each visit, as an index into ``photometry.BANDS``."""
    lookup = np.array(["ugrizy".index(band) for band in FIELD_BANDS])
    bands: IntArray = lookup[(visit - FIRST_VISIT) % VISITS_PER_FIELD]
    return bands


def visit_table() -> pa.Table:
    """Return the whole ``Visit`` table."""
    ra, dec = FIELDS.centres()
    visit = FIRST_VISIT + np.arange(len(ra) * VISITS_PER_FIELD)
    field = (visit - FIRST_VISIT) // VISITS_PER_FIELD
    middle = visit_times(visit)
    start = middle - EXPOSURE_S / 2 / 86400.0
    bands = np.array(list("ugrizy"))[visit_bands(visit)]
    altitude = 50.0 + 35.0 * np.sin(visit * 0.7)
    columns = {
        "visit": visit,
        "physical_filter": np.char.add(bands, "_sim"),
        "band": bands,
        "ra": ra[field],
        "dec": dec[field],
        "skyRotation": (visit * 13.7) % 360.0,
        "azimuth": (visit * 77.3) % 360.0,
        "altitude": altitude,
        "zenithDistance": 90.0 - altitude,
        "airmass": 1.0 / np.sin(np.radians(altitude)),
        "expTime": np.full(len(visit), EXPOSURE_S),
        "expMidpt": _timestamps(middle),
        "expMidptMJD": middle,
        "obsStart": _timestamps(start),
        "obsStartMJD": start,
    }
    return pa.table(columns)


def _timestamps(mjd: FloatArray) -> pa.Array:
    microseconds = np.rint((mjd - MJD_1970) * 86400e6).astype(np.int64)
    return pa.array(microseconds, type=pa.timestamp("us"))
