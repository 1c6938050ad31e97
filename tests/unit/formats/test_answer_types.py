"""Names, types and units of an answer, as readers of others find them in each format."""

from __future__ import annotations

import io
import json
import warnings
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from astropy.table import Table
from support.answers import column, written

from qserv_py.catalog.types import DataType
from qserv_py.errors import EvaluationError
from qserv_py.executor.arrow import check_times

COLUMNS = (
    column("good", DataType.BOOLEAN),
    column("N", DataType.BYTE),
    column("n_2", DataType.SHORT, description="How many"),
    column("B-V", DataType.FLOAT, unit="mag", ucd="phot.color"),
    column("count", DataType.INT, unit="s"),
    column("objectId", DataType.LONG, ucd="meta.id;meta.main"),
    column("coord_ra", DataType.DOUBLE, unit="deg"),
    column("flux.g", DataType.DOUBLE, unit="nJy"),
    column("band", DataType.CHAR),
    column("name", DataType.STRING, unit="", description="a < b"),
    column("remark", DataType.UNICODE),
    column("text", DataType.TEXT),
    column("seen", DataType.TIMESTAMP),
    column("stamp", DataType.BINARY),
    column("place", DataType.DOUBLE, xtype="point", unit="deg"),
)
PLACE = pa.list_(pa.float64())
ROW = [True, 1, 2, 0.5, 3, 2**62, 0.1, 1.0, "g", "n", "r", "t", np.datetime64("2020-01-02", "us").item(), b"a", [1, 2]]
NAMES = [about.name for about in COLUMNS]
UNITS = [about.unit for about in COLUMNS]
NUMBERS = ["bool", "int16", "int16", "float32", "int32", "int64", "float64", "float64"]
ARROW = [pa.bool_(), pa.int16(), pa.int16(), pa.float32(), pa.int32(), pa.int64(), pa.float64(), pa.float64()]
ARROW += [pa.string()] * 4 + [pa.timestamp("us"), pa.binary(), PLACE]


def document(name: str) -> bytes:
    return written(name, COLUMNS, [ROW, [None] * len(ROW)], arrays={"place": PLACE})


def arrow_table(name: str) -> pa.Table:
    data = document(name)
    return pq.read_table(io.BytesIO(data)) if name == "parquet" else pa.ipc.open_stream(data).read_all()


@pytest.mark.parametrize("name", ["votable", "votable/b", "votable/td", "fits"])
def test_astropy(name: str) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Column '.*' contains NULL")
        table = Table.read(io.BytesIO(document(name)), format=name.split("/")[0])
    assert table.colnames == NAMES
    assert [str(one.unit or "") for one in table.itercols()] == UNITS
    assert [table[label].dtype.newbyteorder("=").name for label in NAMES[:8]] == NUMBERS
    assert [str(table[label][0]) for label in NAMES[8:12]] == ["g", "n", "r", "t"]
    assert table["seen"][0] == "2020-01-02T00:00:00.000000"
    assert table["place"].dtype.kind == "f"
    assert table["place"].shape == (2, 2)
    described = {label: str(table[label].description or "") for label in NAMES}
    if name != "fits":  # astropy does not look at TCOMM
        assert described == {about.name: about.description for about in COLUMNS}
        assert table["B-V"].meta["ucd"] == "phot.color"


@pytest.mark.parametrize("name", ["parquet", "arrow"])
def test_pyarrow(name: str) -> None:
    schema = arrow_table(name).schema
    assert schema.names == NAMES
    assert schema.types == ARROW
    assert [(one.metadata or {}).get(b"unit", b"").decode() for one in schema] == UNITS


def test_data_frames_and_json() -> None:
    assert list(pd.read_parquet(io.BytesIO(document("parquet"))).columns) == NAMES
    frame = pl.read_parquet(io.BytesIO(document("parquet")))
    assert frame.columns == NAMES
    assert [str(kind).lower() for kind in frame.dtypes[1:8]] == NUMBERS[1:]
    told: list[dict[str, Any]] = json.loads(document("json"))["metadata"]
    assert [about["name"] for about in told] == NAMES
    assert [about["unit"] or "" for about in told] == UNITS


@pytest.mark.parametrize(
    "text", ["10000-01-01", "0000-12-31T23:59:59.999999", "-4713-01-01", "294276-12-31", "9223-01-01T00:00:00"]
)
def test_times_that_no_reader_can_take_are_refused(text: str) -> None:
    """Python's datetime is the judge: astropy, pandas and DuckDB end at the same years in ISO 8601."""
    values = np.array(["NaT", "2020-01-01", text], dtype="datetime64[us]")
    batch = pa.record_batch({"t": pa.array(values), "n": [1, 2, 3]})
    if isinstance(values[2].item(), datetime):
        assert check_times(batch) is batch
        return
    with pytest.raises(EvaluationError, match=r'(?m)^column "t" holds a time outside of the years 1 to 9999$'):
        check_times(batch)


def test_the_first_and_the_last_time() -> None:
    whole = pa.record_batch({"t": pa.array([datetime.min, None, datetime.max], pa.timestamp("us"))})
    assert check_times(whole) is whole
    nothing = pa.record_batch({"t": pa.array([None, None], pa.timestamp("us"))})
    assert check_times(nothing) is nothing
