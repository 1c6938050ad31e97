"""The registry's side of the tables that users keep: names, owners, columns, sizes, shares; the rows are in files."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from qserv_py.catalog.grants import Grantee, GranteeKind
from qserv_py.catalog.model import Column
from qserv_py.catalog.types import DataType
from qserv_py.errors import LimitError, UserError
from qserv_py.registry.connection import Registry
from qserv_py.registry.statements import run


@dataclass(frozen=True, slots=True, kw_only=True)
class UserTable:
    """A table that a user keeps."""

    owner: str
    name: str
    file: str
    """Name of the file with its rows, in the czar's directory of user tables."""

    rows: int
    bytes: int
    columns: tuple[Column, ...]
    description: str
    created_at: datetime
    shared_with: frozenset[Grantee]
    """Users and groups that may read the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUserTable:
    """A table whose file has been written and that nobody sees yet."""

    owner: str
    name: str
    file: str
    rows: int
    bytes: int
    columns: tuple[Column, ...]
    description: str


def list_user_tables(
    registry: Registry, *, owner: str | None, groups: frozenset[str] = frozenset()
) -> tuple[UserTable, ...]:
    """Return the tables of a user and those shared with the user or the groups; of everybody when owner is None."""
    rows = registry.look_up("user_tables", owner=owner, groups=sorted(groups))
    return tuple(
        UserTable(
            owner=row[1],
            name=row[2],
            file=row[3],
            rows=row[4],
            bytes=row[5],
            columns=tuple(_column(entry) for entry in row[6]),
            description=row[7],
            created_at=row[8],
            shared_with=frozenset(Grantee(GranteeKind(kind), name) for kind, name in row[9]),
        )
        for row in rows
    )


def kept_bytes(registry: Registry, owner: str) -> int:
    """Return how many bytes a user keeps."""
    return int(registry.look_up("user_table_bytes", owner=owner)[0][0])


def add_user_table(registry: Registry, table: NewUserTable, *, most_bytes: int) -> None:
    """Add a table, unless its owner would keep more than ``most_bytes`` then.

    Raises
    ------
    UserError
        If the owner has a table of this name.
    LimitError
        If the owner would keep too many bytes.
    """
    values: dict[str, Any] = {entry: getattr(table, entry) for entry in ("owner", "name", "file", "rows", "bytes")}
    with registry.transaction() as connection:
        run(connection, "lock_user_tables", owner=table.owner)
        held = run(connection, "user_table_bytes", owner=table.owner).fetchone()
        check_space(held[0] if held else 0, table.bytes, most_bytes=most_bytes)
        columns = Jsonb([asdict(column) for column in table.columns])
        added = run(
            connection, "insert_user_table", **values, columns=columns, description=table.description
        ).fetchone()
        if added is None:
            raise UserError(
                f'you have a table "{table.name}" already', hint="Drop it first, or give the new one another name."
            )


def replace_user_table_file(
    registry: Registry, table: UserTable, *, file: str, rows: int, bytes: int, most_bytes: int
) -> None:
    """Give a table another file; the old one is the caller's to remove.

    Raises
    ------
    UserError
        If the table was dropped or given another file since ``table`` was read.
    LimitError
        If its owner would keep more than ``most_bytes`` then.
    """
    with registry.transaction() as connection:
        run(connection, "lock_user_tables", owner=table.owner)
        held = run(connection, "user_table_bytes", owner=table.owner).fetchone()
        check_space((held[0] if held else 0) - table.bytes, bytes, most_bytes=most_bytes)
        known = {"owner": table.owner, "name": table.name, "old_file": table.file}
        if run(connection, "update_user_table", **known, file=file, rows=rows, bytes=bytes).fetchone() is None:
            raise UserError(f'table "{table.name}" was changed by another request meanwhile', hint="Try again.")


def check_space(held: int, more: int, *, most_bytes: int) -> None:
    """Raise LimitError if a user who keeps ``held`` bytes may not keep ``more`` besides."""
    if held + more > most_bytes:
        raise LimitError(
            f"your tables may have {most_bytes} bytes in all; they have {held}, and this one needs {more} or more",
            hint="Drop tables that you no longer need.",
        )


def delete_user_table(registry: Registry, *, owner: str, name: str) -> str | None:
    """Forget a table; return its file, which is the caller's to remove, or None when there is no such table."""
    with registry.transaction() as connection:
        row = run(connection, "delete_user_table", owner=owner, name=name).fetchone()
    return None if row is None else str(row[0])


def share_user_table(registry: Registry, *, owner: str, name: str, grantee: Grantee, shared: bool) -> bool:
    """Share a table, or stop sharing it; return whether that changed anything."""
    statement = "insert_user_table_share" if shared else "delete_user_table_share"
    values = {"owner": owner, "table": name, "kind": grantee.kind.value, "name": grantee.name}
    with registry.transaction() as connection:
        return run(connection, statement, **values).fetchone() is not None


def known_files(registry: Registry) -> frozenset[str]:
    """Return the files that tables have."""
    return frozenset(row[0] for row in registry.look_up("user_table_files"))


def _column(entry: dict[str, Any]) -> Column:
    return Column(**{**entry, "datatype": DataType(entry["datatype"])})
