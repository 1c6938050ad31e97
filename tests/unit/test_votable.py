"""VOTables as astropy reads them: every type, NULLs, odd text, odd names, no rows."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from astropy.io.votable import parse
from hypothesis import given, settings
from hypothesis import strategies as st

from qserv_py.adql.tree import OutputColumn
from qserv_py.catalog.types import DataType
from qserv_py.executor.arrow import answer_schema
from qserv_py.vo.votable import VOTableWriter


def written(columns: Sequence[OutputColumn], batches: Sequence[pa.RecordBatch], **settings_: Any) -> Any:
    """Return what astropy reads of the document that we write."""
    sink = io.BytesIO()
    VOTableWriter(columns, **settings_).write(batches, sink)
    sink.seek(0)
    return parse(sink, verify="exception")


def batch_of(columns: Sequence[OutputColumn], *values: Sequence[Any]) -> pa.RecordBatch:
    schema = answer_schema(columns)
    arrays = [pa.array(column, type=field.type) for column, field in zip(values, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def one(kind: DataType, values: Sequence[Any]) -> Any:
    columns = [OutputColumn(name="x", datatype=kind)]
    return written(columns, [batch_of(columns, values)]).get_first_table().array["x"]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (DataType.BYTE, [0, 255, None, -1]),
        (DataType.SHORT, [0, 2**15 - 1, -(2**15), None]),
        (DataType.INT, [0, 2**31 - 1, -(2**31), None]),
        (DataType.LONG, [0, 2**63 - 1, -(2**63), None]),
        (DataType.BOOLEAN, [True, False, None]),
    ],
)
def test_whole_numbers(kind: DataType, values: list[Any]) -> None:
    found = one(kind, values)
    assert np.ma.getmaskarray(found).tolist() == [value is None for value in values]
    assert [None if hidden else value for value, hidden in zip(found.data.tolist(), found.mask, strict=True)] == values


@pytest.mark.parametrize("kind", [DataType.FLOAT, DataType.DOUBLE])
def test_real_numbers(kind: DataType) -> None:
    found = one(kind, [0.0, -1.5, math.inf, -math.inf, math.nan, None])
    assert np.asarray(found.data)[:4].tolist() == [0.0, -1.5, math.inf, -math.inf]
    assert np.isnan(np.asarray(found.data)[4:]).all()
    assert bool(np.ma.getmaskarray(found)[5])


@pytest.mark.parametrize("kind", [DataType.CHAR, DataType.STRING])
def test_text(kind: DataType) -> None:
    values = ["", "abc", "<&>\"'", "two\nlines", None]
    assert [str(value) for value in one(kind, values)][:4] == values[:4]


@pytest.mark.parametrize("kind", [DataType.UNICODE, DataType.TEXT])
def test_unicode_text(kind: DataType) -> None:
    values = ["", "abc", "é λ", "é 🔭 beyond the first plane", "<&>", None, "plain again"]
    found = one(kind, values)
    assert [str(value) for index, value in enumerate(found) if index != 5] == [v for v in values if v is not None]


def test_times_and_bytes() -> None:
    columns = [OutputColumn(name="t", datatype=DataType.TIMESTAMP), OutputColumn(name="b", datatype=DataType.BINARY)]
    times = [datetime(2020, 1, 2, 3, 4, 5, 678), None]
    table = written(columns, [batch_of(columns, times, [b"\0\xff", None])]).get_first_table()
    assert table.fields[0].xtype == "timestamp"
    assert str(table.array["t"][0]) == "2020-01-02T03:04:05.000678"
    assert np.asarray(table.array["b"][0]).tolist() == [0, 255]


def test_what_is_known_of_a_column() -> None:
    column = OutputColumn(name="f", datatype=DataType.FLOAT, unit="nJy", ucd="phot.flux", description="a < b & \x01c")
    [field] = written([column], []).get_first_table().fields
    assert (field.name, str(field.unit), field.ucd, field.description) == ("f", "nJy", "phot.flux", "a < b & c")


def test_no_rows_and_odd_names() -> None:
    columns = [OutputColumn(name=name, datatype=DataType.INT) for name in ("a", "A", "q\"<&>'", "é", " ")]
    table = written(columns, []).get_first_table()
    assert [field.name for field in table.fields] == [column.name for column in columns]
    assert len({field.ID for field in table.fields}) == 5
    assert len(table.array) == 0


def test_infos() -> None:
    query = "SELECT \"a\" FROM t WHERE b < '&'"
    document = written([OutputColumn(name="a", datatype=DataType.INT)], [], infos=[("QUERY", query)])
    infos = [(info.name, info.value) for info in document.resources[0].infos]
    assert infos == [("QUERY_STATUS", "OK"), ("QUERY", query)]


def test_overflow_stands_after_the_table() -> None:
    columns = [OutputColumn(name="a", datatype=DataType.INT)]
    sink = io.BytesIO()
    writer = VOTableWriter(columns)
    writer.overflow = True
    writer.write([batch_of(columns, [1, 2])], sink)
    text = sink.getvalue().decode()
    assert (
        text.index("</TABLE>") < text.index('<INFO name="QUERY_STATUS" value="OVERFLOW"/>') < text.index("</RESOURCE>")
    )
    sink.seek(0)
    assert len(parse(sink).get_first_table().array) == 2


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
            st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6)),
            st.one_of(st.none(), st.floats(width=32, allow_nan=False)),  # NaN is NULL to astropy
        ),
        max_size=40,
    ),
    st.integers(1, 15),
)
def test_any_rows_in_any_batches(rows: list[tuple[Any, Any, Any]], size: int) -> None:
    columns = [
        OutputColumn(name="id", datatype=DataType.LONG),
        OutputColumn(name="text", datatype=DataType.UNICODE),
        OutputColumn(name="flux", datatype=DataType.FLOAT),
    ]
    parts = [rows[start : start + size] for start in range(0, len(rows), size)]
    batches = [batch_of(columns, *zip(*part, strict=True)) for part in parts]
    if batches:  # a slice has offsets that the writer must respect
        batches = [pa.concat_batches([batches[0], *batches]).slice(len(parts[0]))]
    found = written(columns, batches).get_first_table().array
    assert len(found) == len(rows)
    for got, (number, text, flux) in zip(found, rows, strict=True):
        assert (None if np.ma.is_masked(got["id"]) else int(got["id"])) == number
        assert text is None or str(got["text"]) == text
        if flux is not None:
            assert np.array_equal(np.float32(got["flux"]), np.float32(flux), equal_nan=True)
