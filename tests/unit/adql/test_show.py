"""SHOW and DESCRIBE: the query of TAP_SCHEMA that each stands for, and what is refused with its place."""

from __future__ import annotations

import pytest
from support.catalogs import with_upload

from qserv_py import errors
from qserv_py.adql.blocks.resolve import resolve
from qserv_py.adql.parse import Mode, parse
from qserv_py.catalog.snapshot import Catalog
from qserv_py.czar.tables.tap_schema import tap_schema_of


@pytest.fixture(scope="module")
def known() -> Catalog:
    catalog = with_upload()
    return tap_schema_of(catalog).added_to(catalog)


def of_columns(table: str, more: str = "") -> str:
    return (
        "SELECT column_name, datatype, arraysize, unit, ucd, description FROM tap_schema.columns"
        f" WHERE table_name = '{table}'{more} ORDER BY column_index"
    )


_TABLES = "SELECT table_name, description FROM tap_schema.tables"
_TABLE_ORDER = " ORDER BY schema_name, table_index"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("SHOW DATABASES", "SELECT schema_name, description FROM tap_schema.schemas ORDER BY schema_index"),
        (
            "show schemas like 'dr_'; ",
            "SELECT schema_name, description FROM tap_schema.schemas"
            " WHERE (schema_name ILIKE 'dr_' OR schema_name ILIKE '\"dr_\"') ORDER BY schema_index",
        ),
        ("SHOW TABLES", _TABLES + _TABLE_ORDER),
        ("SHOW TABLES FROM DR1", _TABLES + " WHERE schema_name IN ('dr1')" + _TABLE_ORDER),
        (
            "SHOW TABLES IN dr1 LIKE 'O''b%'",
            _TABLES + " WHERE schema_name IN ('dr1')"
            " AND (table_name ILIKE '%.O''b%' OR table_name ILIKE '%.\"O''b%\"')" + _TABLE_ORDER,
        ),
        (
            "SHOW TABLES LIKE 'dr1.O%'",
            _TABLES + " WHERE (table_name ILIKE 'dr1.O%' OR table_name ILIKE '\"dr1.O%\"')" + _TABLE_ORDER,
        ),
        (
            "SHOW FULL TABLES",
            "SELECT schema_name, table_name, table_type, utype, description, table_index FROM tap_schema.tables"
            + _TABLE_ORDER,
        ),
        ("SHOW COLUMNS FROM dr1.object", of_columns("dr1.Object")),
        ("SHOW FIELDS IN truth IN dr1", of_columns("dr1.Truth")),
        ('DESCRIBE dr1."Object"', of_columns("dr1.Object")),
        ("DESC `DR1`.`object`", of_columns("dr1.Object")),
        ("DESC Object", of_columns("dr1.Object")),
        (
            "DESCRIBE dr1.Object gFlux",
            of_columns("dr1.Object", " AND (column_name ILIKE 'gFlux' OR column_name ILIKE '\"gFlux\"')"),
        ),
        (
            "-- what there is\nDESCRIBE TABLE dr1.Object '%flux'",
            of_columns("dr1.Object", " AND (column_name ILIKE '%flux' OR column_name ILIKE '\"%flux\"')"),
        ),
        ("SHOW COLUMNS FROM TAP_SCHEMA.keys", of_columns("tap_schema.keys")),
        (
            "SHOW FULL COLUMNS FROM dr2.Star",
            'SELECT column_name, datatype, arraysize, xtype, "size", description, utype, unit, ucd, indexed,'
            " principal, std, column_index FROM tap_schema.columns WHERE table_name = 'dr2.Star'"
            " ORDER BY column_index",
        ),
    ],
)
def test_what_it_stands_for(known: Catalog, written: str, meant: str) -> None:
    ours, theirs = resolve(parse(written), known), resolve(parse(meant), known)
    assert (ours.query, ours.columns) == (theirs.query, theirs.columns)
    assert ours.text == written


@pytest.mark.parametrize(
    ("written", "kind", "match", "hint"),
    [
        ("SHOW", errors.QueryNotSupportedError, "column 5: SHOW is not answered alone", "SHOW DATABASES"),
        ("SHOW CREATE TABLE Object", errors.QueryNotSupportedError, "column 6: SHOW CREATE TABLE", "SHOW DATABASES"),
        ("SHOW PROCESSLIST", errors.QueryNotSupportedError, "SHOW PROCESSLIST is not answered", "SHOW DATABASES"),
        ("SHOW COLUMNS", errors.AdqlSyntaxError, "column 13: expected FROM and a table, found the end", ""),
        ("SHOW COLUMNS FROM", errors.AdqlSyntaxError, "expected a table, found the end", ""),
        ("SHOW COLUMNS FROM 'Object'", errors.AdqlSyntaxError, 'column 19: expected a table, found "Object"', ""),
        ("SHOW COLUMNS FROM dr1.Object IN dr2", errors.AdqlSyntaxError, 'column 30: expected the end, found', ""),
        ("SHOW TABLES FROM ``", errors.AdqlSyntaxError, "column 18: a delimited name is empty", "the name"),
        ("DESCRIBE", errors.AdqlSyntaxError, "column 9: expected a table", ""),
        ("DESCRIBE SELECT 1", errors.QueryNotSupportedError, "column 10: DESCRIBE takes a table", "qserv explain"),
        ("SHOW TABLES FROM nowhere", errors.UnknownTableError, 'column 18: database "nowhere" is not known', "dr1"),
        ("SHOW COLUMNS FROM Objekt", errors.UnknownTableError, 'column 19: table "Objekt" is not known', "Object"),
        ("SHOW COLUMNS FROM Shared", errors.UnknownTableError, 'column 19: table "Shared" is ambiguous', ""),
        ("DESC draft.Draft", errors.QueryNotSupportedError, 'database "draft" is not published', ""),
        ("DESC TAP_UPLOAD.mine", errors.QueryNotSupportedError, "does not describe uploads", "TOP 0 *"),
        ("SHOW TABLES IN tap_upload", errors.QueryNotSupportedError, "does not describe uploads", "TOP 0 *"),
        ("SHOW TABLES WHERE a = 1", errors.AdqlSyntaxError, 'column 13: expected the end, found "WHERE"', "SELECT"),
        ("SHOW TABLES LIKE Obj", errors.AdqlSyntaxError, "expected a pattern", ""),
        (r"SHOW TABLES LIKE 'a\_b'", errors.QueryNotSupportedError, "a pattern has no escapes", "_ stands for"),
        ("SHOW TABLES; SELECT 1", errors.AdqlSyntaxError, "found several", ""),
        ("SHOW TABLES FROM dr1 LIKE 'x", errors.AdqlSyntaxError, "line 1, column 27: a quoted string", ""),
        ("-- a\nSHOW\nTABLES FROM nowhere", errors.UnknownTableError, "line 3, column 13: database", ""),
    ],
)  # fmt: skip
def test_what_is_refused(known: Catalog, written: str, kind: type[errors.AdqlError], match: str, hint: str) -> None:
    with pytest.raises(kind) as caught:
        resolve(parse(written), known)
    assert match in caught.value.render()
    assert hint in caught.value.hint


@pytest.mark.parametrize("written", ["SHOW TABLES", "DESCRIBE dr1.Object", "desc Object"])
def test_strict_mode_says_what_adql_has_instead(written: str) -> None:
    with pytest.raises(errors.AdqlSyntaxError, match="is not ADQL") as caught:
        parse(written, mode=Mode.STRICT)
    assert "tap_schema.tables" in caught.value.hint


def test_without_names_the_grammar_is_checked(known: Catalog) -> None:
    assert parse("SHOW TABLES").may_name("tap_schema")
    assert not parse("SELECT 1 AS x FROM dr1.Object").may_name("tap_schema")
