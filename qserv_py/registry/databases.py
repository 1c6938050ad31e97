"""Writing workers, families, databases, tables and columns into the registry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg.types.json import Jsonb

from qserv_py.catalog.model import (
    TARGET_BYTES,
    ChildTable,
    Database,
    DirectorTable,
    MatchTable,
    Position,
    Table,
)
from qserv_py.catalog.snapshot import Worker
from qserv_py.errors import NotFoundError, SchemaError
from qserv_py.hints import did_you_mean
from qserv_py.registry.statements import Connection, run

_SIZES = ("target_rows", "target_bytes")


def put_worker(connection: Connection, worker: Worker) -> None:
    """Add a worker or change where it is."""
    values = {"name": worker.name, "conninfo": worker.conninfo, "parts_dir": worker.parts_dir}
    if run(connection, "put_worker", **values).fetchone() is not None:
        run(connection, "bump_catalog_version")


def find_database(known: Sequence[Database], name: str) -> Database:
    """Return the database of a name; one that is spelt exactly so wins over one that differs in case."""
    for database in known:
        if database.name == name:
            return database
    for database in known:
        if database.name.lower() == name.lower():
            return database
    raise no_database(name, [database.name for database in known])


def no_database(name: str, known: Sequence[str]) -> NotFoundError:
    """Return the error that says which databases there are."""
    if known:
        there = f"There {'is' if len(known) == 1 else 'are'} " + ", ".join(sorted(known)[:10]) + "."
    else:
        there = "There are no databases yet; qserv schema load makes one."
    return NotFoundError(f'database "{name}" is not known', hint=did_you_mean(name, known, most=1) or there)


def add_database(connection: Connection, database: Database) -> None:
    """Add an empty database; its family too, unless it exists with the same settings."""
    family_id = _put_family(connection, database)
    row = run(
        connection,
        "insert_database",
        family_id=family_id,
        name=database.name,
        physical=database.physical,
        description=database.description,
        felis=database.felis,
    ).fetchone()
    if row is None:
        raise SchemaError(
            f'there is a database "{database.name}" already',
            hint=f"qserv schema show {database.name} shows it; load the new one under another name.",
        )
    for place, table in enumerate(database.tables, 1):
        _insert_table(connection, row[0], place, table)
    for grantee in database.readers:
        run(connection, "insert_grant", database=database.name, kind=grantee.kind.value, name=grantee.name)
    run(connection, "bump_catalog_version")


def drop_database(connection: Connection, name: str) -> None:
    """Forget a database."""
    if run(connection, "delete_database", name=name).fetchone() is None:
        raise no_database(name, [row[1] for row in run(connection, "databases", names=None)])
    run(connection, "bump_catalog_version")


def _put_family(connection: Connection, database: Database) -> int:
    wanted = database.family
    says_nothing = wanted.target_rows is None and wanted.target_bytes is None
    settings: dict[str, Any] = {
        "target_rows": wanted.target_rows,
        "target_bytes": TARGET_BYTES if says_nothing else wanted.target_bytes,
        "min_order": wanted.min_order,
        "max_order": wanted.max_order,
        "overlap_arcsec": wanted.overlap_arcsec,
    }
    row: tuple[Any, ...] | None = run(connection, "put_family", name=wanted.name, **settings).fetchone()
    if row is None:
        raise SchemaError(f'family "{wanted.name}" cannot be made')
    held = dict(zip(settings, row[1:], strict=True))
    open_keys = _SIZES if says_nothing else ()
    differing = [key for key in settings if key not in open_keys and held[key] != settings[key]]
    if differing:
        # A size in rows differs from one in bytes, and either may be the one that is not said.
        has = next(key for key in differing if held[key] is not None)
        asked = next(key for key in differing if settings[key] is not None)
        raise SchemaError(
            f'family "{wanted.name}" exists with {has} {held[has]}, '
            f"not {'' if asked == has else asked + ' '}{settings[asked]}",
            hint="Databases of one family share its chunk map: use the same settings, or another family name.",
        )
    return int(row[0])


def _insert_table(connection: Connection, database_id: int, place: int, table: Table) -> None:
    row = run(
        connection,
        "insert_table",
        database_id=database_id,
        place=place,
        name=table.name,
        physical=table.physical,
        kind=table.kind.value,
        roles=Jsonb(roles_of(table)),
        primary_key=list(table.primary_key),
        indexes=Jsonb([list(index) for index in table.indexes]),
        description=table.description,
        utype=table.utype,
    ).fetchone()
    columns = table.columns
    run(
        connection,
        "insert_columns",
        table_id=row[0] if row else None,
        names=[column.name for column in columns],
        physicals=[column.physical for column in columns],
        datatypes=[column.datatype.value for column in columns],
        lengths=[column.length for column in columns],
        nullables=[column.nullable for column in columns],
        hiddens=[column.hidden for column in columns],
        units=[column.unit for column in columns],
        ucds=[column.ucd for column in columns],
        xtypes=[column.xtype for column in columns],
        descriptions=[column.description for column in columns],
        utypes=[column.utype for column in columns],
    )


def roles_of(table: Table) -> dict[str, object]:
    """Return a table's role as the JSON that the registry stores."""
    match table:
        case DirectorTable():
            return {
                "id": table.id,
                "ra": _role_of(table.ra),
                "dec": _role_of(table.dec),
                "unique": table.unique,
            }
        case ChildTable():
            roles: dict[str, object] = {"director": table.director, "key": table.key}
            if table.ra is not None and table.dec is not None:
                roles |= {"ra": _role_of(table.ra), "dec": _role_of(table.dec), "orphans": table.orphans.value}
            return roles | _declared_rows(table)
        case MatchTable():
            return {"directors": list(table.directors), "keys": list(table.keys), **_declared_rows(table)}
        case _:
            return {}


def _declared_rows(table: ChildTable | MatchTable) -> dict[str, object]:
    return {} if table.rows_per_object is None else {"rows_per_object": table.rows_per_object}


def _role_of(position: Position) -> dict[str, str]:
    """Return a coordinate as the JSON that the registry stores: the unit is left out when it is degrees."""
    role = {"column": position.column, "format": position.format.value}
    return role if position.unit == "deg" else {**role, "unit": position.unit}
