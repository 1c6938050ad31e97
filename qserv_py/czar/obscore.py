"""``ivoa.ObsCore``: the images that rows were measured on, as IVOA's ObsCore 1.1 describes observations.

Names, types, units, UCDs and utypes are the standard's; the columns ``lsst_...`` are those of Rubin's archives. Rows of
a catalogue find their image by visit and detector. ``access_url`` leads to the DataLink service that the settings name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from qserv_py.catalog.model import Column, CzarTable
from qserv_py.catalog.snapshot import Catalog
from qserv_py.catalog.types import DataType
from qserv_py.czar.czar_tables import CzarTables, rows_when_asked

OBSCORE_DATABASE = "ivoa"
OBSCORE_TABLE = "ObsCore"
OBSCORE_UTYPE = "ivo://ivoa.net/std/obscore#table-1.1"

DATALINK = "application/x-votable+xml;content=datalink"

_DESCRIPTION = "Observations, as data models of the IVOA describe them."
_T, _I, _L, _D = DataType.STRING, DataType.INT, DataType.LONG, DataType.DOUBLE
_AXIS = "Char.SpatialAxis."
_COVERAGE = f"{_AXIS}Coverage."
_POSITION = f"{_COVERAGE}Location.Coord.Position2D.Value2."

_COLUMNS: tuple[tuple[str, DataType, str, str, str, str], ...] = (
    ("dataproduct_type", _T, "", "meta.code.class", "ObsDataset.dataProductType", "Kind of the data product."),
    ("dataproduct_subtype", _T, "", "meta.code.class", "ObsDataset.dataProductSubtype", "Dataset type in the Butler."),
    ("calib_level", _I, "", "meta.code;obs.calib", "ObsDataset.calibLevel", "Calibration level, 0 to 4."),
    ("obs_collection", _T, "", "meta.id", "DataID.Collection", "Database whose rows were measured on it."),
    ("obs_id", _T, "", "meta.id", "DataID.observationID", "Name of the visit."),
    ("obs_publisher_did", _T, "", "meta.ref.ivoid", "Curation.PublisherDID", "Identifier of the image."),
    ("obs_title", _T, "", "meta.title;obs", "DataID.title", "What it is, for people."),
    ("access_url", _T, "", "meta.ref.url", "Access.reference", "Where DataLink tells how to get it."),
    ("access_format", _T, "", "meta.code.mime", "Access.format", "MIME type of what is there."),
    ("access_estsize", _L, "kbyte", "phys.size;meta.file", "Access.size", "Estimated size."),
    ("target_name", _T, "", "meta.id;src", "Target.name", "Object of interest."),
    ("s_ra", _D, "deg", "pos.eq.ra", f"{_POSITION}C1", "Right ascension of the centre, ICRS."),
    ("s_dec", _D, "deg", "pos.eq.dec", f"{_POSITION}C2", "Declination of the centre, ICRS."),
    ("s_fov", _D, "deg", "phys.angSize;instr.fov", f"{_COVERAGE}Bounds.Extent.diameter", "Diameter of the field."),
    ("s_region", _T, "", "pos.outline;obs.field", f"{_COVERAGE}Support.Area", "Region of the sky, ICRS."),
    ("s_resolution", _D, "arcsec", "pos.angResolution", f"{_AXIS}Resolution.Refval.value", "FWHM of the PSF."),
    ("s_xel1", _L, "", "meta.number", f"{_AXIS}numBins1", "Pixels along the first axis."),
    ("s_xel2", _L, "", "meta.number", f"{_AXIS}numBins2", "Pixels along the second axis."),
    ("t_min", _D, "d", "time.start;obs.exposure", "Char.TimeAxis.Coverage.Bounds.Limits.StartTime", "Start, MJD, UTC."),
    ("t_max", _D, "d", "time.end;obs.exposure", "Char.TimeAxis.Coverage.Bounds.Limits.StopTime", "End, MJD, UTC."),
    ("t_exptime", _D, "s", "time.duration;obs.exposure", "Char.TimeAxis.Coverage.Support.Extent", "Exposure time."),
    ("t_resolution", _D, "s", "time.resolution", "Char.TimeAxis.Resolution.Refval.value", "Resolution in time."),
    ("t_xel", _L, "", "meta.number", "Char.TimeAxis.numBins", "Elements along the time axis."),
    ("em_min", _D, "m", "em.wl;stat.min", "Char.SpectralAxis.Coverage.Bounds.Limits.LoLimit", "Shortest wavelength."),
    ("em_max", _D, "m", "em.wl;stat.max", "Char.SpectralAxis.Coverage.Bounds.Limits.HiLimit", "Longest wavelength."),
    ("em_res_power", _D, "", "spect.resolution", "Char.SpectralAxis.Resolution.ResolPower.refVal", "Resolving power."),
    ("em_xel", _L, "", "meta.number", "Char.SpectralAxis.numBins", "Elements along the spectral axis."),
    ("o_ucd", _T, "", "meta.ucd", "Char.ObservableAxis.ucd", "What the pixels measure."),
    ("pol_states", _T, "", "meta.code;phys.polarization", "Char.PolarizationAxis.stateList", "Polarization states."),
    ("pol_xel", _L, "", "meta.number", "Char.PolarizationAxis.numBins", "Polarization states, their number."),
    ("facility_name", _T, "", "meta.id;instr.tel", "Provenance.ObsConfig.Facility.name", "Observatory or telescope."),
    ("instrument_name", _T, "", "meta.id;instr", "Provenance.ObsConfig.Instrument.name", "Camera."),
    ("lsst_visit", _L, "", "meta.id;obs", "", "Visit."),
    ("lsst_detector", _L, "", "meta.id.part;instr.det", "", "Detector; NULL for an image of all detectors."),
    ("lsst_band", _T, "", "meta.id;instr.bandpass", "", "Band."),
    ("lsst_filter", _T, "", "meta.id;instr.filter", "", "Physical filter."),
)
"""Name, type, unit, UCD, utype and description; those without a utype are not the standard's."""

_NEVER_NULL = {"calib_level", "obs_collection", "obs_id", "obs_publisher_did"}

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
"""What the registry tells of an image, in its order; those with _ go into other columns."""

_TITLE = ("_type", "instrument_name", "lsst_visit", "lsst_detector")
_BYTES_PER_ROW = 420
"""About."""


@dataclass(frozen=True, slots=True)
class DataModel:
    """A data model of the IVOA."""

    name: str
    identifier: str


_OBSCORE = DataModel("ObsCore-1.1", "ivo://ivoa.net/std/ObsCore#core-1.1")


def data_models(catalog: Catalog) -> tuple[DataModel, ...]:
    """Return the data models that tables of a catalogue follow."""
    found = [table for one in catalog.find_databases(OBSCORE_DATABASE, exact=True) for table in one.tables]
    return (_OBSCORE,) if any(isinstance(table, CzarTable) and table.utype == OBSCORE_UTYPE for table in found) else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageAccess:
    """What the operator says of images."""

    identifier: str = "ivo://unregistered.example/qserv"
    """Beginning of the identifiers of images: that of the service."""

    links: str = ""
    """Address of the DataLink service; empty when there is none."""

    facility: str = ""
    """Name of the observatory."""


def obscore_table(count: int, read: Callable[[], Sequence[tuple[Any, ...]]], access: ImageAccess) -> CzarTables:
    """Return the database with ObsCore.

    Parameters
    ----------
    count
        Number of images.
    read
        Reads the images, as ``registry.datasets.image_rows`` gives them; called when a query asks for them.
    """
    columns = tuple(
        Column(
            name=name,
            physical=name,
            datatype=kind,
            nullable=name not in _NEVER_NULL,
            unit=unit,
            ucd=ucd,
            utype=f"obscore:{utype}" if utype else "",
            description=text,
            xtype="adql:REGION" if name == "s_region" else "",
        )
        for name, kind, unit, ucd, utype, text in _COLUMNS
    )
    table = CzarTable(
        database=OBSCORE_DATABASE,
        name=OBSCORE_TABLE,
        physical=OBSCORE_TABLE.lower(),
        columns=columns,
        utype=OBSCORE_UTYPE,
        description="Images, as ObsCore 1.1 describes observations.",
    )
    return rows_when_asked(
        table, count, _BYTES_PER_ROW, lambda: _rows(columns, read(), access), description=_DESCRIPTION
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
