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
class Segment:
    """The relations that hold the rows of some parts of one table and chunk (of a ref table when ``chunk`` is None).

    A chunk has a first segment, further ones for rows that were appended, and a new one in their place when they are
    compacted.
    """

    segment_id: int
    table: str
    chunk: ChunkId | None
    workers: tuple[str, ...]
    """Workers that hold it: the chunk's placements, or all for a ref table."""

    generation: int
    """Number in the names of its relations."""

    since: int | None
    """First snapshot that has it; None until it is published."""

    retired: int | None
    """First snapshot that has it no more; None as long as new queries read it."""

    rows: int
    """Of the chunk itself; 0 until it is published, or when it holds overlap rows only."""

    has_overlap: bool
    """Whether it has an overlap relation; False until it is published."""
