"""The chunks that a family gets: as large as its tables are in bytes, and spread over the workers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from support.ingested import add_small, followers, ingest, objects
from support.schemas import write_schema

from qserv_py.catalog.chunk import ChunkId
from qserv_py.catalog.model import Database
from qserv_py.catalog.part import PartRole
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.ingest.destination import Destination
from qserv_py.ingest.publishing import publish_database
from qserv_py.partitioner.healpix import healpix29_of
from qserv_py.registry.schema_files.felis_schema import read_schema
from qserv_py.registry.snapshots import parts_of


@pytest.fixture
def destination(cluster: Cluster) -> Iterator[Destination]:
    with open_destination(cluster, sync=False) as opened:
        yield opened


def add_sized(destination: Destination, directory: Path, name: str, *, size: str, sources: str = "") -> Database:
    """Add the small database with a size of its chunks, and with sources for each object if they are declared."""
    felis, partition = write_schema(directory, name=name)
    text = partition.read_text().replace("target_rows: 100, min_order: 1", size)
    partition.write_text(text.replace("key: objectId}", f"key: objectId{sources}}}"))
    database = read_schema(felis, partition)
    destination.registry.add_database(database)
    return database


def chunks_of(destination: Destination, family: str) -> set[ChunkId]:
    state = destination.registry.family(family).state
    return {ChunkId(order, pixel) for order, pixel in zip(state.orders.tolist(), state.pixels.tolist(), strict=True)}


def split(cells: np.ndarray, most: int, *, order: int = 0, max_order: int = 10) -> set[ChunkId]:
    """Return the cells that hold at most so many rows, by asking each cell for its rows."""
    found = set()
    for pixel, rows in zip(*np.unique(cells >> (2 * (29 - order)), return_counts=True), strict=True):
        if rows <= most or order == max_order:
            found.add(ChunkId(order, int(pixel)))
        else:
            inside = cells[cells >> (2 * (29 - order)) == pixel]
            found |= split(inside, most, order=order + 1, max_order=max_order)
    return found


def cells_of(rows: pa.Table) -> np.ndarray:
    return healpix29_of(rows.column("ra").to_numpy(), rows.column("dec").to_numpy())


def test_heavy_children_make_small_chunks(destination: Destination, tmp_path: Path) -> None:
    rows = objects(800, seed=5)
    maps = {}
    for name, sources in (("size_light", ""), ("size_heavy", ", rows_per_object: 191")):
        add_sized(destination, tmp_path, name, size="target_bytes: 100_000", sources=sources)
        ingest(destination, tmp_path, name, "Object", rows)
        maps[name] = chunks_of(destination, name)
    # An object is 48 bytes wide, a source 36, a pair 36 and a truth 44.
    assert maps["size_light"] == split(cells_of(rows), 100_000 // (48 + 36 + 36 + 44))
    assert maps["size_heavy"] == split(cells_of(rows), 100_000 // (48 + 191 * 36 + 36 + 44))
    assert len(maps["size_heavy"]) > 10 * len(maps["size_light"])


def test_what_is_published_is_counted_for_later_chunks(destination: Destination, tmp_path: Path) -> None:
    add_sized(destination, tmp_path, "size_counted", size="target_bytes: 5_000_000")
    first = objects(2000, seed=6, spread=2.0)
    ingest(destination, tmp_path, "size_counted", "Object", first)
    sources = followers(first, seed=3)["Source"]
    many = pa.concat_tables([sources] * 20)  # 60 an object
    ingest(destination, tmp_path, "size_counted", "Source", many.set_column(0, "sourceId", pa.array(range(len(many)))))
    publish_database(destination, "size_counted")
    before = chunks_of(destination, "size_counted")
    parts = parts_of(destination.registry, "size_counted", roles=[PartRole.CHUNK])
    bytes_of = {table: sum(part.bytes for part in parts if part.table == table) for table in ("Object", "Source")}
    assert before == split(cells_of(first), 5_000_000 // (48 + 36 + 36 + 44))
    # Both tables have a thousand rows in a chunk, so both are counted; pairs and truths are not published.
    later = objects(60_000, seed=7, first_id=10**6, ra=180.0)
    ingest(destination, tmp_path, "size_counted", "Object", later)
    cells = cells_of(later)
    new = cells[[not any(chunk.first <= cell < chunk.end for chunk in before) for cell in cells.tolist()]]
    expected = split_beside(new, int(5_000_000 / ((bytes_of["Object"] + bytes_of["Source"]) / 2000 + 36 + 44)), before)
    assert chunks_of(destination, "size_counted") - before == expected
    by_schema = split_beside(new, 5_000_000 // (48 + 36 + 36 + 44), before)
    assert len(expected) > len(by_schema), "sixty sources are more than the one that nobody has declared"


def split_beside(cells: np.ndarray, most: int, present: set[ChunkId]) -> set[ChunkId]:
    """Return what ``split`` does, but cut cells that meet chunks which are there."""
    found = set()
    waiting = [ChunkId(0, pixel) for pixel in range(12)]
    while waiting:
        cell = waiting.pop()
        rows = int(((cells >= cell.first) & (cells < cell.end)).sum())
        meets = any(cell.first < chunk.end and chunk.first < cell.end for chunk in present)
        if rows and (meets or rows > most):
            waiting += [ChunkId(cell.order + 1, 4 * cell.pixel + number) for number in range(4)]
        elif rows:
            found.add(cell)
    return found


def test_a_second_database_of_a_family_keeps_its_chunks(destination: Destination, tmp_path: Path) -> None:
    rows = objects(300, seed=8)
    database = add_sized(destination, tmp_path, "size_one", size="target_rows: 20")
    ingest(destination, tmp_path, "size_one", "Object", rows)
    before = chunks_of(destination, "size_one")
    assert before == split(cells_of(rows), 20)
    open_size = replace(database.family, target_rows=None)
    destination.registry.add_database(replace(database, name="size_two", physical="size_two", family=open_size))
    ingest(destination, tmp_path, "size_two", "Object", rows)
    assert chunks_of(destination, "size_one") == before


def test_a_new_database_is_spread_over_the_workers(destination: Destination, cluster: Cluster, tmp_path: Path) -> None:
    large, small = (add_small(cluster, tmp_path, name) for name in ("size_large", "size_little"))
    # All of these rows are in one cell of order 8, the finest that the family has, so they are one chunk.
    point = objects(3000, seed=9, spread=0.01)
    ingest(destination, tmp_path, large.name, "Object", point)
    ingest(destination, tmp_path, small.name, "Object", objects(900, seed=10))
    state = destination.registry.family(small.family.name).state
    chunks = np.bincount(state.workers, minlength=len(cluster.workers))
    rows = np.zeros(len(cluster.workers), dtype=np.int64)
    parts = parts_of(destination.registry, small.name, tables=["Object"], roles=[PartRole.CHUNK])
    workers = state.holders()
    places = {ChunkId(*pair): index for index, pair in enumerate(zip(state.orders, state.pixels, strict=True))}
    names = [worker.name for worker in cluster.workers]
    for part in parts:
        assert part.chunk is not None
        rows[names.index(workers[places[part.chunk]])] += part.rows
    assert chunks.min() > 0
    assert rows.max() - rows.min() <= 100, "no worker is ahead by more than a chunk"
