"""Reading the catalogue: the registry's rows become the frozen descriptions of ``qserv_py.catalog``."""

from __future__ import annotations

from collections import defaultdict
from types import MappingProxyType
from typing import Any

import numpy as np
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
from qserv_py.catalog.snapshot import Catalog, FamilyState, Snapshot, TableSnapshot, Worker
from qserv_py.catalog.types import DataType
from qserv_py.registry.statements import Connection, run

Row = tuple[Any, ...]

_EMPTY = np.empty(0, np.int64)
_NO_CHUNKS = FamilyState(orders=_EMPTY, pixels=_EMPTY, workers=_EMPTY)


def read_catalog(connection: Connection) -> Catalog:
    """Return the whole catalogue as of one moment; the connection is in autocommit mode."""
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    try:
        with connection.transaction():
            version = run(connection, "catalog_version").fetchone()
            found, numbers, tables = _read_databases(connection, None)
            return Catalog(
                version=version[0] if version else 0,
                databases=found,
                families=MappingProxyType(
                    {database.family.name: _NO_CHUNKS for database in found} | _read_families(connection, None)
                ),
                snapshots=MappingProxyType(_read_snapshots(connection, found, numbers, tables)),
                workers=read_workers(connection),
            )
    finally:
        connection.isolation_level = None


def read_workers(connection: Connection) -> tuple[Worker, ...]:
    """Return the workers in the order in which they were added."""
    rows = run(connection, "workers")
    return tuple(Worker(name=name, conninfo=conninfo, parts_dir=parts_dir) for name, conninfo, parts_dir in rows)


def read_family(connection: Connection, family: str) -> FamilyState:
    """Return the chunk map of one family, empty when it has no chunks."""
    return _read_families(connection, family).get(family, _NO_CHUNKS)


def read_databases(connection: Connection, name: str | None = None) -> tuple[Database, ...]:
    """Return all databases, or the one of a name."""
    return _read_databases(connection, name)[0]


def _read_families(connection: Connection, family: str | None) -> dict[str, FamilyState]:
    states = {}
    for name, orders, pixels, workers in run(connection, "family_chunks", family=family):
        states[name] = FamilyState(orders=_integers(orders), pixels=_integers(pixels), workers=_integers(workers))
    return states


def _read_databases(
    connection: Connection, name: str | None
) -> tuple[tuple[Database, ...], dict[str, int | None], dict[int, tuple[str, str]]]:
    """Return the databases, the snapshot number of each, and database and table name by table_id."""
    columns: dict[int, list[Column]] = defaultdict(list)
    for row in run(connection, "columns", database=name):
        columns[row[0]].append(_column(row))
    tables: dict[int, list[Row]] = defaultdict(list)
    for row in run(connection, "tables", database=name):
        tables[row[0]].append(row)
    found: list[Database] = []
    numbers: dict[str, int | None] = {}
    names: dict[int, tuple[str, str]] = {}
    for row in run(connection, "databases", name=name):
        database = _database(row, tables[row[0]], columns)
        found.append(database)
        numbers[database.name] = row[4]
        names |= {entry[1]: (database.name, entry[2]) for entry in tables[row[0]]}
    return tuple(found), numbers, names


def _database(row: Row, tables: list[Row], columns: dict[int, list[Column]]) -> Database:
    family = Family(name=row[7], target_rows=row[8], min_order=row[9], max_order=row[10], overlap_arcsec=row[11])
    return Database(
        name=row[1],
        physical=row[2],
        family=family,
        tables=tuple(_table(row[1], entry, columns[entry[1]]) for entry in tables),
        state=DatabaseState(row[3]),
        description=row[5],
        felis=row[6],
        readers=frozenset(Grantee(GranteeKind(kind), name) for kind, name in row[12]),
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
            # Roles that were written before the word was known say nothing of it.
            return DirectorTable(**common, id=roles["id"], ra=ra, dec=dec, unique=roles.get("unique", True))
        case TableKind.CHILD:
            if "orphans" in roles:
                common |= {"ra": _position(roles["ra"]), "dec": _position(roles["dec"])}
                common["orphans"] = Orphans(roles["orphans"])
            return ChildTable(**common, director=roles["director"], key=roles["key"])
        case TableKind.MATCH:
            first, second = roles["directors"]
            return MatchTable(**common, directors=(first, second), keys=(roles["keys"][0], roles["keys"][1]))
        case TableKind.REF:
            return RefTable(**common)


def _position(role: dict[str, str]) -> Position:
    return Position(column=role["column"], format=PositionFormat(role["format"]), unit=role.get("unit", "deg"))


def _read_snapshots(
    connection: Connection,
    databases: tuple[Database, ...],
    numbers: dict[str, int | None],
    names: dict[int, tuple[str, str]],
) -> dict[str, Snapshot]:
    chunks = {row[0]: row[1:] for row in run(connection, "snapshot_chunks")}
    refs = {row[0]: row[1:] for row in run(connection, "snapshot_refs")}
    runs = {row[0]: tuple(row[1]) for row in run(connection, "snapshot_index_runs")}
    overlaps = {row[0]: row[1:] for row in run(connection, "snapshot_overlaps")}
    pairs = {row[0]: row[1] for row in run(connection, "snapshot_pairs")}
    tables: dict[str, dict[str, TableSnapshot]] = defaultdict(dict)
    for table_id, (database, table) in names.items():
        if table_id in refs:
            tables[database][table] = _ref_snapshot(refs[table_id])
        else:
            tables[database][table] = _table_snapshot(
                chunks.get(table_id),
                runs.get(table_id, ()),
                overlaps.get(table_id, ([], [])),
                farthest_pair_deg=pairs.get(table_id),
            )
    found = {}
    for entry in databases:
        number = numbers[entry.name]
        if entry.state is DatabaseState.PUBLISHED and number is not None:
            found[entry.name] = Snapshot(number=number, tables=MappingProxyType(tables[entry.name]))
    return found


def _ref_snapshot(row: Row) -> TableSnapshot:
    generation, rows, size = row
    empty = np.empty(0, np.int64)
    return TableSnapshot(
        chunks=empty, rows=empty, generations=empty, total_rows=rows, total_bytes=size, ref_generation=generation
    )


def _table_snapshot(
    row: Row | None, runs: tuple[str, ...], overlaps: Row, *, farthest_pair_deg: float | None
) -> TableSnapshot:
    chunks, rows, generations, total_rows, total_bytes = row or ([], [], [], 0, 0)
    return TableSnapshot(
        chunks=_integers(chunks),
        rows=_integers(rows),
        generations=_integers(generations),
        total_rows=total_rows,
        total_bytes=total_bytes,
        farthest_pair_deg=farthest_pair_deg,
        index_runs=runs,
        overlap_chunks=_integers(overlaps[0]),
        overlap_generations=_integers(overlaps[1]),
    )


def _integers(values: list[int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    array = np.array(values, dtype=np.int64)
    array.flags.writeable = False
    return array
