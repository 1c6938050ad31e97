"""A result of the Python API as pandas, polars, astropy and Parquet have it."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.answers import column, stream_of

from qserv_py.catalog.types import DataType
from qserv_py.client import Result
from qserv_py.errors import ConfigError, WorkerUnavailableError

COLUMNS = (
    column("id", DataType.LONG, ucd="meta.id"),
    column("ra", DataType.DOUBLE, unit="deg", description="Where it is"),
    column("mag", DataType.FLOAT, unit="mag"),
    column("good", DataType.BOOLEAN),
    column("name", DataType.UNICODE),
    column("at", DataType.TIMESTAMP),
    column("stamp", DataType.BINARY),
    column("place", DataType.DOUBLE, xtype="point", unit="deg"),
    column("outline", DataType.DOUBLE, xtype="polygon", unit="deg"),
    column("id_2", DataType.SHORT),
)
ARRAYS = {"place": pa.list_(pa.float64()), "outline": pa.list_(pa.float64())}
ROWS = [
    (2**62 + 1, 1.5, 20.5, True, "é", datetime(2020, 1, 2), b"\x00", [1.0, 2.0], [0.0, 0.0, 1.0], 7),
    (None,) * 10,
    (3, float("nan"), float("inf"), False, "", datetime(1970, 1, 1), b"", [3.0, 4.0], [], 8),
]


def result_of(**settings: Any) -> Result:
    stream = stream_of(COLUMNS, ROWS, arrays=ARRAYS, **settings)
    answer = SimpleNamespace(
        columns=stream.columns,
        schema=stream.schema,
        batches=lambda: stream.batches,
        stream=lambda *_: stream,
        text="SELECT",
        stats=None,
    )
    return Result(answer)  # type: ignore[arg-type]


def test_pandas() -> None:
    frame = result_of().to_pandas()
    assert list(frame.columns) == ["id", "ra", "mag", "good", "name", "at", "stamp", "place", "outline", "id_2"]
    assert [str(kind) for kind in frame.dtypes[["id", "ra", "mag", "good", "id_2"]]] == [
        "Int64",
        "Float64",
        "Float32",
        "boolean",
        "Int16",
    ]
    assert frame["id"].tolist() == [2**62 + 1, pd.NA, 3]
    assert frame["good"].tolist() == [True, pd.NA, False]
    assert frame["name"].tolist()[0] == "é"
    assert frame["name"].isna().tolist() == [False, True, False]
    assert frame["at"].tolist()[0] == pd.Timestamp(2020, 1, 2)
    assert frame["place"][0].tolist() == [1.0, 2.0]


def test_polars() -> None:
    frame = result_of().to_polars()
    assert frame.schema["id"] == pl.Int64
    assert frame["id"].to_list() == [2**62 + 1, None, 3]
    assert frame["place"].to_list() == [[1.0, 2.0], None, [3.0, 4.0]]
    assert frame.columns[-1] == "id_2"


def test_astropy() -> None:
    table = result_of().to_astropy()
    assert table.colnames[-1] == "id_2"
    assert (str(table["ra"].unit), table["ra"].description, table["id"].meta["ucd"]) == (
        "deg",
        "Where it is",
        "meta.id",
    )
    assert [value is np.ma.masked for value in table["id"]] == [False, True, False]
    assert table["id"][0] == 2**62 + 1
    assert table["place"].shape == (3, 2)
    assert table["place"].mask.tolist() == [[False] * 2, [True] * 2, [False] * 2]
    assert table["place"].unit == "deg"
    assert table["outline"].mask.tolist() == [False, True, False]
    assert [len(value) for value in table["outline"].data] == [3, 0, 0]


def test_parquet(tmp_path: Path) -> None:
    result_of().to_parquet(tmp_path / "x.parquet")
    found = pq.read_table(tmp_path / "x.parquet")
    assert found.num_rows == 3
    assert b"<FIELD" in pq.ParquetFile(tmp_path / "x.parquet").metadata.metadata[b"IVOA.VOTable-Parquet.content"]


def test_parquet_after_the_rows_were_taken(tmp_path: Path) -> None:
    result = result_of()
    assert result.to_arrow().num_rows == 3
    result.to_parquet(str(tmp_path / "x.parquet"))
    assert pq.read_table(tmp_path / "x.parquet").num_rows == 3


def test_no_file_of_a_query_that_failed(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_text("old")
    with pytest.raises(WorkerUnavailableError):
        result_of(fails_after=2).to_parquet(tmp_path / "x.parquet")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize("name", ["pandas", "polars"])
def test_a_package_that_is_not_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=f"(?m)^{name} is not installed$") as raised:
        getattr(result_of(), f"to_{name}")()
    assert name in raised.value.hint
