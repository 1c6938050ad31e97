"""Positions of files in other units than degrees become degrees; astropy says which."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from astropy import units
from support.schemas import small_database

from qserv_py.catalog.model import DirectorTable
from qserv_py.ingest.requests import InputOptions
from qserv_py.ingest.values.row_converter import ConvertedRows, RowConverter


def converted(directory: Path, unit: str, ra: pa.Array, dec: pa.Array) -> ConvertedRows:
    """Return rows of a director whose files hold the unit."""
    table = small_database(directory).table("Object")
    assert isinstance(table, DirectorTable)
    dec_unit = "deg" if unit == "hourangle" else unit
    table = replace(table, ra=replace(table.ra, unit=unit), dec=replace(table.dec, unit=dec_unit))
    rows = pa.RecordBatch.from_arrays([pa.array(range(len(ra)), pa.int64()), ra, dec], names=["objectId", "ra", "dec"])
    return RowConverter("a file", rows.schema.names, table, InputOptions()).convert(rows)


@pytest.mark.parametrize("unit", ["deg", "rad", "hourangle", "arcmin", "arcsec", "mas", "uas"])
@pytest.mark.parametrize("written", ["double", "string"])
def test_angles_of_files_become_degrees(tmp_path: Path, unit: str, written: str) -> None:
    wanted_ra = np.array([0.0, 1e-9, 12.5, 187.70593, 359.999999]) * units.deg
    wanted_dec = np.array([-90.0, -1e-9, 0.0, 12.39112, 90.0]) * units.deg
    ra, dec = wanted_ra.to_value(unit), wanted_dec.to_value("deg" if unit == "hourangle" else unit)
    texts = [pa.array([repr(float(value)) for value in values]) for values in (ra, dec)]
    found = converted(tmp_path, unit, *(texts if written == "string" else [pa.array(ra), pa.array(dec)]))
    assert found.rejected == ()
    np.testing.assert_allclose(found.columns["ra"].to_numpy(), wanted_ra.value, rtol=5e-16)
    np.testing.assert_allclose(found.columns["dec"].to_numpy(), wanted_dec.value, rtol=5e-16)


def test_values_of_another_type_are_converted_and_others_are_rejected(tmp_path: Path) -> None:
    whole = pa.array([3_600_000, None, 360 * 3_600_000], pa.int64())
    found = converted(tmp_path, "mas", whole, pa.array([-1, 2, 3], pa.int32()))
    assert found.columns["ra"].to_pylist()[0] == 1.0
    assert {(tuple(entry.places.tolist()), entry.column, entry.reason) for entry in found.rejected} == {
        ((1,), "ra", "position is missing"),
        ((2,), "ra", "right ascension is not in [0, 360) degrees"),
    }
    texts = converted(tmp_path, "rad", pa.array(["1.0", "one"]), pa.array(["0.5", "2.0"]))
    assert {(tuple(entry.places.tolist()), entry.column) for entry in texts.rejected} >= {((1,), "ra"), ((1,), "dec")}
