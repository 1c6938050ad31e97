"""Databases, tables and columns: what Felis and the partition file say, frozen.

Names keep the spelling of the schema. ``physical`` names are those of the shards: lower case, so that psql on a shard
needs no quotes, and at most 63 bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import ClassVar

from qserv_py.catalog.chunk import ChunkId
from qserv_py.catalog.grants import PUBLIC, Grantee
from qserv_py.catalog.types import DataType

MAX_IDENTIFIER_BYTES = 63
"""Longest name that PostgreSQL keeps whole."""

UPLOAD_DATABASE = "TAP_UPLOAD"
"""Database of the tables that a query brings along."""

HEALPIX_COLUMN = "healpix29"
"""Name of the clustering key that every row of a partitioned table carries."""


SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid", "oid"})
"""Names that PostgreSQL keeps for itself in every table."""


def physical_name(name: str) -> str:
    """Return the name of a relation or column on the shards: lower case, cut and hashed when it is too long."""
    folded = name.lower()
    if len(folded.encode()) <= MAX_IDENTIFIER_BYTES - 28:  # room for the suffix of a chunk and a generation
        return folded
    digest = hashlib.sha256(folded.encode()).hexdigest()[:8]
    return folded.encode()[:25].decode(errors="ignore") + "_" + digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table."""

    name: str
    """As the schema writes it."""

    physical: str
    """On the shards."""

    datatype: DataType
    length: int | None = None
    """Characters of a CHAR or VARCHAR, bytes of a VARBINARY; None when there is no bound."""

    nullable: bool = True
    unit: str = ""
    ucd: str = ""
    description: str = ""
    xtype: str = ""
    utype: str = ""
    """Role in a data model."""

    hidden: bool = False
    """Left out of ``*``: columns that qserv_py adds."""

    absent: bool = False
    """NULL in every row: no shard has it."""


class TableKind(StrEnum):
    """Role of a table in its family."""

    DIRECTOR = "director"
    CHILD = "child"
    MATCH = "match"
    REF = "ref"


class PositionFormat(StrEnum):
    """How a position stands in the input files."""

    DEGREES = "deg"
    HMS = "hms"
    """Hours, minutes, seconds: ``00:08:27.05``."""

    DMS = "dms"
    """Degrees, arc minutes, arc seconds: ``+27:43:03.6``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A coordinate of a director: the column that holds it, in degrees, and how input files write it."""

    column: str
    format: PositionFormat = PositionFormat.DEGREES
    unit: str = "deg"
    """Unit of the numbers in input files, by its name in ``catalog.angles``."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of a database. ``columns`` are in the schema's order, hidden ones last."""

    database: str
    name: str
    physical: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    description: str = ""
    indexes: tuple[tuple[str, ...], ...] = ()
    """Further b-tree indexes that the schema asks for, as tuples of column names."""

    utype: str = ""
    """Role in a data model."""

    kind: ClassVar[TableKind]
    """Role of the table."""

    is_partitioned: ClassVar[bool] = True
    """Whether its rows are spread over chunks."""

    @cached_property
    def _exact(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    @cached_property
    def _folded(self) -> dict[str, tuple[Column, ...]]:
        found: dict[str, tuple[Column, ...]] = {}
        for column in self.columns:
            found[column.name.lower()] = (*found.get(column.name.lower(), ()), column)
        return found

    def column(self, name: str) -> Column:
        """Return the column of exactly this name; KeyError if there is none."""
        return self._exact[name]

    def find_columns(self, name: str, *, exact: bool) -> tuple[Column, ...]:
        """Return the columns that a written name may mean: exact for delimited names, else whatever the case."""
        if exact:
            return (self._exact[name],) if name in self._exact else ()
        return self._folded.get(name.lower(), ())

    @property
    def qualified(self) -> str:
        """``database.table`` as the schema writes it."""
        return f"{self.database}.{self.name}"

    def relation(self, chunk: ChunkId | None, *, generation: int = 1, overlap: bool = False) -> str:
        """Return the name of the relation that holds a chunk (or, with None, a ref table) on a shard."""
        middle = "ref" if chunk is None else chunk.suffix
        if overlap:
            middle = "overlap_" + middle
        return f"{self.physical}_{middle}" + (f"_g{generation}" if generation > 1 else "")


@dataclass(frozen=True, kw_only=True)
class DirectorTable(Table):
    """A table with a position and a key; it decides the chunk of its rows and of its children's."""

    id: str
    ra: Position
    dec: Position
    unique: bool = True
    """Whether no two rows have one id; a director whose ids repeat has no child and no match tables."""

    kind = TableKind.DIRECTOR


class Orphans(StrEnum):
    """Which rows of a child table stand at their own position, as they have no director's row."""

    NONE = "none"
    """None: every row has one."""

    KEYLESS = "keyless"
    """Those whose key is NULL."""

    ANY = "any"
    """Those whose key is NULL or an id that the director does not have."""


@dataclass(frozen=True, kw_only=True)
class ChildTable(Table):
    """A table whose rows follow their director's row by key.

    Orphans stand in the chunk of their own position; those of one key that the director does not have, in any table
    of the director, in the chunk of the first of them. So equal keys stand in one chunk.
    """

    director: str
    """Name of the director, in the same database."""

    key: str
    """Column that holds the director's id."""

    orphans: Orphans = Orphans.NONE
    ra: Position | None = None
    dec: Position | None = None
    """Position of a row, degrees; None where there are no orphans."""

    rows_per_object: float | None = None
    """Rows for each row of the director, as declared; None to count what is loaded."""

    kind = TableKind.CHILD


@dataclass(frozen=True, kw_only=True)
class MatchTable(Table):
    """A table that pairs rows of two directors.

    Its rows stand in the chunk of the first one's row, those whose first key is NULL in that of the second one's.
    """

    directors: tuple[str, str]
    keys: tuple[str, str]
    rows_per_object: float | None = None
    """Rows for each row of the first director, as declared; None to count what is loaded."""

    kind = TableKind.MATCH


@dataclass(frozen=True, kw_only=True)
class RefTable(Table):
    """A small table that stands whole on every worker."""

    kind = TableKind.REF
    is_partitioned = False


@dataclass(frozen=True, kw_only=True)
class CzarTable(RefTable):
    """A ref table whose rows the czar holds and brings to the queries that read it: an upload, TAP_SCHEMA."""


TARGET_BYTES = 256 << 20
"""Bytes of a chunk unless the partition file says otherwise; docs/explanation/chunks.md has what was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Databases that share one chunk map and overlap.

    A chunk aims at rows or at bytes. A family that says neither is one whose partition file leaves it to the registry:
    it gets the size of the family that is there, or else ``TARGET_BYTES``.
    """

    name: str
    target_rows: int | None = None
    """Rows of the densest director that a chunk aims at."""

    target_bytes: int | None = None
    """Bytes of the rows of all tables that a chunk aims at; see ``catalog.object_bytes``."""

    min_order: int = 0
    max_order: int = 10
    overlap_arcsec: float = 60.0


class DatabaseState(StrEnum):
    """Whether queries see a database."""

    LOADING = "loading"
    PUBLISHED = "published"


@dataclass(frozen=True, kw_only=True)
class Database:
    """A database: tables of one family that are published together."""

    name: str
    physical: str
    family: Family
    tables: tuple[Table, ...]
    state: DatabaseState = DatabaseState.LOADING
    description: str = ""
    felis: str = field(default="", repr=False)
    """The schema file that the database was made from."""

    readers: frozenset[Grantee] = frozenset({PUBLIC})
    """Who may read it, once it is published."""

    shown_from: str = ""
    """Database whose tables these are, under another name; empty when they are its own."""

    @cached_property
    def _by_name(self) -> dict[str, Table]:
        return {table.name: table for table in self.tables}

    def table(self, name: str) -> Table:
        """Return the table of exactly this name; KeyError if there is none."""
        return self._by_name[name]

    def find_tables(self, name: str, *, exact: bool) -> tuple[Table, ...]:
        """Return the tables that a written name may mean."""
        if exact:
            return (self._by_name[name],) if name in self._by_name else ()
        return tuple(table for table in self.tables if table.name.lower() == name.lower())

    def children_of(self, director: DirectorTable) -> tuple[ChildTable, ...]:
        """Return the child tables of a director."""
        return tuple(t for t in self.tables if isinstance(t, ChildTable) and t.director == director.name)

    def director_of(self, table: Table) -> DirectorTable | None:
        """Return the director that decides a table's chunks; the table itself if it is one; None for a ref table."""
        match table:
            case DirectorTable():
                return table
            case ChildTable():
                director = self.table(table.director)
            case MatchTable():
                director = self.table(table.directors[0])
            case _:
                return None
        return director if isinstance(director, DirectorTable) else None


def column_names(names: Iterable[str]) -> list[str]:
    """Return the names of columns on the shards: lower case, different from each other and from PostgreSQL's own."""
    taken = {*SYSTEM_COLUMNS, HEALPIX_COLUMN}
    found = []
    for name in names:
        # unlike a table's name it needs no room for a chunk
        base = name.lower() if len(name.lower().encode()) <= MAX_IDENTIFIER_BYTES - 3 else physical_name(name)
        chosen, number = base, 2
        while chosen in taken:
            chosen, number = f"{base}_{number}", number + 1
        taken.add(chosen)
        found.append(chosen)
    return found


def names_of(things: Iterable[Database | Table | Column]) -> list[str]:
    """Return the names, for messages."""
    return [thing.name for thing in things]
