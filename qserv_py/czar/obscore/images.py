"""The images that rows of a Butler were measured on, as the rows of ``ivoa.ObsCore``.

Rows of a catalogue find their image by visit and detector. ``access_url`` leads to the DataLink service that the
settings name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from qserv_py.catalog.model import Column, CzarTable
from qserv_py.czar.obscore.standard import COLUMNS, DESCRIPTION, OBSCORE_DATABASE, OBSCORE_TABLE, OBSCORE_UTYPE
from qserv_py.czar.tables.czar_tables import CzarTables, rows_when_asked

DATALINK = "application/x-votable+xml;content=datalink"

_WAVELENGTHS_NM = {
    "u": (330.0, 400.0),
    "g": (402.0, 552.0),
    "r": (552.0, 691.0),
    "i": (691.0, 818.0),
    "z": (818.0, 922.0),
    "y": (922.0, 1060.0),
}
"""Nominal ranges of the bands of the LSST."""


_READ = (
    "obs_collection", "_id", "_type", "instrument_name", "lsst_visit", "lsst_detector", "obs_id", "lsst_filter",
    "lsst_band", "target_name", "t_exptime", "t_min", "t_max", "s_ra", "s_dec", "s_fov", "s_region",
)  # fmt: skip
"""Names of the values that the registry has of an image, in their order; those with _ go into other columns."""

_TITLE = ("_type", "instrument_name", "lsst_visit", "lsst_detector")
_BYTES_PER_ROW = 420
"""Bytes that a row takes on average, about; the planner wants to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageAccess:
    """What the operator says of images."""

    identifier: str = "ivo://unregistered.example/qserv"
    """Identifier of the service, with which those of images begin."""

    links: str = ""
    """Address of the DataLink service; empty when there is none."""

    facility: str = ""
    """Name of the observatory."""

    obscore: str = ""
    """``DATABASE.TABLE`` that is served as ``ivoa.ObsCore`` in place of the images that the registry knows."""


def obscore_table(count: int, read: Callable[[], Sequence[tuple[Any, ...]]], access: ImageAccess) -> CzarTables:
    """Return the database with ObsCore.

    Parameters
    ----------
    count
        Number of images.
    read
        Reads the images, as ``registry.datasets.image_rows`` gives them; called when a query asks for them.
    """
    table = CzarTable(
        database=OBSCORE_DATABASE,
        name=OBSCORE_TABLE,
        physical=OBSCORE_TABLE.lower(),
        columns=COLUMNS,
        utype=OBSCORE_UTYPE,
        description="Images, as ObsCore 1.1 describes observations.",
    )
    return rows_when_asked(
        table, count, _BYTES_PER_ROW, lambda: _rows(COLUMNS, read(), access), description=DESCRIPTION
    )


def _rows(columns: Sequence[Column], images: Sequence[tuple[Any, ...]], access: ImageAccess) -> pa.Table:
    """Return the rows, column by column: there may be millions."""
    values = list(zip(*images, strict=True)) or [()] * len(_READ)
    told = dict(zip(_READ, values, strict=True))
    count = len(images)
    begin = f"{access.identifier}?id="
    bands = [_WAVELENGTHS_NM.get(band) for band in told["lsst_band"]]
    made: dict[str, Any] = {
        **{name: held for name, held in told.items() if not name.startswith("_")},
        "dataproduct_type": ["image"] * count,
        "dataproduct_subtype": [f"lsst.{kind}" for kind in told["_type"]],
        "calib_level": [1 if kind == "raw" else 2 for kind in told["_type"]],
        "obs_publisher_did": [begin + name for name in told["_id"]],
        "obs_title": [_title(*entry) for entry in zip(*(told[name] for name in _TITLE), strict=True)],
        "em_min": [None if band is None else band[0] * 1e-9 for band in bands],
        "em_max": [None if band is None else band[1] * 1e-9 for band in bands],
        "o_ucd": ["phot.flux.density"] * count,
        "facility_name": [access.facility or None] * count,
    }
    if access.links:
        address = f"{access.links}?ID={quote(begin, safe='')}"
        made |= {"access_url": [address + name for name in told["_id"]], "access_format": [DATALINK] * count}
    arrays = [
        pa.array(made.get(column.name, [None] * count), pa.type_for_alias(column.datatype.names.arrow))
        for column in columns
    ]
    return pa.table(arrays, names=[column.physical for column in columns])


def _title(kind: str, instrument: str, visit: int, detector: int | None) -> str:
    return f"{kind} of {instrument}, visit {visit}" + ("" if detector is None else f", detector {detector}")
