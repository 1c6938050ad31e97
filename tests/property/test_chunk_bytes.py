"""A chunk map by bytes: each chunk is small enough with all that its objects bring, and none is cut for nothing."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from support.schemas import small_database
from support.skies import Sky, skies

from qserv_py.catalog.chunk import ChunkId
from qserv_py.catalog.model import ChildTable, Database, Family
from qserv_py.catalog.object_bytes import bytes_per_row, chunk_rows
from qserv_py.catalog.snapshot import FamilyState
from qserv_py.ingest.places.chunk_growth import plan_chunks
from qserv_py.partitioner.healpix import healpix29_of
from qserv_py.registry.listing import HeldBytes

WIDTHS = {"Object": 48, "Source": 36, "ObjectMatch": 36, "Truth": 44}
NO_ROWS = np.empty(0, dtype=np.int64)


def database_of(family: Family, sources: int) -> Database:
    with tempfile.TemporaryDirectory() as name:
        database = small_database(Path(name))
    tables = [
        replace(table, rows_per_object=sources) if isinstance(table, ChildTable) else table for table in database.tables
    ]
    return replace(database, family=family, tables=tuple(tables))


@given(
    sky=skies(),
    sources=st.integers(1, 1064),
    target_bytes=st.integers(1000, 2_000_000),
    min_order=st.integers(0, 2),
    max_order=st.integers(2, 9),
)
def test_chunks_are_as_large_as_they_may_be(
    sky: Sky, sources: int, target_bytes: int, min_order: int, max_order: int
) -> None:
    family = Family(name="f", target_bytes=target_bytes, min_order=min_order, max_order=max_order)
    database = database_of(family, sources)
    cells = np.sort(healpix29_of(*sky))
    nothing = FamilyState(orders=NO_ROWS, pixels=NO_ROWS, workers=NO_ROWS, worker_names=("w1",))
    table = database.table("Object")
    plan = plan_chunks(
        nothing,
        [HeldBytes(worker="w1")],
        [cells],
        NO_ROWS,
        family=family,
        target_rows=chunk_rows(database, table, {}),
        bytes_per_row=bytes_per_row(database, table, {}),
    )

    one_object = sum([WIDTHS["Object"], *[WIDTHS["Source"]] * sources, WIDTHS["ObjectMatch"], WIDTHS["Truth"]])

    def objects_in(chunk: ChunkId) -> int:
        return int(((cells >= chunk.first) & (cells < chunk.end)).sum())

    for chunk in plan.chunk_map.chunks():
        objects = objects_in(chunk)
        assert objects * one_object <= target_bytes or chunk.order == max_order or objects == 1
        if chunk.order > min_order:
            above = objects_in(ChunkId(chunk.order - 1, chunk.pixel // 4))
            assert above > 1
            assert above * one_object > target_bytes, "the cell above would have been too large"
