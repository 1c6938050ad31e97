"""Tables that users keep between queries: ``mydb.t`` in ADQL; ``mydb_OWNER.t`` is one that another user shares.

The rows of a table are one Arrow file, mapped into memory by the queries that read it. A table is made file first (and
flushed to disk), then by one row in the registry; it goes row first, then file. So a crash at any moment leaves a table
that is whole, or a file that no row names, which is swept when the cluster starts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa

from qserv_py.adql.parse import ParsedQuery
from qserv_py.catalog.grants import Grantee, GranteeKind
from qserv_py.catalog.model import CzarTable, physical_name
from qserv_py.config import USER_TABLES_DIR
from qserv_py.czar.identity.identity import Identity
from qserv_py.czar.identity.limits import Limits
from qserv_py.czar.tables.czar_tables import CzarTables, check_name, described_columns, described_database
from qserv_py.czar.tables.tap_schema import SCHEMA_DATABASE
from qserv_py.czar.user_tables.user_table_files import MappedFiles, new_file, write_rows
from qserv_py.errors import AuthenticationError, NotFoundError, UserError
from qserv_py.registry import user_tables
from qserv_py.registry.connection import Registry
from qserv_py.registry.user_tables import NewUserTable, UserTable

DATABASE = "mydb"
"""Name that a user's own tables have as their database."""

MAX_TABLES = 10_000
"""Tables that one user can keep."""


class UserTables:
    """The tables that the users of a cluster keep; threads may share it.

    Parameters
    ----------
    registry
        Registry that knows the tables.
    czar_dir
        Directory of the czar's files.
    """

    def __init__(self, registry: Registry, czar_dir: Path) -> None:
        self._registry = registry
        self._directory = czar_dir / USER_TABLES_DIR

    def create(
        self,
        identity: Identity,
        name: str,
        rows: tuple[pa.Schema, Iterable[pa.RecordBatch]],
        *,
        limits: Limits,
        description: str = "",
    ) -> UserTable:
        """Make a table.

        Parameters
        ----------
        identity
            Owner of the table.
        name
            Name of the table in ``mydb``.
        rows
            Their schema and batches, as of ``Answer``. The metadata of a field may say ``unit``, ``ucd``,
            ``description`` and ``xtype``.
        limits
            Limits of the owner.
        description
            What the table is.

        Raises
        ------
        AuthenticationError
            If nobody is known to ask.
        UserError
            If the name or the rows cannot be those of a table, or the owner has a table of this name.
        LimitError
            If the owner would keep too much.
        """
        owner = _owner(identity)
        check_name(name, "a table")
        where = f'table "{DATABASE}.{name}"'
        schema, batches = rows
        columns = described_columns(where, schema)
        own = [table for table in self.tables(identity) if table.owner == owner]
        if any(table.name.lower() == name.lower() for table in own):
            raise UserError(f'you have a table "{name}" already', hint="Drop it, or give the new one another name.")
        if len(own) >= MAX_TABLES:
            raise UserError(f"you have {len(own)} tables, more are not kept", hint="Drop some that you do not need.")
        held = sum(table.bytes for table in own)
        with new_file(self._directory) as file:
            count = write_rows(file, where, columns, batches, held=held, most_bytes=limits.user_table_bytes)
            new = NewUserTable(
                owner=owner,
                name=name,
                file=Path(file.name).name,
                rows=count,
                bytes=file.tell(),
                columns=columns,
                description=description,
            )
            user_tables.add_user_table(self._registry, new, most_bytes=limits.user_table_bytes)
        return self.find(identity, name)

    def append(
        self,
        identity: Identity,
        name: str,
        rows: tuple[pa.Schema, Iterable[pa.RecordBatch]],
        *,
        limits: Limits,
    ) -> UserTable:
        """Add rows to a table of the user's own. Its file is written anew; queries see none of the rows, or all.

        Parameters
        ----------
        identity, limits
            As for ``create``.
        name
            Name of the table in ``mydb``, in any case.
        rows
            As for ``create``; columns are found by their names in any case, those that are missing are NULL.

        Raises
        ------
        NotFoundError
            If there is no such table.
        UserError
            If it has no column of a name, or a value does not fit.
        LimitError
            If the owner would keep too much.
        """
        table = self.find(identity, name)
        where = f'table "{DATABASE}.{table.name}"'
        schema, batches = rows
        places = _places(where, table, schema)
        held = self.kept_bytes(identity) - table.bytes
        with new_file(self._directory) as file:
            before = MappedFiles({name: self._directory / table.file})[name].to_batches()
            added = (_placed(batch, table, places) for batch in batches)
            both = (batch for part in (before, added) for batch in part)
            count = write_rows(file, where, table.columns, both, held=held, most_bytes=limits.user_table_bytes)
            user_tables.replace_user_table_file(
                self._registry,
                table,
                file=Path(file.name).name,
                rows=count,
                bytes=file.tell(),
                most_bytes=limits.user_table_bytes,
            )
        (self._directory / table.file).unlink(missing_ok=True)
        return self.find(identity, name)

    def tables(self, identity: Identity) -> tuple[UserTable, ...]:
        """Return the tables that an identity may read: its own and those shared with it; none for the unknown."""
        if not identity.user:
            return ()
        return user_tables.list_user_tables(self._registry, owner=identity.user, groups=identity.groups)

    def find(self, identity: Identity, name: str) -> UserTable:
        """Return a table of the user's own by its name in any case; NotFoundError if there is none."""
        for table in self.tables(identity):
            if table.owner == identity.user and table.name.lower() == name.lower():
                return table
        raise NotFoundError(f'you have no table "{name}"')

    def kept_bytes(self, identity: Identity) -> int:
        """Return how many bytes the tables of an identity have."""
        return user_tables.kept_bytes(self._registry, identity.user)

    def drop(self, identity: Identity, name: str) -> None:
        """Remove a table of the user's own; queries that read it go on. NotFoundError if there is none."""
        file = user_tables.delete_user_table(self._registry, owner=_owner(identity), name=name)
        if file is None:
            raise NotFoundError(f'you have no table "{name}"')
        (self._directory / file).unlink(missing_ok=True)

    def share(self, identity: Identity, name: str, grantee: Grantee, *, shared: bool = True) -> UserTable:
        """Let a user or a group read a table of the user's own, or with ``shared`` False no longer; return the table.

        Raises
        ------
        NotFoundError
            If there is no such table.
        UserError
            If the grantee is neither a user nor a group.
        """
        owner = _owner(identity)
        if grantee.kind not in {GranteeKind.GROUP, GranteeKind.USER}:
            raise UserError(f"a table can be shared with users and groups, not with {grantee}")
        self.find(identity, name)
        user_tables.share_user_table(self._registry, owner=owner, name=name, grantee=grantee, shared=shared)
        return self.find(identity, name)

    def databases(self, identity: Identity) -> tuple[CzarTables, ...]:
        """Return what an identity may read, as databases for a query; files are opened when they are read."""
        by_database: dict[str, list[UserTable]] = defaultdict(list)
        for table in self.tables(identity):
            by_database[database_of(table, identity)].append(table)
        return tuple(self._database(name, tables) for name, tables in by_database.items())

    def _database(self, name: str, tables: list[UserTable]) -> CzarTables:
        described = {_described(name, table): table for table in tables}
        return CzarTables(
            database=described_database(name, tuple(described), description=f"Tables of {tables[0].owner}."),
            sizes=MappingProxyType({own.qualified: (table.rows, table.bytes) for own, table in described.items()}),
            rows=MappedFiles({own.qualified: self._directory / table.file for own, table in described.items()}),
        )


def database_of(table: UserTable, identity: Identity) -> str:
    """Return the database that a table has in the queries of an identity."""
    return DATABASE if table.owner == identity.user else f"{DATABASE}_{table.owner}"


def may_name_user_tables(parsed: ParsedQuery) -> bool:
    """Tell whether a query may name a table that a user keeps, or read its description in TAP_SCHEMA.

    A query must name the database of such a table: ``mydb.t``, never ``t`` alone.
    """
    return any(parsed.may_name(database) for database in (DATABASE, SCHEMA_DATABASE))


def _owner(identity: Identity) -> str:
    if not identity.user:
        raise AuthenticationError("tables are kept for users who are known", hint="Show a token.")
    return identity.user


def _places(where: str, table: UserTable, schema: pa.Schema) -> list[int | None]:
    """Return where each column of a table is in rows; None for one that they do not have."""
    known = [column.name.lower() for column in table.columns]
    found: dict[str, int] = {}
    for place, name in enumerate(schema.names):
        if name.lower() not in known:
            raise UserError(f'{where} has no column "{name}"', hint=f"It has {', '.join(known)}.")
        if name.lower() in found:
            raise UserError(f'the rows have two columns "{name}"', hint="Rename one of them.")
        found[name.lower()] = place
    return [found.get(name) for name in known]


def _placed(batch: pa.RecordBatch, table: UserTable, places: list[int | None]) -> pa.RecordBatch:
    """Return rows with the columns of a table in its order."""
    values = [
        pa.nulls(batch.num_rows, pa.type_for_alias(column.datatype.names.arrow)) if place is None else batch[place]
        for column, place in zip(table.columns, places, strict=True)
    ]
    return pa.RecordBatch.from_arrays(values, names=[column.physical for column in table.columns])


def _described(database: str, table: UserTable) -> CzarTable:
    return CzarTable(
        database=database,
        name=table.name,
        physical=physical_name(table.name),
        columns=table.columns,
        description=table.description,
    )
