"""``qserv schema``: load, show and validate schemas."""

from __future__ import annotations

from pathlib import Path

import click

from qserv_py.catalog.model import (
    ChildTable,
    Column,
    Database,
    DirectorTable,
    MatchTable,
    Position,
    PositionFormat,
    Table,
)
from qserv_py.catalog.object_bytes import Counts, rows_in_full_chunk
from qserv_py.cli.errors import PROBLEMS
from qserv_py.cli.options import cluster_option, format_option, say
from qserv_py.cli.rows import print_rows
from qserv_py.counts import counted
from qserv_py.errors import NotFoundError

FILE = click.Path(path_type=Path, readable=False)


@click.group()
def schema() -> None:
    """Load, show and validate schemas: Felis says what the columns mean, a partition file how tables are spread."""


@schema.command()
@click.argument("felis", metavar="FELIS.yaml", type=FILE)
@click.option("--partition", metavar="PARTITION.yaml", type=FILE, required=True, help="Roles of the tables.")
@cluster_option
def load(felis: Path, partition: Path, cluster_dir: Path) -> None:
    """Add an empty database."""
    from qserv_py.czar.cluster import open_cluster
    from qserv_py.registry.schema_files.felis_schema import read_schema

    cluster = open_cluster(cluster_dir)
    database = read_schema(felis, partition)
    with cluster.registry() as registry:
        registry.add_database(database)
    tables = counted(len(database.tables), "empty table")
    say(f"Database {database.name}: {tables}; qserv ingest run --database {database.name} fills them.")


@schema.command()
@click.option("--database", "name", metavar="DB", default="prompt", show_default=True, help="Name of the database.")
@click.option("--write", "written", metavar="DIR", type=FILE, help="Write the two files there, to change and load.")
@cluster_option
def prompt(name: str, written: Path | None, cluster_dir: Path) -> None:
    """Add the empty database that `qserv ingest butler` fills: Source, Visit and VisitDetector, as in DP1."""
    from qserv_py.czar.cluster import open_cluster
    from qserv_py.ingest.butler.prompt_schema import prompt_database, write_prompt_schema

    if written is not None:
        felis, partition = write_prompt_schema(written, name=name)
        say(f"Wrote {felis} and {partition}; qserv schema load {felis} --partition {partition} loads them.")
        return
    database = prompt_database(name)
    with open_cluster(cluster_dir).registry() as registry:
        registry.add_database(database)
    say(f"Database {database.name}: {counted(len(database.tables), 'empty table')}; qserv ingest butler fills them.")


@schema.command()
@click.argument("name", metavar="DB[.TABLE]")
@cluster_option
@format_option
def show(name: str, cluster_dir: Path, row_format: str) -> None:
    """Show the tables of a database, or the columns of a table."""
    from qserv_py.czar.cluster import open_cluster
    from qserv_py.registry.listing import table_counts

    database_name, _, table_name = name.partition(".")
    with open_cluster(cluster_dir).registry() as registry:
        database = registry.database(database_name)
        counts = table_counts(registry, database.name)
    if table_name:
        table = find_table(database, table_name)
        of_column = ("column", "type", "length", "nullable", "unit", "ucd", "description")
        print_rows(of_column, [_column_row(table, number) for number in range(len(table.columns))], row_format)
    else:
        of_table = ("table", "kind", "partitioned by", "rows a chunk", "columns", "description")
        print_rows(of_table, [_table_row(database, table, counts) for table in database.tables], row_format)


@schema.command()
@click.argument("felis", metavar="FELIS.yaml", type=FILE)
@click.option("--partition", metavar="PARTITION.yaml", type=FILE, help="A partition file to check with it.")
def validate(felis: Path, partition: Path | None) -> int:
    """Check a schema, its UCDs and units too; no cluster is needed. The exit code is 7 when problems were found."""
    from qserv_py.registry.schema_files.felis_schema import find_problems

    problems = find_problems(felis, partition)
    for problem in problems:
        click.echo(problem)
    if problems:
        say(f"{counted(len(problems), 'problem')} found.")
        return PROBLEMS
    say(f"{felis}{f' and {partition} are' if partition else ' is'} valid.")
    return 0


def find_table(database: Database, name: str) -> Table:
    """Return a table by its name, exactly or in any case; NotFoundError if there is none."""
    from qserv_py.hints import close_names

    found = database.find_tables(name, exact=True) or database.find_tables(name, exact=False)
    if found:
        return found[0]
    known = [table.name for table in database.tables]
    close = close_names(name, known, most=1)
    hint = f'Did you mean "{database.name}.{close[0]}"?' if close else f"Tables are {', '.join(known)}."
    raise NotFoundError(f'table "{database.name}.{name}" is not known', hint=hint)


def _column_row(table: Table, number: int) -> tuple[object, ...]:
    column = table.columns[number]
    name = f"{column.name} (hidden)" if column.hidden else column.name
    nullable, adql = column.nullable, column.datatype.names.adql
    return name, adql, column.length, nullable, _unit(table, column), column.ucd, column.description


def _unit(table: Table, column: Column) -> str:
    """Return the unit of a column; of a position, also what the files hold where that is something else."""
    positions = (table.ra, table.dec) if isinstance(table, DirectorTable | ChildTable) else ()
    held = next((position for position in positions if position and position.column == column.name), None)
    if held is None or (held.unit == "deg" and held.format is PositionFormat.DEGREES):
        return column.unit
    return f"{column.unit} (files: {held.unit if held.unit != 'deg' else held.format})"


def _table_row(database: Database, table: Table, counts: Counts) -> tuple[object, ...]:
    columns = sum(not column.hidden for column in table.columns)
    rows = rows_in_full_chunk(database, table, counts)
    return table.name, table.kind.value, partitioned_by(table), rows, columns, table.description


def partitioned_by(table: Table) -> str:
    """Return in a few words what decides the chunk of a table's rows."""
    match table:
        case DirectorTable():
            return f"{table.ra.column}, {table.dec.column}"
        case ChildTable(ra=Position() as ra, dec=Position() as dec):
            return f"{table.director} by {table.key}, else {ra.column}, {dec.column}"
        case ChildTable():
            return f"{table.director} by {table.key}"
        case MatchTable():
            return " and ".join(
                f"{director} by {key}" for director, key in zip(table.directors, table.keys, strict=True)
            )
        case _:
            return ""
