"""The catalogue in pieces, as the registry has them: chunks are named by their cells, and each piece has a version.

What a session keeps of the registry it keeps by piece, and asks again only for those whose version has grown:

    database         its tables, and the number of its snapshot      ``DatabasePiece``
    rows of a table  the segments of its chunks                      ``TableRows``
    family           the chunk map, and where the chunks are         ``FamilyPiece``

A ``Catalog`` is put together of them for one query; only there is a chunk an index into its family's map.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from qserv_py.catalog.chunk import HEALPIX_ORDER, ChunkId
from qserv_py.catalog.model import Database
from qserv_py.catalog.snapshot import (
    BoolArray,
    Catalog,
    DatabaseVersion,
    FamilyState,
    IntArray,
    Segments,
    TableSnapshot,
    Worker,
)
from qserv_py.errors import InternalError


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabasePiece:
    """One database with its tables, without its chunks."""

    database: Database
    version: DatabaseVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """All databases as of one moment, without their chunks."""

    version: int
    """The registry's, which grows with every change."""

    pieces: tuple[DatabasePiece, ...]
    workers: tuple[Worker, ...]

    def catalog(self) -> Catalog:
        """Return the catalogue of all databases, without their chunks."""
        return Catalog(
            version=self.version,
            databases=tuple(piece.database for piece in self.pieces),
            versions=MappingProxyType({piece.database.name: piece.version for piece in self.pieces}),
            workers=self.workers,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FamilyPiece:
    """The chunk map of a family as of one version."""

    version: int
    state: FamilyState

    def has(self, version: DatabaseVersion) -> bool:
        """Tell whether it has all chunks of a database of some version."""
        return self.version >= version.family


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TableRows:
    """What queries see of one table, whose chunks are named by their cells."""

    orders: IntArray
    """HEALPix order of the chunk of each segment, shape (n,)."""

    pixels: IntArray
    """NESTED pixel of the chunk of each segment, shape (n,); chunks stand in the order of the sky."""

    rows: IntArray
    """Rows of each segment, shape (n,); 0 where only overlap is."""

    generations: IntArray
    """Generation of each segment, ascending within a chunk, shape (n,)."""

    has_overlap: BoolArray
    """Which segments have an overlap relation, shape (n,)."""

    ref_generations: tuple[int, ...]
    """Of a ref table: the generations of its segments."""

    total_rows: int
    total_bytes: int
    farthest_pair_deg: float | None
    index_runs: tuple[str, ...]

    def placed_in(self, family: FamilyState) -> TableSnapshot:
        """Return what queries see, with chunks as indices into a family's map.

        Raises
        ------
        InternalError
            If the map does not have one of the chunks.
        """
        indices = _indices(family, self.orders, self.pixels)
        own = self.rows > 0
        chunks, begins = np.unique(indices[own], return_index=True)
        overlap_chunks, overlap_begins = np.unique(indices[self.has_overlap], return_index=True)
        return TableSnapshot(
            chunks=_frozen(chunks),
            rows=_frozen(np.add.reduceat(self.rows[own], begins) if len(begins) else self.rows[own]),
            own=Segments(_frozen(begins), _frozen(self.generations[own])),
            total_rows=self.total_rows,
            total_bytes=self.total_bytes,
            ref_generations=self.ref_generations,
            overlap_chunks=_frozen(overlap_chunks),
            overlap=Segments(_frozen(overlap_begins), _frozen(self.generations[self.has_overlap])),
            farthest_pair_deg=self.farthest_pair_deg,
            index_runs=self.index_runs,
        )


def _indices(family: FamilyState, orders: IntArray, pixels: IntArray) -> IntArray:
    """Return where chunks, given by their cells, stand in the map of a family."""
    firsts = _firsts(family.orders, family.pixels)
    places = np.searchsorted(firsts, _firsts(orders, pixels))
    found = places < len(firsts)
    within = places[found]
    found[found] = (family.orders[within] == orders[found]) & (family.pixels[within] == pixels[found])
    if not found.all():
        missing = int(np.argmin(found))
        chunk = ChunkId(int(orders[missing]), int(pixels[missing]))
        raise InternalError(f"a table has rows in chunk {chunk}, which the chunk map of its family does not have")
    return places


def _firsts(orders: IntArray, pixels: IntArray) -> IntArray:
    return pixels << (2 * (HEALPIX_ORDER - orders))


def _frozen(array: IntArray) -> IntArray:
    array.flags.writeable = False
    return array
