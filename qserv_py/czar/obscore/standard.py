"""What the IVOA's ObsCore 1.1 says of its table: names, types, units, UCDs and utypes of the columns.

The columns ``lsst_...`` are those of Rubin's archives.
"""

from __future__ import annotations

from dataclasses import dataclass

from qserv_py.catalog.model import Column
from qserv_py.catalog.snapshot import Catalog
from qserv_py.catalog.types import DataType

OBSCORE_DATABASE = "ivoa"
OBSCORE_TABLE = "ObsCore"
OBSCORE_UTYPE = "ivo://ivoa.net/std/obscore#table-1.1"

DESCRIPTION = "Observations, as data models of the IVOA describe them."
_T, _I, _L, _D = DataType.STRING, DataType.INT, DataType.LONG, DataType.DOUBLE
_AXIS = "Char.SpatialAxis."
_COVERAGE = f"{_AXIS}Coverage."
_POSITION = f"{_COVERAGE}Location.Coord.Position2D.Value2."

_WRITTEN: tuple[tuple[str, DataType, str, str, str, str], ...] = (
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
"""Columns of ObsCore: name, type, unit, UCD, utype and description; those without a utype are not the standard's."""

_NEVER_NULL = frozenset({"calib_level", "obs_collection", "obs_id", "obs_publisher_did"})

COLUMNS = tuple(
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
    for name, kind, unit, ucd, utype, text in _WRITTEN
)
"""The columns of ``ivoa.ObsCore``; those without a utype are not the standard's."""

_OPTIONAL = frozenset({"dataproduct_subtype", "obs_title"})

MANDATORY = tuple(column.name for column in COLUMNS if column.utype and column.name not in _OPTIONAL)
"""The columns that the standard wants; most may be NULL."""


@dataclass(frozen=True, slots=True)
class DataModel:
    """A data model of the IVOA."""

    name: str
    identifier: str


_OBSCORE = DataModel("ObsCore-1.1", "ivo://ivoa.net/std/ObsCore#core-1.1")


def data_models(catalog: Catalog) -> tuple[DataModel, ...]:
    """Return the data models that tables of a catalogue follow."""
    found = [table for one in catalog.find_databases(OBSCORE_DATABASE, exact=True) for table in one.tables]
    return (_OBSCORE,) if any(table.utype == OBSCORE_UTYPE for table in found) else ()
