"""Parts: the immutable, checksummed Parquet files (and index runs) that are the truth about a table's rows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from qserv_py.catalog.chunk import ChunkId


class PartRole(StrEnum):
    """What the rows of a part are."""

    CHUNK = "chunk"
    """A chunk's own rows."""

    OVERLAP = "overlap"
    """Rows of other chunks within ``overlap_arcsec`` of the chunk."""

    REF = "ref"
    """Rows of a ref table; every worker holds the file."""

    INDEX = "index"
    """A sorted run of a director index, ids and ``healpix29``, or of the keys of a child table's orphans with the
    place of the first; the czar holds the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPart:
    """A part that a super-transaction has staged and that no registry knows yet."""

    table: str
    """Name of its table, as the schema writes it."""

    role: PartRole
    chunk: ChunkId | None = None
    """None for ref tables and index runs."""

    worker: str | None = None
    """Worker that holds the file; None when every worker does (ref) or the czar (index)."""

    path: str
    """Relative to the worker's ``parts_dir``; of an index run, to ``ClusterConfig.czar_dir``."""

    rows: int
    bytes: int
    """Size of the file."""

    sha256: str
    """Checksum of the file, 64 hexadecimal digits."""

    farthest_pair_deg: float | None = None
    """Of a match table: no pair of it is further apart; None when it was not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part(NewPart):
    """A part that the registry knows."""

    part_id: int
    transaction_id: int
    """Super-transaction that brought it."""

    snapshot: int | None
    """Number of the database's first snapshot that holds it; None until it is published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChunk:
    """A chunk to add to a family's chunk map, and the worker that shall hold it."""

    chunk: ChunkId
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkTable:
    """The serving form of one table and chunk (of a whole ref table when ``chunk`` is None) on its workers."""

    table: str
    chunk: ChunkId | None
    workers: tuple[str, ...]
    """Workers that hold it: the chunk's placements, or all for a ref table."""

    served: int | None
    """Generation that queries read; None when nothing of it is published."""

    pending: int | None
    """Generation that unpublished rows go into; None when there are no unpublished rows."""
