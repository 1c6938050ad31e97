"""Child rows without a director's row (orphans): placed by their own position, and their keys remembered.

For example, two detections carry the object's id 8, which no object has. The first one's position decides the chunk for
both, so that a join of detections by this id stays in one chunk.

Joins by key stay in one chunk, so equal keys stand in one chunk: of a key that the director does not have, the first
row decides, in whichever child table it is. The keys of orphans with their cells are index runs of their child table,
beside the director's own; a director's row with such an id is turned away, as its children stand elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from qserv_py.catalog.model import ChildTable, Database, DirectorTable, Orphans, Position
from qserv_py.catalog.part import PartRole
from qserv_py.catalog.snapshot import BoolArray, IntArray
from qserv_py.errors import InternalError
from qserv_py.ingest.destination import Destination
from qserv_py.ingest.places.director_ids import IDS_IN_RUN, ids_of
from qserv_py.ingest.places.locators import NOWHERE, Located, known_ids
from qserv_py.ingest.rejects import Rejected
from qserv_py.ingest.values.positions import coordinates
from qserv_py.partitioner.director_index import DirectorIndex, IdArray, IndexRun
from qserv_py.partitioner.healpix import healpix29_of, positions_out_of_range
from qserv_py.registry.snapshots import parts_of
from qserv_py.workers.index_files import open_director_index


class OrphanKeys:
    """Keys of orphans, each with the cell of the first row; 16 bytes a key of whole numbers, in memory."""

    def __init__(self) -> None:
        self._runs: list[IndexRun] = []

    def lookup(self, ids: IdArray) -> IntArray:
        """Return the cell of each key, -1 for one that is not here."""
        return DirectorIndex(self._runs).lookup(ids)

    def add(self, ids: IdArray, cells: IntArray) -> None:
        """Take new keys, ascending, none of which is here. Runs are merged so that there are few."""
        if not len(ids):
            return
        self._runs.append(IndexRun(ids, cells))
        while len(self._runs) > 1 and len(self._runs[-2].ids) < 2 * len(self._runs[-1].ids):
            one, other = self._runs.pop(), self._runs.pop()
            merged, places = np.concatenate([one.ids, other.ids]), np.concatenate([one.cells, other.cells])
            order = np.argsort(merged, kind="stable")
            self._runs.append(IndexRun(merged[order], places[order]))

    def runs(self) -> Iterator[IndexRun]:
        """Give all keys as runs of the index."""
        for run in self._runs:
            for start in range(0, len(run.ids), IDS_IN_RUN):
                yield IndexRun(run.ids[start : start + IDS_IN_RUN], run.cells[start : start + IDS_IN_RUN])


class OrphanLocator:
    """Places rows of a child table at their director's row, orphans at their own position.

    Parameters
    ----------
    table
        A table that has orphans.
    known
        The director's ids.
    orphans
        Keys of the orphans that are there, of all child tables of the director.
    """

    farthest_pair_deg: float | None = None

    def __init__(
        self, table: ChildTable, director: DirectorTable, known: DirectorIndex, orphans: DirectorIndex
    ) -> None:
        if table.ra is None or table.dec is None:
            raise InternalError(f'table "{table.qualified}" has no position')
        self._key, self._keyless = table.key, table.orphans is Orphans.KEYLESS
        self._ra, self._dec = table.ra, table.dec
        self._director = director
        self._known = known
        self._there = orphans
        self.gathered = OrphanKeys()
        """Keys of orphans among the accepted rows."""

        self.orphans = 0
        """Accepted rows without a director's row."""

        self._first: IndexRun | None = None
        """New keys of the batch that was located last and is not accepted yet."""

    def locate(self, columns: Mapping[str, pa.Array]) -> Located:
        """Return the cell of each row's director row, or of its own position."""
        self._first = None
        present = columns[self._key].is_valid().to_numpy(zero_copy_only=False)
        ids = ids_of(columns[self._key])
        cells = np.where(present, self._known.lookup(ids), NOWHERE)
        rejected: list[Rejected] = []
        if self._keyless:
            strays = np.flatnonzero(present & (cells < 0))
            if len(strays):
                rejected.append(Rejected(strays, self._key, f'"{self._director.qualified}" has no row of this id'))
        else:
            for orphans in (self._there, self.gathered):
                cells = np.where(present & (cells < 0), orphans.lookup(ids), cells)
        alone = np.flatnonzero(cells < 0)
        if len(alone):
            cells[alone] = _own_cells(columns, self._ra, self._dec, alone)
            self._first = None if self._keyless else _with_first(ids, cells, alone[present[alone]])
            lost = np.flatnonzero(cells < 0)
            if len(lost):
                reason = f'"{self._director.qualified}" has no row of its key, and the row has no position of its own'
                rejected.append(Rejected(lost, self._ra.column, reason))
        return Located(cells, tuple(rejected))

    def accept(self, columns: Mapping[str, pa.Array], cells: IntArray, rows: IntArray) -> None:
        """Gather the new keys of orphans, and count orphans."""
        present = columns[self._key].is_valid().to_numpy(zero_copy_only=False)
        self.orphans += len(present) - int(present.sum())
        if self._keyless:
            return
        ids = ids_of(columns[self._key])[present]
        first, self._first = self._first, None
        if first is not None:
            kept = np.isin(first.ids, ids)
            self.gathered.add(first.ids[kept], first.cells[kept])
        self.orphans += int(((self._there.lookup(ids) >= 0) | (self.gathered.lookup(ids) >= 0)).sum())


def _own_cells(columns: Mapping[str, pa.Array], ra: Position, dec: Position, places: IntArray) -> IntArray:
    """Return the cells of some rows' own positions, NOWHERE for one that is not on the sky."""
    chosen = pa.array(places)
    lon, lat = (coordinates(columns[position.column].take(chosen)) for position in (ra, dec))
    nowhere: BoolArray = positions_out_of_range(lon, lat)
    cells = healpix29_of(np.where(nowhere, 0.0, lon), np.where(nowhere, 0.0, lat))
    return np.where(nowhere, NOWHERE, cells)


def _with_first(ids: IdArray, cells: IntArray, keyed: IntArray) -> IndexRun:
    """Give rows of one key the cell of the first of them that has a place; return the keys with these cells.

    ``keyed`` are the rows that are orphans with a key, ascending.
    """
    placed = keyed[cells[keyed] >= 0]
    keys, first = np.unique(ids[placed], return_index=True)
    run = IndexRun(keys, cells[placed[first]])
    cells[keyed] = DirectorIndex([run]).lookup(ids[keyed])
    return run


def orphan_locator(destination: Destination, database: Database, table: ChildTable) -> OrphanLocator:
    """Return the locator of a child table that has orphans; the caller holds the ``family_lock`` until it commits."""
    director = database.table(table.director)
    if not isinstance(director, DirectorTable):
        raise InternalError(f'"{director.qualified}" is no director')
    known = known_ids(destination, database, director)
    return OrphanLocator(table, director, known, orphan_keys(destination, database, director))


def orphan_keys(destination: Destination, database: Database, director: DirectorTable) -> DirectorIndex:
    """Return the index of the committed orphans' keys of all child tables of a director."""
    tables = [table.name for table in database.children_of(director) if table.orphans is Orphans.ANY]
    runs = parts_of(destination.registry, database.name, tables=tables, roles=[PartRole.INDEX]) if tables else ()
    return open_director_index(destination.czar_dir, [run.path for run in runs])
