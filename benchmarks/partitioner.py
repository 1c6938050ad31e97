"""Positions to chunks: ours on one core against healpy, in the same run. Prints JSON.

python benchmarks/partitioner.py [--positions 10000000] [--repeat 3]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")  # healpy's too; ours uses one thread unless told otherwise

import healpy
import numpy as np

from qserv_py.catalog.model import Family
from qserv_py.partitioner.chunk_map import ChunkMap
from qserv_py.partitioner.density import DensityCounter
from qserv_py.partitioner.healpix import healpix29_of
from qserv_py.partitioner.overlap import overlap_pairs


def seconds(work: Callable[[], object], repeat: int) -> float:
    """Return the median time of some runs."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--positions", type=int, default=10_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    random = np.random.default_rng(1)
    count = options.positions
    ra = random.uniform(0, 360, count)
    dec = np.degrees(np.arcsin(np.clip(random.normal(0, 0.3, count), -1, 1)))  # denser towards a plane
    family = Family(name="bench", overlap_arcsec=60.0)

    cells = healpix29_of(ra, dec)
    counter = DensityCounter(order=family.max_order)
    started = time.perf_counter()
    for start in range(0, count, 1 << 20):
        counter.add(cells[start : start + (1 << 20)])
    chunk_map = ChunkMap(*ChunkMap.empty().cells_for(counter.density(), min_order=0, target_rows=max(1, count // 2000)))
    growing_s = time.perf_counter() - started

    ours_s = seconds(lambda: chunk_map.index_of(healpix29_of(ra, dec)), options.repeat)
    cells_s = seconds(lambda: healpix29_of(ra, dec), options.repeat)
    healpy_s = seconds(lambda: healpy.ang2pix(1 << 29, ra, dec, nest=True, lonlat=True), options.repeat)
    pairs = overlap_pairs(ra, dec, cells, chunk_map=chunk_map, overlap_arcsec=60.0)
    overlap_s = seconds(lambda: overlap_pairs(ra, dec, cells, chunk_map=chunk_map, overlap_arcsec=60.0), 1)
    result = {
        "benchmark": "partitioner",
        "positions": count,
        "chunks": len(chunk_map),
        "positions_to_chunks_s": round(ours_s, 3),
        "of_that_healpix29_s": round(cells_s, 3),
        "healpy_ang2pix_s": round(healpy_s, 3),
        "healpy_over_ours_cells": round(healpy_s / cells_s, 2),
        "choosing_the_chunks_s": round(growing_s, 3),
        "overlap_60_arcsec_s": round(overlap_s, 3),
        "overlap_rows": len(pairs.rows),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
