"""Unit, UCD, description, xtype and length follow a column through expressions, and stop where they no longer hold."""

from __future__ import annotations

import pyarrow as pa
import pytest
from astropy.io.votable.ucd import check_ucd
from support.catalogs import resolved

from qserv_py.adql.tree import OutputColumn
from qserv_py.catalog.types import DataType
from qserv_py.czar.tables.czar_tables import uploaded_tables

FLUX = {"unit": "nJy", "ucd": "phot.flux", "description": "Flux in g."}
NJY = {"unit": "nJy"}

OF_OBJECT: list[tuple[str, dict[str, object]]] = [
    # the column itself
    ("gFlux", FLUX),
    ("(gFlux)", FLUX),
    ("gFlux AS g", FLUX),
    ("label", {"length": 12}),
    ("nObs", {}),
    # one of several
    ("COALESCE(gFlux, NULL)", FLUX),
    ("COALESCE(gFlux, 0)", NJY),
    ("COALESCE(gFlux, rFlux)", NJY),
    ("COALESCE(gFlux, ra)", {}),
    ("COALESCE(gFlux, nObs)", {}),
    ("COALESCE(gFlux, 1)", {}),
    ("COALESCE(label, 'none')", {"length": 12}),
    ("COALESCE(label, 'nothing at all')", {"length": 14}),
    ("CASE WHEN nObs > 1 THEN gFlux ELSE rFlux END", NJY),
    ("CASE WHEN nObs > 1 THEN gFlux END", FLUX),
    ("CASE WHEN nObs > 1 THEN gFlux ELSE ra END", {}),
    ("GREATEST(gFlux, rFlux)", NJY),
    ("LEAST(gFlux, rFlux, 0)", NJY),
    ("LEAST(ra, rFlux)", {}),
    # sums
    ("-gFlux", NJY),
    ("gFlux + rFlux", NJY),
    ("gFlux - rFlux", NJY),
    ("gFlux + 0", NJY),
    ("gFlux + 1", {}),
    ("gFlux + ra", {}),
    ("gFlux + nObs", {}),
    # products
    ("gFlux * 2", NJY),
    ("2.5 * PI() * gFlux", NJY),
    ("gFlux / 3631", NJY),
    ("gFlux * rFlux", {"unit": "nJy**2"}),
    ("gFlux * gFlux * gFlux", {"unit": "nJy**3"}),
    ("gFlux / rFlux", {}),
    ("gFlux / rFlux * ra", {"unit": "deg"}),
    ("gFlux / ra", {"unit": "nJy.deg**-1"}),
    ("1 / gFlux", {"unit": "nJy**-1"}),
    ("gFlux * nObs", {}),
    ("MOD(ra, 360)", {"unit": "deg"}),
    ("ra % 360", {"unit": "deg"}),
    ("nObs & 3", {}),
    # functions
    ("ABS(gFlux)", NJY),
    ("ROUND(rFlux, 2)", NJY),
    ("TRUNCATE(rFlux)", NJY),
    ("FLOOR(rFlux)", NJY),
    ("CEILING(rFlux)", NJY),
    ("SQRT(rFlux)", {"unit": "nJy**(1/2)"}),
    ("CBRT(rFlux)", {"unit": "nJy**(1/3)"}),
    ("POWER(rFlux, 2)", {"unit": "nJy**2"}),
    ("POWER(rFlux, nObs)", {}),
    ("SQRT(gFlux * rFlux)", NJY),
    ("LOG10(gFlux)", {}),
    ("RADIANS(ra)", {"unit": "rad"}),
    ("DEGREES(RADIANS(ra))", {"unit": "deg"}),
    ("gFlux * COS(RADIANS(dec))", NJY),
    ("DISTANCE(ra, dec, 1, 2)", {"unit": "deg"}),
    ("AREA(CIRCLE(ra, dec, 1))", {"unit": "deg**2"}),
    ("COORD1(POINT(ra, dec))", {"unit": "deg"}),
    ("scisql_nanojanskyToAbMag(rFlux)", {"unit": "mag"}),
    ("ivo_to_mjd('2026-01-01')", {"unit": "d"}),
    ("LENGTH(label)", {}),
    # conversions
    ("IN_UNIT(gFlux, 'Jy')", FLUX | {"unit": "Jy"}),
    ("IN_UNIT(gFlux * 2, 'Jy')", {"unit": "Jy"}),
    ("CAST(gFlux AS DOUBLE PRECISION)", FLUX),
    ("CAST(gFlux AS INTEGER)", FLUX),
    ("CAST(gFlux AS VARCHAR)", {}),
    ("CAST(gFlux AS VARCHAR(20))", {"length": 20}),
    ("CAST(gFlux AS CHAR(20))", {"length": 20}),
    ("CAST(label AS VARCHAR(5))", {"length": 5}),
    ("CAST(label AS VARCHAR(50))", {"length": 12}),
    ("CAST(label AS VARCHAR)", {"length": 12}),
    ("CAST(label AS CHAR(50))", {"length": 50}),
    ("CAST(label AS CHAR)", {"length": 1}),
    ("CAST(label AS TIMESTAMP)", {"xtype": "timestamp"}),
    ("label || 'abc'", {"length": 15}),
    ("label || CAST(nObs AS VARCHAR)", {}),
    ("'abc'", {"length": 3}),
    ("NULL", {}),
    ("1", {}),
    # sub-queries
    ("(SELECT gFlux FROM Object WHERE objectId = 1)", FLUX),
    ("(SELECT MAX(gFlux) FROM Object)", {"unit": "nJy", "ucd": "phot.flux;stat.max"}),
    # windows
    ("LAG(gFlux) OVER (ORDER BY objectId)", FLUX),
    ("SUM(gFlux) OVER (ORDER BY objectId)", NJY),
    ("COUNT(*) OVER ()", {"ucd": "meta.number"}),
    ("ROW_NUMBER() OVER (ORDER BY objectId)", {}),
]

AGGREGATES: list[tuple[str, dict[str, object]]] = [
    ("COUNT(*)", {"ucd": "meta.number"}),
    ("COUNT(gFlux)", {"ucd": "meta.number"}),
    ("MIN(gFlux)", {"unit": "nJy", "ucd": "phot.flux;stat.min"}),
    ("MAX(gFlux)", {"unit": "nJy", "ucd": "phot.flux;stat.max"}),
    ("MAX(label)", {"length": 12}),
    ("AVG(gFlux)", {"unit": "nJy", "ucd": "phot.flux;stat.mean"}),
    ("AVG(rFlux)", NJY),
    ("SUM(gFlux)", NJY),
    ("MEDIAN(gFlux)", {"unit": "nJy", "ucd": "phot.flux;stat.median"}),
    ("PERCENTILE(gFlux, 0.9)", {"unit": "nJy", "ucd": "stat.percentile;phot.flux"}),
    ("STDDEV(gFlux)", {"unit": "nJy", "ucd": "stat.stdev;phot.flux"}),
    ("VARIANCE(gFlux)", {"unit": "nJy**2", "ucd": "stat.variance;phot.flux"}),
    ("SQRT(VAR_POP(gFlux))", NJY),
    ("MAX(gFlux) - MIN(gFlux)", NJY),
    ("BIT_OR(nObs)", {}),
    ("STRING_AGG(label, ',')", {}),
]

QUERIES: list[tuple[str, dict[str, object]]] = [
    ("SELECT g FROM (SELECT gFlux AS g FROM Object) t", {"name": "g"} | FLUX),
    ("SELECT G FROM (SELECT gFlux AS g FROM Object) t", {"name": "g"} | FLUX),
    ("SELECT 2 * x FROM (SELECT y / 3 AS x FROM (SELECT -gFlux AS y FROM Object) t) u", NJY),
    ("WITH w AS (SELECT gFlux * rFlux AS p FROM Object) SELECT SQRT(p) FROM w", NJY),
    ("SELECT m FROM (SELECT MAX(gFlux) AS m FROM Object) t", {"unit": "nJy", "ucd": "phot.flux;stat.max"}),
    ("SELECT MAX(m) FROM (SELECT MAX(gFlux) AS m FROM Object) t", {"unit": "nJy", "ucd": "phot.flux;stat.max"}),
    ("SELECT gFlux FROM Object UNION SELECT rFlux FROM Object", FLUX),
    ("SELECT gFlux FROM Object EXCEPT SELECT ra FROM Object", FLUX),
    ("SELECT -x FROM (SELECT gFlux AS x FROM Object UNION ALL SELECT 1 FROM Object) t", NJY),
    ("SELECT label FROM Object UNION SELECT band FROM Source", {"length": 12}),
    ("SELECT band FROM Source UNION SELECT label FROM Object", {"length": 12}),
    ("SELECT band FROM Source UNION SELECT kind FROM Truth", {}),
    ("SELECT objectId FROM Object JOIN Source USING (objectId)", {"ucd": "meta.id"}),
    ("SELECT objectId FROM Object NATURAL JOIN Source", {"ucd": "meta.id"}),
    ("SELECT gFlux FROM Object o FULL JOIN (SELECT gFlux FROM Object) p USING (gFlux)", FLUX),
    ("SELECT obsTime FROM Source", {"xtype": "timestamp"}),
    ("SELECT MAX(obsTime) FROM Source", {"xtype": "timestamp"}),
]


def _told(column: OutputColumn) -> dict[str, object]:
    names = ("length", "unit", "ucd", "description", "xtype")
    return {name: getattr(column, name) for name in names if getattr(column, name) not in (None, "")}


@pytest.mark.parametrize(("expression", "expected"), OF_OBJECT, ids=[one for one, _ in OF_OBJECT])
def test_expressions(expression: str, expected: dict[str, object]) -> None:
    assert _told(resolved(f"SELECT {expression} FROM Object").columns[0]) == expected


@pytest.mark.parametrize(("expression", "expected"), AGGREGATES, ids=[one for one, _ in AGGREGATES])
def test_aggregates(expression: str, expected: dict[str, object]) -> None:
    assert _told(resolved(f"SELECT {expression} FROM Object").columns[0]) == expected


@pytest.mark.parametrize(("query", "expected"), QUERIES, ids=[one for one, _ in QUERIES])
def test_queries(query: str, expected: dict[str, object]) -> None:
    column = resolved(query).columns[0]
    assert column.name == expected.get("name", column.name)
    assert _told(column) == {key: value for key, value in expected.items() if key != "name"}


@pytest.mark.parametrize("expected", [expected for _, expected in (*OF_OBJECT, *AGGREGATES, *QUERIES)], ids=str)
def test_every_ucd_is_one(expected: dict[str, object]) -> None:
    ucd = str(expected.get("ucd", ""))
    assert not ucd or check_ucd(ucd, check_controlled_vocabulary=True)


def test_types_of_casts() -> None:
    text = "SELECT CAST(nObs AS CHAR(3)), CAST(nObs AS VARCHAR(3)), CAST(nObs AS NVARCHAR(3)) FROM Object"
    assert [column.datatype for column in resolved(text).columns] == [
        DataType.CHAR,
        DataType.STRING,
        DataType.UNICODE,
    ]


def test_a_char_of_an_uploaded_votable_stays_one_where_it_is_ascii() -> None:
    """Taplint holds the datatype of an uploaded column against that of the answer; readers take char for ASCII."""
    char = {"datatype": "char"}
    values = {"ascii": ["a", None], "other": ["a", "\u00e9"], "none": [None, None], "plain": ["a", "b"]}
    fields = [pa.field(name, pa.string(), metadata=None if name == "plain" else char) for name in values]
    table = pa.table(list(values.values()), schema=pa.schema(fields))
    uploaded = uploaded_tables({"mine": table}).database.table("mine")
    assert [about.datatype.names.votable for about in uploaded.columns if not about.hidden] == [
        "char",
        "unicodeChar",
        "char",
        "unicodeChar",
    ]
