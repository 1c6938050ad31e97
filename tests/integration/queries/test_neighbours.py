"""Neighbours within any radius, by brute force: poles, right ascension 0, chunks of mixed order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from support.catalogues import CATALOGUES, loaded
from support.servers import Servers

from qserv_py.czar.cluster import Cluster
from qserv_py.czar.session import Session
from qserv_py.errors import LimitError

RADII = [0.0, 0.01, 0.03, 0.4, 3.0, 25.0, 100.0]


def vectors(tables: Mapping[str, pa.Table], table: str, ra: str, dec: str) -> np.ndarray:
    lon, lat = (np.radians(np.asarray(tables[table][name])) for name in (ra, dec))
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


def distances(name: str) -> np.ndarray:
    """Return the distance of each object to each truth, degrees."""
    tables = loaded(name).tables
    objects = vectors(tables, "Object", "coord_ra", "coord_dec")
    chord = np.sqrt(((objects[:, None] - vectors(tables, "Truth", "t_ra", "t_dec")[None]) ** 2).sum(axis=-1))
    return np.degrees(2 * np.arcsin(np.minimum(chord / 2, 1)))


@pytest.mark.parametrize("radius", RADII)
@pytest.mark.parametrize("name", CATALOGUES)
def test_every_pair_once(servers: Servers, name: str, radius: float) -> None:
    ids = [np.asarray(loaded(name).tables[t][c]) for t, c in (("Object", "objectId"), ("Truth", "truthId"))]
    near = np.argwhere(distances(name) < radius)
    wanted = sorted((int(ids[0][a]), int(ids[1][b])) for a, b in near)
    ties = f"DISTANCE(POINT(o.coord_ra, o.coord_dec), POINT(t.t_ra, t.t_dec)) < {radius}"
    found = servers.sharded.query(
        f"SELECT o.objectId, t.truthId FROM {name}.Object o JOIN {name}.Truth t ON {ties}"
    ).to_arrow()
    assert sorted(zip(*(column.to_pylist() for column in found.columns), strict=True)) == wanted
    left = servers.sharded.query(
        f"SELECT t.truthId, COUNT(o.objectId) FROM {name}.Truth t LEFT JOIN {name}.Object o ON {ties}"
        " GROUP BY t.truthId"
    ).to_arrow()
    counts = dict(zip(*(column.to_pylist() for column in left.columns), strict=True))
    partners = (distances(name) < radius).sum(axis=0)
    assert counts == dict(zip(ids[1].tolist(), partners.tolist(), strict=True))


@pytest.mark.parametrize("radius", [0.01, 0.4, 10.0])
@pytest.mark.parametrize("name", CATALOGUES)
def test_a_place_on_either_side(servers: Servers, name: str, radius: float) -> None:
    tables = loaded(name).tables
    ra, dec = (float(tables["Object"][column][7].as_py()) for column in ("coord_ra", "coord_dec"))
    for side, (lon, lat) in {"o": ("o.coord_ra", "o.coord_dec"), "t": ("t.t_ra", "t.t_dec")}.items():
        centre = np.array([[ra, dec]])
        table, columns = {"o": ("Object", ("coord_ra", "coord_dec")), "t": ("Truth", ("t_ra", "t_dec"))}[side]
        at = vectors({"x": pa.table({"ra": centre[:, 0], "dec": centre[:, 1]})}, "x", "ra", "dec")
        inside = (vectors(tables, table, *columns) @ at[0]) > np.cos(np.radians(2.0))
        near = distances(name) < radius
        wanted = int(near[inside].sum() if side == "o" else near[:, inside].sum())
        answer = servers.sharded.query(
            f"SELECT COUNT(*) FROM {name}.Object o, {name}.Truth t WHERE {radius} > DISTANCE(o.coord_ra, o.coord_dec,"
            f" t.t_ra, t.t_dec) AND DISTANCE({lon}, {lat}, {ra!r}, {dec!r}) < 2.0"
        )
        assert answer.to_arrow().column(0).to_pylist() == [wanted]


@pytest.mark.parametrize("radius", [0.01, 0.4, 10.0])
def test_across_databases_and_families(servers: Servers, radius: float) -> None:
    """Their chunks differ, so all rows near the anchors are sent."""
    first, second = loaded("wrap").tables, loaded("sparse").tables
    chord = np.sqrt(
        (
            (
                vectors(first, "Object", "coord_ra", "coord_dec")[:, None]
                - vectors(second, "Object", "coord_ra", "coord_dec")[None]
            )
            ** 2
        ).sum(axis=-1)
    )
    partners = (np.degrees(2 * np.arcsin(chord / 2)) < radius).sum(axis=1)
    found = servers.sharded.query(
        "SELECT a.objectId, COUNT(b.objectId) FROM wrap.Object a LEFT JOIN sparse.Object b ON"
        f" DISTANCE(a.coord_ra, a.coord_dec, b.coord_ra, b.coord_dec) < {radius} GROUP BY a.objectId"
    ).to_arrow()
    counts = dict(zip(*(column.to_pylist() for column in found.columns), strict=True))
    assert counts == dict(zip(np.asarray(first["Object"]["objectId"]).tolist(), partners.tolist(), strict=True))


NEAREST = {
    "window": "SELECT a, b FROM (SELECT o.objectId AS a, t.truthId AS b, ROW_NUMBER() OVER (PARTITION BY o.objectId"
    " ORDER BY {apart}) AS n FROM {name}.Object o JOIN {name}.Truth t ON {apart} < {radius}) x WHERE n = 1",
    "other order": "SELECT a, b FROM (SELECT o.objectId AS a, t.truthId AS b, RANK() OVER (PARTITION BY o.objectId"
    " ORDER BY {apart}) AS n FROM {name}.Truth t, {name}.Object o WHERE {apart} < {radius}) x WHERE n = 1",
    "no closer one": "SELECT o.objectId, t.truthId FROM {name}.Object o, {name}.Truth t WHERE {apart} < {radius} AND"
    " NOT EXISTS (SELECT 1 FROM {name}.Truth c WHERE DISTANCE(o.coord_ra, o.coord_dec, c.t_ra, c.t_dec) < {apart})",
    "least": "SELECT o.objectId, t.truthId FROM {name}.Object o, {name}.Truth t WHERE {apart} < {radius} AND {apart} ="
    " (SELECT MIN(DISTANCE(o.coord_ra, o.coord_dec, c.t_ra, c.t_dec)) FROM {name}.Truth c"
    " WHERE DISTANCE(o.coord_ra, o.coord_dec, c.t_ra, c.t_dec) < {radius})",
    "grouped": "SELECT o.objectId, t.truthId FROM {name}.Object o JOIN {name}.Truth t ON {apart} < {radius} JOIN"
    " (SELECT o.objectId AS i, MIN({apart}) AS d FROM {name}.Object o, {name}.Truth t WHERE {apart} < {radius}"
    " GROUP BY o.objectId) m ON m.i = o.objectId WHERE {apart} = m.d",
}


@pytest.mark.parametrize("writing", NEAREST)
@pytest.mark.parametrize("radius", [0.01, 0.5])
@pytest.mark.parametrize("name", CATALOGUES)
def test_nearest(servers: Servers, name: str, radius: float, writing: str) -> None:
    tables, apart = loaded(name).tables, distances(name)
    ids = [np.asarray(tables[t][c]).tolist() for t, c in (("Object", "objectId"), ("Truth", "truthId"))]
    nearest = np.argmin(apart, axis=1)
    wanted = sorted((ids[0][row], ids[1][best]) for row, best in enumerate(nearest) if apart[row, best] < radius)
    text = NEAREST[writing].format(name=name, radius=radius, apart="DISTANCE(o.coord_ra, o.coord_dec, t.t_ra, t.t_dec)")
    plan = servers.sharded.explain(text)
    assert "no chunk alone can answer" not in plan
    found = servers.sharded.query(text).to_arrow()
    assert sorted(zip(*(column.to_pylist() for column in found.columns), strict=True)) == wanted


def test_an_exchange_is_bounded_by_the_budget(servers: Servers, cluster: Cluster) -> None:
    small = replace(cluster, config=replace(cluster.config, move_bytes=200))
    places = "a.coord_ra, a.coord_dec, b.coord_ra, b.coord_dec"
    query = f"SELECT COUNT(*) FROM wrap.Object a, wrap.Object b WHERE DISTANCE({places}) < "
    with Session(small) as session:
        with pytest.raises(LimitError, match='rows of "wrap.Object" would have to be moved') as raised:
            list(session.answer(query + "3").batches())
        assert "Take a smaller radius" in raised.value.render()
        list(session.answer(query + "0.01").batches())
