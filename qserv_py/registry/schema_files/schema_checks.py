"""Checks of a whole database: whether roles fit the columns, and whether PostgreSQL can store a row."""

from __future__ import annotations

from qserv_py.catalog.model import (
    ChildTable,
    Column,
    Database,
    DirectorTable,
    MatchTable,
    Orphans,
    Position,
    PositionFormat,
    Table,
)
from qserv_py.catalog.positions import Coordinate, Said, problem_of
from qserv_py.catalog.types import DataType
from qserv_py.hints import or_did_you_mean
from qserv_py.registry.schema_files.partition_file import PartitionFile
from qserv_py.registry.schema_files.yaml_file import Problems

MAX_COLUMNS = 1600
"""Columns of a PostgreSQL table."""

MAX_ROW_BYTES = 8160
"""Bytes of a PostgreSQL row that must stand in one page; longer texts move out of it."""

_ROW_HEADER = 24
_POINTER = 20  # of a text or bytes value that has moved out


def check_row_size(table: Table, where: str, problems: Problems) -> None:
    """Note a problem when a row of the table is too wide for PostgreSQL."""
    count = len(table.columns)
    if count > MAX_COLUMNS:
        problems.add(where, f'table "{table.name}" has {count} columns; at most {MAX_COLUMNS} fit into a table')
    fixed = sum(column.datatype.names.width for column in table.columns if column.datatype.names.width > 0)
    variable = sum(_POINTER for column in table.columns if column.datatype.names.width < 0)
    size = _ROW_HEADER + (count + 7) // 8 + fixed + variable
    if size > MAX_ROW_BYTES:
        problems.add(
            where, f'a row of table "{table.name}" takes {size} bytes; at most {MAX_ROW_BYTES} fit into PostgreSQL'
        )


def check_roles(database: Database, table: Table, partition: PartitionFile, problems: Problems) -> None:
    """Note a problem for each column or director named in the partition file that is missing or of the wrong kind."""
    match table:
        case DirectorTable():
            column = _column(table, table.id, "id", partition, problems)
            if column is not None:
                _check_id(table, column, partition, problems)
            for key, position in (("ra", table.ra), ("dec", table.dec)):
                _check_position(table, key, position, partition, problems)
        case ChildTable():
            _check_key(database, table, "director", table.director, "key", table.key, partition, problems)
            for key, own in (("ra", table.ra), ("dec", table.dec)):
                if own is not None:
                    _check_position(table, key, own, partition, problems)
            _check_keyless(table, partition, problems)
        case MatchTable():
            for director, key in zip(table.directors, table.keys, strict=True):
                _check_key(database, table, "directors", director, "keys", key, partition, problems)
        case _:
            return


def _column(table: Table, name: str, role: str, partition: PartitionFile, problems: Problems) -> Column | None:
    known = [column.name for column in table.columns if not column.hidden]
    if name in known:
        return table.column(name)
    text = f'table "{table.name}" has no column "{name}"{or_did_you_mean(name, known)}'
    problems.add(partition.at(table.name, role), text)
    return None


def _check_id(table: Table, column: Column, partition: PartitionFile, problems: Problems) -> None:
    if not column.datatype.is_integer and not column.datatype.is_text:
        text = f'table "{table.name}": the id "{column.name}" is {column.datatype}; an id is an integer or a text'
        problems.add(partition.at(table.name, "id"), text)


def _check_position(table: Table, key: str, position: Position, partition: PartitionFile, problems: Problems) -> None:
    column = _column(table, position.column, key, partition, problems)
    if column is None:
        return
    allowed = {DataType.DOUBLE, DataType.FLOAT} if position.format is PositionFormat.DEGREES else {DataType.DOUBLE}
    if column.datatype not in allowed:
        names = " or ".join(sorted(entry.value for entry in allowed))
        problems.add(
            partition.at(table.name, key),
            f'table "{table.name}": the position "{column.name}" is {column.datatype}; it holds degrees, so it is '
            f"{names} in the Felis file",
        )
    for said in (Said(unit=position.unit), Said(ucd=column.ucd)):
        if problem := problem_of(Coordinate(key), said, form=position.format, is_served=True):
            problems.add(partition.at(table.name, key), f'table "{table.name}": the position "{column.name}" {problem}')


def _check_keyless(table: ChildTable, partition: PartitionFile, problems: Problems) -> None:
    known = {column.name: column for column in table.columns}
    if table.orphans is Orphans.KEYLESS and table.key in known and not known[table.key].nullable:
        problems.add(
            partition.at(table.name, "orphans"),
            f'table "{table.name}": orphans are rows whose key is NULL, but the Felis file lets "{table.key}" never be '
            "NULL; say orphans: any if its ids may lack a director's row",
        )


def _check_key(
    database: Database,
    table: Table,
    director_role: str,
    director_name: str,
    key_role: str,
    key: str,
    partition: PartitionFile,
    problems: Problems,
) -> None:
    known = {entry.name: entry for entry in database.tables}
    director = known.get(director_name)
    column = _column(table, key, key_role, partition, problems)
    if not isinstance(director, DirectorTable):
        kind = "is not in the schema" if director is None else f"is a {director.kind} table"
        directors = [entry.name for entry in database.tables if isinstance(entry, DirectorTable)]
        problems.add(
            partition.at(table.name, director_role),
            f'table "{table.name}": its director "{director_name}" {kind}{or_did_you_mean(director_name, directors)}',
        )
        return
    if not director.unique:
        problems.add(
            partition.at(table.name, director_role),
            f'table "{table.name}": its director "{director_name}" has repeated ids (unique: false), so a key does not '
            f"tell which row is meant; give {director_name} an id that is unique, or make {table.name} a director with "
            "a position of its own",
        )
        return
    if column is None or director.id not in {entry.name for entry in director.columns}:
        return
    wanted = director.column(director.id)
    if column.datatype is not wanted.datatype and not (column.datatype.is_text and wanted.datatype.is_text):
        problems.add(
            partition.at(table.name, key_role),
            f'table "{table.name}": the key "{key}" is {column.datatype}, the id "{director.name}.{director.id}" is '
            f"{wanted.datatype}; they must be of one type",
        )
