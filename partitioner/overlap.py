"""Finds the chunks that need a copy of a row: every other chunk within the family's overlap of the row's position.

For example, with an overlap of 10 arc seconds a star 2 arc seconds from the border of its chunk is copied beside the
chunk on the other side, and a star in the middle is not copied.

The sphere is looked at in cells of one order, fine enough to cost little and coarse enough that a disc around any
point of a cell stays within the cell and those that touch it. So a row's candidates are the chunks in the block of up
to nine cells around it, found once for each occupied cell, not once for each row. What a candidate chunk has in the
block (its *piece*) is then measured: a row is kept when it comes within the overlap of the piece's border, taken as
straight lines between points on it, plus what the edges bulge. No pair is lost; very few rows too many are kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qserv_py.catalog.chunk import HEALPIX_ORDER
from qserv_py.catalog.snapshot import BoolArray, FloatArray, IntArray
from qserv_py.partitioner.chunk_map import ChunkMap, expand_ranges
from qserv_py.partitioner.healpix import block_of_neighbours, border_vectors, unit_vectors

NARROWEST = 0.68
"""Radians; the narrowest cell of order k is wider than this / 2**k between opposite edges.

The exact figures, which cdshealpix uses for its cones, fall from 0.841 (k = 0) to 0.6893 / 2**k (k > 10).
"""

_RING_DEPTH = 5
"""Orders below a chunk's own in which its neighbours are looked for."""

_STEPS = 2
"""Points that stand for each edge of a piece: one corner and the middle of the edge."""

_PAIRS_AT_ONCE = 1 << 15
"""Pairs of a row and a piece that are measured together: a few megabytes, which stay in the processor's cache."""


@dataclass(frozen=True, eq=False)
class OverlapPairs:
    """Copies to make: row ``rows[i]`` goes beside the chunk at index ``chunks[i]`` of the map; each pair once."""

    rows: IntArray
    chunks: IntArray


@dataclass(frozen=True, eq=False)
class _Pieces:
    """Parts of chunks near a cell: ``cells[i]`` is an index into the occupied cells."""

    cells: IntArray
    chunks: IntArray
    orders: IntArray
    pixels: IntArray

    def where(self, keep: BoolArray) -> _Pieces:
        return _Pieces(self.cells[keep], self.chunks[keep], self.orders[keep], self.pixels[keep])


def working_order(overlap_arcsec: float) -> int:
    """Return the finest order whose cells are all wider than the overlap."""
    radius = np.radians(overlap_arcsec / 3600.0)
    order = int(np.floor(np.log2(NARROWEST / radius)))
    return max(0, min(HEALPIX_ORDER, order))


def overlap_pairs(
    ra: FloatArray,
    dec: FloatArray,
    cells: IntArray,
    *,
    chunk_map: ChunkMap,
    overlap_arcsec: float,
    targets: IntArray | None = None,
) -> OverlapPairs:
    """Return which rows lie within the overlap of which chunks other than their own.

    Parameters
    ----------
    ra, dec
        ICRS, degrees, shape (n,).
    cells
        ``healpix29`` of the positions, shape (n,).
    overlap_arcsec
        Radius of the overlap, below 48 degrees; 0 for no overlap.
    targets
        Indices of the chunks to look at, ascending; all by default.

    Returns
    -------
    pairs
        Every row within ``overlap_arcsec`` of a chunk that does not hold it, and a few that are slightly farther.
    """
    if overlap_arcsec <= 0.0 or not len(cells) or not len(chunk_map):
        return OverlapPairs(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
    order = working_order(overlap_arcsec)
    by_cell = np.argsort(cells, kind="stable")
    own_pixels = cells[by_cell] >> (2 * (HEALPIX_ORDER - order))
    pixels, starts, lengths = np.unique(own_pixels, return_index=True, return_counts=True)
    inner = _deep_inside(pixels, chunk_map, order=order)
    pixels, starts, lengths = pixels[~inner], starts[~inner], lengths[~inner]
    pieces = _pieces_near(pixels, chunk_map, order=order, targets=targets)
    piece = np.repeat(np.arange(len(pieces.cells)), lengths[pieces.cells])
    rows = by_cell[expand_ranges(starts[pieces.cells], starts[pieces.cells] + lengths[pieces.cells])]
    foreign = chunk_map.index_of(cells[rows]) != pieces.chunks[piece]
    rows, piece = rows[foreign], piece[foreign]
    near = _within(ra[rows], dec[rows], piece, pieces, radius=float(np.radians(overlap_arcsec / 3600.0)))
    pairs = np.unique(rows[near] * len(chunk_map) + pieces.chunks[piece[near]])
    return OverlapPairs(pairs // len(chunk_map), pairs % len(chunk_map))


def neighbours_of(chunk_map: ChunkMap, indices: IntArray, *, overlap_arcsec: float) -> IntArray:
    """Return the indices of the other chunks that may hold rows within the overlap of some chunks.

    Chunks that merely come near to that distance may be among them.
    """
    if overlap_arcsec <= 0.0 or not len(indices):
        return np.empty(0, dtype=np.int64)
    order = working_order(overlap_arcsec)
    found = [_around(chunk_map, int(index), order=order) for index in indices]
    return np.setdiff1d(np.unique(np.concatenate(found)), indices)


def _around(chunk_map: ChunkMap, index: int, *, order: int) -> IntArray:
    """Return the chunks in the ring of cells around one chunk, itself among them."""
    chunk_order, pixel = int(chunk_map.orders[index]), int(chunk_map.pixels[index])
    order = min(order, chunk_order + _RING_DEPTH)
    if chunk_order >= order:
        inner = np.array([pixel >> (2 * (chunk_order - order))], dtype=np.int64)
    else:
        inner = _border_cells(pixel, depth=order - chunk_order)
    ring = np.unique(block_of_neighbours(inner, order=order))
    ring = ring[ring >= 0]
    shift = 2 * (HEALPIX_ORDER - order)
    return chunk_map.overlapping(ring << shift, (ring + 1) << shift)


def _border_cells(pixel: int, *, depth: int) -> IntArray:
    """Return the cells ``depth`` orders below a cell that lie along its four edges."""
    below = np.arange(1 << (2 * depth), dtype=np.int64)
    return (pixel << (2 * depth)) + below[_on_edge(below, np.full(len(below), depth))]


def _on_edge(below: IntArray, depth: IntArray) -> BoolArray:
    """Return which cells, numbered within a cell ``depth`` orders above, touch its border."""
    # NESTED interleaves the bits of x and y: on the border x or y is all zeros or all ones.
    x_bits = np.left_shift(1, 2 * depth) // 3
    x, y = below & x_bits, below & (x_bits << 1)
    edge: BoolArray = (x == 0) | (x == x_bits) | (y == 0) | (y == x_bits << 1)
    return edge


def _deep_inside(pixels: IntArray, chunk_map: ChunkMap, *, order: int) -> BoolArray:
    """Return which cells have nothing but their own chunk around them."""
    own = chunk_map.index_of(pixels << (2 * (HEALPIX_ORDER - order)))
    depth = order - chunk_map.orders[own]
    coarser = (own >= 0) & (depth > 0)
    depth = np.where(coarser, depth, 0)
    return coarser & ~_on_edge(pixels & (np.left_shift(1, 2 * depth) - 1), depth)


def _pieces_near(pixels: IntArray, chunk_map: ChunkMap, *, order: int, targets: IntArray | None) -> _Pieces:
    """Return, for each occupied cell, what other chunks have in the block of cells around it."""
    block = block_of_neighbours(pixels, order=order)
    shift = 2 * (HEALPIX_ORDER - order)
    low, high = chunk_map.spans(block.ravel() << shift, (block.ravel() + 1) << shift)
    low, high = low.reshape(block.shape), high.reshape(block.shape)
    present = (block >= 0) & (high > low)
    lowest = np.where(present, low, np.iinfo(np.int64).max).min(axis=1)
    highest = np.where(present, high, -1).max(axis=1)
    mixed = highest - lowest > 1
    lonely = ~mixed & (chunk_map.index_of(pixels << shift) < 0)  # in no chunk, but near the border of one
    cell, place = np.nonzero(present & (mixed | lonely)[:, np.newaxis])
    return _split_into_pieces(cell, block[cell, place], low[cell, place], high[cell, place], chunk_map, order, targets)


def _split_into_pieces(
    cell: IntArray,
    pixel: IntArray,
    low: IntArray,
    high: IntArray,
    chunk_map: ChunkMap,
    order: int,
    targets: IntArray | None,
) -> _Pieces:
    """Make a piece of each pair of a chunk and a cell of the block that meet: the finer of the two."""
    chunks = expand_ranges(low, high)
    source = np.repeat(np.arange(len(cell)), high - low)
    finer = chunk_map.orders[chunks] > order
    pieces = _Pieces(
        cells=cell[source],
        chunks=chunks,
        orders=np.where(finer, chunk_map.orders[chunks], order),
        pixels=np.where(finer, chunk_map.pixels[chunks], pixel[source]),
    )
    return pieces if targets is None else pieces.where(np.isin(chunks, targets))


def _within(ra: FloatArray, dec: FloatArray, piece: IntArray, pieces: _Pieces, *, radius: float) -> BoolArray:
    """Return which rows come within the radius (radians) of their piece."""
    near = np.zeros(len(piece), dtype=np.bool_)
    for start in range(0, len(piece), _PAIRS_AT_ONCE):
        rows = slice(start, start + _PAIRS_AT_ONCE)
        used, which = np.unique(piece[rows], return_inverse=True)
        numbers = (4 << (2 * pieces.orders[used])) + pieces.pixels[used]  # one number for each order and pixel
        _, first, same = np.unique(numbers, return_index=True, return_inverse=True)
        borders = border_vectors(pieces.orders[used][first], pieces.pixels[used][first], steps=_STEPS)
        reach = (radius + _bulge(borders))[same[which]]
        distance = _distance(unit_vectors(ra[rows], dec[rows]), borders, same[which])
        near[rows] = distance <= reach * (1.0 + 1e-9) + 1e-12
    return near


def _distance(points: FloatArray, borders: FloatArray, which: IntArray) -> FloatArray:
    """Return the distance of each point to the straight lines of a border: a chord, so never more than the angle."""
    steps = np.roll(borders, -1, axis=1) - borders
    weights = 1.0 / (steps**2).sum(axis=-1)
    nearest = np.full(len(points), np.inf)
    for place in range(borders.shape[1]):
        offset = points - borders[which, place]
        step = steps[which, place]
        along = np.clip((offset * step).sum(axis=-1) * weights[which, place], 0.0, 1.0)
        offset -= along[:, np.newaxis] * step
        np.minimum(nearest, (offset**2).sum(axis=-1), out=nearest)
    distance: FloatArray = np.sqrt(nearest)
    return distance


def _bulge(borders: FloatArray) -> FloatArray:
    """Return how far the edges of cells may leave the straight lines between the points on them, at the most.

    With two steps an edge's middle leaves the line between its corners four times as far as the edge leaves the lines
    to its middle; twice that is allowed for.
    """
    corners, middles = borders[:, ::2], borders[:, 1::2]
    sagitta: FloatArray = np.sqrt((((corners + np.roll(corners, -1, axis=1)) / 2 - middles) ** 2).sum(axis=-1))
    bulge: FloatArray = sagitta.max(axis=-1) / 2
    return bulge
