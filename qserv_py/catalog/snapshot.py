"""What a query sees: for each table, the chunks that hold rows, how many, and which generation of the chunk table.

Kept as arrays beside the family's chunk map, because a catalogue has 100,000 chunks and planning must cost what the
chunks kept cost, not what the chunks known cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from qserv_py.catalog.model import Database

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class TableSnapshot:
    """The chunks of one table in a snapshot. A ref table has no chunks: only ``rows`` and ``generation``."""

    chunks: IntArray
    """Indices into the family's ``ChunkMap``, ascending, shape (n,)."""

    rows: IntArray
    """Rows of each chunk, shape (n,)."""

    generations: IntArray
    """Generation of each chunk table, shape (n,)."""

    total_rows: int
    total_bytes: int = 0
    """Bytes of the parts."""

    ref_generation: int = 0
    """Generation of a ref table; 0 for a partitioned one or when nothing is loaded."""

    overlap_chunks: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """Indices of the chunks that have an overlap table, ascending, shape (m,); some have no rows of their own."""

    overlap_generations: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """Generation of each overlap table, shape (m,)."""

    farthest_pair_deg: float | None = None
    """Of a match table: how far apart the rows of a pair are at the most; None when it was not measured."""

    index_runs: tuple[str, ...] = ()
    """Sorted runs of ids, files relative to ``ClusterConfig.czar_dir``: of a director's index, of a child's orphans."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Snapshot:
    """The published state of one database."""

    number: int
    tables: Mapping[str, TableSnapshot]
    """By the table's name."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FamilyState:
    """The chunks of a family and where they are. Sorted by ``first``; cells never overlap."""

    orders: IntArray
    """HEALPix order of each chunk, shape (n,)."""

    pixels: IntArray
    """NESTED pixel of each chunk, shape (n,)."""

    workers: IntArray
    """Index into ``Catalog.workers`` of the chunk's first placement, shape (n,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One shard: a PostgreSQL server and a directory of parts."""

    name: str
    conninfo: str
    """libpq connection string without a password; the password stands in the file that ``passfile`` names."""

    parts_dir: str
    """Directory of the worker's parts."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Catalog:
    """Everything the planner may know, at one moment."""

    version: int
    """Number that grows with every change of the registry."""

    databases: tuple[Database, ...]
    families: Mapping[str, FamilyState] = field(default_factory=lambda: MappingProxyType({}))
    """By the family's name."""

    snapshots: Mapping[str, Snapshot] = field(default_factory=lambda: MappingProxyType({}))
    """By the database's name; published databases only."""

    workers: tuple[Worker, ...] = ()

    def with_database(self, database: Database, snapshot: Snapshot) -> Catalog:
        """Return the catalogue with one more published database."""
        snapshots = MappingProxyType({**self.snapshots, database.name: snapshot})
        return replace(self, databases=(*self.databases, database), snapshots=snapshots)

    def find_databases(self, name: str, *, exact: bool) -> tuple[Database, ...]:
        """Return the databases that a written name may mean."""
        if exact:
            return tuple(database for database in self.databases if database.name == name)
        return tuple(database for database in self.databases if database.name.lower() == name.lower())

    def without(self, name: str) -> Catalog:
        """Return the catalogue without one database."""
        return self.restricted_to(frozenset(database.name for database in self.databases if database.name != name))

    def restricted_to(self, names: frozenset[str]) -> Catalog:
        """Return the catalogue as one sees it who knows of these databases only."""
        databases = tuple(database for database in self.databases if database.name in names)
        families = {database.family.name for database in databases}
        return replace(
            self,
            databases=databases,
            families=MappingProxyType({name: state for name, state in self.families.items() if name in families}),
            snapshots=MappingProxyType({name: held for name, held in self.snapshots.items() if name in names}),
        )
