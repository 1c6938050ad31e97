"""``/tables``: the tables as VODataService 1.1 writes them, whole, in short, or one.

Astroquery's ``load_tables()`` cannot do without an attribute ``esatapplus:flags`` of each column, which the schema of
VODataService does not allow: clients that send neither Accept nor User-Agent get it, as astroquery is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from qserv_py.adql.words import written_name, written_table
from qserv_py.catalog.model import Column, Database, DatabaseState, Table
from qserv_py.catalog.snapshot import Catalog
from qserv_py.catalog.types import DataType
from qserv_py.czar.tables.tap_schema import is_indexed, references_of, written_column
from qserv_py.errors import NotFoundError
from qserv_py.vo.http.xml import XSI, document, element

_NAMESPACES = {
    "xmlns:vosi": "http://www.ivoa.net/xml/VOSITables/v1.0",
    "xmlns:vs": "http://www.ivoa.net/xml/VODataService/v1.1",
    **XSI,
}


def tables_document(catalog: Catalog, _base: str) -> bytes:
    """Return all tables with their columns."""
    return document(_tableset(catalog, columns=True))


def astroquery_tables_document(catalog: Catalog, _base: str) -> bytes:
    """Return all tables with their columns and the attribute that astroquery wants."""
    return document(with_flags(_tableset(catalog, columns=True)))


def with_flags(root: Element) -> Element:
    """Give each column the attribute that astroquery wants."""
    root.attrib["xmlns:esatapplus"] = "http://esa.int/xml/EsaTapPlus"
    for column in root.iter("column"):
        column.attrib["esatapplus:flags"] = "0"
    return root


def table_list_document(catalog: Catalog, _base: str) -> bytes:
    """Return all tables without their columns."""
    return document(_tableset(catalog, columns=False))


def table_document(catalog: Catalog, name: str) -> Element:
    """Return one table; NotFoundError if there is none of this name."""
    for database in _published(catalog):
        for table in database.tables:
            if name.lower() in {table.qualified.lower(), written_table(table).lower()}:
                return _table("vosi:table", database, table, columns=True, attributes=_NAMESPACES)
    raise NotFoundError(f'there is no table "{name[:80]}"', hint="/tables lists them.")


def chosen_tables_document(catalog: Catalog, names: str) -> Element:
    """Return those tables whose names stand in a list, between commas: what astroquery asks for."""
    wanted = {name.strip().lower() for name in names.split(",")}
    root = _tableset(catalog, columns=True)
    for schema in root.findall("schema"):
        for table in schema.findall("table"):
            if (table.findtext("name") or "").lower() not in wanted:
                schema.remove(table)
        if schema.find("table") is None:
            root.remove(schema)
    return root


def _published(catalog: Catalog) -> Iterator[Database]:
    return (database for database in catalog.databases if database.state is DatabaseState.PUBLISHED)


def _tableset(catalog: Catalog, *, columns: bool) -> Element:
    return element("vosi:tableset", *schema_elements(catalog, columns=columns), attributes=_NAMESPACES)


def schema_elements(catalog: Catalog, *, columns: bool) -> Iterator[Element]:
    """Return the ``schema`` element of each published database."""
    for database in _published(catalog):
        yield element(
            "schema",
            element("name", written_name(database.name)),
            _described(database.description),
            *(_table("table", database, table, columns=columns) for table in database.tables),
        )


def _table(
    tag: str, database: Database, table: Table, *, columns: bool, attributes: dict[str, str] | None = None
) -> Element:
    shown = [column for column in table.columns if not column.hidden] if columns else []
    return element(
        tag,
        element("name", written_table(table)),
        _described(table.description),
        element("utype", table.utype) if table.utype else None,
        *(_column(table, column) for column in shown),
        *(_foreign_keys(database, table) if columns else ()),
        attributes={"type": "table", **(attributes or {})},
    )


def _described(text: str) -> Element | None:
    return element("description", text) if text else None


def _column(table: Table, column: Column) -> Element:
    flags = [flag for flag, holds in _flags(table, column) if holds]
    return element(
        "column",
        element("name", written_column(table, column)),
        _described(column.description),
        element("unit", column.unit) if column.unit else None,
        element("ucd", column.ucd) if column.ucd else None,
        element("utype", column.utype) if column.utype else None,
        _data_type(column),
        *(element("flag", flag) for flag in flags),
    )


def _flags(table: Table, column: Column) -> tuple[tuple[str, bool], ...]:
    return (
        ("indexed", is_indexed(table, column)),
        ("primary", table.primary_key == (column.name,)),
        ("nullable", column.nullable),
    )


def _data_type(column: Column) -> Element:
    kind = column.datatype
    attributes = {"xsi:type": "vs:VOTableType"}
    if kind.is_text or kind in {DataType.TIMESTAMP, DataType.BINARY}:
        attributes["arraysize"] = "*"
    xtype = "timestamp" if kind is DataType.TIMESTAMP else column.xtype
    if xtype:
        attributes["extendedType"] = xtype
    return element("dataType", kind.names.votable, attributes=attributes)


def _foreign_keys(database: Database, table: Table) -> Iterator[Element]:
    """Yield what columns of a table refer to."""
    for column, target, target_column in references_of(database, table):
        start = written_column(table, table.column(column))
        end = written_column(target, target.column(target_column))
        yield element(
            "foreignKey",
            element("targetTable", written_table(target)),
            element("fkColumn", element("fromColumn", start), element("targetColumn", end)),
        )
