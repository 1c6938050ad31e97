"""Parquet files that pyarrow, DuckDB, polars, pandas and astropy wrote, held against what these read."""

from __future__ import annotations

import gzip
import math
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import MaskedColumn, Table

from qserv_py.catalog.model import Column
from qserv_py.catalog.types import DataType
from qserv_py.errors import ContributionError
from qserv_py.ingest.files.masks import without_masks
from qserv_py.ingest.files.opened import open_reader
from qserv_py.ingest.requests import InputFormat, InputOptions
from qserv_py.ingest.values.conversion import convert_column

# What each column becomes in a table that takes it, by the name of the column in the files below.
WANTED = {
    "i8": DataType.SHORT,
    "u8": DataType.SHORT,
    "i64": DataType.LONG,
    "u64": DataType.LONG,
    "dec": DataType.DOUBLE,
    "f32": DataType.FLOAT,
    "f64": DataType.DOUBLE,
    "flag": DataType.BOOLEAN,
    "txt": DataType.TEXT,
    "blob": DataType.BINARY,
    "day": DataType.TIMESTAMP,
    "ts": DataType.TIMESTAMP,
    "ns": DataType.TIMESTAMP,
    "tz": DataType.TIMESTAMP,
    "name": DataType.TEXT,
    "js": DataType.TEXT,
    "uid": DataType.TEXT,
    "one": DataType.INT,
}


def converted(path: Path) -> tuple[dict[str, list[object]], dict[str, dict[int, str]]]:
    """Return the columns that can be read, in the types wanted, and the reasons of misfits by column and row."""
    reader = without_masks(open_reader(path, InputFormat.PARQUET, InputOptions()))
    names = [name for name in reader.names if name in WANTED]
    values: dict[str, list[object]] = {name: [] for name in names}
    misfits: dict[str, dict[int, str]] = {}
    for batch in reader.batches(names):
        for name in names:
            column = Column(name=name, physical=name, datatype=WANTED[name])
            found = convert_column(batch.rows.column(name), column)
            for entry in found.misfits:
                misfits.setdefault(name, {}).update(dict.fromkeys(np.flatnonzero(entry.where).tolist(), entry.reason))
            values[name] += found.values.to_pylist()
    return values, misfits


def test_every_type_that_duckdb_writes(tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    rows = """
        SELECT (-128)::TINYINT AS i8, 255::UTINYINT AS u8, 9223372036854775807 AS i64,
               9223372036854775808::UBIGINT AS u64,
               0.1::DECIMAL(38,20) AS dec, 'NaN'::FLOAT AS f32, 'Infinity'::DOUBLE AS f64, true AS flag, 'é"' AS txt,
               '\\x00\\xFF'::BLOB AS blob, DATE '2020-02-29' AS day, 'infinity'::TIMESTAMP AS ts,
               TIMESTAMP_NS '2020-01-01 00:00:00.000000500' AS ns, TIMESTAMPTZ '2020-01-01 00:00:00+02' AS tz,
               'b'::ENUM('a', 'b') AS name, '{"a": 1}'::JSON AS js, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::UUID AS uid,
               [7] AS one, INTERVAL 1 DAY AS span, {'x': 1} AS pair, [1, 2] AS many, MAP {'a': 1} AS dict
        UNION ALL
        SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '', NULL, 'infinity'::DATE, NULL, NULL, NULL, NULL, NULL,
               NULL, [8], NULL, NULL, NULL, NULL"""
    duckdb.sql(f"COPY ({rows}) TO '{path}'")
    values, misfits = converted(path)
    assert values == {
        "i8": [-128, None],
        "u8": [255, None],
        "i64": [2**63 - 1, None],
        "u64": [None, None],
        "dec": [0.1, None],
        "f32": [None, None],
        "f64": [math.inf, None],
        "flag": [True, None],
        "txt": ['é"', ""],
        "blob": [b"\x00\xff", None],
        "day": [datetime(2020, 2, 29), None],
        "ts": [None, None],
        "ns": [datetime(2020, 1, 1), None],
        "tz": [datetime(2019, 12, 31, 22), None],
        "name": ["b", None],
        "js": ['{"a": 1}', None],
        "uid": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", None],
        "one": [7, 8],
    }
    far = "a time outside of the years 1 to 9999"
    assert misfits == {"u64": {0: f"outside {-(2**63)} to {2**63 - 1}"}, "ts": {0: far}, "day": {1: far}}
    reader = open_reader(path, InputFormat.PARQUET, InputOptions())
    for name, what in {"span": "durations", "pair": "structures", "dict": "maps", "many": "lists of up to 2"}.items():
        with pytest.raises(ContributionError, match=f'column "{name}" of .* holds {what}'):
            list(reader.batches([name]))


@pytest.mark.parametrize("writer", ["polars", "pandas"])
def test_data_frames(tmp_path: Path, writer: str) -> None:
    path = tmp_path / "f.parquet"
    times = [datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=UTC), None]
    columns = {"i64": [2**62 + 1, None], "f64": [1.5, math.nan], "txt": ["a", None], "flag": [True, None]}
    if writer == "polars":
        pl.DataFrame({**columns, "tz": times, "name": pl.Series(["x", "y"], dtype=pl.Categorical)}).write_parquet(path)
    else:
        frame = pd.DataFrame({name: pd.array(column) for name, column in columns.items()})
        frame["tz"] = pd.to_datetime(pd.Series(times))
        frame["name"] = pd.Categorical(["x", "y"])
        frame.to_parquet(path)
    values, misfits = converted(path)
    assert not misfits
    assert values == {
        "i64": [2**62 + 1, None],
        "f64": [1.5, None],
        "txt": ["a", None],
        "flag": [True, None],
        "tz": [datetime(2024, 1, 1, 0, 0, 0, 1), None],
        "name": ["x", "y"],
    }


def test_masks_of_astropy_beside_the_data(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    table = Table(
        {
            "i64": MaskedColumn([1, 2], mask=[True, False]),
            "f64": MaskedColumn([1.5, 2.5], mask=[False, True]),
            "txt": MaskedColumn(["a", "b"], mask=[True, False]),
        }
    )
    table.write(path)
    assert "i64.mask" in pq.read_schema(path).names
    assert converted(path)[0] == {"i64": [None, 2], "f64": [1.5, None], "txt": [None, "b"]}
    kept = without_masks(open_reader(path, InputFormat.PARQUET, InputOptions()), known=["I64.MASK"])
    assert "i64.mask" in kept.names
    assert "f64.mask" not in kept.names


def test_bytes_that_are_no_text_reject_their_rows_alone(tmp_path: Path) -> None:
    path = tmp_path / "b.parquet"
    for kind in (pa.binary(), pa.large_binary(), pa.binary(2)):
        pq.write_table(pa.table({"txt": pa.array([b"ab", b"\xff\0", None], kind)}), path)
        assert converted(path) == ({"txt": ["ab", None, None]}, {"txt": {1: "not UTF-8 text"}})


def test_names_with_dots_and_names_that_stand_twice(tmp_path: Path) -> None:
    path = tmp_path / "n.parquet"
    pq.write_table(pa.table({"a": [1], "a.b": [2], "a.b.c": [3]}), path)
    reader = open_reader(path, InputFormat.PARQUET, InputOptions())
    assert [batch.rows.to_pydict() for batch in reader.batches(["a.b", "a"])] == [{"a.b": [2], "a": [1]}]
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"]), path)
    with pytest.raises(ContributionError, match='names column "x" more than once') as caught:
        open_reader(path, InputFormat.PARQUET, InputOptions())
    assert caught.value.detail == "columns 1 and 2 of 2"


def test_a_compressed_file(tmp_path: Path) -> None:
    plain, path = tmp_path / "p.parquet", tmp_path / "p.parquet.gz"
    pq.write_table(pa.table({"i64": range(9)}), plain)
    path.write_bytes(gzip.compress(plain.read_bytes()))
    assert converted(path) == ({"i64": list(range(9))}, {})


def test_a_file_that_becomes_shorter(tmp_path: Path) -> None:
    """Mapped into memory, it would end the process (SIGBUS) instead."""
    path = tmp_path / "p.parquet"
    values = np.random.default_rng(7).normal(size=600_000)
    pq.write_table(pa.table({"f64": values}), path, row_group_size=200_000)
    reader = open_reader(path, InputFormat.PARQUET, InputOptions())
    batches = reader.batches(["f64"])
    first = next(batches).rows.column("f64").to_numpy()
    assert np.array_equal(first, values[: len(first)])
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(ContributionError, match=r"p\.parquet cannot be read as parquet") as caught:
        list(batches)
    assert re.search("Unexpected end of stream|File too short", caught.value.detail)


def test_memory_is_that_of_some_rows(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({"f64": np.random.default_rng(7).normal(size=2_000_000)}), path, row_group_size=100_000)
    reader = open_reader(path, InputFormat.PARQUET, InputOptions())
    before = pa.total_allocated_bytes()
    held = [pa.total_allocated_bytes() - before for _ in reader.batches(["f64"])]
    assert max(held) < path.stat().st_size / 2


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    """Bytes changed anywhere: the same rows, or a refusal that names the file; the pages have checksums."""
    path = tmp_path / "p.parquet"
    table = pa.table({"i64": range(500), "txt": [f"t{number}" for number in range(500)]})
    pq.write_table(table, path, write_page_checksum=True, compression="zstd")
    whole = path.read_bytes()
    chosen = np.random.default_rng(3)
    refused = 0
    for place in chosen.integers(0, len(whole), 60).tolist():
        damaged = bytearray(whole)
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        try:
            reader = open_reader(path, InputFormat.PARQUET, InputOptions())
            rows = pa.Table.from_batches([batch.rows for batch in reader.batches(["i64", "txt"])])
        except ContributionError:
            refused += 1
            continue
        assert rows.equals(table)
    assert refused > 20
    for size in (0, 10, len(whole) - 1, len(whole) // 2):
        path.write_bytes(whole[:size])
        with pytest.raises(ContributionError, match=r"p\.parquet"):
            open_reader(path, InputFormat.PARQUET, InputOptions())
