"""Positions of files: units, frames and odd looks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from astropy import units
from hypothesis import given
from hypothesis import strategies as st

from qserv_py.catalog.model import HEALPIX_COLUMN, ChildTable, Column, DirectorTable, Position, PositionFormat
from qserv_py.catalog.types import DataType
from qserv_py.errors import ContributionError
from qserv_py.ingest.requests import InputOptions
from qserv_py.ingest.values.row_converter import ConvertedRows, RowConverter


def table(ra: Position | None = None, dec: Position | None = None) -> DirectorTable:
    columns = [Column(name="id", physical="id", datatype=DataType.LONG)]
    columns += [Column(name=name, physical=name, datatype=DataType.DOUBLE, unit="deg") for name in ("ra", "dec")]
    columns.append(Column(name=HEALPIX_COLUMN, physical=HEALPIX_COLUMN, datatype=DataType.LONG, hidden=True))
    columns.append(Column(name="flux", physical="flux", datatype=DataType.FLOAT, unit="nJy"))
    return DirectorTable(
        database="d",
        name="T",
        physical="t",
        columns=tuple(columns),
        id="id",
        ra=ra or Position(column="ra"),
        dec=dec or Position(column="dec"),
    )


def converted(
    ra: list[float],
    dec: list[float],
    told: dict[str, dict[str, str]] | None = None,
    *,
    into: DirectorTable | None = None,
    **options: bool,
) -> tuple[ConvertedRows, list[str]]:
    rows = pa.record_batch({"id": range(len(ra)), "ra": ra, "dec": dec})
    converter = RowConverter("in.x", rows.schema.names, into or table(), InputOptions(**options), told=told or {})
    return converter.convert(rows), converter.notes()


@pytest.mark.parametrize("unit", ["rad", "hourangle", "arcmin", "arcsec", "mas", "deg"])
def test_units_are_converted_as_astropy_does(unit: str) -> None:
    degrees = np.array([0.0, 10.5, 359.999999, 41.2]), np.array([-90.0, 89.75, 1e-9, -5.4])
    of_dec = "deg" if unit == "hourangle" else unit
    written = [
        (values * units.deg).to_value(name).tolist() for values, name in zip(degrees, (unit, of_dec), strict=True)
    ]
    told = {"ra": {"unit": unit}, "dec": {"unit": of_dec}}
    schema = table(Position(column="ra", unit=unit), Position(column="dec", unit=of_dec))
    for rows, notes in (converted(*written, told), converted(*written, into=schema)):
        assert not rows.rejected
        for name, expected in zip(("ra", "dec"), degrees, strict=True):
            np.testing.assert_allclose(rows.columns[name].to_numpy(), expected, rtol=1e-15, atol=1e-14)
        said = {"ra": unit, "dec": of_dec}
        assert notes == [
            f'column "{name}" was converted from {of} to degrees' for name, of in said.items() if of != "deg"
        ]


def test_what_the_file_says_goes_before_the_schema() -> None:
    schema = table(Position(column="ra", unit="rad"), Position(column="dec", unit="rad"))
    rows, notes = converted([10.0], [20.0], {"ra": {"unit": "deg"}, "dec": {"unit": "degrees"}}, into=schema)
    assert (rows.columns["ra"].to_pylist(), rows.columns["dec"].to_pylist(), notes) == ([10.0], [20.0], [])


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"ra": {"unit": "m"}}, 'column "ra" of in.x has the unit "m", which no angle is in'),
        ({"dec": {"unit": "pixel"}}, 'column "dec" of in.x has the unit "pixel"'),
        ({"dec": {"unit": "hourangle"}}, 'column "dec" of in.x has hours as its unit, which a declination is not'),
        ({"ra": {"ucd": "pos.galactic.lon"}}, 'column "ra" of in.x has the UCD "pos.galactic.lon"; positions are ICRS'),
        ({"ra": {"ucd": "phot.mag"}}, 'column "ra" of in.x has the UCD "phot.mag"'),
        ({"ra": {"ucd": "pos.eq.dec;meta.main"}}, 'has the UCD "pos.eq.dec;meta.main": are ra and dec swapped'),
        ({"dec": {"ucd": "pos.ecliptic.lat"}}, 'has the UCD "pos.ecliptic.lat"; positions are ICRS, pos.eq.dec'),
        ({"dec": {"frame": "GALACTIC"}}, "is in the frame GALACTIC"),
        ({"dec": {"frame": "CIRS"}}, "is in the frame CIRS"),
        ({"dec": {"frame": "FK5", "equinox": "J1950"}}, "has the equinox J1950 of the frame FK5"),
    ],
)
def test_positions_that_are_others(told: dict[str, dict[str, str]], message: str) -> None:
    with pytest.raises(ContributionError, match=message):
        converted([1.0], [1.0], told)


def test_ucds_that_fit() -> None:
    for ucd in ("pos.eq.ra;meta.main", "POS.EQ.RA", "pos.eq.ra;stat.mean", "", "meta.main"):
        converted([1.0], [1.0], {"ra": {"ucd": ucd, "frame": "ICRS"}})


@given(st.floats(-1e6, 1e6))
def test_right_ascensions_are_wrapped_on_request(ra: float) -> None:
    rows, notes = converted([ra], [0.0], wrap_ra=True)
    got = rows.columns["ra"][0].as_py()
    assert 0 <= got < 360
    assert abs((got - ra + 180) % 360 - 180) < 1e-9
    assert not rows.rejected
    inside = 0 <= ra < 360
    assert notes == ([] if inside else ["1 right ascension wrapped into [0, 360) degrees"])
    rows, _ = converted([ra], [0.0])
    assert [entry.reason for entry in rows.rejected] == ([] if inside else [REASON])


REASON = "right ascension is not in [0, 360) degrees"


def test_what_is_no_position_is_not_wrapped() -> None:
    rows, _ = converted([np.inf, np.nan, 1e20], [0.0, 0.0, 0.0], wrap_ra=True)
    assert [(entry.reason, entry.places.tolist()) for entry in rows.rejected] == [
        ("position is missing", [1]),
        (REASON, [0, 2]),
    ]


def test_coordinates_that_look_like_others() -> None:
    sky = np.random.default_rng(1)
    ra, dec = sky.uniform(0, 360, 500), np.degrees(np.arcsin(sky.uniform(-1, 1, 500)))
    assert converted(ra.tolist(), dec.tolist())[1] == []
    (note,) = converted(np.radians(ra).tolist(), np.radians(dec).tolist())[1]
    assert note.startswith('"ra" and "dec" look like radians')
    (note,) = converted((ra / 15).tolist(), dec.tolist())[1]
    assert note.startswith('"ra" looks like hours')
    small = (ra / 60 + 3).tolist(), (dec / 60 - 1).tolist()  # a field near the origin, in degrees
    assert converted(*small, {"ra": {"unit": "deg"}})[1] == []


def test_sexagesimal_texts_need_no_unit() -> None:
    schema = table(Position(column="ra", format=PositionFormat.HMS), Position(column="dec"))
    rows = pa.record_batch({"id": [1], "ra": ["01:30:00"], "dec": [2.0]})
    told = {"ra": {"unit": '"h:m:s"'}}
    converter = RowConverter("in.x", rows.schema.names, schema, InputOptions(), told=told)
    assert converter.convert(rows).columns["ra"].to_pylist() == [22.5]


def test_other_units_than_the_table_s_are_told_of() -> None:
    rows = pa.record_batch({"id": [1], "ra": [1.0], "dec": [2.0], "flux": [3.0]})
    for unit, expected in (("mJy", True), ("nJy", False), ("nanoJansky", False), ("1e-9 Jy", False), ("mag", True)):
        told = {"flux": {"unit": unit}}
        notes = RowConverter("in.x", rows.schema.names, table(), InputOptions(), told=told).notes()
        said = [f'column "flux" is in "{unit}" in the file and in "nJy" in the table; no value is converted']
        assert notes == (said if expected else [])


def test_what_arrow_refuses_refuses_the_file() -> None:
    """Parquet files may name a zone that nobody knows; only the text of such a time needs it."""
    schema = table()
    noted = Column(name="noted", physical="noted", datatype=DataType.TEXT)
    schema = replace(schema, columns=(*schema.columns, noted))
    when = pa.array([0], pa.timestamp("us", "No/Where"))
    rows = pa.record_batch({"id": [1], "ra": [1.0], "dec": [2.0], "noted": when})
    with pytest.raises(
        ContributionError, match='column "noted" of in.x holds .*No/Where.*, which cannot become'
    ) as caught:
        RowConverter("in.x", rows.schema.names, schema, InputOptions()).convert(rows)
    assert "timezone" in caught.value.detail


def test_sexagesimal_texts_that_are_none() -> None:
    schema = table(Position(column="ra", format=PositionFormat.HMS), Position(column="dec"))
    texts = pa.array([b"01:30:00", b"\xff1:30:00", b"x"]).view(pa.string())
    rows = pa.record_batch({"id": [1, 2, 3], "ra": texts, "dec": [2.0, 2.0, 2.0]})
    found = RowConverter("in.x", rows.schema.names, schema, InputOptions()).convert(rows)
    assert [(entry.places.tolist(), entry.reason) for entry in found.rejected][:2] == [
        ([1], "not UTF-8 text"),
        ([2], "no angle of the format hms"),
    ]
    assert found.columns["ra"].to_pylist() == [22.5, None, None]


def test_a_child_s_own_position_is_converted_as_a_director_s() -> None:
    columns = table().columns
    child = ChildTable(
        database="d",
        name="S",
        physical="s",
        columns=columns,
        director="T",
        key="id",
        ra=Position(column="ra", unit="hourangle"),
        dec=Position(column="dec"),
    )
    rows = pa.record_batch({"id": [1, 2], "ra": [1.5, None], "dec": [0.5, None]})
    told = {"dec": {"unit": "rad"}}
    found = RowConverter("in.x", rows.schema.names, child, InputOptions(), told=told).convert(rows)
    assert found.columns["ra"].to_pylist() == [22.5, None]
    assert found.columns["dec"].to_pylist() == [(0.5 * units.rad).to_value("deg"), None]
    assert not found.rejected
