"""Serves a table as ``ivoa.ObsCore`` when the operator names it in ``settings.yaml``.

Nothing is copied: the database ``ivoa`` shows the table under another name, with the rows of the same snapshot, and
whoever may not read its database does not see it. Where the standard says what a column means, it is served so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import pyarrow as pa

from qserv_py.catalog.model import Column, Database, DatabaseState, DirectorTable, RefTable, Table
from qserv_py.catalog.snapshot import Catalog, Snapshot
from qserv_py.czar.obscore.standard import (
    COLUMNS,
    DESCRIPTION,
    MANDATORY,
    OBSCORE_DATABASE,
    OBSCORE_TABLE,
    OBSCORE_UTYPE,
)
from qserv_py.errors import ConfigError
from qserv_py.hints import did_you_mean

MAY_BE_ABSENT = frozenset({
    "access_estsize", "em_res_power", "em_xel", "pol_states", "pol_xel", "s_resolution", "s_xel1", "s_xel2",
    "t_resolution", "t_xel",
})  # fmt: skip
"""Mandatory columns that are NULL in every row when the table has none: sizes, resolutions and polarisation."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ShownTable:
    """A table that the catalogue shows a second time, in a database of another name."""

    database: Database
    rows: Mapping[str, pa.Table] = field(default_factory=lambda: MappingProxyType({}))
    """Empty: the czar holds no rows of this database."""

    def added_to(self, catalog: Catalog) -> Catalog:
        """Return a catalogue with this database, too; its chunks are those of the database that it is shown from."""
        versions = {**catalog.versions, self.database.name: catalog.versions[self.database.shown_from]}
        return replace(catalog, databases=(*catalog.databases, self.database), versions=MappingProxyType(versions))


def brought_obscore(catalog: Catalog, name: str) -> ShownTable | None:
    """Return a table as ``ivoa.ObsCore``, or None while its database is not there or not published.

    Parameters
    ----------
    name
        ``DATABASE.TABLE``, exactly or in another case.

    Raises
    ------
    ConfigError
        If the database has no such table, or the table does not follow ObsCore; names the columns.
    """
    database_name, _, table_name = name.partition(".")
    found = catalog.find_databases(database_name, exact=True) or catalog.find_databases(database_name, exact=False)
    known = [database for database in found if database.name in catalog.published]
    if not known:
        return None
    [database, *_] = known
    tables = database.find_tables(table_name, exact=True) or database.find_tables(table_name, exact=False)
    if not tables:
        names = [table.name for table in database.tables]
        raise ConfigError(
            f'settings.yaml names "{name}" as obscore; database "{database.name}" has no such table',
            hint=did_you_mean(table_name, names) or f"Its tables are {', '.join(names[:10])}.",
        )
    table = _as_obscore(tables[0])
    return ShownTable(
        database=Database(
            name=OBSCORE_DATABASE,
            physical=database.physical,
            family=database.family,
            tables=(table,),
            state=DatabaseState.PUBLISHED,
            description=DESCRIPTION,
            shown_from=database.name,
        )
    )


def shown_snapshot(shown: Database, source: Database, snapshot: Snapshot) -> Snapshot:
    """Return the snapshot of a database that shows tables of another one: the snapshot of these tables, renamed."""
    names = {table.physical: table.name for table in source.tables}
    tables = {table.name: snapshot.tables[names[table.physical]] for table in shown.tables}
    return Snapshot(number=snapshot.number, tables=MappingProxyType(tables))


def _as_obscore(table: Table) -> Table:
    """Return a table by the name and with the columns of ObsCore."""
    refused = f'"{table.qualified}" cannot be ivoa.ObsCore, as settings.yaml says: '
    if not isinstance(table, DirectorTable | RefTable):
        raise ConfigError(f"{refused}it is a {table.kind} table", hint="Load it as a ref or a director table.")
    standard = {column.name: column for column in COLUMNS}
    chosen = {name: column for name in standard if (column := _column(table, name)) is not None}
    missing = [name for name in MANDATORY if name not in chosen and name not in MAY_BE_ABSENT]
    if missing:
        raise ConfigError(
            f"{refused}it has no {', '.join(missing)}",
            hint="Columns that are always NULL need no values in the files, but a place in the schema.",
        )
    problems = [problem for name, own in chosen.items() if (problem := _problem(own, standard[name]))]
    if problems:
        raise ConfigError(refused + problems[0], detail="; ".join(problems[1:]))
    served = {own.name: _served(own, standard[name]) for name, own in chosen.items()}
    columns = [served.get(column.name, column) for column in table.columns]
    absent = [replace(standard[name], absent=True) for name in MANDATORY if name not in chosen]
    hidden = [column for column in columns if column.hidden]
    return replace(
        table,
        database=OBSCORE_DATABASE,
        name=OBSCORE_TABLE,
        columns=(*(column for column in columns if not column.hidden), *absent, *hidden),
        utype=OBSCORE_UTYPE,
    )


def _column(table: Table, name: str) -> Column | None:
    found = table.find_columns(name, exact=True) or table.find_columns(name, exact=False)
    return found[0] if found else None


def _problem(own: Column, standard: Column) -> str:
    """Return how a column contradicts the standard, as the end of a sentence; or nothing."""
    kinds = (own.datatype, standard.datatype)
    alike = all(kind.is_text for kind in kinds) or all(kind.is_numeric for kind in kinds)
    if not alike or (own.datatype.is_numeric and standard.datatype.is_integer and not own.datatype.is_integer):
        return f'its column "{own.name}" is {own.datatype}, not {standard.datatype}'
    if own.unit and own.unit != standard.unit:
        return f'its column "{own.name}" is in "{own.unit}", not in "{standard.unit}"'
    return ""


def _served(own: Column, standard: Column) -> Column:
    """Return a column as ObsCore has it: its meaning is the standard's, its description its own."""
    return replace(
        own,
        unit=standard.unit,
        ucd=standard.ucd if standard.utype else own.ucd or standard.ucd,
        utype=standard.utype,
        xtype=standard.xtype or own.xtype,
        description=own.description or standard.description,
    )
