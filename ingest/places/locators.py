"""Where the rows of a table go: a director's by their position, others by their director's row.

A locator gives each row its ``healpix29`` and names the rows that have no place: an id that is in the table already,
a key that no director row has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qserv_py.catalog.model import ChildTable, Database, DirectorTable, MatchTable, Table
from qserv_py.catalog.part import PartRole
from qserv_py.catalog.snapshot import IntArray
from qserv_py.errors import InternalError
from qserv_py.ingest.destination import Destination
from qserv_py.ingest.places.director_ids import IdSorter, ids_of
from qserv_py.ingest.rejects import Rejected
from qserv_py.ingest.values.positions import coordinates
from qserv_py.partitioner.director_index import DirectorIndex, IdArray, IndexRun
from qserv_py.partitioner.healpix import healpix29_of, positions_out_of_range, separations
from qserv_py.registry.snapshots import parts_of
from qserv_py.workers.index_files import open_director_index
from qserv_py.workers.parts import read_part

NOWHERE = -1
"""Stands in place of ``healpix29`` for a row that has no place on the sky."""

_BETWEEN_KEYS = "\x1f"
"""Separates the columns of a key of several; ASCII's unit separator, which no identifier has."""


@dataclass(frozen=True, slots=True)
class Located:
    """Cells of the rows of a batch (anything for rejected ones), and rows that have no place."""

    cells: IntArray
    rejected: tuple[Rejected, ...] = ()
    known: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """Places of rows that are to be passed over, as the table has them."""


class Locator(Protocol):
    """Gives the rows of a table their place."""

    def locate(self, columns: Mapping[str, pa.Array]) -> Located:
        """Return the ``healpix29`` of each row of a batch."""

    def accept(self, columns: Mapping[str, pa.Array], cells: IntArray, rows: IntArray) -> None:
        """Remember what is needed of rows that were accepted; ``rows`` are their numbers over all files."""


class DirectorLocator:
    """Places a director's rows by their position, and gathers their ids.

    Parameters
    ----------
    known
        Index of the ids that the table has already.
    orphans
        Keys of child rows that stand without a director's row.
    keep_known
        Pass over rows with such an id instead of rejecting them.
    """

    def __init__(
        self,
        table: DirectorTable,
        known: DirectorIndex,
        sorter: IdSorter,
        *,
        orphans: DirectorIndex,
        keep_known: bool = False,
    ) -> None:
        self._table = table
        self._orphans = orphans
        self._known = known
        self._sorter = sorter
        self._keep_known = keep_known

    def locate(self, columns: Mapping[str, pa.Array]) -> Located:
        """Return the cell of each position."""
        ra = coordinates(columns[self._table.ra.column])
        dec = coordinates(columns[self._table.dec.column])
        nowhere = positions_out_of_range(ra, dec)  # rejected before; healpix29_of must not stop at them
        if nowhere.any():
            ra, dec = np.where(nowhere, 0.0, ra), np.where(nowhere, 0.0, dec)
        cells = healpix29_of(ra, dec)
        if not self._table.unique:
            return Located(cells)
        ids, rejected = ids_of(columns[self._table.id]), []
        left = np.flatnonzero(self._orphans.lookup(ids) >= 0)
        if len(left):
            reason = "child rows of this id stand at their own positions, as they came before it"
            rejected.append(Rejected(left, self._table.id, reason))
        taken = np.flatnonzero(self._known.lookup(ids) >= 0)
        if self._keep_known:
            return Located(cells, tuple(rejected), known=taken)
        if len(taken):
            rejected.append(Rejected(taken, self._table.id, f'"{self._table.qualified}" has a row of this id already'))
        return Located(cells, tuple(rejected))

    def accept(self, columns: Mapping[str, pa.Array], cells: IntArray, rows: IntArray) -> None:
        """Gather the ids."""
        self._sorter.add(ids_of(columns[self._table.id]), cells, rows)


class FollowingLocator:
    """Places rows at their director's row.

    Of the two directors of a match table the first decides, or the second where the first key is NULL. A director
    must have the row that a key names.
    """

    def __init__(self, directors: list[tuple[str, DirectorTable, DirectorIndex]]) -> None:
        self._directors = directors
        self.farthest_pair_deg: float | None = 0.0 if len(directors) > 1 else None
        """How far apart the directors' rows of an accepted row are at the most; None with one director."""

    def locate(self, columns: Mapping[str, pa.Array]) -> Located:
        """Return the cell of each row's director row."""
        rejected: list[Rejected] = []
        placed = np.full(len(next(iter(columns.values()))), NOWHERE)
        for key, director, index in self._directors:
            present = columns[key].is_valid().to_numpy(zero_copy_only=False)
            cells = np.where(present, index.lookup(ids_of(columns[key])), NOWHERE)
            missing = np.flatnonzero(present & (cells < 0))
            if len(missing):
                rejected.append(Rejected(missing, key, f'"{director.qualified}" has no row of this id'))
            placed = np.where(placed < 0, cells, placed)
        unplaced = np.flatnonzero(placed < 0)
        if len(unplaced):  # a single key that is NULL has been reported for its column before
            keys = ", ".join(key for key, _, _ in self._directors)
            rejected.append(Rejected(unplaced, keys, "no key tells the place of the row: all are NULL"))
        return Located(placed, tuple(rejected))

    def accept(self, columns: Mapping[str, pa.Array], cells: IntArray, rows: IntArray) -> None:
        """Measure the pairs of a match table."""
        if self.farthest_pair_deg is None or not len(cells):
            return
        for key, _, index in self._directors[1:]:
            others = index.lookup(ids_of(columns[key]))
            paired = columns[key].is_valid().to_numpy(zero_copy_only=False)
            apart = separations(cells[paired], others[paired])
            self.farthest_pair_deg = max(self.farthest_pair_deg, float(apart.max(initial=0.0)))


class RefLocator:
    """Finds rows of a ref table whose key is there already. They need no place, as a ref table stands on every worker.

    Parameters
    ----------
    key
        Columns whose values together must differ from row to row.
    known
        Index of the keys that the table has already.
    keep_known
        Pass over rows with such a key instead of rejecting them.
    """

    def __init__(
        self, table: Table, key: Sequence[str], known: DirectorIndex, sorter: IdSorter, *, keep_known: bool = False
    ) -> None:
        self._table = table
        self._key = key
        self._known = known
        self._sorter = sorter
        self._keep_known = keep_known

    def locate(self, columns: Mapping[str, pa.Array]) -> Located:
        """Return no cells, and the rows whose key is taken."""
        ids = keys_of(columns, self._key)
        nowhere = np.zeros(len(ids), dtype=np.int64)
        taken = np.flatnonzero(self._known.lookup(ids) >= 0)
        if self._keep_known:
            return Located(nowhere, known=taken)
        reason = f'"{self._table.qualified}" has a row of this key already'
        return Located(nowhere, (Rejected(taken, ", ".join(self._key), reason),) if len(taken) else ())

    def accept(self, columns: Mapping[str, pa.Array], cells: IntArray, rows: IntArray) -> None:
        """Gather the keys; what stands in for the cell is the row's number, by which the spool sorts."""
        self._sorter.add(keys_of(columns, self._key), rows, rows)


def checked_key(table: Table) -> tuple[str, ...]:
    """Return the columns of a ref table whose values together must differ: its primary key of numbers and texts."""
    kinds = [table.column(name).datatype for name in table.primary_key]
    return table.primary_key if all(kind.is_integer or kind.is_text for kind in kinds) else ()


def keys_of(columns: Mapping[str, pa.Array], key: Sequence[str]) -> IdArray:
    """Return keys as ids: those of one column as they are, of several as one text."""
    if len(key) == 1:
        return ids_of(columns[key[0]])
    texts = [columns[name].cast(pa.string()).fill_null("") for name in key]
    return ids_of(pc.binary_join_element_wise(*texts, _BETWEEN_KEYS))


def ref_locator(
    destination: Destination,
    database: Database,
    table: Table,
    key: Sequence[str],
    sorter: IdSorter,
    *,
    keep_known: bool = False,
) -> RefLocator:
    """Return the locator of a ref table, with the keys as committed by now."""
    runs = []
    for part in parts_of(destination.registry, database.name, tables=[table.name], roles=[PartRole.REF]):
        rows = read_part(destination.file_of(part))
        ids = np.sort(keys_of({name: rows.column(name).combine_chunks() for name in key}, key))
        runs.append(IndexRun(ids, np.zeros(len(ids), dtype=np.int64)))
    return RefLocator(table, key, DirectorIndex(runs), sorter, keep_known=keep_known)


def following_locator(destination: Destination, database: Database, table: Table) -> FollowingLocator:
    """Return the locator of a child or match table, with the director indexes as committed by now."""
    match table:
        case ChildTable():
            keys = [(table.key, table.director)]
        case MatchTable():
            keys = list(zip(table.keys, table.directors, strict=True))
        case _:
            raise InternalError(f'table "{table.qualified}" follows no director')
    directors = []
    for key, name in keys:
        director = database.table(name)
        if not isinstance(director, DirectorTable):
            raise InternalError(f'"{director.qualified}" is no director')
        directors.append((key, director, known_ids(destination, database, director)))
    return FollowingLocator(directors)


def known_ids(destination: Destination, database: Database, director: DirectorTable) -> DirectorIndex:
    """Return the index of a director's committed rows."""
    runs = parts_of(destination.registry, database.name, tables=[director.name], roles=[PartRole.INDEX])
    return open_director_index(destination.czar_dir, [run.path for run in runs])
