"""What a query sees: for each table, the chunks that hold rows, how many, and which relations hold them.

Kept as arrays beside the family's chunk map, because a catalogue has 100,000 chunks and planning must cost what the
chunks kept cost, not what the chunks known cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from qserv_py.catalog.chunk import ChunkId
from qserv_py.catalog.model import Database
from qserv_py.errors import InternalError, WorkerUnavailableError

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """The relations of each of some chunks, as numbers in their names; most chunks have one, appended ones some more.

    For example, of two chunks the first has the generations 1 and 3, the second 1: ``begins`` is (0, 2) and
    ``generations`` (1, 3, 1).
    """

    begins: IntArray
    """Where the generations of each chunk begin, shape (n,)."""

    generations: IntArray
    """Shape (m,), m >= n."""

    def of(self, place: int) -> list[int]:
        """Return the generations of the chunk at a place."""
        end = self.begins[place + 1] if place + 1 < len(self.begins) else len(self.generations)
        found: list[int] = self.generations[self.begins[place] : end].tolist()
        return found


def _no_chunks() -> IntArray:
    return np.empty(0, dtype=np.int64)


def _no_segments() -> Segments:
    return Segments(_no_chunks(), _no_chunks())


@dataclass(frozen=True, kw_only=True, eq=False)
class TableSnapshot:
    """The chunks of one table in a snapshot. A ref table has no chunks: only ``rows`` and ``ref_generations``."""

    chunks: IntArray
    """Indices into the family's ``ChunkMap``, ascending, shape (n,)."""

    rows: IntArray
    """Rows of each chunk, shape (n,)."""

    own: Segments
    """Chunk tables of each chunk, n of them."""

    total_rows: int
    total_bytes: int = 0
    """Bytes of the parts."""

    ref_generations: tuple[int, ...] = ()
    """Generations of a ref table; none for a partitioned one or when nothing is loaded."""

    overlap_chunks: IntArray = field(default_factory=_no_chunks)
    """Indices of the chunks that have an overlap table, ascending, shape (m,); some have no rows of their own."""

    overlap: Segments = field(default_factory=_no_segments)
    """Overlap tables of each of these chunks, m of them."""

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
    """The chunks of a family and where they are. Sorted by ``first``; cells never overlap.

    An index into these arrays means a chunk in the plans and snapshots of one ``Catalog`` alone; whatever is written
    down or read from elsewhere names chunks by their cells, and workers by their names.
    """

    orders: IntArray
    """HEALPix order of each chunk, shape (n,)."""

    pixels: IntArray
    """NESTED pixel of each chunk, shape (n,)."""

    workers: IntArray
    """Index into ``worker_names`` of the chunk's first placement, -1 without one, shape (n,)."""

    worker_names: tuple[str, ...]

    def worker_of(self, index: int) -> str:
        """Return the name of the worker that holds a chunk; WorkerUnavailableError if none does."""
        place = int(self.workers[index])
        if place < 0:
            chunk = ChunkId(int(self.orders[index]), int(self.pixels[index]))
            raise WorkerUnavailableError(
                f"chunk {chunk} is placed on no worker",
                detail="The registry has a chunk without a row in placement.",
                hint="Place it again, or ask for another part of the sky.",
            )
        return self.worker_names[place]

    def holders(self) -> list[str]:
        """Return the worker of every chunk by its name, empty for a chunk that none holds."""
        names = (*self.worker_names, "")
        return [names[place] for place in self.workers.tolist()]

    def by_worker(self, chunks: IntArray) -> dict[str, IntArray]:
        """Return which of some chunks each worker holds, by its name; WorkerUnavailableError if none holds one."""
        places = self.workers[chunks]
        return {self.worker_of(int(chunks[places == place][0])): chunks[places == place] for place in np.unique(places)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One shard: a PostgreSQL server and a directory of parts."""

    name: str
    conninfo: str
    """libpq connection string without a password; the password stands in the file that ``passfile`` names."""

    parts_dir: str
    """Directory of the worker's parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseVersion:
    """What tells the state of one database from another."""

    database_id: int
    version: int
    """Grows with every change of its tables and snapshots."""

    family: int
    """Version of the chunk map that has all chunks of the snapshot; later ones have them, too."""

    snapshot: int | None
    """Number of the published snapshot, None without one."""

    @property
    def number(self) -> tuple[int, int]:
        """What is the same as long as its tables and snapshot are."""
        return self.database_id, self.version


@dataclass(frozen=True, kw_only=True, eq=False)
class Catalog:
    """Everything the planner may know, at one moment.

    A query needs the chunks of the databases that it names and no others, so a catalogue may be without them: names
    are resolved with the databases alone, then those chunks are put in (``snapshots`` and ``families``), and the query
    is planned.
    """

    version: int
    """Number that grows with every change of the registry."""

    databases: tuple[Database, ...]
    families: Mapping[str, FamilyState] = field(default_factory=lambda: MappingProxyType({}))
    """By the family's name."""

    snapshots: Mapping[str, Snapshot] = field(default_factory=lambda: MappingProxyType({}))
    """By the database's name; of published databases those whose chunks are there."""

    versions: Mapping[str, DatabaseVersion] = field(default_factory=lambda: MappingProxyType({}))
    """By the database's name; of those that the registry has."""

    workers: tuple[Worker, ...] = ()

    @property
    def any_worker(self) -> str:
        """Name of the worker that answers what every worker can."""
        return self.workers[0].name if self.workers else ""

    def snapshot_of(self, database: str, table: str) -> TableSnapshot | None:
        """Return what queries see of a table, None when nothing is published of it.

        Raises
        ------
        InternalError
            If the chunks of its database were not put into this catalogue.
        """
        held = self.snapshots.get(database)
        if held is not None:
            return held.tables.get(table)
        if database in self.published:
            raise InternalError(f'a plan needs the chunks of "{database}", which its catalogue is without')
        return None

    @property
    def published(self) -> Mapping[str, int]:
        """Numbers of the snapshots of the registry's published databases, whether or not their chunks are here."""
        return {name: one.snapshot for name, one in self.versions.items() if one.snapshot is not None}

    @property
    def numbers_read(self) -> frozenset[tuple[int, int]]:
        """The registry's snapshots whose chunks are here: the database's id and the number of each."""
        known = ((self.versions.get(name), held.number) for name, held in self.snapshots.items())
        return frozenset((version.database_id, number) for version, number in known if version is not None)

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
            versions=MappingProxyType({name: held for name, held in self.versions.items() if name in names}),
        )
