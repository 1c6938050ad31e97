"""The row store of one shard: chunk tables in its PostgreSQL, filled from parts.

Each load of a part is recorded in the PostgreSQL transaction that brings its rows, so it happens once however often it
is tried. A relation is made, filled with COPY FREEZE and indexed in one transaction; with ``wal_level = minimal`` that
writes no WAL for the rows, however few they are: a relation's files are on the disk before its load is committed. The
catalogue's relations are: the parent (a table without rows of its own that psql sees), chunk tables that inherit from
it when they are published, overlap tables that never do, and a view for each ref table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from qserv_py.catalog.chunk import ChunkId
from qserv_py.catalog.model import Database, Table
from qserv_py.closing import Closing
from qserv_py.errors import WorkerError, WorkerUnavailableError
from qserv_py.sql import load
from qserv_py.workers import chunk_tables
from qserv_py.workers.copy_binary import CopyColumn, encode_copy
from qserv_py.workers.parts import read_part

ROUGH_STATISTICS = 10
"""PostgreSQL's statistics target for all columns; its default of 100 costs ten times as much and changes few plans."""

KEY_STATISTICS = 30
"""PostgreSQL's statistics target for columns with an index."""

BARE_ROWS = 500
"""Rows up to which an appended segment has no index and no statistics.

PostgreSQL reads them in 0.1 ms without. With them a segment of five rows takes 60 kB of files and 20 kB of the server's
catalogues: twenty appends of 1,000 rows to a million had added 330 MB to 360.
"""

LOCK_TIMEOUT = "1s"
"""How long showing and dropping wait for somebody who reads a relation with psql; they are tried again later."""

DROPPED_AT_ONCE = 100
"""Relations that are dropped in one transaction with their database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFile:
    """A part to load."""

    part_id: int
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A relation to fill from parts: a chunk table, an overlap table, or (``chunk`` None) a ref table."""

    table: Table
    chunk: ChunkId | None
    generation: int
    overlap: bool
    parts: tuple[PartFile, ...]

    @property
    def relation(self) -> str:
        """Name of the relation."""
        return self.table.relation(self.chunk, generation=self.generation, overlap=self.overlap)


@dataclass(frozen=True, slots=True)
class HeldRelation:
    """A relation that holds parts."""

    relation: str
    is_shown: bool
    """Whether its parent shows it."""


class RowStore(Closing):
    """One connection to a shard, as its administrator; for one thread at a time. Use as a context manager.

    Parameters
    ----------
    worker
        Name of the worker, for messages.
    conninfo
        libpq connection string of the shard's superuser.
    """

    def __init__(self, worker: str, conninfo: str) -> None:
        self.worker = worker
        with self._translated_errors():
            self._connection: psycopg.Connection[tuple[Any, ...]] = psycopg.connect(conninfo, autocommit=True)

    def close(self) -> None:
        """Close the connection; an unfinished transaction leaves nothing."""
        self._connection.close()

    def prepare(self, database: Database) -> None:
        """Make the schema of a database and the parents of its partitioned tables, where they are missing."""
        with self._transaction() as connection:
            # Two loads may begin together, and CREATE ... IF NOT EXISTS is no protection against that.
            self._lock("qserv schemas")
            name = sql.Identifier(database.physical)
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name))
            connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO qserv_reader").format(name))
            for table in database.tables:
                if table.is_partitioned:
                    connection.execute(chunk_tables.create_parent(database.physical, table))

    def load(self, schema: str, job: Load) -> int:
        """Load the parts that a relation does not hold yet, all or none of them; return the number of rows loaded.

        Parameters
        ----------
        schema
            Physical name of the database.

        Raises
        ------
        WorkerError
            If a part cannot be read or PostgreSQL refuses its rows.
        WorkerUnavailableError
            If the server does not answer.
        """
        with self._transaction() as connection:
            # A process that loaded the same parts may have been killed, and its backend may just be committing them.
            self._lock(f"qserv relation {schema}.{job.relation}")
            held = self._held_parts(schema, job.relation)
            if held.keys() - {part.part_id for part in job.parts}:  # of a compaction of this name that was undone
                self._drop(schema, [job.relation])
                held = {}
            missing = [part for part in job.parts if part.part_id not in held]
            if not missing:
                return 0
            if not held:
                connection.execute(load("worker/skip_log").encode())
                connection.execute(self._create(schema, job))
            before = sum(held.values())
            rows = sum(self._copy(schema, job, part, freeze=not held) for part in missing)
            if not _stays_bare(job, before + rows):
                if not held or _stays_bare(job, before):
                    for statement in chunk_tables.create_indexes(schema, job.relation, job.table, overlap=job.overlap):
                        connection.execute(statement)
                self._analyze(schema, job)
            return rows

    def free_log(self) -> None:
        """Write what has changed to the tables' files, after which the server removes the log of it."""
        with self._translated_errors():
            self._connection.execute("CHECKPOINT")

    def convert_parents(self, database: Database) -> None:
        """Turn parents that an earlier version partitioned into ones that their chunk tables inherit from.

        Raises
        ------
        WorkerError
            If somebody reads one of them with psql.
        """
        for table in database.tables:
            with self._transaction():
                self._convert_parent(database.physical, table)

    def held_relations(self, schema: str) -> list[HeldRelation]:
        """Return the relations of a schema that hold parts."""
        with self._translated_errors():
            rows = self._connection.execute(load("worker/held_relations").encode(), {"schema_name": schema})
            return [HeldRelation(*row) for row in rows]

    def show(self, schema: str, table: Table, relations: Collection[str], *, drop: Collection[str] = ()) -> None:
        """Let psql see chunk tables in the table's parent, and no more some that are dropped; all of it or nothing.

        Parameters
        ----------
        relations
            Chunk tables; those that are shown already stay so, those that are not there are left out.
        drop
            Relations that nobody reads any more.

        Raises
        ------
        WorkerError
            If somebody reads one of the dropped ones with psql.
        """
        with self._transaction() as connection:
            connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(LOCK_TIMEOUT))
            for relation in self._hidden(schema, table, relations):
                connection.execute(chunk_tables.inherit(schema, relation, table.physical))
            self._drop(schema, drop)

    def show_ref_table(
        self, schema: str, table: Table, relations: Sequence[str], *, drop: Collection[str] = ()
    ) -> None:
        """Let the view of a ref table show some relations, and drop others."""
        with self._transaction() as connection:
            connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(LOCK_TIMEOUT))
            if relations:
                connection.execute(chunk_tables.ref_view(schema, table, relations))
            self._drop(schema, drop)

    def _hidden(self, schema: str, table: Table, relations: Collection[str]) -> list[str]:
        """Return which of some chunk tables are there and not shown by their parent."""
        values = {"schema_name": schema, "parent": table.physical, "relations": list(relations)}
        return [row[0] for row in self._connection.execute(load("worker/hidden_relations").encode(), values)]

    def _drop(self, schema: str, relations: Collection[str]) -> None:
        for relation in relations:
            name = sql.Identifier(schema, relation)
            self._connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))
        if relations:
            values = {"schema_name": schema, "relations": list(relations)}
            self._connection.execute(load("worker/forget_relations").encode(), values)

    def _convert_parent(self, schema: str, table: Table) -> None:
        values = {"schema_name": schema, "relation": table.physical}
        partitions = self._connection.execute(load("worker/partitions").encode(), values).fetchall()
        if not partitions:
            return
        new = f"{table.physical} parent"  # no table has a name with a space
        parent = sql.Identifier(schema, table.physical)
        self._connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(LOCK_TIMEOUT))
        self._connection.execute(chunk_tables.create_parent(schema, table, name=new))
        for (relation,) in partitions:
            if relation is not None:
                detach = sql.SQL("ALTER TABLE {} DETACH PARTITION {}")
                self._connection.execute(detach.format(parent, sql.Identifier(schema, relation)))
                self._connection.execute(chunk_tables.inherit(schema, relation, new))
        self._connection.execute(sql.SQL("DROP TABLE {}").format(parent))
        rename = sql.SQL("ALTER TABLE {} RENAME TO {}")
        self._connection.execute(rename.format(sql.Identifier(schema, new), sql.Identifier(table.physical)))

    def drop_database(self, schema: str) -> None:
        """Drop the schema of a database with all it holds; what was begun by one who was killed, a second call ends.

        Its relations go in batches: one transaction would hold six locks for each chunk table.
        """
        held = [relation.relation for relation in self.held_relations(schema)]
        for start in range(0, len(held), DROPPED_AT_ONCE):
            relations = held[start : start + DROPPED_AT_ONCE]
            names = sql.SQL(", ").join([sql.Identifier(schema, relation) for relation in relations])
            with self._transaction() as connection:
                connection.execute(sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(names))
                values = {"schema_name": schema, "relations": relations}
                connection.execute(load("worker/forget_relations").encode(), values)
        with self._transaction() as connection:
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))

    def _lock(self, name: str) -> None:
        self._connection.execute(load("worker/lock_name").encode(), {"name": name})

    def _held_parts(self, schema: str, relation: str) -> dict[int, int]:
        """Return the parts that a relation holds, by id, with their rows."""
        values = {"schema_name": schema, "relation": relation}
        return dict(self._connection.execute(load("worker/loaded_parts").encode(), values).fetchall())

    def _create(self, schema: str, job: Load) -> sql.Composed:
        chunk = None if job.overlap else job.chunk
        return chunk_tables.create_chunk_table(schema, job.relation, job.table, chunk=chunk)

    def _copy(self, schema: str, job: Load, part: PartFile, *, freeze: bool) -> int:
        rows = read_part(part.path)
        count: int = rows.num_rows
        columns = [CopyColumn(column.name, column.datatype) for column in chunk_tables.stored_columns(job.table)]
        statement = chunk_tables.copy_statement(schema, job.relation, job.table, freeze=freeze)
        with self._connection.cursor() as cursor:
            with cursor.copy(statement) as copy:
                for block in encode_copy(rows, columns):
                    copy.write(block)
            if cursor.rowcount != count:
                raise WorkerError(f'worker "{self.worker}" took {cursor.rowcount} of {count} rows of part {part.path}')
        values = {"schema_name": schema, "relation": job.relation, "part_id": part.part_id, "rows": count}
        self._connection.execute(load("worker/record_load").encode(), values)
        return count

    def _analyze(self, schema: str, job: Load) -> None:
        indexed = chunk_tables.index_columns(job.table, overlap=job.overlap)
        keys = dict.fromkeys(job.table.column(name).physical for names in indexed for name in names)
        for target, columns in ((ROUGH_STATISTICS, ()), (KEY_STATISTICS, keys)):
            setting = sql.SQL("SET LOCAL default_statistics_target = {}").format(sql.Literal(target))
            self._connection.execute(setting)
            self._connection.execute(chunk_tables.analyze(schema, job.relation, columns))

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        with self._translated_errors(), self._connection.transaction():
            yield self._connection

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except psycopg.errors.LockNotAvailable as error:
            raise WorkerError(
                f'worker "{self.worker}": a running query still reads a relation that is to be replaced',
                detail=str(error).strip(),
                hint="Try again when it has ended; nothing is lost.",
            ) from error
        except psycopg.OperationalError as error:
            raise WorkerUnavailableError(
                f'worker "{self.worker}" does not answer', detail=str(error).strip(), hint="qserv cluster start"
            ) from error
        except psycopg.Error as error:
            raise WorkerError(f'worker "{self.worker}" refused a load', detail=str(error).strip()) from error


def _stays_bare(job: Load, rows: int) -> bool:
    """Whether a relation of so many rows has neither indexes nor statistics."""
    return job.generation > 1 and rows <= BARE_ROWS
