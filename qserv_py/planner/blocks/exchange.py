"""Rows that neighbours in other chunks need: a stage that sends them, before the stage that joins them.

Beyond the overlap, the partners of a chunk's rows may stand in chunks around it. Of the near side, each chunk sends the
rows along its border, no further from it than the radius, and of those only what lies near the anchors that take part;
only the columns that are read, after the conditions that concern this side alone. The czar gives them to the chunks of
the anchors, and each takes those around it. A near side of another family has other chunks, so all of its rows near
the anchors are sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qserv_py.adql.tree import ColumnRef, Expr, Item, Select, TableSource
from qserv_py.catalog.chunk import HEALPIX_CELLS
from qserv_py.catalog.model import HEALPIX_COLUMN
from qserv_py.catalog.snapshot import IntArray
from qserv_py.catalog.types import DataType
from qserv_py.partitioner import ranges
from qserv_py.partitioner.dilation import border_of, dilated
from qserv_py.planner.blocks.neighbours import Link
from qserv_py.planner.plan.nodes import NearBorder, Ranges
from qserv_py.planner.sky.chunks import ChunkSet, Pruning, chunk_map

MAX_PAIRS_IN_CHUNK = 1_000_000_000
"""Pairs of rows within the radius, on average over the chunks, from which an exchange is refused."""


@dataclass(frozen=True, eq=False)
class Exchange:
    """What one near source sends."""

    link: Link
    same_chunks: bool
    """Whether both sides have the same chunks: then a row in the middle of one is not needed in another."""

    chunks: ChunkSet
    """Those that send."""

    area: IntArray
    """Where rows are needed at all, ranges of ``healpix29``."""

    rows: int
    """Rows that are sent, at the most and about."""

    pairs: float
    """Pairs of rows within the radius, about."""

    anchors: int
    """Chunks of the anchor that take part."""

    @property
    def is_too_large(self) -> bool:
        """Whether the join would take too long, however few rows are sent."""
        return self.pairs > MAX_PAIRS_IN_CHUNK * max(1, self.anchors)

    def block(self, refs: Mapping[str, ColumnRef], conditions: Sequence[Expr]) -> Select:
        """Return the block that sends the columns of ``refs``; ``conditions`` must concern the near source alone."""
        near, pair = self.link.near, self.link.pair
        place = ColumnRef(type=DataType.LONG, source=near.id, label=HEALPIX_COLUMN)
        wanted = {**refs, HEALPIX_COLUMN: place}
        if pair is not None:
            for label in (pair.second.ra, pair.second.dec):
                wanted.setdefault(label, ColumnRef(type=DataType.DOUBLE, source=near.id, label=label))
        items = tuple(Item(expr=ref, name=label, label=label) for label, ref in sorted(wanted.items()))
        where = list(conditions)
        if ranges.total(self.area) < HEALPIX_CELLS:
            where.append(Ranges(type=DataType.BOOLEAN, column=place, inside=ranges.NOTHING, maybe=self.area, exact=()))
        if self.same_chunks:
            where.append(NearBorder(type=DataType.BOOLEAN, column=place, radius=self.link.radius))
        return Select(items=items, sources=(near,), where=tuple(where))


def plan_exchange(link: Link, place: TableSource, select: Select, pruning: Pruning) -> Exchange:
    """Return what the near source of a link sends for the rows that a block reads around ``place``."""
    near = link.near
    anchors, found = pruning.reach_of(place, select)
    area = dilated(found, link.radius)
    same = near.database.family.name == place.database.family.name
    chunks = pruning.overlapping(
        pruning.chunks_of_table(near), area, f"within {link.radius:.3g} deg of rows of {place.alias}"
    )
    if same and len(anchors.kept) == 1:
        # It has its own rows, and no other chunk takes part.
        chunks = chunks.without(anchors.kept)
    rows = pruning.rows_in(near, chunks.kept) * _share_of(chunks, area, pruning)
    circle = float(1 - np.cos(np.radians(link.radius))) / 2
    nearby = float(rows.sum()) * min(1.0, circle * HEALPIX_CELLS / max(1, ranges.total(area)))
    pairs = float(pruning.rows_in(place, anchors.kept).sum()) * _share_of(anchors, found, pruning) * nearby
    if same:
        rows = rows * _shares(chunks, link.radius, pruning)
    return Exchange(link, same, chunks, area, int(rows.sum()), pairs, len(anchors.kept))


def _share_of(chunks: ChunkSet, area: IntArray, pruning: Pruning) -> float:
    """Return which part of the area of some chunks lies in some ranges."""
    assert chunks.family is not None
    known = chunk_map(pruning.catalog.families[chunks.family])
    whole = ranges.merged(np.stack([known.firsts[chunks.kept], known.ends[chunks.kept]], axis=1))
    return ranges.total(ranges.intersection(whole, area)) / ranges.total(whole) if len(whole) else 0.0


def _shares(chunks: ChunkSet, radius: float, pruning: Pruning) -> np.ndarray:
    """Return which part of the area of each chunk is along its border."""
    assert chunks.family is not None
    known = chunk_map(pruning.catalog.families[chunks.family])
    orders = known.orders[chunks.kept]
    shares = np.ones(len(orders))
    for order in np.unique(orders):
        border = border_of(known.chunk(int(chunks.kept[orders == order][0])), radius)
        if border is not None:
            shares[orders == order] = border.share
    return shares
