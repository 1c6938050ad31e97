"""Cross-matches with uploads by brute force: every pair once, those without a partner, the nearest of each."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from support.catalogues import CATALOGUES, loaded
from support.servers import Servers

from qserv_py.executor import sent_rows
from qserv_py.planner.writing import fill

RADII = [0.0003, 0.01, 0.4, 9.0, 25.0, 100.0]
NEAR = "DISTANCE(POINT(u.u_ra, u.u_dec), POINT(o.coord_ra, o.coord_dec))"


@pytest.fixture(params=["text", "scratch", "look-ups", "hash joins"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way in which the rows reach the workers, and in which a chunk finds its pairs."""
    if request.param != "text":
        monkeypatch.setattr(sent_rows, "MAX_TEXT_VALUES", 0)
    if request.param in {"look-ups", "hash joins"}:
        monkeypatch.setattr(fill, "ROWS_READ_PER_LOOKUP", 0 if request.param == "look-ups" else 10**9)
    return str(request.param)


def vectors(table: pa.Table, ra: str, dec: str) -> np.ndarray:
    lon, lat = (np.radians(table[name].cast(pa.float64()).to_numpy()) for name in (ra, dec))
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


def distances(servers: Servers, name: str) -> np.ndarray:
    """Return the distance of each uploaded row to each object, degrees; NaN without a position."""
    mine = vectors(servers.uploads[f"{name}_u"], "u_ra", "u_dec")
    objects = vectors(loaded(name).tables["Object"], "coord_ra", "coord_dec")
    chord = np.sqrt(((mine[:, None] - objects[None]) ** 2).sum(axis=-1))
    return np.degrees(2 * np.arcsin(np.minimum(chord / 2, 1)))


def rows(servers: Servers, query: str) -> list[tuple]:
    table = servers.sharded.query(query, uploads=servers.uploads).to_arrow()
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


@pytest.mark.parametrize("radius", RADII)
@pytest.mark.parametrize("name", CATALOGUES)
def test_every_pair_once(servers: Servers, name: str, radius: float, way: str) -> None:
    ids = np.asarray(loaded(name).tables["Object"]["objectId"])
    uid = servers.uploads[f"{name}_u"]["uid"].to_numpy()
    near = np.argwhere(distances(servers, name) < radius)
    wanted = sorted((int(uid[a]), int(ids[b])) for a, b in near)
    found = rows(
        servers,
        f"SELECT u.uid, o.objectId FROM TAP_UPLOAD.{name}_u u JOIN {name}.Object o ON {NEAR} < {radius}",
    )
    assert sorted(found) == wanted


@pytest.mark.parametrize("name", CATALOGUES)
def test_a_radius_of_its_own(servers: Servers, name: str, way: str) -> None:
    radius = servers.uploads[f"{name}_u"]["radius"].cast(pa.float64()).to_numpy() / 3600
    wanted = int((distances(servers, name) <= radius[:, None]).sum())
    shape = "CIRCLE(u.u_ra, u.u_dec, u.radius / 3600.0)"
    assert rows(
        servers,
        f"SELECT COUNT(*) FROM {name}.Object o, TAP_UPLOAD.{name}_u u"
        f" WHERE 1 = CONTAINS(POINT(o.coord_ra, o.coord_dec), {shape})",
    ) == [(wanted,)]


@pytest.mark.parametrize("name", CATALOGUES)
def test_rows_without_a_partner_come_once(servers: Servers, name: str, way: str) -> None:
    upload = servers.uploads[f"{name}_u"]
    near = distances(servers, name) < 0.006
    counts: dict[int, int] = {}
    for uid, partners in zip(upload["uid"].to_pylist(), near.sum(axis=1).tolist(), strict=True):
        counts[uid] = counts.get(uid, 0) + max(1, partners)
    found = rows(
        servers,
        f"SELECT u.uid, COUNT(*) FROM TAP_UPLOAD.{name}_u u LEFT JOIN {name}.Object o ON {NEAR} < 0.006 GROUP BY u.uid",
    )
    assert dict(found) == counts
    lonely = rows(
        servers,
        f"SELECT COUNT(*) FROM {name}.Object o RIGHT JOIN TAP_UPLOAD.{name}_u u ON {NEAR} < 0.006"
        " WHERE o.objectId IS NULL",
    )
    assert lonely == [(int((near.sum(axis=1) == 0).sum()),)]
    objects = rows(
        servers,
        f"SELECT COUNT(*) FROM {name}.Object o LEFT JOIN TAP_UPLOAD.{name}_u u ON {NEAR} < 0.006 WHERE u.uid IS NULL",
    )
    assert objects == [(int((near.sum(axis=0) == 0).sum()),)]


@pytest.mark.parametrize("name", CATALOGUES)
def test_the_nearest_of_each(servers: Servers, name: str, way: str) -> None:
    away = distances(servers, name)
    upload = servers.uploads[f"{name}_u"].append_column("row", pa.array(np.arange(len(away))))
    some = np.flatnonzero((away < 0.05).any(axis=1))
    least = {int(row): float(away[row].min()) for row in some}
    queries = (
        "SELECT t.row, t.d FROM (SELECT u.row, {near} AS d,"
        " ROW_NUMBER() OVER (PARTITION BY u.row ORDER BY {near}) AS n"
        " FROM TAP_UPLOAD.u u JOIN {name}.Object o ON {near} < 0.05) t WHERE t.n = 1",
        "SELECT u.row, MIN({near}) FROM TAP_UPLOAD.u u JOIN {name}.Object o ON {near} < 0.05 GROUP BY u.row",
    )
    for query in queries:
        text = query.format(near=NEAR, name=name).replace("u.row", 'u."row"').replace("t.row", 't."row"')
        answer = servers.sharded.query(text, uploads={"u": upload})
        found = dict(zip(*(column.to_pylist() for column in answer.to_arrow().columns), strict=True))
        assert found.keys() == least.keys()
        assert all(abs(found[row] - least[row]) < 1e-9 for row in least)


def test_only_chunks_near_the_rows_are_asked(servers: Servers) -> None:
    place = loaded("sparse").tables["Object"].slice(5, 1)
    here = pa.table({"u_ra": place["coord_ra"], "u_dec": place["coord_dec"], "id": place["objectId"]})
    for condition in (f"{NEAR} < 0.001", "o.objectId = u.id", "o.objectId IN (SELECT id FROM TAP_UPLOAD.u)"):
        query = f"SELECT o.objectId FROM sparse.Object o, TAP_UPLOAD.u u WHERE {condition}"
        result = servers.sharded.query(query, uploads={"u": here})
        assert result.to_arrow()["objectId"].to_pylist() == place["objectId"].to_pylist()
        assert result.stats.chunks <= 2 < result.stats.chunks_total
        assert f"of {result.stats.chunks_total} kept" in servers.sharded.explain(query, uploads={"u": here})
    nowhere = here.slice(0, 0)
    counted = servers.sharded.query(
        f"SELECT COUNT(*) AS n FROM sparse.Object o, TAP_UPLOAD.u u WHERE {NEAR} < 0.001", uploads={"u": nowhere}
    )
    assert counted.to_arrow()["n"].to_pylist() == [0]
    assert counted.stats.chunks == 0


def test_a_block_inside_another_narrows_nothing_around_it(servers: Servers) -> None:
    """The objects around are kept, whether or not a chunk has rows of the block inside."""
    place = loaded("sparse").tables["Object"].slice(5, 1)
    here = pa.table({"u_ra": place["coord_ra"], "u_dec": place["coord_dec"], "id": place["objectId"]})
    inner = f"(SELECT o.objectId AS k FROM sparse.Object o JOIN TAP_UPLOAD.u u ON {NEAR} < 0.001)"
    for query, wanted in (
        (f"SELECT COUNT(*) FROM sparse.Object p LEFT JOIN {inner} t ON t.k = p.objectId", 600),
        (f"SELECT COUNT(*) FROM sparse.Object p WHERE p.objectId NOT IN {inner}", 599),
        (f"SELECT COUNT(*) FROM sparse.Object p WHERE p.objectId IN {inner} OR p.objectId > 0", 600),
        (f"SELECT COUNT(*) FROM sparse.Object p WHERE p.objectId IN {inner}", 1),
    ):
        result = servers.sharded.query(query, uploads={"u": here}).to_arrow()
        assert result.columns[0].to_pylist() == [wanted], query


def test_an_answer_of_one_row_stays_when_no_chunk_has_rows(servers: Servers) -> None:
    key = loaded("sparse").tables["Object"]["objectId"][3].as_py()
    query = (
        f"SELECT COUNT(*) AS n FROM sparse.Object WHERE objectId = {key}"
        " AND objectId IN (SELECT objectId FROM sparse.Source WHERE flux < -1)"
    )
    assert servers.sharded.query(query).to_arrow()["n"].to_pylist() == [0]
