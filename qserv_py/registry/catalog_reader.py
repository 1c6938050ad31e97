"""Reading the catalogue: the registry's rows become the frozen descriptions of ``qserv_py.catalog``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from psycopg import IsolationLevel

from qserv_py.catalog.grants import Grantee, GranteeKind
from qserv_py.catalog.model import (
    ChildTable,
    Column,
    Database,
    DatabaseState,
    DirectorTable,
    Family,
    MatchTable,
    Orphans,
    Position,
    PositionFormat,
    RefTable,
    Table,
    TableKind,
)
from qserv_py.catalog.pieces import DatabasePiece, Description
from qserv_py.catalog.snapshot import DatabaseVersion, Worker
from qserv_py.catalog.types import DataType
from qserv_py.registry.statements import Connection, run

Row = tuple[Any, ...]


def read_description(connection: Connection, known: Mapping[str, DatabasePiece]) -> Description:
    """Return all databases as of one moment, reading those that are not known or have changed.

    Parameters
    ----------
    connection
        Connection to the registry, in autocommit mode.
    known
        Databases as an earlier reading gave them, by name; those that have not changed are not read again.
    """
    with one_moment(connection):
        version = run(connection, "catalog_version").fetchone()
        rows = run(connection, "catalog_pieces").fetchall()
        numbers = {name: piece.version.number for name, piece in known.items()}
        changed = [row[1] for row in rows if _version(row).number != numbers.get(row[1])]
        read = {database.name: database for database in read_databases(connection, changed)} if changed else {}
        return Description(
            version=version[0] if version else 0,
            pieces=tuple(_piece(row, read.get(row[1]) or known[row[1]].database) for row in rows),
            workers=read_workers(connection),
        )


@contextmanager
def one_moment(connection: Connection) -> Iterator[None]:
    """Let statements see the registry as of one moment; the connection is in autocommit mode."""
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    try:
        with connection.transaction():
            yield
    finally:
        connection.isolation_level = None


def _version(row: Row) -> DatabaseVersion:
    return DatabaseVersion(database_id=row[0], version=row[2], snapshot=row[3], family=row[4])


def _piece(row: Row, database: Database) -> DatabasePiece:
    readers = _readers(row[5])  # a grant leaves the database's version as it is
    return DatabasePiece(database=replace(database, readers=readers), version=_version(row))


def _readers(grants: list[list[str]]) -> frozenset[Grantee]:
    return frozenset(Grantee(GranteeKind(kind), name) for kind, name in grants)


def read_workers(connection: Connection) -> tuple[Worker, ...]:
    """Return the workers in the order in which they were added."""
    rows = run(connection, "workers")
    return tuple(Worker(name=name, conninfo=conninfo, parts_dir=parts_dir) for _, name, conninfo, parts_dir in rows)


def read_databases(connection: Connection, names: Collection[str] | None = None) -> tuple[Database, ...]:
    """Return databases by their names, or all of them; sorted by name."""
    wanted = None if names is None else list(names)
    columns: dict[int, list[Column]] = defaultdict(list)
    for row in run(connection, "columns", databases=wanted):
        columns[row[0]].append(_column(row))
    tables: dict[int, list[Row]] = defaultdict(list)
    for row in run(connection, "tables", databases=wanted):
        tables[row[0]].append(row)
    return tuple(_database(row, tables[row[0]], columns) for row in run(connection, "databases", names=wanted))


def _database(row: Row, tables: list[Row], columns: dict[int, list[Column]]) -> Database:
    family = Family(
        name=row[7],
        target_rows=row[8],
        target_bytes=row[12],
        min_order=row[9],
        max_order=row[10],
        overlap_arcsec=row[11],
    )
    return Database(
        name=row[1],
        physical=row[2],
        family=family,
        tables=tuple(_table(row[1], entry, columns[entry[1]]) for entry in tables),
        state=DatabaseState(row[3]),
        description=row[5],
        felis=row[6],
        readers=_readers(row[13]),
    )


def _column(row: Row) -> Column:
    return Column(
        name=row[1],
        physical=row[2],
        datatype=DataType(row[3]),
        length=row[4],
        nullable=row[5],
        hidden=row[6],
        unit=row[7],
        ucd=row[8],
        xtype=row[9],
        description=row[10],
        utype=row[11],
    )


def _table(database: str, row: Row, columns: list[Column]) -> Table:
    _, _, name, physical, kind, roles, primary_key, indexes, description, utype = row
    common: dict[str, Any] = {
        "database": database,
        "name": name,
        "physical": physical,
        "columns": tuple(columns),
        "primary_key": tuple(primary_key),
        "indexes": tuple(tuple(index) for index in indexes),
        "description": description,
        "utype": utype,
    }
    match TableKind(kind):
        case TableKind.DIRECTOR:
            ra, dec = _position(roles["ra"]), _position(roles["dec"])
            # A registry of an earlier version has no such key in the roles of its tables.
            return DirectorTable(**common, id=roles["id"], ra=ra, dec=dec, unique=roles.get("unique", True))
        case TableKind.CHILD:
            if "orphans" in roles:
                common |= {"ra": _position(roles["ra"]), "dec": _position(roles["dec"])}
                common["orphans"] = Orphans(roles["orphans"])
            common["rows_per_object"] = roles.get("rows_per_object")
            return ChildTable(**common, director=roles["director"], key=roles["key"])
        case TableKind.MATCH:
            first, second = roles["directors"]
            common["rows_per_object"] = roles.get("rows_per_object")
            return MatchTable(**common, directors=(first, second), keys=(roles["keys"][0], roles["keys"][1]))
        case TableKind.REF:
            return RefTable(**common)


def _position(role: dict[str, str]) -> Position:
    return Position(column=role["column"], format=PositionFormat(role["format"]), unit=role.get("unit", "deg"))
