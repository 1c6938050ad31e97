"""Further functions and aggregates over a cluster: the answers are those of one plain PostgreSQL with the same rows.

The right-hand sides are written apart from our translation.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
from support.catalogues import CATALOGUES, GAPS
from support.plain import differences, rows_of
from support.servers import Servers


class Pair(NamedTuple):
    adql: str
    sql: str


_BINS = ", ".join(f"count(b) FILTER (WHERE b = {number})" for number in range(8))

PAIRS = [
    Pair(
        "SELECT STDDEV(gFlux), VAR_POP(rFlux), STDDEV_POP(n), VARIANCE(k) FROM {0}.Object",
        "SELECT stddev_samp(gflux::float8), var_pop(rflux::float8), stddev_pop(n::float8), var_samp(k::float8)"
        " FROM {0}.object",
    ),
    Pair(
        "SELECT n, STDDEV(gFlux), COUNT(*) FROM {0}.Object GROUP BY n",
        "SELECT n, stddev_samp(gflux::float8), count(*) FROM {0}.object GROUP BY n",
    ),
    Pair(
        "SELECT n, MEDIAN(gFlux), PERCENTILE(rFlux, 0.9), COUNT(DISTINCT label) FROM {0}.Object GROUP BY n",
        "SELECT n, percentile_cont(0.5) WITHIN GROUP (ORDER BY gflux::float8),"
        " percentile_cont(0.9) WITHIN GROUP (ORDER BY rflux::float8), count(DISTINCT label) FROM {0}.object GROUP BY n",
    ),
    Pair(
        "SELECT n, BOOL_AND(isPrimary), BOOL_OR(gFlux > 3), BIT_OR(k), STRING_AGG(DISTINCT label, ',')"
        " FROM {0}.Object GROUP BY n",
        "SELECT n, bool_and(isprimary), bool_or(gflux > 3), bit_or(k), string_agg(DISTINCT label, ',' ORDER BY label)"
        " FROM {0}.object GROUP BY n",
    ),
    Pair(
        "SELECT objectId, STDDEV(flux), MEDIAN(flux) FROM {0}.Source GROUP BY objectId",
        "SELECT objectid, stddev_samp(flux::float8), percentile_cont(0.5) WITHIN GROUP (ORDER BY flux::float8)"
        " FROM {0}.source GROUP BY objectid",
    ),
    Pair(
        "SELECT MEDIAN(m) FROM (SELECT n, MEDIAN(gFlux) AS m FROM {0}.Object GROUP BY n) AS t",
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY m) FROM (SELECT n,"
        " percentile_cont(0.5) WITHIN GROUP (ORDER BY gflux::float8) AS m FROM {0}.object GROUP BY n) AS t",
    ),
    Pair(
        "SELECT MAX(s), BIT_AND(c) FROM (SELECT n, STDDEV(gFlux) AS s, COUNT(*) AS c FROM {0}.Object GROUP BY n"
        " HAVING VAR_POP(gFlux) / 2.0 > 0) AS t",
        "SELECT max(s), bit_and(c) FROM (SELECT n, stddev_samp(gflux::float8) AS s, count(*) AS c FROM {0}.object"
        " GROUP BY n HAVING var_pop(gflux::float8) / 2 > 0) AS t",
    ),
    Pair(
        "SELECT objectId, ivo_healpix_index(9, coord_ra, coord_dec) AS h FROM {0}.Object",
        "SELECT objectid, qserv.healpix_index(9, coord_ra, coord_dec) FROM {0}.object",
    ),
    Pair(
        "SELECT ivo_healpix_index(3, POINT(coord_ra, coord_dec)) AS h, COUNT(*) AS n FROM {0}.Object GROUP BY h",
        "SELECT qserv.healpix_index(3, coord_ra, coord_dec), count(*) FROM {0}.object GROUP BY 1",
    ),
    Pair(
        "SELECT objectId, scisql_nanojanskyToAbMag(rFlux) FROM {0}.Object",
        "SELECT objectid, CASE WHEN rflux > 0 AND rflux < 'inf' THEN -2.5 * log(rflux::float8) + 31.4 END"
        " FROM {0}.object",
    ),
    Pair(
        "SELECT objectId FROM {0}.Object WHERE scisql_s2PtInBox(coord_ra, coord_dec, -20, -30, 40, 30) = 1",
        "SELECT objectid FROM {0}.object WHERE (coord_ra >= 340 OR coord_ra <= 40) AND coord_dec BETWEEN -30 AND 30",
    ),
    Pair(
        "SELECT objectId FROM {0}.Object WHERE NOT qserv_areaspec_circle(30, 10, 25)",
        "SELECT objectid FROM {0}.object WHERE qserv.distance(coord_ra, coord_dec, 30, 10) > 25",
    ),
    Pair(
        "SELECT o.objectId, s.sourceId FROM {0}.Object o JOIN {0}.Source s ON o.objectId = s.objectId"
        " WHERE qserv_areaspec_circle(30, 10, 60) AND s.flux > 0",
        "SELECT o.objectid, s.sourceid FROM {0}.object o JOIN {0}.source s ON o.objectid = s.objectid"
        " WHERE qserv.distance(coord_ra, coord_dec, 30, 10) <= 60 AND s.flux > 0",
    ),
    Pair(
        "SELECT visit, objectId FROM {0}.Visit, {0}.Object WHERE 1 = CONTAINS(POINT(coord_ra, coord_dec), footprint)",
        "SELECT visit, objectid FROM {0}.visit, {0}.object WHERE CASE visit % 9"
        " WHEN 0 THEN oracle.separation(coord_ra, coord_dec, 45, 44.9) <= 1.5"
        " WHEN 1 THEN oracle.in_triangle(coord_ra, coord_dec, 10, -31, 12, -31, 12, -28)"
        "          OR oracle.in_triangle(coord_ra, coord_dec, 10, -31, 12, -28, 10, -28)"
        " WHEN 2 THEN oracle.in_triangle(coord_ra, coord_dec, 359, -2, 2, -2, 1, 3)"
        " WHEN 3 THEN oracle.separation(coord_ra, coord_dec, 0, 90) <= 0.7"
        " WHEN 6 THEN oracle.separation(coord_ra, coord_dec, 180, -70) <= 2.5"
        " WHEN 7 THEN oracle.in_box(coord_ra, coord_dec, 90, 0, 1, 1)"
        " WHEN 8 THEN oracle.separation(coord_ra, coord_dec, 315, 41.81) <= 0.1 END",
    ),
    Pair(
        "SELECT visit FROM {0}.Visit WHERE INTERSECTS(footprint, CIRCLE(11, -27, 1.2)) = 1",
        "SELECT visit FROM {0}.visit WHERE visit % 9 = 1",
    ),
    Pair(
        "SELECT visit, footprint FROM {0}.Visit WHERE NOT 1 = INTERSECTS(footprint, CIRCLE(0, 0, 1))",
        "SELECT visit, footprint FROM {0}.visit WHERE visit % 9 IN (0, 1, 3, 6, 7, 8)",
    ),
    Pair(
        "SELECT v.visit, COUNT(*) AS n FROM {0}.Visit v JOIN (SELECT objectId, POINT(coord_ra, coord_dec) AS p"
        " FROM {0}.Object) AS o ON 1 = INTERSECTS(o.p, v.footprint) WHERE v.visit >= 0"
        " GROUP BY v.visit HAVING COUNT(*) > 1",
        "SELECT visit, count(*) FROM {0}.visit, {0}.object WHERE visit % 9 = 0"
        " AND oracle.separation(coord_ra, coord_dec, 45, 44.9) <= 1.5 GROUP BY visit HAVING count(*) > 1"
        " UNION ALL SELECT visit, count(*) FROM {0}.visit, {0}.object WHERE visit % 9 = 1"
        " AND (oracle.in_triangle(coord_ra, coord_dec, 10, -31, 12, -31, 12, -28)"
        "      OR oracle.in_triangle(coord_ra, coord_dec, 10, -31, 12, -28, 10, -28))"
        " GROUP BY visit HAVING count(*) > 1"
        " UNION ALL SELECT visit, count(*) FROM {0}.visit, {0}.object WHERE visit % 9 = 2"
        " AND oracle.in_triangle(coord_ra, coord_dec, 359, -2, 2, -2, 1, 3) GROUP BY visit HAVING count(*) > 1"
        " UNION ALL SELECT visit, count(*) FROM {0}.visit, {0}.object WHERE visit % 9 = 3"
        " AND oracle.separation(coord_ra, coord_dec, 0, 90) <= 0.7 GROUP BY visit HAVING count(*) > 1"
        " UNION ALL SELECT visit, count(*) FROM {0}.visit, {0}.object WHERE visit % 9 = 6"
        " AND oracle.separation(coord_ra, coord_dec, 180, -70) <= 2.5 GROUP BY visit HAVING count(*) > 1"
        " UNION ALL SELECT visit, count(*) FROM {0}.visit, {0}.object WHERE visit % 9 = 7"
        " AND oracle.in_box(coord_ra, coord_dec, 90, 0, 1, 1) GROUP BY visit HAVING count(*) > 1"
        " UNION ALL SELECT visit, count(*) FROM {0}.visit, {0}.object WHERE visit % 9 = 8"
        " AND oracle.separation(coord_ra, coord_dec, 315, 41.81) <= 0.1 GROUP BY visit HAVING count(*) > 1",
    ),
    Pair(
        "SELECT DISTINCT ivo_healpix_center(3, ivo_healpix_index(3, coord_ra, coord_dec)) AS middle,"
        " COORD1(p) AS x FROM (SELECT coord_ra, coord_dec, POINT(coord_ra, coord_dec) AS p FROM {0}.Object) AS t",
        "SELECT DISTINCT qserv.healpix_center(3, qserv.healpix_index(3, coord_ra, coord_dec)), coord_ra"
        " FROM {0}.object",
    ),
    Pair(
        "SELECT GREATEST(gFlux, rFlux, n), LEAST(label, 'b'), SUBSTRING(label, 1, 1), LENGTH(label) FROM {0}.Object",
        "SELECT greatest(gflux::float8, rflux::float8, n::float8), least(label, 'b'), substring(label, 1, 1),"
        " length(label) FROM {0}.object",
    ),
    Pair(
        "SELECT n, ivo_histogram(gFlux, 0, 100, 6) FROM {0}.Object GROUP BY n",
        f"SELECT n, ARRAY[{_BINS}] FROM (SELECT n, CASE WHEN gflux IS NULL THEN 0 WHEN gflux = 'NaN' THEN 7 ELSE"
        " width_bucket(gflux::float8, 0::float8, 100::float8, 6) END AS b FROM {0}.object) AS t GROUP BY n",
    ),
    Pair(
        "SELECT h FROM (SELECT gavo_histogram(gFlux, 0, 100, 6) AS h, MEDIAN(gFlux) AS m FROM {0}.Object) AS t",
        f"SELECT ARRAY[{_BINS}] FROM (SELECT CASE WHEN gflux IS NULL THEN 0 WHEN gflux = 'NaN' THEN 7 ELSE"
        " width_bucket(gflux::float8, 0::float8, 100::float8, 6) END AS b FROM {0}.object) AS t",
    ),
    Pair(
        "SELECT n & 3 AS b, COUNT(*) FROM {0}.Object WHERE objectId | 0xFF <> 0 GROUP BY b HAVING SUM(n) >> 1 > ~1",
        "SELECT n & 3, count(*) FROM {0}.object WHERE objectid | 255 <> 0 GROUP BY 1 HAVING sum(n)::bigint >> 1 > ~1",
    ),
    Pair(
        "SELECT CAST(label AS CHAR(3)), CAST(objectId AS VARCHAR(9)), IN_UNIT(coord_dec, 'arcmin') FROM {0}.Object",
        "SELECT rpad(left(label, 3), 3), left(objectid::text, 9), coord_dec * 60 FROM {0}.object",
    ),
    Pair(
        "SELECT CAST(MAX(label) AS CHAR(3)) || '!', IN_UNIT(AVG(coord_dec), 'arcsec') FROM {0}.Object",
        "SELECT rtrim(left(max(label), 3)) || '!', avg(coord_dec) * 3600 FROM {0}.object",
    ),
]


def within(ra: str, dec: str) -> str:
    """Return the condition that columns of a position stand in ``_AREA``."""
    return f"oracle.separation({ra}, {dec}, 30, 10) <= 80"


_A, _O = (within(f"{alias}.coord_ra", f"{alias}.coord_dec") for alias in "ao")
_T, _S = within("t.t_ra", "t.t_dec"), within("s_ra", "s_dec")
_OF_S = f"EXISTS (SELECT FROM {{0}}.object a WHERE a.objectid = s.objectid AND {_A})"
_AREA = "qserv_areaspec_circle(30, 10, 80)"

AREAS = [
    Pair(
        f"SELECT a.objectId, o.objectId AS other FROM {{0}}.Object a, {{0}}.Object o WHERE {_AREA}"
        " AND DISTANCE(a.coord_ra, a.coord_dec, o.coord_ra, o.coord_dec) < 0.02",
        f"SELECT a.objectid, o.objectid FROM {{0}}.object a, {{0}}.object o WHERE {_O} AND {_A}"
        " AND oracle.separation(a.coord_ra, a.coord_dec, o.coord_ra, o.coord_dec) < 0.02",
    ),
    Pair(
        f"SELECT COUNT(*) AS n FROM {{0}}.Object o JOIN {{0}}.Source s ON s.visit = o.n WHERE {_AREA}",
        f"SELECT count(*) FROM {{0}}.object o JOIN {{0}}.source s ON s.visit = o.n WHERE {_O} AND"
        f" {_OF_S}",
    ),
    Pair(
        f"SELECT s.sourceId FROM {{0}}.Source s, {{0}}.Visit v WHERE v.visit = s.visit AND {_AREA} AND v.seeing < 1",
        f"SELECT s.sourceid FROM {{0}}.source s, {{0}}.visit v WHERE v.visit = s.visit AND v.seeing < 1 AND {_OF_S}",
    ),
    Pair(f"SELECT s.sourceId FROM {{0}}.Source s WHERE NOT {_AREA}",
         f"SELECT s.sourceid FROM {{0}}.source s WHERE NOT {_OF_S}"),
    Pair(
        f"SELECT o.objectId, s.sourceId FROM {{0}}.Object o LEFT JOIN {{0}}.Source s"
        f" ON s.objectId = o.objectId AND s.flux > 5 WHERE {_AREA}",
        f"SELECT o.objectid, s.sourceid FROM {{0}}.object o LEFT JOIN {{0}}.source s"
        f" ON s.objectid = o.objectid AND s.flux > 5 WHERE {_O}",
    ),
    Pair(
        f"SELECT o.gFlux, s.sourceId FROM {{0}}.Object o RIGHT JOIN {{0}}.Source s"
        f" ON s.objectId = o.objectId AND o.gFlux > 5 WHERE {_AREA}",
        f"SELECT x.gflux, s.sourceid FROM {{0}}.object x RIGHT JOIN {{0}}.source s"
        f" ON s.objectid = x.objectid AND x.gflux > 5 WHERE {_OF_S}",
    ),
    Pair(
        f"SELECT o.objectId, t.truthId FROM {{0}}.Object o, {{0}}.FarPairs p, {{0}}.Truth t"
        f" WHERE {_AREA} AND p.objectId = o.objectId AND t.truthId = p.truthId",
        f"SELECT o.objectid, t.truthid FROM {{0}}.object o, {{0}}.farpairs p, {{0}}.truth t"
        f" WHERE {_O} AND {_T} AND p.objectid = o.objectid AND t.truthid = p.truthid",
    ),
    Pair(
        f"SELECT p.rank, t.truthId FROM {{0}}.Pairs p JOIN {{0}}.Truth t ON t.truthId = p.truthId WHERE {_AREA}",
        f"SELECT p.rank, t.truthid FROM {{0}}.pairs p JOIN {{0}}.truth t ON t.truthid = p.truthid WHERE {_T}",
    ),
    Pair(
        f"SELECT p.rank, p.truthId FROM {{0}}.Pairs p WHERE {_AREA}",
        f"SELECT p.rank, p.truthid FROM {{0}}.pairs p JOIN {{0}}.object o ON o.objectid = p.objectid WHERE {_O}",
    ),
]  # fmt: skip

OF_GAPS = [
    Pair(
        f"SELECT sourceId FROM {{0}}.Source WHERE {_AREA}",
        f"SELECT sourceid FROM {{0}}.source WHERE {_S}",
    ),
    Pair(
        f"SELECT o.objectId, s.sourceId FROM {{0}}.Object o JOIN {{0}}.Source s USING (objectId) WHERE {_AREA}",
        f"SELECT o.objectid, s.sourceid FROM {{0}}.object o JOIN {{0}}.source s USING (objectid) WHERE {_O} AND {_S}",
    ),
    Pair(
        f"SELECT p.rank, p.truthId FROM {{0}}.Pairs p WHERE {_AREA}",
        f"SELECT p.rank, p.truthid FROM {{0}}.pairs p JOIN {{0}}.object o ON o.objectid = p.objectid WHERE {_O}",
    ),
    Pair(
        f"SELECT detId, mag FROM {{0}}.Detection WHERE {_AREA}",
        f"SELECT detid, mag FROM {{0}}.detection WHERE {within('d_ra', 'd_dec')}",
    ),
]

CASES = [
    *((pair, name) for pair in (*PAIRS, *AREAS) for name in CATALOGUES),
    *((pair, GAPS) for pair in OF_GAPS),
]


@pytest.mark.parametrize(("pair", "name"), CASES, ids=[f"{pair.adql[:60]}-{name}" for pair, name in CASES])
def test_answers_agree(servers: Servers, pair: Pair, name: str) -> None:
    table = servers.sharded.query(pair.adql.format(name)).to_arrow()
    theirs = servers.plain.execute(pair.sql.format(name).encode(), binary=True).fetchall()
    assert not differences(rows_of(table), theirs, ordered=False)
    assert theirs or "WHERE" in pair.adql
