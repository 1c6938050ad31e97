"""What lenient mode takes beyond ADQL 2.1, against one plain PostgreSQL that says the same in its own words."""

from __future__ import annotations

import pytest
from support.plain import differences, rows_of
from support.servers import Servers


def check(servers: Servers, adql: str, sql: str = "", *, ordered: bool = False) -> None:
    """Compare the answers to a query; without ``sql`` the text is the same in both languages."""
    theirs = servers.plain.execute((sql or adql).encode(), binary=True).fetchall()
    table = servers.sharded.query(adql).to_arrow()
    found = differences(rows_of(table), theirs, ordered=ordered)
    assert theirs, f"no rows, no comparison: {adql}"
    assert not found, f"{found}\nADQL: {adql}"


_JOINED = "clustered.Object o JOIN clustered.Source s ON s.objectId = o.objectId"


@pytest.mark.parametrize(
    "text",
    [
        f"SELECT o.objectId, o.coord_ra, AVG(s.flux) FROM {_JOINED} GROUP BY o.objectId",
        f"SELECT o.coord_ra + o.coord_dec AS a, o.label AS b, COUNT(*) FROM {_JOINED} GROUP BY o.objectId",
        f"SELECT COUNT(s.flux) FROM {_JOINED} GROUP BY o.objectId"
        " HAVING o.coord_ra > 45 AND MAX(s.flux) > o.gFlux / 100",
        f"SELECT o.n, MAX(s.visit) AS m FROM {_JOINED} GROUP BY o.objectId ORDER BY o.gFlux, o.objectId LIMIT 9",
        f"SELECT o.isPrimary, o.k, COUNT(DISTINCT s.band) FROM {_JOINED} GROUP BY o.objectId",
        # groups that the merge puts together
        "SELECT v.visit, v.seeing, v.site, SUM(s.flux) FROM clustered.Source s JOIN clustered.Visit v"
        " ON v.visit = s.visit GROUP BY v.visit",
        "SELECT v.site, COUNT(DISTINCT s.objectId) AS n FROM clustered.Source s JOIN clustered.Visit v"
        " ON v.visit = s.visit GROUP BY v.visit HAVING v.seeing IS NULL OR v.seeing > 0.5",
        # an outer join makes the whole row NULL
        "SELECT o.objectId, o.gFlux, COUNT(*) FROM clustered.Source s LEFT JOIN clustered.Object o"
        " ON o.objectId = s.objectId AND s.band = 'r' GROUP BY o.objectId",
        "SELECT o.label, COUNT(s.flux) FROM clustered.Object o LEFT JOIN clustered.Source s"
        " ON o.objectId = s.objectId AND s.band = 'r' GROUP BY o.objectId",
        "SELECT o.label, v.site, COUNT(*) FROM clustered.Object o FULL JOIN clustered.Visit v"
        " ON v.visit = o.n GROUP BY o.objectId, v.visit",
        # inside other queries
        "SELECT t.a, COUNT(*) FROM (SELECT o.objectId, o.n AS a, COUNT(*) AS b FROM clustered.Object o JOIN"
        " clustered.Source s ON s.objectId = o.objectId GROUP BY o.objectId) AS t GROUP BY t.a",
        "SELECT p.label FROM clustered.Object p WHERE p.n IN (SELECT o.n FROM clustered.Object o JOIN"
        " clustered.Source s ON s.objectId = o.objectId WHERE o.n < 40 GROUP BY o.objectId HAVING COUNT(*) > 2)",
        f"SELECT o.objectId, (SELECT COUNT(*) FROM clustered.Visit v WHERE v.visit < o.n) AS c FROM {_JOINED}"
        " GROUP BY o.objectId",
    ],
)
def test_a_key_frees_the_columns_of_its_table(servers: Servers, text: str) -> None:
    check(servers, text, ordered="ORDER BY" in text)


@pytest.mark.parametrize(
    ("adql", "sql"),
    [
        (  # SQL:1999 takes a column that equals the key for the key, PostgreSQL does not
            "SELECT s.objectId, o.gFlux, COUNT(*) FROM {from} GROUP BY s.objectId",
            "SELECT s.objectId, o.gFlux, COUNT(*) FROM {from} GROUP BY s.objectId, o.objectId",
        ),
        (
            "SELECT s.objectId, o.gFlux, o.objectId AS id, COUNT(*) FROM gaps.Source s LEFT JOIN gaps.Object o"
            " ON o.objectId = s.objectId AND o.k > 0 GROUP BY s.objectId",
            "SELECT s.objectId, o.gFlux, o.objectId, COUNT(*) FROM gaps.Source s LEFT JOIN gaps.Object o"
            " ON o.objectId = s.objectId AND o.k > 0 GROUP BY s.objectId, o.objectId, o.gFlux",
        ),
        (
            "SELECT objectId, label, COUNT(*) FROM clustered.Source JOIN clustered.Object USING (objectId)"
            " GROUP BY objectId",
            "SELECT o.objectId, o.label, COUNT(*) FROM {from} GROUP BY o.objectId",
        ),
    ],
)
def test_what_equals_the_key_is_the_key(servers: Servers, adql: str, sql: str) -> None:
    check(servers, adql.replace("{from}", _JOINED), sql.replace("{from}", _JOINED))


_FLAG = "CAST(isPrimary AS integer)"


@pytest.mark.parametrize(
    ("adql", "sql"),
    [
        (condition, f"{_FLAG} {meant}")
        for condition, meant in [
            ("isPrimary", "= 1"),
            ("NOT isPrimary", "= 0"),
            ("isPrimary = 1", "= 1"),
            ("0 = isPrimary", "= 0"),
            ("isPrimary <> 0", "<> 0"),
            ("isPrimary != 1", "<> 1"),
            ("isPrimary > 0", "> 0"),
            ("isPrimary < 1.0", "< 1"),
            ("isPrimary >= 0", ">= 0"),
            ("isPrimary = 'true'", "= 1"),
            ("isPrimary <> ' F '", "<> 0"),
            ("isPrimary IN (0, 1)", "IN (0, 1)"),
            ("isPrimary NOT IN (0)", "NOT IN (0)"),
            ("isPrimary IN ('true', FALSE)", "IN (0, 1)"),
            ("isPrimary IN (0, k)", "IN (0, k)"),
            ("isPrimary BETWEEN 1 AND 3", "BETWEEN 1 AND 3"),
            ("isPrimary < k", "< k"),
            ("k - 1 > isPrimary", "< k - 1"),
            ("gFlux > isPrimary", "< gFlux"),
            ("isPrimary IN (SELECT visit FROM clustered.Visit)", "IN (SELECT visit FROM clustered.visit)"),
            ("(isPrimary) = (k > 0)", "= CAST(k > 0 AS integer)"),
            ("isPrimary = 1 AND NOT k > 0", "= 1 AND k <= 0"),
            ("CASE isPrimary WHEN 1 THEN k ELSE 5 END > 1", "= 1 AND k > 1 OR NOT coalesce(isPrimary, FALSE)"),
            ("isPrimary + (k > 0) = 2", "= 1 AND k > 0"),
            ("-isPrimary < 0", "> 0"),
            ("isPrimary | (k > 0) = 1", "= 1 OR k > 0 AND isPrimary IS NOT NULL"),
            ("COALESCE(isPrimary, 0) = 0", "= 0 OR isPrimary IS NULL"),
        ]
    ],
)
def test_what_is_true_counts_one(servers: Servers, adql: str, sql: str) -> None:
    text = "SELECT objectId FROM clustered.Object WHERE "
    check(servers, text + adql, text + sql)


@pytest.mark.parametrize(
    "adql",
    [
        "SELECT n FROM {o} UNION SELECT {f} FROM {o}",
        "SELECT {f} FROM {o} UNION ALL SELECT gFlux FROM {o}",
        "SELECT n FROM {o} INTERSECT SELECT {p} FROM {o}",
        "SELECT gFlux FROM {o} EXCEPT (SELECT {p} FROM {o} UNION SELECT k FROM {o} WHERE k < 9)",
        "SELECT objectId FROM {o} WHERE k IN (SELECT {f} FROM {o} WHERE n < 50)",
        "SELECT objectId FROM {o} WHERE n NOT IN (SELECT {p} FROM {o})",
        "SELECT objectId FROM {o} WHERE k IN (SELECT {f} FROM {o} WHERE n < 9 UNION SELECT {p} FROM {o})",
    ],
)
def test_what_is_true_stands_beside_numbers_of_another_query(servers: Servers, adql: str) -> None:
    o = "clustered.Object"
    check(servers, adql.format(o=o, f="isPrimary", p="k > 1"), adql.format(o=o, f=_FLAG, p="CAST(k > 1 AS integer)"))


@pytest.mark.parametrize("groups", ["", " GROUP BY {k}", " GROUP BY {id}", " GROUP BY {k} HAVING SUM({f}) > 2"])
def test_what_is_true_is_summed(servers: Servers, groups: str) -> None:
    """In chunks, by the key, and where the merge puts partial answers together or has the rows."""
    adql = "SELECT SUM({f}), AVG({f}), SUM(k > 0), MIN({f}), MAX({f}), STDDEV_POP({f}) FROM clustered.Object" + groups
    names = {"k": "k", "id": "objectId"}
    sql = (
        "SELECT SUM({f}), AVG({f})::float8, SUM((k > 0)::int), MIN({f})::boolean, MAX({f})::boolean,"
        " STDDEV_POP({f})::float8 FROM clustered.Object"
    ) + groups
    check(servers, adql.format(f="isPrimary", **names), sql.format(f=_FLAG, **names))
    with_rows = adql.replace("STDDEV_POP({f})", "COUNT(DISTINCT n)").format(f="isPrimary", **names)
    check(servers, with_rows, sql.replace("STDDEV_POP({f})::float8", "COUNT(DISTINCT n)").format(f=_FLAG, **names))


def test_sums_of_what_is_true_in_windows_joins_and_sub_queries(servers: Servers) -> None:
    for adql in (
        "SELECT objectId, SUM({f}) OVER (PARTITION BY k ORDER BY objectId) FROM clustered.Object",
        "SELECT s.band, SUM({f}) FROM clustered.Object o JOIN clustered.Source s ON s.objectId = o.objectId"
        " GROUP BY s.band",
        "SELECT objectId, {m} OVER (PARTITION BY k) FROM clustered.Object",
        "SELECT o.objectId, o.label, RANK() OVER (ORDER BY COUNT(*)) FROM clustered.Object o JOIN clustered.Source s"
        " ON s.objectId = o.objectId GROUP BY o.objectId{l}",
        "SELECT n FROM clustered.Object p WHERE n > (SELECT AVG({f}) FROM clustered.Object)",
        "SELECT SUM(b + {f2}) FROM (SELECT k AS a, SUM({f}) AS b, {m} AS c FROM clustered.Object GROUP BY k) AS t",
    ):
        ours = adql.format(f="isPrimary", f2="c", m="MAX(isPrimary)", l="")
        theirs = adql.format(f=_FLAG, f2="c::int", m="BOOL_OR(isPrimary)", l=", o.label")
        check(servers, ours, theirs.replace("SUM(b", "SUM((b)::int"))


@pytest.mark.parametrize(
    ("adql", "sql"),
    [
        ("CONTAINS(POINT(coord_ra, coord_dec), CIRCLE({0}))", "oracle.separation(coord_ra, coord_dec, {0}) <= 0.4"),
        ("scisql_s2PtInCircle(coord_ra, coord_dec, {0})", "oracle.separation(coord_ra, coord_dec, {0}) <= 0.4"),
        ("qserv_areaspec_circle({0})", "oracle.separation(coord_ra, coord_dec, {0}) <= 0.4"),
        ("ivo_nocasematch(label, 'B%')", "label ILIKE 'b%'"),
    ],
)
@pytest.mark.parametrize("around", ["{0}", "NOT {0}", "{0} OR k > 1", "NOT ({0} AND isPrimary)"])
def test_what_answers_one_is_a_condition(servers: Servers, adql: str, sql: str, around: str) -> None:
    place = servers.plain.execute("SELECT coord_ra, coord_dec FROM clustered.object LIMIT 1").fetchone()
    assert place is not None
    at = f"{place[0]!r}, {place[1]!r}"
    text = "SELECT objectId FROM clustered.Object WHERE " + around
    radius = "" if "nocase" in adql else ", 0.4"
    check(servers, text.format(adql.format(at + radius)), text.format(f"({sql.format(at)})"))


@pytest.mark.parametrize(
    ("adql", "sql"),
    [
        (
            "SELECT k, AVG(gFlux) AS m, COUNT(*) AS c FROM clustered.Object GROUP BY k HAVING m > 3 AND c > 1",
            "SELECT k, AVG(gFlux), COUNT(*) FROM clustered.Object GROUP BY k HAVING AVG(gFlux) > 3 AND COUNT(*) > 1",
        ),
        (  # the column wins
            "SELECT k + 1 AS n, MIN(n) AS k FROM clustered.Object GROUP BY k HAVING k > 1 AND MAX(n) > 3",
            "SELECT k + 1, MIN(n) FROM clustered.Object GROUP BY k HAVING k > 1 AND MAX(n) > 3",
        ),
        (
            "SELECT objectId, MAX(flux) AS top FROM clustered.Source GROUP BY objectId HAVING top IS NOT NULL",
            "SELECT objectId, MAX(flux) FROM clustered.Source GROUP BY objectId HAVING MAX(flux) IS NOT NULL",
        ),
        (
            "SELECT ABS(n) AS a, COUNT(*) AS c FROM clustered.Object GROUP BY a, a / 2 ORDER BY a / 3 DESC, -a, c + 1",
            "SELECT ABS(n), COUNT(*) FROM clustered.Object GROUP BY ABS(n) ORDER BY ABS(n) / 3 DESC",
        ),
        (
            "SELECT c FROM (SELECT k, SUM(n) AS c FROM clustered.Object GROUP BY k HAVING c > 3) AS t",
            "SELECT SUM(n) FROM clustered.Object GROUP BY k HAVING SUM(n) > 3",
        ),
        (
            "SELECT `O`.`OBJECTID`, `o`.n AS `select` FROM `clustered`.`Object` AS `o` WHERE `k` > 1 && n MOD 2 = 1",
            "SELECT objectId, n FROM clustered.Object WHERE k > 1 AND mod(n, 2) = 1",
        ),
        (
            "SELECT n DIV 3 AS d, COUNT(*) FROM clustered.Object GROUP BY d",
            "SELECT div(n, 3)::bigint, COUNT(*) FROM clustered.Object GROUP BY div(n, 3)",
        ),
        (
            "SELECT HEX(SUM(n)), SUM(k) DIV COUNT(*), MAX(objectId) LIKE '%1' FROM clustered.Object GROUP BY k",
            "SELECT upper(to_hex(SUM(n))), SUM(k) / COUNT(*), MAX(objectId)::text LIKE '%1' FROM clustered.Object"
            " GROUP BY k",
        ),
        (
            "SELECT o.objectId, v.visit FROM clustered.Object o JOIN clustered.Visit v ON v.visit <=> o.n",
            "SELECT o.objectId, v.visit FROM clustered.Object o JOIN clustered.Visit v"
            " ON v.visit IS NOT DISTINCT FROM o.n",
        ),
        (
            "SELECT o.objectId, s.flux FROM clustered.Object o JOIN clustered.Source s ON s.objectId <=> o.objectId"
            " WHERE o.k <=> 2",
            "SELECT o.objectId, s.flux FROM clustered.Object o JOIN clustered.Source s ON s.objectId = o.objectId"
            " WHERE o.k = 2",
        ),
        (
            "SELECT s.sourceId FROM clustered.Source s LEFT JOIN clustered.Object o ON o.objectId = s.objectId"
            " AND o.k IS NOT DISTINCT FROM 2 WHERE o.objectId <=> NULL OR s.flux IS DISTINCT FROM o.gFlux",
            "SELECT s.sourceId FROM clustered.Source s LEFT JOIN clustered.Object o ON o.objectId = s.objectId"
            " AND o.k = 2 WHERE o.objectId IS NULL OR s.flux IS DISTINCT FROM o.gFlux",
        ),
        (
            "SELECT o.n, p.n FROM gaps.Object o LEFT JOIN gaps.Source s ON s.objectId <=> o.objectId"
            " LEFT JOIN gaps.Object p ON p.n <=> s.visit && p.k = 1",
            "SELECT o.n, p.n FROM gaps.Object o LEFT JOIN gaps.Source s ON s.objectId = o.objectId"
            " LEFT JOIN gaps.Object p ON p.n IS NOT DISTINCT FROM s.visit AND p.k = 1",
        ),
    ],
)
def test_other_words_of_mysql(servers: Servers, adql: str, sql: str) -> None:
    check(servers, adql, sql)


def test_types_of_what_mysql_adds(servers: Servers) -> None:
    text = "SELECT n DIV 2, n MOD 2, HEX(n), n <=> 1, SUM(isPrimary), MAX(isPrimary) FROM clustered.Object GROUP BY n"
    found = servers.sharded.query(text).to_arrow()
    assert [str(kind) for kind in found.schema.types] == ["int64", "int32", "string", "bool", "int64", "bool"]


@pytest.mark.parametrize(
    "text",
    [
        # inside the chunks
        "SELECT o.objectId IN (SELECT s.objectId FROM clustered.Source s WHERE s.flux > 100) AS x, COUNT(*)"
        " FROM clustered.Object o GROUP BY x",
        "SELECT (SELECT MAX(s.visit) FROM clustered.Source s WHERE s.objectId = o.objectId) AS x, COUNT(*)"
        " FROM clustered.Object o GROUP BY x",
        # before them
        "SELECT n IN (SELECT p.k FROM clustered.Object p) AS x, COUNT(*) FROM clustered.Object GROUP BY x",
        "SELECT CASE WHEN n > (SELECT AVG(p.k) FROM clustered.Object p) THEN 'a' END AS x, COUNT(DISTINCT k)"
        " FROM clustered.Object GROUP BY 1",
        # in the merge engine
        "SELECT (SELECT COUNT(*) FROM clustered.Object p WHERE p.n = o.k) AS x, COUNT(*) FROM clustered.Object o"
        " GROUP BY x",
        "SELECT (SELECT COUNT(*) FROM clustered.Object p WHERE p.n = o.k AND p.k IN (SELECT q.n FROM clustered.Object"
        " q)) AS x, COUNT(*) FROM clustered.Object o GROUP BY x",
    ],
)
def test_groups_by_the_name_of_what_a_sub_query_answers(servers: Servers, text: str) -> None:
    check(servers, text)


def test_groups_by_the_name_of_a_region(servers: Servers) -> None:
    check(
        servers,
        "SELECT qserv_areaspec_box(44, 44, 46, 46) AS x, COUNT(*) FROM clustered.Source GROUP BY x",
        "SELECT coord_ra BETWEEN 44 AND 46 AND coord_dec BETWEEN 44 AND 46 AS x, COUNT(*) FROM clustered.Source"
        " JOIN clustered.Object USING (objectId) GROUP BY x",
    )
