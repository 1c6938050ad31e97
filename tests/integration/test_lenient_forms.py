"""What lenient mode takes beyond ADQL 2.1, against one plain PostgreSQL that says the same in its own words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.plain import differences
from support.servers import Servers

_KEYS = {"object": "objectid", "source": "sourceid", "visit": "visit", "truth": "truthid"}


@pytest.fixture(scope="module")
def keyed(servers: Servers) -> Iterator[Servers]:
    """Both servers; the plain one knows the primary keys, so it frees columns by them itself."""
    for table, key in _KEYS.items():
        servers.plain.execute(f"ALTER TABLE clustered.{table} ADD CONSTRAINT {table}_key PRIMARY KEY ({key})".encode())
    yield servers
    for table in _KEYS:
        servers.plain.execute(f"ALTER TABLE clustered.{table} DROP CONSTRAINT {table}_key".encode())


def check(servers: Servers, adql: str, sql: str = "", *, ordered: bool = False) -> None:
    """Compare the answers to a query; without ``sql`` the text is the same in both languages."""
    theirs = servers.plain.execute((sql or adql).encode(), binary=True).fetchall()
    table = servers.sharded.query(adql).to_arrow()
    ours = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
    found = differences(ours, [tuple(row) for row in theirs], ordered=ordered)
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
def test_a_key_frees_the_columns_of_its_table(keyed: Servers, text: str) -> None:
    check(keyed, text, ordered="ORDER BY" in text)


@pytest.mark.parametrize(
    ("adql", "sql"),
    [
        (  # SQL:1999 takes a column that equals the key for the key, PostgreSQL does not
            "SELECT s.objectId, o.gFlux, COUNT(*) FROM {from} GROUP BY s.objectId",
            "SELECT s.objectId, o.gFlux, COUNT(*) FROM {from} GROUP BY s.objectId, o.objectId",
        ),
        (
            "SELECT objectId, label, COUNT(*) FROM clustered.Source JOIN clustered.Object USING (objectId)"
            " GROUP BY objectId",
            "SELECT o.objectId, o.label, COUNT(*) FROM {from} GROUP BY o.objectId",
        ),
    ],
)
def test_what_equals_the_key_is_the_key(keyed: Servers, adql: str, sql: str) -> None:
    check(keyed, adql.replace("{from}", _JOINED), sql.replace("{from}", _JOINED))
