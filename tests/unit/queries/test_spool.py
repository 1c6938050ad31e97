"""The spool gives out what came in, sorted, whether or not it went over the disk."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from qserv_py.ingest.places.director_ids import IdSorter, ids_of
from qserv_py.ingest.spool import Spool

LARGEST = 2**63 - 1
KEYS = st.lists(st.lists(st.one_of(st.integers(0, 20), st.integers(-(2**63), LARGEST)), max_size=40), max_size=6)


@given(batches=KEYS, budget=st.sampled_from([1, 600, 10**6]), rows=st.integers(1, 30))
def test_ranges_are_sorted_and_whole(batches: list[list[int]], budget: int, rows: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        spool = Spool("key", Path(name) / "spool", budget=budget)
        number = 0
        for keys in batches:
            texts = [f"row {number + place}" for place in range(len(keys))]
            spool.add(pa.table({"key": pa.array(keys, pa.int64()), "text": pa.array(texts, pa.string())}))
            number += len(keys)
        spool.finish()
        assert (spool.runs_on_disk > 0) == (budget == 1 and number > 0) or budget == 600
        everything = [key for keys in batches for key in keys]
        expected = sorted(zip(everything, (f"row {place}" for place in range(number)), strict=True), key=lambda r: r[0])
        cuts = spool.split_points(-(2**63), LARGEST + 1, rows=rows)
        got: list[tuple[int, str]] = []
        for low, high in pairwise(cuts):
            piece = spool.between(low, high)
            assert spool.count_between(low, high) == (0 if piece is None else piece.num_rows)
            if piece is not None:
                distinct = set(piece.column("key").to_pylist())
                assert piece.num_rows < 2 * rows + max(everything.count(key) for key in distinct)
                got += zip(piece.column("key").to_pylist(), piece.column("text").to_pylist(), strict=True)
        assert got == expected, "rows of equal keys keep their order"
        spool.close()
        assert not (Path(name) / "spool").exists()


@given(
    ids=st.lists(st.integers(-(2**63), LARGEST) | st.integers(0, 10), max_size=60),
    text=st.booleans(),
    budget=st.sampled_from([1, 10**6]),
)
def test_repeated_ids_are_the_later_ones(ids: list[int], text: bool, budget: int) -> None:
    values = pa.array([str(one) for one in ids], pa.string()) if text else pa.array(ids, pa.int64())
    with tempfile.TemporaryDirectory() as name:
        sorter = IdSorter(Path(name) / "ids", texts=text, budget=budget)
        for start in range(0, len(ids), 7):
            part = ids_of(values.slice(start, 7))
            rows = np.arange(start, start + len(part))
            sorter.add(part, rows * 10, rows)
        sorter.finish()
        pieces = list(sorter.pieces())
        repeated = sorted(row for piece in pieces for row in piece.rows[piece.repeated()].tolist())
        first = {one: place for place, one in reversed(list(enumerate(ids)))}
        assert repeated == [place for place, one in enumerate(ids) if first[one] != place]
        runs = [piece.run() for piece in pieces]
        found = {one: cell for run in runs for one, cell in zip(run.ids.tolist(), run.cells.tolist(), strict=True)}
        assert found == {(str(one).encode() if text else one): 10 * place for one, place in first.items()}
        sorter.close()
