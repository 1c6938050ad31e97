"""Parquet and Arrow: values, names, metadata, row groups, as pyarrow and astropy read them."""

from __future__ import annotations

import io
from datetime import datetime

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from astropy.io.votable import parse
from astropy.table import Table
from support.answers import column, stream_of, written

from qserv_py.catalog.types import DataType
from qserv_py.czar.formats import columnar, find_format

COLUMNS = (
    column("id", DataType.LONG, ucd="meta.id"),
    column("flux", DataType.DOUBLE, unit="nJy", description="a < b"),
    column("text", DataType.UNICODE),
    column("at", DataType.TIMESTAMP),
    column("place", DataType.DOUBLE, xtype="point"),
    column("id_2", DataType.SHORT),
)
ARRAYS = {"place": pa.list_(pa.float64())}
ROWS = [
    (2**63 - 1, 0.1, "é", datetime(2020, 1, 2, 3, 4, 5, 6), [1.5, 2.0], 1),
    (None, None, None, None, None, None),
    (1, 1e-300, "", datetime(2020, 1, 1), [0.0, None], 3),
] * 3
NAMES = ["id", "flux", "text", "at", "place", "id_2"]


def rows_of(table: pa.Table) -> list[tuple[object, ...]]:
    return list(zip(*(values.to_pylist() for values in table.columns), strict=True))


def test_parquet() -> None:
    document = written("parquet", COLUMNS, ROWS, arrays=ARRAYS, infos=(("QUERY", "a < b"),), is_cut=True)
    found = pq.read_table(io.BytesIO(document))
    assert found.column_names == NAMES
    assert rows_of(found) == ROWS
    assert found.schema.field("flux").metadata[b"unit"] == b"nJy"
    known = pq.ParquetFile(io.BytesIO(document)).metadata.metadata
    assert known[b"IVOA.VOTable-Parquet.version"] == b"1.0"
    described = parse(io.BytesIO(known[b"IVOA.VOTable-Parquet.content"]), verify="exception")
    table = described.get_first_table()
    assert [field.name for field in table.fields] == NAMES
    assert (str(table.fields[1].unit), table.fields[0].ucd, table.fields[1].description) == ("nJy", "meta.id", "a < b")
    assert [(info.name, info.value) for info in described.resources[0].infos] == [
        ("QUERY_STATUS", "OK"),
        ("QUERY", "a < b"),
        ("QUERY_STATUS", "OVERFLOW"),
    ]


def test_the_description_has_no_data() -> None:
    """The convention wants it so; astropy 8 takes the values of such a file, but leaves out the units."""
    document = written("parquet", COLUMNS[:2], [[1, 2.5], [2, 3.5]])
    known = pq.ParquetFile(io.BytesIO(document)).metadata.metadata
    assert b"<DATA" not in known[b"IVOA.VOTable-Parquet.content"]
    assert Table.read(io.BytesIO(document), format="parquet.votable")["flux"].tolist() == [2.5, 3.5]


def test_row_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small batches gather, so a file of many chunks is not one of many row groups."""
    rows = [[number] for number in range(100)]
    stream = stream_of([column("x", DataType.LONG)], rows)
    assert pq.ParquetFile(io.BytesIO(b"".join(columnar.write_parquet(stream)))).num_row_groups == 1
    monkeypatch.setattr(columnar, "ROW_GROUP_ROWS", 10)
    stream = stream_of([column("x", DataType.LONG)], rows)
    chunks = list(columnar.write_parquet(stream))
    assert len(chunks) > 8, "it streams"
    file = pq.ParquetFile(io.BytesIO(b"".join(chunks)))
    assert file.num_row_groups >= 8
    assert file.read()["x"].to_pylist() == list(range(100))


@pytest.mark.parametrize("is_cut", [False, True])
def test_arrow(is_cut: bool) -> None:
    document = written("arrow", COLUMNS, ROWS, arrays=ARRAYS, is_cut=is_cut)
    found = pa.ipc.open_stream(document).read_all()
    assert found.column_names == NAMES
    assert rows_of(found) == ROWS
    assert found.schema.field("flux").metadata == {b"unit": b"nJy", b"description": b"a < b"}
    *_, last = pa.ipc.open_stream(document).iter_batches_with_custom_metadata()
    assert last.batch.num_rows == 0
    overflow = {b"QUERY_STATUS": b"OVERFLOW", b"WHY": b"there are more rows than these"}
    assert dict(last.custom_metadata) == (overflow if is_cut else {b"QUERY_STATUS": b"OK"})


@pytest.mark.parametrize("name", ["parquet", "arrow"])
def test_no_rows_and_many_columns(name: str) -> None:
    columns = [column(f"c{number}", DataType.DOUBLE) for number in range(1600)]
    document = b"".join(find_format(name).write(stream_of(columns, [])))
    read = pq.read_table(io.BytesIO(document)) if name == "parquet" else pa.ipc.open_stream(document).read_all()
    assert (read.num_rows, read.num_columns) == (0, 1600)
