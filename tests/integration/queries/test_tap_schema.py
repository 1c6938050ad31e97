"""TAP_SCHEMA: what the standard demands of its rows, joins with it, and that /tables says the same."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest
from support.catalogues import Loaded

import qserv_py
from qserv_py.adql.words import written_name
from qserv_py.czar.cluster import Cluster
from qserv_py.errors import UnknownTableError
from qserv_py.vo.tap.tables import tables_document


@pytest.fixture
def db(cluster: Cluster, field: Loaded) -> Iterator[qserv_py.Connection]:
    with qserv_py.connect(cluster.config.directory) as connection:
        yield connection


def rows(db: qserv_py.Connection, query: str, **further: object) -> list[tuple]:
    table = db.query(query, **further).to_arrow()  # type: ignore[arg-type]
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def test_it_describes_the_catalogue(db: qserv_py.Connection) -> None:
    assert ("field", "Made-up catalogue of the tests.") in rows(
        db, "SELECT schema_name, description FROM TAP_SCHEMA.schemas"
    )
    assert rows(
        db,
        "SELECT table_name, table_index FROM tap_schema.tables WHERE schema_name = 'field' ORDER BY table_index",
    ) == [
        (f"field.{name}", number)
        for number, name in enumerate(["Object", "Source", "Truth", "Pairs", "FarPairs", "Visit"])
    ]
    found = rows(
        db,
        'SELECT column_name, datatype, arraysize, xtype, "size", unit, ucd, indexed, principal, std'
        " FROM tap_schema.columns WHERE table_name = 'field.Object' ORDER BY column_index",
    )
    assert found[0] == ("objectId", "long", None, None, None, None, "meta.id", 1, 1, 0)
    assert found[1] == ("coord_ra", "double", None, None, None, "deg", None, 1, 1, 0)
    assert found[-1] == ("label", "unicodeChar", "*", None, None, None, None, 0, 0, 0)
    assert "healpix29" not in {row[0] for row in found}
    [seen_at] = rows(
        db, "SELECT DISTINCT datatype, arraysize, xtype FROM tap_schema.columns WHERE column_name = 'seenAt'"
    )
    assert seen_at == ("char", "*", "timestamp")


def test_show_and_describe_answer_from_it(db: qserv_py.Connection) -> None:
    names = ["Object", "Source", "Truth", "Pairs", "FarPairs", "Visit"]
    assert [row[0] for row in rows(db, "SHOW TABLES FROM field")] == [f"field.{name}" for name in names]
    assert [row[0] for row in rows(db, "SHOW TABLES IN FIELD LIKE '%pairs'")] == ["field.Pairs", "field.FarPairs"]
    found = rows(db, "DESCRIBE field.Object")
    assert found[0] == ("objectId", "long", None, None, "meta.id", None)
    assert found[1] == ("coord_ra", "double", None, "deg", None, None)
    assert rows(db, "SHOW COLUMNS FROM Object IN field LIKE 'coord%'") == found[1:3]
    assert [row[0] for row in rows(db, "SHOW DATABASES LIKE 'tap%'")] == ["tap_schema"]
    assert len(rows(db, "SHOW TABLES", maxrec=2)) == 2


def test_keys_can_be_followed(db: qserv_py.Connection) -> None:
    found = rows(
        db,
        "SELECT k.from_table, c.from_column, k.target_table, c.target_column FROM tap_schema.keys k"
        " JOIN tap_schema.key_columns c ON k.key_id = c.key_id WHERE k.from_table LIKE 'field.%' ORDER BY 1, 2",
    )
    assert ("field.Source", "objectId", "field.Object", "objectId") in found
    assert [row[1:] for row in found if row[0] == "field.Pairs"] == [
        ("objectId", "field.Object", "objectId"),
        ("truthId", "field.Truth", "truthId"),
    ]


def test_it_describes_itself_and_has_no_gaps(db: qserv_py.Connection) -> None:
    own = rows(
        db,
        "SELECT t.table_name, COUNT(*) FROM tap_schema.tables t JOIN tap_schema.columns c"
        " ON t.table_name = c.table_name WHERE t.schema_name = 'tap_schema' GROUP BY t.table_name ORDER BY 1",
    )
    assert own == [
        ("tap_schema.columns", 14),
        ("tap_schema.key_columns", 3),
        ("tap_schema.keys", 5),
        ("tap_schema.schemas", 4),
        ("tap_schema.tables", 6),
    ]
    columns: dict[str, list[str]] = {}
    for table, column in rows(db, "SELECT table_name, column_name FROM tap_schema.columns"):
        columns.setdefault(table, []).append(column)
    for table, names in columns.items():  # of all databases that tests have put into the session's cluster
        assert db.query(f"SELECT TOP 1 {', '.join(names)} FROM {table}").to_arrow().num_rows <= 1
    for table, needed in {
        "schemas": ["schema_name"],
        "tables": ["schema_name", "table_name", "table_type"],
        "columns": ["table_name", "column_name", "datatype", "indexed", "principal", "std"],
        "keys": ["key_id", "from_table", "target_table"],
        "key_columns": ["key_id", "from_column", "target_column"],
    }.items():
        nothing = " OR ".join(f"{column} IS NULL" for column in needed)
        assert rows(db, f"SELECT COUNT(*) FROM tap_schema.{table} WHERE {nothing}") == [(0,)]


def test_it_joins_with_other_tables(db: qserv_py.Connection) -> None:
    mine = pa.table({"name": ["field.Object", "field.None"]})
    found = rows(
        db,
        "SELECT u.name, t.table_index FROM TAP_UPLOAD.u u LEFT JOIN tap_schema.tables t ON t.table_name = u.name"
        " ORDER BY 1",
        uploads={"u": mine},
    )
    assert found == [("field.None", None), ("field.Object", 0)]
    query = "SELECT COUNT(*) FROM field.Object o, tap_schema.columns c WHERE c.column_index = o.k AND o.k = 1"
    assert rows(db, query)[0][0] > 0


def test_bare_names_are_the_catalogues(db: qserv_py.Connection) -> None:
    with pytest.raises(UnknownTableError, match='table "columns" is not known'):
        db.query("SELECT * FROM columns")


def test_tables_say_the_same(cluster: Cluster, db: qserv_py.Connection) -> None:
    from xml.etree import ElementTree

    root = ElementTree.fromstring(tables_document(db._session.catalog(), ""))
    listed = {
        (table.findtext("name"), column.findtext("name"))
        for table in root.iter("table")
        for column in table.iter("column")
    }
    assert listed == set(rows(db, "SELECT table_name, column_name FROM tap_schema.columns"))
    assert ("tap_schema.columns", '"size"') in listed


def test_names_that_need_quotes() -> None:
    assert [written_name(name) for name in ("ra", "size", "x-y", 'a"b', "_x", "Größe")] == [
        "ra",
        '"size"',
        '"x-y"',
        '"a""b"',
        '"_x"',
        '"Größe"',
    ]
