"""Cones and boxes on the shards against astropy's separations and frames, row by row."""

from __future__ import annotations

from collections.abc import Iterator

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.catalogues import CATALOGUES, load_catalogue
from support.shapes import shapes
from support.sky import catalogue

import qserv_py
from qserv_py.adql.geometry.sphere import body_of, contains, corners_of_box, intersects
from qserv_py.czar.cluster import Cluster

EDGE = 1e-9
"""Degrees; rows nearer to a border than this may fall on either side."""


class Sky:
    def __init__(self, db: qserv_py.Connection, name: str, places: SkyCoord, ids: np.ndarray) -> None:
        self.db = db
        self.name = name
        self.places = places
        self.ids = ids

    def found(self, condition: str) -> set[int]:
        table = self.db.query(f"SELECT objectId FROM {self.name}.Object WHERE {condition}").to_arrow()
        return set(table["objectId"].to_pylist())

    def check(self, condition: str, inside: np.ndarray, away: np.ndarray) -> None:
        """``away`` is how far each row is from the border."""
        found = self.found(condition)
        sure = away > EDGE
        assert set(self.ids[inside & sure].tolist()) <= found, condition
        assert not found & set(self.ids[~inside & sure].tolist()), condition


@pytest.fixture(scope="module")
def skies(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Sky]]:
    scratch = tmp_path_factory.mktemp("skies")
    tables = {f"sky_{kind}": catalogue(17 + seed, kind, count=900) for seed, kind in enumerate(CATALOGUES)}
    for name, rows in tables.items():
        load_catalogue(cluster, scratch, name=name, tables={"Object": rows["Object"]}, target_rows=20)
    with qserv_py.connect(cluster.config.directory) as db:
        yield [
            Sky(
                db,
                name,
                SkyCoord(np.asarray(rows["Object"]["coord_ra"]), np.asarray(rows["Object"]["coord_dec"]), unit="deg"),
                np.asarray(rows["Object"]["objectId"]),
            )
            for name, rows in tables.items()
        ]


@st.composite
def centres(draw: st.DrawFn, sky: Sky) -> SkyCoord:
    """A place near a row, at a pole, on the meridian, or anywhere."""
    kind = draw(st.sampled_from(["row", "row", "pole", "meridian", "anywhere"]))
    if kind == "row":
        place = sky.places[draw(st.integers(0, len(sky.ids) - 1))]
        return place.directional_offset_by(draw(st.floats(0, 360)) * u.deg, draw(st.sampled_from([0, 0.01, 1])) * u.deg)
    dec = {"pole": draw(st.sampled_from([90.0, -90.0])), "meridian": 0.0}.get(kind, draw(st.floats(-89.9, 89.9)))
    return SkyCoord(draw(st.floats(0, 359.99)) if kind == "anywhere" else 0.0, dec, unit="deg")


def write(centre: SkyCoord) -> str:
    return f"{float(centre.ra.deg)!r}, {float(centre.dec.deg)!r}"


SETTINGS = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
SIZES = st.sampled_from([0.0001, 0.01, 0.3, 2.0, 15.0, 28.9, 70.0, 120.0])


@SETTINGS
@given(data=st.data())
def test_cones(skies: list[Sky], data: st.DataObject) -> None:
    sky = data.draw(st.sampled_from(skies))
    centre, radius = data.draw(centres(sky)), data.draw(SIZES)
    separation = sky.places.separation(centre).deg
    condition = f"1 = CONTAINS(POINT('ICRS', coord_ra, coord_dec), CIRCLE('ICRS', {write(centre)}, {radius}))"
    sky.check(condition, separation <= radius, np.abs(separation - radius))
    condition = f"DISTANCE(POINT({write(centre)}), POINT(coord_ra, coord_dec)) < {radius}"
    sky.check(condition, separation < radius, np.abs(separation - radius))


@SETTINGS
@given(data=st.data())
def test_boxes(skies: list[Sky], data: st.DataObject) -> None:
    sky = data.draw(st.sampled_from(skies))
    centre = data.draw(centres(sky))
    width, height = data.draw(SIZES.filter(lambda s: s < 180)), data.draw(SIZES.filter(lambda s: s < 180))
    offset = sky.places.transform_to(centre.skyoffset_frame())
    x, y, z = (np.asarray(part) for part in offset.cartesian.xyz)
    across, up = np.degrees(np.abs(np.arctan2(y, x))), np.degrees(np.abs(np.arctan2(z, x)))
    inside = (across <= width / 2) & (up <= height / 2)
    away = np.minimum(np.abs(across - width / 2), np.abs(up - height / 2))
    shape = f"BOX('ICRS', {write(centre)}, {width}, {height})"
    sky.check(f"CONTAINS(POINT('ICRS', coord_ra, coord_dec), {shape}) = 1", inside, away)


@SETTINGS
@given(data=st.data())
def test_ranges(skies: list[Sky], data: st.DataObject) -> None:
    sky = data.draw(st.sampled_from(skies))
    west, south = data.draw(st.floats(0, 359)), data.draw(st.floats(-90, 89))
    east, north = west + data.draw(SIZES), south + data.draw(SIZES)
    ra, dec = sky.places.ra.deg, sky.places.dec.deg
    inside = (ra >= west) & (ra <= east) & (dec >= south) & (dec <= north)
    borders = np.stack([np.abs(ra - west), np.abs(ra - east), np.abs(dec - south), np.abs(dec - north)])
    condition = f"coord_ra BETWEEN {west!r} AND {east!r} AND coord_dec BETWEEN {south!r} AND {north!r}"
    sky.check(condition, inside, borders.min(axis=0))


@SETTINGS
@given(data=st.data())
def test_shapes_around_rows(skies: list[Sky], data: st.DataObject) -> None:
    """Every relation to a constant shape, against the functions that test_sphere checks, row by row."""
    sky = data.draw(st.sampled_from(skies))
    centre = data.draw(centres(sky))
    fixed = data.draw(
        shapes((float(centre.ra.deg), float(centre.dec.deg)), data.draw(st.sampled_from([0.01, 1.0, 20.0])))
    )
    body = body_of(fixed)
    if body is None:
        return
    size = data.draw(st.sampled_from([0.0, 0.005, 0.4, 9.0]))
    square = data.draw(st.booleans())
    around = f"BOX(coord_ra, coord_dec, {size}, {size / 2})" if square else f"CIRCLE(coord_ra, coord_dec, {size})"
    name = {2: "POINT", 3: "CIRCLE"}.get(len(fixed), "POLYGON")
    shape = f"{name}({', '.join(map(repr, fixed))})"
    relation, mirrored = data.draw(st.sampled_from([("INTERSECTS", False), ("CONTAINS", False), ("CONTAINS", True)]))
    bodies = [
        body_of(corners_of_box(ra, dec, size, size / 2) if square else (ra, dec, size))
        for ra, dec in zip(sky.places.ra.deg.tolist(), sky.places.dec.deg.tolist(), strict=True)
    ]
    asked = intersects if relation == "INTERSECTS" else contains
    inside = np.array([one is not None and asked(*((body, one) if mirrored else (one, body))) for one in bodies])
    pair = f"{shape}, {around}" if mirrored else f"{around}, {shape}"
    found = sky.found(f"1 = {relation}({pair})")
    assert found == set(sky.ids[inside].tolist()), (relation, pair)
    assert sky.found(f"{relation}({pair}) = 0") == set(sky.ids[~inside].tolist()), (relation, pair)
