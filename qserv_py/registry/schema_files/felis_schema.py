"""A Felis file and a partition file become a ``catalog.Database``, or a list of what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from qserv_py.catalog.angles import angle_unit
from qserv_py.catalog.model import (
    HEALPIX_COLUMN,
    MAX_IDENTIFIER_BYTES,
    ChildTable,
    Column,
    Database,
    DirectorTable,
    Family,
    MatchTable,
    Orphans,
    Position,
    PositionFormat,
    RefTable,
    Table,
    TableKind,
    column_names,
    physical_name,
)
from qserv_py.catalog.positions import fits_sexagesimal
from qserv_py.catalog.types import DataType
from qserv_py.errors import SchemaError
from qserv_py.hints import or_did_you_mean
from qserv_py.registry.schema_files.felis_file import parse_felis
from qserv_py.registry.schema_files.felis_resources import read_felis
from qserv_py.registry.schema_files.partition_file import PartitionFile, TableRole, parse_partition
from qserv_py.registry.schema_files.schema_checks import check_roles, check_row_size
from qserv_py.registry.schema_files.yaml_file import Problems, YamlFile, read_yaml

RESERVED_SCHEMAS = frozenset({"qserv", "public", "information_schema"})
KEPT_NAMES = frozenset({"tap_upload", "tap_schema", "mydb", "butler", "ivoa"})
_UTYPE_OF_REGION = "char.spatialaxis.coverage.support.area"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+-]*")  # of databases and tables, which also name directories


def read_schema(felis: Path, partition: Path) -> Database:
    """Return the database that a Felis file and a partition file describe.

    Raises
    ------
    NotFoundError
        If a file does not exist.
    SchemaError
        If one is wrong: the message is the first problem with file and line, the detail lists the others.
    """
    problems = Problems()
    felis_file = read_felis(felis, problems)
    schema = parse_felis(felis_file, problems)
    roles = parse_partition(read_yaml(partition), problems)
    problems.raise_if_any()
    database = _database(felis_file, schema, roles, problems)
    problems.raise_if_any()
    if database is None:
        raise SchemaError(f"{felis}: the schema cannot be used")
    return database


def find_problems(felis: Path, partition: Path | None = None) -> tuple[str, ...]:
    """Return what is wrong with a Felis file, and with a partition file for it; nothing when all is well."""
    problems = Problems()
    felis_file = read_felis(felis, problems)
    schema = parse_felis(felis_file, problems)
    roles = None if partition is None else parse_partition(read_yaml(partition), problems)
    if schema is not None:
        if roles is not None and not problems.found:
            _database(felis_file, schema, roles, problems)
        elif roles is None:
            tables = [
                RefTable(**_common(schema.name, felis_file, n, table, problems)) for n, table in _numbered(schema)
            ]
            for table in tables:
                check_row_size(table, felis_file.at("tables"), problems)
    return tuple(problems.found)


def _database(file: YamlFile, schema: Any, partition: PartitionFile, problems: Problems) -> Database | None:
    name = partition.database or schema.name
    if not _NAME.fullmatch(name) or len(name) > MAX_IDENTIFIER_BYTES:
        problems.add(partition.file.at("database"), f'"{name}" cannot name a database{_ALLOWED}')
    if name.lower() in KEPT_NAMES or name.lower().startswith("mydb_"):
        problems.add(
            partition.file.at("database"),
            f'"{name}" cannot name a database: qserv has its own of that name; '
            f'"database: NAME" in {partition.file.name} gives it another',
        )
    known = [table.name for table in schema.tables]
    for table in partition.roles:
        if table not in known:
            where = partition.at(table)
            problems.add(where, f'table "{table}" is not in {file.name}{or_did_you_mean(table, known)}')
    for table in known:
        if table not in partition.roles:
            problems.add(partition.file.at("tables"), f'table "{table}" of {file.name} has no entry, such as {_ENTRY}')
    if problems.found:
        return None
    tables = [
        _table(name, file, number, table, partition.roles[table.name], problems) for number, table in _numbered(schema)
    ]
    database = Database(
        name=name,
        physical=_schema_name(name),
        family=partition.family or Family(name=name),
        tables=tuple(_distinct_relations(tables)),
        description=schema.description or "",
        felis=file.text,
    )
    for number, made in enumerate(database.tables):
        check_row_size(made, file.at("tables", number), problems)
        check_roles(database, made, partition, problems)
    return database


_ALLOWED = ": letters, digits, _, - and + only"
_ENTRY = "{kind: ref}"


def _numbered(schema: Any) -> Iterable[tuple[int, Any]]:
    return enumerate(schema.tables)


def _table(database: str, file: YamlFile, number: int, table: Any, role: TableRole, problems: Problems) -> Table:
    common = _common(database, file, number, table, problems)
    role = _with_units(role, common["columns"])
    common["columns"] = _in_degrees(role, common["columns"])
    # One key of a match table, and that of an orphan, may be NULL where the schema allows it.
    required = {role.id}
    if role.kind is TableKind.DIRECTOR:
        required |= {position.column for position in (role.ra, role.dec) if position}
    elif role.orphans is Orphans.NONE:
        required.add(role.key)
    common["columns"] = tuple(
        replace(column, nullable=False) if column.name in required else column for column in common["columns"]
    )
    if role.kind is TableKind.REF:
        return RefTable(**common)
    common["columns"] = (*common["columns"], _healpix_column())
    if role.kind is TableKind.CHILD:
        common |= {"ra": role.ra, "dec": role.dec, "orphans": role.orphans}
        common["rows_per_object"] = role.rows_per_object
        return ChildTable(**common, director=role.director, key=role.key)
    if role.kind is TableKind.MATCH:
        first, second = role.directors
        keys = (role.keys[0], role.keys[1])
        return MatchTable(**common, directors=(first, second), keys=keys, rows_per_object=role.rows_per_object)
    if role.ra is None or role.dec is None:
        raise SchemaError(f'table "{table.name}" has no position')
    return DirectorTable(**common, id=role.id, ra=role.ra, dec=role.dec, unique=role.unique)


def _with_units(role: TableRole, columns: Iterable[Column]) -> TableRole:
    """Return a role whose positions say what the files hold: the unit that the schema gives their columns."""
    ra, dec = (position and _with_unit(position, columns) for position in (role.ra, role.dec))
    return replace(role, ra=ra, dec=dec)


def _with_unit(position: Position, columns: Iterable[Column]) -> Position:
    """Return a position with the unit of its column; one that is no angle stays as it is written."""
    written = next((column.unit for column in columns if column.name == position.column), "")
    unit = angle_unit(written) or written or "deg"
    is_text = position.format is not PositionFormat.DEGREES
    if is_text and fits_sexagesimal(unit, position.format, is_served=True):
        unit = "deg"  # what the texts become
    return replace(position, unit=unit)


def _in_degrees(role: TableRole, columns: Iterable[Column]) -> tuple[Column, ...]:
    """Return the columns of a table, those of positions in the unit that the catalogue serves."""
    held = {position.column for position in (role.ra, role.dec) if position}
    return tuple(replace(column, unit="deg") if column.name in held else column for column in columns)


def _common(database: str, file: YamlFile, number: int, table: Any, problems: Problems) -> dict[str, Any]:
    """Return the fields that every kind of table has."""
    where = file.at("tables", number)
    if not _NAME.fullmatch(table.name):
        problems.add(where, f'"{table.name}" cannot name a table{_ALLOWED}')
    by_id = {column.id: column.name for column in table.columns}
    primary_key = table.primary_key or ()
    key = tuple(by_id.get(entry, entry) for entry in ([primary_key] if isinstance(primary_key, str) else primary_key))
    indexes = []
    for index in table.indexes:
        if index.expressions:
            problems.add(
                where, f'table "{table.name}": index "{index.name}" is on expressions, which are not supported'
            )
        indexes.append(tuple(by_id.get(entry, entry) for entry in index.columns or ()))
    for name in {name for names in (key, *indexes) for name in names} - set(by_id.values()):
        problems.add(where, f'table "{table.name}" has no column "{name}", which a key or an index names')
    columns = _columns(file, number, table, key, problems)
    return {
        "database": database,
        "name": table.name,
        "physical": physical_name(table.name),
        "columns": columns,
        "primary_key": key,
        "indexes": tuple(index for index in indexes if index),
        "description": table.description or "",
        "utype": table.votable_utype or "",
    }


def _columns(file: YamlFile, number: int, table: Any, key: tuple[str, ...], problems: Problems) -> tuple[Column, ...]:
    names = column_names(column.name for column in table.columns)
    columns = []
    for place, (column, physical) in enumerate(zip(table.columns, names, strict=True)):
        where, what = file.at("tables", number, "columns", place), f'table "{table.name}", column "{column.name}"'
        if column.name.lower() == HEALPIX_COLUMN:
            problems.add(where, f"{what}: the name is taken, qserv_py adds a column {HEALPIX_COLUMN}")
        if not column.name.isprintable() or not column.name.strip():
            problems.add(where, f"table {table.name!r}, column {column.name!r}: the name cannot be written")
        datatype = DataType(column.datatype.value)
        if datatype.is_numeric and column.votable_arraysize not in (None, 1, "1"):
            problems.add(where, f"{what}: columns of arrays are not supported (arraysize {column.votable_arraysize})")
        columns.append(
            Column(
                name=column.name,
                physical=physical,
                datatype=datatype,
                length=column.length,
                nullable=column.nullable and column.name not in key,
                unit=column.ivoa_unit or column.fits_tunit or "",
                ucd=column.ivoa_ucd or "",
                description=column.description or "",
                xtype=column.votable_xtype or _xtype_of_region(datatype, column),
                utype=column.votable_utype or "",
            )
        )
    return tuple(columns)


def _xtype_of_region(datatype: DataType, column: Any) -> str:
    """Return the xtype of a text that is a region by its utype or its UCD, as ObsCore's ``s_region``; or nothing."""
    utype, ucd = (column.votable_utype or "").lower(), (column.ivoa_ucd or "").lower()
    known = utype.endswith(_UTYPE_OF_REGION) or ucd.split(";")[0].strip() == "pos.outline"
    return "adql:REGION" if datatype.is_text and known else ""


def _healpix_column() -> Column:
    return Column(
        name=HEALPIX_COLUMN,
        physical=HEALPIX_COLUMN,
        datatype=DataType.LONG,
        nullable=False,
        ucd="pos.healpix",
        description="HEALPix cell of the row's director, order 29, NESTED",
        hidden=True,
    )


def _distinct_relations(tables: list[Table]) -> list[Table]:
    """Give tables names on the shards that differ from each other and from the names of each other's chunk tables."""
    chosen: list[Table] = []
    for table in tables:
        physical, number = table.physical, 2
        while any(_clashes(physical, other.physical) for other in chosen):
            physical, number = f"{table.physical}_{number}", number + 1
        chosen.append(replace(table, physical=physical))
    return chosen


def _clashes(one: str, other: str) -> bool:
    relation = r"(_(overlap_)?(ref|\d+_\d+)(_g\d+)?)?"
    return bool(re.fullmatch(re.escape(one) + relation, other) or re.fullmatch(re.escape(other) + relation, one))


def _schema_name(name: str) -> str:
    folded = physical_name(name)
    return f"{folded}_db" if folded in RESERVED_SCHEMAS or folded.startswith("pg_") else folded
