"""Answers as files, read again by what users read them with."""

from __future__ import annotations

import csv
import io
import json
import math
from datetime import datetime

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from qserv_py.adql.tree import OutputColumn
from qserv_py.catalog.types import DataType
from qserv_py.czar import writers
from qserv_py.errors import EvaluationError
from qserv_py.executor.arrow import answer_schema, conform

COLUMNS = (
    OutputColumn(name="id", datatype=DataType.LONG, ucd="meta.id"),
    OutputColumn(name="flux", datatype=DataType.DOUBLE, unit="nJy"),
    OutputColumn(name="mag", datatype=DataType.FLOAT),
    OutputColumn(name='text, "quoted"', datatype=DataType.UNICODE),
    OutputColumn(name="good", datatype=DataType.BOOLEAN),
    OutputColumn(name="at", datatype=DataType.TIMESTAMP),
    OutputColumn(name="stamp", datatype=DataType.BINARY),
    OutputColumn(name="id", datatype=DataType.SHORT),
)
SCHEMA = answer_schema(COLUMNS)
ROWS = [
    (2**63 - 1, 0.1, 0.1, "a", True, datetime(2020, 1, 2, 3, 4, 5, 6), b"\x00\xff", 1),
    (-(2**63), math.inf, -math.inf, "é 🔭", False, datetime(1, 1, 1), b"", -(2**15)),
    (0, math.nan, math.nan, ' "x", \n y', None, None, None, None),
    (None, None, None, None, None, None, None, None),
    (1, 1e-300, 1.5, "", True, datetime(2020, 1, 1), b"a", 3),
]


def batches() -> list[pa.RecordBatch]:
    columns = [pa.array(values, type=field.type) for values, field in zip(zip(*ROWS, strict=True), SCHEMA, strict=True)]
    whole = pa.RecordBatch.from_arrays(columns, schema=SCHEMA)
    return [whole.slice(0, 2), whole.slice(2, 0), whole.slice(2)]


def test_csv() -> None:
    sink = io.BytesIO()
    writers.write_csv(SCHEMA, [batch.select([0, 1, 2, 3, 4, 5]) for batch in batches()], sink)
    rows = list(csv.reader(io.StringIO(sink.getvalue().decode(), newline="")))
    assert rows[1][:5] == ["9223372036854775807", "0.1", "0.1", "a", "true"]
    assert rows[1][5].startswith("2020-01-02T03:04:05.000006")
    assert rows[2][1:4] == ["inf", "-inf", "é 🔭"]
    assert rows[3][3] == ' "x", \n y'
    assert rows[4] == [""] * 6
    assert len(rows) == 6


def test_csv_header() -> None:
    sink = io.BytesIO()
    writers.write_csv(SCHEMA, [], sink)
    assert next(csv.reader([sink.getvalue().decode()])) == SCHEMA.names


def test_csv_is_read_by_arrow() -> None:
    sink = io.BytesIO()
    writers.write_csv(SCHEMA.remove(7), [batch.select([0, 1, 3]) for batch in batches()], sink)
    body = sink.getvalue().split(b"\r\n", 1)[1]
    options = pa_csv.ReadOptions(column_names=["id", "flux", "text"])
    table = pa_csv.read_csv(io.BytesIO(body), options, pa_csv.ParseOptions(newlines_in_values=True))
    assert table["id"].to_pylist() == [row[0] for row in ROWS]


def test_json() -> None:
    sink = io.BytesIO()
    writers.write_json(SCHEMA, batches(), sink)

    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is not JSON")

    document = json.loads(sink.getvalue(), parse_constant=refuse)
    assert document["metadata"][0] == {"name": "id", "datatype": "int64", "ucd": "meta.id"}
    assert document["metadata"][1] == {"name": "flux", "datatype": "double", "unit": "nJy"}
    assert document["data"][0][:5] == [2**63 - 1, 0.1, 0.1, "a", True]
    assert document["data"][0][6:] == ["00ff", 1]
    assert document["data"][1][1:4] == ["inf", "-inf", "é 🔭"]
    assert document["data"][2][1] == "nan"
    assert document["data"][3] == [None] * 8
    assert len(document["data"]) == len(ROWS)


@pytest.mark.parametrize("made", [[], batches()[1:2]], ids=["no batch", "empty batch"])
def test_json_without_rows(made: list[pa.RecordBatch]) -> None:
    sink = io.BytesIO()
    writers.write_json(SCHEMA, made, sink)
    document = json.loads(sink.getvalue())
    assert document["data"] == []
    assert len(document["metadata"]) == 8


def test_json_with_an_empty_batch_first() -> None:
    sink = io.BytesIO()
    writers.write_json(SCHEMA, [batches()[1], *batches()], sink)
    assert len(json.loads(sink.getvalue())["data"]) == len(ROWS)


def equal(found: pa.Table) -> bool:
    expected = pa.Table.from_batches(batches(), schema=SCHEMA)
    return all(
        repr(a) == repr(b)
        for left, right in zip(found.columns, expected.columns, strict=True)
        for a, b in zip(left.to_pylist(), right.to_pylist(), strict=True)
    )


def test_parquet() -> None:
    unique = pa.schema([field for index, field in enumerate(SCHEMA) if index != 7])
    sink = io.BytesIO()
    writers.write_parquet(unique, [batch.select(range(7)) for batch in batches()], sink)
    found = pq.read_table(io.BytesIO(sink.getvalue()))
    assert found.schema.names == unique.names
    assert found["flux"].to_pylist()[:2] == [0.1, math.inf]
    assert found.schema.field("flux").metadata[b"unit"] == b"nJy"
    assert found["at"].to_pylist() == [row[5] for row in ROWS]


def test_arrow() -> None:
    sink = io.BytesIO()
    writers.write_arrow(SCHEMA, batches(), sink)
    found = pa.ipc.open_stream(sink.getvalue()).read_all()
    assert found.schema.equals(SCHEMA, check_metadata=True)
    assert equal(found)


def test_table_for_people() -> None:
    sink = io.BytesIO()
    writers.write_table(SCHEMA, batches(), sink)
    lines = sink.getvalue().decode().splitlines()
    assert len(lines) == 2 + len(ROWS), "a line break in a value does not break the line"
    assert lines[0].split()[0] == "id"
    assert "00ff" in lines[2]
    assert lines[5] == ""


def test_table_cuts_long_values_and_hides_control_characters() -> None:
    schema = pa.schema([pa.field("text", pa.string())])
    batch = pa.RecordBatch.from_arrays([pa.array(["x" * 500, "\x1b[31mred"])], schema=schema)
    sink = io.BytesIO()
    writers.write_table(schema, [batch], sink)
    text = sink.getvalue().decode()
    assert "\x1b" not in text
    assert max(len(line) for line in text.splitlines()) <= 60


def test_table_without_rows() -> None:
    sink = io.BytesIO()
    writers.write_table(SCHEMA, [], sink)
    assert len(sink.getvalue().decode().splitlines()) == 2


def test_a_value_beyond_its_type() -> None:
    batch = pa.RecordBatch.from_arrays([pa.array([2**40])], names=["x"])
    with pytest.raises(EvaluationError, match=r'^column "x" holds a value beyond int32: '):
        conform(batch, pa.schema([pa.field("x", pa.int32())]))
