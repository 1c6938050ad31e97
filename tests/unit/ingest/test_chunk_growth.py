"""Which worker gets a new chunk: the family is spread first, all databases only where that leaves a choice."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qserv_py.catalog.model import Family
from qserv_py.catalog.snapshot import FamilyState
from qserv_py.ingest.places.chunk_growth import ChunkPlan, plan_chunks
from qserv_py.registry.listing import HeldBytes

NO_ROWS = np.empty(0, dtype=np.int64)


def plan(held: list[HeldBytes], rows_of_cells: list[int], *, bytes_per_row: float = 10.0) -> ChunkPlan:
    """Plan chunks of one cell of order 3 each, with so many rows."""
    runs = np.repeat(np.arange(len(rows_of_cells), dtype=np.int64) << (2 * (29 - 3)), rows_of_cells)
    family = Family(name="f", target_rows=1, min_order=3, max_order=3)
    nothing = FamilyState(
        orders=NO_ROWS, pixels=NO_ROWS, workers=NO_ROWS, worker_names=tuple(one.worker for one in held)
    )
    return plan_chunks(nothing, held, [runs], NO_ROWS, family=family, target_rows=1, bytes_per_row=bytes_per_row)


def test_a_new_database_is_spread_over_all_workers_whatever_others_hold() -> None:
    held = [HeldBytes(worker="w1", total=10**9), HeldBytes(worker="w2", total=10**9), HeldBytes(worker="w3")]
    placed = Counter(plan(held, [20] * 59).workers)
    assert sorted(placed.values()) == [19, 20, 20]
    assert placed["w3"] == 20, "the worker that has the least in all gets the odd chunk"


def test_a_family_is_balanced_before_all_databases() -> None:
    held = [HeldBytes(worker="w1", family=0, total=10**9), HeldBytes(worker="w2", family=600, total=600)]
    assert plan(held, [20, 20, 20, 20]).workers == ["w1", "w1", "w1", "w2"]


def test_equal_workers_take_turns() -> None:
    held = [HeldBytes(worker="w1"), HeldBytes(worker="w2")]
    assert plan(held, [1, 1, 1, 1]).workers == ["w1", "w2", "w1", "w2"]


@given(
    held=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 10**9)), min_size=1, max_size=5),
    rows=st.lists(st.integers(1, 40), min_size=1, max_size=60),
)
def test_no_worker_is_ahead_by_more_than_a_chunk(held: list[tuple[int, int]], rows: list[int]) -> None:
    workers = [
        HeldBytes(worker=f"w{number}", family=family, total=family + others)
        for number, (family, others) in enumerate(held)
    ]
    found = plan(workers, rows)
    assert len(found.new_chunks) == len(rows)
    loads = {one.worker: float(one.family) for one in workers}
    for count, chunk in zip(rows, found.new_chunks, strict=True):
        loads[chunk.worker] += 10.0 * count
    got = {chunk.worker for chunk in found.new_chunks}
    for name in got:
        assert loads[name] - min(loads.values()) <= 10.0 * max(rows), "who got a chunk was not ahead before"
